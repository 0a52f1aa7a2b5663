"""One measure over one group of incidents: its points and intervals, withheld where they would mislead.

Belongs here: which statistics a duration has, and when each is withheld. Not here: which incidents form a group
(``reports.incident_trends``), or how a statistic is computed (``reports.statistics``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reports.statistics import Survival, mean_interval, quantile_interval, share_interval

SHARES = {"share_1h": 3600.0, "share_4h": 4 * 3600.0, "share_24h": 24 * 3600.0}
QUANTILES = {"median": 0.5, "p75": 0.75, "p90": 0.9}


class Estimate(NamedTuple):
    """A value, its 95 % interval, and how many incidents it rests on. None where withheld, or without such an end."""

    value: float | None
    lo: float | None
    hi: float | None
    n: int


@dataclass(frozen=True)
class Durations:
    """How long some incidents took, in the order of their creation.

    Attributes:
        at: [n] days from the epoch at which each was created, ascending.
        seconds: [n] how long it took, or has taken so far.
        finished: bool [n].
    """

    at: np.ndarray
    seconds: np.ndarray
    finished: np.ndarray

    def take(self, rows: slice | np.ndarray) -> Durations:
        return Durations(self.at[rows], self.seconds[rows], self.finished[rows])

    def between(self, start: float, end: float) -> Durations:
        """Those created in [start, end), days from the epoch."""
        first, last = np.searchsorted(self.at, [start, end])
        return self.take(slice(int(first), int(last)))


def estimates(durations: Durations, minimum_n: int) -> dict[str, Estimate]:
    """All statistics of a group: mean, median, p75, p90, km_median, share_1h, share_4h, share_24h.

    Below `minimum_n` everything is withheld. Mean and quantiles are withheld where no interval exists for them, a
    quantile also where too many are unfinished to say. The mean is withheld while any is unfinished, since it could
    still become anything: then only its lower end is given, at what has passed so far.
    """
    n = len(durations.seconds)
    if n < minimum_n:
        withheld = Estimate(None, None, None, n)
        return dict.fromkeys(("mean", *QUANTILES, "km_median", *SHARES), withheld)
    curve = Survival.fit(durations.seconds, durations.finished)
    return {
        "mean": _mean(durations),
        **{name: _quantile(durations, curve, q) for name, q in QUANTILES.items()},
        "km_median": _km_median(curve, n),
        **{name: _share(durations, curve, limit) for name, limit in SHARES.items()},
    }


def median(durations: Durations, minimum_n: int) -> Estimate:
    """The median alone, withheld as in `estimates`."""
    n = len(durations.seconds)
    if n < minimum_n:
        return Estimate(None, None, None, n)
    return _quantile(durations, Survival.fit(durations.seconds, durations.finished), 0.5)


def _mean(durations: Durations) -> Estimate:
    n, interval = len(durations.seconds), mean_interval(durations.seconds)
    if interval is None:
        return Estimate(None, None, None, n)
    if not durations.finished.all():
        return Estimate(None, interval.lo, None, n)
    return Estimate(float(durations.seconds.mean()), *interval, n)


def _quantile(durations: Durations, curve: Survival, q: float) -> Estimate:
    n = len(durations.seconds)
    at_most = np.where(durations.finished, durations.seconds, np.inf)
    interval = quantile_interval(durations.seconds, at_most, q)
    if interval is None:
        return Estimate(None, None, None, n)
    return Estimate(curve.quantile(q), interval.lo, interval.hi if np.isfinite(interval.hi) else None, n)


def _km_median(curve: Survival, n: int) -> Estimate:
    interval = curve.median_interval
    if interval is None:
        return Estimate(curve.median, None, None, n)
    return Estimate(curve.median, interval.lo, interval.hi if np.isfinite(interval.hi) else None, n)


def _share(durations: Durations, curve: Survival, limit: float) -> Estimate:
    """By Kaplan-Meier; withheld where some are unfinished and none has been followed as long as the limit."""
    known = durations.finished | (durations.seconds >= limit)
    n, value = int(known.sum()), curve.share_within(limit)
    if n == 0 or (value < 1 and durations.seconds.max() < limit):
        return Estimate(None, None, None, n)
    worth = min(len(known), curve.worth(limit) or n)
    interval = share_interval(value * worth, worth)
    return Estimate(None, None, None, n) if interval is None else Estimate(value, *interval, n)
