"""The sample fleet: metrics, incidents and the truth about them, made from a seed so that a first run needs nothing.

    python -m data.sample_fleet --out DIR [--seed N]

Belongs here: writing the files, whole or not at all, and not again where they already lie. Not here: what is in them
(``data.fleet``).

    metrics/*.parquet                     long format, two months of 5-minute samples that end at the as-of
    incidents/incidents.csv               two years of incident records
    incidents/incident_events.csv         their status changes
    truth/crossings.parquet               what will cross a limit in the 14 days after the as-of, and when
    truth/past_crossings.parquet          what crossed one before
    truth/scenarios.parquet               the story of every series
    truth/incident_services.parquet       the distributions that the incidents' durations were drawn from
    fleet.json                            the stamp: version, seed and limits that made these files
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.fleet import incidents, samples, truth
from data.fleet.clock import AS_OF
from data.fleet.simulation import simulate

VERSION = 1
SEED = 20260601
STAMP = "fleet.json"


def generate(folder: Path, seed: int = SEED) -> None:
    """Write the sample fleet into `folder`, unless this very fleet is already there.

    Everything is written beside `folder` first and then renamed, so an interrupted run leaves no half fleet.

    Raises:
        FileExistsError: the folder holds something else.
    """
    stamp = _stamp(seed)
    if _is_there(folder, stamp):
        return
    if folder.exists() and any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise FileExistsError(f"{folder}: holds files that are not a sample fleet; name an empty or a new folder")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write(partial, seed)
    (partial / STAMP).write_text(stamp, encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _stamp(seed: int) -> str:
    limits = json.dumps([signal.model_dump(mode="json") for signal in truth.sample_signals()], sort_keys=True)
    digest = blake2b(limits.encode(), digest_size=8).hexdigest()
    return json.dumps({"version": VERSION, "seed": seed, "as_of": f"{AS_OF.isoformat()}Z", "limits": digest}) + "\n"


def _is_there(folder: Path, stamp: str) -> bool:
    try:
        return (folder / STAMP).read_text(encoding="utf-8") == stamp
    except FileNotFoundError:
        return False


def _write(folder: Path, seed: int) -> None:
    for room in ("metrics", "incidents", "truth"):
        (folder / room).mkdir(parents=True)
    fleet = simulate(seed)
    for month, table in samples.tables(fleet).items():
        _write_samples(table, folder / "metrics" / f"{month}.parquet")
    records, events = incidents.simulate(seed)
    records.write_csv(folder / "incidents" / "incidents.csv")
    events.write_csv(folder / "incidents" / "incident_events.csv")
    for name, frame in {
        "crossings": truth.crossings(fleet),
        "past_crossings": truth.past_crossings(fleet),
        "scenarios": truth.scenarios(fleet),
        "incident_services": incidents.services(),
    }.items():
        frame.write_parquet(folder / "truth" / f"{name}.parquet", compression="zstd")


def _write_samples(table: pa.Table, path: Path) -> None:
    """Names and values as dictionaries, times as differences: a third of the default's bytes."""
    coded: Any = [name for name in table.column_names if name != "ts"]  # its annotation knows bool only
    pq.write_table(table, path, compression="zstd", use_dictionary=coded, column_encoding={"ts": "DELTA_BINARY_PACKED"})


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m data.sample_fleet", description="Generate the sample fleet.")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder, or an earlier sample fleet")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    options = parser.parse_args(arguments)
    try:
        generate(options.out, options.seed)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
