"""Durations of which some are not finished: Kaplan-Meier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Survival:
    """The Kaplan-Meier curve (Kaplan & Meier 1958): the share of durations longer than t, had all been finished.

    An unfinished duration counts as longer than what it has lasted, and at equal times finished come before unfinished.

    Attributes:
        times: [k], ascending, at which some duration finished.
        survival: [k], just after each of them.
    """

    times: np.ndarray
    survival: np.ndarray

    @classmethod
    def fit(cls, seconds: np.ndarray, finished: np.ndarray) -> Survival:
        """From durations so far, [n], and whether each is finished, bool [n]."""
        times, ended = np.unique(seconds[finished], return_counts=True)
        at_risk = len(seconds) - np.searchsorted(np.sort(seconds), times, side="left")
        return cls(times, np.cumprod(1 - ended / at_risk))

    @property
    def median(self) -> float | None:
        """The first time at which no more than half are left; None where more than half are never seen to finish."""
        reached = self._first_at(0.5)
        return None if reached is None else float(self.times[reached])

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

    def _first_at(self, level: float) -> int | None:
        reached = np.flatnonzero(self.survival <= level + 1e-9)
        return int(reached[0]) if len(reached) else None
