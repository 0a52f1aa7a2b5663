"""How the crossing model is learnt: a prior from many fleets, and a fleet's own layer from its settled past.

Belongs here: fitting. Not here: the lessons (``forecasting.learnt.lessons``) and the answers
(``forecasting.learnt.model``).

Lessons overlap: three limits at one origin, weeks that share days, series of one machine. So each counts for a fraction
of an independent observation, and old ones for less. What that fraction is, and how fast a fleet's own layer may grow,
was chosen on fleets left out in turn (see docs/method.md).
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from forecasting.history import DAY
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import CrossingModel, Prior, Trees, unlearnt
from forecasting.learnt.questions import MONOTONE, NAMES
from forecasting.tables import HORIZONS

INDEPENDENT = 0.1  # what a lesson counts for: one of three limits, one of some overlapping weeks
HALF_LIFE_DAYS = 45.0
RESTRAINT = 10.0  # observations that believe in the prior as it is
SLOPE_RESTRAINT = 5.0  # times as many for its slope
STEPS = 30
SETTLED = 1e-6

FEWEST_FOR_TREES = 3000  # lessons
LESSONS_A_TREE = 400
MOST_TREES = 150

PRIOR_TREES = 150
COMMON = {
    "objective": "binary",
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "monotone_constraints": list(MONOTONE),
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbose": -1,
}
PRIOR_PARAMETERS = COMMON | {"learning_rate": 0.08, "num_leaves": 15, "min_data_in_leaf": 100, "lambda_l2": 10.0}
OWN_PARAMETERS = COMMON | {"learning_rate": 0.04, "num_leaves": 8, "min_data_in_leaf": 150, "lambda_l2": 30.0}


def learn_prior(lessons: Lessons, weight: np.ndarray, about: str, trees: int = PRIOR_TREES) -> Prior:
    """A prior from the lessons of many fleets.

    Args:
        weight: float64 [N], what each lesson counts for.
    """
    start = np.zeros((len(lessons), len(HORIZONS)))
    return Prior(_boost(lessons, weight, start, trees, PRIOR_PARAMETERS), about)


def learn_fleet(prior: Prior, lessons: Lessons) -> CrossingModel:
    """The prior, with what a fleet's own settled past says; the prior itself where there is no past."""
    if len(lessons) == 0:
        return unlearnt(prior)
    weight = INDEPENDENT * 0.5 ** ((lessons.origin.max() - lessons.origin) / (DAY * HALF_LIFE_DAYS))
    before = prior.logits(lessons.predictors)
    fits = [_recalibrate(before[:, h], lessons.crossed[:, h], weight) for h in range(len(HORIZONS))]
    shift, slope = np.array(fits).T
    trees = int(min(MOST_TREES, len(lessons) / LESSONS_A_TREE)) if len(lessons) > FEWEST_FOR_TREES else 0
    own = _boost(lessons, weight, shift + slope * before, trees, OWN_PARAMETERS) if trees else None
    return CrossingModel(prior, shift, slope, own)


def _recalibrate(logit: np.ndarray, crossed: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Shift and slope of a logistic regression of outcomes on logits (Platt, 1999), shrunk towards 0 and 1.

    Newton's method on the penalised likelihood, which is convex.
    """
    known = np.isfinite(crossed)
    x, y, w = logit[known], crossed[known].astype(np.float64), weight[known]
    restraint = RESTRAINT * np.array([1.0, SLOPE_RESTRAINT])
    found, believed = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(found[0] + found[1] * x)))
        miss, spread = w * (p - y), w * p * (1 - p)
        gradient = np.array([miss.sum(), (miss * x).sum()]) + restraint * (found - believed)
        cross = (spread * x).sum()
        curvature = np.array([[spread.sum(), cross], [cross, (spread * x * x).sum()]]) + np.diag(restraint)
        step = np.linalg.solve(curvature, gradient)
        found = found - step
        if np.abs(step).max() < SETTLED:
            break
    return float(found[0]), max(float(found[1]), 0.0)  # never against the limit's order


def _boost(
    lessons: Lessons, weight: np.ndarray, start: np.ndarray, trees: int, parameters: dict[str, object]
) -> Trees | None:
    """Trees that go on from the logits `start` [N, len(HORIZONS)]; None where a horizon has but one outcome."""
    text: list[str] = []
    for horizon in range(len(HORIZONS)):
        crossed = lessons.crossed[:, horizon]
        known = np.isfinite(crossed)
        if len(np.unique(crossed[known])) < 2:
            return None
        data = lgb.Dataset(
            lessons.predictors[known],
            crossed[known],
            weight=weight[known],
            init_score=start[known, horizon] if start.any() else None,
            feature_name=list(NAMES),
        )
        text.append(lgb.train(dict(parameters), data, trees).model_to_string())
    return Trees(tuple(text))
