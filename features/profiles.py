"""A profile of each series on a night: one row of what it is and how it behaves, the table features.profiles.

Belongs here: gathering. How breaks, rhythm, trend and shape are found is in the modules of those names.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from features.breaks import falls, find_breaks, hours_since, join
from features.calm import Calm
from features.drops import find_drops
from features.grid import Grid
from features.robust import NORMAL_MAD, Standard, median, quantiles, standardise
from features.samples import Samples
from features.saturation import warm_up_to
from features.seasonality import Season, find_season
from features.shapes import Evidence, ceiling_holds, cycles_of, shapes
from features.stairs import is_staircase
from features.trend import latest_trend

CHUNK = 256  # series at once: enough that numpy's calls cost little, few enough for the processor's cache
SHORTEST_TREND_H, LONGEST_TREND_H = 72, 336
STALE_STEPS = 3  # a rarely sampled series stands at its last value for so many of its steps
NEAR_LEVEL = 0.025
ABOUT_ZERO = 0.1  # of the highest value: what a counter reaches within its first hour, at most
LARGEST_EXACT = 2.0**53  # beyond, every float is an integer

SCHEMA = pl.Schema(
    {
        "as_of": pl.Datetime("us"),
        "series_id": pl.UInt64,
        "shape": pl.String,
        "history_h": pl.Int32,
        "observed_h": pl.Int32,
        "longest_gap_h": pl.Int32,
        "step_h": pl.Float64,
        "level": pl.Float64,
        "spread": pl.Float64,
        "noise": pl.Float64,
        "slope_per_day": pl.Float64,
        "trend_strength": pl.Float64,
        "daily_strength": pl.Float64,
        "weekly_strength": pl.Float64,
        "resets": pl.Int32,
        "hours_since_reset": pl.Int32,
        "reset_peak": pl.Float64,
        "reset_drop": pl.Float64,
        "steps": pl.Int32,
        "hours_since_step": pl.Int32,
        "is_integer": pl.Boolean,
        "ceiling": pl.Float64,
        "ceiling_share": pl.Float64,
        "warm_up_to": pl.Float64,
    }
)


def profile(grid: Grid, falling: np.ndarray | None = None) -> pl.DataFrame:
    """The columns of features.profiles, one row per series, sorted by series_id; null where a number is unknown.

    Args:
        grid: S series.
        falling: bool [S], series whose danger lies below, such as free memory; by default none. They leak downwards,
            and their resets are sudden rises: reset_peak is then the value just before such a rise, and reset_drop,
            how far it rose. All other numbers mean the same for both.

    A row depends on its own series alone, whatever else the grid holds. Infinite values count as not observed. The
    slope is that since the last reset or step, over a fortnight at most; where that is less than three days, the time
    before is joined on with the breaks taken out; where a younger trend is plain, it is that one's. Peak and drop of
    the resets are medians over the last fourteen. ceiling is the level that resets come from again and again, and
    ceiling_share the share of the last fourteen cycles that ended near it; both null where resets come from anywhere,
    stay away, or the level is beyond. warm_up_to is the plateau of a rise that flattens; null where none plainly does.
    """
    S = len(grid.series_id)
    if S == 0:
        return SCHEMA.to_frame()
    sign = np.ones(S) if falling is None else np.where(falling, -1.0, 1.0)
    rows = [np.arange(start, min(start + CHUNK, S)) for start in range(0, S, CHUNK)]
    chunks = [_profile_chunk(grid.values[part], sign[part]) for part in rows]
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    keys = {"as_of": [grid.as_of] * S, "series_id": grid.series_id}
    return pl.DataFrame([_column(name, (keys | columns)[name]) for name in SCHEMA]).sort("series_id")


def _profile_chunk(raw: np.ndarray, sign: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of the values [S, T] but for the keys; `sign` [S] is -1 where danger lies below."""
    values = raw * sign[:, None]
    values[~np.isfinite(values)] = np.nan
    S, T = values.shape
    samples, standard = Samples.of(values), standardise(values)
    history = np.where(samples.count > 0, T - samples.column[:, :1].max(axis=1, initial=0), 0)
    step = _step(samples)
    season = find_season(values, standard)
    calm = Calm.of(values, season, standard, samples)
    drops = find_drops(calm)
    breaks = find_breaks(values, calm, drops)
    row, peak, drop = falls(values, breaks.resets)
    cycles = cycles_of(S, row, np.nonzero(breaks.resets)[1], peak, drop)
    level, spread = _level(values, step), _spread(values[:, -168:])
    noise = _noise(samples, season)

    since = hours_since(breaks.any)
    window = np.clip(np.where(np.isnan(since), T, since), SHORTEST_TREND_H, LONGEST_TREND_H).astype(np.int64)
    window = np.minimum(window, np.maximum(history, 1))
    trend, window = latest_trend(season.remove(join(values, breaks)[:, -LONGEST_TREND_H:]), window)
    plateau = warm_up_to(calm.samples, np.fmin(since, hours_since(samples.mark(drops.row, drops.at))))
    since_reset, since_step = hours_since(breaks.resets), hours_since(breaks.steps)
    word = shapes(
        Evidence(
            history_h=history,
            observed_h=samples.count,
            step_h=step,
            level=level,
            noise=noise,
            cycles=cycles,
            since_reset_h=since_reset,
            since_step_h=since_step,
            slope_per_day=trend.slope_per_day,
            window_h=window,
            trend_strength=trend.strength,
            trend_steady=trend.steady,
            trend_beyond_chance=trend.beyond_chance,
            warms_up=~np.isnan(plateau),
            staircase=is_staircase(calm),
            season_strength=np.maximum(season.daily_strength, season.weekly_strength),
            constant=~standard.moves & (samples.count > 0),
            falls_to_zero=_falls_to_zero(samples, standard.highest),
            share_at_level=_share_at_level(values, standard),
            overall_spread=standard.spread,
        )
    )
    has_ceiling = ceiling_holds(cycles, level, since_reset)
    return {
        "shape": word,
        "history_h": history,
        "observed_h": samples.count,
        "longest_gap_h": _longest_gap(samples, T),
        "step_h": step,
        "level": level * sign,
        "spread": spread,
        "noise": noise,
        "slope_per_day": trend.slope_per_day * sign,
        "trend_strength": np.where(np.isnan(trend.slope_per_day), np.nan, trend.strength),
        "daily_strength": season.daily_strength,
        "weekly_strength": season.weekly_strength,
        "resets": cycles.count,
        "hours_since_reset": since_reset,
        "reset_peak": cycles.peak * sign,
        "reset_drop": cycles.drop,
        "steps": breaks.steps.sum(axis=1),
        "hours_since_step": since_step,
        "is_integer": _is_integer(values),
        "ceiling": np.where(has_ceiling, cycles.ceiling, np.nan) * sign,
        "ceiling_share": np.where(has_ceiling, cycles.near_ceiling, np.nan),
        "warm_up_to": standard.restore(plateau) * sign,
    }


def _column(name: str, values: np.ndarray | list) -> pl.Series:
    made = pl.Series(name, values)
    if made.dtype.is_float():  # NaN and infinities are the numpy spelling of unknown
        made = pl.select(pl.when(made.is_finite()).then(made)).to_series().alias(name)
    return made.cast(SCHEMA[name])


def _longest_gap(samples: Samples, hours: int) -> np.ndarray:
    """The longest run of unobserved hours since the first observed one, that up to as_of included; 0 if never seen."""
    last = samples.column.max(axis=1, initial=-1)
    trailing = np.where(samples.count > 0, hours - 1 - last, 0)
    between = np.diff(samples.column, axis=1).max(axis=1, initial=0) - 1
    return np.maximum(np.maximum(between, trailing), 0)


def _step(samples: Samples) -> np.ndarray:
    """The median distance between samples; NaN where there is but one."""
    step = np.ones(len(samples.count))
    hourly = np.count_nonzero(np.diff(samples.column, axis=1) == 1, axis=1)
    rare = np.flatnonzero(2 * hourly <= samples.count)
    step[rare] = median(samples.distances[rare])
    return step


def _level(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The median of the last 24 h; of a rarely sampled series the last value, unless that is stale."""
    S, T = values.shape
    level = median(values[:, -24:])
    age = hours_since(~np.isnan(values))
    last = values[np.arange(S), T - np.nan_to_num(age, nan=T).astype(np.int64)] if T else level
    return np.where(np.isnan(level) & (age <= STALE_STEPS * step), last, level)


def _spread(values: np.ndarray) -> np.ndarray:
    low, high = quantiles(values, (0.05, 0.95))
    with np.errstate(over="ignore"):
        return high - low


def _noise(samples: Samples, season: Season) -> np.ndarray:
    """Robust sd of what trend and rhythm leave over; from the differences where there is too little to tell them."""
    noise = median(np.abs(season.remainder))
    few = np.flatnonzero(np.count_nonzero(~np.isnan(season.remainder), axis=1) < 24)
    with np.errstate(over="ignore", invalid="ignore"):
        noise[few] = median(np.abs(np.diff(samples.packed[few], axis=1))) / np.sqrt(2)
        return NORMAL_MAD * noise


def _falls_to_zero(samples: Samples, highest: np.ndarray) -> np.ndarray:
    """Whether a series, wherever it falls, lands at about zero, at once or with the next sample, and is never negative.

    It knows where zero is: the only number here that a shift of the series changes.
    """
    packed = samples.packed
    if packed.shape[1] < 2:
        return np.zeros(len(packed), dtype=bool)
    about_zero = packed <= ABOUT_ZERO * highest[:, None]
    about_zero[:, :-1] |= about_zero[:, 1:]
    fall = packed[:, 1:] < packed[:, :-1]
    return np.asarray(~(fall & ~about_zero[:, 1:]).any(axis=1) & ~(packed < 0).any(axis=1))


def _share_at_level(values: np.ndarray, standard: Standard) -> np.ndarray:
    """The share of the observed hours within 2.5 % of the range about the median."""
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.abs(values - standard.centre[:, None]) <= NEAR_LEVEL * (standard.highest - standard.lowest)[:, None]
    return near.sum(axis=1) / np.maximum((~np.isnan(values)).sum(axis=1), 1)


def _is_integer(values: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(values)
    whole = (np.abs(values) < LARGEST_EXACT) & (values == np.floor(values))
    return seen.any(axis=1) & (whole | ~seen).all(axis=1)
