"""A fleet of any size to time things on: 90 days of hours, 2 % of them missing, a limit for each series.

Belongs here: values whose cost is like that of real ones. Not here: anything that accuracy is judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from peers import DAY, HISTORY_DAYS, Case

from features.grid import Grid
from features.signals import Signal
from forecasting.batch import Batch
from forecasting.options import ForecastingOptions
from forecasting.school import Class, timetable
from forecasting.tables import LIMITS, MISSING

AS_OF = datetime(2026, 6, 1)
HOURS = HISTORY_DAYS * DAY
CHUNK = 500  # series a batch, as the night's
TEACHING_CHUNK = 250
SINGLE_GAPS = 0.01
OUTAGE_H = 22  # and another percent in one piece
METRIC = "any"
SIGNAL = Signal.model_validate({"name": "any", "metric": "*", "limits": [{"name": "critical", "value": 1}]})


@dataclass(frozen=True)
class StoredFleet:
    """`series` series in a file of float32 rows: read batch by batch, as a night reads its history."""

    path: Path
    series: int

    def batches(self) -> Iterator[Batch]:
        for first in range(0, self.series, CHUNK):
            yield batch(first, self._read(first, min(CHUNK, self.series - first)))

    def classes(self, options: ForecastingOptions) -> Iterator[Class]:
        """Those that teach the crossing model, as a night whose history is no longer than this."""
        teaching = min(self.series, options.learning_series)
        for first in range(0, teaching, TEACHING_CHUNK):
            yield lesson(first, self._read(first, min(TEACHING_CHUNK, teaching - first)), options)

    def _read(self, first: int, count: int) -> np.ndarray:
        flat = np.fromfile(self.path, np.float32, count * HOURS, offset=4 * first * HOURS)
        return flat.reshape(count, HOURS).astype(np.float64)


def store(folder: Path, series: int) -> StoredFleet:
    """Write a fleet; the first series of a larger one are those of a smaller one."""
    path = folder / f"{series}.f32"
    with path.open("wb") as file:
        for first in range(0, series, CHUNK):
            draw(first)[: series - first].tofile(file)
    return StoredFleet(path, series)


def draw(first: int) -> np.ndarray:
    """float32 [CHUNK, HOURS]: rhythm, wander and noise for all; a trend, a sawtooth or steps for some."""
    rng = np.random.default_rng([20260601, first])
    hour = np.arange(HOURS)
    own = rng.uniform(size=(6, CHUNK, 1))
    daily = 10 * own[0] * np.sin((hour + DAY * own[1]) * 2 * np.pi / DAY)
    weekly = 4 * own[2] * np.sin(hour * 2 * np.pi / (7 * DAY))
    wander = np.cumsum(rng.normal(0, 0.1, (CHUNK, HOURS)), axis=1)
    values = 40 + 30 * own[3] + daily + weekly + wander + rng.normal(0, 1, (CHUNK, HOURS))
    kind, pace = np.arange(CHUNK) % 10, 20 * own[4] / HOURS
    values[kind == 1] += (pace * hour)[kind == 1]
    period = np.round(DAY * (1 + 20 * own[5]))
    values[kind == 2] += (30 * (hour % period) / period)[kind == 2]
    values[kind == 3] += (15 * (hour > HOURS * own[5]))[kind == 3]
    values[rng.uniform(size=values.shape) < SINGLE_GAPS] = np.nan
    start = rng.integers(0, HOURS - OUTAGE_H, (CHUNK, 1))
    values[(hour >= start) & (hour < start + OUTAGE_H)] = np.nan
    return values.astype(np.float32)


def limits(values: np.ndarray) -> np.ndarray:
    """float64 [S]: the benchmark's with headroom 1, a day's median and a week's spread above it."""
    low, high = np.nanpercentile(values[:, -7 * DAY :], [5, 95], axis=1)
    return np.nanmedian(values[:, -DAY:], axis=1) + np.fmax(high - low, 0.01)


def batch(first: int, values: np.ndarray) -> Batch:
    """Rows `first`... of a fleet, as the night hands them on."""
    ids = np.arange(first + 1, first + 1 + len(values), dtype=np.uint64)
    resolved = pl.DataFrame({"series_id": ids, "value": limits(values)}).with_columns(
        limit_name=pl.lit("critical"),
        valid_from=pl.lit(AS_OF),
        signal=pl.lit(SIGNAL.name),
        direction=pl.lit("up"),
        lasts_h=pl.lit(SIGNAL.lasts_hours),
        basis=pl.lit("set in the settings"),
    )
    return Batch(
        Grid(ids, AS_OF, values),
        pl.DataFrame({"series_id": ids, "metric": [METRIC] * len(ids), "unit": ["percent"] * len(ids)}),
        resolved.select(list(LIMITS)).cast(pl.Schema(LIMITS)),  # pyright: ignore[reportArgumentType]
        pl.DataFrame(schema=MISSING),
        (SIGNAL,),
    )


def lesson(first: int, values: np.ndarray, options: ForecastingOptions) -> Class:
    """Rows `first`... of a fleet, as the night has them teach."""
    ids = np.arange(first + 1, first + 1 + len(values), dtype=np.uint64)
    metric = np.full(len(ids), METRIC)
    return Class(
        Grid(ids, AS_OF, values),
        np.zeros(len(ids), dtype=bool),
        metric,
        timetable(AS_OF, options),
        options.history_days,
    )


def cases(count: int) -> list[Case]:
    """The first series, as peers see them."""
    values = draw(0)[:count].astype(np.float64)
    return [
        Case(("synthetic", str(row), "any"), np.datetime64(AS_OF, "h"), own[start:], own[start:], limit[None])
        for row, (own, limit) in enumerate(zip(values, limits(values), strict=True))
        for start in [int(np.flatnonzero(~np.isnan(own))[0])]
    ]
