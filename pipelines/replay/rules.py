"""What the usual alerting rules would have said: `predict_linear` over six hours, a day, a week.

Belongs here: the rules, as node-mixin ships them, asked once a night about the limits that Forewarn is asked about.
Not here: their tickets, which the same policy opens (``policy``). Asked once a night they are quieter than in
production, where they are asked every minute; the comparison leans their way.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from forecasting.crossing import last_beyond
from forecasting.history import hold
from forecasting.tables import HORIZONS
from pipelines import history, steps
from pipelines.site import Night

RULES = {"predict_linear_6h": 6, "predict_linear_24h": 24, "predict_linear_7d": 168}
"""Name -> hours of the window."""

ALERTS = {
    "rule": pl.String,
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "horizon_h": pl.Int32,
    "last_beyond_at": pl.Datetime("us"),
}


def alerts(night: Night, watched: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """The limits that a rule's line reaches within a horizon: the columns of `ALERTS`."""
    found = [pl.DataFrame(schema=ALERTS)]
    for grid in history.grids(night.frames, watched["series_id"].to_list(), night.as_of, steps.history_hours(night)):
        held = hold(np.where(np.isfinite(grid.values), grid.values, np.nan))
        rows = pl.DataFrame({"series_id": grid.series_id}).with_row_index("row")
        asked = limits.join(rows, on="series_id")
        row, value = asked["row"].to_numpy(), asked["value"].to_numpy()
        sign = np.where(asked["direction"].to_numpy() == "up", 1.0, -1.0)
        for rule, window in RULES.items():
            level, slope = least_squares(held[:, -window:])
            for horizon in HORIZONS:
                end = np.fmax(sign * level[row], sign * (level + slope * horizon)[row])
                reached = asked.filter(pl.Series(end >= sign * value))
                found.append(
                    reached.select(
                        pl.lit(rule).alias("rule"),
                        "series_id",
                        "limit_name",
                        pl.lit(horizon, pl.Int32).alias("horizon_h"),
                        pl.Series("last_beyond_at", [_last_beyond(held, one, night) for one in reached.to_dicts()],
                                  dtype=pl.Datetime("us")),
                    )
                )  # fmt: skip
    return pl.concat(found)


def least_squares(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level at the end of the last hour, and slope an hour, of [S, n] with gaps; NaN where fewer than two are known."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    at = np.arange(-values.shape[1], 0.0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (known * at).sum(axis=1) / count
        mean = filled.sum(axis=1) / count
        x = np.where(known, at - middle[:, None], 0.0)
        slope = (x * (filled - np.where(known, mean[:, None], 0.0))).sum(axis=1) / np.square(x).sum(axis=1)
    usable = count >= 2
    return np.where(usable, mean - slope * middle, np.nan), np.where(usable, slope, np.nan)


def _last_beyond(held: np.ndarray, limit: dict[str, Any], night: Night) -> datetime | None:
    hours_ago = last_beyond(held[limit["row"]], limit["value"], limit["lasts_h"], limit["direction"])
    return None if hours_ago is None else night.as_of - timedelta(hours=hours_ago)
