"""Two opinions made one: the crossing model's, and that of the paths that are drawn for a series at risk.

Belongs here: how they are combined. Not here: the opinions (``forecasting.learnt``, ``forecasting.crossing``).

The crossing model has seen many fleets and is calibrated; the paths know this series' rhythm and errors hour by hour.
They are pooled in logits (the logarithmic opinion pool: Genest & Zidek, 1986). The weight of the paths grows from
nothing, at a probability too low to draw any, to a fifth, and to two for a series that plainly follows a line,
which is what paths know best: the crossing model has met too many lines that broke. Both may disagree by so much and no
more. So an answer changes gently with its limit, and does not hang on whether another limit of its series is at risk. A
longer horizon is never less probable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from forecasting.crossing import arrival, probability
from forecasting.history import History
from forecasting.learnt.answering import Answers
from forecasting.paths import Paths
from forecasting.tables import HORIZONS

# Within the longest horizon: paths are drawn from the first on, and weigh in full from the second.
AT_RISK, PLAIN_RISK = 0.03, 0.1
PATHS_WEIGHT = 0.2  # the rest is the crossing model's; anything from 0.1 to 0.3 does as well
LINE_WEIGHT = 0.4  # of paths of a series that plainly follows a line
LINES = ("trend", "leak_with_resets")
FURTHEST_APART = 3.0  # logits


@dataclass(frozen=True)
class Drawn:
    """Paths of S series, and the model that drew them.

    shape: str [S], of each series (``features.shapes``).
    """

    model: str
    history: History
    paths: Paths
    shape: np.ndarray


def pool(answers: Answers, limits: pl.DataFrame, drawn: Drawn) -> Answers:
    """The answers, those about the drawn series pooled with what their paths say.

    Args:
        limits: series_id, direction, lasts_h, value; answers are in their order.
    """
    rows = pl.DataFrame({"series_id": drawn.history.grid.series_id}).with_row_index("drawn")
    ours = limits.with_row_index("at").join(rows, on="series_id").sort("at")
    most = np.where(np.isin(drawn.shape, LINES), LINE_WEIGHT, PATHS_WEIGHT)
    p = answers.p.copy()
    for part in ours.partition_by("direction", "lasts_h", maintain_order=True):
        at, row = part["at"].to_numpy(), part["drawn"].to_numpy()
        paths = drawn.paths.take(row)
        direction, lasts_h = part["direction"][0], part["lasts_h"][0]
        by_paths = probability(paths, part["value"].to_numpy(), lasts_h, direction, HORIZONS).p
        p[at] = np.where(answers.crossed[at, None], 1.0, _pooled(answers.p[at], by_paths, most[row]))
    eta_h = np.where(answers.crossed[:, None], answers.eta_h, arrival(p, np.asarray(HORIZONS)))
    return replace(answers, p=p, eta_h=eta_h)


def _pooled(learnt: np.ndarray, by_paths: np.ndarray, most: np.ndarray) -> np.ndarray:
    """[R, len(HORIZONS)], paths weighing `most` [R] at most."""
    ours, theirs = _logit(learnt), _logit(by_paths)
    low, high = _logit(np.array([AT_RISK, PLAIN_RISK]))
    weight = most[:, None] * np.clip((ours[:, -1:] - low) / (high - low), 0, 1)
    pooled = 1 / (1 + np.exp(-(ours + weight * np.clip(theirs - ours, -FURTHEST_APART, FURTHEST_APART))))
    return np.where(weight > 0, pooled, learnt)  # to the last bit as it was, where paths weigh nothing


def _logit(p: np.ndarray) -> np.ndarray:
    inside = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
    return np.log(inside / (1 - inside))
