"""When sample paths reach a limit, and how probable that makes it.

Belongs here: the definition of a crossing, and the mathematics from paths to P and ETA. Not here: where paths come from
(``forecasting.models``), or which limit holds (``forecasting.limits``).

A *crossing* is the first of `lasts_h` consecutive hours at or beyond the limit. A path therefore crosses within h hours
exactly when its *persistent extreme* reaches the limit: the highest level that it holds for `lasts_h` hours, beginning
within h hours. The run may be confirmed after the horizon, so paths must be `lasts_h - 1` hours longer than it.

From extremes to probabilities: counting paths would claim 0 and 1 where there are only a few independent pasts behind
them. So

1. the extremes are smoothed by a kernel (Epanechnikov's, 1969), with a width that shrinks as evidence grows,
   n^(-1/5) as in Silverman (1986); and
2. one more past is added of which nothing is known but how far the middle half of the paths strays within the horizon:
   a Cauchy distribution of that width around tonight's level, with the weight of one among n + 1. It is Laplace's rule
   of succession with a sense of distance.

Both are monotone in the limit; the cumulative maximum over horizons makes P monotone in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.paths import Paths, weighted_quantiles

KERNEL = 0.5  # standard deviation in those of the extremes, for n = 1
NARROWEST = 1e-3  # in units of the series' spread
NORMAL_IQR = 1.349  # between the quartiles of a standard normal
QUARTILES = np.array([0.25, 0.75])[None, :, None]
LEAST = 1e-4  # no answer is surer than this
STRIDE_H = 6  # ETAs are computed on every 6th hour and interpolated between


@dataclass(frozen=True)
class Crossing:
    """The answer for R limits.

    p: float64 [R, len(horizons)], strictly between 0 and 1, never decreasing along the horizons.
    eta_h: float64 [R, 3], hours from as_of to the crossing at its 10th, 50th and 90th percentile, given that it comes
        within the longest horizon.
    """

    p: np.ndarray
    eta_h: np.ndarray


def first_crossing(paths: np.ndarray, limit: np.ndarray, lasts_h: int, direction: str) -> np.ndarray:
    """Where each path crosses.

    Args:
        paths: [S, N, H]. limit: [S]. lasts_h: consecutive hours that make a crossing. direction: up or down.

    Returns:
        int64 [S, N]: the hour at which the first run of `lasts_h` hours begins; H where there is none.
    """
    beyond = persistent(paths, lasts_h, direction) >= _sign(direction) * limit[:, None, None]
    found = beyond.any(axis=2)
    return np.where(found, beyond.argmax(axis=2), paths.shape[2])


def persistent(paths: np.ndarray, lasts_h: int, direction: str) -> np.ndarray:
    """[S, N, H - lasts_h + 1]: the level that is held for `lasts_h` hours from each hour on; negated for downwards."""
    signed = paths if direction == "up" else -paths
    held, covered = signed, 1
    while covered < lasts_h:  # doubling: log2(lasts_h) passes
        by = min(covered, lasts_h - covered)
        held = np.minimum(held[:, :, :-by], held[:, :, by:])
        covered += by
    return held


def already_crossed(values: np.ndarray, limit: np.ndarray, lasts_h: int, direction: str) -> np.ndarray:
    """Whether the last `lasts_h` observed hours are all at or beyond the limit; bool [S].

    Args:
        values: [S, T] in the same units as limit [S], NaN where not observed.
    """
    observed = ~np.isnan(values)
    newest = np.cumsum(observed[:, ::-1], axis=1)[:, ::-1]
    asked = observed & (newest <= lasts_h)
    beyond = _sign(direction) * values >= _sign(direction) * limit[:, None]
    return (asked.sum(axis=1) == lasts_h) & (beyond | ~asked).all(axis=1)


def last_beyond(values: np.ndarray, limit: float, lasts_h: int, direction: str) -> int | None:
    """How long ago the newest crossing ended: hours from its last hour to the end of `values`; None without one.

    Args:
        values: [T], NaN where not observed.
    """
    observed = np.flatnonzero(~np.isnan(values))
    if len(observed) < lasts_h:
        return None
    beyond = _sign(direction) * values[observed] >= _sign(direction) * limit
    ends = np.flatnonzero(np.convolve(beyond, np.ones(lasts_h, dtype=int), mode="valid") == lasts_h) + lasts_h - 1
    return len(values) - int(observed[ends[-1]]) if len(ends) else None


def furthest_held(values: np.ndarray, lasts_h: int, direction: str) -> tuple[float, int] | None:
    """The level furthest in the direction that `lasts_h` consecutive observed hours held, and how long ago they began.

    Args:
        values: [T], NaN where not observed.

    Returns:
        The level, and hours before the end of `values`; None where fewer hours were observed.
    """
    observed = np.flatnonzero(~np.isnan(values))
    if len(observed) < lasts_h:
        return None
    held = persistent(values[None, None, observed], lasts_h, direction)[0, 0]
    at = int(held.argmax())
    return _sign(direction) * float(held[at]), len(values) - int(observed[at])


def probability(paths: Paths, limit: np.ndarray, lasts_h: int, direction: str, horizons: tuple[int, ...]) -> Crossing:
    """P and ETA of a crossing.

    Args:
        paths: of R series, at least max(horizons) + lasts_h - 1 hours long.
        limit: float64 [R], in the series' own units; may be infinite.
        horizons: hours, ascending.
    """
    ends = _ends(horizons)
    needed = ends[-1] + lasts_h - 1
    extremes = _extremes(paths.values[:, :, :needed], lasts_h, direction, ends)
    wanted = _sign(direction) * paths.scale.standardise(limit)
    wanted = np.where(np.isfinite(limit), wanted, _sign(direction) * limit)
    share = np.maximum.accumulate(_smoothed(extremes, paths, wanted, direction, ends), axis=1)
    at = [int(np.flatnonzero(ends == h)[0]) for h in horizons]
    return Crossing(np.clip(share[:, at], LEAST, 1 - LEAST), arrival(share, ends))


def _sign(direction: str) -> int:
    return 1 if direction == "up" else -1


def _ends(horizons: tuple[int, ...]) -> np.ndarray:
    """Hours up to which crossings are counted: every sixth, and the horizons themselves."""
    return np.union1d(np.arange(STRIDE_H, horizons[-1] + 1, STRIDE_H), np.asarray(horizons)).astype(np.int64)


def _extremes(paths: np.ndarray, lasts_h: int, direction: str, ends: np.ndarray) -> np.ndarray:
    """float32 [E, R, N]: each path's persistent extreme before each of the `ends`, growing along them."""
    held = persistent(paths, lasts_h, direction)
    starts = np.r_[0, ends[:-1]]
    blocks = np.stack([held[:, :, start:end].max(axis=2) for start, end in zip(starts, ends, strict=True)])
    return np.maximum.accumulate(blocks, axis=0)


def _smoothed(extremes: np.ndarray, paths: Paths, limit: np.ndarray, direction: str, ends: np.ndarray) -> np.ndarray:
    """float64 [R, E]: P(crossing before each end), not yet monotone.

    Args:
        extremes: [E, R, N] and limit: [R], both negated for downwards.
    """
    share = np.empty((len(limit), len(ends)))
    level = _sign(direction) * paths.level
    weights = paths.weights.astype(np.float64)
    for e, end in enumerate(ends):
        extreme, worth = extremes[e].astype(np.float64), paths.worth(int(end))
        low, high = weighted_quantiles(extreme[:, :, None], paths.weights, QUARTILES)[:, :, 0].T
        mean = (weights * extreme).sum(axis=1)
        sd = np.sqrt((weights * np.square(extreme - mean[:, None])).sum(axis=1))
        usual = np.minimum(sd, (high - low) / NORMAL_IQR)  # a few bursts must not blur all the quiet paths
        width = np.maximum(KERNEL * usual * worth**-0.2, NARROWEST)
        known = (weights * _epanechnikov((extreme - limit[:, None]) / width[:, None])).sum(axis=1)
        stray = np.maximum(np.maximum(np.abs(low - level), np.abs(high - level)), NARROWEST)
        unknown = 0.5 + np.arctan((level - limit) / stray) / np.pi
        share[:, e] = (worth * known + unknown) / (worth + 1)
    return share


def _epanechnikov(x: np.ndarray) -> np.ndarray:
    """Distribution function of Epanechnikov's kernel with standard deviation 1; safe for infinite x."""
    x = np.clip(x, -np.sqrt(5), np.sqrt(5))
    return 0.5 + 3 / (4 * np.sqrt(5)) * (x - x**3 / 15)


def arrival(share: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """When a crossing comes if it comes: the hours at which P passes 10, 50 and 90 % of what it is at last.

    Args:
        share: [R, E], P(crossing before each end), never decreasing. ends: [E], hours, ascending.

    Returns:
        float64 [R, 3]. Between the ends, and before the first, P grows in straight lines.
    """
    hours = np.r_[0.0, ends.astype(np.float64)]
    growing = np.concatenate([np.zeros((len(share), 1)), share], axis=1)
    part = growing / np.maximum(growing[:, -1:], np.finfo(float).tiny)
    rows = np.arange(len(share))
    etas = []
    for quantile in (0.1, 0.5, 0.9):
        high = np.argmax(part >= quantile, axis=1)
        low = np.maximum(high - 1, 0)
        gap = part[rows, high] - part[rows, low]
        into = np.where(gap > 0, (quantile - part[rows, low]) / np.where(gap > 0, gap, 1.0), 0.0)
        etas.append(hours[low] + into * (hours[high] - hours[low]))
    return np.stack(etas, axis=1)
