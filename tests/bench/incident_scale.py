"""What the incident report costs on many incidents: seconds and peak memory of `forewarn report`.

    python tests/bench/incident_scale.py [--incidents 1000000] [--events] [--seed 0]

Makes three years of incidents as Parquet: log-normal times to resolve (sigma 1.5), 60 services of very unequal size, 12
teams, 4 severities, 20 categories, 400 entities, titles with numbers in them of which a few thousand kinds remain, and
what sources know beside (holds, agreements). With --events three status changes each, too. Then runs the command on
them in a process of its own and prints what it took. Asked of it: 60 s and 2 GiB for a million.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from process_tree import cpu_seconds, run

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 6, 1)
DAYS = 3 * 365
WORDS = ("latency", "errors", "disk full", "queue grows", "login fails", "job late", "certificate", "packet loss")
SETTINGS = """
sources:
  incidents:
    - name: desk
      paths: [incidents.parquet]
{events}
calendar: {{first_night: 2023-01-01, as_of: 2026-06-01, time_zone: Europe/Berlin}}
incidents:
  slices: [service, severity, team, category]
  goals: [{{measure: mttr, change: -0.2, from: 2026-03-01, by: 2026-12-31}}]
"""
EVENTS = "      events: {paths: [events.parquet]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="forewarn-bench-") as name:
        folder = Path(name)
        make(folder, asked.incidents, asked.events, asked.seed)
        command = [sys.executable, "-m", "pipelines.cli", "report", "--config", str(folder / "forewarn.yaml")]
        began, cpu = time.monotonic(), cpu_seconds()
        try:
            _, peak = run([*command, "--out", str(folder / "out")], {**os.environ, "PYTHONPATH": _path()})
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
        seconds, cpu = time.monotonic() - began, cpu_seconds() - cpu
        page = (folder / "out" / "mttr.html").stat().st_size / 1e6
    memory = "unknown" if peak is None else f"{peak:.2f} GiB"
    what = f"{asked.incidents:,} incidents{' with 3 status changes each' if asked.events else ''}"
    sys.stdout.write(f"{what}: {seconds:.0f} s ({cpu:.0f} s of CPU), at most {memory}, page of {page:.1f} MB\n")


def make(folder: Path, n: int, with_events: bool, seed: int) -> None:
    """incidents.parquet, events.parquet and forewarn.yaml."""
    rng = np.random.default_rng(seed)
    age_s = np.sort(rng.uniform(0, DAYS * 86_400, n))[::-1]
    took_s = np.round(rng.lognormal(9, 1.5, n))
    done = took_s < age_s
    created = np.datetime64(AS_OF, "ms") - (age_s * 1000).astype("timedelta64[ms]")
    resolved = np.where(done, created + (took_s * 1000).astype("timedelta64[ms]"), np.datetime64("NaT"))
    acknowledged = created + (took_s * rng.uniform(20, 300, n)).astype("timedelta64[ms]")
    service = np.minimum(rng.zipf(1.4, n), 60)
    entity, number = rng.integers(0, 400, n), rng.integers(0, 100_000, n)
    kind, detail = rng.integers(0, len(WORDS), n), rng.integers(0, 300, n)
    letters = np.array([chr(97 + k // 26 % 26) + chr(97 + k % 26) for k in range(300)])
    frame = pl.DataFrame({
        "incident_id": np.char.add("INC", np.arange(n).astype(str)),
        "created_at": created, "acknowledged_at": np.where(done, acknowledged, np.datetime64("NaT")),
        "resolved_at": resolved, "state": np.where(done, "closed", "active"),
        "service": np.char.add("service ", service.astype(str)), "entity": np.char.add("host-", entity.astype(str)),
        "team": np.char.add("team ", rng.integers(0, 12, n).astype(str)), "severity": rng.integers(1, 5, n).astype(str),
        "category": np.char.add("category ", rng.integers(0, 20, n).astype(str)),
        "reopen_count": (rng.random(n) < 0.05).astype(np.int32), "sla_met": rng.random(n) < 0.8,
        "on_hold_s": np.where(rng.random(n) < 0.2, took_s / 3, 0).astype(np.int32),
    })  # fmt: skip
    titles = pl.DataFrame({"kind": np.array(WORDS)[kind], "detail": letters[detail], "number": number})
    frame = frame.with_columns(titles.select(title=pl.format("{} on {} (request {})", "kind", "detail", "number")))
    stamps = ("created_at", "acknowledged_at", "resolved_at")
    frame.with_columns(pl.col(stamps).dt.replace_time_zone("UTC")).write_parquet(folder / "incidents.parquet")
    if with_events:
        states = zip(("New", "In Progress", "Resolved"), stamps, strict=True)
        events = [frame.select("incident_id", changed_at=stamp, state=pl.lit(state)) for state, stamp in states]
        log = pl.concat(events).drop_nulls().with_columns(pl.col("changed_at").dt.replace_time_zone("UTC"))
        log.write_parquet(folder / "events.parquet")
    (folder / "forewarn.yaml").write_text(SETTINGS.format(events=EVENTS if with_events else ""))


def _path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


if __name__ == "__main__":
    main()
