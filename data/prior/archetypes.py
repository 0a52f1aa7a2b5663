"""Simulated series of all kinds that operations teams meet, from a seed.

Belongs here: which kinds there are, how often, and how one series is composed. Not here: a kind itself
(``data.prior.loads``, ``data.prior.creeps``), or how it is read (``data.prior.readings``).

Nothing is measured: the shares say only that most series of a fleet come and go, and that a good third grows in some
way. What counts is that every kind comes at every speed, with every noise and sampling: a prior must have met what it
is asked about.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.prior import creeps, loads
from data.prior.processes import between, extent
from data.prior.readings import placed, read, rounded

Archetype = Callable[[np.random.Generator, int], np.ndarray]

SHARES: dict[Archetype, float] = {
    loads.seasonal: 2.5,
    loads.wander: 2.0,
    loads.walk: 0.7,
    loads.steps: 1.5,
    loads.telegraph: 0.4,
    loads.bursts: 1.2,
    loads.jobs: 1.2,
    loads.month_end: 0.2,
    loads.pool: 0.5,
    loads.backlog: 0.6,
    loads.sawtooth: 1.2,
    loads.still: 0.3,
    creeps.filling: 1.4,
    creeps.filling_for_a_while: 0.6,
    creeps.filling_on_workdays: 0.4,
    creeps.rotated: 0.4,
    creeps.retention: 0.3,
    creeps.leak: 1.6,
    creeps.leak_past_plateau: 1.0,
    creeps.heap: 0.4,
    creeps.ratchet: 0.6,
    creeps.step_then_climb: 0.5,
    creeps.warm_up: 0.7,
    creeps.cache: 0.4,
    creeps.accelerating: 0.4,
    creeps.staircase: 0.5,
    creeps.trend_under_rhythm: 0.6,
    creeps.awakening: 0.6,
    creeps.runaway: 1.2,
    creeps.spells: 2.5,
}
ARCHETYPES = {archetype.__name__: archetype for archetype in SHARES}
CHANCES = np.array(list(SHARES.values())) / sum(SHARES.values())
SECOND = 0.4  # share of series that are the sum of two kinds


def series(rng: np.random.Generator, hours: int) -> np.ndarray:
    """float64 [hours]: one series as it is read, NaN where it is not: a kind, or the sum of two, in some unit."""
    values = drawn(rng, hours)
    if rng.random() < SECOND:
        values = values + between(rng, 0.05, 1.5) * drawn(rng, hours)
    return read(rng, rounded(rng, placed(rng, values)))


def drawn(rng: np.random.Generator, hours: int) -> np.ndarray:
    """float64 [hours]: a kind, scaled to a range of 1."""
    archetype = list(SHARES)[rng.choice(len(CHANCES), p=CHANCES)]
    values = archetype(rng, hours)
    return values / extent(values)
