"""A batch of series on one gapless hourly grid: the shape in which everything numeric is computed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Grid:
    """Hourly values of S series over the T hours before `as_of`.

    series_id: uint64 [S], ascending.
    as_of: the night's cut, naive UTC on a full hour; the last column is the hour before it.
    values: float64 [S, T], NaN where the hour was not observed.
    """

    series_id: np.ndarray
    as_of: datetime
    values: np.ndarray

    @property
    def hours(self) -> np.ndarray:
        """datetime64[h] [T]: the hour of each column."""
        return np.datetime64(self.as_of, "h") + np.arange(-self.values.shape[1], 0)

    def take(self, rows: np.ndarray) -> Grid:
        """The grid of some rows, by position or mask."""
        return Grid(self.series_id[rows], self.as_of, self.values[rows])


def to_grid(hourly: pl.DataFrame, as_of: datetime, hours: int, column: str = "mean") -> Grid:
    """Long hourly rows to a grid.

    Args:
        hourly: series_id, hour (naive UTC) and `column`; rows at or after `as_of`, or older than `hours`, are left out,
            so a grid cannot see the future whatever it is given.
        as_of: naive UTC, on a full hour.
        hours: T, the number of columns.
        column: which value.
    """
    seen = hourly.filter((pl.col("hour") < as_of) & (pl.col("hour") >= as_of - timedelta(hours=hours)))
    ids, row = np.unique(seen["series_id"].to_numpy(), return_inverse=True)
    since = np.datetime64(as_of, "h") - hours
    at = (seen["hour"].to_numpy().astype("datetime64[h]") - since).astype(np.int64)
    values = np.full((len(ids), hours), np.nan)
    values[row, at] = seen[column].to_numpy()
    return Grid(ids.astype(np.uint64), as_of, values)
