"""What a model is, and how a forecaster of points becomes one.

Belongs here: the two interfaces and the empirical error paths. Not here: any particular forecast.

A *point model* forecasts from as_of and from every past origin. The errors that it made at the origins, whole stretches
of them, are laid on tonight's forecast: so the uncertainty is measured and not assumed, and what the model does not
know (bursts, resets, clean-ups, drift) comes with its own shape in time.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from forecasting.history import DAY, History
from forecasting.paths import Paths


class Model(Protocol):
    """Turns the past of S series into sample paths.

    A series' paths depend on that series alone, bit for bit, and are the same every time.
    """

    @property
    def name(self) -> str: ...

    def paths(self, history: History) -> Paths: ...


class PointModel(Protocol):
    """Forecasts a single path from as_of and from each past origin."""

    @property
    def name(self) -> str: ...

    def forecast(self, history: History) -> np.ndarray:
        """float32 [S, 1 + K, H], unit-free and finite. Index 0 is tonight's, k that of 24 k hours ago.

        What it says at an origin rests on hours before that origin alone.
        """
        ...


def errors(history: History, forecast: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """What came, less what was forecast, at every origin; float32 [S, K, H].

    Stretches of the last week have not settled yet: where one ends at as_of, the stretch that begins a week before it
    (or the oldest, in a short history) is joined to its end. Errors then accumulate as in a random walk.

    Args:
        forecast: [S, 1 + K, H]. outcome: [S, K, H], NaN where not settled; what `History.after` gives.
    """
    error = outcome - forecast[:, 1:]
    K, H = history.origins, history.horizon_h
    oldest = K - np.argmax(history.usable[:, :0:-1], axis=1) if K else np.zeros(len(error), dtype=np.int64)
    rows = np.arange(len(error))
    for k in range(min(K, (H - 1) // DAY), 0, -1):
        settled = DAY * k
        follower = np.minimum(k + 7, np.maximum(oldest, k))
        end = np.median(error[:, k - 1, settled - 6 : settled], axis=1)
        for at in range(settled, H, settled):
            width = min(settled, H - at)
            error[:, k - 1, at : at + width] = end[:, None] + error[rows, follower - 1, :width]
            end = np.median(error[:, k - 1, at + width - min(6, width) : at + width], axis=1)
    return error
