"""How much longer or shorter than before: the ratio of two medians."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from reports.statistics.intervals import ALPHA, quantile_interval
from reports.statistics.survival import Survival

POWER = 0.8
OF_EACH = 0.06
"""The level of either median's own interval: at 5 % the ratio's would hold 97.5 % at n = 10, at 6 % it holds 97 %."""


class Ratio(NamedTuple):
    """Median after / median before. None where unfinished durations leave it, or an end, unknown."""

    value: float | None
    lo: float | None
    hi: float | None

    @property
    def smallest_detectable(self) -> float | None:
        """The ratio, below 1, that would have been told from 1 in 80 % of cases, judged by the interval's width."""
        if self.lo is None or self.hi is None or self.lo <= 0:
            return None
        z = float(special.ndtri(1 - ALPHA / 2))
        return float(np.exp(-np.log(self.hi / self.lo) / 2 * (z + float(special.ndtri(POWER))) / z))

    def p_value(self, against: float) -> float | None:
        """Two-sided, of the true ratio being `against`: the standard error is the half width on its side / 1.96.

        An interval without width, of durations that are all but equal, leaves no doubt.
        """
        if self.value is None:
            return None
        end = self.hi if against > self.value else self.lo
        if not end:
            return None
        if end == self.value:
            return 1.0 if against == self.value else 0.0
        z = np.log(against / self.value) / np.log(end / self.value) * special.ndtri(1 - ALPHA / 2)
        return float(2 * special.ndtr(-abs(z)))


def median_ratio(
    before: np.ndarray, before_finished: np.ndarray, after: np.ndarray, after_finished: np.ndarray
) -> Ratio | None:
    """Ratio of the medians of two independent samples of durations, and its distribution-free 95 % interval.

    Each median has an interval from order statistics (``quantile_interval``); the two are joined on a logarithmic scale
    by the method of variance estimates recovery: Zou & Donner (2008), Statistics in Medicine 27. Nothing is assumed of
    the distributions, least of all that one is the other moved along. Over log-normal, exponential and two-humped
    durations and n of 10 to 1,000 on either side it held 93.8-96.8 % (docs/statistics.md).

    Args:
        before, after: [n], [m] seconds that each took, or has taken so far.
        before_finished, after_finished: bool, likewise.

    Returns:
        None where either has no interval (n < 6). With unfinished durations an end may be None: then it is open.
    """
    first, second = _located(before, before_finished), _located(after, after_finished)
    if first is None or second is None:
        return None
    (lo_1, middle_1, hi_1), (lo_2, middle_2, hi_2) = first, second
    if not np.isfinite(middle_1):
        return Ratio(None, None, _scale(hi_2 - lo_1))
    if not np.isfinite(middle_2):
        return Ratio(None, _scale(lo_2 - hi_1), None)
    change = middle_2 - middle_1
    lo = change - np.hypot(middle_2 - lo_2, hi_1 - middle_1)
    hi = change + np.hypot(hi_2 - middle_2, middle_1 - lo_1)
    return Ratio(_scale(change), _scale(lo), _scale(hi))


def _located(seconds: np.ndarray, finished: np.ndarray) -> tuple[float, float, float] | None:
    """Logarithms of the median and of the ends of its interval, in order; infinite where unknown."""
    ends = quantile_interval(seconds, np.where(finished, seconds, np.inf), 0.5, OF_EACH)
    if ends is None:
        return None
    median = Survival.fit(seconds, finished).quantile(0.5)
    lo, hi = np.log1p(ends)
    return float(lo), float(np.inf if median is None else np.clip(np.log1p(median), lo, hi)), float(hi)


def _scale(logarithm: float) -> float | None:
    return float(np.exp(logarithm)) if np.isfinite(logarithm) else None
