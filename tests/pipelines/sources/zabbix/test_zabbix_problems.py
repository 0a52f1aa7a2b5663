"""Problems of Zabbix: as a real one told of them when it was recorded, and as one does where it is installed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import problems
import pytest
import real_zabbix
from fake_zabbix import TOKEN, FakeProblem, FakeZabbix
from loopback import Loopback, loopback
from played_back import PROBLEMS, play_back
from problems import LONG, OTHER, SHORT, Nights, Story
from staged_incidents import AS_OF, AT, DAY, HOUR, Staged, stage_night

from features.incidents import as_of_view, durations
from pipelines.source_options import ZabbixProblems

IN_REAL = pytest.mark.skipif(
    not real_zabbix.INSTALLED,
    reason="Zabbix is not installed (postgresql, zabbix-server-pgsql, zabbix-frontend-php, php-cli, php-pgsql)",
)

# ------------------------------------------------------------------------------------------------------- a real one


def recorded() -> Story:
    told = json.loads(PROBLEMS.read_text().splitlines()[0])["story"]
    return Story(told["start"], *(tuple(told[name]) for name in ("acknowledged", "closed", "now")))


@pytest.fixture(scope="module", params=["recorded", pytest.param("real", marks=IN_REAL)])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Nights]]:
    folder = tmp_path_factory.mktemp("nights")
    with duckdb.connect() as con:
        if request.param == "recorded":
            with loopback(partial(play_back, recording=PROBLEMS)) as server:
                nights, story = Nights(con, server.url, folder), recorded()
                for now in story.now:
                    nights(now)
                yield story, nights
        else:
            with real_zabbix.zabbix() as zabbix:
                nights = Nights(con, zabbix.url, folder)
                yield problems.play(zabbix, nights, nights), nights


def test_problems_are_read(played):
    story, nights = played
    short, long, other = nights.rows(0)
    assert {row["service"] for row in (short, long, other)} == {"shop"}
    assert {row["category"] for row in (short, long, other)} == {"capacity"}
    assert [
        (row["title"], row["entity"], row["severity"], row["is_major"], row["state"]) for row in nights.rows(0)
    ] == [
        ("Level of web 1 is high", "web 1", "high", False, "resolved"),
        ("Level of web 1 is high", "web 1", "disaster", True, "acknowledged"),
        ("Load is high", "db.example.com", "warning", False, "problem"),
    ]
    assert [row["created_at"] for row in nights.rows(0)] == [story.at(SHORT), story.at(LONG), story.at(OTHER)]
    assert [row["resolved_at"] for row in nights.rows(0)] == [story.at(SHORT - HOUR), None, None]
    earliest, latest = map(problems.moment, story.acknowledged)
    assert earliest <= long["acknowledged_at"] <= latest
    assert long["acknowledged_basis"] == "changelog"
    assert [row["acknowledged_at"] for row in (short, other)] == [None, None]


def test_a_problem_that_ends_long_after_it_began_is_learnt_of_on_the_night_that_follows(played):
    story, nights = played
    long, other = nights.rows(1)
    assert (long["created_at"], other["created_at"]) == (story.at(LONG), story.at(OTHER))
    earliest, latest = map(problems.moment, story.closed)
    assert earliest <= long["resolved_at"] <= latest
    states = nights.events(1).filter(incident_id=long["incident_id"])["state"].to_list()
    assert states == ["problem", "acknowledged", "resolved"]


def test_the_fake_one_answers_as_the_real_one_did(tmp_path):
    """So that what is proved with it holds for Zabbix."""
    story = recorded()
    lines = map(json.loads, PROBLEMS.read_text().splitlines()[1:])
    found = {each["eventid"]: each for line in lines if line["method"] == "event.get" for each in line["result"]}
    ends = {each: int(found[each]["clock"]) for each in found if "name" not in found[each]}
    given = [
        FakeProblem(
            event=int(each["eventid"]),
            clock=int(each["clock"]),
            name=each["name"],
            hosts=[host["host"] for host in each["hosts"]],
            group=problems.GROUP,
            severity=int(each["severity"]),
            tags=[(tag["tag"], tag["value"]) for tag in each["tags"]],
            updates=each["acknowledges"][::-1],
            ended=(int(each["r_eventid"]), ends[each["r_eventid"]]) if each["r_eventid"] != "0" else None,
        )
        for each in found.values()
        if "name" in each
    ]
    access = {"bearer": TOKEN}
    with loopback(FakeZabbix(problems=given)) as fake, loopback(partial(play_back, recording=PROBLEMS)) as real:
        faked = stage(fake, tmp_path / "fake", now=problems.moment(story.now[1]), groups=["Forewarn*"], access=access)
        with duckdb.connect() as con:
            nights = Nights(con, real.url, tmp_path)
            for now in story.now:
                nights(now)
    of_last = {row["incident_id"]: row for row in nights.rows(1)}
    rows = {row["incident_id"]: row for row in faked[0].to_dicts()}
    assert {key: rows[key] for key in of_last} == of_last


# ----------------------------------------------------------------------------------------------------------- a fake one


def stage(
    server: Loopback, folder: Path, now: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame, Staged]:
    """Incidents, events, and what was staged."""
    fields = {"name": "zabbix", "type": "zabbix", "url": f"{server.url}/zabbix", "history_days": 30}
    fields |= {"access": {"bearer": TOKEN, "attempts": 1}}
    source = ZabbixProblems.model_validate(fields | options)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        staged = stage_night(con, source, folder, f"{now:%m%d}", as_of=now, now=now, fetched=fetched)
    return staged.incidents, staged.events.sort("incident_id", "changed_at", "event_no"), staged


def clock(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


def update(at: datetime, action: int, **more: int) -> dict[str, int | str]:
    return {"clock": clock(at), "action": action, "username": "jo", **more}


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., tuple[pl.DataFrame, pl.DataFrame, Staged]]:
    def told(*given: FakeProblem, version: str = "7.0.1", **options: Any):
        with loopback(FakeZabbix(problems=list(given), version=version)) as server:
            return stage(server, tmp_path, **options)

    return told


@pytest.mark.parametrize("groups", [None, "x", [], [None], [{"name": "shop"}], [{"groupid": "1"}]])
def test_odd_host_groups_raise_nothing(told, groups, monkeypatch):
    answer = FakeZabbix._answer
    monkeypatch.setattr(
        FakeZabbix, "_answer", lambda self, q, h: groups if q["method"] == "hostgroup.get" else answer(self, q, h)
    )
    _, _, staged = told(FakeProblem(1, clock(AT)), groups=["*"])
    assert "groups match none" in staged.unfetched[0]


@pytest.mark.parametrize("version", ["5.0.9", "5.4.1", "6.0.14", "6.2.0", "6.4.0", "7.0.0", "7.4.1"])
def test_every_version_is_asked_in_its_own_words(told, version):
    acknowledged = FakeProblem(1, clock(AT), updates=[update(AT + HOUR, 2)])
    incidents, events, _ = told(acknowledged, version=version)
    assert incidents["acknowledged_at"].to_list() == [AT + HOUR]
    assert events["assignee"].to_list() == [None, "jo" if version >= "5.4" else None]


def test_a_severity_that_was_lowered_does_not_hide_a_problem(told):
    lowered = FakeProblem(1, clock(AT), severity=1, updates=[update(AT + HOUR, 8, old_severity=4, new_severity=1)])
    incidents, _, _ = told(lowered, FakeProblem(2, clock(AT), severity=1))
    assert incidents.select("incident_id", "severity").rows() == [("1", "information")]


def test_suppression_by_hand_is_time_on_hold(told):
    given = FakeProblem(
        1,
        clock(AT),
        updates=[
            update(AT + HOUR, 2),
            update(AT + 2 * HOUR, 32, suppress_until=clock(AT + 5 * HOUR)),
            update(AT + 6 * HOUR, 32, suppress_until=0),
            update(AT + 8 * HOUR, 64),
        ],
        ended=(2, clock(AT + 10 * HOUR)),
    )
    _, events, staged = told(given)
    assert events.select("changed_at", "state").rows() == [
        (AT, "problem"),
        (AT + HOUR, "acknowledged"),
        (AT + 2 * HOUR, "suppressed"),
        (AT + 5 * HOUR, "acknowledged"),
        (AT + 6 * HOUR, "suppressed"),
        (AT + 8 * HOUR, "acknowledged"),
        (AT + 10 * HOUR, "resolved"),
    ]
    row = staged.took()
    assert (row["time_to_resolve_s"], row["on_hold_s"], row["time_to_acknowledge_s"]) == (36_000, 18_000, 3_600)


def test_what_is_said_of_a_problem_that_is_over_reopens_nothing(told):
    given = FakeProblem(1, clock(AT), updates=[update(AT + 5 * HOUR, 2 | 4)], ended=(2, clock(AT + HOUR)))
    row = told(given)[2].took()
    assert (row["is_open"], row["time_to_resolve_s"], row["reopen_count"]) == (False, 3_600, 0)
    assert row["acknowledge_excluded"] == "acknowledged after resolved"


def test_an_end_that_comes_in_later_than_what_was_done_after_it_counts(told):
    """A proxy was cut off; somebody acknowledged what had recovered already, and one night knew no better."""
    open_still = FakeProblem(1, clock(AT), updates=[update(AT + 5 * HOUR, 2)])
    before, known_before, _ = told(open_still)
    after, known_after, _ = told(replace(open_still, ended=(2, clock(AT + HOUR))))
    assert after["updated_at"][0] > before["updated_at"][0]
    both = pl.concat([known_before, known_after]).unique(["incident_id", "event_no"])
    (row,) = durations(as_of_view(after, both, AS_OF), AS_OF).to_dicts()
    assert (row["is_open"], row["time_to_resolve_s"]) == (False, 5 * 3_600)


def test_a_symptom_is_no_incident_until_it_is_a_cause_again(told):
    symptom = FakeProblem(1, clock(AT), updates=[update(AT + HOUR, 256)], ended=(9, clock(AT + 3 * HOUR)), cause=7)
    cause = FakeProblem(
        2, clock(AT), updates=[update(AT + HOUR, 256), update(AT + 2 * HOUR, 128)], ended=(8, clock(AT + 3 * HOUR))
    )
    incidents, events, _ = told(symptom, cause)
    rows = durations(as_of_view(incidents, events, AS_OF), AS_OF).sort("incident_id").to_dicts()
    assert [row["resolve_excluded"] for row in rows] == ["cancelled, a duplicate or no incident", None]
    assert rows[1]["time_to_resolve_s"] == 3 * 3_600


def test_an_end_that_the_housekeeper_took_is_an_end_without_a_time(told, monkeypatch):
    monkeypatch.setattr("pipelines.sources.incident_servers.zabbix_problems._ends", lambda api, found: {})
    row = told(FakeProblem(1, clock(AT), ended=(2, clock(AT + HOUR))))[2].took()
    assert row["resolve_excluded"] == "resolved or closed, but not said when"


def test_hosts_groups_and_tags_choose(told):
    mine = FakeProblem(1, clock(AT), hosts=["web 1", "db 1"], group="shop", tags=[("service", "shop")])
    given = [
        mine,
        replace(mine, event=2, hosts=["db 2"]),
        replace(mine, event=3, group="lab"),
        replace(mine, event=4, tags=[]),
    ]
    incidents, _, _ = told(*given, hosts=["web*"], groups=["sh*"], tags={"service": "shop"})
    assert incidents.select("incident_id", "entity").rows() == [("1", "db 1")]
    _, _, staged = told(*given, groups=["nothing*"])
    assert staged.unfetched[0].startswith("http://127.0.0.1:")
    assert "groups match none" in staged.unfetched[0]


def test_what_a_proxy_hands_in_late_is_not_passed_over(tmp_path):
    """It was cut off over the night, and what it hands in is older than the last question."""
    zabbix = FakeZabbix(problems=[FakeProblem(1, clock(AT))], version="7.0.1")
    with loopback(zabbix) as server:
        _, _, first = stage(server, tmp_path, AS_OF)
        late = FakeProblem(2, clock(AS_OF - 9 * HOUR), ended=(3, clock(AS_OF - 8 * HOUR)))
        zabbix.problems.append(late)
        incidents, _, _ = stage(server, tmp_path, AS_OF + DAY, first.fetched)
    assert set(incidents["incident_id"]) == {"1", "2"}


def test_a_problem_keeps_being_asked_for_while_it_lasts(tmp_path):
    zabbix = FakeZabbix(version="7.0.1")
    lasting = FakeProblem(1, clock(AT))
    with loopback(zabbix) as server:
        fetched, seen = None, []
        for night, given in enumerate(
            [
                lasting,
                lasting,
                replace(lasting, updates=[update(AS_OF + 1.5 * DAY, 2)]),
                replace(lasting, updates=[update(AS_OF + 1.5 * DAY, 2)], ended=(2, clock(AS_OF + 2.5 * DAY))),
                replace(lasting, updates=[update(AS_OF + 1.5 * DAY, 2)], ended=(2, clock(AS_OF + 2.5 * DAY))),
            ]
        ):
            zabbix.problems = [given]
            incidents, _, staged = stage(server, tmp_path, AS_OF + night * DAY, fetched)
            fetched = staged.fetched
            seen.append(incidents.select("acknowledged_at", "resolved_at").rows())
    at = AS_OF + 1.5 * DAY
    end = AS_OF + 2.5 * DAY
    assert seen == [[(None, None)], [(None, None)], [(at, None)], [(at, end)], [(at, end)]]


def test_a_login_that_fails_is_a_fault_without_the_password(told):
    _, _, staged = told(access={"username": "reader", "password": "wr0ng-s3cret", "attempts": 1})
    assert "Login name or password is incorrect" in staged.unfetched[0]
    assert "wr0ng" not in staged.unfetched[0]


def test_fields_and_odd_records(told):
    """What is not as documented is nothing."""
    odd = FakeProblem(1, clock(AT), severity=77, hosts=[], updates=[{"clock": "soon", "action": "0"}])
    incidents, _, staged = told(odd, FakeProblem(2, 0), fields={"title": "tags.0.value"})
    assert incidents.select("incident_id", "severity", "entity", "title").rows() == [("1", None, None, "disk full")]
    assert not staged.counts.rejected
