"""The benchmark's questions, their outcomes, and what a peer may see of each.

Belongs here: finding the data and ``crossing.py``, and reading them. The benchmark's own functions are imported from
its file, so its definitions are not repeated. Not here: answers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from peers import DAY, HISTORY_DAYS, Case

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
BENCH = Path(os.environ.get("FOREWARN_BENCH", SHARED / "bench"))
DATA = Path(os.environ.get("FOREWARN_DATA", SHARED / "data"))
STEMS = ("bitbrains_rnd_1h", "tor_1aeo_rss", "tomtalk_disk_1h", "mini_internet_disk_1d", "smd8_5min", "asd12_5min",
         "nab_real", "dc_traces_5min", "ms_cloud_monitoring")  # fmt: skip
KEYS = ["source", "entity", "metric"]
NIGHT = [*KEYS, "as_of"]
ON = [*NIGHT, "limit"]
EVERY_H = 72


class AbsentError(Exception):
    """The data or the benchmark are not on this machine; says which."""


@dataclass(frozen=True)
class Benchmark:
    """The nine sources.

    crossing: the module of crossing.py. paths: the metric files. hourly: KEYS, hour, value.
    truth: the ordinary questions with their outcomes. rises: the creeps, with event and hit_h.
    """

    crossing: Any
    paths: tuple[Path, ...]
    hourly: pl.DataFrame
    truth: pl.DataFrame
    rises: pl.DataFrame

    @cached_property
    def tasks(self) -> pl.DataFrame:
        """ON and headroom: what ``crossing.py tasks`` writes."""
        columns = [*ON, "headroom"]
        both = pl.concat([self.truth.select(columns), self.rises.select(columns)])
        return both.unique(ON, maintain_order=True)

    @cached_property
    def fleets(self) -> pl.DataFrame:
        """source, fleet: sources of fewer than 50 series are pooled, as the benchmark's macro averages do."""
        sizes = self.truth.group_by("source").agg(pl.struct(KEYS).n_unique().alias("series"))
        pooled = pl.when(pl.col("series") < 50).then(pl.lit("small fleets")).otherwise("source")
        return sizes.select("source", pooled.alias("fleet")).sort("source")

    def cases(self, tasks: pl.DataFrame) -> list[Case]:
        """The nights of some tasks, in order; each with all its limits, ascending."""
        grids = {key: (start, values) for key, start, values in self.crossing.grids(self.hourly)}
        nights = tasks.group_by(NIGHT).agg(pl.col("limit").unique().sort()).sort(NIGHT)
        return [
            _case(self.crossing, (source, entity, metric), as_of, limits, grids[source, entity, metric])
            for source, entity, metric, as_of, limits in nights.iter_rows()
        ]


def load(stems: Sequence[str] = STEMS) -> Benchmark:
    """Read metrics, make questions, settle them; some twenty seconds for all nine.

    Raises:
        AbsentError: a file is not there.
    """
    program, segments = BENCH / "crossing.py", DATA / "trend_segments.csv"
    paths = tuple(DATA / f"metrics_{stem}.parquet" for stem in stems)
    for path in (program, segments, *paths):
        if not path.is_file():
            raise AbsentError(
                f"{path}: not there; set FOREWARN_BENCH and FOREWARN_DATA to the folders of the benchmark"
            )
    crossing = _module(program)
    hourly = crossing.hourly([str(path) for path in paths], None)
    rises = crossing.creeps(hourly, str(segments))
    return Benchmark(crossing, paths, hourly, crossing.make(hourly, EVERY_H, answers=True), rises)


def sample(tasks: pl.DataFrame, fleets: pl.DataFrame, nights: int, seed: int = 0) -> pl.DataFrame:
    """The ordinary tasks of some nights, as many from each fleet: the first in an order that the seed draws.

    A larger sample of the same seed holds the smaller ones.
    """
    own = tasks.filter(pl.col("headroom") > 0).join(fleets, on="source")
    every = own.select("fleet", *NIGHT).unique()
    drawn = [_draw(seed, row) for row in every.select(NIGHT).iter_rows()]
    each = nights // fleets["fleet"].n_unique()
    chosen = every.with_columns(pl.Series("drawn", drawn)).sort("drawn").group_by("fleet").head(each)
    return own.join(chosen.select(NIGHT), on=NIGHT, how="semi").drop("fleet").sort(ON)


def _draw(seed: int, row: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(repr((seed, *row)).encode(), digest_size=8).digest()


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("crossing_benchmark", path)
    if spec is None or spec.loader is None:
        raise AbsentError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _case(
    crossing: Any, key: tuple[str, str, str], as_of: Any, limits: list[float], grid: tuple[int, np.ndarray]
) -> Case:
    start, values = grid
    night = np.datetime64(as_of.replace(tzinfo=None), "h")
    at = int(night.astype(np.int64)) - start
    past = values[max(0, at - HISTORY_DAYS * DAY) : at]
    observed = past[np.flatnonzero(~np.isnan(past))[0] :]
    return Case(key, night, observed, crossing.held(observed), np.array(limits))
