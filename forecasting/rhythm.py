"""The daily and weekly rhythm as it was known at each day of the past.

Belongs here: a causal, recursive estimate for rolling origins. Not here: the rhythm of the whole past at once, which
describes a series and is ``features.seasonality``.

Each day updates a profile of 24 hours and one of 168 hours that describes what the first leaves (exponential smoothing
with a plain mean at first, as in Holt-Winters). What is smoothed is the distance from a centred average over a day, so
that a trend is not mistaken for a rhythm that falls every midnight; that average lags half a day, and so do the
profiles. Spikes are clipped to four times the usual distance. A profile is used shrunk by what chance alone would have
drawn (positive-part James-Stein): a series without rhythm gets none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY, WEEK = 24, 168
HALF = DAY // 2
DAILY_MEMORY = 1 / 14  # smallest weight of a new day
WEEKLY_MEMORY = 1 / 4  # smallest weight of a new week
SPIKE = 4.0  # in mean absolute distances
EVIDENCE = 2.0  # a profile must be so many times what chance draws before half of it is used


@dataclass(frozen=True)
class Rhythm:
    """filled, level: [S, T]; ahead: [S, 1 + K, H]. See ``forecasting.history.History``."""

    filled: np.ndarray
    level: np.ndarray
    ahead: np.ndarray


@dataclass
class _Profile:
    """One cycle's profile, and how far single days strayed from it."""

    mean: np.ndarray  # [S, period]
    count: np.ndarray  # [S, period]
    stray: np.ndarray  # [S], mean square distance of an observation from the profile
    memory: float

    @classmethod
    def empty(cls, series: int, period: int, memory: float) -> _Profile:
        return cls(np.zeros((series, period)), np.zeros((series, period)), np.zeros(series), memory)

    def learn(self, distance: np.ndarray, phase: np.ndarray) -> None:
        """Take in one day: distance [S, 24], NaN where not observed, and the phase of each hour."""
        seen = ~np.isnan(distance)
        mean, count = self.mean[:, phase], self.count[:, phase]
        surprise = np.where(seen, distance - mean, 0.0)
        limit = SPIKE * np.sqrt(self.stray)[:, None]
        known = (count > 0) & (limit > 0)
        surprise = np.where(known, np.clip(surprise, -limit, limit), surprise)
        weight = np.maximum(1 / (count + 1), self.memory)
        self.mean[:, phase] = mean + weight * surprise
        self.count[:, phase] = count + seen
        self._learn_stray(np.where(seen & (count > 0), surprise, np.nan))

    def _learn_stray(self, surprise: np.ndarray) -> None:
        seen = ~np.isnan(surprise)
        n = seen.sum(axis=1)
        today = np.where(seen, np.square(surprise), 0.0).sum(axis=1) / np.maximum(n, 1)
        weight = np.where(self.stray > 0, DAILY_MEMORY, 1.0)
        self.stray = np.where(n > 0, self.stray + weight * (today - self.stray), self.stray)

    def shrunk(self) -> np.ndarray:
        """[S, period], with mean zero and without what chance alone would have drawn."""
        mean = self.mean - self.mean.mean(axis=1, keepdims=True)
        days = np.minimum(self.count.mean(axis=1), 2 / self.memory - 1)  # of a plain mean with this variance
        drawn = np.square(mean).mean(axis=1)
        by_chance = self.stray / np.maximum(days, 1.0)
        kept = 1 - EVIDENCE / 2 * by_chance / np.where(drawn > 0, drawn, 1.0)
        believed = (drawn > 0) & (days >= 2)
        return mean * np.where(believed, np.clip(kept, 0.0, 1.0), 0.0)[:, None]


def learn_rhythm(values: np.ndarray, horizon_h: int, origins: int) -> Rhythm:
    """Fill gaps and take the rhythm away, day by day.

    Args:
        values: [S, T] with T a multiple of 24, NaN where not observed.
        horizon_h: H. origins: K, at most T / 24 - 1.
    """
    S, T = values.shape
    daily = _Profile.empty(S, DAY, DAILY_MEMORY)
    weekly = _Profile.empty(S, WEEK, WEEKLY_MEMORY)
    filled, level = np.empty((S, T)), np.empty((S, T))
    ahead = np.empty((S, origins + 1, horizon_h))
    total = np.zeros((S, T + 1))  # running sum of `filled`
    carried = _first_seen(values)  # before the first reading, its value stands in
    hour_of_day, hour_of_week = np.zeros((S, DAY)), np.zeros((S, WEEK))

    for start in range(0, T, DAY):
        today = slice(start, start + DAY)
        phase = (np.arange(start, start + DAY) - T) % WEEK  # counted from as_of
        season = hour_of_day[:, phase % DAY] + hour_of_week[:, phase]
        level[:, today] = _carry(values[:, today] - season, carried)
        filled[:, today] = level[:, today] + season
        carried = level[:, start + DAY - 1]
        total[:, start + 1 : start + DAY + 1] = total[:, start, None] + np.cumsum(filled[:, today], axis=1)

        if start >= DAY:
            known = np.arange(start - HALF, start + HALF)  # hours whose centred average is complete by now
            around = (
                total[:, known + HALF]
                - total[:, known - HALF + 1]
                + 0.5 * (filled[:, known - HALF] + filled[:, known + HALF])
            ) / DAY
            distance = values[:, known] - around
            daily.learn(distance, (known - T) % DAY)
            hour_of_day = daily.shrunk()
            weekly.learn(distance - hour_of_day[:, (known - T) % DAY], (known - T) % WEEK)
            hour_of_week = weekly.shrunk()

        origin = (T - start - DAY) // DAY  # days from this day's end to as_of
        if origin <= origins:
            coming = np.arange(horizon_h) - DAY * origin
            ahead[:, origin] = hour_of_day[:, coming % DAY] + hour_of_week[:, coming % WEEK]
    return Rhythm(filled, level, ahead)


def _first_seen(values: np.ndarray) -> np.ndarray:
    first = np.argmax(~np.isnan(values), axis=1)
    return np.nan_to_num(np.take_along_axis(values, first[:, None], axis=1)[:, 0])


def _carry(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """[S, 24] with each missing hour taking the one before it."""
    columns = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, columns), axis=1)
    carried = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, before[:, None])
