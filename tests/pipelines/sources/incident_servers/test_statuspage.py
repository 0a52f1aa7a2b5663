"""What is particular of status pages; what they share with other servers is in the conformance suite."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import polars as pl
import pytest
from loopback import Answer, Asked, Loopback, loopback
from pydantic import ValidationError
from staged_incidents import AS_OF, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import StatusPage

EASTERN = timedelta(hours=5)


def local(at: datetime) -> str:
    """As pages write times: in their own zone, to the millisecond."""
    return f"{(at - EASTERN).isoformat(timespec='milliseconds')}-05:00"


def posted(code: str, at: datetime, *words: tuple[int, str], **more: Any) -> dict[str, Any]:
    """An incident that was posted at a time; minutes after it, and the word of an update."""
    said = [(0, "investigating"), *words]
    updates = [
        {"id": f"{code}-{n}", "status": word, "body": f"We are {word}.", "display_at": local(at + minutes * MINUTE),
         "created_at": local(at + minutes * MINUTE), "affected_components": None}
        for n, (minutes, word) in enumerate(said)
    ]  # fmt: skip
    last = at + max(minutes for minutes, _ in said) * MINUTE
    when = {word: local(at + minutes * MINUTE) for minutes, word in said}
    return {
        "id": code, "name": f"Trouble {code}", "status": said[-1][1], "impact": "major", "page_id": "p",
        "created_at": local(at), "started_at": local(at), "updated_at": local(last), "shortlink": "https://stspg.io/x",
        "monitoring_at": when.get("monitoring"), "resolved_at": when.get("resolved"),
        "incident_updates": updates[::-1], "components": [{"id": "c", "name": "API"}, {"id": "d", "name": "Web"}],
    } | more  # fmt: skip


@dataclass
class FakePage:
    """incidents: the newest first. has_history: or is it 404? broken: the incident that is answered with 500."""

    incidents: list[dict[str, Any]] = field(default_factory=list)
    has_history: bool = True
    broken: str | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked.path)
        address = urlsplit(asked.path)
        if address.path == "/api/v2/incidents.json":
            told = {"page": {"id": "p", "name": "Acme"}, "incidents": self.incidents[:50]}
            return Answer(json.dumps(told).encode())
        if not self.has_history:
            return Answer(b"<h1>The page you were looking for does not exist</h1>", 404)
        if address.path == "/history.json":
            return Answer(
                json.dumps({"components": [], "months": self._months(int(parse_qs(address.query)["page"][0]))}).encode()
            )
        code = address.path.removeprefix("/incidents/").removesuffix(".json")
        found = next((each for each in self.incidents if each["id"] == code), None)
        if found is None or code == self.broken:
            return Answer(b"{}", 404 if found is None else 500)
        return Answer(json.dumps({**found, "code": code, "id": 12345}).encode())

    def _months(self, page: int) -> list[dict[str, Any]]:
        """Three of them, the latest first; also those in which nothing happened."""
        months = []
        for back in range(3 * (page - 1), 3 * page):
            year, month = divmod(2026 * 12 + 2 - back, 12)
            prefix = f"{year}-{month + 1:02}"
            listed = [each for each in self.incidents if each["created_at"].startswith(prefix)]
            stamp = "Mar <var data-var='date'>1</var>, <var data-var='time'>10:22</var> UTC"
            told = [
                {"code": each["id"], "name": each["name"], "message": "", "impact": each["impact"], "timestamp": stamp}
                for each in listed
            ]
            months.append({"name": f"{month + 1}", "starts_on": 0, "days": 31, "year": year, "incidents": told})
        return months


@pytest.fixture
def page() -> FakePage:
    return FakePage()


@pytest.fixture
def server(page: FakePage) -> Iterator[Loopback]:
    with loopback(page) as server:
        yield server


@pytest.fixture
def stage(
    server: Loopback, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> Callable[..., tuple[pl.DataFrame, pl.DataFrame, Staged]]:
    def stage(as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options: Any):
        fields = {"name": "page", "type": "statuspage", "url": server.url, "access": {"attempts": 1}}
        source = StatusPage.model_validate(fields | options)
        staged = stage_night(con, source, tmp_path, as_of=as_of, now=as_of, fetched=fetched)
        return staged.incidents.sort("created_at"), staged.events.sort("incident_id", "changed_at", "event_no"), staged

    return stage


def test_the_words_of_updates_become_times(page, stage):
    at = AS_OF - 3 * DAY
    told = [(10, "identified"), (40, "monitoring"), (60, "resolved"), (4000, "postmortem")]
    page.incidents = [posted("a", at, *told, postmortem_published_at=local(at + 4001 * MINUTE))]
    incidents, events, staged = stage()
    (row,) = incidents.to_dicts()
    times = ("started_at", "created_at", "mitigated_at", "resolved_at", "review_at")
    assert [row[time] for time in times] == [at, at, at + 40 * MINUTE, at + HOUR, at + 4001 * MINUTE]
    parts = ("title", "service", "entity", "severity", "state", "mitigated_basis", "resolved_basis")
    assert [row[part] for part in parts] == ["Trouble a", "API", "API, Web", "major", "postmortem", "field", "field"]
    assert events["state"].to_list() == ["open", "identified", "monitoring", "resolved", "postmortem"]
    took = staged.took()
    assert (took["time_to_resolve_s"], took["is_open"], took["is_major"]) == (3_600, False, True)
    assert took["time_to_acknowledge_s"] == 600, "the posting itself says nothing of it"


def test_stamps_that_a_look_alike_leaves_out_come_from_the_updates(page, stage):
    at = AS_OF - 3 * DAY
    told = [(40, "monitoring"), (50, "identified"), (60, "monitoring"), (70, "resolved"), (75, "resolved")]
    bare = dict.fromkeys(("monitoring_at", "resolved_at", "started_at", "updated_at", "components"))
    again = [(70, "resolved"), (90, "investigating")]
    page.incidents = [posted("a", at, *told, **bare), posted("b", at + MINUTE, *again, **bare)]
    first, second = stage()[0].to_dicts()
    assert (first["mitigated_at"], first["resolved_at"]) == (at + 40 * MINUTE, at + 75 * MINUTE)
    assert (first["mitigated_basis"], first["resolved_basis"]) == ("changelog", "changelog")
    assert (first["service"], first["entity"]) == ("Acme", None)
    assert second["resolved_at"] is None


def test_what_was_posted_after_the_fact_is_over_from_the_beginning(page, stage):
    at = AS_OF - 3 * DAY
    after = posted("a", at, resolved_at=local(at), status="resolved")
    after["incident_updates"] = [{"status": "resolved", "body": "It is over.", "display_at": local(at)}]
    page.incidents = [after]
    took = stage()[2].took()
    assert took["resolve_excluded"] == "posted after the fact (resolved = created)"


def test_scheduled_maintenance_is_no_incident(page, stage):
    at = AS_OF - 3 * DAY
    page.incidents = [
        posted("a", at, impact="maintenance"),
        posted("b", at, scheduled_for=local(at)),
        posted("c", at, status="in_progress"),
        posted("d", at),
    ]
    assert stage()[0]["incident_id"].to_list() == ["d"]


def many(count: int, apart: timedelta = 5 * DAY) -> list[dict[str, Any]]:
    return [posted(f"i{n}", AS_OF - HOUR - n * apart, (30, "resolved")) for n in range(count)]


def test_what_is_older_than_the_latest_is_looked_up_in_the_history(page, stage):
    page.incidents = many(79)
    page.incidents.append(posted("m", AS_OF - 300 * DAY, impact="maintenance"))
    incidents, _, staged = stage()
    assert set(incidents["incident_id"]) == {f"i{n}" for n in range(79)}
    assert dict(staged.counts.rejected) == {}
    pages = [path for path in page.asked if path.startswith("/history")]
    assert pages == [f"/history.json?page={n}" for n in range(1, 6)], "fourteen months, however quiet"
    assert sum(path.startswith("/incidents/") for path in page.asked) == 29
    page.asked.clear()
    second, _, _ = stage(AS_OF + DAY, staged.fetched)
    assert page.asked == ["/api/v2/incidents.json"]
    assert second["incident_id"].to_list() == ["i0"]


def test_a_page_without_a_history_says_once_what_may_be_missing(page, stage):
    page.incidents, page.has_history = many(60), False
    incidents, _, staged = stage()
    assert incidents.height == 50
    assert dict(staged.counts.rejected) == {"partial answer": 1}
    assert staged.unfetched == []
    (remark,) = staged.counts.notes
    assert "tells of 50 incidents, the oldest of 2025-06-28, and has no history to ask" in remark
    assert staged.rejects.select("reason", "detail").rows() == [("partial answer", remark)]
    assert stage(AS_OF + DAY, staged.fetched)[2].counts.notes == ()


def test_an_empty_page_without_a_history_is_remarked(page, stage):
    page.has_history = False
    _, _, staged = stage()
    assert "tells of none and has no history" in staged.counts.notes[0]
    assert stage(AS_OF + DAY, staged.fetched)[2].counts.notes == ()


def test_more_than_a_page_in_one_night_is_not_passed_over(page, stage):
    page.incidents = many(3)
    _, _, staged = stage()
    page.incidents = [posted(f"n{n}", AS_OF + DAY - HOUR - n * MINUTE) for n in range(55)] + page.incidents
    incidents, _, _ = stage(AS_OF + DAY, staged.fetched)
    assert {f"n{n}" for n in range(55)} <= set(incidents["incident_id"])


def test_a_history_that_fails_midway_keeps_the_latest_and_is_asked_again(page, stage):
    page.incidents, page.broken = many(60), "i55"
    incidents, _, staged = stage()
    assert incidents.height == 50
    assert len(staged.unfetched) == 1
    page.broken = None
    again, _, _ = stage(AS_OF + DAY, staged.fetched)
    assert again.height == 60


def test_what_was_withdrawn_is_left_out(page, stage):
    page.incidents = many(60)
    listed = FakePage(list(page.incidents))
    page._months = listed._months  # type: ignore[method-assign]
    page.incidents = [each for each in page.incidents if each["id"] != "i55"]
    incidents, _, staged = stage()
    assert incidents.height == 59
    assert not staged.counts.rejected


def test_saved_answers_fill_what_a_page_does_not_tell(page, stage, tmp_path):
    page.incidents, page.has_history = many(50), False
    older = many(60)[50:]
    (tmp_path / "older-1.json").write_text(json.dumps({"page": {"name": "Old Acme"}, "incidents": older[:5]}))
    (tmp_path / "older-2.json").write_text(json.dumps(older[5:]))
    assert stage(paths=["older-*.json"])[0].height == 60
    (found,) = sources.survey(
        StatusPage.model_validate({"name": "p", "type": "statuspage", "paths": ["older-*.json"]}), parse("", tmp_path)
    )
    assert (found.level, found.text) == ("ok", "saved answers: 10 incidents, the oldest of 2025-05-09")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "matches no file"), ("{", "no readable JSON"), ("{}", "holds no")]
)
def test_a_saved_answer_that_is_none_is_a_fault(stage, tmp_path, content, said):
    if content is not None:
        (tmp_path / "saved.json").write_text(content)
    _, _, staged = stage(paths=["saved.json"], url=None)
    assert said in staged.unfetched[0]


def test_a_page_or_a_file_is_needed():
    with pytest.raises(ValidationError, match="give url, the page's address, or paths"):
        StatusPage.model_validate({"name": "p", "type": "statuspage"})
