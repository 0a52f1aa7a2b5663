"""What is particular about Jira; what it shares with other servers is ``test_incident_conformance``."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import contracts
import duckdb
import pytest
from fake_jira import EMAIL, TOKEN, FakeIssue, FakeJira, Move, adf, sla, written
from loopback import Answer, Asked, Loopback, loopback
from staged_incidents import AT, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import SettingsError, parse
from pipelines.source_options import Jira

RESPONSE, RESOLUTION, SEVERITY = "customfield_10030", "customfield_10031", "customfield_10010"


@dataclass
class Site:
    jira: FakeJira
    server: Loopback
    folder: Path
    con: duckdb.DuckDBPyConnection

    def source(self, **options: Any) -> Jira:
        access = {"username": EMAIL, "password": TOKEN, "attempts": 1}
        told = {"name": "desk", "type": "jira", "url": self.server.url, "edition": "cloud", "access": access}
        return Jira.model_validate(told | {"edition": "cloud" if self.jira.cloud else "data-center"} | options)

    def stage(self, *issues: FakeIssue, **options: Any) -> Staged:
        if issues:
            self.jira.issues = list(issues)
        return stage_night(self.con, self.source(**options), self.folder)

    def survey(self, **options: Any) -> list[str]:
        return [
            f"{finding.level}: {finding.text}"
            for finding in sources.survey(self.source(**options), parse("", self.folder))
        ]

    def jql(self) -> list[str]:
        return [json.loads(each.body)["jql"] for each in self.server.asked if b'"jql"' in each.body]


@pytest.fixture
def site(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> Iterator[Site]:
    jira = FakeJira()
    with loopback(jira) as server:
        yield Site(jira, server, tmp_path, con)


# -------------------------------------------------------------------------------------------------------------- stamps


@pytest.mark.parametrize("cloud", [True, False])
def test_a_life_is_told_by_its_history_in_utc(site, cloud):
    site.jira.cloud = cloud
    staged = site.stage(
        FakeIssue(
            "OPS-1",
            AT,
            [
                Move(AT + 5 * MINUTE, "Work in progress", person="5b10a"),
                Move(AT + 20 * MINUTE, "Pending"),
                Move(AT + 50 * MINUTE, "Work in progress", person="5b10c"),
                Move(AT + 2 * HOUR, "Completed", "Done"),
                Move(AT + DAY, "Closed"),
            ],
        )
    )
    assert staged.states == [
        (AT, "Open"),
        (AT + 5 * MINUTE, "Work in progress"),
        (AT + 20 * MINUTE, "Pending"),
        (AT + 50 * MINUTE, "Work in progress"),
        (AT + 2 * HOUR, "Completed"),
        (AT + DAY, "Closed"),
    ]
    row = staged.row
    assert (row["created_at"], row["acknowledged_at"], row["acknowledged_basis"]) == (AT, AT + 5 * MINUTE, "changelog")
    assert (row["resolved_at"], row["resolved_basis"]) == (AT + 2 * HOUR, "field")
    assert (row["closed_at"], row["closed_basis"]) == (AT + DAY, "changelog")
    assert row["reassignment_count"] == 1
    took = staged.took()
    assert (took["time_to_resolve_s"], took["on_hold_s"]) == (7200, 1800)
    assert staged.events.sort("changed_at")["assignee"].drop_nulls().to_list() == ["5b10a", "5b10c"]
    assert "Person" not in str(staged.incidents.rows()) + str(staged.events.rows())


def test_the_sla_of_the_first_response_comes_before_the_history(site):
    more = {RESPONSE: sla((AT + 3 * MINUTE, False), (AT + DAY, False)), RESOLUTION: sla((AT + HOUR, False))}
    staged = site.stage(FakeIssue("OPS-1", AT, [Move(AT + 5 * MINUTE, "Work in progress")], more=more))
    assert (staged.row["acknowledged_at"], staged.row["acknowledged_basis"]) == (AT + 3 * MINUTE, "sla")
    assert staged.row["sla_met"] is True


@pytest.mark.parametrize(
    ("cycles", "met"),
    [
        (sla((AT + HOUR, True)), False),
        (sla((AT + HOUR, True), (AT + 2 * HOUR, False)), False),
        (sla(ongoing=True), False),
        (sla(ongoing=False), None),
        (sla((AT + HOUR, False), ongoing=False), None),
        ({}, None),
        ("2h 30m", None),
        ({"completedCycles": [None, {"breached": "yes", "stopTime": []}]}, True),
    ],
)
def test_what_was_late_once_was_late(site, cycles, met):
    assert site.stage(FakeIssue("OPS-1", AT, more={RESOLUTION: cycles})).row["sla_met"] is met


def test_slas_may_have_names_of_their_own(site):
    more = {RESOLUTION: sla((AT + 3 * MINUTE, False))}
    row = site.stage(FakeIssue("OPS-1", AT, more=more), response_sla="time to RESOLUTION").row
    assert (row["acknowledged_at"], row["acknowledged_basis"]) == (AT + 3 * MINUTE, "sla")


@pytest.mark.parametrize("resolution", ["Duplicate", "won't do", "Cannot Reproduce"])
def test_a_resolution_may_say_that_there_was_no_incident(site, resolution):
    staged = site.stage(FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Closed", resolution)]))
    row = staged.row
    assert (row["resolved_at"], row["closed_at"], row["cancelled_at"]) == (None, None, AT + HOUR)
    assert staged.states[-1] == (AT + HOUR, "cancelled")
    assert staged.took()["resolve_excluded"] == "cancelled, a duplicate or no incident"
    assert staged.seen(AT + 30 * MINUTE)["state"] == "Open"


def test_a_resolution_that_is_corrected_later_cancels_then(site):
    staged = site.stage(
        FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Completed", "Done"), Move(AT + DAY, None, "Duplicate")])
    )
    assert staged.states[1:] == [(AT + HOUR, "Completed"), (AT + DAY, "cancelled")]
    assert staged.seen(AT + 2 * HOUR)["resolved_at"] == AT + HOUR
    assert staged.took()["resolve_excluded"] == "cancelled, a duplicate or no incident"


def test_a_status_may_say_so_as_well(site):
    row = site.stage(FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Canceled")])).row
    assert (row["cancelled_at"], row["cancelled_basis"], row["resolved_at"]) == (AT + HOUR, "changelog", None)


def test_done_without_a_resolution_is_resolved_by_its_history(site):
    staged = site.stage(FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Erledigt")]))
    assert staged.row["resolved_at"] is None
    assert (staged.seen()["resolved_at"], staged.seen()["resolved_basis"]) == (AT + HOUR, "changelog")


def test_a_resolution_that_outlives_a_reopening_is_not_believed(site):
    staged = site.stage(FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Completed", "Done"), Move(AT + DAY, "Open")]))
    assert staged.row["resolved_at"] is None
    assert (staged.took()["is_open"], staged.took()["reopen_count"]) == (True, 1)


def test_categories_tell_what_words_do_not(site):
    moves = [
        Move(AT + MINUTE, "In Triage"),  # no known word
        Move(AT + 2 * MINUTE, "Done"),  # a known word, of which the site says that it is not done
        Move(AT + 3 * MINUTE, "Erledigt"),
    ]
    staged = site.stage(FakeIssue("OPS-1", AT, moves, first="Waiting for support"))
    assert [state for _, state in staged.states] == ["open", "in progress", "in progress", "done"]
    assert staged.row["acknowledged_at"] == AT + MINUTE


# --------------------------------------------------------------------------------------------------------------- parts


def test_parts_come_from_fields_labels_and_names(site):
    more = {
        "labels": ["team:web", "eu"],
        "components": [{"name": "checkout"}, {"name": "cart"}],
        SEVERITY: {"value": "Sev 1"},
        "customfield_10020": [{"name": "Web shop"}],
        "customfield_10040": written(AT - HOUR),
        "summary": None,
    }
    fields = {"entity": "fields.Affected services.0.name", "started_at": "fields.customfield_10040"}
    row = site.stage(FakeIssue("OPS-1", AT, more=more), fields=fields).row
    assert (row["service"], row["team"], row["severity"], row["priority"]) == ("checkout", "web", "Sev 1", "High")
    assert (row["entity"], row["started_at"], row["title"]) == ("Web shop", AT - HOUR, None)


def test_without_components_the_service_is_the_project(site):
    assert site.stage(FakeIssue("OPS-1", AT)).row["service"] == "OPS"


@pytest.mark.parametrize(
    "description",
    [
        adf("a", "forewarn-ticket: 0123456789-20260220"),
        "x\n\nforewarn-ticket: 0123456789-20260220",
        adf("a"),
        None,
        [7],
    ],
)
def test_the_marker_is_found_in_a_tree_of_nodes(site, description):
    row = site.stage(FakeIssue("OPS-1", AT, more={"description": description})).row
    assert row["is_predicted"] is ("forewarn-ticket" in json.dumps(description))


def test_a_deep_description_is_no_danger(site):
    node: dict[str, Any] = {"type": "text", "text": "forewarn-ticket: 0123456789-20260220"}
    for _ in range(300):
        node = {"type": "bulletList", "content": [node]}
    assert site.stage(FakeIssue("OPS-1", AT, more={"description": node})).row["is_predicted"] is True


@pytest.mark.parametrize("odd", [None, [], {}, "x", 7, {"name": []}, [None], {"completedCycles": 3}])
def test_fields_that_are_not_as_documented_are_nothing(site, odd):
    names = ("summary", "resolution", "status", "priority", "labels", "components", "project", "assignee")
    more: dict[str, Any] = dict.fromkeys((*names, RESPONSE, RESOLUTION, SEVERITY), odd)
    staged = site.stage(FakeIssue("OPS-1", AT, [Move(AT + HOUR, "Completed", "Done")], more=more))
    assert (staged.unfetched, staged.incidents.height, staged.row["created_at"]) == ([], 1, AT)


def test_odd_changes_are_passed_over(site, monkeypatch):
    odd = [
        {"created": "soon", "items": []},
        {"items": None},
        {"created": 1e400},
        {"created": written(AT), "items": [7]},
    ]

    monkeypatch.setattr(
        FakeJira, "_histories", lambda self, told: _answer([{"issueId": "10001", "changeHistories": odd}])
    )
    assert site.stage(FakeIssue("OPS-1", AT)).states == [(AT, "Open")]


def _answer(logs: list[Any]) -> Answer:
    return Answer(json.dumps({"issueChangeLogs": logs}).encode())


# ------------------------------------------------------------------------------------------------------------ questions


def test_issues_are_chosen_by_type_ids_project_and_milliseconds(site):
    tasks = FakeIssue("OPS-9", AT, kind="10000")
    staged = site.stage(FakeIssue("OPS-1", AT), FakeIssue("OPS-2", AT, kind="10003"), tasks, FakeIssue("WEB-3", AT),
                        FakeIssue("LAB-4", AT), projects=["OPS", "WEB"])  # fmt: skip
    assert staged.incidents["incident_id"].to_list() == ["OPS-1", "OPS-2", "WEB-3"]
    first = site.jql()[0]
    since = int((datetime(2025, 1, 25) - datetime(1970, 1, 1)).total_seconds() * 1000)
    assert first == (
        f'project = "OPS" AND issuetype in (10001, 10002, 10003) AND updated >= {since} ORDER BY updated ASC, key ASC'
    )


def test_own_jql_stands_for_both(site):
    site.stage(FakeIssue("OPS-1", AT, kind="10000"), jql='project = OPS AND labels in (outage, "order by")')
    assert site.jql()[0].startswith('(project = OPS AND labels in (outage, "order by")) AND updated >= ')
    assert not any(each.path.endswith("/issuetype") for each in site.server.asked)


def test_quotes_in_a_project_stay_in_it(site):
    staged = site.stage(FakeIssue("OPS-1", AT), projects=['X" OR project != "X'])
    assert 'project = "X\\" OR project != \\"X" AND' in site.jql()[0]
    assert "answers 400 Bad Request: Error in the JQL Query" in staged.unfetched[0]


def test_a_short_page_is_not_the_last_one(site):
    site.jira.full = 7
    given = [FakeIssue(f"OPS-{n}", AT + n * MINUTE) for n in range(1, 31)]
    assert site.stage(*given).incidents.height == 30


@pytest.mark.parametrize("cloud", [True, False])
def test_a_page_of_issues_that_cannot_be_read_is_not_the_last_one(site, cloud):
    site.jira.cloud, site.jira.full = cloud, 2
    site.jira.issues = [FakeIssue(f"OPS-{n}", AT + n * MINUTE) for n in range(1, 8)]

    def undated(asked: Asked) -> Answer:
        answer = site.jira(asked)
        if "/search" not in asked.path or answer.status != 200:
            return answer
        told = json.loads(answer.body)
        for issue in told["issues"]:
            if issue["key"] in {"OPS-1", "OPS-2", "OPS-3", "OPS-4"}:
                del issue["fields"]["updated"]
        return Answer(json.dumps(told).encode())

    with loopback(undated) as server:
        site.server = server
        assert site.stage().incidents["incident_id"].sort().to_list() == ["OPS-5", "OPS-6", "OPS-7"]


def test_what_changed_within_a_second_comes_whole(site):
    site.jira.full = 3
    staged = site.stage(*(FakeIssue(f"OPS-{n}", AT, updated=AT + HOUR) for n in range(1, 12)))
    assert staged.incidents.height == 11


@pytest.mark.parametrize("cloud", [True, False])
def test_what_changes_while_pages_are_read_is_not_passed_over(site, cloud):
    site.jira.cloud, site.jira.full = cloud, 5
    given = [FakeIssue(f"OPS-{n}", AT + n * MINUTE) for n in range(1, 21)]

    def touching(asked: Asked) -> Answer:
        answer = site.jira(asked)
        if "/search" in asked.path:  # the oldest of all moves to the end, and all others up by one
            given.sort(key=lambda issue: issue.changed)
            given[0].updated = given[-1].changed + MINUTE if given[0].updated is None else given[0].updated
        return answer

    site.jira.issues = given
    with loopback(touching) as server:
        site.server = server
        assert site.stage().incidents["incident_id"].n_unique() == 20


def test_histories_come_in_pages_of_whichever_issues(site):
    site.jira.changes = 3
    moves = [Move(AT + HOUR, "Work in progress"), Move(AT + 2 * HOUR, "Completed", "Done")]
    staged = site.stage(*(FakeIssue(f"OPS-{n}", AT, moves) for n in range(1, 6)))
    assert staged.events.height == 15
    assert sum(each.path.endswith("/bulkfetch") for each in site.server.asked) < 10


@pytest.mark.parametrize("path", ["/search/jql", "/changelog/bulkfetch"])
@pytest.mark.parametrize("tokens", [["again"], ["one", "other"]])
def test_pages_that_lead_to_themselves_or_to_each_other_are_a_fault(site, path, tokens):
    records = [FakeIssue(f"OPS-{n}", AT).record() for n in range(1, len(tokens) + 1)]
    pages = cycle([{"issues": [record], "nextPageToken": token} for record, token in zip(records, tokens, strict=True)])

    def repeating(asked: Asked) -> Answer:
        if not asked.path.endswith(path):
            return site.jira(asked)
        return Answer(json.dumps({"issueChangeLogs": []} | next(pages)).encode())

    site.jira.issues = [FakeIssue("OPS-1", AT)]
    with loopback(repeating) as server:
        site.server = server
        assert "answers no page after the one before it" in site.stage().unfetched[0]


def test_whom_it_does_not_know_any_more_it_answers_nothing_and_that_is_a_fault(site):
    site.jira.knows_us = False
    staged = site.stage(FakeIssue("OPS-1", AT))
    assert staged.incidents.is_empty()
    assert "answers 401" in staged.unfetched[0]
    assert TOKEN not in staged.unfetched[0]
    assert "Client must be authenticated" in staged.unfetched[0]


def test_strangers_are_not_asked_who_they_are(site):
    assert site.stage(FakeIssue("OPS-1", AT), access={}).incidents.height == 1
    assert not any(each.path.endswith("/myself") for each in site.server.asked)


def test_a_site_without_the_type_says_which_it_has(site):
    staged = site.stage(FakeIssue("OPS-1", AT), issue_types=["Outage"])
    assert "has no issue type Outage (there are: Task, [System] Incident, Incident); correct" in staged.unfetched[0]


def test_every_question_is_as_the_vendor_describes_it(site):
    if lacks := contracts.missing("jira-cloud-v3"):
        pytest.skip(lacks)
    site.jira.full = site.jira.changes = 2
    site.stage(*(FakeIssue(f"OPS-{n}", AT, [Move(AT + HOUR, "Closed", "Done")]) for n in range(1, 6)))
    site.survey()
    assert {fault for asked in site.server.asked for fault in contracts.faults("jira-cloud-v3", asked)} == set()


# -------------------------------------------------------------------------------------------------------------- survey


@pytest.mark.parametrize("cloud", [True, False])
def test_a_survey_counts_project_by_project(site, cloud):
    site.jira.cloud = cloud
    site.jira.issues = [FakeIssue("OPS-1", AT), FakeIssue("OPS-2", AT), FakeIssue("WEB-1", AT, kind="10002")]
    (line,) = site.survey(projects=["OPS", "WEB"])
    assert line == f"ok: {site.server.url}: issues of type [System] Incident, Incident: 2 in OPS, 1 in WEB"
    assert site.survey() == [f"ok: {site.server.url}: issues of type [System] Incident, Incident: 3"]


def test_a_survey_names_a_field_that_is_not_there(site):
    (line,) = site.survey(fields={"severity": "fields.Gravity.value"})
    assert line == f"fault: {site.server.url}: has no field 'Gravity'; correct fields.severity"


# ------------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("jql: project = A ORDER BY key", "sources.incidents[0].jql: must not say ORDER BY"),
        ("jql: project = A\n      projects: [A]", "jql stands instead of projects and issue_types; keep one"),
        ("issue_types: []", "chooses every issue of the site; name projects, issue_types or jql"),
        ('projects: [""]', "sources.incidents[0].projects[0]: must be one line"),
    ],
)
def test_settings_say_what_is_wrong(tmp_path, options, said):
    text = "sources:\n  incidents:\n    - name: desk\n      type: jira\n      url: https://a.atlassian.net\n"
    with pytest.raises(SettingsError, match=r".") as error:
        parse(f"{text}      {options}\n", tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "cloud"),
    [
        ("https://acme.atlassian.net", True),
        ("https://api.atlassian.com/ex/jira/11223344", True),
        ("https://jira.example.com/jira", False),
        ("https://atlassian.net.example.com", False),
    ],
)
def test_the_edition_goes_by_the_address(url, cloud):
    known: Callable[..., Jira] = Jira.model_validate
    assert known({"name": "a", "type": "jira", "url": url}).is_cloud is cloud
    assert known({"name": "a", "type": "jira", "url": url, "edition": "cloud"}).is_cloud
