"""Archetypes that grow: disks, leaks, heaps, caches, deploys that stay, slow trends.

Each is a function (rng, hours) -> values [hours], in units of its own. Belongs here: what leads to a limit, and what
only seems to, since it stops, is cleaned up or saturates. Not here: what comes and goes (``data.prior.loads``), or how
it is read (``data.prior.readings``).

Speeds are drawn over two decades or more, noise from nothing to as much as the growth of days: nothing here says how
fast a fleet of yours fills, only in which ways things grow.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from data.prior.loads import MONTH
from data.prior.processes import (
    DAY,
    WEEK,
    between,
    extent,
    grow,
    held,
    memory,
    moments,
    regular,
    restarts,
    rhythm,
    since,
    teeth,
)


def filling(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A disk: written in step with load, partly deleted again, at a pace that drifts, cleaned up once in a while."""
    written = _written(rng, hours)
    if rng.random() < 0.5:
        written = written * np.exp(np.cumsum(rng.normal(0, between(rng, 1e-3, 0.03), hours)))
    marks = moments(rng, hours, between(rng, 120, 6000))
    return grow(written, marks, rng.uniform(0.1, 0.95))


def filling_for_a_while(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Growth that begins and stops: a migration, a debug log, a tenant who moves in. Then it stays, or is removed."""
    begin, end = np.sort(rng.integers(0, hours, 2))
    at = np.arange(hours)
    grown = np.cumsum(np.where((at >= begin) & (at < end), _written(rng, hours), 0.0))
    removed = rng.random() < 0.3
    return np.where(removed & (at > end + between(rng, 6, 500)), 0.0, grown)


def filling_on_workdays(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Growth that pauses at weekends, and so looks slower on Monday and faster on Friday than it is."""
    at = np.arange(hours) + rng.integers(0, WEEK)
    works = at // DAY % 7 < 5
    office = (at % DAY >= 7) & (at % DAY < 19) if rng.random() < 0.5 else np.ones(hours, dtype=bool)
    written = np.where(works & office, _written(rng, hours), 0.0)
    return grow(written, moments(rng, hours, between(rng, 500, 8000)), rng.uniform(0, 0.9))


def rotated(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Logs that are rotated daily or weekly on a disk whose floor rises or does not."""
    period = int(rng.choice([DAY, DAY, WEEK]))
    logs = since(regular(rng, hours, period), hours) / period
    floor = np.cumsum(_written(rng, hours)) if rng.random() < 0.7 else np.zeros(hours)
    return floor / extent(floor) + logs * between(rng, 0.03, 2)


def retention(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Fills for as long as data are kept; then as much is deleted as is written."""
    kept = int(between(rng, 3 * DAY, 60 * DAY))
    written = np.cumsum(_written(rng, hours))
    deleted = np.concatenate([np.zeros(min(kept, hours)), written[: max(hours - kept, 0)]])
    return written - deleted


def leak(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Memory that is not given back until a restart: steady or with load, at a rate that releases change."""
    releases = moments(rng, hours, between(rng, 200, 3000))
    rate = held(rng, releases, hours, 0.002, 0.2) * _mended(rng, releases, hours)
    load = rhythm(rng, hours) if rng.random() < 0.6 else 1.0
    lost = rate * load * np.maximum(0, 1 + rng.normal(0, between(rng, 0.05, 3), hours))
    begins = restarts(rng, hours)
    leaked = grow(lost, begins, 0.0 if rng.random() < 0.7 else rng.uniform(0, 0.5))
    if rng.random() < 0.5:
        warm = 1 - np.exp(-since(begins, hours) / between(rng, 3, 200))
        leaked = leaked + warm * between(rng, 0.1, 3) * extent(leaked)
    return leaked + _unrest(rng, leaked)


def leak_past_plateau(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Lives that each warm up to a plateau of their own, and leak from there on, or do not: no plateau is a ceiling."""
    begins = np.concatenate([[0], moments(rng, hours, between(rng, 100, 1200))])
    usual, warmth, leaks = between(rng, 3, 150), between(rng, 0.02, 0.6), rng.uniform(0.2, 1)
    rate = between(rng, 2e-4, 2e-2)
    values = np.empty(hours)
    for begin, end in pairwise([*begins, hours]):
        age = np.arange(end - begin)
        plateau = rng.lognormal(0, warmth) * (1 - np.exp(-age / (usual * between(rng, 0.5, 2))))
        values[begin:end] = plateau + (rng.random() < leaks) * rate * between(rng, 0.3, 3) * age
    return values + _unrest(rng, values)


def heap(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A garbage-collected heap: a sawtooth, whose floor rises where it leaks, until a restart."""
    period, height = between(rng, 3, 72), between(rng, 0.05, 3)
    climb = np.cumsum(rng.lognormal(0, 0.4, hours)) / period
    count = int(climb[-1] / 0.5) + 2
    collected = teeth(climb, np.zeros(count), 1 + np.clip(rng.normal(0, 0.1, count), -0.4, 0.4))
    floor = grow(rhythm(rng, hours) * between(rng, 1e-4, 0.02), restarts(rng, hours))
    return floor + height * extent(floor) * collected


def ratchet(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Memory that every deploy or new tenant steps up, and that hardly ever comes back."""
    marks = moments(rng, hours, between(rng, 48, 700))
    up = np.where(rng.random(len(marks)) < rng.uniform(0.7, 1), 1.0, -1.0)
    values = np.zeros(hours)
    np.add.at(values, marks, up * rng.lognormal(0, between(rng, 0.1, 1), len(marks)))
    values = np.cumsum(values)
    return values + _unrest(rng, values)


def step_then_climb(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A release that costs at once and leaks from then on, until it is taken back."""
    values = np.zeros(hours)
    at = np.arange(hours)
    for begin in moments(rng, hours, between(rng, 300, 2000)):
        lasts = between(rng, 48, 1500)
        climb = rng.lognormal(0, 0.7) + between(rng, 5e-4, 0.05) * (at - begin)
        values += np.where((at >= begin) & (at < begin + lasts), climb, 0.0)
    return values + _unrest(rng, values)


def warm_up(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A cache after each restart: steep, then saturated; three in ten lives with another ceiling."""
    begins = restarts(rng, hours)
    changes = begins[rng.random(len(begins)) < 0.3]
    lasts = between(rng, 3, 150) * held(rng, begins, hours, 0.7, 1.4)
    warm = held(rng, changes, hours, 0.7, 1.4) * (1 - np.exp(-since(begins, hours) / lasts))
    return warm + memory(rng, hours, between(rng, 1, 48), between(rng, 0.003, 0.15))


def cache(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Grows steadily up to its configured size and stays there, until it is flushed."""
    size = held(rng, moments(rng, hours, between(rng, 1000, 9000)), hours, 0.7, 1.6)
    flushed = moments(rng, hours, between(rng, 200, 4000))
    filled = grow(rhythm(rng, hours) / between(rng, 24, 1500), flushed)
    return np.minimum(filled, size) + memory(rng, hours, between(rng, 1, 30), between(rng, 0.001, 0.03))


def accelerating(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Growth that feeds on itself, until somebody ends it: retries, forks, an index that is scanned ever longer."""
    grows = between(rng, 48, 600)
    period = int(between(rng, 3, 8) * grows)
    age = since(regular(rng, hours, period), hours) + rng.integers(0, period)
    return np.exp((age % period - period) / grows) + memory(rng, hours, between(rng, 1, 30), between(rng, 0.003, 0.05))


def staircase(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Counts of things that are added one by one, and more seldom removed: users, tables, certificates."""
    marks = moments(rng, hours, between(rng, 6, 300))
    values = np.zeros(hours)
    np.add.at(values, marks, np.where(rng.random(len(marks)) < rng.uniform(0.5, 1), 1.0, -1.0))
    return np.cumsum(values)


def trend_under_rhythm(rng: np.random.Generator, hours: int) -> np.ndarray:
    """A heavy daily rhythm over a trend of weeks, which turns now and then."""
    turns = moments(rng, hours, between(rng, WEEK, 3 * MONTH))
    slopes = rng.normal(0.3, 1, len(turns) + 1)[np.searchsorted(turns, np.arange(hours), side="right")]
    trend = np.cumsum(slopes) / WEEK * between(rng, 0.05, 1)
    day = rhythm(rng, hours)
    return trend + day / extent(day) * (1 + memory(rng, hours, between(rng, 10, 200), between(rng, 0.02, 0.2)))


def awakening(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Nothing for weeks, and then it grows."""
    begin = int(rng.uniform(0.2, 0.95) * hours)
    grows = (filling, leak, accelerating, step_then_climb)[int(rng.integers(0, 4))]
    grown = grows(rng, hours - begin)
    quiet = memory(rng, hours, between(rng, 1, 48), extent(grown) * between(rng, 0.001, 0.05))
    return quiet + np.concatenate([np.zeros(begin), grown - grown[0]])


def runaway(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Calm, until something leaks or piles up: steadily, from one hour to the next, until there is no room left.

    There it is killed and begins anew, or it stays full until it is found.
    """
    values = memory(rng, hours, between(rng, 1, 48), between(rng, 0.002, 0.08))
    usual, fills = between(rng, 60, 2500), between(rng, 15, 600)
    begin = int(rng.exponential(usual))
    again = rng.random() < 0.3  # what is killed leaks from the start
    while begin < hours:
        length = max(6, int(fills * between(rng, 0.7, 1.4)))
        grown = np.cumsum(_written(rng, length))
        full = 0 if again else int(between(rng, 2, 300))
        climb = np.concatenate([np.maximum(grown / (grown[-1] or 1.0), 0.0), np.ones(full)])[: hours - begin]
        values[begin : begin + len(climb)] += climb
        begin += length + full + (1 if again else int(rng.exponential(usual)) + 1)
    return values


def spells(rng: np.random.Generator, hours: int) -> np.ndarray:
    """Calm, and now and then something leaks or fills, until somebody finds it: at any moment as likely as at another.

    Then it is taken away, or no longer grows.
    """
    calm, lasts = between(rng, 100, 3000), between(rng, 60, 2500)
    values = memory(rng, hours, between(rng, 1, 48), DAY * between(rng, 0.004, 0.6))
    begin = int(rng.exponential(calm))
    while begin < hours:
        length = max(12, int(rng.exponential(lasts)))
        grown = np.cumsum(_written(rng, length)) * between(rng, 0.5, 2)
        values[begin : begin + length] += grown[: hours - begin]
        if rng.random() < 0.25:
            values[begin + length :] += grown[-1]
        begin += length + 1 + int(rng.exponential(calm))
    return values


def _written(rng: np.random.Generator, hours: int) -> np.ndarray:
    """What an hour adds: from rare large files to a steady trickle, with load; two in five partly deleted again."""
    grain = between(rng, 0.05, 20)
    load = rhythm(rng, hours) if rng.random() < 0.7 else np.ones(hours)
    written = rng.gamma(grain, 1 / grain, hours) * load
    if rng.random() < 0.4:
        written = written - rng.uniform(0, 0.9) * rng.gamma(grain, 1 / grain, hours)
    return written


def _unrest(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Noise that lasts for hours to a day, from hardly any to a tenth of what the series grows."""
    return memory(rng, len(values), between(rng, 1, 30), extent(values) * between(rng, 0.002, 0.1))


def _mended(rng: np.random.Generator, releases: np.ndarray, hours: int) -> np.ndarray:
    """[hours]: 0 under releases that do not leak, 1 under the others: all of them, or two in five."""
    leaks = rng.random(len(releases) + 1) < (1.0 if rng.random() < 0.6 else 0.4)
    return leaks[np.searchsorted(releases, np.arange(hours), side="right")].astype(np.float64)
