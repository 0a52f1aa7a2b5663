"""Durations of which some are not finished: Kaplan-Meier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from reports.statistics.intervals import ALPHA, Interval


@dataclass(frozen=True)
class Survival:
    """The Kaplan-Meier curve (Kaplan & Meier 1958): the share of durations longer than t, had all been finished.

    An unfinished duration counts as longer than what it has lasted, and at equal times finished come before unfinished.

    Attributes:
        times: [k], ascending, at which some duration finished.
        survival: [k], just after each of them.
        greenwood: [k], the variance of survival as a share of its square (Greenwood 1926); infinite where none is left.
    """

    times: np.ndarray
    survival: np.ndarray
    greenwood: np.ndarray

    @classmethod
    def fit(cls, seconds: np.ndarray, finished: np.ndarray) -> Survival:
        """From durations so far, [n], and whether each is finished, bool [n]."""
        times, ended = np.unique(seconds[finished], return_counts=True)
        at_risk = len(seconds) - np.searchsorted(np.sort(seconds), times, side="left")
        left = at_risk - ended
        terms = np.divide(ended, at_risk * left.astype(float), out=np.full(len(times), np.inf), where=left > 0)
        return cls(times, np.cumprod(left / at_risk), np.cumsum(terms))

    @property
    def median(self) -> float | None:
        """The first time at which no more than half are left; None where more than half are never seen to finish."""
        reached = self._first_at(0.5)
        return None if reached is None else float(self.times[reached])

    @property
    def median_interval(self) -> Interval | None:
        """Where the curve's 95 % band crosses a half (Brookmeyer & Crowley 1982); None where it never does."""
        lower, upper = self.band()
        early, late = np.flatnonzero(lower <= 0.5), np.flatnonzero(upper <= 0.5)
        if not len(early):
            return None
        return Interval(float(self.times[early[0]]), float(self.times[late[0]]) if len(late) else np.inf)

    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper 95 % limits of the survival at each time, [k] each, pointwise.

        Greenwood's variance on the scale of log(-log(survival)), which keeps them within 0 and 1: Kalbfleisch and
        Prentice (1980), section 1.3. Where none is left both are 0.
        """
        inner = (self.survival > 0) & (self.survival < 1)
        logarithm = np.log(np.where(inner, self.survival, 0.5))
        half = special.ndtri(1 - ALPHA / 2) * np.sqrt(np.where(inner, self.greenwood, 0.0)) / logarithm
        lower, upper = (np.where(inner, np.exp(logarithm * np.exp(sign * half)), self.survival) for sign in (-1, 1))
        return lower, upper

    def quantile(self, q: float) -> float | None:
        """The `q` quantile: as `median`, but the middle of the flat stretch where the curve lies at 1 - q exactly.

        With every duration finished this is Hyndman & Fan's (1996) definition 2, so that the median of an even number
        is the mean of the middle two. None where the curve does not come down that far.
        """
        reached = self._first_at(1 - q)
        if reached is None:
            return None
        on_the_line = abs(self.survival[reached] - (1 - q)) < 1e-9
        if on_the_line and reached + 1 == len(self.times):
            return float(self.times[reached])
        return float(self.times[reached : reached + 1 + on_the_line].mean())

    def share_within(self, seconds: float) -> float:
        """The share finished within so many seconds."""
        seen = int(np.searchsorted(self.times, seconds, side="right"))
        return float(1 - self.survival[seen - 1]) if seen else 0.0

    def worth(self, seconds: float) -> float | None:
        """How many finished durations would tell the share within so many seconds as well: Rothman (1978).

        J. Chronic Diseases 31: the number whose binomial variance is Greenwood's. Without unfinished ones it is all.
        None where none, or all, are finished by then: Greenwood's variance is 0 there.
        """
        seen = int(np.searchsorted(self.times, seconds, side="right"))
        left = float(self.survival[seen - 1]) if seen else 1.0
        return (1 - left) / (left * float(self.greenwood[seen - 1])) if 0 < left < 1 else None

    def _first_at(self, level: float) -> int | None:
        reached = np.flatnonzero(self.survival <= level + 1e-9)
        return int(reached[0]) if len(reached) else None
