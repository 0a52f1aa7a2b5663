"""Did we get faster, or did the mix get easier? A change of medians, taken apart."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from reports.statistics.intervals import ALPHA

LEAST, LEAST_COMMON = 5, 20
ONE_SIDED = 0  # the number of the stratum that is compared with nothing
RESAMPLES = 199


class Strata(NamedTuple):
    """A period's durations, [n]: seconds so far, whether finished, and the number of each one's stratum, from 0."""

    seconds: np.ndarray
    finished: np.ndarray
    stratum: np.ndarray


class Effect(NamedTuple):
    """A factor of the median, and its 95 % interval."""

    value: float
    lo: float
    hi: float


class MixShift(NamedTuple):
    """total = speed x mix: the change of the median, what of it came within like incidents, and what from the mix."""

    total: Effect
    speed: Effect
    mix: Effect


def mix_shift(before: Strata, after: Strata) -> MixShift | None:
    """Takes the ratio of two Kaplan-Meier medians apart by strata, such as severities.

    One period's incidents are reweighted to the other's mix (DiNardo, Fortin & Lemieux 1996, Econometrica 64), which
    gives the median that the one would have had with the mix of the other. *Speed* is the change at equal mix, *mix*
    the change at equal speed, each the geometric mean over both orders, so that their product is the total (as in
    Kitagawa 1955, J. Am. Stat. Assoc. 50). Strata with fewer than 5 incidents in both periods are one stratum. One that
    has 5 in one period only, as a new service, has none to be like: speed is that of the others, and the rest of the
    total is mix. Unfinished durations are censored. Intervals: percentiles of the bootstrap of both periods, drawn
    alike for equal data.

    Returns:
        None where a period has fewer than 20 in strata that both have, or where more than half of one is unfinished.
    """
    if not len(before.seconds) or not len(after.seconds):
        return None
    pooled = _pooled(before, after)
    if min(np.count_nonzero(each.stratum) for each in pooled) < LEAST_COMMON:
        return None
    first, second = (_Sorted.of(each) for each in pooled)
    found = _effects(first, first.ones, second, second.ones)
    if found is None:
        return None
    rng = np.random.default_rng(int.from_bytes(_digest(before, after), "big"))
    drawn = [_effects(first, first.resampled(rng), second, second.resampled(rng)) for _ in range(RESAMPLES)]
    kept = [each for each in drawn if each is not None]
    if len(kept) < 0.9 * RESAMPLES:
        return None
    ends = np.quantile(np.array(kept), [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    effects = (Effect(float(np.exp(value)), *np.exp(ends[:, k]).tolist()) for k, value in enumerate(found))
    return MixShift(*effects)


def _pooled(before: Strata, after: Strata) -> tuple[Strata, Strata]:
    """Both with strata numbered alike: 0 what only one has enough of, 1 all that are rare in both, then the others."""
    size = 1 + max(int(before.stratum.max()), int(after.stratum.max()))
    counts = np.stack([np.bincount(each.stratum, minlength=size) for each in (before, after)])
    common, rare = (counts >= LEAST).all(axis=0), (counts < LEAST).all(axis=0)
    together = int((counts * rare).sum(axis=1).min() >= LEAST)
    number = np.where(common, 1 + np.cumsum(common), np.where(rare, together, ONE_SIDED))
    return before._replace(stratum=number[before.stratum]), after._replace(stratum=number[after.stratum])


class _Sorted(NamedTuple):
    """By seconds, and at equal ones the finished before the others."""

    seconds: np.ndarray
    finished: np.ndarray
    stratum: np.ndarray

    @classmethod
    def of(cls, strata: Strata) -> _Sorted:
        order = np.lexsort((~strata.finished, strata.seconds))
        return cls(*(each[order] for each in strata))

    @property
    def ones(self) -> np.ndarray:
        return np.ones(len(self.seconds))

    def resampled(self, rng: np.random.Generator) -> np.ndarray:
        """How often each is drawn, with replacement."""
        n = len(self.seconds)
        return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)

    def median(self, weights: np.ndarray) -> float | None:
        """Weighted Kaplan-Meier, like ``Survival.quantile``; None where the curve does not come down to a half."""
        at_risk = np.cumsum(weights[::-1])[::-1]
        left = 1 - np.where(self.finished & (at_risk > 0), weights, 0.0) / np.where(at_risk > 0, at_risk, 1.0)
        survival = np.cumprod(left)
        reached = int(np.searchsorted(-survival, -0.5 - 1e-9))
        if reached == len(survival):
            return None
        if survival[reached] > 0.5 - 1e-9:  # flat at a half until the next one finishes
            after = np.flatnonzero(survival[reached:] < 0.5 - 1e-9)[:1] + reached
            return float(np.append(self.seconds[after], self.seconds[reached]).mean())
        return float(self.seconds[reached])


def _effects(first: _Sorted, drawn_1: np.ndarray, second: _Sorted, drawn_2: np.ndarray) -> np.ndarray | None:
    """Logarithms of total, speed and mix."""
    size = 1 + max(int(first.stratum.max()), int(second.stratum.max()))
    common_1, common_2 = drawn_1 * (first.stratum != ONE_SIDED), drawn_2 * (second.stratum != ONE_SIDED)
    if not common_1.any() or not common_2.any():
        return None
    mix_1, mix_2 = (
        np.bincount(each.stratum, drawn, minlength=size) / drawn.sum()
        for each, drawn in ((first, common_1), (second, common_2))
    )
    medians = (
        first.median(drawn_1),
        second.median(drawn_2),
        first.median(common_1),
        first.median(common_1 * _weights(mix_2, mix_1)[first.stratum]),
        second.median(common_2 * _weights(mix_1, mix_2)[second.stratum]),
        second.median(common_2),
    )
    if any(median is None for median in medians):
        return None
    all_1, all_2, own_1, first_with_2, second_with_1, own_2 = np.log1p(np.array(medians, dtype=float))
    speed = (second_with_1 - own_1 + own_2 - first_with_2) / 2
    total = all_2 - all_1
    return np.array([total, speed, total - speed])


def _weights(wanted: np.ndarray, own: np.ndarray) -> np.ndarray:
    return np.divide(wanted, own, out=np.zeros_like(wanted), where=own > 0)


def _digest(*strata: Strata) -> bytes:
    found = hashlib.blake2b(digest_size=8)
    for each in strata:
        found.update(np.sort(each.seconds).astype(float).tobytes())
    return found.digest()
