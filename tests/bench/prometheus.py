"""From a real Prometheus into the warehouse: how long, against merely receiving the bytes, and how much memory.

    python tests/bench/prometheus.py [--series 1000] [--days 30] [--runs 3]

1,000 series, 30 days, every 5 minutes: 8.64 M samples, back-filled with promtool (Debian's package prometheus). In
turns, so that a shared machine's drift meets all alike: a plain client that receives the answers to the very queries
and throws them away; a first night's reading and first commit by query; the same by remote read; and the night after,
on a warehouse that holds the rest. Each of ours is a process of its own; memory is that of its whole tree, without the
server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import process_tree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from metric_servers import prometheus  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 3, 1)
STEP_S = 300
METRIC = "node_memory_used_ratio"
SETTINGS = """
sources: {{metrics: [{{name: prod, type: prometheus, url: "{url}", history_days: {days}, fast_path: {fast}}}]}}
signals:
  own: [{{name: memory, metric: memory, limits: [{{name: critical, value: 90}}], query: {{usage: {metric}}}}}]
storage: {{root: run}}
"""


def history(series: int, days: int) -> dict[str, Iterable[tuple[int, float]]]:
    """Daily rhythm and a random walk, to three decimals: what a gauge's chunks look like at their largest."""
    rng = np.random.default_rng(1)
    end = int(AS_OF.replace(tzinfo=UTC).timestamp())
    at = np.arange(end - days * 86_400, end, STEP_S)
    found = {}
    for n in range(series):
        walk = np.cumsum(rng.normal(0, 0.05, len(at)))
        values = np.round(50 + 20 * np.sin((at / 86_400 + n) * 2 * np.pi) + walk, 3)
        labels = f'{{instance="host-{n:04d}.example.com:9100",job="node",rack="r{n % 20}"}}'
        found[METRIC + labels] = zip(at.tolist(), values.tolist(), strict=True)
    return found


# ---------------------------------------------------------------------------------------------- in a process of its own


def night(folder: Path, as_of: datetime) -> None:
    """Read and commit as a night does, without the rest of it; prints the seconds of each, imports aside."""
    from pipelines.publishing.raw import StagedRaw, publish_raw  # noqa: PLC0415
    from pipelines.publishing.runs import Run  # noqa: PLC0415
    from pipelines.settings import load  # noqa: PLC0415
    from pipelines.sources import stage_metrics  # noqa: PLC0415
    from pipelines.sources.metric_staging import FETCHED  # noqa: PLC0415
    from pipelines.sources.prometheus import fetching  # noqa: PLC0415
    from pipelines.warehouse import Warehouse  # noqa: PLC0415

    settings = load(folder / "forewarn.yaml")
    warehouse = Warehouse(settings.root, settings.storage.memory_limit)
    warehouse.migrate()
    took = {}
    asked = fetching.Fetching.run

    def timed(self: fetching.Fetching, wanted: Any) -> fetching.Fetched:
        began = time.perf_counter()
        found = asked(self, wanted)
        took["fetch"] = time.perf_counter() - began
        return found

    fetching.Fetching.run = timed
    began = time.perf_counter()
    with warehouse.reader() as con:
        fetched = con.sql(f"SELECT {', '.join(FETCHED)} FROM raw.fetched").pl().cast(dict(FETCHED))
    with warehouse.scratch() as con:
        staged = stage_metrics(
            con, settings.sources.metrics[0], settings, settings.signals.all, as_of=as_of,
            now=as_of + timedelta(hours=2.5), folder=folder / "staged", fetched=fetched,
        )  # fmt: skip
    took["stage"] = time.perf_counter() - began
    with_services(staged.series)
    files = [staged.series], [staged.samples]
    with warehouse.writer() as con:
        run = Run(f"run-{as_of:%F}", as_of, as_of)
        raw = StagedRaw(*files, fetched=[folder / "staged" / "fetched.parquet"], answers=files[1])
        publish_raw(con, raw, run, settings.storage.retention)
    took["all"] = time.perf_counter() - began
    sys.stdout.write(json.dumps(took | {"samples": staged.staged, "asked": dict(staged.asked)}))


def with_services(path: Path) -> None:
    """As ``name_services`` does, whose module would import Dagster."""
    import polars as pl  # noqa: PLC0415

    pl.read_parquet(path).with_columns(service=pl.lit(None, pl.String)).write_parquet(path)


# ------------------------------------------------------------------------------------------------------------ the bench


def received(url: str, days: int, pieces: int) -> float:
    """Seconds that a plain client needs to receive the answers, one after the other, and to throw them away."""
    end = int(AS_OF.replace(tzinfo=UTC).timestamp())
    span = days * 86_400 // pieces
    began = time.perf_counter()
    with httpx.Client(timeout=300) as client:
        for first in range(end - days * 86_400, end, span):
            form = {
                "query": f"avg_over_time({METRIC}[5m])",
                "start": f"{first + STEP_S - 1}.999",
                "end": f"{first + span - 1}.999",
                "step": str(STEP_S),
            }
            headers = {"Accept-Encoding": "identity"}
            with client.stream("POST", f"{url}/api/v1/query_range", data=form, headers=headers) as response:
                response.raise_for_status()
                for _ in response.iter_raw():
                    pass
    return time.perf_counter() - began


def ours(folder: Path, as_of: datetime, url: str, days: int, *, fast: bool) -> dict:
    """A night in a process of its own, and its peak memory in MB."""
    folder.mkdir(exist_ok=True)
    text = SETTINGS.format(url=url, days=days, fast=str(fast).lower(), metric=METRIC)
    (folder / "forewarn.yaml").write_text(text)
    command = [sys.executable, __file__, "--night", str(folder), "--as-of", as_of.isoformat()]
    printed, peak = process_tree.run(command, {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})
    return json.loads(printed) | {"peak": (peak or float("nan")) * 1.024**3 * 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--night", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as-of", type=datetime.fromisoformat, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.night:
        night(options.night, options.as_of)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with prometheus(folder / "server", history(options.series, options.days)) as url:
            received(url, options.days, 6)  # what it reads from the disk is then in memory for all
            runs = [measured(folder / f"run-{n}", url, options.days) for n in range(options.runs)]
    samples = runs[0]["query"]["samples"]
    sys.stdout.write(f"{samples:,} samples; medians of {options.runs}\n")
    sys.stdout.write(f"{'':<26}{'fetch s':>9}{'stage s':>9}{'all s':>9}{'x receiving':>13}{'peak MB':>9}\n")
    receiving = statistics.median(run["receiving"] for run in runs)
    sys.stdout.write(f"{'receiving':<26}{receiving:>9.2f}\n")
    for way in ("query", "remote read", "the night after"):
        fetch, stage, all_, peak = (
            statistics.median(run[way][key] for run in runs) for key in ("fetch", "stage", "all", "peak")
        )
        ratio = statistics.median(run[way]["all"] / run["receiving"] for run in runs)
        sys.stdout.write(f"{way:<26}{fetch:>9.2f}{stage:>9.2f}{all_:>9.2f}{ratio:>13.2f}{peak:>9.0f}\n")
    faster = statistics.median(run["query"]["fetch"] / run["remote read"]["fetch"] for run in runs)
    sys.stdout.write(f"fetching by remote read is {faster:.2f} x as fast as by query\n")


def measured(folder: Path, url: str, days: int) -> dict:
    folder.mkdir()
    return {
        "receiving": received(url, days, 6),
        "query": ours(folder / "query", AS_OF, url, days, fast=False),
        "remote read": ours(folder / "remote", AS_OF, url, days, fast=True),
        "the night after": ours(folder / "remote", AS_OF + timedelta(days=1), url, days, fast=True),
    }


if __name__ == "__main__":
    main()
