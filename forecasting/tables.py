"""The columns of this room's tables, as polars schemas, and the words that their columns may hold.

They mirror the warehouse's migration; a frame that leaves this room has exactly these columns in this order.
"""

from __future__ import annotations

import polars as pl

HORIZONS = (24, 72, 168)  # hours after as_of that every risk is asked about
QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90)

TIME = pl.Datetime("us")

LIMITS = {
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "valid_from": TIME,
    "signal": pl.String,
    "direction": pl.String,
    "value": pl.Float64,
    "lasts_h": pl.Int32,
    "basis": pl.String,
}

# Limits that a signal names but a series does not have tonight.
MISSING = {
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "signal": pl.String,
    "direction": pl.String,
    "reason": pl.String,
}

FORECASTS = {
    "as_of": TIME,
    "series_id": pl.UInt64,
    "hour": TIME,
    "model": pl.String,
    "q10": pl.Float64,
    "q25": pl.Float64,
    "q50": pl.Float64,
    "q75": pl.Float64,
    "q90": pl.Float64,
}

RISKS = {
    "as_of": TIME,
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "horizon_h": pl.Int32,
    "signal": pl.String,
    "direction": pl.String,
    "limit_value": pl.Float64,
    "state": pl.String,
    "p": pl.Float64,
    "eta_p10": TIME,
    "eta_p50": TIME,
    "eta_p90": TIME,
    "last_beyond_at": TIME,
    "model": pl.String,
    "reason": pl.String,
    "facts": pl.String,
}

MODELS = {
    "as_of": TIME,
    "model": pl.String,
    "shape": pl.String,
    "horizon_h": pl.Int32,
    "series": pl.Int32,
    "pinball": pl.Float64,
    "coverage_80": pl.Float64,
}

# One row is how one challenger did in the tournament against the ensemble, over all series of one shape.
TOURNAMENT = {
    "as_of": TIME,
    "model": pl.String,
    "shape": pl.String,
    "entered": pl.Int32,  # series
    "served": pl.Int32,  # series
    "cuts": pl.Int32,  # tests in all: series times past cuts
    "pinball": pl.Float64,  # mean over them, in units of the series' spread
    "champion_pinball": pl.Float64,  # the ensemble's, on the same tests
    "coverage_80": pl.Float64,  # share of the held-out hours inside [q10, q90]
}

# How the crossing model's answers about the newest settled past compare with what came; bins for a reliability diagram.
CALIBRATION = {
    "as_of": TIME,
    "model": pl.String,
    "shape": pl.String,  # of the series when it was asked; "all" for all of them
    "horizon_h": pl.Int32,
    "prior": pl.String,
    "lessons": pl.Int32,  # settled questions that the model learnt from
    "learnt_from": TIME,
    "learnt_until": TIME,
    "questions": pl.Int32,  # settled questions that it was examined on, before it learnt from them
    "crossed": pl.Int32,
    "mean_p": pl.Float64,
    "brier": pl.Float64,
    "climatology_brier": pl.Float64,  # of always answering the share that crossed
    "calibration_error": pl.Float64,  # mean distance between p and the share that crossed, over tenths of p
    "bins": pl.List(pl.Struct({"p": pl.Float64, "share": pl.Float64, "n": pl.Int32})),
}

FAILURES = {
    "as_of": TIME,
    "series_id": pl.UInt64,
    "stage": pl.String,
    "error": pl.String,
}

# One row is how one model did on one series' own past, over the first `horizon_h` hours after one past cut.
BACKTESTS = {
    "series_id": pl.UInt64,
    "model": pl.String,
    "days_ago": pl.Int32,
    "horizon_h": pl.Int32,
    "pinball": pl.Float64,  # in units of the series' spread
    "inside_80": pl.Float64,  # share of the observed hours inside [q10, q90]
}
