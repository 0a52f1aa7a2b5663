"""What was fetched of incidents becomes staged files, and how far it reached is remembered.

A night asks for what changed since the last one, part by part (``raw.fetched``: a question and a part, under the day
``EVER``). It asks an hour further back, since clocks differ and what is written late has an earlier time. What is
remembered never lies after the night's cut: what was created after it is held back, and is the next night's to fetch.

A server that fails midway leaves what it told before, and is asked again from there by the next night.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.source_options import IncidentServer
from pipelines.sources import times
from pipelines.sources.columns import Part
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.files import FileReport, landed_report
from pipelines.sources.incident_rows import BASES, EVENT_PARTS, PARTS, Rows, StagedIncidents, stage_rows
from pipelines.sources.incident_servers.pages import Asked, Page, Row
from pipelines.sources.landing import land
from pipelines.sources.rejects import NOT_FETCHED, PARTIAL, Rejects
from pipelines.sources.remembered import EVER, question, remember, whole_history
from pipelines.sources.sql import workspace

OVERLAP = timedelta(hours=1)
INCIDENT_PARTS = PARTS | BASES


@dataclass
class _Got:
    """reports, event_reports: of landed pages. through: part -> up to when all its changes are known. told: part -> how
    many incidents and events. unfetched, notes: (what it is of, a sentence); a note is kept once, however often told.
    """

    reports: list[FileReport] = field(default_factory=list)
    event_reports: list[FileReport] = field(default_factory=list)
    through: dict[str, datetime] = field(default_factory=dict)
    told: dict[str, tuple[int, int]] = field(default_factory=dict)
    unfetched: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[tuple[str, str], None] = field(default_factory=dict)


def stage(
    con: duckdb.DuckDBPyConnection,
    source: IncidentServer,
    settings: Settings,
    server: Asked,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None,
) -> StagedIncidents:
    """See ``pipelines.sources.stage_incidents``.

    Args:
        server: opened; not yet entered.
    """
    with workspace(con, folder) as (own, landing):
        got, began = _Got(), monotonic()
        asking = _Asking(own, landing, source, as_of, now, fetched)
        with server as asked:
            for part in asked.parts:
                asking.fetch(asked, part, got)
        # What happened while the server was asked is no future.
        times.prepare(own, as_of=as_of, now=now + timedelta(seconds=monotonic() - began))
        files = [*got.reports, *got.event_reports]
        said = [(NOT_FETCHED, *fault) for fault in got.unfetched] + [(PARTIAL, *note) for note in got.notes]
        rejects = Rejects(own, source.name, [*(file.name for file in files), *(what for _, what, _ in said)])
        for number, (reason, _, why) in enumerate(said, len(files)):
            rejects.add_whole(number, reason, why)
        incidents = land(own, got.reports, rejects, landing)
        events = land(own, got.event_reports, rejects, landing, first_no=len(got.reports))
        staged = stage_rows(
            own,
            source.name,
            Rows(incidents, range(len(got.reports))),
            Rows(events, range(len(got.reports), len(files))),
            rejects=rejects,
            folder=folder,
            time_zone="UTC",
            is_server=True,
        )
        path = asking.remembered(got, folder)
    unfetched, notes = (tuple(why for _, why in told) for told in (got.unfetched, got.notes))
    return replace(staged, unfetched=unfetched, notes=notes, fetched=path)


@dataclass(frozen=True)
class _Asking:
    """One night's questions to one server."""

    con: duckdb.DuckDBPyConnection
    landing: Path
    source: IncidentServer
    as_of: datetime
    now: datetime
    before: pl.DataFrame | None

    def question(self, part: str) -> str:
        """What is remembered of a part under; the settings of how it is reached are no part of it."""
        asked = self.source.model_dump(mode="json", exclude={"name", "access", *self.source.parts})
        return question(asked, part, signals=())

    def since(self, part: str) -> datetime:
        """From when on changes are asked for."""
        if self.before is not None:
            known = self.before.filter(query=self.question(part), day=EVER)["until"].to_list()
            if known:
                return min(max(known), self.as_of) - OVERLAP
        return whole_history(self.as_of, self.source.history_days).since

    def fetch(self, server: Asked, part: str, got: _Got) -> None:
        """Land the pages of a part; what fails ends it, and is kept as a fault."""
        since, through = self.since(part), None
        incidents = events = 0
        try:
            for number, page in enumerate(server.pages(part, since, self.now), start=1):
                self._land(f"{_of(server.name, part)}, page {number}", page, got)
                incidents, events = incidents + len(page.incidents), events + len(page.events)
                got.notes |= {(_of(server.name, part), note): None for note in page.notes}
                through = page.through or through
            through = self.now
        except NotFetchedError as error:
            left = f"changes since {through or since:%Y-%m-%d %H:%M}"
            got.unfetched.append((f"{_of(server.name, part)}, {left}", f"{error} ({left} are left open)"))
        got.told[part] = incidents, events
        if through is not None:
            got.through[part] = min(through, self.now, self.as_of)

    def _land(self, name: str, page: Page, got: _Got) -> None:
        for rows, parts, reports in (
            (page.incidents, INCIDENT_PARTS, got.reports),
            (page.events, EVENT_PARTS, got.event_reports),
        ):
            if rows:
                called = name if reports is got.reports else f"{name}, events"
                path = self.landing / f"{'incidents' if reports is got.reports else 'events'}-{len(reports)}.parquet"
                _frame(rows, parts).write_parquet(path)
                reports.append(landed_report(self.con, path, called, {}, parts))

    def remembered(self, got: _Got, folder: Path) -> Path:
        rows = [(self.question(part), EVER, through, False) for part, through in got.through.items()]
        counts = pl.DataFrame(
            [(self.question(part), EVER, *counted) for part, counted in got.told.items()],
            schema={"query": pl.String, "day": pl.Date, "series": pl.Int64, "samples": pl.Int64},
            orient="row",
        )
        return remember(folder, self.source.name, rows, counts)


def _of(server: str, part: str) -> str:
    return f"{server}, {part}" if part else server


def _frame(rows: Sequence[Row], parts: Mapping[str, Part]) -> pl.DataFrame:
    """Rows as texts; of what JSON can say and UTF-8 cannot, a replacement stands in."""
    return pl.DataFrame({name: list(_texts(rows, name)) for name in parts}, schema=dict.fromkeys(parts, pl.String))


def _texts(rows: Sequence[Row], name: str) -> Iterator[str | None]:
    for row in rows:
        value = row.get(name)
        yield None if value is None else value.encode("utf-8", "replace").decode()
