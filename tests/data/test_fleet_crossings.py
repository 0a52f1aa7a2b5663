"""The crossings that promises are held against, on the sample fleet, beside the truth that its generator knows."""

import numpy as np
import polars as pl

from data.fleet import truth
from data.fleet.clock import AS_OF
from data.fleet.simulation import Fleet
from features.grid import Grid
from forecasting.settlement import crossings
from forecasting.tables import LIMITS

PER_HOUR = 12
KEY = list(truth.IDENTITY)


def test_every_past_crossing_is_found_and_no_other(fleet: Fleet) -> None:
    past = fleet.clock.day < 0
    samples = np.stack([np.where(series.observed, series.values, np.nan)[past] for series in fleet.series])
    hourly = samples.reshape(len(samples), -1, PER_HOUR)
    seen = np.count_nonzero(~np.isnan(hourly), axis=2)
    grid = Grid(
        np.arange(len(samples), dtype=np.uint64),
        AS_OF,
        np.where(seen > 0, np.nansum(hourly, axis=2) / np.maximum(seen, 1), np.nan),
    )
    series = pl.DataFrame([truth.identity(series) for series in fleet.series]).with_columns(
        series_id=pl.Series(grid.series_id),
        first_hour=pl.Series(grid.hours[np.argmax(seen > 0, axis=1)].astype("datetime64[us]")),
    )
    limits = (
        truth.crossings(fleet)
        .join(series, on=KEY)
        .with_columns(valid_from="first_hour", value="limit", basis=pl.lit("set in the settings"))
        .select(pl.col(name).cast(dtype) for name, dtype in LIMITS.items())
    )
    known = truth.past_crossings(fleet).join(series, on=KEY)
    seen_to_begin = known.filter(pl.col("crosses_at") > pl.col("first_hour"))
    key = ["series_id", "limit_name", "crossed_at"]
    assert seen_to_begin.height >= known.height - 1 > 15
    found = crossings(grid, limits, 7)
    assert found.select(key).equals(seen_to_begin.rename({"crosses_at": "crossed_at"}).select(key).sort(key))
