"""Staircases: series that move by rare jumps in one direction, and hardly in between.

Belongs here: telling them from creeps. Queues, partitions and tenants that are added one by one look like this; so does
a batch that writes now and then. Not here: single shifts of level (``features.breaks``).

A straight line of whole numbers climbs by equal stairs too. It is known by nothing ever moving but by that one unit,
and is left to be a trend.
"""

from __future__ import annotations

import numpy as np

from features.calm import TINY, Calm
from features.samples import Samples

JUMP_SD = 3.0
STAIR = 0.25  # of the largest jump, at least; smaller ones are noise
ONE_WAY = 0.9  # of all that the stairs moved
CREPT = 0.2  # of what the stairs moved may have come between them, either way
MOVED = 0.5  # of the series' p95 - p5
LARGEST = 0.6  # of the whole: more is one step
FEWEST = 4
RARE_H, RARE = 36.0, 4  # hours and samples from one to the next
OVERDUE = 3.0  # usual distances: a staircase that has not moved for so long is one no more
EQUAL = 0.1  # coefficient of variation of the stairs


def is_staircase(calm: Calm) -> np.ndarray:
    """Whether the calmed series are staircases, up or down: bool [S]."""
    S, samples = len(calm.change), calm.samples
    away = calm.change - calm.drift[:, None]
    row, at = np.nonzero(np.abs(away) > JUMP_SD * calm.noise[:, None])
    jump = away[row, at]
    largest = np.zeros(S)
    np.maximum.at(largest, row, np.abs(jump))
    stair = np.abs(jump) >= STAIR * largest[row]
    up, down = (np.bincount(row, np.maximum(sign * jump, 0.0) * stair, minlength=S) for sign in (1, -1))
    way, moved = np.where(up >= down, 1.0, -1.0), np.maximum(up, down)

    along = stair & (jump * way[row] > 0)
    row, at, jump = row[along], at[along], np.abs(jump[along])
    count = np.bincount(row, minlength=S)
    first, last = np.full((2, S), np.inf), np.zeros((2, S))
    for measure, where in enumerate((samples.column[row, at], at)):  # in hours, in samples
        np.minimum.at(first[measure], row, where)
        np.maximum.at(last[measure], row, where)
    with np.errstate(invalid="ignore"):  # of rows without any
        every_h, every_nth = (last - first) / np.maximum(count - 1, 1)
        overdue = samples.column.max(axis=1, initial=0) - last[0] > OVERDUE * every_h
    return (
        (count >= FEWEST)
        & (every_h >= RARE_H)
        & (every_nth >= RARE)
        & ~overdue
        & (moved >= MOVED)
        & (moved >= ONE_WAY * (up + down))
        & (largest <= LARGEST * moved)
        & (np.abs(way * _net(samples) - moved) <= CREPT * moved)
        & ~_is_quantised(calm, row, jump, count)
    )


def _net(samples: Samples) -> np.ndarray:
    """How far [S] the last sample is above the first; NaN where there is none."""
    if samples.packed.shape[1] == 0:
        return np.full(len(samples.count), np.nan)
    every = np.arange(len(samples.count))
    return samples.packed[every, np.maximum(samples.count - 1, 0)] - samples.packed[:, 0]


def _is_quantised(calm: Calm, row: np.ndarray, stair: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Whether nothing ever moves [S] but by the stairs [K] of rows [K], and these are equal: rounding makes them."""
    n = np.maximum(count, 1)
    mean = np.bincount(row, stair, minlength=len(count)) / n
    variance = np.bincount(row, np.square(stair - mean[row]), minlength=len(count)) / n
    moves = np.count_nonzero(np.abs(calm.change) > TINY, axis=1)
    return (moves <= 1.1 * count) & (np.sqrt(variance) <= EQUAL * mean)
