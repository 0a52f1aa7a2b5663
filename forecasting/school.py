"""What a fleet's settled past teaches tonight's crossing model, and how well it would have answered lately.

Belongs here: who teaches (a sample of the fleet), which lessons count, and the examination on the newest of them. Not
here: what a lesson is, or how a model is fitted (``forecasting.learnt``).

The examination is honest: the newest settled fortnight is answered by a model that was learnt as if that fortnight lay
ahead, from outcomes that had settled before its first day. Tonight's model then learns from all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from features.grid import Grid
from forecasting.history import DAY
from forecasting.learnt.learning import learn_fleet
from forecasting.learnt.lessons import Lessons, hours, lessons, origins, settled, settling_h, together
from forecasting.learnt.model import CrossingModel, Prior
from forecasting.mapper import Mapper
from forecasting.options import ForecastingOptions
from forecasting.tables import CALIBRATION, HORIZONS

EXAMINED_DAYS = 14
SETTLING_H = settling_h(HORIZONS[-1])
BINS = 10
ALL = "all"


@dataclass(frozen=True)
class Class:
    """Some series, and the past moments at which they teach.

    grid: reaches back `history_days` before the first of the origins, or as far as there is any history.
    falling: bool [S], series whose danger lies below. metric: str [S].
    origins: hours since 1970.
    """

    grid: Grid
    falling: np.ndarray
    metric: np.ndarray
    origins: tuple[int, ...]
    history_days: int


@dataclass(frozen=True)
class Learnt:
    """Tonight's model, and the rows of forecasting.calibration."""

    model: CrossingModel
    calibration: pl.DataFrame


def teachers(series_id: pl.Series, options: ForecastingOptions) -> pl.Series:
    """A sample of the fleet, the same every night: the lowest ids, which are hashes; ascending."""
    return series_id.unique().sort().head(options.learning_series)


def timetable(as_of: datetime, options: ForecastingOptions) -> tuple[int, ...]:
    """The origins of which something has settled at as_of."""
    return tuple(origins(as_of, options.learning_days))


def teach(one: Class) -> Lessons:
    """All lessons of a class."""
    return together(lessons(one.grid, one.falling, at, one.history_days, metric=one.metric) for at in one.origins)


def gather(classes: Iterable[Class], mapper: Mapper, progress: Callable[[int], None] = lambda series: None) -> Lessons:
    """The lessons of many classes; progress is told how many series have been through."""
    parts = []
    for part in mapper.map(teach, classes):
        parts.append(part)
        progress(len(np.unique(part.series_id)))
    return together(parts)


def learn(prior: Prior, known: Lessons, as_of: datetime) -> Learnt:
    """Tonight's model from what has settled at as_of, and its examination."""
    known = settled(known, as_of)
    return Learnt(learn_fleet(prior, known), examine(prior, known, as_of))


def examine(prior: Prior, known: Lessons, as_of: datetime) -> pl.DataFrame:
    """The rows of forecasting.calibration: how answers about the newest settled fortnight compare with what came."""
    whole = known.take(np.flatnonzero(known.origin + SETTLING_H <= hours(as_of)))
    if len(whole) == 0:
        return pl.DataFrame(schema=CALIBRATION)
    asked = whole.take(np.flatnonzero(whole.origin > whole.origin.max() - EXAMINED_DAYS * DAY))
    model = learn_fleet(prior, settled(known, _moment(int(asked.origin.min()))))
    p = model.probabilities(asked.predictors, asked.kinds)
    about = {
        "as_of": as_of,
        "model": model.name,
        "prior": prior.name,
        "lessons": len(known),
        "learnt_from": _moment(int(known.origin.min())),
        "learnt_until": _moment(int(known.origin.max())),
    }
    rows = []
    for shape in [ALL, *sorted(set(asked.shape.tolist()) - {""})]:
        ours = np.full(len(asked), True) if shape == ALL else asked.shape == shape
        for h, horizon in enumerate(HORIZONS):
            told = ours & np.isfinite(asked.crossed[:, h])
            if told.any():
                rows.append(about | {"shape": shape, "horizon_h": horizon} | _marks(p[told, h], asked.crossed[told, h]))
    return pl.DataFrame(rows, schema=CALIBRATION).sort("shape", "horizon_h")


def _marks(p: np.ndarray, crossed: np.ndarray) -> dict[str, object]:
    """Brier scores and the reliability of probabilities p [N] against outcomes [N]."""
    came = crossed.astype(np.float64)
    tenth = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    bins = [
        {"p": float(p[ours].mean()), "share": float(came[ours].mean()), "n": int(ours.sum())}
        for tenth_ in range(BINS)
        if (ours := tenth == tenth_).any()
    ]
    return {
        "questions": len(p),
        "crossed": int(came.sum()),
        "mean_p": float(p.mean()),
        "brier": float(np.square(p - came).mean()),
        "climatology_brier": float(np.square(came.mean() - came).mean()),
        "calibration_error": sum(one["n"] * abs(one["p"] - one["share"]) for one in bins) / len(p),
        "bins": bins,
    }


def _moment(hours: int) -> datetime:
    return np.datetime64(hours, "h").astype("datetime64[us]").item()
