"""Sudden falls of many series at once, whatever they mean.

Belongs here: where a series drops at once to a level that it keeps for a while. Not here: whether a drop ends a climb
(``features.breaks``), or whether a warm-up follows it (``features.saturation``).

A cheap pass over all samples proposes candidates; only those are looked at closely, in small windows around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.calm import Calm
from features.robust import median
from features.samples import Samples

# Sizes in sds of the change from sample to sample, or as shares.
PROPOSED_SD = 4.0
SIZE_SD = 6.0
SIZE_SPREAD = 0.05  # of the series' p95 - p5
SIZE_RHYTHM = 1.25  # of the range of the rhythm that was taken away: a day that skips it is no drop
SHARPNESS = 0.6  # of the drop happens within two samples
NEIGHBOURS = 3
LANDED = 0.3  # of the drop above the level after it: the sample belongs to that level
# Samples on either side whose median is the level; a spike of three cannot move it. In short cycles they are fewer:
# half the way to the next drop of half the size at least.
AROUND, FEWEST_AROUND = 7, 3
LIKE = 0.5


@dataclass(frozen=True)
class Drops:
    """K drops, in order of row and time.

    row: [K]. at: [K], the position among the samples of the first one on the new level. size: [K], standardised.
    """

    row: np.ndarray
    at: np.ndarray
    size: np.ndarray


def find_drops(calm: Calm) -> Drops:
    """Where the calmed series drop: sharply, beyond their noise and rhythm, and not for a moment."""
    samples, noise = calm.samples, calm.noise
    row, at, sharp = _propose(samples, noise)
    reach = _reach(row, at, sharp)
    away = np.arange(AROUND)
    before = np.where(away >= AROUND - reach[:, None], samples.window(row, at - AROUND, AROUND), np.nan)
    after = np.where(away < reach[:, None], samples.window(row, at, AROUND), np.nan)
    size = median(before) - median(after)
    seen = np.count_nonzero(~np.isnan(before), axis=1) > reach // 2
    seen &= np.count_nonzero(~np.isnan(after), axis=1) >= 2
    enough = np.maximum(np.maximum(SIZE_SD * noise[row], SIZE_SPREAD), SIZE_RHYTHM * calm.rhythm[row])
    stays = seen & (size >= enough) & (sharp >= SHARPNESS * size)
    row, at, size = row[stays], at[stays], size[stays]
    early = samples.window(row, at - 1, 1)[:, 0] - median(after[stays]) < LANDED * size
    return Drops(row, at - early, size)


def _reach(row: np.ndarray, at: np.ndarray, size: np.ndarray) -> np.ndarray:
    """How many samples on either side of a drop belong to it alone."""
    near = np.full(len(row), 2 * AROUND)
    for lag in range(1, 2 * AROUND // (NEIGHBOURS + 1) + 1):
        earlier, later = slice(None, -lag), slice(lag, None)
        apart = np.where(row[earlier] == row[later], at[later] - at[earlier], 2 * AROUND)
        for one, other in ((earlier, later), (later, earlier)):
            near[one] = np.minimum(near[one], np.where(size[other] >= LIKE * size[one], apart, 2 * AROUND))
    return np.clip(near // 2, FEWEST_AROUND, AROUND)


def _propose(samples: Samples, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, position and size of sharp falls: over two samples at most, lasting two at least, largest around."""
    packed = samples.packed
    fall = np.zeros(packed.shape)
    pairs = np.fmax(packed[:, :-1], packed[:, 1:])
    pairs = np.concatenate([packed[:, :1], pairs, packed[:, -1:]], axis=1)
    fall[:, 1:] = pairs[:, :-2] - pairs[:, 2:]
    row, at = np.nonzero(fall > PROPOSED_SD * noise[:, None])
    around = at[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    width = packed.shape[1]
    inside = (around >= 0) & (around < width)
    near = np.nan_to_num(np.where(inside, fall[row[:, None], np.clip(around, 0, max(width - 1, 0))], 0.0))
    first = np.argmax(near, axis=1) == NEIGHBOURS if len(row) else np.zeros(0, dtype=bool)
    return row[first], at[first], fall[row[first], at[first]]
