"""A small fleet in files, the forewarn command as people run it, and what a warehouse says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

WALL_CLOCK = {"run_id", "started_at", "finished_at", "changed_at", "applied_at", "versions"}
AS_OF = datetime(2026, 3, 2)
SETTINGS = """
sources:
  metrics:
    - {name: fleet, paths: [metrics/*.csv]}
  incidents:
    - {name: desk, paths: [incidents.csv]}
signals:
  own:
    - name: memory
      metric: mem
      title: memory in use
      unit: percent
      minimum: 0
      maximum: 100
      limits: [{name: critical, value: 90}]
services:
  - {name: shop, entities: [leaky, calm-*], owner: team-shop, tier: 1, runbook: "https://runbooks.example.com/shop"}
calendar: {first_night: 2026-02-20, as_of: 2026-03-02}
storage: {root: run}
forecasting: {prophet_series: 0, workers: 1}
tickets: {mode: live}
"""


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What was printed, without the lines of tables and without line breaks."""
        return " ".join(self.out.replace("│", " ").split())


@dataclass(frozen=True)
class Fleet:
    """A site in a folder: its settings, its files, its output."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "forewarn.yaml"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def forewarn(self, *arguments: str, timeout: float = 240) -> Finished:
        """The command, in a process of its own."""
        command = [sys.executable, "-m", "pipelines.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(), check=False)
        return Finished(done.returncode, done.stdout, done.stderr)

    def nightly(self, *arguments: str) -> Finished:
        return self.forewarn("nightly", "--config", str(self.config), *arguments)

    def contents(self) -> dict[str, list[tuple]]:
        """Every table's rows in order, without run ids and wall-clock columns."""
        return contents(self.run / "warehouse.duckdb")


def environment() -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "FOREWARN_CONFIG", "FOREWARN_HOME")}
    return own | {"OPENBLAS_NUM_THREADS": "1"}


def contents(path: Path) -> dict[str, list[tuple]]:
    con = duckdb.connect(path, read_only=True)
    try:
        found = {}
        for schema, table in con.sql("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall():
            columns = [row[0] for row in con.sql(f'DESCRIBE "{schema}"."{table}"').fetchall()]
            kept = ", ".join(f'"{column}"' for column in columns if column not in WALL_CLOCK)
            found[f"{schema}.{table}"] = con.sql(f'SELECT {kept} FROM "{schema}"."{table}" ORDER BY ALL').fetchall()
        return found
    finally:
        con.close()


def write_fleet(folder: Path) -> Fleet:
    """Five weeks, hourly: one leak that will reach 90 % within days, and some hosts that will not."""
    (folder / "metrics").mkdir(parents=True)
    (folder / "forewarn.yaml").write_text(SETTINGS)
    rng = np.random.default_rng(7)
    hours = np.arange(-24 * 35, 48)
    stamps = [(AS_OF + timedelta(hours=int(h))).replace(tzinfo=UTC).isoformat() for h in hours]
    series = {"leaky": 84 + hours * 0.1} | {f"calm-{n}": 40 + n + 3 * np.sin(hours / 24 * 2 * np.pi) for n in range(4)}
    for entity, level in series.items():
        values = np.minimum(level + rng.normal(0, 0.2, len(hours)), 100)
        frame = pl.DataFrame({"source": "prod", "entity": entity, "metric": "mem", "ts": stamps, "value": values})
        frame.with_columns(unit=pl.lit("percent")).write_csv(folder / "metrics" / f"{entity}.csv")
    created = [
        AS_OF - timedelta(days=int(d), hours=int(h))
        for d, h in zip(rng.integers(1, 200, 120), rng.integers(0, 24, 120), strict=True)
    ]
    took = rng.lognormal(8, 1, 120)
    pl.DataFrame(
        {
            "incident_id": [f"INC{n}" for n in range(120)],
            "title": ["=cmd|' /C calc'!A0 <script>alert(1)</script>"] * 120,
            "service": ["shop" if n % 2 else "mail" for n in range(120)],
            "severity": [str(1 + n % 3) for n in range(120)],
            "created_at": [f"{c.isoformat()}Z" for c in created],
            "acknowledged_at": [
                f"{(c + timedelta(seconds=s / 4)).isoformat()}Z" for c, s in zip(created, took, strict=True)
            ],
            "resolved_at": [f"{(c + timedelta(seconds=s)).isoformat()}Z" for c, s in zip(created, took, strict=True)],
        }
    ).write_csv(folder / "incidents.csv")
    return Fleet(folder)
