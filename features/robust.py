"""Robust statistics of many series at once: medians, quantiles and a common scale, blind to NaN.

Belongs here: what is computed along the last axis of an array without knowing that it is time. Every function gives a
row the same bytes alone and in company, and none of them warns or overflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NORMAL_MAD = 1.4826  # the sd of a normal distribution over its median absolute deviation
EXTREME = 50.0  # standardised values beyond this say only "far out"
FUZZ = 1e-10  # a spread below this share of the magnitude is the rounding of floats, not a movement


def quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Quantiles along the last axis over what is not NaN, linearly interpolated.

    Returns:
        [len(shares), ...]; NaN where nothing is observed. One sort serves all shares.
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    return np.stack([_at(ordered, count, share) for share in shares])


def median(values: np.ndarray) -> np.ndarray:
    """Median along the last axis over what is not NaN; NaN where nothing is observed."""
    return quantiles(values, (0.5,))[0]


def mad(values: np.ndarray) -> np.ndarray:
    """Standard deviation along the last axis, from the median absolute deviation; NaN where nothing is observed."""
    return NORMAL_MAD * median(np.abs(values - median(values)[..., None]))


def variance(values: np.ndarray) -> np.ndarray:
    """Variance along the last axis over what is not NaN; 0 where nothing is observed."""
    observed = ~np.isnan(values)
    count = np.maximum(np.count_nonzero(observed, axis=-1), 1)
    centre = np.where(observed, values, 0.0).sum(axis=-1) / count
    away = values - centre[..., None]
    away[~observed] = 0.0
    return np.square(away, out=away).sum(axis=-1) / count


def _at(ordered: np.ndarray, count: np.ndarray, share: float) -> np.ndarray:
    if ordered.shape[-1] == 0:
        return np.full(ordered.shape[:-1], np.nan)
    position = share * np.maximum(count - 1, 0)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    weight = position - low
    below, above = (np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0] for index in (low, high))
    between = below * (1 - weight) + above * weight  # never overflows, as above - below might
    return np.where(weight == 0, below, between)


@dataclass(frozen=True)
class Standard:
    """Series freed of their unit: values = centre + scale * standardised.

    values: [S, T], the median at 0 and p95 - p5 at 1, clipped to +-EXTREME; all zero for a constant series; NaN where
        not observed or infinite.
    centre, scale: [S], finite; scale > 0.
    """

    values: np.ndarray
    centre: np.ndarray
    scale: np.ndarray


def standardise(values: np.ndarray) -> Standard:
    """Series of any magnitude on a common scale, so that sums, squares and thresholds are safe and unit-free.

    Args:
        values: [S, T], NaN where not observed; infinities count as not observed.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    lowest, low, centre, high, highest = quantiles(finite, (0.0, 0.05, 0.5, 0.95, 1.0))
    with np.errstate(over="ignore", invalid="ignore"):
        fuzz = FUZZ * np.fmax(np.abs(lowest), np.abs(highest))
        scale = np.where(high - low > fuzz, high - low, highest - lowest)
        moves = scale > fuzz
        scale = np.where(moves, np.fmin(scale, np.finfo(float).max), 1.0)
        centre = np.where(np.isnan(centre), 0.0, centre)
        unitless = np.clip((finite - centre[:, None]) / scale[:, None], -EXTREME, EXTREME)
    unitless[~moves] = np.where(np.isnan(finite[~moves]), np.nan, 0.0)
    return Standard(unitless, centre, scale)
