"""Intervals for one sample: a quantile, a mean, a share, a count."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

ALPHA = 0.05


class Interval(NamedTuple):
    """A 95 % interval; an end is infinite where the data set no bound."""

    lo: float
    hi: float


def quantile_interval(at_least: np.ndarray, at_most: np.ndarray, q: float) -> Interval | None:
    """Distribution-free interval of the `q` quantile, from order statistics.

    The ends are order statistics, interpolated between neighbours so that coverage is near 95 % and not well above it:
    Nyblom (1992), "Note on interpolated order statistics", Statistics & Probability Letters 14, equation 2.2, which for
    the median is Hettmansperger & Sheather (1986). Interpolation is on log(1 + x), durations being skewed.

    Durations that are not finished enter as bounds, `at_least` so far and `at_most` infinite. The lower end then comes
    from the shortest and the upper end from the longest values that they can still take, so that the interval holds
    whatever becomes of them (Manski's worst-case bounds); nothing is assumed about why they are unfinished.

    Args:
        at_least, at_most: [n], not negative; equal where the value is known.
        q: in (0, 1).

    Returns:
        None where even the extremes of n values do not enclose the quantile with 97.5 % on each side: n < 6 for the
        median, n < 13 for q = 0.75, n < 36 for q = 0.9.
    """
    n = len(at_least)
    lower, upper = _ranks(n, q), _ranks(n, 1 - q)
    if lower is None or upper is None:
        return None
    ascending, descending = np.sort(at_least), np.sort(at_most)[::-1]
    return Interval(_between(ascending, *lower), _between(descending, *upper))


@lru_cache(maxsize=4096)
def _ranks(n: int, q: float) -> tuple[int, float] | None:
    """The rank r (from 0) and weight w: the lower end lies at w between the order statistics r and r + 1.

    With B binomial(n, q), the r-th smallest value (from 1) lies above the quantile with probability P(B < r).
    """
    tail = special.bdtr(np.arange(n), n, q)  # P(B <= r - 1) for r = 1..n
    r = int(np.searchsorted(tail, ALPHA / 2, side="right"))
    if r == 0:
        return None
    if r == n:
        return n - 1, 0.0
    below, above = ALPHA / 2 - tail[r - 1], tail[r] - ALPHA / 2
    return r - 1, 1.0 if below + above == 0 else float(
        (n - r) * q * below / ((n - r) * q * below + r * (1 - q) * above)
    )


def _between(ordered: np.ndarray, rank: int, weight: float) -> float:
    first, second = ordered[rank], ordered[min(rank + 1, len(ordered) - 1)]
    if not np.isfinite(first) or not np.isfinite(second):
        return float(first)
    return float(np.expm1((1 - weight) * np.log1p(first) + weight * np.log1p(second)))


def mean_interval(values: np.ndarray) -> Interval | None:
    """Interval of the mean of right-skewed values: the studentised bootstrap of the mean's logarithm.

    Efron & Tibshirani (1993), "An Introduction to the Bootstrap", section 12.5, with the delta-method standard error
    sd / (mean * sqrt(n)) of log(mean). Percentile and BCa intervals fall far shorter of 95 % on log-normal durations
    (measured in tests/reports/test_statistics_intervals.py). Resampling is seeded from the values, so that equal
    samples have equal intervals.

    Args:
        values: [n], not negative, in any order.

    Returns:
        None below 5 values, where all values are equal, or where so few differ that resamples without any spread
        would decide.
    """
    n = len(values)
    if n < 5 or np.ptp(values) == 0:
        return None
    ordered = np.sort(values).astype(float)
    rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(ordered.tobytes(), digest_size=8).digest(), "big"))
    resamples = 399 if n <= 2000 else 199  # (B + 1) alpha / 2 is whole for both
    rows = max(1, 500_000 // n)
    chunks = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    statistics = np.sort(np.concatenate([_studentised(ordered, rng, chunk) for chunk in chunks]))
    tail = int((resamples + 1) * ALPHA / 2)
    low, high = statistics[-tail], statistics[tail - 1]
    if not np.isfinite(low) or not np.isfinite(high):
        return None
    mean, error = ordered.mean(), ordered.std(ddof=1) / ordered.mean() / np.sqrt(n)
    return Interval(float(mean * np.exp(-low * error)), float(mean * np.exp(-high * error)))


def _studentised(values: np.ndarray, rng: np.random.Generator, rows: int) -> np.ndarray:
    """(log mean* - log mean) / se* of so many resamples; minus infinity for one without any spread."""
    n, mean = len(values), values.mean()
    shifted = (values - mean)[rng.integers(0, n, size=(rows, n), dtype=np.uint32)]
    sums = shifted.sum(axis=1)
    variances = np.maximum(0.0, np.einsum("ij,ij->i", shifted, shifted) - sums**2 / n) / (n - 1)
    means = mean + sums / n
    usable = (means > 1e-9 * mean) & (variances > (1e-9 * mean) ** 2)
    means, variances = np.where(usable, means, mean), np.where(usable, variances, 1.0)
    return np.where(usable, np.log(means / mean) * means * np.sqrt(n / variances), -np.inf)


def share_interval(hits: int, n: int) -> Interval | None:
    """Interval of a share: Wilson (1927), which keeps its coverage at small n and near 0 and 1. None for n = 0."""
    if n == 0:
        return None
    z2 = float(special.ndtri(1 - ALPHA / 2)) ** 2
    share = hits / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(float(max(0.0, centre - half)), float(min(1.0, centre + half)))


def count_interval(n: int) -> Interval:
    """Exact interval of the mean of a Poisson count: Garwood (1936)."""
    lo = float(special.gammaincinv(n, ALPHA / 2)) if n else 0.0
    return Interval(lo, float(special.gammaincinv(n + 1, 1 - ALPHA / 2)))
