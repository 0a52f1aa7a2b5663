"""What happened to triggers of a real Zabbix, on two nights, and how their problems are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from real_zabbix import USER, USER_PASSWORD, Item, RealZabbix

from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import ZabbixProblems
from pipelines.sources.incident_rows import StagedIncidents

GROUP = "Forewarn's own"
HOUR = timedelta(hours=1)
LEVEL, LOAD, NOISE = (Item("web 1", "own.level"), Item("db.example.com", "own.load"), Item("web 1", "own.noise"))
TRIGGERS = [(LEVEL, "Level of {HOST.HOST} is high", 4), (LOAD, "Load is high", 2), (NOISE, "Noise", 1)]
TAGS = [{"tag": "service", "value": "shop"}, {"tag": "scope", "value": "capacity"}, {"tag": "watched", "value": "yes"}]
SHORT, LONG, OTHER, NOISY = (timedelta(hours=hours) for hours in (80, 78, 3, 2))
"""How long before the first night each problem began; the first one ended after an hour."""
ACKNOWLEDGE, CLOSE, MESSAGE, SEVERITY = 2, 1, 4, 8


@dataclass(frozen=True)
class Story:
    """What was done when, in seconds since 1970. now: of the first and of the second night."""

    start: int
    acknowledged: tuple[int, int]
    closed: tuple[int, int]
    now: tuple[int, int]

    def at(self, before: timedelta) -> datetime:
        return moment(self.start) - before


def moment(clock: int) -> datetime:
    return datetime.fromtimestamp(clock, UTC).replace(tzinfo=None)


def source(url: str, **options: Any) -> ZabbixProblems:
    """As a test or a recording asks."""
    fields = {"name": "zabbix", "type": "zabbix", "url": url, "groups": ["Forewarn*"], "tags": {"watched": "yes"}}
    access = {"username": USER, "password": USER_PASSWORD}
    return ZabbixProblems.model_validate(fields | {"history_days": 30, "access": access} | options)


@dataclass
class Nights:
    """One after the other, each with what the one before remembered; the cut is the moment at which it runs."""

    con: duckdb.DuckDBPyConnection
    url: str
    folder: Path
    staged: list[StagedIncidents] = field(default_factory=list)

    def __call__(self, clock: int) -> None:
        now, before = moment(clock), self.staged[-1].fetched if self.staged else None
        fetched = pl.read_parquet(before) if before is not None else None
        night = self.folder / f"night {len(self.staged)}"
        self.staged.append(
            sources.stage_incidents(
                self.con, source(self.url), parse("", self.folder), as_of=now, now=now, folder=night, fetched=fetched
            )
        )
        assert not self.staged[-1].rejected, self.staged[-1].unfetched

    def rows(self, night: int) -> list[dict[str, Any]]:
        return pl.read_parquet(self.staged[night].incidents).sort("created_at").to_dicts()

    def events(self, night: int) -> pl.DataFrame:
        return pl.read_parquet(self.staged[night].incident_events).sort("changed_at", "event_no")


def play(server: RealZabbix, first_night: Callable[[int], None], second_night: Callable[[int], None]) -> Story:
    """Let it happen, with a night after the acknowledgement and one after the closing."""
    server.make(GROUP, [LEVEL, LOAD, NOISE])
    auth = server.login()
    for item, name, priority in TRIGGERS:
        fields = {"description": name, "expression": f"last(/{item.host}/{item.key})>90", "priority": priority}
        server.call("trigger.create", fields | {"manual_close": 1, "tags": TAGS}, auth)
    start = int(time.time())
    for item, before, value in (
        (LEVEL, SHORT, 95), (LEVEL, SHORT - HOUR, 5), (LEVEL, LONG, 95), (LOAD, OTHER, 95), (NOISE, NOISY, 95),
    ):  # fmt: skip
        server.send([(item.host, item.key, start - int(before.total_seconds()), value)])
        time.sleep(1.5)
    problems = _wait(lambda: _open(server, auth), 3)
    long = min(problems, key=lambda problem: int(problem["clock"]))["eventid"]
    update = {"eventids": [long], "action": ACKNOWLEDGE | SEVERITY | MESSAGE, "severity": 5, "message": "<b>on it</b>"}
    acknowledged = _between(lambda: server.call("event.acknowledge", update, auth))
    first = int(time.time()) + 1
    first_night(first)
    server.call("event.acknowledge", {"eventids": [long], "action": CLOSE}, auth)
    closed = _between(lambda: _wait(lambda: _open(server, auth), 2))
    second = int(time.time()) + 1
    second_night(second)
    return Story(start, acknowledged, closed, (first, second))


def _open(server: RealZabbix, auth: str) -> list[Any]:
    return server.call("problem.get", {"output": ["eventid", "clock"]}, auth)


def _between(act: Callable[[], object]) -> tuple[int, int]:
    before = int(time.time())
    act()
    return before, int(time.time()) + 1


def _wait(ask: Callable[[], list[Any]], count: int) -> list[Any]:
    deadline = time.monotonic() + 60
    while len(found := ask()) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found
