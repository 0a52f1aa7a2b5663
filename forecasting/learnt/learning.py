"""How the crossing model is learnt: a prior from many fleets, and a fleet's own layer from its settled past.

Belongs here: fitting. Not here: the lessons (``forecasting.learnt.lessons``) and the answers
(``forecasting.learnt.model``).

Lessons overlap: three limits at one origin, weeks that share days, series of one machine. So each counts for a fraction
of an independent observation, and old ones for less. Tickets are about *news*, limits that were not reached in the week
before, and so are the lessons that a fleet's own layer heeds: of the others it takes little notice. What these numbers
are, and how fast a fleet's own layer may grow, was chosen on fleets left out in turn (see docs/method.md).
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from forecasting.history import DAY
from forecasting.learnt.belief import tempered
from forecasting.learnt.calibration import calibrate
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.lines import plainness, straightness
from forecasting.learnt.model import CrossingModel, Prior, Trees, calibrated, unlearnt
from forecasting.learnt.questions import MONOTONE, NAMES, is_news
from forecasting.tables import HORIZONS

INDEPENDENT = 0.1  # what a lesson counts for: one of three limits, one of some overlapping weeks
HALF_LIFE_DAYS = 45.0
OLD_HAT = 0.1  # what a lesson counts for that is no news

FEWEST_FOR_TREES = 3000  # lessons
LESSONS_A_TREE = 1000
MOST_TREES = 60

PRIOR_TREES = 150
LINES_TREES = 200
COMMON: dict[str, object] = {
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
LINES_PARAMETERS = PRIOR_PARAMETERS | {"num_leaves": 31}
OWN_PARAMETERS = COMMON | {"learning_rate": 0.04, "num_leaves": 4, "min_data_in_leaf": 500, "lambda_l2": 30.0}


def learn_prior(
    lessons: Lessons, weight: np.ndarray, climbs: Lessons, about: str, *, trees: int = PRIOR_TREES,
    lines: int = LINES_TREES,
) -> Prior:  # fmt: skip
    """A prior from the lessons of many fleets.

    Args:
        weight: float64 [N], what each lesson counts for.
        climbs: the lessons of which those about straight climbs teach the trees for these. They are rare, and worth
            many more simulated series than the rest.
        trees, lines: how many, a horizon.
    """
    straight = straightness(climbs.predictors)
    of = np.flatnonzero(straight > 0)
    return Prior(
        _boost(lessons, weight, np.zeros((len(lessons), len(HORIZONS))), trees, PRIOR_PARAMETERS),
        _boost(climbs.take(of), straight[of], np.zeros((len(of), len(HORIZONS))), lines, LINES_PARAMETERS),
        about,
    )


def learn_fleet(prior: Prior, lessons: Lessons) -> CrossingModel:
    """The prior, with what a fleet's own settled past says; the prior itself where there is no past."""
    if len(lessons) == 0:
        return unlearnt(prior)
    weight = np.stack([_weight(lessons, np.isfinite(crossed)) for crossed in lessons.crossed.T], axis=1)
    plain = plainness(lessons.predictors, lessons.shape)
    before = tempered(prior.logits(lessons.predictors), plain)
    own = tuple(
        calibrate(before[:, h], lessons.crossed[:, h], weight[:, h], lessons.kinds) for h in range(len(HORIZONS))
    )
    trees = int(min(MOST_TREES, len(lessons) / LESSONS_A_TREE)) if len(lessons) > FEWEST_FOR_TREES else 0
    start = calibrated(own, before, lessons.kinds)
    return CrossingModel(prior, own, _boost(lessons, weight, start, trees, OWN_PARAMETERS) if trees else None)


def _weight(lessons: Lessons, known: np.ndarray) -> np.ndarray:
    """float64 [N]: what each lesson counts for at one horizon, in independent observations; the newest known most.

    Args:
        known: bool [N], whether its outcome is known.
    """
    newest = lessons.origin.max(where=known, initial=lessons.origin.min())
    age_days = np.maximum(newest - lessons.origin, 0) / DAY
    news = np.where(is_news(lessons.predictors), 1.0, OLD_HAT)
    return INDEPENDENT * news * 0.5 ** (age_days / HALF_LIFE_DAYS)


def _boost(
    lessons: Lessons, weight: np.ndarray, start: np.ndarray, trees: int, parameters: dict[str, object]
) -> Trees | None:
    """Trees that go on from the logits `start` [N, len(HORIZONS)]; None where a horizon has but one outcome.

    Args:
        weight: float64 [N], or [N, len(HORIZONS)].
    """
    weight = weight if weight.ndim == 2 else np.broadcast_to(weight[:, None], (len(lessons), len(HORIZONS)))
    text: list[str] = []
    for horizon in range(len(HORIZONS)):
        crossed = lessons.crossed[:, horizon]
        known = np.isfinite(crossed)
        if len(np.unique(crossed[known])) < 2:
            return None
        data = lgb.Dataset(
            lessons.predictors[known],
            crossed[known],
            weight=weight[known, horizon],
            init_score=start[known, horizon] if start.any() else None,
            feature_name=list(NAMES),
        )
        text.append(lgb.train(dict(parameters), data, trees).model_to_string())
    return Trees(tuple(text))
