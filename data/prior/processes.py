"""What simulated series are made of: numbers of any magnitude, moments, rhythms, noise with a memory, growth.

Belongs here: processes that several archetypes share. Not here: the archetypes (``data.prior.loads``,
``data.prior.creeps``). Everything is hourly; lengths and times are hours.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

DAY, WEEK = 24, 168


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high] of which every doubling is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def moments(rng: np.random.Generator, hours: int, every: float) -> np.ndarray:
    """Hours in [1, hours) of a Poisson process with a mean distance of `every`, ascending, none twice."""
    return np.unique(rng.integers(1, max(hours, 2), rng.poisson(hours / every)))


def regular(rng: np.random.Generator, hours: int, period: int) -> np.ndarray:
    """Every `period` hours from a random phase on."""
    return np.arange(int(rng.integers(1, period + 1)), hours, period)


def since(marks: np.ndarray, hours: int) -> np.ndarray:
    """[hours]: hours since the last of `marks` (ascending), since the beginning before the first."""
    at = np.arange(hours)
    edges = np.concatenate([[0], marks])
    return at - edges[np.searchsorted(edges, at, side="right") - 1]


def held(rng: np.random.Generator, marks: np.ndarray, hours: int, low: float, high: float) -> np.ndarray:
    """[hours]: a number between `low` and `high`, another one from each of `marks` on."""
    numbers = np.exp(rng.uniform(np.log(low), np.log(high), len(marks) + 1))
    return numbers[np.searchsorted(marks, np.arange(hours), side="right")]


def rhythm(rng: np.random.Generator, hours: int) -> np.ndarray:
    """[hours]: load of people's days and weeks, mean 1: one hump a day, two in five with the same weekends."""
    at = np.arange(hours) + rng.integers(0, WEEK)
    away = (at % DAY - rng.uniform(0, DAY) + DAY / 2) % DAY - DAY / 2
    depth = rng.uniform(0, 1)
    day = 1 - depth + 2 * depth * np.exp(-0.5 * (away / between(rng, 2, 8)) ** 2)
    weekend = rng.uniform(0.05, 1) if rng.random() < 0.6 else 1.0
    load = day * np.where(at // DAY % 7 >= 5, weekend, 1.0)
    return load / load.mean()


def memory(rng: np.random.Generator, hours: int, lasts: float, sd: float = 1.0) -> np.ndarray:
    """[hours]: a stationary AR(1) process of standard deviation `sd` whose correlation fades by e in `lasts` hours."""
    kept = np.exp(-1 / lasts)
    shocks = rng.normal(0, sd * np.sqrt(1 - kept * kept), hours)
    shocks[0] = rng.normal(0, sd)
    return np.asarray(lfilter([1.0], [1.0, -kept], shocks))


def heavy_walk(rng: np.random.Generator, hours: int) -> np.ndarray:
    """[hours]: a random walk, of steps from nearly normal to wild (Student's t)."""
    return np.cumsum(rng.standard_t(between(rng, 2.2, 30), hours))


def grow(increments: np.ndarray, marks: np.ndarray, keep: float = 0.0) -> np.ndarray:
    """The running sum, of which at each of `marks` only the share `keep` is left."""
    grown = np.empty(len(increments))
    level = 0.0
    for piece in np.split(np.arange(len(increments)), marks):
        if len(piece):
            grown[piece] = level + np.cumsum(increments[piece])
            level = keep * grown[piece[-1]]
    return grown


def teeth(climb: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A sawtooth: from low[k] up in step with `climb` (an ascending sum) to high[k], then at once to low[k + 1].

    Args:
        climb: [hours]. low, high: [K], enough teeth for the whole climb; low < high.
    """
    edges = np.concatenate([[0.0], np.cumsum(high - low)])
    tooth = np.clip(np.searchsorted(edges, climb, side="right") - 1, 0, len(low) - 1)
    return low[tooth] + climb - edges[tooth]


def restarts(rng: np.random.Generator, hours: int) -> np.ndarray:
    """When a process is started anew: by a schedule, now and then, or never."""
    kind = rng.random()
    if kind < 0.35:
        return regular(rng, hours, int(between(rng, 12, 400)))
    return moments(rng, hours, between(rng, 48, 1500)) if kind < 0.75 else np.zeros(0, dtype=np.int64)


def extent(values: np.ndarray) -> float:
    """From lowest to highest; 1 for a constant."""
    return float(np.ptp(values)) or 1.0
