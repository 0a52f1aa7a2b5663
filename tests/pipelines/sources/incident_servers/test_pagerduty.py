"""PagerDuty: its log in stretches of time, and what its entries mean; the conformance suite has what all servers do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
from fake_pagerduty import FakePagerDuty
from loopback import Answer, Asked, Loopback, loopback
from staged_incidents import AS_OF, AT, DAY, HOUR, MINUTE, NOW, Staged, stage_night

from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import PagerDuty

SECOND = timedelta(seconds=1)


@dataclass
class Account:
    """A fake account, and how a night reads it."""

    fake: FakePagerDuty
    server: Loopback
    con: duckdb.DuckDBPyConnection
    folder: Any
    answer: Callable[[Asked], Answer]

    def source(self, **options: Any) -> PagerDuty:
        given = {"name": "duty", "type": "pagerduty", "url": self.server.url, "access": {"bearer": "s3cr3t"}}
        return PagerDuty.model_validate(given | options)

    def stage(self, as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options: Any) -> Staged:
        return stage_night(self.con, self.source(**options), self.folder, as_of=as_of, fetched=fetched)

    def took(self, as_of: datetime = AS_OF, **options: Any) -> dict[str, Any]:
        return self.stage(**options).took(as_of)

    def have(self, key: str, *log: tuple[str, datetime] | tuple[str, datetime, dict], **more: Any) -> None:
        """An incident with its log: kinds of entries, when, and what else they hold."""
        entries = [
            {"id": f"{key}-{n}", "type": f"{kind}_log_entry", "created_at": z(at), "incident": key,
             "channel": {"type": "api"}, **(also[0] if also else {})}
            for n, (kind, at, *also) in enumerate(log)
        ]  # fmt: skip
        resolved = more.get("status", "resolved") == "resolved"
        last = log[-1][1]
        self.fake.log += entries
        self.fake.incidents[key] = {
            "id": key, "type": "incident", "title": "disk full", "urgency": "high", "status": "resolved",
            "service": {"id": "PSHOP", "summary": "Shop"}, "teams": [{"id": "PTEAM", "summary": "Database"}],
            "priority": {"id": "P1", "summary": "P1"}, "created_at": z(log[0][1]), "updated_at": z(last),
            "resolved_at": z(last) if resolved else None, "last_status_change_at": z(last), "resolve_reason": None,
            "first_trigger_log_entry": {"id": f"{key}-0"}, **more,
        }  # fmt: skip

    def asked(self, path: str) -> list[str]:
        return [asked.path for asked in self.server.asked if asked.path.startswith(path)]


@pytest.fixture
def account(con: duckdb.DuckDBPyConnection, tmp_path) -> Iterator[Account]:
    fake = FakePagerDuty()

    def answer(asked: Asked) -> Answer:
        return made.answer(asked)

    with loopback(answer) as server:
        made = Account(fake, server, con, tmp_path, fake.answer)
        yield made


def z(at: datetime) -> str:
    return f"{at.isoformat()}Z"


# ------------------------------------------------------------------------------------------------------------ incidents


def test_an_incident_comes_with_all_that_it_has(account):
    event = {"cef_details": {"source_origin": "db-1", "severity": "critical", "event_class": "disk"}}
    account.have(
        "P1",
        ("trigger", AT, {"channel": {"type": "api", **event}}),
        ("assign", AT, {"assignees": [{"summary": "Jo"}]}),
        ("notify", AT + SECOND),
        ("escalate", AT + 5 * MINUTE, {"assignees": [{"summary": "Kim"}, {"summary": "Lee"}]}),
        ("acknowledge", AT + 10 * MINUTE),
        ("resolve", AT + HOUR),
        incident_type={"name": "incident_default"},
        incidents_responders=[
            {"state": "joined", "user": {"summary": "Max"}},
            {"state": "pending", "user": {"summary": "Ole"}},
        ],
    )
    staged = account.stage(fields={"communications": "trigger.channel.cef_details.severity"})
    assert dict(staged.counts.rejected) == {}
    assert {name: value for name, value in staged.row.items() if value is not None} == {
        "source": "duty",
        "incident_id": "P1",
        "title": "disk full",
        "service": "Shop",
        "entity": "db-1",
        "team": "Database",
        "category": "incident_default",
        "severity": "high",
        "priority": "P1",
        "state": "resolved",
        "created_at": AT,
        "created_basis": "field",
        "acknowledged_at": AT + 10 * MINUTE,
        "acknowledged_basis": "changelog",
        "resolved_at": AT + HOUR,
        "resolved_basis": "field",
        "updated_at": AT + HOUR,
        "reopen_count": 0,
        "reassignment_count": 1,
        "is_predicted": False,
        "experts": "Max",
        "communications": "critical",
    }
    assert staged.events.sort("changed_at", "event_no").select("changed_at", "state", "assignee").rows() == [
        (AT, None, "Jo"),
        (AT, "triggered", None),
        (AT + 5 * MINUTE, None, "Kim, Lee"),
        (AT + 10 * MINUTE, "acknowledged", None),
        (AT + HOUR, "resolved", None),
    ]


def test_an_assignment_alone_is_no_acknowledgement(account):
    account.have("P1", ("trigger", AT), ("assign", AT, {"assignees": [{"summary": "Jo"}]}), ("resolve", AT + HOUR))
    assert account.took()["acknowledge_excluded"] == "its source records no acknowledgement"


def test_events_that_an_open_incident_takes_in_are_no_reopenings(account):
    account.have(
        "P1", ("trigger", AT), ("acknowledge", AT + MINUTE), ("trigger", AT + HOUR), ("resolve", AT + 2 * HOUR)
    )
    took = account.took()
    assert (took["reopen_count"], took["time_to_resolve_s"]) == (0, 7200.0)
    assert account.took(as_of=AT + 90 * MINUTE)["is_open"] is True


@pytest.mark.parametrize("kind", ["reopen", "incident_reopened", "trigger"])
def test_what_follows_a_resolution_is_a_reopening(account, kind):
    account.have("P1", ("trigger", AT), ("resolve", AT + HOUR), (kind, AT + 2 * HOUR), ("resolve", AT + 3 * HOUR))
    took = account.took()
    assert (took["reopen_count"], took["time_to_resolve_s"]) == (1, 3 * 3600.0)


def test_an_incident_that_is_open_after_its_resolution_was_reopened_whatever_its_log_calls_that(account):
    log = (("trigger", AT), ("resolve", AT + HOUR), ("revived", AT + 2 * HOUR))
    account.have("P1", *log, status="triggered")
    took = account.took()
    assert (took["is_open"], took["reopen_count"]) == (True, 1)
    assert account.took(as_of=AT + 90 * MINUTE)["time_to_resolve_s"] == 3600.0


def test_what_was_merged_was_no_incident_of_its_own(account):
    reason = {"type": "merge_resolve_reason", "incident": {"id": "P9"}}
    account.have("P1", ("trigger", AT), ("acknowledge", AT + MINUTE), ("resolve", AT + HOUR), resolve_reason=reason)
    assert account.took()["resolve_excluded"] == "cancelled, a duplicate or no incident"
    assert account.took(as_of=AT + 30 * MINUTE)["is_open"] is True


def test_what_is_snoozed_is_on_hold_until_it_is_taken_up_or_given_back(account):
    account.have(
        "P1", ("trigger", AT), ("acknowledge", AT + MINUTE), ("snooze", AT + 10 * MINUTE),
        ("unacknowledge", AT + 40 * MINUTE), ("acknowledge", AT + 50 * MINUTE), ("resolve", AT + HOUR),
    )  # fmt: skip
    took = account.took()
    assert (took["time_to_acknowledge_s"], took["on_hold_s"]) == (60.0, 1800.0)


# ------------------------------------------------------------------------------------------------------------ stretches


def test_a_busy_hour_is_read_in_stretches_that_can_be_read_whole(account):
    for n in range(1500):
        account.have(f"P{n}", ("trigger", at := AT + n * SECOND), ("acknowledge", at), ("notify", at), ("resolve", at))
    staged = account.stage()
    assert (staged.incidents.height, staged.events.height, dict(staged.counts.rejected)) == (1500, 4500, {})
    assert account.asked("/incidents/") == []
    assert len(account.asked("/log_entries")) < 150  # 60 pages, and what it takes to find how long stretches may be


def test_quiet_years_take_few_questions(account):
    account.have("P1", ("trigger", AT), ("resolve", AT + HOUR))
    account.stage(history_days=3650)
    assert len(account.asked("/log_entries")) < 60


@pytest.mark.parametrize("inclusive", [True, False])
def test_what_lies_where_stretches_meet_comes_whichever_of_them_it_belongs_to(account, inclusive):
    first = datetime(2025, 1, 25)  # with 400 days of history
    for n in range(40):
        account.have(f"P{n}", ("trigger", first + n * DAY), ("resolve", first + n * DAY + HOUR))
    account.fake.ends_belong = inclusive
    staged = account.stage()
    assert (staged.incidents.height, staged.events.height, dict(staged.counts.rejected)) == (40, 80, {})


def test_more_than_can_be_read_of_a_second_is_not_fetched(account):
    account.have("P0", ("trigger", AT - DAY), ("resolve", AT - DAY + HOUR))
    account.have("P1", *[("trigger", AT)] * 10_001)
    staged = account.stage()
    assert staged.incidents["incident_id"].to_list() == ["P0"]
    assert "more than 10000 changes within a second" in staged.unfetched[0]


def test_an_incident_is_asked_for_its_own_log_where_the_nights_lacks_its_beginning(account):
    account.have("P1", ("trigger", AS_OF - 500 * DAY), ("acknowledge", AS_OF - 499 * DAY), ("resolve", AT))
    account.have("P2", ("trigger", AT), ("acknowledge", AT + MINUTE), ("resolve", AT + HOUR))
    staged = account.stage()
    assert dict(staged.incidents.select("incident_id", "acknowledged_at").rows()) == {
        "P1": AS_OF - 499 * DAY,
        "P2": AT + MINUTE,
    }
    assert staged.events.height == 6
    assert len(account.asked("/incidents/")) == 1


def test_a_log_that_goes_on_over_stretches_is_read_once(account):
    beginning = AS_OF - 399 * DAY
    account.have("P1", ("trigger", beginning), ("acknowledge", beginning + HOUR), *(
        ("annotate", beginning + n * 20 * DAY) for n in range(1, 15)), ("resolve", AT))  # fmt: skip
    account.have("P2", ("trigger", AS_OF - 500 * DAY), *(
        ("annotate", beginning + n * 20 * DAY) for n in range(15)), ("resolve", AT))  # fmt: skip
    staged = account.stage()
    assert [path.partition("?")[0] for path in account.asked("/incidents/")] == ["/incidents/P2/log_entries"]
    assert staged.incidents.sort("incident_id")["acknowledged_at"].to_list() == [beginning + HOUR, None]
    assert staged.counts.superseded > 0  # what was told of P1 before its resolution


def test_a_second_night_knows_the_acknowledgement_of_the_first(account):
    account.have("P1", ("trigger", AT), ("acknowledge", AT + MINUTE), status="acknowledged")
    first = account.stage()
    account.fake.log.clear()
    account.have("P1", ("trigger", AT), ("acknowledge", AT + MINUTE), ("resolve", AS_OF + 9 * HOUR))
    second = account.stage(as_of=AS_OF + DAY, fetched=first.fetched)
    assert second.incidents.select("acknowledged_at", "resolved_at").rows() == [(AT + MINUTE, AS_OF + 9 * HOUR)]


def test_what_ends_while_it_is_read_is_the_next_nights(account):
    account.have("P1", ("trigger", AT), ("acknowledge", AT + MINUTE), ("resolve", NOW + SECOND))
    late = (("trigger", AS_OF - 500 * DAY), ("annotate", AT), ("acknowledge", NOW + SECOND))
    account.have("P2", *late, status="acknowledged")
    staged = account.stage()
    assert (staged.incidents["incident_id"].to_list(), dict(staged.counts.rejected)) == (["P2"], {})
    assert staged.events["state"].to_list() == ["triggered"]
    later = account.stage(as_of=AS_OF + DAY, fetched=staged.fetched)
    assert later.incidents.sort("incident_id")["acknowledged_at"].to_list() == [AT + MINUTE, NOW + SECOND]


def test_an_own_log_that_is_not_told_leaves_what_the_accounts_log_says(account):
    account.have("P1", ("trigger", AS_OF - 500 * DAY), ("acknowledge", AT), ("resolve", AT + HOUR))
    account.fake.secret = {"P1"}
    staged = account.stage()
    assert (staged.incidents["acknowledged_at"].to_list(), staged.events.height, staged.unfetched) == ([AT], 2, [])


# ---------------------------------------------------------------------------------------------------- choice and access


def test_teams_are_chosen_by_the_server_and_services_by_their_names(account):
    account.have("P1", ("trigger", AT))
    account.have("P2", ("trigger", AT), service={"id": "PMAIL", "summary": "Mail relay"})
    account.have("P3", ("trigger", AT), teams=[{"id": "POTHER", "summary": "Other"}])
    account.fake.services = [{"id": "PSHOP", "name": "Shop"}, {"id": "PMAIL", "name": "Mail relay"}]
    assert sorted(account.stage(teams=["PTEAM"]).incidents["incident_id"]) == ["P1", "P2"]
    assert account.stage(services=["Mail*"]).incidents["incident_id"].to_list() == ["P2"]
    settings = parse("", account.folder)
    told = [next(iter(sources.survey(account.source(**options), settings))).text.partition(": ")[2] for options in (
        {}, {"teams": ["PTEAM"]}, {"services": ["S*"]}, {"services": ["Nothing"]},
    )]  # fmt: skip
    assert told == ["3 incidents", "2 incidents", "2 incidents of 1 services", "0 incidents of 0 services"]


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("y_NbAkKc66ryYTWUXYEu", "Token token=y_NbAkKc66ryYTWUXYEu"),
        ("u+abcdefghijklmnopqr", "Token token=u+abcdefghijklmnopqr"),
        ("pdus+_0XBPWQQ_dfd8b6c7", "Bearer pdus+_0XBPWQQ_dfd8b6c7"),
    ],
)
def test_keys_and_tokens_are_sent_each_in_its_way_and_shown_in_none(account, token, sent):
    account.answer = lambda asked: Answer(
        f'{{"error": {{"message": "no such key: {token}"}}}}'.encode(),
        status=401 if asked.headers["Authorization"] == sent else 500,
    )
    staged = account.stage(access={"bearer": token})
    assert "answers 401 Unauthorized: no such key: ***" in staged.unfetched[0]
    assert token not in staged.unfetched[0]
