"""What is particular about GitLab; what it shares with other servers is ``test_incident_conformance``."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_gitlab import TOKEN, FakeGitLab, FakeIssue, Said, fault_of
from loopback import Loopback, loopback
from staged_incidents import AT, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import SettingsError, parse
from pipelines.source_options import GitLab


@dataclass
class Site:
    gitlab: FakeGitLab
    server: Loopback
    folder: Path
    con: duckdb.DuckDBPyConnection

    def source(self, **options: Any) -> GitLab:
        told = {"name": "desk", "type": "gitlab", "url": self.server.url, "access": {"bearer": TOKEN, "attempts": 1}}
        places = {} if "groups" in options else {"projects": ["acme/shop"]}
        return GitLab.model_validate(told | places | options)

    def stage(self, *issues: FakeIssue, **options: Any) -> Staged:
        self.gitlab.issues = list(issues)
        return stage_night(self.con, self.source(**options), self.folder)

    def survey(self, **options: Any) -> list[str]:
        found = sources.survey(self.source(**options), parse("", self.folder))
        return [f"{finding.level}: {finding.text}" for finding in found]


@pytest.fixture
def site(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> Iterator[Site]:
    gitlab = FakeGitLab()
    with loopback(gitlab) as server:
        gitlab.url = server.url
        yield Site(gitlab, server, tmp_path, con)


def status(at: datetime, name: str, reason: str = "") -> Said:
    return Said(at, f"changed the incident status to **{name}**{reason}")


# -------------------------------------------------------------------------------------------------------------- stamps


def test_a_life_is_told_by_notes_and_state_events(site):
    site.gitlab.late_ms = 40
    said = [
        Said(AT + MINUTE, "on my way", by="jo"),
        status(AT + 3 * MINUTE, "Acknowledged"),
        Said(AT + 4 * MINUTE, "assigned to @jo and unassigned @kim"),
        status(AT + 2 * HOUR, "Resolved"),
        Said(AT + 3 * HOUR, "assigned to @lee"),
    ]
    staged = site.stage(FakeIssue(7, AT, said, [(AT + DAY, "closed")]))
    assert staged.states == [
        (AT, "open"),
        (AT + 3 * MINUTE, "Acknowledged"),
        (AT + 4 * MINUTE, "assigned"),
        (AT + 2 * HOUR, "Resolved"),
        (AT + 3 * HOUR, None),
        (AT + DAY, "closed"),
    ]
    row = staged.row
    assert (row["incident_id"], row["service"], row["created_at"]) == ("acme/shop#7", "shop", AT)
    assert (row["acknowledged_at"], row["acknowledged_basis"]) == (AT + 3 * MINUTE, "changelog")
    assert (row["resolved_at"], row["resolved_basis"]) == (AT + 2 * HOUR, "changelog")
    assert (row["closed_at"], row["closed_basis"]) == (AT + DAY, "field")
    assert staged.took()["time_to_resolve_s"] == 7200
    assert staged.events.sort("changed_at")["assignee"].drop_nulls().to_list() == ["jo", "lee"]


def test_what_is_closed_at_once_was_resolved_then(site):
    site.gitlab.late_ms = 40
    said = [status(AT + HOUR, "Resolved", " by closing the incident")]
    staged = site.stage(FakeIssue(7, AT, said, [(AT + HOUR, "closed")]))
    assert (staged.row["resolved_at"], staged.row["closed_at"]) == (AT + HOUR, AT + HOUR)
    assert staged.took()["time_to_resolve_s"] == 3600
    alone = site.stage(FakeIssue(7, AT, (), [(AT + HOUR, "closed")]))
    assert (alone.row["resolved_at"], alone.row["resolved_basis"]) == (AT + HOUR, "field")


def test_without_a_status_the_first_sign_of_somebody_else_counts(site):
    said = [
        Said(AT + MINUTE, "it burns", by="alert-bot"),  # who opened it
        Said(AT + 2 * MINUTE, "pipeline failed", by="project_12_bot_af3"),
        Said(AT + 9 * MINUTE, "looking", by="jo"),
        Said(AT + 20 * MINUTE, "assigned to @jo"),
    ]
    assert site.stage(FakeIssue(7, AT, said)).row["acknowledged_at"] == AT + 9 * MINUTE


def test_who_is_assigned_by_a_bot_has_not_taken_it_up(site):
    said = [Said(AT + MINUTE, "assigned to @jo", by="group_12_bot_a1"), Said(AT + HOUR, "looking into it", by="jo")]
    staged = site.stage(FakeIssue(7, AT, said))
    assert staged.row["acknowledged_at"] == AT + HOUR
    assert (AT + MINUTE, "assigned") not in staged.states


def test_a_word_after_the_end_is_no_acknowledgement(site):
    said = [Said(AT + 2 * HOUR, "thanks", by="jo")]
    assert site.stage(FakeIssue(7, AT, said, [(AT + HOUR, "closed")])).row["acknowledged_at"] is None


def test_people_cannot_say_what_only_gitlab_says(site):
    said = [Said(AT + HOUR, "changed the incident status to **Resolved**", by="mallory")]
    staged = site.stage(FakeIssue(7, AT, said))
    assert staged.states == [(AT, "open")]
    assert staged.row["resolved_at"] is None


def test_a_reopened_one_lasts_until_its_last_end(site):
    states = [(AT + HOUR, "closed"), (AT + 5 * HOUR, "reopened"), (AT + DAY, "closed")]
    said = [status(AT + HOUR, "Resolved", " by closing the incident"), status(AT + 5 * HOUR, "Triggered")]
    staged = site.stage(FakeIssue(7, AT, said, states))
    took = staged.took()
    assert (took["time_to_resolve_s"], took["reopen_count"]) == (86400, 1)
    assert staged.took(AT + 2 * HOUR)["time_to_resolve_s"] == 3600
    assert staged.took(AT + 6 * HOUR)["is_open"] is True


def test_a_status_that_is_taken_back_resolves_nothing(site):
    said = [status(AT + HOUR, "Resolved"), status(AT + 2 * HOUR, "Acknowledged")]
    staged = site.stage(FakeIssue(7, AT, said))
    assert staged.row["resolved_at"] is None
    assert (staged.took()["is_open"], staged.took()["reopen_count"]) == (True, 1)


@pytest.mark.parametrize(
    "why",
    [
        {"labels": ["Duplicate"]},
        {"more": {"moved_to_id": 17}},
        {"more": {"_links": {"closed_as_duplicate_of": "https://gitlab.example.com/api/v4/projects/1/issues/75"}}},
    ],
)
def test_what_was_no_incident_here_is_cancelled(site, why):
    said = [status(AT + HOUR, "Resolved", " by closing the incident")]
    staged = site.stage(FakeIssue(7, AT, said, [(AT + HOUR, "closed")], **why))
    row = staged.row
    assert (row["cancelled_at"], row["resolved_at"], row["closed_at"]) == (AT + HOUR, None, None)
    assert staged.took()["resolve_excluded"] == "cancelled, a duplicate or no incident"
    assert staged.took(AT + MINUTE)["is_open"] is True


def test_a_label_cancels_only_what_is_closed(site):
    assert site.stage(FakeIssue(7, AT, labels=["invalid"])).row["cancelled_at"] is None


# --------------------------------------------------------------------------------------------------------------- parts


def test_severity_is_the_incidents_own_or_a_label(site):
    assert site.stage(FakeIssue(7, AT)).row["severity"] is None
    assert site.stage(FakeIssue(7, AT, more={"severity": "CRITICAL"})).row["severity"] == "critical"
    labels = ["severity::2", "team::web", "priority::1", "missed::SLA"]
    row = site.stage(FakeIssue(7, AT, labels=labels, more={"severity": "LOW"})).row
    assert (row["severity"], row["team"], row["priority"], row["sla_met"]) == ("2", "web", "1", False)


@pytest.mark.parametrize("odd", [None, [], {}, "x", 7, {"full": []}, [None]])
def test_fields_that_are_not_as_documented_are_nothing(site, odd):
    names = ("title", "description", "labels", "author", "severity", "references", "moved_to_id", "_links", "type")
    more: dict[str, Any] = dict.fromkeys(names, odd)
    staged = site.stage(FakeIssue(7, AT, [Said(AT + MINUTE, "x", by="jo")], [(AT + HOUR, "closed")], more=more))
    assert (staged.unfetched, staged.incidents.height) == ([], 1)


# ------------------------------------------------------------------------------------------------------------ questions


def test_every_question_is_as_the_reference_has_it(site):
    said = [Said(AT + n * MINUTE, "x", by="jo") for n in range(130)]
    site.stage(*(FakeIssue(n, AT + n * MINUTE) for n in range(1, 120)), FakeIssue(200, AT + DAY, said),
               groups=["acme"], projects=["acme/shop"], labels=[])  # fmt: skip
    site.survey(labels=["prod", "eu"])
    assert {fault for asked in site.server.asked if (fault := fault_of(asked))} == set()
    assert sum("/issues/200/notes" in asked.path for asked in site.server.asked) % 2 == 0


def test_groups_and_projects_are_asked_apart_and_tell_an_incident_once(site):
    there = FakeIssue(3, AT, project="acme/ops/db")
    staged = site.stage(FakeIssue(7, AT), there, groups=["acme", "nobody/knows"], projects=["acme/shop"])
    assert staged.incidents["incident_id"].to_list() == ["acme/ops/db#3", "acme/shop#7"]
    (fault,) = staged.unfetched
    assert "group nobody/knows" not in fault.partition("(")[0]
    assert "answers 404 Not Found: 404 Group Not Found; correct the address" in fault


def test_other_types_are_left_out_unless_wanted(site):
    issues = (FakeIssue(7, AT), FakeIssue(8, AT, kind="issue", labels=["outage"]))
    assert site.stage(*issues).incidents["incident_id"].to_list() == ["acme/shop#7"]
    told = site.stage(*issues, issue_type=None, labels=["outage"])
    assert told.incidents["incident_id"].to_list() == ["acme/shop#8"]


def test_a_private_token_may_be_a_header(site):
    access = {"headers": {"PRIVATE-TOKEN": TOKEN}}
    assert site.stage(FakeIssue(7, AT), access=access).incidents.height == 1


def test_a_survey_counts_place_by_place(site):
    site.gitlab.issues = [FakeIssue(7, AT), FakeIssue(3, AT, project="acme/ops/db")]
    (line,) = site.survey(projects=["acme/shop"], groups=["acme"])
    assert line == f"ok: {site.server.url}: incidents: 1 in acme/shop, 2 in group acme"


# ------------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("labels: []", "sources.incidents[0]: names no projects and no groups; name one"),
        ("projects: ['a b']", "sources.incidents[0].projects[0]: 'a b' is no path; write it as group/project"),
        ("projects: [https://gitlab.com/a/b]", "is no path"),
    ],
)
def test_settings_say_what_is_wrong(tmp_path, options, said):
    text = "sources:\n  incidents:\n    - name: desk\n      type: gitlab\n"
    with pytest.raises(SettingsError, match=r".") as error:
        parse(f"{text}      {options}\n", tmp_path)
    assert said in str(error.value)
