"""From a prior's logits to calibrated ones: what a fleet's settled past says about how far to trust them.

Belongs here: the map, and how it is fitted. Not here: what it maps (``forecasting.learnt.model``), or which lessons
count for how much (``forecasting.learnt.learning``).

Platt's logistic calibration (1999), one a horizon, with an effect of each shape and of each metric added. All of it is
shrunk (a ridge penalty, that is: normal priors; Gelman & Hill, 2007, on partially pooled effects), so a kind of series
that was seen a few times is treated nearly as all are, and one never seen exactly so. The map rises with the logit
within each kind: a higher limit stays the less probable one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESTRAINT = 20.0  # observations that believe in no shift
SLOPE_RESTRAINT = 100.0  # and in a slope of one
KIND_RESTRAINT = 10.0  # and in no effect of a shape or a metric
ROUNDS = 30

SETTLED = 1e-5


@dataclass(frozen=True)
class Kinds:
    """What is asked about: the shape and the metric of N series, str [N]; empty where not known."""

    shape: np.ndarray
    metric: np.ndarray

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, rows: np.ndarray) -> Kinds:
        return Kinds(self.shape[rows], self.metric[rows])


def unknown(count: int) -> Kinds:
    """Kinds of which nothing is known."""
    return Kinds(np.full(count, ""), np.full(count, ""))


@dataclass(frozen=True)
class Effects:
    """What is added to logits for each kind of some sort.

    names: ascending. added: float64 [len(names)].
    """

    names: tuple[str, ...]
    added: np.ndarray

    def of(self, kinds: np.ndarray) -> np.ndarray:
        """float64 [N]; 0 for kinds that were never seen."""
        if not self.names:
            return np.zeros(len(kinds))
        names = np.asarray(self.names)
        at = np.minimum(np.searchsorted(names, kinds), len(names) - 1)
        return np.where(names[at] == kinds, self.added[at], 0.0)


NO_EFFECTS = Effects((), np.zeros(0))


@dataclass(frozen=True)
class Calibration:
    """The map of one horizon: shift + slope * logit + what shape and metric add."""

    shift: float = 0.0
    slope: float = 1.0
    shapes: Effects = NO_EFFECTS
    metrics: Effects = NO_EFFECTS

    def calibrated(self, logit: np.ndarray, kinds: Kinds) -> np.ndarray:
        """float64 [N]."""
        return self.shift + self.slope * logit + self.shapes.of(kinds.shape) + self.metrics.of(kinds.metric)


def calibrate(logit: np.ndarray, crossed: np.ndarray, weight: np.ndarray, kinds: Kinds) -> Calibration:
    """The map of one horizon, by Newton's method on shift and slope and on the effects in turn; the problem is convex.

    Args:
        logit, weight: float64 [N]. crossed: [N], 1, 0, or NaN where not known.
    """
    known = np.flatnonzero(np.isfinite(crossed))
    x, w, y = logit[known], weight[known], crossed[known].astype(np.float64)
    line = np.array([0.0, 1.0])
    shapes, metrics = _Sort.of(kinds.shape[known]), _Sort.of(kinds.metric[known])
    for _ in range(ROUNDS):
        before = np.concatenate([line, shapes.added, metrics.added])
        line = _line(line, x, shapes.offsets + metrics.offsets, y, w)
        shapes.improve(line[0] + line[1] * x + metrics.offsets, y, w)
        metrics.improve(line[0] + line[1] * x + shapes.offsets, y, w)
        if np.abs(np.concatenate([line, shapes.added, metrics.added]) - before).max() < SETTLED:
            break
    return Calibration(float(line[0]), float(line[1]), shapes.effects(), metrics.effects())


class _Sort:
    """The effects of one sort of kind while they are being fitted."""

    def __init__(self, names: np.ndarray, kind: np.ndarray):
        """names: str [K], ascending. kind: int [N], which of them each lesson is of."""
        self.names, self.kind = names, kind
        self.added = np.zeros(len(names))

    @classmethod
    def of(cls, kinds: np.ndarray) -> _Sort:
        return cls(*np.unique(kinds, return_inverse=True))

    @property
    def offsets(self) -> np.ndarray:
        return self.added[self.kind]

    def improve(self, others: np.ndarray, y: np.ndarray, w: np.ndarray) -> None:
        """One Newton step, each effect for itself, given the `others`' part of the logits."""
        p = _share(others + self.offsets)
        gradient = np.bincount(self.kind, w * (p - y), len(self.names)) + KIND_RESTRAINT * self.added
        curvature = np.bincount(self.kind, w * p * (1 - p), len(self.names)) + KIND_RESTRAINT
        self.added = np.where(self.names == "", 0.0, self.added - gradient / curvature)

    def effects(self) -> Effects:
        return Effects(tuple(self.names.tolist()), self.added)


def _line(line: np.ndarray, x: np.ndarray, offset: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Shift and slope after a Newton step from `line`; never a falling line, which would turn the limits' order."""
    restraint, believed = np.array([RESTRAINT, SLOPE_RESTRAINT]), np.array([0.0, 1.0])
    p = _share(line[0] + line[1] * x + offset)
    miss, spread = w * (p - y), w * p * (1 - p)
    gradient = np.array([miss.sum(), (miss * x).sum()]) + restraint * (line - believed)
    cross = (spread * x).sum()
    curvature = np.array([[spread.sum(), cross], [cross, (spread * x * x).sum()]]) + np.diag(restraint)
    found = line - np.linalg.solve(curvature, gradient)
    return np.array([found[0], max(found[1], 0.0)])


def _share(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
