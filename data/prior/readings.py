"""How a simulated series is read: its level and unit, rounding, ceilings, sampling, gaps.

Belongs here: what a collector makes of a series. Not here: the series (``data.prior.archetypes``).
"""

from __future__ import annotations

import numpy as np

from data.prior.processes import DAY, between, extent, moments

QUARTER = DAY // 4


def placed(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """On a level of its own: near zero, around it, or far above its movements as the memory of a large process."""
    spread, kind = extent(values), rng.random()
    if kind < 0.3:
        return values - values.min()
    return values + spread * (rng.uniform(-1, 3) if kind < 0.85 else between(rng, 3, 100))


def rounded(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Three in twenty in few steps, as integer percents are; one in twenty under a ceiling that it cannot pass."""
    kind = rng.random()
    if kind < 0.15:
        return np.round(values / extent(values) * between(rng, 5, 200))
    return np.minimum(values, np.quantile(values, rng.uniform(0.6, 1))) if kind < 0.2 else values


def read(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """With NaN where nothing is read: mostly hourly with gaps, else daily, six-hourly or irregular."""
    hours, kind = len(values), rng.random()
    if kind < 0.06:
        seen = np.arange(hours) % DAY == rng.integers(0, DAY)
    elif kind < 0.10:
        seen = np.arange(hours) % QUARTER == rng.integers(0, QUARTER)
    elif kind < 0.20:
        seen = _irregular(rng, hours)
    else:
        seen = _with_gaps(rng, hours)
    return np.where(seen, values, np.nan)


def _irregular(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Readings 3 to 30 hours apart, now less, now more."""
    step, evenness = between(rng, 3, 30), between(rng, 1, 30)
    waits = np.maximum(1, rng.gamma(evenness, step / evenness, hours)).astype(np.int64)
    at = np.cumsum(waits)
    seen = np.zeros(hours, dtype=bool)
    seen[at[at < hours]] = True
    return seen


def _with_gaps(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Every hour, but for single ones here and there and outages of up to two days."""
    missed = rng.random(hours) < (0.02 if rng.random() < 0.5 else 0)
    for begin in moments(rng, hours, 1200):
        missed[begin : begin + int(between(rng, 1, 40))] = True
    return ~missed
