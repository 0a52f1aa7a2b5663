"""The daily and weekly rhythm as it was known at each day of the past.

Belongs here: a causal estimate for rolling origins, one day after the other. Not here: the rhythm of the whole past at
once, which describes a series and is ``features.seasonality``.

What is measured is the distance from a centred average over a day, so that a trend is not mistaken for a rhythm that
falls every midnight; that average lags half a day, and so does the rhythm. The daily profile is the median of each hour
of the day over the last two weeks, the weekly one the median of each hour of the week over what the first leaves in the
last six; medians, so that a burst leaves no mark until it has become a habit. Both are used shrunk by what chance alone
would have drawn (positive-part James-Stein): a series without rhythm gets none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import NORMAL_MAD, median

DAY, WEEK = 24, 168
HALF = DAY // 2
DAYS_KEPT = 14
WEEKS_KEPT = 6
FEWEST = 3  # times that an hour must have been seen
MEDIAN_COST = np.pi / 2  # the variance of a median over that of a mean, for normal noise


@dataclass(frozen=True)
class Rhythm:
    """What `learn_rhythm` finds.

    filled: [S, T], the values; an hour not observed has the level before it and the rhythm of its hour.
    level: [S, T], the same without the rhythm, as it was known at the start of the day.
    ahead: [S, 1 + K, H], what the rhythm adds in the hours after as_of (index 0) and after k days before it.
    """

    filled: np.ndarray
    level: np.ndarray
    ahead: np.ndarray


class _Profile:
    """The median of each phase of a cycle over its last occurrences."""

    def __init__(self, series: int, period: int, kept: int) -> None:
        self._seen = np.full((series, period, kept), np.nan)
        self._profile = np.zeros((series, period))
        self._stray = np.zeros((series, period))

    def learn(self, distance: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Take in one day, and give the profile [S, period] as it now is.

        Args:
            distance: [S, 24], NaN where not observed. phase: [24], of each hour in the cycle.
        """
        occurrences = np.concatenate([self._seen[:, phase, 1:], distance[:, :, None]], axis=2)
        self._seen[:, phase] = occurrences
        count = np.count_nonzero(~np.isnan(occurrences), axis=2)
        enough = count >= FEWEST
        self._profile[:, phase] = np.where(enough, np.nan_to_num(median(occurrences)), 0.0)
        away = NORMAL_MAD * median(np.abs(occurrences - self._profile[:, phase, None]))
        self._stray[:, phase] = np.where(enough, MEDIAN_COST * np.square(away) / np.maximum(count, 1), 0.0)
        return self._shrunk()

    def _shrunk(self) -> np.ndarray:
        centred = self._profile - self._profile.mean(axis=1, keepdims=True)
        drawn, by_chance = np.square(centred).mean(axis=1), self._stray.mean(axis=1)
        kept = np.clip(1 - by_chance / np.where(drawn > 0, drawn, 1.0), 0.0, 1.0)
        return centred * np.where(drawn > 0, kept, 0.0)[:, None]


def learn_rhythm(values: np.ndarray, horizon_h: int, origins: int) -> Rhythm:
    """Fill gaps and take the rhythm away, day by day.

    Args:
        values: [S, T] with T a multiple of 24, NaN where not observed.
        horizon_h: H. origins: K, at most T / 24 - 1.
    """
    S, T = values.shape
    daily, weekly = _Profile(S, DAY, DAYS_KEPT), _Profile(S, WEEK, WEEKS_KEPT)
    hour_of_day, hour_of_week = np.zeros((S, DAY)), np.zeros((S, WEEK))
    filled, level = np.empty((S, T)), np.empty((S, T))
    ahead = np.empty((S, origins + 1, horizon_h))
    carried = _first_seen(values)  # before the first reading, its value stands in

    for start in range(0, T, DAY):
        today = slice(start, start + DAY)
        phase = np.arange(start, start + DAY) - T  # counted from as_of
        season = hour_of_day[:, phase % DAY] + hour_of_week[:, phase % WEEK]
        level[:, today] = _carry(values[:, today] - season, carried)
        filled[:, today] = level[:, today] + season
        carried = level[:, start + DAY - 1]

        if start >= DAY:
            known = np.arange(start - HALF, start + HALF)  # hours whose centred average is complete by now
            distance = values[:, known] - _centred_average(filled[:, start - DAY : start + DAY])
            hour_of_day = daily.learn(distance, (known - T) % DAY)
            hour_of_week = weekly.learn(distance - hour_of_day[:, (known - T) % DAY], (known - T) % WEEK)

        origin = (T - start - DAY) // DAY  # days from this day's end to as_of
        if origin <= origins:
            coming = np.arange(horizon_h) - DAY * origin
            ahead[:, origin] = hour_of_day[:, coming % DAY] + hour_of_week[:, coming % WEEK]
    return Rhythm(filled, level, ahead)


def _centred_average(two_days: np.ndarray) -> np.ndarray:
    """[S, 24]: of [S, 48], the average over a day around each hour in the middle, with half weight at both ends."""
    total = np.zeros((two_days.shape[0], 2 * DAY + 1))
    np.cumsum(two_days, axis=1, out=total[:, 1:])
    inner = total[:, DAY:-1] - total[:, 1 : DAY + 1]
    return (inner + 0.5 * (two_days[:, :DAY] + two_days[:, DAY:])) / DAY


def _first_seen(values: np.ndarray) -> np.ndarray:
    first = np.argmax(~np.isnan(values), axis=1)
    return np.nan_to_num(np.take_along_axis(values, first[:, None], axis=1)[:, 0])


def _carry(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """[S, 24] with each missing hour taking the one before it."""
    columns = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, columns), axis=1)
    carried = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, before[:, None])
