"""The forecasts that every textbook begins with (Hyndman & Athanasopoulos, 2021, 5.2): standards to measure against.

None of them is a member of the ensemble. Added to it, each changed the pinball loss over held-out weeks of five real
fleets by -2.7 to +1.5 % (all three together: -0.9 % on average), for a sixth more time and memory each; what they say,
`level_season`, the local lines and the structural model say already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import median
from forecasting.history import DAY, PRESENT_H, History

WEEK = 7 * DAY
FEWEST_DRIFT_H = 2 * DAY  # a change over less says nothing about days


@dataclass(frozen=True)
class Naive:
    """The present level, for ever."""

    name: str = "naive"

    def forecast(self, history: History) -> np.ndarray:
        return np.repeat(history.present[:, :, None], history.horizon_h, axis=2).astype(np.float32)


@dataclass(frozen=True)
class SeasonalNaive:
    """Each hour as the same hour a week before; where that lies before the history, the present level.

    An hour that was not observed has the level before it and the rhythm of its hour (see ``forecasting.history``).
    """

    name: str = "seasonal_naive"

    def forecast(self, history: History) -> np.ndarray:
        week = history.before(history.values, WEEK)
        week = np.where(np.isnan(week), history.present[:, :, None], week)
        return week[:, :, np.arange(history.horizon_h) % WEEK].astype(np.float32)


@dataclass(frozen=True)
class Drift:
    """The present level, changing as it did on average since the last reset or step (or the first reading)."""

    name: str = "drift"

    def forecast(self, history: History) -> np.ndarray:
        S, T = history.values.shape
        ends = T - DAY * np.arange(history.origins + 1)
        first = np.argmax(history.seen, axis=1)[:, None]
        began = np.maximum(ends - history.broken, first)
        lasted = ends - began
        opening = np.minimum(began[:, :, None] + np.arange(PRESENT_H), T - 1)
        before = median(history.carried[np.arange(S)[:, None, None], opening])
        enough = lasted >= FEWEST_DRIFT_H
        apart = np.where(enough, lasted - PRESENT_H, 1)  # between the middles of the first and of the last six hours
        slope = np.where(enough, (history.present - before) / apart, 0.0)
        ahead = np.arange(history.horizon_h) + PRESENT_H / 2
        return (history.present[:, :, None] + slope[:, :, None] * ahead + history.rhythm).astype(np.float32)
