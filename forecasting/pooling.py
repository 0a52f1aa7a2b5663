"""Two opinions made one: the crossing model's, and that of the paths that are drawn for a series at risk.

Belongs here: how they are combined. Not here: the opinions (``forecasting.learnt``, ``forecasting.crossing``).

The crossing model has seen many fleets and is calibrated; the paths know this series' rhythm and errors hour by hour.
They are pooled in logits (the logarithmic opinion pool: Genest & Zidek, 1986). The weight of the paths grows from
nothing, at a probability too low to draw any, to a fifth, and to two for a series of a line's shape, which is what
paths know best; where that line is straight, the crossing model has trees that know it as well, and paths weigh no more
than elsewhere. Both may disagree by so much and no more. So an answer changes gently with its limit, and does not hang
on whether another limit of its series is at risk.

Each horizon is pooled by one and the same rule, in which the answer rises with either opinion: the weight grows slowly
enough that what it adds to a dissent never outruns the opinion itself. So a further limit is never more probable, and a
longer horizon never less.

What two who know different things agree on is more certain than either says, so a pool whose weights sum to one says
too little at the top (Ranjan & Gneiting, 2010; for logits: Satopaa et al., 2014). For lines, something is added there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from forecasting.crossing import arrival, probability
from forecasting.history import History
from forecasting.learnt.answering import Answers
from forecasting.learnt.belief import HIGH
from forecasting.paths import Paths
from forecasting.tables import HORIZONS

AT_RISK = 0.03  # paths are drawn for what is as probable within the longest horizon, and weigh from there on
PATHS_WEIGHT = 0.2  # the rest is the crossing model's; anything from 0.1 to 0.3 does as well
LINE_WEIGHT = 0.4  # of paths of a line's shape, less the straighter it is; of straight ones 0.1 to 0.4 do as well
LINES = ("trend", "leak_with_resets")
FURTHEST_APART = 3.0  # logits
RAMP = 2.0  # logits from `AT_RISK` to the full weight; order needs LINE_WEIGHT * (1 + FURTHEST_APART / RAMP) <= 1
TRUST = 0.25  # of the logits above `HIGH`, for lines; 0.15 to 0.4 do as well


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
    line = np.isin(drawn.shape, LINES)
    p = answers.p.copy()
    for part in ours.partition_by("direction", "lasts_h", maintain_order=True):
        at, row = part["at"].to_numpy(), part["drawn"].to_numpy()
        paths = drawn.paths.take(row)
        direction, lasts_h = part["direction"][0], part["lasts_h"][0]
        by_paths = probability(paths, part["value"].to_numpy(), lasts_h, direction, HORIZONS).p
        both = pooled(answers.p[at], by_paths, line[row], answers.straight[at])
        p[at] = np.where(answers.crossed[at, None], 1.0, both)
    eta_h = np.where(answers.crossed[:, None], answers.eta_h, arrival(p, np.asarray(HORIZONS)))
    return replace(answers, p=p, eta_h=eta_h)


def pooled(learnt: np.ndarray, by_paths: np.ndarray, line: np.ndarray, straight: np.ndarray) -> np.ndarray:
    """float64 [R, len(HORIZONS)]: one probability of two, neither of which decreases along the horizons.

    Args:
        line: bool [R], whether the series has a line's shape. straight: float64 [R] in [0, 1], how straight it climbs.
    """
    ours, theirs = _logit(learnt), _logit(by_paths)
    most = np.where(line, LINE_WEIGHT - (LINE_WEIGHT - PATHS_WEIGHT) * straight, PATHS_WEIGHT)[:, None]
    weight = most * np.clip((ours - _logit(np.array(AT_RISK))) / RAMP, 0, 1)
    both = ours + weight * np.clip(theirs - ours, -FURTHEST_APART, FURTHEST_APART)
    trusted = both + TRUST * line[:, None] * np.maximum(both - HIGH, 0.0)
    p = np.where(weight > 0, 1 / (1 + np.exp(-trusted)), learnt)  # where paths weigh nothing, as it was to the last bit
    return np.maximum.accumulate(p, axis=1)  # against rounding alone


def _logit(p: np.ndarray) -> np.ndarray:
    inside = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
    return np.log(inside / (1 - inside))
