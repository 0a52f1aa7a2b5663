"""Series as the row of their samples, gaps closed: for what is counted in samples, whatever the sampling.

Belongs here: the way from hours to samples and back. Not here: what is looked for among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Samples:
    """The observed hours of each series, moved together to the left.

    packed: [S, P], NaN after the last sample of a series.
    column: int [S, P], the column of each sample; -1 after the last.
    observed: bool [S, T]. rank: int [S, T], how many samples came before a column.
    count: int [S].
    """

    packed: np.ndarray
    column: np.ndarray
    observed: np.ndarray
    rank: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Samples:
        observed = ~np.isnan(values)
        upto = np.cumsum(observed, axis=1, dtype=np.int32)
        count = np.count_nonzero(observed, axis=1)
        filled = np.arange(count.max(initial=0)) < count[:, None]
        packed, column = np.full(filled.shape, np.nan), np.full(filled.shape, -1, dtype=np.int32)
        packed[filled] = values[observed]  # both in order of row and time
        column[filled] = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)[observed]
        rank = upto - observed
        return cls(packed, column, observed, rank, count)

    def pack(self, values: np.ndarray) -> Samples:
        """The samples of other values [S, T] of the same hours."""
        filled = self.column >= 0
        packed = np.full(filled.shape, np.nan)
        packed[filled] = values[self.observed]
        return replace(self, packed=packed)

    @property
    def distances(self) -> np.ndarray:
        """[S, P - 1]: hours from each sample to the next; NaN after the last."""
        return np.where(self.column[:, 1:] >= 0, np.diff(self.column, axis=1), np.nan)

    def take(self, row: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Samples at positions [K, n] of rows [K]; NaN beyond either end."""
        width = self.packed.shape[1]
        if width == 0:
            return np.full(at.shape, np.nan)
        found = self.packed[row[:, None], np.clip(at, 0, width - 1)]
        return np.where((at >= 0) & (at < width), found, np.nan)

    def window(self, row: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
        """[K, length]: consecutive samples from `start`."""
        return self.take(row, start[:, None] + np.arange(length))

    def spaced(self, row: np.ndarray, start: np.ndarray, stop: np.ndarray, points: int) -> np.ndarray:
        """[K, points]: samples spread evenly over [start, stop)."""
        at = start[:, None] + ((np.arange(points) + 0.5) / points * (stop - start)[:, None]).astype(np.int64)
        return self.take(row, at)

    def mark(self, row: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Marks [S, T]: true in the columns of the samples at positions [K] of rows [K]."""
        marks = np.zeros(self.rank.shape, dtype=bool)
        marks[row, self.column[row, at]] = True
        return marks
