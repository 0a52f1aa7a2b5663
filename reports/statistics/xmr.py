"""Process behaviour charts: which periods stand out from the usual come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST = 8
RUN = 8
OF_LIMITS = 3.145
"""3 standard deviations in units of the median moving range, whose mean is 0.954 of them."""
OF_RANGES = 3.865
"""The upper limit of moving ranges, in units of their median."""


@dataclass(frozen=True)
class Xmr:
    """Individual values and their moving ranges with natural process limits.

    Attributes:
        values: [m] in order of time.
        centre, lower, upper: of the values.
        ranges: [m - 1] absolute differences of successive values.
        range_centre, range_upper: of those.
        outside: bool [m], values beyond the limits.
        in_run: bool [m], values of a run of eight or more on one side of the centre.
    """

    values: np.ndarray
    centre: float
    lower: float
    upper: float
    ranges: np.ndarray
    range_centre: float
    range_upper: float
    outside: np.ndarray
    in_run: np.ndarray


def xmr(values: np.ndarray) -> Xmr | None:
    """Centre and limits by the medians of the values and of the moving ranges: Wheeler (1993), "Understanding
    Variation", and Wheeler & Chambers (1992), appendix: medians, since one outlier must not widen the limits.

    Args:
        values: [m] in order of time, finite; logarithms, where values are skewed.

    Returns:
        None below 8 values.
    """
    if len(values) < LEAST:
        return None
    ranges = np.abs(np.diff(values))
    centre, range_centre = float(np.median(values)), float(np.median(ranges))
    lower, upper = centre - OF_LIMITS * range_centre, centre + OF_LIMITS * range_centre
    return Xmr(
        values=values,
        centre=centre,
        lower=lower,
        upper=upper,
        ranges=ranges,
        range_centre=range_centre,
        range_upper=OF_RANGES * range_centre,
        outside=(values < lower) | (values > upper),
        in_run=_runs(np.sign(values - centre)),
    )


def _runs(sides: np.ndarray) -> np.ndarray:
    """Where the side stays the same for `RUN` values or more; a value on the centre ends a run."""
    begins = np.flatnonzero(np.diff(sides, prepend=np.nan) != 0)
    lengths = np.diff(begins, append=len(sides))
    return np.repeat((lengths >= RUN), lengths) & (sides != 0)
