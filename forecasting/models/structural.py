"""Prophet's model for whole batches: a trend that may bend, a day and a week, at a thousandth of Prophet's cost.

Belongs here: sample paths. Not here: the fit (``forecasting.models.structural_fit``), or which series it may serve
(``forecasting.tournament``).

The expected path is Prophet's. Its uncertainty is not: bends drawn at the mean rate of the past and what the fit left
over know nothing of how a fit goes wrong on weeks that it has not seen, and bands of 80 % held 68 to 76 % of real
series' hours. Since a fit costs so little, it is repeated at the end of each earlier week, and the errors that it made
in the fortnight after, whole stretches of them, are laid on tonight's path. Where there is no earlier week to learn
from, what the fit left over must do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.history import DAY, History
from forecasting.models.structural_fit import fit
from forecasting.paths import Paths

WEEK_DAYS = 7
EARLIER_WEEKS = 8
FEWEST_DAYS = 10  # of observed hours before an earlier fit
OUTLIER = 50.0  # in units of the spread: further out only misleads a least-squares fit


@dataclass(frozen=True)
class Structural:
    """Piecewise-linear trend, daily and weekly rhythm (Taylor & Letham, 2018), for all series at once."""

    name: str = "structural"

    def paths(self, history: History) -> Paths:
        return self.fit(history).paths()

    def fit(self, history: History) -> Fitted:
        return Fitted(history, np.clip(history.scale.standardise(history.held), -OUTLIER, OUTLIER))


@dataclass(frozen=True)
class Fitted:
    """Fits at the ends of weeks, made when they are needed, from which paths follow for as_of and for any past cut.

    A *cut* is a past moment that plays as_of, in days ago; 0 is as_of itself. What is said at a cut rests on hours
    before the cut alone.

    values: float64 [S, T], unit-free, NaN where not observed.
    """

    history: History
    values: np.ndarray
    _expected: dict[int, np.ndarray] = field(default_factory=dict)

    def paths(self, cut: int = 0) -> Paths:
        """Paths from `cut`, one for each past origin."""
        history, H = self.history, self.history.horizon_h
        ends = self.values.shape[1] - DAY * cut
        expected = self.expected(cut)
        error, weight = self._errors(cut)
        alone = np.flatnonzero(weight.sum(axis=1) == 0)
        left = np.nan_to_num(self.values[alone, :ends] - expected[alone, :ends])
        first = np.argmax(~np.isnan(self.values[alone, :ends]), axis=1)
        error[alone] = _stretches(left, ends - first, error.shape[1], H)
        weight[alone] = 1
        weight = weight / weight.sum(axis=1, keepdims=True)
        drawn = (expected[:, None, ends : ends + H] + error).astype(np.float32)
        evidence = np.zeros_like(weight)  # stretches of one fit go wrong together: a week is one past
        evidence[:, WEEK_DAYS - 1 :: WEEK_DAYS] = weight.reshape(-1, EARLIER_WEEKS, WEEK_DAYS).sum(axis=2)
        return Paths(drawn, weight.astype(np.float32), history.present[:, cut], history.scale, evidence)

    def expected(self, cut: int) -> np.ndarray:
        """float64 [S, T - 24 cut + H + 144]: the fit at the cut, from the first hour to its stalest forecast's end.

        Where nothing was observed before, the present level, which stands for it.
        """
        if cut not in self._expected:
            ends = self.values.shape[1] - DAY * cut
            width = ends + self.history.horizon_h + DAY * (WEEK_DAYS - 1)
            expected = np.repeat(self.history.present[:, cut, None], width, axis=1)
            rows = np.flatnonzero(~np.isnan(self.values[:, :ends]).all(axis=1))
            found = fit(self.values[rows, :ends])
            expected[rows] = found.trend(width) + found.rhythm(width)
            self._expected[cut] = expected
        return self._expected[cut]

    def _errors(self, cut: int) -> tuple[np.ndarray, np.ndarray]:
        """What came, less what the newest fit before had expected, after each origin (1 day before the cut, 2, ...):
        float64 [S, N, H]; and whether it counts, float64 [S, N].

        What had not come by the cut is taken to go on where the last day stood.
        """
        history, H = self.history, self.history.horizon_h
        T, origins = self.values.shape[1], WEEK_DAYS * EARLIER_WEEKS
        error, weight = np.zeros((len(self.values), origins, H)), np.zeros((len(self.values), origins))
        for days in range(1, origins + 1):
            fitted = cut + WEEK_DAYS * -(-days // WEEK_DAYS)
            if fitted > history.origins:
                break
            began, known = T - DAY * (cut + days), min(DAY * days, H)
            came = slice(began, began + known)
            error[:, days - 1, :known] = history.values[:, came] - self.expected(fitted)[:, came]
            error[:, days - 1, known:] = np.median(error[:, days - 1, known - DAY : known], axis=1)[:, None]
            before = np.count_nonzero(~np.isnan(self.values[:, : T - DAY * fitted]), axis=1)
            weight[:, days - 1] = history.usable[:, cut + days] & (before >= DAY * FEWEST_DAYS)
        return error, weight


def _stretches(left: np.ndarray, length: np.ndarray, count: int, hours: int) -> np.ndarray:
    """[S, count, hours]: stretches of each row's last `length` hours that begin whole days before the end, the newest
    first, again and again. Rows shorter than one stretch are repeated.
    """
    S, T = left.shape
    needed = -(-hours // DAY)
    days = np.maximum(length // DAY, 1)[:, None]
    back = np.arange(-max(T, DAY * needed), 0)
    stretch = np.take_along_axis(left, T + back % (DAY * days) - DAY * days, axis=1)
    start = len(back) - DAY * (needed + np.arange(count) % np.maximum(days - needed + 1, 1))
    return sliding_window_view(stretch, hours, axis=1)[np.arange(S)[:, None], start]
