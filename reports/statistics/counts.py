"""Shares, counts, and how often something comes."""

from __future__ import annotations

from typing import NamedTuple

from scipy import special, stats

from reports.statistics.intervals import ALPHA, Interval


def share_interval(hits: int, n: int) -> Interval | None:
    """Interval of a share: Wilson (1927), which keeps its coverage at small n and near 0 and 1. None for n = 0."""
    if n == 0:
        return None
    z2 = float(special.ndtri(1 - ALPHA / 2)) ** 2
    share = hits / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def count_interval(n: int) -> Interval:
    """Exact interval of the mean of a Poisson count: Garwood (1936)."""
    lo = float(special.gammaincinv(n, ALPHA / 2)) if n else 0.0
    return Interval(lo, float(special.gammaincinv(n + 1, 1 - ALPHA / 2)))


class Gap(NamedTuple):
    """The mean time from one event to the next, and its interval; an end is infinite where the data set no bound."""

    value: float
    lo: float
    hi: float


def gap(n: int, exposure: float) -> Gap | None:
    """Mean time between so many events within `exposure` (of any unit): its quotient, and Garwood's ends turned round.

    Exact where events come independently of each other at a steady rate; None where there was none.
    """
    if n == 0:
        return None
    lo, hi = count_interval(n)
    return Gap(exposure / n, exposure / hi, exposure / lo)


class RateChange(NamedTuple):
    """Rate after / rate before, its interval, and the two-sided p-value of no change."""

    value: float
    lo: float
    hi: float
    p_value: float


def rate_change(before: int, after: int, exposures: tuple[float, float] = (1.0, 1.0)) -> RateChange | None:
    """Did events become more or less frequent? The conditional test of Przyborowski & Wilenski (1940), Biometrika 31.

    Given their sum, the later count is binomial; the interval is Clopper & Pearson's (1934) of its share, as a ratio of
    rates. Exact for Poisson counts, so a little too wide.

    Args:
        exposures: how long each was observed, of any one unit.

    Returns:
        None where there was no event at all; a value or an end may be 0 or infinite.
    """
    n = before + after
    if n == 0:
        return None
    test = stats.binomtest(after, n, exposures[1] / sum(exposures))
    interval = test.proportion_ci(1 - ALPHA, method="exact")
    lo, value, hi = (_odds(share) * exposures[0] / exposures[1] for share in (interval.low, after / n, interval.high))
    return RateChange(value, lo, hi, float(test.pvalue))


def _odds(share: float) -> float:
    return float("inf") if share >= 1 else share / (1 - share)
