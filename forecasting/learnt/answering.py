"""The crossing model's answers about a batch: probability, expected time, and how often it came so far before.

Belongs here: from a grid and its limits to answers, each limit in its own direction and duration. Not here: the words
for them (``forecasting.explain``), or rows (``forecasting.assessment``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from features.grid import Grid
from forecasting.crossing import already_crossed, arrival
from forecasting.history import DAY, hold
from forecasting.learnt.calibration import Kinds
from forecasting.learnt.lines import straightness
from forecasting.learnt.model import CrossingModel
from forecasting.learnt.past import Past, look
from forecasting.learnt.questions import predictors
from forecasting.tables import HORIZONS


@dataclass(frozen=True)
class Answers:
    """One row a limit, in the order of the limits.

    p: float64 [R, len(HORIZONS)] in [0, 1], never decreasing along the horizons; 1 where already crossed.
    eta_h: float64 [R, 3], hours from as_of to the crossing at its 10th, 50th and 90th percentile, given that it comes
        within the longest horizon.
    crossed: bool [R], whether it is beyond the limit right now.
    eves, went_so_far: int64 [R]: past days whose following week is known, and those of them after which the series rose
        (or fell) as far as it would have to now.
    straight: float64 [R] in [0, 1], how plainly the series climbs in a straight line (``forecasting.learnt.lines``).
    """

    p: np.ndarray
    eta_h: np.ndarray
    crossed: np.ndarray
    eves: np.ndarray
    went_so_far: np.ndarray
    straight: np.ndarray

    def fill(self, at: np.ndarray, part: Answers) -> None:
        """Write the answers of some limits to their places `at`."""
        for name in Answers.__dataclass_fields__:
            getattr(self, name)[at] = getattr(part, name)


def answer(grid: Grid, limits: pl.DataFrame, model: CrossingModel, history_days: int, kinds: Kinds) -> Answers:
    """What the model says about limits of a batch's series.

    Args:
        limits: row (of the grid), direction, lasts_h, value, which may be infinite.
        history_days: how far back it may look.
        kinds: of the grid's series.

    An answer depends on its own series and limit alone, bit for bit.
    """
    R = len(limits)
    found = Answers(
        p=np.zeros((R, len(HORIZONS))),
        eta_h=np.zeros((R, 3)),
        crossed=np.zeros(R, dtype=bool),
        eves=np.zeros(R, dtype=np.int64),
        went_so_far=np.zeros(R, dtype=np.int64),
        straight=np.zeros(R),
    )
    values = grid.values[:, -DAY * history_days :]
    numbered = limits.select("row", "direction", "lasts_h", "value").with_row_index("at")
    for part in numbered.partition_by("direction", "lasts_h", maintain_order=True):
        at, row = part["at"].to_numpy(), part["row"].to_numpy()
        sign = 1.0 if part["direction"][0] == "up" else -1.0
        value = sign * part["value"].to_numpy()
        found.fill(at, _answer_alike(model, sign * values, row, value, part["lasts_h"][0], kinds=kinds.take(row)))
    return found


def _answer_alike(
    model: CrossingModel, values: np.ndarray, row: np.ndarray, limit: np.ndarray, lasts_h: int, *, kinds: Kinds
) -> Answers:
    """Answers about limits of one direction and duration; upwards is danger. `kinds` are the limits'."""
    asked, row = np.unique(row, return_inverse=True)
    past = look(values[asked], lasts_h)
    known = predictors(past, row, limit)
    p = model.probabilities(known, kinds)
    held = hold(np.where(np.isfinite(values[asked]), values[asked], np.nan))[row]
    crossed = already_crossed(held, limit, lasts_h, "up")
    eves, went_so_far = _went(past, row, limit)
    eta_h = arrival(p, np.asarray(HORIZONS))
    return Answers(np.where(crossed[:, None], 1.0, p), eta_h, crossed, eves, went_so_far, straightness(known))


def _went(past: Past, row: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rise = past.ahead[-1][row] - past.levels[row]
    needed = (limit - past.level[row]) / past.spread[row]
    return np.count_nonzero(~np.isnan(rise), axis=1), np.count_nonzero(rise >= needed[:, None], axis=1)
