"""Raw samples to windows, as ``avg_over_time`` makes them on a server.

Belongs here: which window a sample is in, and its mean. Not here: where samples come from.
"""

from __future__ import annotations

import numpy as np

from pipelines.sources.prometheus.answers import Block
from pipelines.sources.prometheus.plan import Windows

STALE = 0x7FF0000000000002
"""The bits of the NaN that says: this series has ended. It is no sample."""


def begun(block: Block, windows: Windows) -> Block:
    """A block evaluated at the ends of windows, under the instants at which these begin, without what lies outside."""
    number = (block.instants - windows.first) // windows.step
    inside = (number >= 0) & (number < len(windows))
    started = windows.first + number * windows.step
    if inside.all():
        return Block(block.labels, block.ends, started, block.values)
    return Block(block.labels, _ends(block, inside), started[inside], block.values[inside])


def averaged(block: Block, windows: Windows) -> Block:
    """The mean of the samples in each window that has any.

    Args:
        block: raw samples, of each series in any order; an instant twice counts once.
    """
    valid = (block.instants >= windows.first) & (block.instants < windows.until)
    valid &= block.values.view(np.uint64) != STALE
    ends, instants, values = block.ends, block.instants, block.values
    if not valid.all():
        ends, instants, values = _ends(block, valid), instants[valid], values[valid]
    if not (_changed(ends, instants[1:] > instants[:-1])).all():
        ends, instants, values = _in_order(ends, instants, values)
    number = (instants - windows.first) // windows.step
    starts = np.flatnonzero(_changed(ends, number[1:] != number[:-1]))
    if len(starts) < len(number):
        counts = np.diff(starts, append=len(number))
        with np.errstate(invalid="ignore"):  # Inf - Inf is NaN, as on the server
            values = np.add.reduceat(values, starts) / counts
        number, ends = number[starts], np.searchsorted(starts, ends)
    return Block(block.labels, ends, windows.first + number * windows.step, values)


def _changed(ends: np.ndarray, within: np.ndarray) -> np.ndarray:
    """For each sample: is it a series' first, or else: what `within` says of it and the one before?"""
    changed = np.ones(int(ends[-1]) if len(ends) else 0, bool)
    changed[1:] = within
    changed[ends[ends < len(changed)]] = True
    return changed


def _in_order(ends: np.ndarray, instants: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples by series and instant, each instant once."""
    series = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    order = np.lexsort((instants, series))
    series, instants, values = series[order], instants[order], values[order]
    once = np.r_[True, (series[1:] != series[:-1]) | (instants[1:] != instants[:-1])]
    return np.concatenate([[0], np.cumsum(once)])[ends], instants[once], values[once]


def _ends(block: Block, kept: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(kept)])[block.ends]
