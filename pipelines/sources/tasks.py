"""Tasks: questions about series, moments and limits, as ``forewarn score`` is asked them.

Belongs here: the file, row by row, and which rows ask nothing that could be answered. Not here: answers.

An as_of within an hour counts as the beginning of that hour: the running hour is not known yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from forecasting.abstention import BEYOND_BOUNDS
from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.errors import reading_failed
from pipelines.sources.metric_hours import NAMES
from pipelines.sources.tables import column, find
from pipelines.sources.values import number, text

PARTS: Mapping[str, Part] = NAMES | {
    "as_of": Part(Kind.TIME, required=True),
    "limit": Part(Kind.NUMBER, required=True),
}
EARLIEST, LATEST = datetime(1971, 1, 1), datetime(9998, 1, 1)  # with room for a past and a future

NAMELESS = "no source, entity or metric"
NO_MOMENT = "no as_of"
NO_LIMIT = "no limit: not a number"
UNSEEN = "unknown series, or none of its samples lies before as_of"


@dataclass(frozen=True)
class Tasks:
    """A task file.

    given: its rows as they are.
    asked: one row for each, in the same order: source, entity, metric (text), as_of (naive UTC, on a full hour), moment
        (naive UTC, as given), limit (Float64), reason (why nothing can be answered, or null).
    """

    given: pl.DataFrame
    asked: pl.DataFrame


def read(con: duckdb.DuckDBPyConnection, path: Path) -> Tasks:
    """Read a task file.

    Raises:
        InputError: it cannot be used.
    """
    table = find(con, path, PARTS, "TASKS")
    names = ", ".join(f"{text(column(key))} AS {key}" for key in NAMES)
    try:
        asked = con.sql(
            f"""
            SELECT {names},
                   {times.instant(column("as_of"), table.types["as_of"], "UTC")} AS moment,
                   {number(column("limit"), table.types["limit"])} AS "limit"
            FROM {table.scan}
            """
        ).pl()
        given = pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise reading_failed(table.name, error) from error
    return Tasks(given, _judged(asked))


def _judged(asked: pl.DataFrame) -> pl.DataFrame:
    nameless = pl.any_horizontal(pl.col(name).is_null() for name in NAMES)
    timely = pl.col("moment").is_between(EARLIEST, LATEST)
    limit = pl.col("limit")
    reason = (
        pl.when(nameless).then(pl.lit(NAMELESS))
        .when(timely.not_() | timely.is_null()).then(pl.lit(NO_MOMENT))
        .when(limit.is_null() | limit.is_nan()).then(pl.lit(NO_LIMIT))
        .when(limit.is_infinite()).then(pl.lit(BEYOND_BOUNDS))
    )  # fmt: skip
    return asked.with_columns(pl.col("moment").cast(pl.Datetime("us"))).select(
        *NAMES, pl.col("moment").dt.truncate("1h").alias("as_of"), "moment", "limit", reason.alias("reason")
    )
