"""A real Redmine, asked: what it hides, how it pages, and what becomes of it when it changes or fails meanwhile."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import duckdb
import pytest
import real_redmine
from loopback import Answer, Asked, Loopback, loopback
from real_redmine import RealRedmine
from redmine_database import Change, Issue
from staged_incidents import AS_OF, AT, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import Settings
from pipelines.source_options import Redmine
from pipelines.sources.incident_servers import redmine as module

FULL = 5
HEADER = "X-Redmine-API-Key"


@pytest.fixture
def redmine() -> RealRedmine:
    return real_redmine.shared()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL", FULL)


@dataclass(frozen=True)
class Night:
    """A night's questions to a Redmine. url: by default the real one's; key likewise."""

    redmine: RealRedmine
    con: duckdb.DuckDBPyConnection
    settings: Settings
    folder: Path

    def source(self, url: str | None = None, key: str | None = None, **options: Any) -> Redmine:
        access = {"headers": {HEADER: key or self.redmine.key}, "attempts": 1, **options.pop("access", {})}
        given = {"name": "desk", "type": "redmine", "url": url or self.redmine.url, "access": access, **options}
        return Redmine.model_validate(given)

    def stage(self, source: Redmine | None = None, as_of: datetime = AS_OF, fetched: Any = None) -> Staged:
        night = f"{time.monotonic_ns()}"
        return stage_night(self.con, source or self.source(), self.folder, night, as_of=as_of, fetched=fetched)

    def survey(self, source: Redmine | None = None) -> list[str]:
        found = sources.survey(source or self.source(), self.settings)
        return [f"{each.level}: {each.text}" for each in found]


@pytest.fixture
def night(redmine: RealRedmine, con: duckdb.DuckDBPyConnection, settings: Settings, tmp_path: Path) -> Night:
    return Night(redmine, con, settings, tmp_path)


@contextmanager
def before(redmine: RealRedmine, instead: Callable[[Asked], Answer | None]) -> Iterator[Loopback]:
    """What stands before a Redmine. instead: what it says itself; None: what Redmine says."""

    def answer(asked: Asked) -> Answer:
        return instead(asked) or forwarded(redmine, asked)

    with loopback(answer) as front:
        yield front


def forwarded(redmine: RealRedmine, asked: Asked) -> Answer:
    headers = {name: value for name, value in asked.headers.items() if name.lower() != "host"}
    request = urllib.request.Request(redmine.url + asked.path, headers=headers)  # noqa: S310 - on loopback
    try:
        with urllib.request.urlopen(request, timeout=30) as told:  # noqa: S310
            return Answer(told.read(), headers={"Content-Type": told.headers["Content-Type"]})
    except urllib.error.HTTPError as error:
        return Answer(error.read(), status=error.code)


def path(asked: Asked) -> str:
    return urlsplit(asked.path).path


def params(asked: Asked) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(asked.path).query))


def lists(front: Loopback) -> list[dict[str, str]]:
    return [params(asked) for asked in front.asked if path(asked) == "/issues.json"]


def some(count: int, first: datetime = AT) -> list[Issue]:
    """A minute apart, open."""
    return [Issue(first + no * MINUTE, {"subject": f"No. {no}"}) for no in range(count)]


# -------------------------------------------------------------------------------------------------------- a whole life


def test_a_life_of_an_incident_with_its_people(redmine: RealRedmine, night: Night):
    redmine.group("Databases")
    life = (
        Change(AT + HOUR, {"assignee": "Databases"}),
        Change(AT + 2 * HOUR, {"assignee": "Ann Bee", "status": "In Progress"}, "mine", private=True),
        Change(AT + 3 * HOUR, {"status": "Resolved"}),
        Change(AT + 4 * HOUR, {"status": "Closed"}),
        Change(AT + 5 * HOUR, {"status": "In Progress", "assignee": "Databases"}),
        Change(AT + 9 * HOUR, {"status": "Closed", "priority": "Low"}),
    )
    (number,) = redmine.add(Issue(AT, {"subject": "Disk full", "category": "Database"}, "it is", changes=life))
    staged = night.stage()
    row = staged.row
    told = {
        "incident_id": str(number), "title": "Disk full", "service": "Checkout", "category": "Database",
        "team": "Databases", "severity": "Low", "state": "Closed", "created_at": AT, "acknowledged_at": AT + HOUR,
        "acknowledged_basis": "changelog", "resolved_at": AT + 9 * HOUR, "resolved_basis": "changelog",
        "closed_at": AT + 9 * HOUR, "cancelled_at": None, "updated_at": AT + 9 * HOUR, "is_predicted": False,
    }  # fmt: skip
    assert {part: row[part] for part in told} == told
    happened = staged.events.sort("changed_at", "event_no").select("changed_at", "state", "team", "assignee").rows()
    assert happened == [
        (AT, "New", None, None),
        (AT + HOUR, None, "Databases", None),
        (AT + 2 * HOUR, "In Progress", None, "Ann Bee"),
        (AT + 3 * HOUR, "Resolved", None, None),
        (AT + 4 * HOUR, "Closed", None, None),
        (AT + 5 * HOUR, "In Progress", "Databases", None),
        (AT + 9 * HOUR, "Closed", None, None),
    ]
    took = staged.took()
    assert (took["time_to_acknowledge_s"], took["time_to_resolve_s"], took["reopen_count"]) == (3600, 9 * 3600, 1)


def test_only_the_trackers_of_the_settings_are_incidents(redmine: RealRedmine, night: Night):
    has = [{"subject": name, "tracker": name} for name in ("Incident", "Bug", "Support")]
    incident, bug, support = redmine.add(*(Issue(AT, each) for each in has))
    assert night.stage().ids == [incident]
    assert night.stage(night.source(trackers=["Bug", "Incident"])).ids == [incident, bug]
    assert night.stage(night.source(trackers=[])).ids == [incident, bug, support]


def test_a_tracker_that_is_none_is_not_taken_for_no_incidents(redmine: RealRedmine, night: Night):
    redmine.add(*some(1))
    staged = night.stage(night.source(trackers=["Outage"]))
    assert "has no tracker 'Outage', but Bug, Feature, Support, Incident; correct trackers" in staged.why
    assert staged.fetched.is_empty()


def test_projects_are_read_with_what_is_below_them(redmine: RealRedmine, night: Night):
    above = redmine.project("Shop")
    redmine.project("Web shop", parent_id=above)
    shop, below, _ = redmine.add(
        *(Issue(AT, {"subject": "x"}, project=name) for name in ("Shop", "Web shop", "Checkout"))
    )
    assert night.stage(night.source(projects=["shop"])).ids == [shop, below]
    assert night.stage(night.source(projects=["web-shop"])).ids == [below]
    both = night.stage(night.source(projects=["shop", "web-shop"]))
    assert (both.ids, both.counts.superseded) == ([shop, below], 1)


def test_a_project_that_is_none_leaves_the_others(redmine: RealRedmine, night: Night):
    (issue,) = redmine.add(Issue(AT, {"subject": "x"}))
    staged = night.stage(night.source(projects=["nowhere", "checkout"]))
    assert staged.ids == [issue]
    assert "has no project 'nowhere', or hides it from us" in staged.why


# -------------------------------------------------------------------------------------------------------- who asks


@pytest.mark.parametrize(
    "access", [{"headers": {HEADER: "wr0ng-k3y"}}, {"headers": {}}, {"headers": {}, "bearer": "x1yz"}]
)
def test_who_is_not_known_is_told_so_and_does_not_see_what_guests_see(redmine: RealRedmine, night: Night, access):
    redmine.add(*some(3))
    assert redmine.send("GET", "/issues.json?status_id=*", key="wr0ng-k3y")["total_count"] == 3  # and no error
    staged = night.stage(night.source(access=access))
    assert staged.incidents.is_empty()
    assert "does not know us; give a user's API key in access.headers as X-Redmine-API-Key" in staged.why
    assert "wr0ng-k3y" not in staged.why
    assert staged.fetched.is_empty()


def test_without_its_api_it_is_told_what_to_enable(redmine: RealRedmine, night: Night):
    redmine.setting("rest_api_enabled", "0")
    try:
        assert "let its administrator enable the REST API" in night.stage().why
    finally:
        redmine.setting("rest_api_enabled", "1")


def test_who_may_not_see_members_sees_incidents_all_the_same(redmine: RealRedmine, night: Night):
    """Those are named who did something, or to whom the issue is assigned."""
    life = (Change(AT + HOUR, {"assignee": "Ann Bee"}), Change(AT + 2 * HOUR, {"assignee": "Jo Doe"}))
    redmine.add(Issue(AT, {"subject": "x"}, changes=life))
    staged = night.stage(night.source(key=redmine.stranger()))
    assert (staged.incidents["acknowledged_at"].to_list(), dict(staged.counts.rejected)) == ([AT + HOUR], {})
    assert staged.events.sort("changed_at")["assignee"].drop_nulls().to_list() in (["Jo Doe"], ["Ann Bee", "Jo Doe"])


# ----------------------------------------------------------------------------------------------------------- pages


@pytest.mark.usefixtures("small_pages")
def test_what_changes_while_it_is_read_hides_nothing(redmine: RealRedmine, night: Night):
    """After the first page one of its issues changes: by numbers, the second page would begin one issue too late."""
    issues = redmine.add(*some(3 * FULL))

    def meanwhile(asked: Asked) -> None:
        if path(asked) == f"/issues/{issues[2]}.json" and not changed:
            changed.append(True)
            redmine.change(issues[0], Change(AT + DAY, {"status": "Resolved"}))

    changed: list[bool] = []
    with before(redmine, meanwhile) as front:
        staged = night.stage(night.source(front.url))
        assert staged.ids == issues
        assert {each["offset"] for each in lists(front)} == {"0"}
    assert staged.incidents.filter(incident_id=str(issues[0]))["resolved_at"].to_list() == [AT + DAY]


@pytest.mark.usefixtures("small_pages")
def test_many_that_changed_within_one_second_all_come(redmine: RealRedmine, night: Night):
    """Its answers are cut to seconds, in which whole pages can have changed: as by a bulk edit."""
    rare = [Issue(AT + no * timedelta(milliseconds=40), {"subject": "x"}) for no in range(2 * FULL + 2)]
    issues = redmine.add(*some(FULL - 1, AT - DAY), *rare, *some(FULL, AT + HOUR))
    assert night.stage().ids == issues


def test_what_is_deleted_while_it_is_read_is_left_out(redmine: RealRedmine, night: Night):
    one, two = redmine.add(*some(2))

    def meanwhile(asked: Asked) -> None:
        if path(asked) == f"/issues/{two}.json":
            redmine.delete(two)

    with before(redmine, meanwhile) as front:
        staged = night.stage(night.source(front.url))
    assert (staged.ids, dict(staged.counts.rejected)) == ([one], {})


@pytest.mark.usefixtures("small_pages")
def test_a_page_that_fails_is_the_next_nights_and_no_page_before_it(redmine: RealRedmine, night: Night):
    issues = redmine.add(*some(4 * FULL))
    fails = [issues[11]]

    def instead(asked: Asked) -> Answer | None:
        return Answer(b"{}", status=500) if path(asked) in [f"/issues/{issue}.json" for issue in fails] else None

    with before(redmine, instead) as front:
        first = night.stage(night.source(front.url))
        last_told = AT + 8 * MINUTE  # a page overlaps with the one before it by the issue at its edge
        assert first.ids == issues[:9]
        assert "answers 500" in first.why
        assert f"changes since {last_told:%Y-%m-%d %H:%M} are left open" in first.why
        assert first.fetched["until"].to_list() == [last_told]

        fails.clear()
        front.asked.clear()
        second = night.stage(night.source(front.url), AS_OF + DAY, first.fetched)
        assert lists(front)[0]["updated_on"] == f">={(last_told - HOUR).isoformat()}Z"
    assert set(first.ids) | set(second.ids) == set(issues)
    assert dict(second.counts.rejected) == {}


def test_no_more_is_asked_at_once_than_the_settings_allow(redmine: RealRedmine, night: Night):
    issues = redmine.add(*some(12))
    lock, now, most = threading.Lock(), 0, 0

    def count(asked: Asked) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return forwarded(redmine, asked)
        finally:
            with lock:
                now -= 1

    for allowed in (1, 3):
        most = 0
        with before(redmine, count) as front:
            assert night.stage(night.source(front.url, access={"concurrency": allowed})).ids == issues
        assert 1 <= most <= allowed
    assert most > 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[1, null]", b'{"issues": [null]}', b'{"issue": {}}', b"[" * 99999]
)
@pytest.mark.parametrize("where", ["/users/current.json", "/issue_statuses.json", "/issues.json", "/issues/N.json"])
def test_odd_answers_are_said_to_be_so(redmine: RealRedmine, night: Night, body: bytes, where: str):
    (issue,) = redmine.add(*some(1))

    def odd(asked: Asked) -> Answer | None:
        return Answer(body) if path(asked) == where.replace("N", str(issue)) else None

    with before(redmine, odd) as front:
        staged = night.stage(night.source(front.url))
    assert staged.incidents.is_empty()
    assert "is url right" in staged.why
    assert staged.fetched.is_empty()


@pytest.mark.usefixtures("small_pages")
def test_a_record_that_is_none_does_not_end_the_pages_early(redmine: RealRedmine, night: Night):
    redmine.add(*some(2 * FULL))

    def without_time(asked: Asked) -> Answer | None:
        if path(asked) != "/issues.json":
            return None
        told = forwarded(redmine, asked)
        return replace(told, body=told.body.replace(b'"updated_on":"2026', b'"updated_on":"20x6', 1))

    with before(redmine, without_time) as front:
        staged = night.stage(night.source(front.url))
    assert "answers no list of issues" in staged.why
    assert staged.fetched.is_empty()


# --------------------------------------------------------------------------------------------------------------- check


def test_a_survey_says_who_we_are_and_how_many(redmine: RealRedmine, night: Night):
    redmine.add(
        *some(3), Issue(AT, {"subject": "x", "tracker": "Bug"}, changes=(Change(AT + HOUR, {"status": "Closed"}),))
    )
    (found,) = night.survey(night.source(projects=["checkout"]))
    assert found == f"ok: {redmine.url}: Redmine, as forewarn; issues of Incident: 3 in checkout"
    (found,) = night.survey(night.source(trackers=[]))
    assert found.endswith("issues of any tracker: 4 in all projects")


def test_a_survey_says_which_statuses_it_does_not_understand(redmine: RealRedmine, night: Night):
    statuses = [{"id": 1, "name": "Neu", "is_closed": False}, {"id": 5, "name": "Erledigt", "is_closed": True}]

    def german(asked: Asked) -> Answer | None:
        told = str({"issue_statuses": statuses}).replace("'", '"').replace("False", "false").replace("True", "true")
        return Answer(told.encode()) if path(asked) == "/issue_statuses.json" else None

    with before(redmine, german) as front:
        (found,) = night.survey(night.source(front.url))
        assert "it is not known what Neu mean: say so under states" in found
        (found,) = night.survey(night.source(front.url, states={"Neu": "new"}))
        assert "not known" not in found
