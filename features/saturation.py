"""Warm-ups: rises that flatten towards a level of their own, as caches and heaps do after a deploy.

Belongs here: telling such a rise from a leak, and where it leads. Not here: rises that go on (``features.trend``).

The rise since the last drop or step (or since the series began, or left the bottom) is fitted by
c + a (1 - exp(-t / tau)), least squares over a grid of tau, and by a straight line. Saturation is plain where the curve
explains the rise, leaves much less over than the line, leaves no slow waves over (Durbin & Watson 1950), as a random
walk would, and where enough time constants were seen.
"""

from __future__ import annotations

import numpy as np

from features.robust import median
from features.samples import Samples

LONGEST_H = 1440
FEWEST = 16  # samples of a rise
COARSE, EACH = 48, 5  # points of the search for the beginning, and samples whose median each is
BOTTOM = 0.08  # of the rise above the lowest point is still the bottom
RISE = 0.2  # of the series' p95 - p5, at least

POINTS, SAMPLES = 24, 8  # of the fit
RATES = np.geomspace(0.8, 30.0, 25)  # time constants seen
SEEN, FINISHED = 1.25, 14.0  # fewer: the plateau is a guess; more: it is no rise any more
EXPLAINED, PLAIN = 0.85, 0.985  # of the variance of the rise; from the other on, waves are forgiven
BETTER = 0.5  # of what the line leaves over, at most
WAVES = 1.1  # Durbin-Watson; 2 where what is left over is noise, near 0 for slow waves

AT = (np.arange(POINTS) + 0.5) / POINTS
CURVES = 1 - np.exp(-RATES[:, None] * AT)


def warm_up_to(samples: Samples, since: np.ndarray) -> np.ndarray:
    """The plateau [S] that the newest rise leads to, in the samples' unit; NaN where no saturation is plain.

    Args:
        samples: of S series, standardised and without rhythm; up is where danger lies.
        since: [S], the hours (columns) since the last drop or step; NaN where there is none.
    """
    S, T = samples.rank.shape
    plateau = np.full(S, np.nan)
    if T == 0:
        return plateau
    stop = samples.count
    start = samples.rank[np.arange(S), T - np.fmin(since, min(T, LONGEST_H)).astype(np.int64)]
    rows = np.arange(S)
    for _ in range(2):  # the second time looks closer, for a rise that is young beside its stretch
        start[rows], rise = _leave_bottom(samples, rows, start[rows], stop[rows])
        rows = rows[(rise >= RISE) & (stop[rows] - start[rows] >= FEWEST)]
    points = samples.spaced(rows, start[rows], stop[rows], POINTS * SAMPLES).reshape(-1, POINTS, SAMPLES)
    plateau[rows] = _fit(median(points))
    return plateau


def _leave_bottom(
    samples: Samples, rows: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where [n] the samples from `start` to `stop` last were near their lowest level, and how far they rose since."""
    points = median(samples.spaced(rows, start, stop, COARSE * EACH).reshape(-1, COARSE, EACH))
    lowest = points.min(axis=1, initial=np.inf, where=~np.isnan(points))
    rise = points[:, -1] - lowest
    low = points <= (lowest + BOTTOM * np.maximum(rise, 0.0))[:, None]
    last = np.where(low.any(axis=1), COARSE - 1 - np.argmax(low[:, ::-1], axis=1), 0)
    return start + (last * (stop - start)) // COARSE, rise


def _fit(points: np.ndarray) -> np.ndarray:
    """The plateau of points [n, POINTS]; NaN where no saturation is plain."""
    slope, rest = _least_squares(points, CURVES)
    _, straight = _least_squares(points, AT[None])
    best = np.argmin(rest, axis=1)
    every = np.arange(len(points))
    a, left = slope[every, best], rest[every, best]
    c = points.mean(axis=1) - a * CURVES[best].mean(axis=1)
    off = points - c[:, None] - a[:, None] * CURVES[best]
    whole = np.square(points - points.mean(axis=1, keepdims=True)).sum(axis=1)
    waves = np.square(np.diff(off, axis=1)).sum(axis=1)
    plain = (
        (a > 0)
        & (RATES[best] >= SEEN)
        & (RATES[best] <= FINISHED)
        & (left <= (1 - EXPLAINED) * whole)
        & (left <= BETTER * straight[:, 0])
        & ((waves >= WAVES * left) | (left <= (1 - PLAIN) * whole))
    )
    return np.where(plain, c + a, np.nan)


def _least_squares(y: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each y [n, POINTS] on a constant and each shape [k, POINTS]: the factor, and the sum of squares left [n, k]."""
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    away = y - y.mean(axis=1, keepdims=True)
    # Summed along the last axis, since a product of matrices may differ in its last bits with their size.
    slope = (away[:, None] * centred).sum(axis=2) / np.square(centred).sum(axis=1)
    rest = np.square(away[:, None] - slope[:, :, None] * centred).sum(axis=2)
    return slope, rest
