"""Simulated fleets and what they teach.

Belongs here: cohorts of series that share their length and origins. Not here: the series
(``data.prior.archetypes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from data.prior.archetypes import series
from data.prior.processes import DAY, between
from data.prior.teaching import teach
from features.grid import Grid
from forecasting.learnt.lessons import FEWEST_DAYS, Lessons, together
from forecasting.learnt.lines import straightness
from forecasting.school import SETTLING_H

COHORT = 100  # series
ORIGINS = 6  # of a cohort
SHORTEST_DAYS, LONGEST_DAYS = 12, 125  # of a cohort: histories reach from two days to beyond what is looked at
YOUNGEST_DAYS = 3  # at the last origin
BEGIN = datetime(2000, 1, 1)


def simulated_lessons(count: int, seed: int) -> Lessons:
    """The lessons of `count` series; the same for the same count and seed."""
    return together(_cohorts(count, seed))


def simulated_climbs(count: int, seed: int) -> Lessons:
    """Those of the same lessons that are about straight climbs, one in five or six."""
    return together(part.take(np.flatnonzero(straightness(part.predictors) > 0)) for part in _cohorts(count, seed))


def _cohorts(count: int, seed: int) -> Iterator[Lessons]:
    sizes = [min(COHORT, count - begin) for begin in range(0, count, COHORT)]
    return (_cohort(np.random.default_rng([seed, number]), size) for number, size in enumerate(sizes))


def _cohort(rng: np.random.Generator, size: int) -> Lessons:
    """What some series teach at a few origins, one in each sixth of the time that settles."""
    hours = DAY * int(between(rng, SHORTEST_DAYS, LONGEST_DAYS))
    newest = hours - SETTLING_H
    values = np.stack([series(rng, hours) for _ in range(size)])
    values[np.arange(hours) < _births(rng, size, newest)[:, None]] = np.nan
    ids = np.sort(rng.integers(0, 2**64, size, dtype=np.uint64))
    sixths = pairwise(np.linspace(FEWEST_DAYS * DAY, newest, ORIGINS + 1).astype(int))
    grid = Grid(ids, BEGIN + timedelta(hours=hours), values)
    return teach(grid, [int(rng.integers(low, high)) for low, high in sixths])


def _births(rng: np.random.Generator, size: int, newest: int) -> np.ndarray:
    """[size]: the first hour of each series; half of them are there from the beginning."""
    return rng.integers(0, max(newest - YOUNGEST_DAYS * DAY, 1), size) * (rng.random(size) < 0.5)
