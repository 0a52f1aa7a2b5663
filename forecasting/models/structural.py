"""Prophet's model for whole batches: a trend that may bend, a day and a week, at a thousandth of Prophet's cost.

Belongs here: sample paths. Not here: the fit (``forecasting.models.structural_fit``), or which series it may serve
(``forecasting.tournament``).

The trend goes on bending as Prophet's does: at the rate at which it could bend in the past, by Laplace-distributed
changes of the mean magnitude found there. The noise is what the fit left over, whole stretches of it, as for Prophet
(``forecasting.models.prophet``).

The bends are drawn once and serve all series, each on its own scale: futures of different series are never compared, so
they may share their random numbers, and a series has the same paths alone and in company. Each bend comes with its
mirror image, so that chance favours neither direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.history import DAY, History
from forecasting.models.structural_fit import CHANGES, fit
from forecasting.paths import Paths

SAMPLES = 200
OUTLIER = 50.0  # in units of the spread: further out only misleads a least-squares fit
SEED = 2018


@dataclass(frozen=True)
class Structural:
    """Piecewise-linear trend, daily and weekly rhythm (Taylor & Letham, 2018), for all series at once."""

    name: str = "structural"
    samples: int = SAMPLES

    def paths(self, history: History, cut: int = 0) -> Paths:
        """Paths from as_of, or from `cut` days before it; they rest on hours before that alone."""
        past = history.held[:, : history.held.shape[1] - DAY * cut]
        values = np.clip(history.scale.standardise(past), -OUTLIER, OUTLIER)
        S, T = values.shape
        H = history.horizon_h
        found = fit(values)
        expected = found.trend(T + H) + found.rhythm(T + H)
        drawn = _stretches(np.nan_to_num(values - expected[:, :T]), T - found.kinks[:, 0], self.samples, H)
        drawn += expected[:, None, T:].astype(np.float32)
        for length in np.unique(found.length):
            rows = np.flatnonzero(found.length == length)
            drawn[rows] += _bends(length, self.samples, H) * found.mean_change[rows, None, None].astype(np.float32)
        weights = np.full((S, self.samples), 1 / self.samples, dtype=np.float32)
        days = np.count_nonzero(~np.isnan(values).reshape(S, -1, DAY), axis=2)[:, ::-1].astype(np.float64)
        evidence = days / days.sum(axis=1, keepdims=True)
        return Paths(drawn, weights, history.present[:, cut], history.scale, evidence)


def _stretches(left: np.ndarray, length: np.ndarray, count: int, hours: int) -> np.ndarray:
    """float32 [S, count, hours]: stretches of each row's last `length` hours that begin whole days before the end, the
    newest first, again and again. Rows shorter than one stretch are repeated.
    """
    S, T = left.shape
    needed = -(-hours // DAY)
    days = np.maximum(length // DAY, 1)
    back = np.arange(-max(T, DAY * needed), 0)
    column = T + back % (DAY * days[:, None]) - DAY * days[:, None]
    stretch = np.take_along_axis(left, column, axis=1).astype(np.float32)
    several = np.maximum(days - needed + 1, 1)
    start = len(back) - DAY * (needed + np.arange(count) % several[:, None])
    return sliding_window_view(stretch, hours, axis=1)[np.arange(S)[:, None], start]


def _bends(length: int, count: int, hours: int) -> np.ndarray:
    """float32 [count, hours]: how far trends depart whose slope changes by 1 an hour on average, where it changes.

    Prophet's way: any hour may change it, as often as there were places for a change in `length` hours of history.
    """
    rng = np.random.default_rng(SEED)
    shape = (-(-count // 2), hours)
    changes = rng.laplace(0, 1, shape) * (rng.uniform(size=shape) < (CHANGES + 1) / length)
    middle = (changes + np.pad(changes, ((0, 0), (1, 0)))[:, :-1]) / 2  # a change comes in the midst of an hour
    depart = np.cumsum(np.cumsum(middle, axis=1), axis=1)
    return np.concatenate([depart, -depart])[:count].astype(np.float32)
