"""From answers and paths to rows: risks with their facts, and the quantile paths beside them.

Belongs here: what is said about series that were scored. Not here: how probable a crossing is
(``forecasting.learnt``), which model's paths serve (``forecasting.tournament``), or who is abstained from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.grid import Grid
from features.signals import Signal
from forecasting.abstention import CROSSED, SCORED
from forecasting.backtest import path_quantiles
from forecasting.crossing import furthest_held, last_beyond
from forecasting.explain import Evidence, explain
from forecasting.history import History, hold
from forecasting.learnt.answering import Answers
from forecasting.paths import Paths
from forecasting.tables import FORECASTS, HORIZONS, QUANTILES, RISKS

RISKS_SCHEMA = pl.Schema(RISKS)


@dataclass(frozen=True)
class Asked:
    """What is asked about a batch, and what is known of its series besides their values.

    limits: the columns of forecasting.limits.
    signals: by name.
    profiles: rows of features.profiles, by series_id.
    units: by series_id.
    report_floor: facts and paths are given for risks at or above it.
    """

    limits: pl.DataFrame
    signals: Mapping[str, Signal]
    profiles: Mapping[int, dict[str, Any]]
    units: Mapping[int, str | None]
    report_floor: float

    def about(self, grid: Grid) -> pl.DataFrame:
        """The limits of the grid's series, in order, and the row of each series there."""
        rows = pl.DataFrame({"series_id": grid.series_id, "row": np.arange(len(grid.series_id))})
        return self.limits.join(rows, on="series_id").sort("series_id", "limit_name")


def bounded(paths: Paths, history: History, asked: Asked) -> Paths:
    """The paths within the bounds of each series' signal."""
    named = dict(asked.limits.select("series_id", "signal").iter_rows())
    signals = [asked.signals[named[int(series_id)]] for series_id in history.grid.series_id]
    low = [-np.inf if signal.minimum is None else signal.minimum for signal in signals]
    high = [np.inf if signal.maximum is None else signal.maximum for signal in signals]
    return paths.within(np.array(low), np.array(high))


def risks(
    model: str, grid: Grid, limits: pl.DataFrame, answers: Answers, *, asked: Asked, backtests: pl.DataFrame
) -> pl.DataFrame:
    """The rows of forecasting.risks.

    Args:
        model: who gave the answers.
        limits: what `Asked.about` gives of the grid; answers are in its order.
        backtests: of the paths that are shown beside the risks of these series (``forecasting.tables.BACKTESTS``).
    """
    told = np.flatnonzero(answers.p[:, -1] >= asked.report_floor)
    facts, beyond_at = _facts(told, grid, limits, answers, asked=asked, backtests=backtests)
    etas = {
        f"eta_p{percent}": [
            None if done else _moment(grid.as_of, hours) for done, hours in zip(answers.crossed, eta, strict=True)
        ]
        for percent, eta in zip((10, 50, 90), answers.eta_h.T, strict=True)
    }
    once = limits.select(
        pl.lit(grid.as_of, pl.Datetime("us")).alias("as_of"),
        "series_id",
        "limit_name",
        "signal",
        "direction",
        pl.col("value").alias("limit_value"),
        pl.Series("state", np.where(answers.crossed, CROSSED, SCORED)),
        pl.Series("facts", facts, pl.String),
        *(pl.Series(name, eta, pl.Datetime("us")) for name, eta in etas.items()),
        pl.Series("last_beyond_at", beyond_at, pl.Datetime("us")),
        pl.lit(model).alias("model"),
        pl.lit(None, pl.String).alias("reason"),
    )
    each = [once.with_columns(pl.Series("p", answers.p[:, h]), horizon_h=pl.lit(h_)) for h, h_ in enumerate(HORIZONS)]
    reported = pl.when(pl.col("p") >= asked.report_floor).then("facts").alias("facts")
    found = pl.concat([RISKS_SCHEMA.to_frame(), *(_as_risks(one.with_columns(reported)) for one in each)])
    return found.sort("series_id", "limit_name", "horizon_h")


def _as_risks(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(RISKS_SCHEMA.names()).cast(RISKS_SCHEMA)  # pyright: ignore[reportArgumentType]


def _facts(
    told: np.ndarray, grid: Grid, limits: pl.DataFrame, answers: Answers, *, asked: Asked, backtests: pl.DataFrame
) -> tuple[list[str | None], list[datetime | None]]:
    """Facts as JSON, and when each limit was last beyond; None for limits that are not told."""
    facts: list[str | None] = [None] * len(limits)
    beyond_at: list[datetime | None] = [None] * len(limits)
    held = hold(np.where(np.isfinite(grid.values), grid.values, np.nan)) if len(told) else grid.values
    by_series = {key: part for (key,), part in backtests.group_by("series_id")}
    for at in told.tolist():
        limit = limits.row(at, named=True)
        values, series_id = held[limit["row"]], limit["series_id"]
        evidence = Evidence(
            as_of=grid.as_of,
            signal=asked.signals[limit["signal"]],
            unit=asked.units.get(series_id),
            limit=limit,
            profile=asked.profiles[series_id],
            crossed=bool(answers.crossed[at]),
            eves=int(answers.eves[at]),
            went_so_far=int(answers.went_so_far[at]),
            furthest=furthest_held(values, limit["lasts_h"], limit["direction"]),
            backtests=by_series.get(series_id, backtests.clear()),
        )
        facts[at] = json.dumps(explain(evidence), ensure_ascii=False)
        hours_ago = last_beyond(values, limit["value"], limit["lasts_h"], limit["direction"])
        beyond_at[at] = None if hours_ago is None else grid.as_of - timedelta(hours=hours_ago)
    return facts, beyond_at


def forecasts(model: str, paths: Paths, history: History) -> pl.DataFrame:
    """The rows of forecasting.forecasts: quantiles of every hour up to the longest horizon, in the series' own units.

    Args:
        paths: of all series of `history`, within bounds.
    """
    hours = np.arange(HORIZONS[-1])
    quantiles = paths.scale.restore(path_quantiles(paths, hours))
    frame = pl.DataFrame(
        {
            "as_of": pl.Series([history.grid.as_of], dtype=pl.Datetime("us")).new_from_index(0, quantiles[:, 0].size),
            "series_id": np.repeat(history.grid.series_id, len(hours)),
            "hour": np.tile(
                np.datetime64(history.grid.as_of, "us") + hours * np.timedelta64(3_600_000_000, "us"),
                len(history.grid.series_id),
            ),
            "model": pl.Series([model]).new_from_index(0, quantiles[:, 0].size),
            **{f"q{round(100 * q)}": quantiles[:, at].ravel() for at, q in enumerate(QUANTILES)},
        }
    )
    return frame.cast(pl.Schema(FORECASTS))  # pyright: ignore[reportArgumentType]


def _moment(as_of: datetime, hours: float) -> datetime:
    """Rounded to the hour: more would be pretence."""
    return as_of + timedelta(hours=round(float(hours)))
