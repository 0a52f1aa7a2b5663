"""Breaks of many series at once: resets and steps.

Belongs here: where a series stops being its own continuation. Not here: what kind of series that makes it
(``features.shapes``) and how it rises between breaks (``features.trend``).

A *reset* is a sudden fall that ends a gradual climb: a restart of a leaking process, a clean-up, a rotated log. A
*step* is a sudden shift, up or down, to a level that stays. Neither is a spike (up to three samples up and back), a
dip, or a rhythm: the rhythm is taken away first, unless it is itself a tooth (see ``features.seasonality``).

Everything is measured in samples, not hours, so that gaps and rare sampling change nothing. A cheap pass over all
samples proposes candidates; only those are looked at closely, in small windows gathered around them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.robust import EXTREME, NORMAL_MAD, median, quantiles, standardise
from features.samples import Samples
from features.seasonality import Season, find_season

NORMAL_Q80 = 1.2816  # the 80th percentile of |x| for a standard normal x
TINY = 1e-9  # of a standardised series: float noise

# Resets. Sizes in sds of the hour-to-hour noise, or as shares.
PROPOSED_SD = 4.0
FALL_SD = 6.0
FALL_SPREAD = 0.05  # of the series' p95 - p5
FALL_RHYTHM = 1.25  # of the range of the rhythm that was taken away: a day that skips it is no reset
FALL_WEEK = 0.3  # of the range of the 168 samples before
FALLS_AFTER_CLIMB = 0.5  # of all sharp falls, by size; a series that falls as readily from a plateau carries load
SHARPNESS = 0.6  # of the fall happens within two samples
NEIGHBOURS = 3
LANDED = 0.3  # of the fall above the level after it: the sample belongs to that level
AROUND = 7  # samples on either side whose median is the level; a spike of three cannot move it
CLIMB_SAMPLES = 672  # how far back a climb is looked for
# A climb fills the time since the last fall, or only the last third or ninth of it: the part, how many samples it must
# hold, and the share of the fall that must have crept up in it, jumps not counted.
CLIMB_PARTS = ((1, 8, 0.25), (3, 12, 0.5), (9, 12, 0.5))
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


def find_breaks(values: np.ndarray, season: Season | None = None) -> Breaks:
    """Resets and steps of each series.

    Args:
        values: [S, T] hourly, NaN where not observed.
        season: of the same values, where it is known already.
    """
    season = season if season is not None else find_season(values)
    standard = standardise(values)
    with np.errstate(over="ignore", invalid="ignore"):
        rhythm = season.removed_range / standard.scale
        calm = (season.remove(values) - standard.centre[:, None]) / standard.scale[:, None]
    samples = Samples.of(np.clip(np.where(np.isfinite(values), calm, np.nan), -EXTREME, EXTREME))
    reset_row, reset_at = _find_resets(samples, rhythm)
    step_row, step_at = _find_steps(samples, reset_row, reset_at)
    resets = samples.mark(reset_row, reset_at)
    return Breaks(resets, samples.mark(step_row, step_at) & ~resets)


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
    jumps = np.zeros(values.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        jumps[row, column] = np.nan_to_num(values[row, column] - kept)
        return values + (jumps.sum(axis=1, keepdims=True) - np.cumsum(jumps, axis=1))


def _two_before(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """[K, 2]: the two samples before each marked one."""
    broken, part = np.unique(row, return_inverse=True)
    samples = Samples.of(np.where(np.isfinite(values[broken]), values[broken], np.nan))
    return samples.window(part, samples.rank[part, column] - 2, 2)


# ----------------------------------------------------------------------------------------------------------- resets


def _noise(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The usual change from sample to sample, and the series as it would be had it never changed faster.

    Returns:
        sd [S] of the differences, deaf to a tenth of jumps; of a staircase, a quarter of its usual stair up.
        gradual [S, P]: the sum of the changes, each cut to the usual. Spikes cancel out, a jump hardly shows, and what
        is left is how far the series crept.
    """
    change = np.diff(packed, axis=1, prepend=packed[:, :1])
    drift = median(change)[:, None]
    away = change - drift
    usual = quantiles(np.abs(away), (0.8,))[0] / NORMAL_Q80
    stair = 0.25 * median(np.where(away > TINY, away, np.nan))
    noise = np.fmax(np.fmax(usual, stair), TINY)
    most = np.abs(drift) + PROPOSED_SD * noise[:, None]
    return noise, np.cumsum(np.clip(change, -most, most), axis=1)


def _shift(samples: np.ndarray, by: int) -> np.ndarray:
    """Samples moved right by `by` (left where negative), NaN filled."""
    moved = np.full(samples.shape, np.nan)
    if by >= 0:
        moved[:, by:] = samples[:, : max(samples.shape[1] - by, 0)]
    else:
        moved[:, :by] = samples[:, -by:]
    return moved


def _propose(samples: Samples, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, position and size of sharp falls: over two samples at most, lasting two at least, largest around."""
    packed = samples.packed
    before = np.fmax(_shift(packed, 2), _shift(packed, 1))
    after = np.fmax(packed, _shift(packed, -1))
    fall = np.nan_to_num(before - after, nan=0.0)
    wanted = fall > PROPOSED_SD * noise[:, None]
    row, at = np.nonzero(wanted)
    around = at[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    width = packed.shape[1]
    inside = (around >= 0) & (around < width)
    near = np.where(inside, fall[row[:, None], np.clip(around, 0, max(width - 1, 0))], 0.0)
    first = np.argmax(near, axis=1) == NEIGHBOURS if len(row) else np.zeros(0, dtype=bool)
    return row[first], at[first], fall[row[first], at[first]]


def _find_resets(samples: Samples, rhythm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    noise, gradual = _noise(samples.packed)
    row, at, sharp = _propose(samples, noise)
    before, after = samples.window(row, at - AROUND, AROUND), samples.window(row, at, AROUND)
    fall = median(before) - median(after)
    seen = (np.count_nonzero(~np.isnan(before), axis=1) >= 4) & (np.count_nonzero(~np.isnan(after), axis=1) >= 2)
    enough = np.maximum(np.maximum(FALL_SD * noise[row], FALL_SPREAD), FALL_RHYTHM * rhythm[row])
    stays = seen & (fall >= enough) & (sharp >= SHARPNESS * fall)
    row, at, fall = row[stays], at[stays], fall[stays]
    early = samples.window(row, at - 1, 1)[:, 0] - median(after[stays]) < LANDED * fall
    at = at - early

    start = np.maximum(_previous(row, at, fall), at - CLIMB_SAMPLES)
    crept = replace(samples, packed=gradual)
    climbs = np.zeros(len(row), dtype=bool)
    for part, shortest, share in CLIMB_PARTS:
        since = at - (at - start) // part
        climbed = _crept_by(crept.spaced(row, since, at, CLIMB_POINTS))
        far = climbed >= np.maximum(share * fall, CLIMB_SD * noise[row])
        climbs |= (at - since >= shortest) & far & _in_order(samples.spaced(row, since, at, CLIMB_POINTS))
    week = samples.spaced(row, np.maximum(at - 168, 0), at, CLIMB_POINTS)
    low, high = quantiles(week, (0.1, 0.9))
    real = climbs & (fall >= FALL_WEEK * (high - low))
    every = np.bincount(row, fall, minlength=len(noise))
    ended = np.bincount(row[real], fall[real], minlength=len(noise))
    real &= (ended >= FALLS_AFTER_CLIMB * every)[row]
    return row[real], at[real]


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
    return Samples.of(median(padded.reshape(S, -1, BLOCK)))


def _find_steps(samples: Samples, reset_row: np.ndarray, reset_at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = _blocks(samples)
    S, whole = blocks.packed.shape
    if whole <= 2 * NEAR:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    level = median(np.lib.stride_tricks.sliding_window_view(blocks.packed, NEAR, axis=1))
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
