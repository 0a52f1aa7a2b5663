"""Robust statistics of many series at once: medians, quantiles and a common scale, blind to NaN.

Belongs here: what is computed along the last axis of an array without knowing that it is time. Every function gives a
row the same bytes alone and in company, and none of them warns or overflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL_MAD = 1.4826  # the sd of a normal distribution over its median absolute deviation
EXTREME = 50.0  # standardised values beyond this say only "far out"
WIDE = 192  # from so many values on, a median is selected rather than sorted for
FUZZ = 1e-10  # a spread below this share of the magnitude is the rounding of floats, not a movement


def quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles along the last axis over what is not NaN, linearly interpolated.

    Returns:
        [len(shares), ...]; NaN where nothing is observed. One sort serves all shares.
    """
    width = values.shape[-1]
    if width == 0:
        return np.full((len(shares), *values.shape[:-1]), np.nan)
    ordered = np.sort(values, axis=-1).reshape(-1, width)  # NaN last
    count = width - np.count_nonzero(np.isnan(values), axis=-1)
    return np.stack([_at(ordered, count.reshape(-1), share).reshape(count.shape) for share in shares])


def median(values: np.ndarray) -> np.ndarray:
    """Median along the last axis over what is not NaN; NaN where nothing is observed."""
    return quantiles(values, (0.5,))[0] if values.shape[-1] < WIDE else _median_wide(values)


def mad(values: np.ndarray) -> np.ndarray:
    """Standard deviation along the last axis, from the median absolute deviation; NaN where nothing is observed."""
    return NORMAL_MAD * median(np.abs(values - median(values)[..., None]))


def variance(values: np.ndarray) -> np.ndarray:
    """Variance along the last axis over what is not NaN; 0 where nothing is observed."""
    missing = np.isnan(values)
    count = np.maximum(values.shape[-1] - np.count_nonzero(missing, axis=-1), 1)
    away = values.copy()
    away[missing] = 0.0
    away -= (away.sum(axis=-1) / count)[..., None]
    away[missing] = 0.0
    return np.square(away, out=away).sum(axis=-1) / count


def _at(ordered: np.ndarray, count: np.ndarray, share: float) -> np.ndarray:
    """A quantile of each row [K], of which the first `count` values are there, in order."""
    last = np.maximum(count - 1, 0)
    position = share * last
    low = position.astype(np.int64)
    weight = position - low
    first = np.arange(0, ordered.size, ordered.shape[1])
    flat = ordered.reshape(-1)
    below, above = flat[first + low], flat[first + np.minimum(low + 1, last)]
    between = below * (1 - weight) + above * weight  # never overflows, as above - below might
    return np.where(weight == 0, below, between)


def _median_wide(values: np.ndarray) -> np.ndarray:
    """The median by selection, which is three times as fast as a sort.

    One half of what is missing is put below and one above, so that the middle of every row is in the same place.
    """
    width = values.shape[-1]
    rows = values.reshape(-1, width).copy()
    gap = np.flatnonzero(np.isnan(rows))
    row = gap // width
    gaps = np.bincount(row, minlength=len(rows))
    rank = np.arange(len(gap)) - (np.cumsum(gaps) - gaps)[row]
    rows.reshape(-1)[gap] = np.where(rank < gaps[row] // 2, -np.inf, np.inf)
    rows.partition(width // 2, axis=-1)
    below, above = rows[:, : width // 2].max(axis=-1), rows[:, width // 2]
    with np.errstate(invalid="ignore"):  # of rows without any value
        between = below * 0.5 + above * 0.5
    middle = np.where((width - gaps) % 2 == 0, between, above if width % 2 else below)
    return np.where(gaps == width, np.nan, middle).reshape(values.shape[:-1])


@dataclass(frozen=True)
class Standard:
    """Series freed of their unit: values = centre + scale * standardised.

    values: [S, T], the median at 0 and p95 - p5 at 1, clipped to +-EXTREME; all zero for a constant series; NaN where
        not observed or infinite.
    centre, scale: [S], finite; scale > 0.
    lowest, highest, spread: [S], of the series in its own unit; the spread is p95 - p5. NaN where nothing is observed.
    moves: bool [S], false for a constant series and for one of which nothing is observed.
    """

    values: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    spread: np.ndarray
    moves: np.ndarray

    def restore(self, levels: np.ndarray) -> np.ndarray:
        """Standardised levels [S] in the series' own units."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.centre + self.scale * levels


def standardise(values: np.ndarray) -> Standard:
    """Series of any magnitude on a common scale, so that sums, squares and thresholds are safe and unit-free.

    Args:
        values: [S, T], NaN where not observed; infinities count as not observed.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    lowest, low, centre, high, highest = quantiles(finite, (0.0, 0.05, 0.5, 0.95, 1.0))
    with np.errstate(over="ignore", invalid="ignore"):
        fuzz = FUZZ * np.fmax(np.abs(lowest), np.abs(highest))
        spread = high - low
        scale = np.where(spread > fuzz, spread, highest - lowest)
        moves = scale > fuzz
        scale = np.where(moves, np.fmin(scale, np.finfo(float).max), 1.0)
        centre = np.where(np.isnan(centre), 0.0, centre)
        unitless = np.clip((finite - centre[:, None]) / scale[:, None], -EXTREME, EXTREME)
    unitless[~moves] = np.where(np.isnan(finite[~moves]), np.nan, 0.0)
    return Standard(unitless, centre, scale, lowest, highest, spread, moves)
