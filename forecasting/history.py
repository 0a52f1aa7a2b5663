"""A batch's past as the models see it: unit-free, held, filled, freed of its rhythm, with a row of past origins.

Belongs here: everything that all models share, computed once a batch. Not here: any forecast.

Everything a model reads at a past *origin* (a moment that plays as_of) rests on hours before that origin: the rhythm is
learnt causally, day by day, and gaps are filled forwards. So one pass over the past gives every rolling origin, and
the errors there are errors of true forecasts. Two things look over the whole past on purpose, since they hold no level:
the scale of a series, and where it broke.

Origins lie whole days apart, at as_of's own hour of the day: errors then keep the hours at which they happen (the
nightly backup falls on the night), and every forecast starts in the same phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from features.breaks import find_breaks
from features.grid import Grid
from features.robust import median, quantiles
from forecasting.rhythm import learn_rhythm

DAY = 24
MOST_ORIGINS = 56  # days back: two months of errors; older ones would weigh little (see forecasting.models.ensemble)
WARM_UP_DAYS = 1  # history that an origin needs before it
PRESENT_H = 6  # hours whose median is the present level: a spike of two hours does not move it
USUAL_DAYS = 14
UNREST_DAYS = 7
HOLD_STEPS = 3  # a reading counts for so many of its series' steps
RARE_H = 2.0  # series with longer steps are held
LARGEST = 1e300  # beyond it differences of values overflow
FURTHEST = 1e6  # in units of the scale: float32 keeps seven digits

# A scale must not be the rounding of floats.
FUZZ = 1e-10


@dataclass(frozen=True)
class Scale:
    """values = centre + spread * standardised. centre, spread: float64 [S], finite, spread > 0."""

    centre: np.ndarray
    spread: np.ndarray

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """[S, ...] in the series' own units to unit-free, clipped far out."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        centred = np.clip(values, -LARGEST, LARGEST) - self.centre.reshape(shape)
        with np.errstate(over="ignore"):  # an infinite ratio is clipped like any other
            return np.clip(centred / self.spread.reshape(shape), -FURTHEST, FURTHEST)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """[S, ...] unit-free to the series' own units, float64."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        return self.centre.reshape(shape) + self.spread.reshape(shape) * values.astype(np.float64)

    def take(self, rows: np.ndarray) -> Scale:
        return Scale(self.centre[rows], self.spread[rows])


@dataclass(frozen=True)
class History:
    """The past of S series over D whole days before as_of, and K past origins. All values unit-free (see `scale`).

    grid: the series' hourly values as observed, T = 24 D hours.
    held: float64 [S, T], the same in the series' own units, held where rare (see `hold`); NaN where not observed.
    scale: how to get back to the series' own units.
    horizon_h: H, how many hours ahead is forecast.
    values: float32 [S, T], filled: an hour not observed has the level before it and the rhythm of its hour.
    level: float32 [S, T], the values without their rhythm; NaN where not observed.
    carried: float32 [S, T], the same with gaps filled by the level before them.
    rhythm: float32 [S, 1 + K, H], what the rhythm adds in the hours after as_of and after each origin, as known there.
    seen: bool [S, T], observed (or held) hours.
    broken: int32 [S, 1 + K], hours between the last reset or step before as_of (an origin) and it; T where none.
    usable: bool [S, 1 + K], origins with enough of the past before and of the outcomes after them; as_of always.

    Origin k (1..K) lies 24 k hours before as_of; index 0 is as_of itself.
    """

    grid: Grid
    held: np.ndarray
    scale: Scale
    horizon_h: int
    values: np.ndarray
    level: np.ndarray
    carried: np.ndarray
    rhythm: np.ndarray
    seen: np.ndarray
    broken: np.ndarray
    usable: np.ndarray

    def take(self, rows: np.ndarray) -> History:
        """The past of some of the series, by position."""
        return History(
            grid=self.grid.take(rows),
            held=self.held[rows],
            scale=self.scale.take(rows),
            horizon_h=self.horizon_h,
            values=self.values[rows],
            level=self.level[rows],
            carried=self.carried[rows],
            rhythm=self.rhythm[rows],
            seen=self.seen[rows],
            broken=self.broken[rows],
            usable=self.usable[rows],
        )

    @property
    def origins(self) -> int:
        """K."""
        return self.usable.shape[1] - 1

    @cached_property
    def present(self) -> np.ndarray:
        """float64 [S, 1 + K]: the level at as_of and at each origin, the median of what was observed in the six hours
        before it; where nothing was, the level before that.
        """
        ends = self.values.shape[1] - DAY * np.arange(self.origins + 1)
        observed = median(self.before(self.level, PRESENT_H))
        return np.where(np.isnan(observed), self.carried[:, ends - 1], observed)

    @cached_property
    def usual(self) -> np.ndarray:
        """float64 [S, 1 + K]: the mean level over the fortnight before as_of and before each origin."""
        S, T = self.values.shape
        return self._over_days(self.carried.reshape(S, T // DAY, DAY).mean(axis=2, dtype=np.float64), USUAL_DAYS)

    @cached_property
    def unrest(self) -> np.ndarray:
        """float64 [S, 1 + K]: the mean daily range over the week before as_of and before each origin."""
        S, T = self.values.shape
        return self._over_days(np.ptp(self.values.reshape(S, T // DAY, DAY), axis=2).astype(np.float64), UNREST_DAYS)

    def _over_days(self, daily: np.ndarray, days: int) -> np.ndarray:
        """float64 [S, 1 + K]: means of daily values [S, T / 24] before as_of and each origin; the first day stands in
        for days before it.
        """
        padded = np.concatenate([np.repeat(daily[:, :1], days, axis=1), daily], axis=1)
        means = np.ascontiguousarray(sliding_window_view(padded, days, axis=1)).mean(axis=2)
        return means[:, daily.shape[1] - np.arange(self.origins + 1)]

    def before(self, series: np.ndarray, hours: int) -> np.ndarray:
        """[S, 1 + K, hours]: the last `hours` columns of a [S, T] array before as_of and before each origin.

        The oldest origins' windows are padded with NaN where they begin before the history.
        """
        padded = np.full((series.shape[0], hours + series.shape[1]), np.nan, dtype=np.float32)
        padded[:, hours:] = series
        windows = sliding_window_view(padded, hours, axis=1)
        return np.ascontiguousarray(windows[:, series.shape[1] - DAY * np.arange(self.origins + 1)])

    def after(self) -> np.ndarray:
        """float32 [S, K, H]: what came after each origin, NaN where that lies at or after as_of."""
        S, T = self.values.shape
        padded = np.full((S, T + self.horizon_h), np.nan, dtype=np.float32)
        padded[:, :T] = self.values
        windows = sliding_window_view(padded, self.horizon_h, axis=1)
        return np.ascontiguousarray(windows[:, T - DAY * np.arange(1, self.origins + 1)])


def hold(values: np.ndarray) -> np.ndarray:
    """Series read more rarely than every two hours, with each reading carried forward for at most three of their steps.

    Args:
        values: [S, T], NaN where not observed.

    So that "3 consecutive observed hours" and "enough hours" mean the same for a daily reading as for one a minute.
    """
    seen = ~np.isnan(values)
    rows = np.flatnonzero(_step(seen) > RARE_H)
    if len(rows) == 0:
        return values
    held = values.copy()
    held[rows] = _carried(values[rows], HOLD_STEPS * _step(seen[rows]))
    return held


def look_back(grid: Grid, horizon_h: int, history_days: int) -> History:
    """The past of a batch, ready for models.

    Args:
        grid: series with at least one observed hour each, and not constant.
        horizon_h: how far the models will look ahead.
        history_days: how far back they may look.
    """
    days = min(history_days, grid.values.shape[1] // DAY)
    values = grid.values[:, grid.values.shape[1] - DAY * days :]
    held = hold(np.where(np.isfinite(values), values, np.nan))
    scale = find_scale(held)
    unitless = scale.standardise(held)
    origins = max(0, min(MOST_ORIGINS, days - WARM_UP_DAYS))
    learnt = learn_rhythm(unitless, horizon_h, origins)
    seen = ~np.isnan(unitless)
    return History(
        grid=Grid(grid.series_id, grid.as_of, values),
        held=held,
        scale=scale,
        horizon_h=horizon_h,
        values=learnt.filled.astype(np.float32),
        level=np.where(seen, learnt.level, np.nan).astype(np.float32),
        carried=learnt.level.astype(np.float32),
        rhythm=learnt.ahead.astype(np.float32),
        seen=seen,
        broken=_since_break(learnt.level, seen, origins),
        usable=_usable(seen, origins, horizon_h),
    )


def find_scale(values: np.ndarray) -> Scale:
    """Median, and p95 - p5 over the whole past or over its last week, whichever is wider: a leak that began this week
    must not be measured in the quiet of the months before.
    """
    clipped = np.clip(values, -LARGEST, LARGEST)
    lowest, low, centre, high, highest = quantiles(clipped, (0.0, 0.05, 0.5, 0.95, 1.0))
    week_low, week_high = quantiles(clipped[:, -7 * DAY :], (0.05, 0.95))
    fuzz = FUZZ * np.fmax(np.abs(lowest), np.abs(highest))
    spread = np.fmax(high - low, week_high - week_low)
    spread = np.where(spread > fuzz, spread, highest - lowest)
    return Scale(np.nan_to_num(centre), np.where(spread > 0, spread, 1.0))


def _step(seen: np.ndarray) -> np.ndarray:
    """[S]: median hours between observed hours; 1 where fewer than two were observed."""
    between = np.count_nonzero(seen, axis=1) - 1
    together = np.count_nonzero(seen[:, 1:] & seen[:, :-1], axis=1)
    step = np.ones(len(seen))
    rare = np.flatnonzero(2 * together <= between)  # of the others more than half are an hour apart
    hour = np.where(seen[rare], np.arange(seen.shape[1], dtype=np.float64), np.nan)
    apart = median(np.diff(np.sort(hour, axis=1), axis=1))
    step[rare] = np.where(np.isnan(apart), 1.0, apart)
    return step


def _carried(values: np.ndarray, at_most: np.ndarray) -> np.ndarray:
    columns = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, columns), axis=1)
    carried = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where((last >= 0) & (columns - last <= at_most[:, None]), carried, np.nan)


def _since_break(level: np.ndarray, seen: np.ndarray, origins: int) -> np.ndarray:
    """int32 [S, 1 + K]: hours since the last reset or step, T where there was none."""
    T = level.shape[1]
    breaks = find_breaks(np.where(seen, level, np.nan))
    column = np.where(breaks.resets | breaks.steps, np.arange(T), -1)
    last = np.maximum.accumulate(column, axis=1)
    ends = T - DAY * np.arange(origins + 1)
    at = last[:, ends - 1]
    return np.where(at >= 0, ends - at, T).astype(np.int32)


def _usable(seen: np.ndarray, origins: int, horizon_h: int) -> np.ndarray:
    """Whether half of the day before an origin and half of its settled outcomes were observed; bool [S, 1 + K]."""
    S, T = seen.shape
    total = np.zeros((S, T + 1), dtype=np.int32)
    np.cumsum(seen, axis=1, out=total[:, 1:])
    ends = T - DAY * np.arange(origins + 1)
    until = np.minimum(ends + horizon_h, T)
    before = total[:, ends] - total[:, ends - DAY]
    after = total[:, until] - total[:, ends]
    usable = (2 * before >= DAY) & (2 * after >= until - ends)
    usable[:, 0] = True
    return usable
