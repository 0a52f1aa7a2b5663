"""Simulated fleets and what they teach.

Belongs here: cohorts of series that share their length and origins, and their lessons. Not here: the series
(``data.prior.archetypes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from data.prior.archetypes import series
from data.prior.processes import DAY, between
from features.grid import Grid
from forecasting.learnt.lessons import FEWEST_DAYS, LASTS_H, Lessons, lessons, together
from forecasting.tables import HORIZONS

COHORT = 100  # series
ORIGINS = 6  # of a cohort
SHORTEST_DAYS, LONGEST_DAYS = 12, 125  # of a cohort: histories reach from two days to beyond what is looked at
YOUNGEST_DAYS = 3  # at the last origin
SETTLING_H = HORIZONS[-1] + LASTS_H - 1
HISTORY_DAYS = 90
BEGIN = datetime(2000, 1, 1)


def simulated_lessons(count: int, seed: int) -> Lessons:
    """The lessons of `count` series; the same for the same count and seed."""
    cohorts = [min(COHORT, count - begin) for begin in range(0, count, COHORT)]
    return together(part for number, size in enumerate(cohorts) for part in _cohort([seed, number], size))


def _cohort(seed: list[int], size: int) -> Iterator[Lessons]:
    """What some series teach at a few origins, one of each sixth of their time after the second day."""
    rng = np.random.default_rng(seed)
    hours = DAY * int(between(rng, SHORTEST_DAYS, LONGEST_DAYS))
    values = np.stack([series(rng, hours) for _ in range(size)])
    newest = hours - SETTLING_H
    values[np.arange(hours) < _births(rng, size, newest)[:, None]] = np.nan
    ids = np.sort(rng.integers(0, 2**64, size, dtype=np.uint64))
    grid = Grid(ids, BEGIN + timedelta(hours=hours), values)
    first = int(np.datetime64(BEGIN, "h").astype(np.int64))
    for low, high in pairwise(np.linspace(FEWEST_DAYS * DAY, newest, ORIGINS + 1).astype(int)):
        at = int(rng.integers(low, high))
        yield lessons(grid, np.zeros(size, dtype=bool), first + at, HISTORY_DAYS)


def _births(rng: np.random.Generator, size: int, newest: int) -> np.ndarray:
    """[size]: the first hour of each series; half of them are there from the beginning."""
    return rng.integers(0, max(newest - YOUNGEST_DAYS * DAY, 1), size) * (rng.random(size) < 0.5)
