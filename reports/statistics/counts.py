"""Shares, counts, and how often something comes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from reports.statistics.intervals import ALPHA, Interval


def share_interval(hits: float, n: float) -> Interval | None:
    """Interval of a share: Wilson (1927), which keeps its coverage at small n and near 0 and 1. None for n = 0.

    Neither need be whole, as where some are worth less than others.
    """
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


def rate_change(
    before: float, after: float, exposures: tuple[float, float] = (1.0, 1.0), dispersion: float = 1.0
) -> RateChange | None:
    """Did events become more or less frequent? The conditional test of Przyborowski & Wilenski (1940), Biometrika 31.

    Given their sum, the later count is binomial; the interval is Clopper & Pearson's (1934) of its share, as a ratio of
    rates, and the p-value twice the smaller tail. Exact for Poisson counts, so a little too wide. Counts that vary more
    than Poisson's, as where one fault is reported many times over, are worth less: both are divided by their dispersion
    (as in quasi-Poisson regression, McCullagh & Nelder 1989, section 6.2) and need not be whole then.

    Args:
        exposures: how long each was observed, of any one unit.
        dispersion: variance / mean of the counts of equal short times, from 1.

    Returns:
        None where there was no event at all; a value or an end may be 0 or infinite.
    """
    if before + after == 0:
        return None
    first, second = before / dispersion, after / dispersion
    share = exposures[1] / sum(exposures)
    lo = float(special.betaincinv(second, first + 1, ALPHA / 2)) if second else 0.0
    hi = float(special.betaincinv(second + 1, first, 1 - ALPHA / 2)) if first else 1.0
    at_least = float(special.betainc(second, first + 1, share)) if second else 1.0
    at_most = 1 - float(special.betainc(second + 1, first, share)) if first else 1.0
    scale = exposures[0] / exposures[1]
    lo, value, hi = (_odds(each) * scale for each in (lo, second / (first + second), hi))
    return RateChange(value, lo, hi, min(1.0, 2 * min(at_least, at_most)))


def dispersion(counts: np.ndarray, expected: np.ndarray, fitted: int) -> float:
    """Pearson's statistic over its degrees of freedom: how much more counts vary than Poisson's do; at least 1.

    Args:
        counts, expected: [m], where expected is above 0.
        fitted: how many means were fitted to get `expected`.
    """
    free = len(counts) - fitted
    return 1.0 if free < 1 else max(1.0, float(((counts - expected) ** 2 / expected).sum() / free))


def _odds(share: float) -> float:
    return float("inf") if share >= 1 else share / (1 - share)
