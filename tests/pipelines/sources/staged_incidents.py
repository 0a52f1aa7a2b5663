"""A night of an incident source, staged and read back: what the tests of incident servers share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from features.incidents import as_of_view, durations
from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import IncidentSource
from pipelines.sources.incident_rows import StagedIncidents
from pipelines.sources.rejects import NOT_FETCHED

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)
AT = datetime(2026, 2, 20, 9)


@dataclass(frozen=True)
class Staged:
    """What was staged. A part of one incident (`row`, `seen`, `took`) is told only where there is no other."""

    counts: StagedIncidents
    incidents: pl.DataFrame
    events: pl.DataFrame
    rejects: pl.DataFrame
    fetched: pl.DataFrame

    @property
    def unfetched(self) -> list[str]:
        return list(self.counts.unfetched)

    @property
    def content(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.counts.incidents, self.counts.incident_events, self.counts.rejects)]

    @property
    def row(self) -> dict[str, Any]:
        return _only(self.incidents)

    @property
    def ids(self) -> list[int]:
        return sorted(map(int, self.incidents["incident_id"]))

    @property
    def states(self) -> list[tuple[datetime, str | None]]:
        return self.events.sort("changed_at", "event_no").select("changed_at", "state").rows()

    @property
    def why(self) -> str:
        """The one reason for which not all was fetched."""
        reject = _only(self.rejects)
        assert reject["reason"] == NOT_FETCHED
        return reject["detail"]

    def seen(self, as_of: datetime = AS_OF) -> dict[str, Any]:
        return _only(as_of_view(self.incidents, self.events, as_of))

    def took(self, as_of: datetime = AS_OF) -> dict[str, Any]:
        return _only(self.lasted(as_of))

    def lasted(self, as_of: datetime = AS_OF) -> pl.DataFrame:
        """How long each incident took."""
        return durations(as_of_view(self.incidents, self.events, as_of), as_of, self.events)


def stage_night(
    con: duckdb.DuckDBPyConnection,
    source: IncidentSource,
    folder: Path,
    night: str = "night",
    *,
    as_of: datetime = AS_OF,
    now: datetime | None = None,
    fetched: pl.DataFrame | None = None,
) -> Staged:
    """Stage into a folder's `night`, with settings of that folder. now: by default, as long after the cut as `NOW`."""
    counts = sources.stage_incidents(
        con, source, parse("", folder), as_of=as_of, now=now or as_of + (NOW - AS_OF), folder=folder / night,
        fetched=fetched,
    )  # fmt: skip
    assert counts.fetched is not None
    paths = (counts.incidents, counts.incident_events, counts.rejects, counts.fetched)
    return Staged(counts, *(pl.read_parquet(path) for path in paths))


def _only(rows: pl.DataFrame) -> dict[str, Any]:
    (row,) = rows.iter_rows(named=True)
    return row
