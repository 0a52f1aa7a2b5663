"""From the warehouse's samples to the hours that a night is computed from, as frames.

Belongs here: the set-based reading that precedes the pure rooms, and the one place in which hours of known-bad windows
are hidden: whatever reads a gathered history does not see them. Not here: what is concluded from the hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import duckdb
import polars as pl

from features.grid import Grid, to_grid
from features.hourly import rollup
from features.known_bad import Masks, hide
from pipelines.frames import Frames
from pipelines.warehouse import quoted

BATCH = 500
"""Series a batch: enough to amortise, few enough to stay in cache and in memory."""


def roll_up(con: duckdb.DuckDBPyConnection, frames: Frames) -> int:
    """Hours of the days whose samples changed since they were last published.

    Writes the frames features.hourly and features.rolled_days (which to strike off raw.pending_days).

    Returns:
        Hours rolled up.
    """
    pending = """(
        SELECT samples.*
        FROM raw.samples
        JOIN raw.series USING (series_id)
        JOIN raw.pending_days AS pending ON pending.source = series.source AND pending.day = samples.ts::DATE
    )"""
    copy(con, frames, "features.hourly", rollup(pending))
    copy(con, frames, "features.rolled_days", "FROM raw.pending_days ORDER BY ALL")
    return frames.scan("features.hourly").select(pl.len()).collect().item()


def series_of(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """raw.series, ordered by series_id."""
    return con.sql("FROM raw.series ORDER BY series_id").pl()


HISTORY = "features.history"
TEACHERS = "features.teachers"
MASKED, SPANS = "features.known_bad_series", "features.known_bad_spans"
"""Frames of gathered hours: of every watched series, and further back of those that teach the crossing model; and of
what known-bad windows hide of them (``features.known_bad.Masks``).
"""


def gather(
    con: duckdb.DuckDBPyConnection,
    frames: Frames,
    series_ids: pl.Series,
    as_of: datetime,
    hours: int,
    *,
    name: str = HISTORY,
) -> None:
    """Write the hourly means of some series before `as_of`, published and just rolled up, as the frame `name`.

    Ordered by series and hour, so that batches of series are read in slices.
    """
    con.register("wanted", pl.DataFrame({"series_id": series_ids}).to_arrow())
    hours_before = hours_of(frames, as_of - timedelta(hours=hours), as_of)
    copy(con, frames, name, f"FROM {hours_before} SEMI JOIN wanted USING (series_id) ORDER BY ALL")


def grids(
    frames: Frames, series_ids: Sequence[int], as_of: datetime, hours: int, *, name: str = HISTORY, batch: int = BATCH
) -> Iterator[Grid]:
    """The gathered history in batches of series, each on one grid of `hours`; known-bad ones are not observed."""
    masked = read_masks(frames)
    for grid in measured_grids(frames, series_ids, as_of, hours, name=name, batch=batch):
        yield hide(grid, masked)


def measured_grids(
    frames: Frames, series_ids: Sequence[int], as_of: datetime, hours: int, *, name: str = HISTORY, batch: int = BATCH
) -> Iterator[Grid]:
    """The same as it was measured, known to be bad or not: for asking what known-bad windows hide."""
    history = frames.scan(name)
    for start in range(0, len(series_ids), batch):
        part = series_ids[start : start + batch]
        chunk = history.filter(pl.col("series_id").is_between(part[0], part[-1])).collect()
        yield to_grid(chunk, as_of, hours)


def write_masks(frames: Frames, masked: Masks) -> None:
    """Hide hours from here on."""
    frames.write(MASKED, masked.series)
    frames.write(SPANS, masked.spans)


def read_masks(frames: Frames) -> Masks:
    """What `write_masks` was given."""
    return Masks(frames.read(MASKED), frames.read(SPANS))


def latest_levels(
    con: duckdb.DuckDBPyConnection, frames: Frames, metrics: Sequence[str], as_of: datetime
) -> pl.DataFrame:
    """Series that serve as limits of others: source, entity, metric, labels, level (median of their last 24 hours).

    As measured: the size of a disk is what it is while somebody works on the host.
    """
    con.register("limit_metrics", pl.DataFrame({"metric": list(metrics)}, schema={"metric": pl.String}).to_arrow())
    return con.sql(
        f"""
        SELECT source, entity, metric, labels, median(mean) AS level
        FROM {hours_of(frames, as_of - timedelta(hours=24), as_of)}
        JOIN raw.series USING (series_id)
        SEMI JOIN limit_metrics USING (metric)
        GROUP BY ALL
        ORDER BY ALL
        """
    ).pl()


def hours_of(frames: Frames, first: datetime, as_of: datetime) -> str:
    """A relation of (series_id, hour, mean): the published hours of a window, overridden by what was just rolled up."""
    window = f"hour >= {quoted(first.isoformat())}::TIMESTAMP AND hour < {quoted(as_of.isoformat())}::TIMESTAMP"
    fresh = f"SELECT series_id, hour, mean FROM read_parquet({quoted(frames.path('features.hourly'))}) WHERE {window}"
    return f"""(
        SELECT series_id, hour, mean
        FROM (FROM features.hourly WHERE {window}) ANTI JOIN ({fresh}) USING (series_id, hour)
        UNION ALL
        {fresh}
    )"""


def seen_hours_of(frames: Frames, first: datetime, as_of: datetime) -> str:
    """The same without the hours that known-bad windows hide (``write_masks``)."""
    masked, spans = (f"read_parquet({quoted(frames.path(name))})" for name in (MASKED, SPANS))
    return f"""(
        SELECT series_id, hour, mean
        FROM {hours_of(frames, first, as_of)} AS measured
        WHERE NOT EXISTS (
            FROM {masked} AS masked
            JOIN {spans} AS spans USING (mask)
            WHERE masked.series_id = measured.series_id AND hour >= starts_at AND hour < ends_at
        )
    )"""


def copy(con: duckdb.DuckDBPyConnection, frames: Frames, name: str, query: str) -> None:
    """The rows of a query as a frame."""
    with frames.writing(name) as path:
        con.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
