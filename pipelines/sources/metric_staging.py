"""What every metric source leaves behind: series with their ids, samples, rejects and counts.

Belongs here: identities, and the way from judged rows to staged files. Not here: how rows are read and judged, which is
each source's own.

Rows are *judged* when each has its number (of a file, a query or an item), its combination of names and labels,
instant, value and verdict: NULL where nothing is wrong with it, `HELD_BACK` where it is a later night's, else a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.sources.errors import InputError
from pipelines.sources.identity import canonical_json, identity_labels, series_id
from pipelines.sources.rejects import HELD_BACK, Rejects
from pipelines.sources.sql import write


@dataclass(frozen=True)
class StagedMetrics:
    """What one source gave: Parquet files, and how many rows were what (see ``metric_rows``).

    series: series_id, source, entity, metric, labels (canonical JSON of the identity labels), unit; by series_id.
        Only series with a staged sample.
    samples: series_id, ts (naive UTC, whole seconds), value; by day, series_id, ts.
    rejects: source, file, file_row, reason, detail.
    """

    series: Path
    samples: Path
    rejects: Path
    read: int
    staged: int
    duplicates: int
    conflicts: int
    held_back: int
    rejected: Mapping[str, int]
    """Reason -> rows."""
    fetched: Path | None = None
    """The columns of `FETCHED`: what was asked for over a network; None where nothing is remembered."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """What a server was asked, as counts of the run: name -> how often."""


FETCHED = {
    "source": pl.String,
    "query": pl.String,
    "day": pl.Date,
    "until": pl.Datetime("us"),
    "complete": pl.Boolean,
    "series": pl.Int64,
    "samples": pl.Int64,
}
"""raw.fetched without its run: a question, a UTC day, how far into it was asked, and whether more can come."""


IDENTIFIED = """
    CREATE OR REPLACE TEMP TABLE identified (
        combination BIGINT, series_id UBIGINT,
        source VARCHAR, entity VARCHAR, metric VARCHAR, labels VARCHAR, unit VARCHAR
    )
"""
IDENTITY = {
    "combination": pl.Int64,
    "series_id": pl.UInt64,
    "source": pl.String,
    "entity": pl.String,
    "metric": pl.String,
    "labels": pl.String,
    "unit": pl.String,
}


def identify(
    source: str,
    entity: str | None,
    metric: str | None,
    unit: str | None,
    labels: dict[str, str],
    *,
    signals: Sequence[Signal],
) -> tuple[int | None, str, str | None, str | None, str | None, str | None]:
    """A combination's row of `IDENTIFIED`, without its number.

    Args:
        labels: all that it has; only those that are identity stay.
    """
    if entity is None or metric is None:
        return None, source, entity, metric, None, unit
    identity = identity_labels(entity, metric, labels, signals)
    key = series_id(source, entity, metric, identity)
    return key, source, entity, metric, canonical_json(identity), unit


SAMPLES = """
    SELECT series_id, ts, value
    FROM (
        -- date_trunc and not a cast alone, which would round up to a second that may lie at as_of.
        SELECT series_id, date_trunc('second', instant)::TIMESTAMP_S AS ts, max(value) AS value
        FROM {judged} JOIN identified USING (combination)
        WHERE verdict IS NULL
        GROUP BY ALL
    )
    ORDER BY ts::DATE, series_id, ts
"""
DISTINCT_SAMPLES = """
    SELECT count(*)
    FROM (
        SELECT DISTINCT series_id, date_trunc('second', instant), value
        FROM {judged} JOIN identified USING (combination)
        WHERE verdict IS NULL
    )
"""
SERIES = """
    -- Several combinations are one series where labels churn; the first unit in order stays.
    SELECT series_id, source, entity, metric, labels, min(unit) AS unit
    FROM identified SEMI JOIN ({sampled}) USING (combination)
    WHERE series_id IS NOT NULL
    GROUP BY ALL
    ORDER BY series_id
"""


def settle(con: duckdb.DuckDBPyConnection, judged: str, rejects: Rejects, folder: Path) -> StagedMetrics:
    """From judged rows to staged files.

    Args:
        con: has the table `IDENTIFIED`, filled.
        judged: a scan of the rows: file_no, file_row, combination, instant, value, verdict, detail.
        folder: where the files go.

    Raises:
        InputError: the rows are of other combinations than those that were identified.
    """
    read, good, known, held_back = con.execute(
        f"""
        SELECT count(*),
               count(*) FILTER (WHERE verdict IS NULL),
               count(*) FILTER (WHERE verdict IS NULL AND combination IS NOT NULL),
               count(*) FILTER (WHERE verdict = '{HELD_BACK}')
        FROM {judged}
        """
    ).fetchall()[0]
    if known < good:
        raise InputError("files changed while they were read; run the night again")
    broken = sum(rejects.counts().values())
    rejects.add_from(
        f"SELECT file_no, file_row, verdict AS reason, detail FROM {judged} WHERE verdict <> '{HELD_BACK}'"
    )
    rejects.write(folder / "rejects.parquet")
    staged = write(con, SAMPLES.format(judged=judged), folder / "samples.parquet")
    write(con, SERIES.format(sampled=f"FROM {judged} WHERE verdict IS NULL"), folder / "series.parquet")
    distinct = con.execute(DISTINCT_SAMPLES.format(judged=judged)).fetchall()[0][0] if staged < good else good
    return StagedMetrics(
        series=folder / "series.parquet",
        samples=folder / "samples.parquet",
        rejects=folder / "rejects.parquet",
        read=read + broken,
        staged=staged,
        duplicates=good - distinct,
        conflicts=distinct - staged,
        held_back=held_back,
        rejected=rejects.counts(),
    )
