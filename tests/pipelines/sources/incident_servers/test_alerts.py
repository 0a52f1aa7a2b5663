"""What is particular of alerts; what they share with other servers is in the conformance suite."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import duckdb
import polars as pl
import pytest
from fake_promql import success
from loopback import Answer, Asked, Loopback, loopback
from pydantic import ValidationError
from staged_incidents import AS_OF, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import Alerts

AT = datetime(2026, 2, 27, 9)


def clock(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


@dataclass
class FakeRuler:
    """Alerts: labels, since when, from when to when they fire.

    most: points of one answer. warnings: of each answer. fails_after: answers.
    """

    alerts: list[tuple[dict[str, str], datetime, datetime, datetime]] = field(default_factory=list)
    most: int = 11_000
    warnings: list[str] = field(default_factory=list)
    fails_after: int | None = None
    queries: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
        if asked.path == "/api/v1/query":
            return success({"resultType": "vector", "result": []})
        self.queries.append(form)
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        if (end - start) / step >= self.most:
            return Answer(b'{"status":"error","error":"exceeded maximum resolution of 11,000 points"}', 400)
        if self.fails_after is not None and len(self.queries) > self.fails_after:
            return Answer(b"{}", 500)
        series = []
        for labels, began, fires, until in self.alerts:
            instants = [start + n * step for n in range(round((end - start) / step) + 1)]
            values = [[at, str(clock(began))] for at in instants if clock(fires) <= at < clock(until)]
            if values:
                series.append({"metric": {"__name__": "ALERTS_FOR_STATE", **labels}, "values": values})
        if self.warnings:
            data = {"resultType": "matrix", "result": series}
            return Answer(json.dumps({"status": "success", "data": data, "warnings": self.warnings}).encode())
        return success({"resultType": "matrix", "result": series})


@pytest.fixture
def ruler() -> FakeRuler:
    return FakeRuler()


@pytest.fixture
def server(ruler: FakeRuler) -> Iterator[Loopback]:
    with loopback(ruler) as server:
        yield server


@pytest.fixture
def stage(
    server: Loopback, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> Callable[..., tuple[pl.DataFrame, pl.DataFrame, Staged]]:
    def stage(as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options: Any):
        fields = {"name": "alerts", "type": "alerts", "url": server.url, "history_days": 5, "access": {"attempts": 1}}
        source = Alerts.model_validate(fields | options)
        staged = stage_night(con, source, tmp_path, as_of=as_of, now=as_of, fetched=fetched)
        return staged.incidents.sort("created_at"), staged.events.sort("changed_at", "event_no"), staged

    return stage


def test_what_is_asked(ruler, stage):
    stage(matchers='{team=~"db|web", }')
    (query,) = {form["query"] for form in ruler.queries}
    assert query == (
        'ALERTS_FOR_STATE{team=~"db|web"} and ignoring(alertstate) ALERTS{alertstate="firing",team=~"db|web"}'
    )
    assert all(float(form["start"]) % 60 == float(form["end"]) % 60 == 0 for form in ruler.queries)
    ends = [(float(form["start"]), float(form["end"])) for form in ruler.queries]
    assert all(after[0] == before[1] + 60 for before, after in pairwise(ends)), "no instant twice"


def test_labels_become_parts(ruler, stage):
    labels = {"alertname": "Slow", "job": "shop", "instance": "[::1]:9100", "sev": "page", "forewarn": "1"}
    ruler.alerts = [(labels, AT, AT + 5 * MINUTE, AT + HOUR)]
    (row,) = stage(by_label={"severity": ["sev"], "entity": ["host", "instance"]}, fields={"team": "job"})[0].to_dicts()
    parts = ("title", "entity", "severity", "team", "service", "is_predicted")
    assert [row[part] for part in parts] == ["Slow", "::1", "page", "shop", None, True]


def test_the_servers_of_a_pair_tell_of_one_incident(ruler, stage):
    for name, later in (("a", timedelta(0)), ("b", timedelta(seconds=20))):
        labels = {"alertname": "Slow", "replica": name}
        ruler.alerts.append((labels, AT + later, AT + later + 2 * MINUTE, AT + later + HOUR))
    incidents, events, _ = stage()
    assert incidents.select("created_at", "resolved_at").rows() == [(AT, AT + HOUR + MINUTE)]
    assert stage(without_labels=[])[0].height == 2
    assert events["state"].to_list() == ["open", "firing", "resolved"]


def test_an_episode_of_many_parts_is_found_by_its_beginning_from_any_night(ruler, stage):
    """Joined, and joined again: the second night sees only the last of them."""
    labels = {"alertname": "Flapping"}
    began = AS_OF - 10 * HOUR
    for _ in range(4):
        ruler.alerts.append((labels, began, began, began + 3 * HOUR))
        began += 3 * HOUR + 2 * MINUTE
    first, _, staged = stage()
    second, events, _ = stage(AS_OF + DAY, staged.fetched)
    assert first.select("created_at", "resolved_at").rows() == [(AS_OF - 10 * HOUR, None)]
    assert second.select("created_at", "resolved_at").rows() == [(AS_OF - 10 * HOUR, began - 2 * MINUTE)]
    assert second["incident_id"].to_list() == first["incident_id"].to_list()
    assert events["state"].to_list() == ["open", "resolved"], "what it did in between is no end"


def test_a_partial_answer_ends_no_alert(ruler, stage):
    ruler.alerts, ruler.warnings = [({"alertname": "Slow"}, AT, AT, AT + HOUR)], ["a store did not answer"]
    incidents, _, staged = stage()
    assert incidents.is_empty()
    assert "answers in part only: a store did not answer" in staged.unfetched[0]


def test_days_before_one_that_fails_are_kept_and_the_next_night_goes_on(ruler, stage):
    ruler.alerts = [({"alertname": "Old"}, at := AS_OF - 4.5 * DAY, at, at + HOUR)]
    ruler.alerts += [({"alertname": "Across"}, at := AS_OF - 3.5 * DAY, at, at + 2 * DAY)]
    ruler.fails_after = 1
    first, _, staged = stage()
    assert first.select("title", "resolved_at").rows() == [("Old", AS_OF - 4.5 * DAY + HOUR), ("Across", None)]
    assert len(staged.unfetched) == 1
    ruler.fails_after, ruler.queries = None, []
    second, _, _ = stage(AS_OF + DAY, staged.fetched)
    assert second.select("title", "resolved_at").rows() == [("Across", AS_OF - 1.5 * DAY)]
    assert second["incident_id"][0] == first["incident_id"][1]


@pytest.mark.parametrize("step", [1, 5, 60])
def test_too_many_points_are_asked_for_in_pieces(ruler, stage, step):
    ruler.most = 2_000
    ruler.alerts = [({"alertname": "Slow"}, at := AS_OF - 5 * HOUR, at, at + HOUR)]
    incidents, _, staged = stage(step_seconds=step, history_days=1)
    assert incidents["resolved_at"].to_list() == [AS_OF - 4 * HOUR]
    assert not staged.counts.rejected


@pytest.mark.parametrize("step", [7, 0, 301])
def test_a_step_divides_a_day(step):
    with pytest.raises(ValidationError):
        Alerts.model_validate({"name": "a", "type": "alerts", "url": "http://x", "step_seconds": step})


def test_a_server_without_the_state_of_alerts_is_a_fault(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pipelines.sources.incident_servers.alerts.AlertEpisodes._number",
        lambda _, expression: 0 if "FOR_STATE" in expression else 3,
    )
    source = Alerts.model_validate({"name": "a", "type": "alerts", "url": server.url})
    (found,) = sources.survey(source, parse("", tmp_path))
    assert (found.level, "no ALERTS_FOR_STATE" in found.text) == ("fault", True)
