"""Metric files straight to hourly means, without a warehouse: what ``forewarn score`` reads.

Samples are judged as a night judges them (see ``metric_rows``): finite numbers at a readable time; one value a series
and second, the largest. Times without a zone are UTC here. Columns that play no part are ignored, so a series is its
source, entity and metric.

Belongs here: files in, hours out. Not here: what is asked of the hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from features.hourly import rollup
from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.errors import reading_failed
from pipelines.sources.identity import series_id
from pipelines.sources.sql import parquet, registered, write
from pipelines.sources.tables import Table, column, find
from pipelines.sources.values import number, text
from pipelines.warehouse import Warehouse

KEYS = ("source", "entity", "metric")
NAMES = {key: Part(Kind.TEXT, required=True) for key in KEYS}
PARTS = NAMES | {"ts": Part(Kind.TIME, required=True), "value": Part(Kind.NUMBER, required=True)}
MEMORY = "1GiB"
SERIES = {"series_id": pl.UInt64, **dict.fromkeys(KEYS, pl.String)}
FOREVER = datetime(9999, 12, 31)


@dataclass(frozen=True)
class Hours:
    """Hourly means in a file that lives as long as the block of `read`.

    series: series_id, source, entity, metric, first_hour (naive UTC); every series with a sample, by series_id.
    unusable: rows that hold no sample: without a name, a readable time or a finite value.
    """

    series: pl.DataFrame
    unusable: int
    _file: Path

    def of(self, series_id: Sequence[int]) -> pl.DataFrame:
        """series_id, hour, mean of some series, given in ascending order."""
        if not series_id:
            return pl.DataFrame(schema={"series_id": pl.UInt64, "hour": pl.Datetime("us"), "mean": pl.Float64})
        ids = pl.Series(series_id, dtype=pl.UInt64)
        own = pl.col("series_id").is_between(series_id[0], series_id[-1]) & pl.col("series_id").is_in(ids.implode())
        return pl.scan_parquet(self._file, glob=False).filter(own).select("series_id", "hour", "mean").collect()


@contextmanager
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that spills to a folder of its own, in UTC, and knows how times are read."""
    with TemporaryDirectory(prefix="forewarn-") as folder, Warehouse(Path(folder), MEMORY).scratch() as con:
        times.prepare(con, as_of=FOREVER, now=FOREVER)
        yield con


@contextmanager
def read(con: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Iterator[Hours]:
    """The hours of all files together.

    Raises:
        InputError: a file cannot be used.
    """
    tables = [find(con, path, PARTS, "METRICS") for path in paths]
    with TemporaryDirectory(prefix="forewarn-") as folder:
        judged = [Path(folder) / f"{number_}.parquet" for number_ in range(len(tables))]
        kept = sum(_judge(con, table, path) for table, path in zip(tables, judged, strict=True))
        total = sum(_count(con, table) for table in tables)
        hours = Path(folder) / "hours.parquet"
        write(con, rollup(ONE_A_SECOND.format(judged=parquet(*judged))), hours)
        for path in judged:
            path.unlink()
        yield Hours(_series(con, hours), total - kept, hours)


ONE_A_SECOND = "(SELECT series_id, ts, max(value) AS value FROM {judged} GROUP BY ALL)"


def _judge(con: duckdb.DuckDBPyConnection, table: Table, target: Path) -> int:
    """Write a file's samples, typed and narrow; how many there are."""
    names = ", ".join(f"{text(column(key))} AS {key}" for key in KEYS)
    instant = times.instant(column("ts"), table.types["ts"], "UTC")
    try:
        found = con.execute(f"SELECT DISTINCT {names} FROM {table.scan}").fetchall()
        con.execute("CREATE TABLE IF NOT EXISTS known (series_id UBIGINT, source TEXT, entity TEXT, metric TEXT)")
        rows = [(series_id(s, e, m, {}), s, e, m) for s, e, m in found if s and e and m]
        with registered(con, "found", pl.DataFrame(rows, SERIES, orient="row")):
            con.execute("INSERT INTO known FROM found ANTI JOIN known USING (series_id)")
        return write(
            con,
            f"""
            SELECT series_id, date_trunc('second', instant)::TIMESTAMP_S AS ts, value
            FROM (
                SELECT {names}, {instant} AS instant, {number(column("value"), table.types["value"])} AS value
                FROM {table.scan}
            )
            JOIN known USING ({", ".join(KEYS)})
            WHERE instant IS NOT NULL AND isfinite(value)
            """,
            target,
        )
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise reading_failed(table.name, error) from error


def _count(con: duckdb.DuckDBPyConnection, table: Table) -> int:
    return con.execute(f"SELECT count(*) FROM {table.scan}").fetchall()[0][0]


def _series(con: duckdb.DuckDBPyConnection, hours: Path) -> pl.DataFrame:
    return con.sql(
        f"""
        SELECT series_id, source, entity, metric, min(hour)::TIMESTAMP AS first_hour
        FROM {parquet(hours)} JOIN known USING (series_id)
        GROUP BY ALL
        ORDER BY series_id
        """
    ).pl()
