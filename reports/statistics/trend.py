"""Is it getting longer or shorter? A slope with its interval, and a test that allows for runs."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from reports.statistics.intervals import ALPHA, Interval
from reports.statistics.survival import Survival

POWER = 0.8
BLOCKS, LEAST_BLOCKS, LEAST_PER_BLOCK = 40, 8, 5


class MannKendall(NamedTuple):
    """S, its variance (corrected), the two-sided p-value, and the half width of a 95 % interval of S."""

    s: float
    variance: float
    p_value: float
    half_width: float


class Trend(NamedTuple):
    """A slope per unit of time of log durations, with what goes with it.

    Its `direction` is the sign of Mann-Kendall's S, of which p_value speaks. Where many values are equal the slope may
    be 0, or even lean the other way, while S is beyond chance.
    """

    slope: float
    lo: float
    hi: float
    p_value: float
    smallest_detectable: float | None
    direction: int


def mann_kendall(values: np.ndarray, autocorrelation: bool = True) -> MannKendall:
    """Does the order of the values go with their order in time?

    Mann (1945), Kendall (1975), with the variance for ties and a continuity correction. `autocorrelation` widens that
    variance as Hamed & Rao (1998), J. Hydrology 204, equation 13, from the ranks' autocorrelation once Theil-Sen's
    slope is taken out. Theirs keeps only the significant lags, which sees too little in 10-40 values: of trendless
    AR(1) series of 40 with 0.5 it called 19 % a trend at a nominal 5 %, this one 7 %. Here the autocorrelations are
    those of an AR(1) process, rho^k, with rho corrected for its bias, (m r + 2) / (m - 4) (van Giersbergen 2005, as
    in Hamed 2009, J. Hydrology 368), and never below 0: chance must not narrow an interval. Where it was widened, by an
    estimate, z is held against Student's t with m / inflation - 2 degrees of freedom, the values' worth in independent
    ones (Bayley & Hammersley 1946) less two: else the far tail, which many verdicts at once are judged by, is too thin.

    Args:
        values: [m] in order of time, equally spaced, finite, m > 4.
    """
    m = len(values)
    s = float(np.sign(values[None, :] - values[:, None])[np.triu_indices(m, 1)].sum())
    ties = np.unique(values, return_counts=True)[1]
    variance = (m * (m - 1) * (2 * m + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    inflation = _inflation(values) if autocorrelation else 1.0
    variance *= inflation
    if variance == 0:
        return MannKendall(s, 0.0, 1.0, 0.0)
    error = float(np.sqrt(variance))
    z = abs(s - np.sign(s)) / error
    freedom = np.inf if inflation == 1.0 else max(2.0, m / inflation - 2)
    half_width = error * float(special.stdtrit(freedom, 1 - ALPHA / 2))
    return MannKendall(s, float(variance), float(2 * special.stdtr(freedom, -z)), half_width)


def _inflation(values: np.ndarray) -> float:
    m = len(values)
    at = np.arange(m, dtype=float)
    ranks = stats.rankdata(values - _median_slope(at, values) * at)
    centred = ranks - ranks.mean()
    if not centred.any():
        return 1.0
    r = float(centred[1:] @ centred[:-1] / (centred @ centred))
    rho = min(0.95, max(0.0, (m * r + 2) / (m - 4)))
    lags = np.arange(1, m - 2)
    weights = (m - lags) * (m - lags - 1) * (m - lags - 2)
    return float(1 + 2 / (m * (m - 1) * (m - 2)) * (weights * rho**lags).sum())


def theil_sen(at: np.ndarray, values: np.ndarray, half_width: float) -> tuple[float, Interval]:
    """The median of all pairwise slopes, with Sen's (1968) interval.

    Args:
        at, values: [m]; equal times are left out of the pairs.
        half_width: of the interval of Kendall's S, from `mann_kendall`, so that the interval of the slope allows for
            runs as the test does.
    """
    slopes = _slopes(at, values)
    below = int(np.floor((len(slopes) - half_width) / 2))
    above = int(np.ceil((len(slopes) + half_width) / 2))
    lo, hi = slopes[max(0, below)], slopes[min(len(slopes) - 1, above)]
    return float(np.median(slopes)), Interval(float(lo), float(hi))


def _slopes(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(at), 1)
    apart = at[second] - at[first]
    different = apart != 0
    return np.sort((values[second] - values[first])[different] / apart[different])


def _median_slope(at: np.ndarray, values: np.ndarray) -> float:
    return float(np.median(_slopes(at, values)))


def trend(at: np.ndarray, seconds: np.ndarray, finished: np.ndarray) -> Trend | None:
    """The trend of durations in order of their beginning.

    They are cut into blocks of at least 5 and of at least a fortieth of the time, so that busy weeks do not outvote
    quiet months; each block's value is the logarithm of its Kaplan-Meier median, so that unfinished durations weigh in
    and a recent block is not short merely because its long ones are still running.
    Where not even half of a block is finished its longest time so far stands in: a lower bound, so that a worsening is
    rather understated. Then `theil_sen` and `mann_kendall` over the blocks.

    The smallest detectable slope is the one found in 80 % of cases at 5 %: (1.96 + 0.84) standard errors, the standard
    error being the interval's half width / 1.96, or as many as the test asks for where it allows for runs.

    Args:
        at: [n] when each began, ascending, in the unit of time that the slope is per.
        seconds: [n] how long it took, or has taken so far.
        finished: bool [n].

    Returns:
        None below 8 blocks, which takes 40 durations at least, or where all began at one time.
    """
    starts = _blocks(at)
    if len(starts) < LEAST_BLOCKS or at[0] == at[-1]:
        return None
    spans = list(pairwise([*starts, len(at)]))
    middle = np.array([at[a:b].mean() for a, b in spans])
    level = np.array([_log_median(seconds[a:b], finished[a:b]) for a, b in spans])
    test = mann_kendall(level)
    slope, (lo, hi) = theil_sen(middle, level, test.half_width)
    errors = test.half_width / np.sqrt(test.variance) if test.variance else np.inf
    smallest = float((hi - lo) / 2 * (1 + special.ndtri(POWER) / errors))
    # All but equal values have an interval without width.
    return Trend(slope, lo, hi, test.p_value, smallest or None, int(np.sign(test.s)))


def _blocks(at: np.ndarray) -> list[int]:
    """Where each block begins; a rest too small for a block of its own belongs to the last."""
    starts, start = [], 0
    while len(at) - start >= LEAST_PER_BLOCK:
        starts.append(start)
        in_time = np.searchsorted(at, at[start] + (at[-1] - at[0]) / BLOCKS, side="left")
        start = max(start + LEAST_PER_BLOCK, int(in_time))
    return starts


def _log_median(seconds: np.ndarray, finished: np.ndarray) -> float:
    median = Survival.fit(seconds, finished).quantile(0.5)
    return float(np.log1p(seconds.max() if median is None else median))
