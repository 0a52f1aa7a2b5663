"""How fast series rise or fall lately.

Belongs here: one robust line through the end of each series, and how much it explains. Not here: where the line may
begin (``features.breaks``), and what it means for the days to come (``forecasting``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from features.robust import mad, median, quantiles, standardise, variance
from features.samples import Samples

# A leak may be younger than the window: then its own line is looked for in the last week and the last three days.
YOUNG_H = (168, 72)
YOUNG_STRENGTH = 0.7
YOUNG_BEYOND = 0.25  # of the p95 - p5 of what came before in the window, how far out of it the series must be now
NOW_H = 12
YOUNG_GAIN = 0.03  # in strength, over the longer line
PLAIN = 0.95  # strength of a line that no shorter one needs to better

# The window is cut into so many bins at most; a fortnight gives bins of eight hours and 861 pairs.
POINTS = 42
FEWEST_POINTS = 4
EARLIER, LATER = np.triu_indices(POINTS, 1)

# A random walk looks like a trend as often as not. So a trend must be further than chance would have carried a walk of
# as restless steps: those from one to the next of at most so many blocks, or over two of them, whichever is calmer, so
# that noise about the line, which such steps take back, does not count against it.
BLOCK = 3  # bins
FEWEST_STEPS = 3
BEYOND_CHANCE = 3.25

# A trend is steady when the medians of its quarters all move its way, and none brings most of it.
QUARTERS = 4
BACKWARD = 0.1
JUMP = 0.75


@dataclass(frozen=True)
class Trend:
    """A line for each of S series.

    slope_per_day: [S], in units of the values; NaN where fewer than four points of the window were observed.
    level: [S], where the line stands at as_of; NaN likewise.
    strength: [S], 0..1, the share of the window's variance that the line explains; 0 where there is no line.
    steady: bool [S], whether the window's quarters all move the line's way, and none by a jump.
    beyond_chance: bool [S], whether a random walk with the window's own increments would hardly go as far.
    """

    slope_per_day: np.ndarray
    level: np.ndarray
    strength: np.ndarray
    steady: np.ndarray
    beyond_chance: np.ndarray


def robust_trend(values: np.ndarray, window_h: np.ndarray) -> Trend:
    """The Theil-Sen line through the last `window_h` hours of each series.

    Args:
        values: [S, T] hourly, NaN where not observed, best without rhythm and with breaks joined.
        window_h: int [S], at least 1.

    The line goes through medians of equal bins (Theil 1950, Sen 1968: the median slope of all pairs), so that neither
    spikes nor a few odd days turn it.
    """
    standard = standardise(values)
    S, T = values.shape
    window = np.clip(window_h, 1, max(T, 1))
    recent = np.where(np.arange(-T, 0) >= -window[:, None], standard.values, np.nan)
    width = -(-window // POINTS)
    slope, level = np.full(S, np.nan), np.full(S, np.nan)
    steady, beyond = np.zeros(S, dtype=bool), np.zeros(S, dtype=bool)
    for hours in np.unique(width):
        rows = np.flatnonzero(width == hours)
        bins = _bins(recent[rows], int(hours))
        at = (np.arange(-POINTS, 0) + 0.5) * hours
        slope[rows] = median((bins[:, LATER] - bins[:, EARLIER]) / (at[LATER] - at[EARLIER]))
        level[rows] = median(bins - slope[rows, None] * at)
        few = np.count_nonzero(~np.isnan(bins), axis=1) < FEWEST_POINTS
        slope[rows[few]] = level[rows[few]] = np.nan
        steady[rows] = _is_steady(bins, at, window[rows], slope[rows])
        beyond[rows] = _is_beyond_chance(bins)
    # Multiplied in this order, and clipped, so that the widest of floats do not overflow.
    with np.errstate(over="ignore"):
        slope_per_day = slope * 24 * standard.scale
        end = level * standard.scale + standard.centre
    known = np.isfinite(slope_per_day) & np.isfinite(end)
    return Trend(
        np.where(known, slope_per_day, np.nan),
        np.where(known, end, np.nan),
        np.where(known, _strength(recent, slope, level), 0.0),
        known & steady,
        known & beyond,
    )


def latest_trend(values: np.ndarray, window_h: np.ndarray) -> tuple[Trend, np.ndarray]:
    """The line through the last `window_h` hours, or through fewer where a younger trend explains the end better.

    Args:
        values, window_h: as for ``robust_trend``.

    Returns:
        the trend, and the window [S] that it holds for. A shorter window is taken only for a steady, strong line that
        leads out of the range of what came before it, so that noise and drift are not read as fresh leaks.
    """
    whole = robust_trend(values, window_h)
    found, window = whole, window_h.copy()
    now = median(values[:, -NOW_H:])
    for hours in YOUNG_H:
        low, high = quantiles(_before(values, window_h, hours), (0.05, 0.95))
        with np.errstate(over="ignore", invalid="ignore"):
            out = np.fmax(now - high, low - now) >= YOUNG_BEYOND * (high - low)
        rows = np.flatnonzero(out & (window_h > hours) & (whole.strength < PLAIN))
        young = robust_trend(values[rows], np.full(len(rows), hours))
        strong = young.strength >= np.maximum(YOUNG_STRENGTH, found.strength[rows] + YOUNG_GAIN)
        better = young.steady & young.beyond_chance & strong
        found = _replaced(found, rows[better], young, better)
        window[rows[better]] = hours
    return found, window


def _before(values: np.ndarray, window: np.ndarray, hours: int) -> np.ndarray:
    at = np.arange(-values.shape[1], 0)
    return np.where((at >= -window[:, None]) & (at < -hours), values, np.nan)


def _replaced(trend: Trend, rows: np.ndarray, other: Trend, chosen: np.ndarray) -> Trend:
    columns = {}
    for field in fields(Trend):
        columns[field.name] = getattr(trend, field.name).copy()
        columns[field.name][rows] = getattr(other, field.name)[chosen]
    return Trend(**columns)


def _bins(values: np.ndarray, hours: int) -> np.ndarray:
    """[n, POINTS]: medians of consecutive bins of so many hours, ending at the last column."""
    n, T = values.shape
    padded = np.full((n, POINTS * hours), np.nan)
    kept = min(T, POINTS * hours)
    padded[:, POINTS * hours - kept :] = values[:, T - kept :]
    return median(padded.reshape(n, POINTS, hours))


def _is_steady(bins: np.ndarray, at: np.ndarray, window: np.ndarray, slope: np.ndarray) -> np.ndarray:
    quarter = np.floor((at + window[:, None]) * QUARTERS / window[:, None])
    levels = np.stack([median(np.where(quarter == q, bins, np.nan)) for q in range(QUARTERS)], axis=1)
    moves = np.diff(levels, axis=1) * np.sign(slope)[:, None]
    total = moves.sum(axis=1)
    return (total > 0) & (moves.min(axis=1) >= -BACKWARD * total) & (moves.max(axis=1) <= JUMP * total)


def _is_beyond_chance(bins: np.ndarray) -> np.ndarray:
    """Whether the way from the first to the last block is too far for a random walk (z of its drift)."""
    blocks = Samples.of(median(bins.reshape(len(bins), POINTS // BLOCK, BLOCK)))
    level, at = blocks.packed, np.where(blocks.column >= 0, blocks.column, np.nan)
    steps = np.maximum(blocks.count - 1, 1)
    every = np.arange(len(bins))
    if level.shape[1] <= FEWEST_STEPS:
        return np.zeros(len(bins), dtype=bool)
    way, length = level[every, steps] - level[:, 0], at[every, steps]
    per_block = way / np.where(length > 0, length, 1.0)
    restless = np.full(len(bins), np.inf)
    for lag in (1, 2, 4):
        over = at[:, lag:] - at[:, :-lag]
        off = np.square(level[:, lag:] - level[:, :-lag] - per_block[:, None] * over) / over
        taken = np.count_nonzero(~np.isnan(off), axis=1)
        spared = np.maximum(taken * (steps - 1) / steps, 1.0)  # the drift was taken from the same steps
        restless = np.minimum(restless, np.nansum(off, axis=1) / spared)
    return (blocks.count > FEWEST_STEPS) & (np.square(way) > BEYOND_CHANCE**2 * restless * length)


def _strength(recent: np.ndarray, slope: np.ndarray, level: np.ndarray) -> np.ndarray:
    at = np.arange(-recent.shape[1], 0) + 0.5
    line = level[:, None] + slope[:, None] * at
    rest = recent - line
    limit = 4 * mad(rest)[:, None]  # spikes tell nothing about a trend
    calm = np.where(limit > 0, np.clip(rest, -limit, limit), rest)
    whole = variance(line + calm)
    return np.where(whole > 0, np.clip(1 - variance(calm) / np.where(whole > 0, whole, 1.0), 0.0, 1.0), 0.0)
