"""What a series' past says about the days to come, before any limit is named.

Belongs here: numbers about one series at one moment, unit-free and cheap enough for a whole fleet every night. Not
here: what they mean for a limit (``forecasting.learnt.questions``) or for a probability (``forecasting.learnt.model``).

Everything is measured from the *level* (the median of the last 24 hours) in units of the *spread* (p95 - p5 of the last
week; see `_scale`), so that a memory in bytes and a disk in percent are one language. Danger lies above: whoever asks
about a fall passes the series negated. A day counts back from as_of; day 0 is the last 24 hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from features.robust import FUZZ, median, quantiles
from forecasting.history import DAY, LARGEST, hold
from forecasting.learnt.turns import turns
from forecasting.tables import HORIZONS

WEEK = 7
MONTH = 28
FEWEST_DAY_H = 12  # observed hours that make a day
FURTHEST = 1e3  # in units of the spread; beyond, values only say "far away"
LEAST_OF_LEVEL = 0.01  # of the level that a spread has at least: less is not worth a night's attention
LEAST_OF_RANGE = 0.02  # of the whole past's p95 - p5: a quiet week must not make a molehill a mountain
LINES_H = (24, 72, 168, 336, 672)  # windows of straight lines
RISES_D = (7, 14, 28)  # windows whose lowest day begins a rise
EARLIER_D = (1, 2, 3, 7, 14, 28)  # days whose level is told
TINY = 1e-9


@dataclass(frozen=True)
class Past:
    """S series at one moment; all values from the level in units of the spread, NaN where not known.

    level, spread: float64 [S], in the series' own units.
    highs: float64 [S, D], the highest level of each day that was held for as long as a crossing takes.
    levels: float64 [S, D], each day's median.
    hours: float32 [S, H], the hours of the last four weeks as they were, the newest last.
    ahead: for each horizon float64 [S, D], the highest of the days that followed the eve of day d, all of them settled:
        ``ahead[h][:, d]`` is over the days d - 1, d - 2, ..., d - h / 24.
    facts: name -> float64 [S], what the crossing model reads as it is.
    """

    level: np.ndarray
    spread: np.ndarray
    highs: np.ndarray
    levels: np.ndarray
    hours: np.ndarray
    ahead: tuple[np.ndarray, ...]
    facts: dict[str, np.ndarray]


def look(values: np.ndarray, lasts_h: int) -> Past:
    """The past of a batch.

    Args:
        values: float64 [S, T], hourly, NaN where not observed; the last column is the hour before as_of. Negated where
            the danger lies below.
        lasts_h: consecutive hours that make a crossing.

    A row depends on its own series alone.
    """
    values = _whole_days(np.clip(np.where(np.isfinite(values), values, np.nan), -LARGEST, LARGEST))
    held = hold(values)
    whole = quantiles(held, (0.0, 0.05, 0.95, 1.0))
    level = _level(held)
    spread = _spread(held, level, whole)
    standard = np.clip((held - level[:, None]) / spread[:, None], -FURTHEST, FURTHEST).astype(np.float32)
    days = _by_day(standard)
    seen = np.count_nonzero(~np.isnan(days), axis=2) >= FEWEST_DAY_H
    middle, low, high = quantiles(days, (0.5, 0.05, 0.95))
    levels, ranges = (np.where(seen, daily, np.nan) for daily in (middle, high - low))
    highs = np.where(seen, _by_day(_held_for(standard, lasts_h)).max(axis=2), np.nan)
    facts = (
        _size(values, held, level, spread, whole)
        | _last_week(standard)
        | _now(standard)
        | _ranges(ranges)
        | _lines(standard)
        | _changes(standard)
        | _memory(standard)
        | _daily(levels, highs)
        | _rises(days, levels)
        | turns(standard)
    )
    return Past(
        level=level,
        spread=spread,
        highs=highs,
        levels=levels,
        hours=standard[:, -MONTH * DAY :],
        ahead=tuple(_highest_after(highs, horizon // DAY) for horizon in HORIZONS),
        facts=facts,
    )


def _whole_days(values: np.ndarray) -> np.ndarray:
    """At least eight whole days, unobserved hours in front where there are fewer."""
    S, T = values.shape
    days = max(WEEK + 1, -(-T // DAY))
    return np.concatenate([np.full((S, days * DAY - T), np.nan), values], axis=1)


def _by_day(hours: np.ndarray) -> np.ndarray:
    """[S, D, 24], day 0 last in time."""
    return hours.reshape(len(hours), -1, DAY)[:, ::-1]


def _level(held: np.ndarray) -> np.ndarray:
    """The median of the last day; where nothing was observed then, the last value; 0 where there is none."""
    last = _carried(held)[:, -1]
    today = median(held[:, -DAY:])
    return np.nan_to_num(np.where(np.isnan(today), last, today))


def _spread(held: np.ndarray, level: np.ndarray, whole: np.ndarray) -> np.ndarray:
    low, high = quantiles(held[:, -WEEK * DAY :], (0.05, 0.95))
    least = np.fmax(LEAST_OF_LEVEL * np.abs(level), LEAST_OF_RANGE * (whole[2] - whole[1]))
    spread = np.nan_to_num(np.fmax(high - low, least))
    return np.where(spread > TINY * FUZZ, spread, 1.0)


def _carried(values: np.ndarray) -> np.ndarray:
    columns = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, columns), axis=1)
    return np.where(last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=1), np.nan)


def _held_for(standard: np.ndarray, lasts_h: int) -> np.ndarray:
    """[S, T]: the level held for `lasts_h` hours from each hour on, gaps carried; -inf where not known."""
    carried = _carried(standard)
    held = np.full(carried.shape, -np.inf)
    if lasts_h <= carried.shape[1]:
        windows = sliding_window_view(carried, lasts_h, axis=1)
        lowest = windows[:, :, 0].copy()
        for hour in range(1, lasts_h):
            np.minimum(lowest, windows[:, :, hour], out=lowest)
        held[:, : lowest.shape[1]] = np.where(np.isnan(lowest), -np.inf, lowest)
    return held


def _highest_after(highs: np.ndarray, days: int) -> np.ndarray:
    """[S, D]: over the `days` days that follow the eve of each day; NaN where not settled or half of them unseen."""
    S, D = highs.shape
    after = np.full((S, D), np.nan)
    if days < D:
        windows = sliding_window_view(highs, days, axis=1)[:, : D - days]
        half = 2 * np.count_nonzero(~np.isnan(windows), axis=2) >= days
        after[:, days:] = np.where(half, _highest(windows), np.nan)
    return after


def _highest(values: np.ndarray) -> np.ndarray:
    """Along the last axis, over what is known; NaN where nothing is."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    return np.where(np.isfinite(highest), highest, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Along the last axis, over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = np.count_nonzero(known, axis=-1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


# ------------------------------------------------------------------------------------------------------------ facts


def _size(
    values: np.ndarray, held: np.ndarray, level: np.ndarray, spread: np.ndarray, whole: np.ndarray
) -> dict[str, np.ndarray]:
    """How much there is to go by, and how the week compares with the whole past."""
    T = held.shape[1]
    seen = ~np.isnan(held)
    began = np.where(seen.any(axis=1), np.argmax(seen, axis=1), T)
    lowest, low, high, highest = whole
    reach = np.where(highest > lowest, highest - lowest, 1.0)
    readings = np.count_nonzero(~np.isnan(values[:, -WEEK * DAY :]), axis=1)
    return {
        "history_days": (T - began) / DAY,
        "readings_a_week": readings.astype(float),
        "seen_share": seen[:, -WEEK * DAY :].mean(axis=1),
        "whole_to_week": np.log((high - low) / spread + TINY),
        "level_to_spread": np.log1p(np.minimum(np.abs(level) / spread, FURTHEST)),
        "place_in_range": np.clip((level - lowest) / reach, 0, 1),
    }


def _last_week(standard: np.ndarray) -> dict[str, np.ndarray]:
    low, quarter, middle, three, high, highest = quantiles(standard[:, -WEEK * DAY :], (0.05, 0.25, 0.5, 0.75, 0.95, 1))
    return {
        "week_skew": high + low - 2 * middle,
        "week_iqr": three - quarter,
        "week_peak": highest - high,
        "week_middle": middle,
    }


def _now(standard: np.ndarray) -> dict[str, np.ndarray]:
    return {f"now_{hours}h": median(standard[:, -hours:]) for hours in (3, 6)}


def _ranges(ranges: np.ndarray) -> dict[str, np.ndarray]:
    week = _mean(ranges[:, :WEEK])
    return {
        "day_range": ranges[:, 0],
        "week_range": week,
        "range_change": ranges[:, 0] - _mean(ranges[:, 1 : WEEK + 1]),
    }


def _lines(standard: np.ndarray) -> dict[str, np.ndarray]:
    """Least-squares lines through the last hours: rise a day, end point, and the signed share that they explain."""
    found: dict[str, np.ndarray] = {}
    for hours in LINES_H:
        window = standard[:, -hours:]
        slope, end, share = _line(window, np.arange(-window.shape[1], 0) + 0.5)
        found |= {f"slope_{hours}h": DAY * slope, f"end_{hours}h": end, f"fit_{hours}h": share * np.sign(slope)}
    return found


def _line(values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, value at 0, and R squared of least-squares lines through [S, n] at positions [n]; 0 where unknown."""
    known = ~np.isnan(values)
    count = np.maximum(np.count_nonzero(known, axis=1), 1)
    filled = np.where(known, values, 0.0)
    at_mean = np.where(known, at, 0.0).sum(axis=1) / count
    mean = filled.sum(axis=1) / count
    x = np.where(known, at - at_mean[:, None], 0.0)
    y = np.where(known, filled - mean[:, None], 0.0)
    xx, xy, yy = (x * x).sum(axis=1), (x * y).sum(axis=1), (y * y).sum(axis=1)
    slope = np.where(xx > 0, xy / np.where(xx > 0, xx, 1.0), 0.0)
    both = xx * yy
    share = np.where(both > 0, xy * xy / np.where(both > 0, both, 1.0), 0.0)
    return slope, mean - slope * at_mean, share


def _changes(standard: np.ndarray) -> dict[str, np.ndarray]:
    """From hour to hour, over a fortnight."""
    change = np.abs(np.diff(standard[:, -14 * DAY :], axis=1))
    usual, large = quantiles(change, (0.5, 0.95))
    still = np.where(np.isnan(change), np.nan, change < TINY)
    return {
        "noise": np.log(_mean(change) + 1e-4),
        "usual_change": usual,
        "large_change": large,
        "still_share": _mean(still),
    } | _stock(standard)


def _stock(standard: np.ndarray) -> dict[str, np.ndarray]:
    """What tells an amount that piles up from a rate that comes and goes: whether changes go on, and add up."""
    window = standard[:, -14 * DAY :]
    change = np.diff(window, axis=1)
    away = change - _mean(change)[:, None]
    usual = median(np.abs(change)), median(np.abs(window[:, DAY:] - window[:, :-DAY]))
    found = {
        "changes_go_on": _mean(away[:, 1:] * away[:, :-1]) / (_mean(away * away) + TINY),
        "day_to_hour": np.log((usual[1] + 1e-4) / (usual[0] + 1e-4)),
    }
    for hours in (24, 72):
        lately = change[:, -hours:]
        moved = np.where(np.abs(lately) > TINY, lately > 0, np.nan)
        found[f"rising_hours_{hours}h"] = _mean(np.where(np.isnan(lately), np.nan, moved))
    return found


def _memory(standard: np.ndarray) -> dict[str, np.ndarray]:
    """Autocorrelation over four weeks at an hour, a day and a week."""
    window = standard[:, -28 * DAY :]
    away = window - _mean(window)[:, None]
    variance = _mean(away * away) + TINY
    found = {}
    for lag in (1, DAY, WEEK * DAY):
        alike = away[:, lag:] * away[:, :-lag]
        found[f"autocorrelation_{lag}h"] = _mean(alike) / variance
    return found


def _daily(levels: np.ndarray, highs: np.ndarray) -> dict[str, np.ndarray]:
    """How the daily level moves: steadily, to and fro, lately."""
    D = levels.shape[1]
    change = levels[:, :-1] - levels[:, 1:]
    up = np.where(np.isnan(change), np.nan, change > 0)
    walked = np.nansum(np.abs(change[:, :WEEK]), axis=1) + 1e-6
    week = np.where(np.isnan(highs[:, :WEEK]), -np.inf, highs[:, :WEEK])
    found = {
        "daily_change": np.sqrt(_mean(np.square(change[:, :28]))),
        "rising_days_7": _mean(up[:, :7]),
        "rising_days_14": _mean(up[:, :14]),
        "rise_a_day_7": median(change[:, :7]),
        "rise_a_day_14": median(change[:, :14]),
        "directness": -levels[:, WEEK] / walked,
        "usual_level": _mean(levels[:, :28]),
        "days_since_high": week.argmax(axis=1).astype(float),
    }
    unknown = np.full(len(levels), np.nan)
    return found | {f"level_{day}d": levels[:, day] if day < D else unknown for day in EARLIER_D}


def _rises(days: np.ndarray, levels: np.ndarray) -> dict[str, np.ndarray]:
    """The climb since the lowest day of the last week, fortnight and month: where a leak began after its last restart.

    Its length in days, its line through three parts of each day (rise a day, end, share explained), and how much
    steeper it was in its older half: a warm-up flattens, a leak does not.
    """
    S, D, _ = days.shape
    thirds = median(days[:, :, ::-1].reshape(S, D, 3, -1))  # [S, D, 3], newest third first
    points = thirds.reshape(S, -1)
    at = -(np.arange(points.shape[1]) + 0.5) / 3
    found: dict[str, np.ndarray] = {}
    for window in RISES_D:
        low = np.where(np.isnan(levels[:, :window]), np.inf, levels[:, :window])
        began = low.argmin(axis=1)
        n = 3 * min(window, D)
        age = np.arange(n) // 3
        climb = np.where(age <= began[:, None], points[:, :n], np.nan)
        slope, end, share = _line(climb, at[:n])
        older, *_ = _line(np.where(age > began[:, None] / 2, climb, np.nan), at[:n])
        newer, *_ = _line(np.where(age <= began[:, None] / 2, climb, np.nan), at[:n])
        found |= {
            f"climb_days_{window}d": began.astype(float),
            f"climb_slope_{window}d": slope,
            f"climb_end_{window}d": end,
            f"climb_fit_{window}d": share * np.sign(slope),
            f"climb_bend_{window}d": np.clip(older - newer, -FURTHEST, FURTHEST),
        }
    return found
