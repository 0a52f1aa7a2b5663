"""The present level, or the usual one, continued with its rhythm: the two forecasts that all others must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import median
from forecasting.history import DAY, History

USUAL_DAYS = 28  # days whose median is the usual level


@dataclass(frozen=True)
class LevelSeason:
    """The seasonal naive forecast around the present level: nothing changes but the hour of the week."""

    name: str = "level_season"

    def forecast(self, history: History) -> np.ndarray:
        return (history.present[:, :, None] + history.rhythm).astype(np.float32)


@dataclass(frozen=True)
class UsualWeek:
    """Back to the usual level at once: right for a noisy series that wanders around a mean."""

    name: str = "usual_week"

    def forecast(self, history: History) -> np.ndarray:
        S, T = history.level.shape
        before = _days_before(median(history.level.reshape(S, T // DAY, DAY)), history.origins)
        days = np.arange(USUAL_DAYS, 0, -1)  # how many days before the origin each began
        broken = -(-history.broken // DAY)[:, :, None]
        before = np.where(days < broken, before, np.nan)  # levels before a break are gone
        usual = median(before)
        level = np.where(np.isnan(usual), history.present, usual)
        return (level[:, :, None] + history.rhythm).astype(np.float32)


def _days_before(daily: np.ndarray, origins: int) -> np.ndarray:
    """[S, 1 + K, USUAL_DAYS], NaN before the history begins."""
    days = daily.shape[1]
    at = days - np.arange(origins + 1)[:, None] - np.arange(USUAL_DAYS, 0, -1)
    return np.where(at >= 0, daily[:, np.maximum(at, 0)], np.nan)
