"""What travels to a worker, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from features.grid import Grid
from features.signals import Signal


@dataclass(frozen=True)
class Batch:
    """Some series of a night; every series is in one batch only.

    grid: hourly means before as_of, of every series that was observed; 250-1000 series are best.
    series: series_id, metric, unit (further columns are ignored).
    limits: the columns of forecasting.limits. missing: ``forecasting.limits.Limits.missing``.
    signals: (at least) those that limits and missing name.
    """

    grid: Grid
    series: pl.DataFrame
    limits: pl.DataFrame
    missing: pl.DataFrame
    signals: Sequence[Signal]

    @property
    def falling(self) -> np.ndarray:
        """bool, per series of the grid: whether its danger lies below."""
        down = [
            frame.filter(pl.col("direction") == "down")["series_id"].to_numpy() for frame in (self.limits, self.missing)
        ]
        return np.isin(self.grid.series_id, np.concatenate(down))

    def only(self, series_id: np.ndarray) -> Batch:
        """The batch of some of its series."""
        wanted = pl.col("series_id").is_in(pl.Series(series_id, dtype=pl.UInt64).implode())
        return Batch(
            self.grid.take(np.isin(self.grid.series_id, series_id)),
            self.series.filter(wanted),
            self.limits.filter(wanted),
            self.missing.filter(wanted),
            self.signals,
        )


def metrics(series: pl.DataFrame, series_id: np.ndarray) -> np.ndarray:
    """What is measured, str [S]; empty where not known.

    Args:
        series: series_id, metric. series_id: uint64 [S].
    """
    asked = pl.DataFrame({"series_id": pl.Series(series_id, dtype=pl.UInt64)})
    known = asked.join(series.select("series_id", "metric"), on="series_id", how="left", maintain_order="left")
    return known["metric"].fill_null("").to_numpy().astype(str)


@dataclass(frozen=True)
class Scored:
    """What a worker says about a batch: rows of the tables of these names, and of ``forecasting.tables.BACKTESTS``.

    entrants: the series of the batch that might try Prophet, or none.
    """

    profiles: pl.DataFrame
    risks: pl.DataFrame
    forecasts: pl.DataFrame
    backtests: pl.DataFrame
    failures: pl.DataFrame
    entrants: Batch | None = None
