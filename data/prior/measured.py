"""Measured fleets whose licence lets a prior learn from them, and what they teach.

Belongs here: which files those are, and the way from a file to lessons. Not here: the files, which lie elsewhere; only
what was learnt from them, mixed with everything else, ships.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from data.prior.teaching import teach
from features.grid import Grid, to_grid
from features.hourly import rollup
from forecasting.learnt.lessons import Lessons

EVERY_H = 61  # between origins: two days and a half, so that they meet every hour of the day
KEYS = ("source", "entity", "metric")


class MeasuredError(ValueError):
    """A file that cannot be learnt from; the message names it and says why, in one line."""


@dataclass(frozen=True)
class Measured:
    """A file DIR/metrics_<stem>.parquet of source, entity, metric, ts (UTC) and value.

    licence: of the repository that published it. family: files of one origin, which are left out together.
    """

    stem: str
    licence: str
    family: str

    def path(self, folder: Path) -> Path:
        return folder / f"metrics_{self.stem}.parquet"


OPEN = (
    Measured("tor_1aeo_rss", "Apache-2.0", "tor"),
    Measured("llm_software_aging_1min", "MIT", "llm_software_aging"),
    Measured("smd8_5min", "MIT", "interfusion"),
    Measured("asd12_5min", "MIT", "interfusion"),
    Measured("nab_real", "MIT", "nab"),
    Measured("ms_cloud_monitoring", "MIT", "ms_cloud_monitoring"),
    Measured("dc_traces_5min", "CC-BY-4.0", "dc_traces"),
)
"""What a prior may learn from. Licences that share alike, forbid uses, or are unstated are none of these."""


def without(left_out: Iterable[str]) -> tuple[Measured, ...]:
    """The open files but for the families of the stems named; another stem leaves out nothing."""
    named = set(left_out)
    families = {one.family for one in OPEN if one.stem in named}
    return tuple(one for one in OPEN if one.family not in families)


def measured_lessons(path: Path) -> Lessons:
    """What the series of a file teach about rises.

    Raises:
        MeasuredError: the file is not there, or no such file.
    """
    grid = read_grid(path)
    return teach(grid, range(0, grid.values.shape[1], EVERY_H))


def read_grid(path: Path) -> Grid:
    """All series of a file on one hourly grid, from its first hour to its last.

    Raises:
        MeasuredError: the file is not there, or no such file.
    """
    try:
        samples = pl.read_parquet(path, columns=[*KEYS, "ts", "value"]).filter(pl.col("value").is_finite())
        moment = pl.col("ts").dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
        samples = samples.with_columns(moment.alias("ts"), pl.col(KEYS).cast(pl.String))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise MeasuredError(f"{path}: cannot be learnt from: {str(error).splitlines()[0]}") from error
    if samples.is_empty():
        raise MeasuredError(f"{path}: cannot be learnt from: it holds no finite value")
    identified = samples.join(series_ids(samples), on=KEYS)
    with duckdb.connect() as connection:
        connection.register("identified", identified.select("series_id", "ts", "value"))
        hourly = connection.sql(rollup("identified")).pl()
    hours = hourly["hour"].to_numpy().astype("datetime64[h]")
    begin, end = hours.min(), hours.max() + 1
    return to_grid(hourly, end.astype("datetime64[us]").item(), int((end - begin).astype(np.int64)))


def series_ids(samples: pl.DataFrame) -> pl.DataFrame:
    """KEYS and series_id, uint64: a hash of the names; a row for each series of a file's samples."""
    keys = samples.select(KEYS).unique().sort(KEYS)
    ids = [blake2b(json.dumps(key).encode(), digest_size=8).digest() for key in keys.iter_rows()]
    return keys.with_columns(pl.Series("series_id", [int.from_bytes(one, "big") for one in ids], dtype=pl.UInt64))
