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

JOINT_H = 6  # hours whose median is where a stretch ended


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

    Stretches of the last days have not settled yet. One of k days is continued by the first k days of the stretch that
    began 2 k days ago, then of that from 3 k days ago, and so on (in a short history, of the oldest): the newest past,
    each part of it once, going on from where the one before it ended. Errors then accumulate as in a random walk.

    Args:
        forecast: [S, 1 + K, H]. outcome: [S, K, H], NaN where not settled; what `History.after` gives.
    """
    error = outcome - forecast[:, 1:]
    K, H = history.origins, history.horizon_h
    start = (history.present + history.rhythm[:, :, 0] - forecast[:, :, 0]).astype(np.float32)[:, 1:]
    oldest = K - np.argmax(history.usable[:, :0:-1], axis=1)  # K where none is usable
    rows = np.arange(len(error))
    for k in range(1, min(K, (H - 1) // DAY) + 1):
        for at in range(DAY * k, H, DAY * k):
            end = np.median(error[:, k - 1, at - JOINT_H : at], axis=1)
            follower = np.clip(k + at // DAY, k, np.maximum(oldest, k)) - 1
            width = min(DAY * k, H - at)
            went_on = error[rows, follower, :width] - start[rows, follower, None]
            error[:, k - 1, at : at + width] = end[:, None] + went_on
    return error
