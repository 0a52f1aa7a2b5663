"""From paths and limits to rows: risks with their facts, and the quantile paths behind them.

Belongs here: what is said about series that have paths. Not here: which series get paths, or from which model
(``forecasting.night``, ``forecasting.tournament``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.signals import Signal
from forecasting.abstention import CROSSED, SCORED
from forecasting.backtest import path_quantiles
from forecasting.crossing import already_crossed, furthest_held, last_beyond, probability
from forecasting.explain import Evidence, explain
from forecasting.history import History
from forecasting.paths import Paths
from forecasting.tables import FORECASTS, HORIZONS, QUANTILES, RISKS


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

    def about(self, history: History) -> pl.DataFrame:
        """The limits of the history's series, in order, and the row of each series there."""
        rows = pl.DataFrame({"series_id": history.grid.series_id, "row": np.arange(len(history.grid.series_id))})
        return self.limits.join(rows, on="series_id").sort("series_id", "limit_name")


@dataclass(frozen=True)
class Assessment:
    """risks, forecasts: exactly the columns of the tables."""

    risks: pl.DataFrame
    forecasts: pl.DataFrame


def bounded(paths: Paths, history: History, asked: Asked) -> Paths:
    """The paths within the bounds of each series' signal."""
    signal_of = dict(asked.limits.select("series_id", "signal").iter_rows())
    signals = [asked.signals[signal_of[int(series_id)]] for series_id in history.grid.series_id]
    low = [-np.inf if signal.minimum is None else signal.minimum for signal in signals]
    high = [np.inf if signal.maximum is None else signal.maximum for signal in signals]
    return paths.within(np.array(low), np.array(high))


def assess(model: str, paths: Paths, history: History, asked: Asked, backtests: pl.DataFrame) -> Assessment:
    """Risks of every limit of the history's series, as `model` sees them, and paths where there is one to report.

    Args:
        paths: of the series of `history`, within bounds.
        backtests: of this model on these series, for the facts.
    """
    kinds = asked.about(history).partition_by("direction", "lasts_h", maintain_order=True)
    risks = pl.concat(
        [
            RISKS_SCHEMA.to_frame(),
            *(_assess_kind(model, paths, history, kind, asked=asked, backtests=backtests) for kind in kinds),
        ]
    ).sort("series_id", "limit_name", "horizon_h")
    reported = risks.filter(pl.col("p") >= asked.report_floor)["series_id"].unique()
    rows = np.flatnonzero(np.isin(history.grid.series_id, reported.to_numpy()))
    return Assessment(risks, _forecasts(model, paths.take(rows), history, rows))


RISKS_SCHEMA = pl.Schema(RISKS)


def _assess_kind(
    model: str, paths: Paths, history: History, limits: pl.DataFrame, *, asked: Asked, backtests: pl.DataFrame
) -> pl.DataFrame:
    """Risks of limits of one direction and one duration."""
    as_of, rows, value = history.grid.as_of, limits["row"].to_numpy(), limits["value"].to_numpy()
    direction, lasts_h = limits["direction"][0], limits["lasts_h"][0]
    mine, held = paths.take(rows), history.held[rows]
    found = probability(mine, value, lasts_h, direction, HORIZONS)
    crossed = already_crossed(held, value, lasts_h, direction)
    p = np.where(crossed[:, None], 1.0, found.p)
    told = np.flatnonzero(p[:, -1] >= asked.report_floor)
    still = probability(_without_growth(mine.take(told)), value[told], lasts_h, direction, HORIZONS).p[:, -1]
    facts: list[str | None] = [None] * len(limits)
    beyond_at: list[datetime | None] = [None] * len(limits)
    by_series = {key: part for (key,), part in backtests.group_by("series_id")}
    for row, p_still in zip(told.tolist(), still.tolist(), strict=True):
        limit = limits.row(row, named=True)
        series_id = limit["series_id"]
        evidence = Evidence(
            as_of=as_of,
            signal=asked.signals[limit["signal"]],
            unit=asked.units.get(series_id),
            limit=limit,
            profile=asked.profiles[series_id],
            crossed=bool(crossed[row]),
            p=float(p[row, -1]),
            p_without_growth=p_still,
            furthest=furthest_held(held[row], lasts_h, direction),
            backtests=by_series.get(series_id, backtests.clear()),
        )
        facts[row] = json.dumps(explain(evidence), ensure_ascii=False)
        hours_ago = last_beyond(held[row], value[row], lasts_h, direction)
        beyond_at[row] = None if hours_ago is None else as_of - timedelta(hours=hours_ago)
    etas = {
        f"eta_p{percent}": [None if done else _moment(as_of, hours) for done, hours in zip(crossed, eta, strict=True)]
        for percent, eta in zip((10, 50, 90), found.eta_h.T, strict=True)
    }
    once = limits.select(
        pl.lit(as_of, pl.Datetime("us")).alias("as_of"),
        "series_id",
        "limit_name",
        "signal",
        "direction",
        pl.col("value").alias("limit_value"),
        pl.Series("state", np.where(crossed, CROSSED, SCORED)),
        pl.Series("facts", facts, pl.String),
        *(pl.Series(name, eta, pl.Datetime("us")) for name, eta in etas.items()),
        pl.Series("last_beyond_at", beyond_at, pl.Datetime("us")),
        pl.lit(model).alias("model"),
        pl.lit(None, pl.String).alias("reason"),
    )
    each = [once.with_columns(pl.Series("p", p[:, h]), horizon_h=pl.lit(hours)) for h, hours in enumerate(HORIZONS)]
    reported = pl.when(pl.col("p") >= asked.report_floor).then("facts").alias("facts")
    return pl.concat(each).with_columns(reported).select(RISKS_SCHEMA.names()).cast(RISKS_SCHEMA)  # pyright: ignore[reportArgumentType]


def _without_growth(paths: Paths) -> Paths:
    """The same paths without the straight line that leads from tonight's level to their mean in the last day."""
    weights = paths.weights[:, :, None]
    last = (paths.values[:, :, -24:].mean(axis=2, keepdims=True) * weights).sum(axis=1)[:, 0]
    hours = paths.values.shape[2]
    line = np.arange(hours) / (hours - 12.5)  # one in the middle of the last day
    growth = (last - paths.level)[:, None, None] * line
    return replace(paths, values=(paths.values - growth).astype(np.float32))


def _forecasts(model: str, paths: Paths, history: History, rows: np.ndarray) -> pl.DataFrame:
    """Quantiles of every hour up to the longest horizon, in the series' own units."""
    hours = np.arange(HORIZONS[-1])
    quantiles = paths.scale.restore(path_quantiles(paths, hours))
    frame = pl.DataFrame(
        {
            "as_of": pl.Series([history.grid.as_of], dtype=pl.Datetime("us")).new_from_index(0, quantiles[:, 0].size),
            "series_id": np.repeat(history.grid.series_id[rows], len(hours)),
            "hour": np.tile(
                np.datetime64(history.grid.as_of, "us") + hours * np.timedelta64(3_600_000_000, "us"), len(rows)
            ),
            "model": pl.Series([model]).new_from_index(0, quantiles[:, 0].size),
            **{f"q{round(100 * q)}": quantiles[:, at].ravel() for at, q in enumerate(QUANTILES)},
        }
    )
    return frame.cast(pl.Schema(FORECASTS))  # pyright: ignore[reportArgumentType]


def _moment(as_of: datetime, hours: float) -> datetime:
    """Rounded to the hour: more would be pretence."""
    return as_of + timedelta(hours=round(float(hours)))
