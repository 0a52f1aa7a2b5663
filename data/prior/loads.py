"""Archetypes that come and go: load, noise, bursts, jobs, pools, queues, level shifts.

Each is a function (rng, hours) -> values [hours], in units of its own. Belongs here: what need not lead anywhere. Not
here: what grows (``data.prior.creeps``), or how it is read (``data.prior.readings``).
"""

from __future__ import annotations

import numpy as np

from data.prior.processes import DAY, WEEK, between, heavy_walk, held, memory, moments, regular, rhythm, since, teeth

MONTH = 730


def seasonal(rng: np.random.Generator, hours: int) -> np.ndarray:
    """CPU, requests, latency: people's rhythm, no day like the one before, and a business that grows or shrinks."""
    load = rhythm(rng, hours) * (1 + memory(rng, hours, between(rng, 1, 100), between(rng, 0.02, 0.4)))
    business = np.exp(np.linspace(0, rng.normal(0, 0.3), hours))
    return load * business + memory(rng, hours, between(rng, 24, 400), between(rng, 0.01, 0.5))


def wander(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A level that is left and found again, in hours to weeks; half of them skewed upwards, as latencies are."""
    values = memory(rng, hours, between(rng, 1, 300))
    return np.exp(values * between(rng, 0.05, 1)) if rng.random() < 0.5 else values


def walk(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A level that is never found again: what looks like a trend and is none."""
    return heavy_walk(rng, hours)


def steps(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Deploys, fail-overs, migrations: a level that holds until it is another."""
    marks = moments(rng, hours, between(rng, 24, 1500))
    levels = rng.normal(0, 1, len(marks) + 1) * np.where(rng.random(len(marks) + 1) < 0.9, 1, 4)
    level = levels[np.searchsorted(marks, np.arange(hours), side="right")]
    return level + memory(rng, hours, between(rng, 1, 50), between(rng, 0.01, 0.5))


def telegraph(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Two states, each for its own while: a leader and its follower, a feature that is on or off."""
    stays = rng.exponential([between(rng, 2, 300), between(rng, 2, 300)], (hours, 2))
    switches = np.cumsum(np.maximum(stays.ravel(), 1.0))
    state = np.searchsorted(switches, np.arange(hours), side="right") % 2
    return state + memory(rng, hours, between(rng, 1, 30), between(rng, 0.005, 0.3))


def bursts(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Quiet, and busy without notice."""
    return _busy(rng, hours, moments(rng, hours, between(rng, 12, 1000)))


def jobs(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Backups and batch runs: twice a day, daily, every other day, weekly or monthly, some left out, some late."""
    period = int(rng.choice([12, DAY, DAY, DAY, 2 * DAY, WEEK, WEEK, MONTH]))
    due = regular(rng, hours, period)
    runs = due[rng.random(len(due)) < rng.uniform(0.5, 1)]
    late = np.round(rng.normal(0, between(rng, 0.01, 5), len(runs))).astype(np.int64)
    return _busy(rng, hours, np.unique(np.clip(runs + late, 0, hours - 1)))


def month_end(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A rhythm that swells for the last days of each month: billing, closing the books."""
    before = between(rng, 1, 6) * DAY
    until = MONTH - 1 - since(regular(rng, hours, MONTH), hours)
    return rhythm(rng, hours) * (1 + between(rng, 0.3, 3) * np.clip(1 - until / before, 0, 1)) + memory(
        rng, hours, between(rng, 1, 50), between(rng, 0.02, 0.3)
    )


def pool(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Connections or workers: in step with load up to a size, a round number that is now and then changed."""
    wanted = rhythm(rng, hours) * (1 + memory(rng, hours, between(rng, 2, 100), between(rng, 0.05, 0.4)))
    resized = moments(rng, hours, between(rng, 500, 5000))
    size = np.ceil(held(rng, resized, hours, 0.7, 2.5) * 4) / 4
    return np.minimum(np.maximum(wanted, 0), size)


def backlog(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A queue: work that waits for hours to days, since it comes faster than it is done, and then is done.

    Lindley's recursion, written as the reflection of a walk at its lowest.
    """
    slack = between(rng, 0.02, 0.5)
    comes = rhythm(rng, hours) * (1 + memory(rng, hours, between(rng, 4, 150), between(rng, 0.1, 0.6)))
    walked = np.cumsum(comes - 1 - slack)
    return walked - np.minimum(np.minimum.accumulate(walked), 0)


def sawtooth(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Rises to a ceiling and falls back: garbage collection, retention, rotated logs. The ceiling holds, or wavers."""
    period = between(rng, 6, 480)
    floor, unrest = rng.uniform(0, 0.8), rng.uniform(0, 0.05)
    pace = rhythm(rng, hours) if rng.random() < 0.4 else np.ones(hours)
    climb = np.cumsum(pace * rng.lognormal(0, 0.5, hours)) * (1 - floor) / period
    count = int(climb[-1] / (0.5 * (1 - floor))) + 2
    low = floor + np.clip(rng.normal(0, 0.03, count), -0.1, 0.1) * (1 - floor)
    high = 1 + np.clip(rng.normal(0, unrest, count), -0.3, 0.3) * (1 - floor)
    phase = rng.uniform(0, 1 - floor)
    return teeth(climb + phase, low, high) + memory(rng, hours, 2, between(rng, 1e-4, 0.02))


def still(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A configured size, an idle host: nothing, and a rare spike."""
    spikes = (rng.random(hours) < between(rng, 0.0005, 0.05)) * rng.lognormal(0, 1, hours)
    return rng.normal(0, 1e-3, hours) + spikes


def _busy(rng: np.random.Generator, hours: int, begins: np.ndarray) -> np.ndarray:
    """Runs of similar height and length that begin at some hours, over a noise of their own."""
    usual, unlike = between(rng, 1, 36), between(rng, 0.05, 1.5)
    length = np.maximum(1, usual * np.exp(rng.uniform(np.log(0.5), np.log(2), len(begins)))).astype(np.int64)
    height = rng.lognormal(0, unlike, len(begins))
    change = np.zeros(hours + 1)
    np.add.at(change, begins, height)
    np.add.at(change, np.minimum(begins + length, hours), -height)
    return np.cumsum(change[:hours]) + np.abs(memory(rng, hours, between(rng, 1, 30), between(rng, 0.005, 0.3)))
