"""When no answer is given, and the words for why.

Belongs here: the vocabulary, and who is abstained from. An abstention is counted and shown by its reason, so the
reasons are few and hold no numbers:

============================== =======================================================================================
no recent data                 nothing was observed in the last 24 hours
too short                      fewer hours of history than `minimum_history_h`, or fewer than five observed hours
too gappy                      too few of the last week's hours were observed (`minimum_coverage`)
constant                       one single value in the whole history
no limit: past too short       a limit from the past needs a week of history before its renewal
no limit: beyond the bounds    it lies where the metric cannot get (the signal's minimum and maximum), or is infinite
no limit: no companion series  the series that holds the limit has no data in the last 24 hours
failed                         scoring raised an error; forecasting.failures has it
============================== =======================================================================================

A rarely sampled series is held (see ``forecasting.history``) before its hours are counted.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from features.grid import Grid
from forecasting.history import DAY, hold
from forecasting.options import ForecastingOptions
from forecasting.tables import HORIZONS, RISKS

NO_RECENT_DATA = "no recent data"
TOO_SHORT = "too short"
TOO_GAPPY = "too gappy"
CONSTANT = "constant"
NO_PAST = "no limit: past too short"
BEYOND_BOUNDS = "no limit: beyond the bounds"
NO_COMPANION = "no limit: no companion series"
FAILED = "failed"

State = Literal["scored", "crossed", "abstained"]
SCORED: State = "scored"
CROSSED: State = "crossed"
ABSTAINED: State = "abstained"

FEWEST_READINGS = 5
FEWEST_HOURS = 2 * DAY  # that paths need: a past origin has a day before it and a day after


def reasons(grid: Grid, options: ForecastingOptions) -> pl.DataFrame:
    """Series that cannot be scored: series_id, reason. The first reason that holds, in the order of the vocabulary."""
    values = np.where(np.isfinite(grid.values), grid.values, np.nan)
    held = hold(values)
    S, T = held.shape
    seen = ~np.isnan(held)
    history = np.where(seen.any(axis=1), T - np.argmax(seen, axis=1), 0) if T else np.zeros(S)
    week = seen[:, -7 * DAY :]
    covered = week.sum(axis=1) / np.clip(history, 1, 7 * DAY)
    lowest, highest = (
        np.nanmin(np.c_[held, np.full(S, np.inf)], axis=1),
        np.nanmax(np.c_[held, np.full(S, -np.inf)], axis=1),
    )
    readings = np.count_nonzero(~np.isnan(values), axis=1)
    reason = np.select(
        [
            ~seen[:, -DAY:].any(axis=1),
            (history < options.minimum_history_h) | (readings < FEWEST_READINGS),
            covered < options.minimum_coverage,
            lowest == highest,
        ],
        [NO_RECENT_DATA, TOO_SHORT, TOO_GAPPY, CONSTANT],
        default="",
    )
    return pl.DataFrame({"series_id": grid.series_id, "reason": reason.astype(str)}).filter(pl.col("reason") != "")


def unscored(limits: pl.DataFrame, silent: pl.DataFrame, missing: pl.DataFrame) -> pl.DataFrame:
    """Rows of forecasting.risks, without as_of, that say nothing but why.

    Args:
        limits: the columns of forecasting.limits. silent: series_id, reason: series that cannot be scored.
        missing: ``forecasting.limits.Limits.missing``.
    """
    known = limits.rename({"value": "limit_value"}).join(silent, on="series_id")
    unknown = missing.with_columns(pl.lit(None, pl.Float64).alias("limit_value"))
    columns = ["series_id", "limit_name", "signal", "direction", "limit_value", "reason"]
    once = pl.concat([known.select(columns), unknown.select(columns)])
    each = once.join(pl.DataFrame({"horizon_h": HORIZONS}, schema={"horizon_h": pl.Int32}), how="cross")
    blank = [pl.lit(None, dtype).alias(name) for name, dtype in RISKS.items() if name not in each.columns]
    return each.with_columns(*blank).with_columns(pl.lit(ABSTAINED).alias("state")).select(list(RISKS))
