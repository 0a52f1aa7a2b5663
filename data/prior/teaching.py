"""What the series of a grid teach a prior at some past moments.

Belongs here: the terms on which every fleet teaches. Not here: where grids come from (``data.prior.fleets``,
``data.prior.measured``).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from features.grid import Grid
from forecasting.learnt.lessons import Lessons, lessons, together
from forecasting.options import ForecastingOptions
from forecasting.school import SETTLING_H

HISTORY_DAYS = ForecastingOptions().history_days  # what a night looks at by default


def teach(grid: Grid, columns: Iterable[int]) -> Lessons:
    """Lessons about rises at origins that are named by their column; what has not settled teaches nothing.

    A prior knows but one danger: whoever asks about falls turns the series round.
    """
    T = grid.values.shape[1]
    begin = int(grid.hours[0].astype(np.int64))
    upwards = np.zeros(len(grid.series_id), dtype=bool)
    settled = [column for column in columns if column + SETTLING_H <= T]
    return together(lessons(grid, upwards, begin + column, HISTORY_DAYS) for column in settled)
