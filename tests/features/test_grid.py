from datetime import datetime, timedelta

import numpy as np
import polars as pl

from features.grid import to_grid

AS_OF = datetime(2026, 6, 1)


def test_rows_find_their_place_and_the_future_stays_out():
    hours = [AS_OF - timedelta(hours=h) for h in (3, 1, 1, 0, 5)]
    hourly = pl.DataFrame({"series_id": [7, 7, 2, 7, 2], "hour": hours, "mean": [1.0, 2.0, 3.0, 99.0, 98.0]}).cast(
        {"series_id": pl.UInt64, "hour": pl.Datetime("us")}
    )
    grid = to_grid(hourly, AS_OF, 4)
    assert grid.series_id.tolist() == [2, 7]
    N = np.nan
    assert np.array_equal(grid.values, [[N, N, N, 3], [N, 1, N, 2]], equal_nan=True)
    assert grid.hours[-1] == np.datetime64("2026-05-31T23")
    assert grid.take(np.array([False, True])).series_id.tolist() == [7]
