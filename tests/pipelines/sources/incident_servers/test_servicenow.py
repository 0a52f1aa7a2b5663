"""ServiceNow: what its SLAs, metrics and rights make of incidents; what all servers do is in the conformance suite."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import polars as pl
import pytest
from fake_servicenow import FakeServiceNow
from loopback import Answer, Asked, Loopback, loopback
from pydantic import ValidationError
from staged_incidents import AS_OF, AT, DAY, HOUR, MINUTE, NOW, Staged, stage_night

from pipelines import sources
from pipelines.incident_report import write_report
from pipelines.settings import parse
from pipelines.source_options import ServiceNow
from pipelines.sources.rejects import NOT_FETCHED, PARTIAL

NEW, WORK, HOLD, DONE, VOID = ("1", "New"), ("2", "In Progress"), ("3", "On Hold"), ("6", "Resolved"), ("8", "Canceled")


@dataclass
class Instance:
    """A fake instance, and how a night reads it."""

    fake: FakeServiceNow
    server: Loopback
    con: duckdb.DuckDBPyConnection
    folder: Any
    meddle: Callable[[Asked], None] = lambda asked: None

    def stage(self, as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options: Any) -> Staged:
        given = {"name": "snow", "type": "servicenow", "url": self.server.url, "access": {"bearer": "s3cr3t"}}
        source = ServiceNow.model_validate(given | options)
        return stage_night(self.con, source, self.folder, as_of=as_of, fetched=fetched)

    def asked(self, table: str) -> list[str]:
        return [asked.path for asked in self.server.asked if asked.path.startswith(f"/api/now/table/{table}?")]


@pytest.fixture
def instance(con: duckdb.DuckDBPyConnection, tmp_path) -> Iterator[Instance]:
    def answer(asked: Asked) -> Answer:
        told = made.fake.answer(asked)
        made.meddle(asked)
        return told

    with loopback(answer) as server:
        fake = FakeServiceNow(server.url, {"incident": [], "task_sla": [], "metric_instance": []})
        made = Instance(fake, server, con, tmp_path)
        yield made


def snow(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def record(number: int = 1, state: tuple[str, str] = DONE, /, **more: Any) -> dict[str, Any]:
    return {
        "sys_id": f"{number:032x}",
        "number": f"INC{number:07}",
        "short_description": "disk full",
        "state": state,
        "priority": ("1", "1 - Critical"),
        # what people see of times is in the zone and the form of the account
        "opened_at": (snow(AT), "20.02.2026 10:00"),
        "sys_created_on": snow(AT),
        "resolved_at": (snow(AT + 3 * HOUR), "20.02.2026 13:00") if state == DONE else "",
        "closed_at": "",
        "sys_updated_on": (snow(AT + 3 * HOUR), "20.02.2026 13:00"),
        "reopen_count": "0",
        "reassignment_count": ("1204", "1.204"),
        "assignment_group": ("g1", "Database"),
        "business_service": ("s1", "Shop"),
        "cmdb_ci": ("c1", "db-1"),
        "category": ("database", "Datenbank"),
        **more,
    }


def sla(number: int = 1, /, **more: Any) -> dict[str, Any]:
    return {
        "sys_id": f"{abs(hash(str(more))):032x}",
        "task": f"{number:032x}",
        "sla.name": "P1",
        "sla.type": "SLA",
        "sla.target": "response",
        "stage": "completed",
        "has_breached": "false",
        "end_time": snow(AT + 5 * MINUTE),
        "pause_duration": "",
        **more,
    }


def metric(at: datetime, value: tuple[str, str], field: str = "incident_state", number: int = 1) -> dict[str, Any]:
    return {
        "sys_id": f"{int(at.timestamp()):028x}{number:04x}",
        "id": f"{number:032x}",
        "definition.field": field,
        "value": value[1],
        "field_value": value[0],
        "start": snow(at),
    }


# --------------------------------------------------------------------------------------------------------------- stamps


def test_a_record_comes_with_all_that_it_has(instance):
    instance.fake.tables["incident"] = [record(major_incident_state=("accepted", "Accepted"))]
    staged = instance.stage()
    assert {name: value for name, value in staged.row.items() if value is not None} == {
        "source": "snow",
        "incident_id": "INC0000001",
        "title": "disk full",
        "service": "Shop",
        "entity": "db-1",
        "team": "Database",
        "category": "Datenbank",
        "severity": "1 - Critical",
        "priority": "1 - Critical",
        "state": "Resolved",
        "created_at": AT,
        "created_basis": "field",
        "resolved_at": AT + 3 * HOUR,
        "resolved_basis": "field",
        "updated_at": AT + 3 * HOUR,
        "reopen_count": 0,
        "reassignment_count": 1204,
        "is_predicted": False,
        "is_major": True,
    }


@pytest.mark.parametrize(
    ("slas", "minutes", "basis"),
    [
        ([sla()], 5, "sla"),
        ([sla(), sla(end_time=snow(AT + 2 * MINUTE))], 2, "sla"),
        ([sla(**{"sla.target": "", "sla.name": "P1 Response"})], 5, "sla"),
        ([sla(**{"sla.target": "resolution"})], 20, "changelog"),
        ([sla(stage="cancelled")], 20, "changelog"),
        ([sla(stage="in_progress", end_time="")], 20, "changelog"),
        ([sla(**{"sla.type": "OLA"})], 20, "changelog"),
        ([sla(end_time=snow(AT - HOUR))], 20, "changelog"),
        ([], 20, "changelog"),
    ],
)
def test_acknowledgement_is_when_a_response_sla_ended_else_when_work_began(instance, slas, minutes, basis):
    assigned = metric(AT + MINUTE, ("u1", "Jo"), "assigned_to")
    instance.fake.tables |= {
        "incident": [record()],
        "task_sla": slas,
        "metric_instance": [metric(AT, NEW), assigned, metric(AT + 20 * MINUTE, WORK), metric(AT + 3 * HOUR, DONE)],
    }
    staged = instance.stage()
    assert staged.incidents.select("acknowledged_at", "acknowledged_basis").rows() == [(AT + minutes * MINUTE, basis)]


def test_where_no_state_of_work_is_told_the_first_assignment_counts(instance):
    instance.fake.tables |= {
        "incident": [record()],
        "metric_instance": [
            metric(AT, NEW),
            metric(AT + MINUTE, ("", ""), "assigned_to"),
            metric(AT + 7 * MINUTE, ("u1", "Jo"), "assigned_to"),
            metric(AT + 3 * HOUR, DONE),
        ],
    }
    staged = instance.stage()
    assert staged.incidents.select("acknowledged_at", "acknowledged_basis").rows() == [(AT + 7 * MINUTE, "changelog")]
    assert staged.events.filter(pl.col("assignee").is_not_null()).select("state", "assignee").rows() == [(None, "Jo")]


@pytest.mark.parametrize(
    ("slas", "met"),
    [
        ([], None),
        ([sla(), sla(**{"sla.target": "resolution"})], True),
        ([sla(), sla(has_breached="true", end_time="")], False),
        ([sla(), sla(stage="in_progress", end_time="")], None),
        ([sla(), sla(stage="cancelled", has_breached="true")], True),
        ([sla(), sla(has_breached="true", **{"sla.type": "Underpinning contract"})], True),
    ],
)
def test_slas_are_met_when_all_that_applied_ended_unbreached(instance, slas, met):
    instance.fake.tables |= {"incident": [record()], "task_sla": slas}
    staged = instance.stage()
    assert staged.incidents["sla_met"].to_list() == [met]


def test_time_on_hold_is_when_the_clock_of_the_resolution_stood_still(instance):
    paused = sla(pause_duration="1970-01-02 00:10:00", **{"sla.target": "resolution"})
    instance.fake.tables |= {"incident": [record()], "task_sla": [sla(), paused]}
    staged = instance.stage()
    assert staged.incidents["on_hold_s"].to_list() == [86400 + 600]


def test_what_is_cancelled_is_so_since_its_metrics_say_it_else_since_it_was_closed_else_changed(instance):
    instance.fake.tables |= {
        "incident": [
            record(1, VOID),
            record(2, VOID, closed_at=snow(AT + 2 * HOUR), resolved_at=snow(AT + 2 * HOUR)),
            record(3, VOID),
        ],
        "metric_instance": [metric(AT, NEW), metric(AT + HOUR, VOID)],
    }
    staged = instance.stage()
    told = staged.incidents.select("cancelled_at", "cancelled_basis", "resolved_at").rows()
    assert told == [
        (AT + HOUR, "changelog", None),
        (AT + 2 * HOUR, "field", None),
        (AT + 3 * HOUR, "inferred", None),
    ]


def test_metrics_tell_spells_on_hold_teams_and_reopenings(instance):
    instance.fake.tables |= {
        "incident": [record()],
        "metric_instance": [
            metric(AT, NEW),
            metric(AT, ("g1", "Service Desk"), "assignment_group"),
            metric(AT + 10 * MINUTE, WORK),
            metric(AT + 15 * MINUTE, ("g2", "Database"), "assignment_group"),
            metric(AT + 20 * MINUTE, HOLD),
            metric(AT + 50 * MINUTE, WORK),
            metric(AT + HOUR, DONE),
            metric(AT + 2 * HOUR, WORK),
            metric(AT + 3 * HOUR, DONE),
            {**metric(AT + 3 * HOUR, DONE, "state"), "sys_id": "f" * 32},
        ],
    }
    staged = instance.stage()
    assert dict(staged.counts.rejected) == {}
    took = staged.took()
    told = ("time_to_acknowledge_s", "time_to_resolve_s", "on_hold_s", "reopen_count", "reassignment_count", "team")
    assert [took[name] for name in told] == [600.0, 3 * 3600.0, 1800.0, 1, 1, "Database"]


def test_a_reopened_record_without_metrics_is_open(instance):
    again = record(1, WORK, resolved_at=snow(AT + HOUR), closed_at=snow(AT + 2 * HOUR), reopen_count="1")
    instance.fake.tables["incident"] = [again]
    staged = instance.stage()
    took = staged.took()
    assert (took["is_open"], took["resolve_excluded"], took["reopen_count"]) == (True, None, 1)


def test_states_go_by_number_of_incidents_and_by_word_of_other_tables(instance):
    closed = record(1, ("3", "Closed Complete"), resolved_at="", closed_at=snow(AT + HOUR))
    instance.fake.tables |= {"incident": [closed], "u_case": [closed]}
    assert instance.stage().incidents["state"].to_list() == ["On Hold"]
    assert instance.stage(table="u_case").incidents["state"].to_list() == ["Closed Complete"]


def test_fields_of_the_settings_are_asked_for_and_read_as_they_are_meant(instance):
    own = {"u_acknowledged": (snow(AT + MINUTE), "20.02.2026 10:01"), "cmdb_ci.location": ("l1", "Oslo"),
           "u_hold": ("1204", "1,204"), "impact": ("2", "2 - Medium")}  # fmt: skip
    instance.fake.tables |= {"incident": [record(**own)], "task_sla": [sla()]}
    staged = instance.stage(
        fields={"acknowledged_at": "u_acknowledged", "entity": "cmdb_ci.location", "on_hold_s": "u_hold",
                "severity": "impact", "team": "u_unknown"}
    )  # fmt: skip
    told = ("acknowledged_at", "acknowledged_basis", "entity", "on_hold_s", "severity", "team")
    assert staged.incidents.select(told).rows() == [(AT + MINUTE, "field", "Oslo", 1204, "2 - Medium", "Database")]


# --------------------------------------------------------------------------------------------------------------- rights


@pytest.mark.parametrize(("table", "status"), [("task_sla", 403), ("metric_instance", 400), ("metric_instance", 404)])
def test_without_the_right_to_a_side_table_incidents_come_with_a_note(instance, table, status):
    instance.fake.tables["incident"] = [record(n) for n in range(700)]
    instance.fake.refused = {table: status}
    staged = instance.stage()
    assert (staged.incidents.height, staged.unfetched, dict(staged.counts.rejected)) == (700, [], {PARTIAL: 1})
    (reason, detail) = staged.rejects.select("reason", "detail").row(0)
    assert reason == PARTIAL
    assert f"are not known, for {table} cannot be read: http://127.0.0.1" in detail
    assert len(instance.asked(table)) <= 5  # for the first page alone


def test_the_report_says_what_could_not_be_read(instance):
    instance.fake.tables["incident"] = [record(n) for n in range(3)]
    instance.fake.refused = {"metric_instance": 403}
    source = f'{{name: snow, type: servicenow, url: "{instance.server.url}"}}'
    settings = parse(f"sources: {{incidents: [{source}]}}", instance.folder)
    (page, *_), unread = write_report(settings, AS_OF.date(), instance.folder / "report")
    assert not unread
    assert "Not all is known of the incidents of snow: changes of state" in page.read_text()
    assert "of snow: changes of state" in (instance.folder / "report" / "mttr.md").read_text()


def test_a_side_table_that_fails_otherwise_leaves_the_rest_open(instance):
    instance.fake.tables["incident"] = [record()]
    instance.fake.refused = {"task_sla": 500}
    staged = instance.stage(access={"bearer": "s3cr3t", "attempts": 1})
    assert (staged.incidents.height, staged.rejects["reason"].to_list()) == (0, [NOT_FETCHED])
    assert "User Not Authorized" in staged.unfetched[0]


def test_records_that_the_account_may_not_see_hide_no_others(instance):
    all_of_them = [record(n, sys_updated_on=snow(AT + n * MINUTE)) for n in range(2600)]
    instance.fake.tables["incident"] = all_of_them
    instance.fake.hidden = {each["sys_id"] for n, each in enumerate(all_of_them) if n % 3 == 0 or 600 < n < 1800}
    staged = instance.stage()
    assert staged.incidents.height == 2600 - len(instance.fake.hidden)


def test_of_records_changed_at_one_moment_none_is_lost_where_many_are_hidden(instance):
    all_of_them = [record(n) for n in range(1700)]
    instance.fake.tables["incident"] = all_of_them
    instance.fake.hidden = {each["sys_id"] for each in all_of_them[400:1300]}
    staged = instance.stage()
    assert staged.incidents.height == 800


# ---------------------------------------------------------------------------------------------------------------- pages


def test_side_tables_are_asked_for_many_records_at_once(instance):
    instance.fake.tables["incident"] = [record(n, sys_updated_on=snow(AT + n * MINUTE)) for n in range(1000)]
    instance.stage()
    assert len(instance.asked("incident")) == 3  # each begins with the last record of the one before
    assert len(instance.asked("task_sla")) == len(instance.asked("metric_instance")) == 5 + 5 + 1
    assert max(len(asked.path) for asked in instance.server.asked) < 8192


def test_side_tables_are_read_page_by_page(instance, monkeypatch):
    monkeypatch.setattr("pipelines.sources.incident_servers.servicenow.MANY", 4)
    instance.fake.tables |= {
        "incident": [record()],
        "metric_instance": [metric(AT + n * MINUTE, WORK if n % 2 else HOLD) for n in range(11)],
    }
    assert instance.stage().events.height == 11


def test_what_changes_while_pages_are_read_is_not_passed_over(instance):
    instance.fake.tables["incident"] = [record(n, sys_updated_on=snow(AT + n * MINUTE)) for n in range(1300)]

    def meddle(asked: Asked) -> None:
        """After the first page, a hundred of its records change: all behind them move up."""
        if "/table/incident?" in asked.path and len(instance.asked("incident")) == 1:
            for n in range(100):
                instance.fake.tables["incident"][n] = record(n, sys_updated_on=snow(NOW - MINUTE))

    instance.meddle = meddle
    staged = instance.stage()
    assert (staged.incidents.height, staged.counts.superseded) == (1300, 100)
    assert dict(staged.counts.rejected) == {}


def test_what_changes_after_the_run_began_is_the_next_nights(instance):
    late = record(2, resolved_at=snow(NOW + HOUR), sys_updated_on=snow(NOW + HOUR))
    instance.fake.tables["incident"] = [record(1), late]
    first = instance.stage()
    assert (first.incidents["incident_id"].to_list(), dict(first.counts.rejected)) == (["INC0000001"], {})
    second = instance.stage(as_of=AS_OF + DAY, fetched=first.fetched)
    assert second.incidents["incident_id"].to_list() == ["INC0000002"]


def test_a_query_chooses_among_them(instance):
    instance.fake.tables["incident"] = [record(1, category="database"), record(2, category="network")]
    staged = instance.stage(query="category=network^")
    assert staged.incidents["incident_id"].to_list() == ["INC0000002"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"query": "active=true^NQpriority=1"}, "^NQ"),
        ({"query": "ORDERBYDESCnumber"}, "ORDERBY"),
        ({"table": "incident?x=1"}, "no table"),
        ({"url": "acme.service-now.com"}, "no address"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, said):
    given = {"name": "snow", "type": "servicenow", "url": "https://acme.service-now.com"}
    with pytest.raises(ValidationError, match=said.replace("^", r"\^")):
        ServiceNow.model_validate(given | options)


def test_records_without_what_they_are_told_apart_by_are_no_answer(instance, monkeypatch):
    instance.fake.tables["incident"] = [record()]
    monkeypatch.setattr(FakeServiceNow, "answer", lambda self, asked: Answer(b'{"result": [{"number": "INC1"}]}'))
    staged = instance.stage()
    assert staged.incidents.is_empty()
    assert "answers no records of incident with sys_id" in staged.unfetched[0]


def test_a_survey_says_which_tables_can_be_read(instance):
    instance.fake.tables |= {"incident": [record(1), record(2)], "task_sla": [sla()]}
    instance.fake.refused = {"metric_instance": 403}
    source = ServiceNow.model_validate({"name": "snow", "type": "servicenow", "url": instance.server.url})
    (found,) = sources.survey(source, parse("", instance.folder))
    assert found.level == "ok"
    assert found.text.endswith("incident: 2 records; task_sla can be read, metric_instance cannot be read")


def test_a_query_that_says_where_it_ends_does_not_end_before_our_times():
    query = "active=true^priority<=2^EQ"
    given = {"name": "snow", "type": "servicenow", "url": "https://acme.service-now.com", "query": query}
    assert ServiceNow.model_validate(given).query == "active=true^priority<=2"
