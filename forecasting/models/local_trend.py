"""The present level and slope continued: robust lines over the last hours, each restarted by a reset or step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import median
from forecasting.history import History

FEWEST_BINS = 4  # a slope over fewer is not taken


@dataclass(frozen=True)
class LocalTrend:
    """A Theil-Sen line through the means of `bins` equal parts of the last `window_h` hours, without the rhythm.

    Theil (1950), Sen (1968): the median of the slopes of all pairs, deaf to 29 % of outliers. Parts before the last
    reset or step do not count. Where too few parts are left, the present level is continued.
    """

    window_h: int
    bins: int

    @property
    def name(self) -> str:
        return f"local_trend_{self.window_h}h"

    def forecast(self, history: History) -> np.ndarray:
        values = history.before(history.level, self.window_h)
        width = self.window_h // self.bins
        parts = _means(values.reshape(*values.shape[:2], self.bins, width))
        began = self.window_h - width * np.arange(self.bins)  # hours from a part's begin to the origin
        parts = np.where(began <= history.broken[:, :, None], parts, np.float32(np.nan))
        middle = began - width / 2

        slope = self._slope(parts, middle)
        intercept = median(parts + slope[:, :, None] * middle)
        level = np.where(np.isnan(intercept) | (slope == 0), history.present, intercept)
        ahead = np.arange(history.horizon_h) + 0.5
        return (level[:, :, None] + slope[:, :, None] * ahead + history.rhythm).astype(np.float32)

    def _slope(self, parts: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """[S, 1 + K], per hour; 0 where too few parts are left."""
        early, late = np.triu_indices(self.bins, 1)
        slopes = (parts[:, :, late] - parts[:, :, early]) / (middle[early] - middle[late])
        enough = np.count_nonzero(~np.isnan(parts), axis=2) >= FEWEST_BINS
        return np.where(enough, np.nan_to_num(median(slopes)), 0.0)


def _means(values: np.ndarray) -> np.ndarray:
    """Along the last axis, over what was observed; NaN where nothing was."""
    seen = ~np.isnan(values)
    count = np.count_nonzero(seen, axis=-1)
    total = np.where(seen, values, 0).sum(axis=-1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
