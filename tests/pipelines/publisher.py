"""Small frames, published the way a night does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from features.hourly import rollup
from pipelines.publishing.raw import StagedRaw, publish_raw
from pipelines.publishing.results import NIGHTLY_TABLES, SETTLED_TABLES, StagedResults, publish_results
from pipelines.publishing.runs import Run
from pipelines.settings import Retention
from pipelines.warehouse import Warehouse

AS_OF = datetime(2026, 3, 1)
KEEP = Retention(raw_days=10, hourly_days=40)
HOUR = timedelta(hours=1)


def run_of(night: datetime, name: str = "run") -> Run:
    return Run(f"{name}-{night:%Y%m%d}", night, datetime(2026, 3, 1, 2, 30))


class Publisher:
    """Publishes small frames the way the nightly does, roll-up and empty results included."""

    def __init__(self, warehouse: Warehouse, folder: Path):
        self.warehouse = warehouse
        self.folder = folder
        self._n = 0

    def file(self, frame: pl.DataFrame) -> Path:
        self._n += 1
        path = self.folder / f"{self._n}.parquet"
        frame.write_parquet(path)
        return path

    def ingest(self, samples: list[tuple[int, datetime, float]], run: Run, *, answered: bool = False) -> dict[str, int]:
        ids = sorted({row[0] for row in samples})
        series = pl.DataFrame(
            [(i, "src", f"host-{i}", "mem", "{}", "percent", None) for i in ids],
            schema={"series_id": pl.UInt64}
            | dict.fromkeys(("source", "entity", "metric", "labels", "unit", "service"), pl.String),
            orient="row",
        )
        schema = {"series_id": pl.UInt64, "ts": pl.Datetime("us"), "value": pl.Float64}
        file = self.file(pl.DataFrame(samples, schema=schema, orient="row"))
        staged = StagedRaw([self.file(series)], [file], answers=[file] if answered else [])
        with self.warehouse.writer() as con:
            return publish_raw(con, staged, run, KEEP)

    def conclude(
        self, run: Run, rolled_days: Path | None = None, rejects: Sequence[Path] = (), **nightly: pl.DataFrame
    ) -> list[datetime]:
        with self.warehouse.reader() as con:
            pending = """(
                SELECT s.*
                FROM raw.samples AS s
                JOIN raw.series USING (series_id)
                JOIN raw.pending_days AS p ON p.source = series.source AND p.day = s.ts::DATE
            )"""
            hourly = con.sql(rollup(pending)).pl()
            days = con.sql("FROM raw.pending_days").pl()
            empty = {
                t: con.sql(f"FROM {t} LIMIT 0").pl()
                for t in ("forecasting.limits", "reports.feedback", "raw.known_bad", *NIGHTLY_TABLES, *SETTLED_TABLES)
            }
        told = empty | {table: nightly[name] for table in empty if (name := table.split(".")[1]) in nightly}
        frames, settled = ({t: self.file(told[t]) for t in kind} for kind in (NIGHTLY_TABLES, SETTLED_TABLES))
        limits, feedback = self.file(told["forecasting.limits"]), self.file(told["reports.feedback"])
        days_file, windows = rolled_days or self.file(days), self.file(told["raw.known_bad"])
        staged = StagedResults(self.file(hourly), days_file, limits, frames, settled, feedback, windows, rejects)
        with self.warehouse.writer() as con:
            return publish_results(con, staged, run, KEEP, {})

    def rows(self, query: str) -> list[tuple]:
        with self.warehouse.reader() as con:
            return con.sql(query).fetchall()
