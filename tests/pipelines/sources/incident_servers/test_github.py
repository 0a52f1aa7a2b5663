"""GitHub: who takes an issue up, issues that go away meanwhile, and one repository more."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from desks.github import GitHubAdapter
from desks.given import Given
from loopback import Answer
from staged_incidents import AS_OF, AT, DAY, HOUR, MINUTE, stage_night

from pipelines.sources.incident_servers.github import events, incident

PERSON, BOT = {"login": "jo", "type": "User"}, {"login": "pager[bot]", "type": "Bot"}
ISSUE = {"number": 1, "state": "open", "created_at": "2026-02-20T09:00:00Z", "user": {"login": "kim", "type": "User"}}


@pytest.fixture
def desk() -> Iterator[GitHubAdapter]:
    adapter = GitHubAdapter()
    yield adapter
    adapter.close()


def happened(event: str, minute: int, **who: object) -> dict:
    return {"event": event, "created_at": f"2026-02-20T09:{minute:02}:00Z", **who}


@pytest.mark.parametrize(
    ("timeline", "acknowledged"),
    [
        ([happened("assigned", 5, actor=PERSON, assignee=PERSON)], 5),
        ([happened("assigned", 1, actor=BOT, assignee=PERSON), happened("commented", 7, user=PERSON)], 7),
        ([happened("commented", 2, user=BOT), happened("commented", 3, user=ISSUE["user"])], None),
        ([happened("labeled", 4, actor=PERSON)], None),
    ],
    ids=["assigned by a person", "by a bot", "a bot and the author comment", "labelled"],
)
def test_only_people_other_than_the_author_take_an_issue_up(desk, timeline, acknowledged):
    row = incident("acme/shop", ISSUE, timeline, desk.source)
    assert row["acknowledged_at"] == (f"2026-02-20T09:{acknowledged:02}:00Z" if acknowledged else None)
    states = [event["state"] for event in events("acme/shop", ISSUE, timeline)]
    assert ("assigned" in states) == any(each["event"] == "assigned" and each["actor"] is PERSON for each in timeline)


def test_an_issue_that_goes_away_between_list_and_timeline_keeps_nothing_up(
    desk, tmp_path: Path, con: duckdb.DuckDBPyConnection, monkeypatch
):
    desk.serve([Given(1, AT), Given(2, AT + MINUTE, acknowledged=AT + HOUR)])
    answer = desk.answer
    monkeypatch.setattr(
        desk, "answer", lambda asked: Answer(b"{}", 404) if "/issues/1/" in asked.path else answer(asked)
    )
    staged = stage_night(con, desk.source, tmp_path)
    assert staged.unfetched == []
    assert staged.incidents["acknowledged_at"].to_list() == [None, AT + HOUR]


def test_one_repository_more_asks_nothing_anew_of_the_others(
    desk, tmp_path: Path, con: duckdb.DuckDBPyConnection, monkeypatch
):
    desk.serve([Given(n, AT - n * DAY, resolved=AT) for n in range(1, 6)])
    first = stage_night(con, desk.source, tmp_path)
    answer = desk.answer
    monkeypatch.setattr(desk, "answer", lambda asked: Answer(b"[]") if "/pay/" in asked.path else answer(asked))
    more = desk.source.model_copy(update={"repositories": ["acme/shop", "acme/pay"]})
    second = stage_night(con, more, tmp_path, as_of=AS_OF + DAY, fetched=first.fetched)
    assert second.incidents.is_empty()
    labelled = desk.source.model_copy(update={"by_label": {"team": "service/*"}})
    third = stage_night(con, labelled, tmp_path, as_of=AS_OF + DAY, fetched=first.fetched)
    assert third.incidents.height == 5, "rows that would read otherwise are asked for anew"
