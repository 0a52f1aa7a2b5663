"""Breaks of many series at once: resets and steps.

Belongs here: where a series stops being its own continuation. Not here: what kind of series that makes it
(``features.shapes``) and how it rises between breaks (``features.trend``).

A *reset* is a sudden fall that ends a gradual climb: a restart of a leaking process, a clean-up, a rotated log. A
*step* is a sudden shift, up or down, to a level that stays. Neither is a spike (up to three samples up and back), a
dip, or a rhythm: the rhythm is taken away first, unless it is itself a tooth (see ``features.seasonality``).

Everything is measured in samples, not hours, so that gaps and rare sampling change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.calm import Calm
from features.drops import Drops, find_drops
from features.robust import NORMAL_MAD, median, quantiles
from features.samples import Samples

# Resets are drops (``features.drops``) that end a climb. Sizes in sds of the hour-to-hour noise, or as shares.
FALL_WEEK = 0.3  # of the range of the 168 samples before
FALLS_AFTER_CLIMB = 0.5  # of all sharp falls, by size; a series that falls as readily from a plateau carries load
SUDDEN_SD = 4.0  # of the change from sample to sample: more is no part of a climb
CLIMB_SAMPLES = 672  # how far back a climb is looked for
# A climb fills the time since the last fall, or only the last third or ninth of it: the part, how many samples it must
# hold, and the share of the fall that must have crept up in it, jumps not counted.
CLIMB_PARTS = ((1, 5, 0.25), (3, 12, 0.5), (9, 12, 0.5))
CLIMB_SD = 3.0
CLIMB_JUMP = 0.75  # a climb of which one quarter brings more than this is a jump
CLIMB_ORDER = 0.6  # Kendall's tau-a of the values on their way up
CLIMB_POINTS = 24
CLIMB_PAIRS = np.triu_indices(CLIMB_POINTS, 1)

# Steps. Blocks are medians of six samples, so that spikes are gone.
BLOCK = 6
NEAR, BEFORE, AFTER = 4, 20, 16  # blocks: a day, five days (longer than a weekend), four days
STEP_SD = 4.0
STEP_SPREAD = 0.15
STEP_SHARE = 0.6
STEP_APART = 0.3  # of the step lies between nine tenths of what was before and nine tenths of what came after


@dataclass(frozen=True)
class Breaks:
    """Where series break.

    resets, steps: bool [S, T]; true at the first hour of the new level. No hour is both.
    """

    resets: np.ndarray
    steps: np.ndarray

    @property
    def any(self) -> np.ndarray:
        return self.resets | self.steps


def hours_since(marks: np.ndarray) -> np.ndarray:
    """Hours [S] from the start of the last marked hour to as_of, so 1 for the last column; NaN where none is.

    Args:
        marks: bool [S, T], such as ``Breaks.resets``.
    """
    S, T = marks.shape
    if T == 0:
        return np.full(S, np.nan)
    return np.where(marks.any(axis=1), 1.0 + np.argmax(marks[:, ::-1], axis=1), np.nan)


def find_breaks(values: np.ndarray, calm: Calm | None = None, drops: Drops | None = None) -> Breaks:
    """Resets and steps of each series.

    Args:
        values: [S, T] hourly, NaN where not observed.
        calm, drops: of the same values, where they are known already.
    """
    calm = calm if calm is not None else Calm.of(values)
    drops = drops if drops is not None else find_drops(calm)
    real = _end_climbs(calm, drops)
    row, at = drops.row[real], drops.at[real]
    resets = calm.samples.mark(row, at)
    steps = calm.samples.mark(*_find_steps(calm.samples, row, at))
    return Breaks(resets, steps & ~resets)


def falls(values: np.ndarray, resets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The value just before each reset, and how far it fell.

    Args:
        values: [S, T]; resets: bool [S, T].

    Returns:
        row, peak, drop: [K] each, in order of row and time. The peak is the higher of the two samples before, since the
        hour of the fall itself may hold both levels.
    """
    row, column = np.nonzero(resets)
    before = _two_before(values, row, column)
    peak = np.fmax(before[:, 0], before[:, 1])
    with np.errstate(over="ignore"):
        return row, peak, peak - values[row, column]


def join(values: np.ndarray, breaks: Breaks) -> np.ndarray:
    """The series with its breaks mended: earlier levels are moved so that each break continues where it left off.

    Args:
        values: [S, T]; the level after the last break stays as it is.

    A leak hidden by daily restarts shows its slope.
    """
    row, column = np.nonzero(breaks.any)
    before = _two_before(values, row, column)
    near = np.abs(before - values[row, column][:, None])
    kept = np.where(np.isnan(near[:, 0]) | (near[:, 1] >= near[:, 0]), before[:, 1], before[:, 0])
    broken, part = np.unique(row, return_inverse=True)
    jumps = np.zeros((len(broken), values.shape[1]))
    joined = values.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        jumps[part, column] = np.nan_to_num(values[row, column] - kept)
        joined[broken] += jumps.sum(axis=1, keepdims=True) - np.cumsum(jumps, axis=1)
    return joined


def _two_before(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """[K, 2]: the two samples before each marked one."""
    broken, part = np.unique(row, return_inverse=True)
    samples = Samples.of(np.where(np.isfinite(values[broken]), values[broken], np.nan))
    return samples.window(part, samples.rank[part, column] - 2, 2)


# ----------------------------------------------------------------------------------------------------------- resets


def _end_climbs(calm: Calm, drops: Drops) -> np.ndarray:
    """Which drops [K] end a gradual climb."""
    samples, noise = calm.samples, calm.noise
    row, at, fall = drops.row, drops.at, drops.size
    start = np.maximum(_previous(row, at, fall), at - CLIMB_SAMPLES)
    falling, part = np.unique(row, return_inverse=True)
    crept = replace(samples, packed=calm.gradual(falling, SUDDEN_SD))
    climbs = np.zeros(len(row), dtype=bool)
    for parts, shortest, share in CLIMB_PARTS:
        since = at - (at - start) // parts
        climbed = _crept_by(crept.spaced(part, since, at, CLIMB_POINTS))
        far = climbed >= np.maximum(share * fall, CLIMB_SD * noise[row])
        climbs |= (at - since >= shortest) & far & _in_order(samples.spaced(row, since, at, CLIMB_POINTS))
    week = samples.spaced(row, np.maximum(at - 168, 0), at, CLIMB_POINTS)
    low, high = quantiles(week, (0.1, 0.9))
    real = climbs & (fall >= FALL_WEEK * (high - low))
    every = np.bincount(row, fall, minlength=len(noise))
    ended = np.bincount(row[real], fall[real], minlength=len(noise))
    return real & (ended >= FALLS_AFTER_CLIMB * every)[row]


def _previous(row: np.ndarray, at: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """The position of the last fall in the same row of at least half the size; 0 where none is."""
    K = len(row)
    mine = np.arange(K)
    found = mine - 1
    for _ in range(K):
        same = (found >= 0) & (row[np.maximum(found, 0)] == row)
        small = same & (fall[np.maximum(found, 0)] < 0.5 * fall)
        if not small.any():
            break
        found = np.where(small, found - 1, found)
    same = (found >= 0) & (row[np.maximum(found, 0)] == row)
    return np.where(same, at[np.maximum(found, 0)], 0)


def _crept_by(points: np.ndarray) -> np.ndarray:
    """How far points [K, CLIMB_POINTS] climb from their first quarter to the last; 0 unless all quarters take part."""
    quarter = median(points.reshape(len(points), 4, CLIMB_POINTS // 4))
    rise = np.diff(quarter, axis=1)
    total = quarter[:, 3] - quarter[:, 0]
    gradual = (rise.min(axis=1) >= -0.1 * total) & (rise.max(axis=1) <= CLIMB_JUMP * total)
    return np.where(gradual, total, 0.0)


def _in_order(points: np.ndarray) -> np.ndarray:
    """Whether points [K, CLIMB_POINTS] rise on the whole: bursts and plateaus do not."""
    earlier, later = CLIMB_PAIRS
    return np.sign(points[:, later] - points[:, earlier]).mean(axis=1) >= CLIMB_ORDER


# ------------------------------------------------------------------------------------------------------------ steps


def _blocks(samples: Samples) -> Samples:
    """Medians of consecutive samples; the last block of a row may hold fewer."""
    S, P = samples.packed.shape
    padded = np.full((S, -(-P // BLOCK) * BLOCK), np.nan)
    padded[:, :P] = samples.packed
    padded = padded.reshape(S, padded.shape[1] // BLOCK, BLOCK)
    ordered = np.sort(padded, axis=2)
    middle = (ordered[:, :, BLOCK // 2 - 1] + ordered[:, :, BLOCK // 2]) / 2
    row = np.flatnonzero(samples.count % BLOCK)
    last = samples.count[row] // BLOCK
    middle[row, last] = median(padded[row, last])
    return Samples.of(middle)


def _median_of_four(values: np.ndarray) -> np.ndarray:
    """[S, n - 3]: the medians of each value and the three after it."""
    low, high = np.minimum(values[:, :-1], values[:, 1:]), np.maximum(values[:, :-1], values[:, 1:])
    return (np.maximum(low[:, :-2], low[:, 2:]) + np.minimum(high[:, :-2], high[:, 2:])) / 2


def _find_steps(samples: Samples, reset_row: np.ndarray, reset_at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = _blocks(samples)
    S, whole = blocks.packed.shape
    if whole <= 2 * NEAR:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    level = _median_of_four(blocks.packed)
    shift = np.zeros((S, whole))
    shift[:, NEAR : whole - NEAR] = level[:, NEAR + 1 :] - level[:, : whole - 2 * NEAR]
    shift[np.arange(whole) >= blocks.count[:, None] - NEAR] = 0.0  # a step is not known before it lasted a day
    scatter = NORMAL_MAD * median(np.abs(blocks.packed[:, NEAR - 1 :] - level))
    enough = np.fmax(STEP_SD * scatter, STEP_SPREAD)

    quiet = np.zeros((S, whole + 1), dtype=bool)  # blocks around a reset: its fall is not a step as well
    for near in range(-2, 3):
        quiet[reset_row, np.clip(reset_at // BLOCK + near, 0, whole)] = True
    row, at = np.nonzero((np.abs(shift) >= enough[:, None]) & ~quiet[:, :whole])
    around = np.clip(at[:, None] + np.arange(-NEAR, NEAR + 1), 0, whole - 1)
    if len(row) == 0:
        return row, at
    first = np.argmax(np.abs(shift[row[:, None], around]), axis=1) == NEAR
    row, at = row[first], at[first]

    before, after = blocks.window(row, at - BEFORE, BEFORE), blocks.window(row, at + 1, AFTER)
    near, far = shift[row, at], median(after) - median(before)
    same = (far * near > 0) & (np.abs(far) >= STEP_SHARE * np.abs(near)) & (np.abs(near) >= STEP_SHARE * np.abs(far))
    sign = np.sign(near)[:, None]
    apart = quantiles(after * sign, (0.1,))[0] - quantiles(before * sign, (0.9,))[0] >= STEP_APART * np.abs(far)
    around = blocks.take(row, at[:, None] + np.arange(-3, 4)) * sign
    jump = np.nan_to_num(around[:, 2:] - around[:, :-2])  # over the blocks on either side of at - 2, ..., at + 2
    sharp = jump.max(axis=1) >= STEP_SHARE * np.abs(far)
    real = same & apart & sharp & (np.abs(far) >= enough[row])
    row, at, sign = row[real], (at + np.argmax(jump, axis=1) - 2)[real], sign[real]

    inside = (at - 1) * BLOCK  # the hour: the sharpest change in the block and its neighbours
    close = samples.window(row, inside - 1, 3 * BLOCK + 1)
    return row, inside + np.argmax(np.nan_to_num(np.diff(close, axis=1) * sign, nan=-np.inf), axis=1)
