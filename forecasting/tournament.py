"""The tournament: which models may challenge the ensemble on a series, and where they win.

Belongs here: the rules of the contest, and its table. Not here: the models, or how work is spread over processes.

The ensemble serves every series, until another model beats it on the series' own past, at cuts whose weeks had settled,
by a margin. The structural model costs next to nothing, so it tries wherever there is a rhythm to be learnt. Prophet
costs a thousand times as much, so it is asked only where the rhythm is strong and the answer open (a probability that
is neither low nor high), and must beat by the margin whoever serves by then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from features.grid import Grid
from forecasting.abstention import SCORED
from forecasting.backtest import CUTS, backtest
from forecasting.history import DAY, History, look_back
from forecasting.models.base import Model
from forecasting.models.ensemble import Fitted
from forecasting.tables import HORIZONS, TOURNAMENT

RHYTHM, RHYTHM_DAYS = 0.3, 28  # strength and history from which the structural model may try
STRONG_RHYTHM, LONG_DAYS = 0.5, 35  # and Prophet: four weeks to fit on at the earliest of the cuts that count
OPEN = (0.1, 0.9)
MARGIN = 0.1  # of the pinball loss
FEWEST_CUTS = 2


def rhythmic(profiles: pl.DataFrame, strength: float = RHYTHM, days: int = RHYTHM_DAYS) -> pl.DataFrame:
    """Series with a rhythm of some strength, seen for so many days: series_id, rhythm (its strength).

    Args:
        profiles: the columns of their table.
    """
    rhythm = pl.max_horizontal("daily_strength", "weekly_strength")
    return profiles.filter((pl.col("history_h") >= DAY * days) & (pl.col("step_h") <= 2) & (rhythm >= strength)).select(
        "series_id", rhythm.alias("rhythm")
    )


def candidates(risks: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    """Series where Prophet may earn its cost.

    Args:
        risks, profiles: the columns of their tables.

    Returns:
        series_id, merit (rhythm strength times openness, 0..1); best first, ties by series_id.
    """
    asked = risks.filter(
        (pl.col("state") == SCORED) & (pl.col("horizon_h") == HORIZONS[-1]) & pl.col("p").is_between(*OPEN)
    )
    openness = asked.group_by("series_id").agg((1 - (2 * pl.col("p") - 1).abs()).max().alias("openness"))
    return (
        rhythmic(profiles, STRONG_RHYTHM, LONG_DAYS)
        .join(openness, on="series_id")
        .select("series_id", (pl.col("rhythm") * pl.col("openness")).alias("merit"))
        .sort("merit", "series_id", descending=[True, False])
    )


def contest(challenger: Model, history: History, fitted: Fitted) -> pl.DataFrame:
    """The challenger's backtests (``forecasting.tables.BACKTESTS``) at the cuts at which the ensemble was tested."""

    def at(cut: int) -> History:
        ended = history.grid.values.shape[1] - DAY * cut
        grid = Grid(
            history.grid.series_id,
            history.grid.hours[ended].astype("datetime64[us]").item(),
            history.grid.values[:, :ended],
        )
        earlier = look_back(grid, history.horizon_h, ended // DAY)
        return replace(earlier, scale=history.scale)

    return backtest(challenger.name, history, lambda cut: challenger.paths(at(cut)), fitted.cuts(CUTS), fitted.has)


def wins(challenger: pl.DataFrame, champion: pl.DataFrame) -> np.ndarray:
    """uint64: series on which the challenger's mean loss is smaller by the margin, over the same cuts and horizons.

    Args:
        challenger, champion: backtests. The champion may be another model on each series, but one.
    """
    keys = ["series_id", "days_ago", "horizon_h"]
    both = challenger.join(champion, on=keys, suffix="_champion")
    mean = both.group_by("series_id").agg(
        pl.col("pinball").mean(), pl.col("pinball_champion").mean(), pl.col("days_ago").n_unique().alias("cuts")
    )
    won = mean.filter((pl.col("cuts") >= FEWEST_CUTS) & (pl.col("pinball") < (1 - MARGIN) * pl.col("pinball_champion")))
    return won["series_id"].sort().to_numpy()


def standings(forecasts: pl.DataFrame, profiles: pl.DataFrame, backtests: pl.DataFrame, champion: str) -> pl.DataFrame:
    """The tournament's table (``forecasting.tables.TOURNAMENT``): every challenger, by shape.

    Args:
        forecasts, profiles: the columns of their tables. backtests: of the champion and of all challengers.
    """
    keys = ["series_id", "days_ago", "horizon_h"]
    own = backtests.filter(pl.col("model") == champion).select(*keys, pl.col("pinball").alias("champion_pinball"))
    shape = profiles.select("series_id", "as_of", "shape")
    serving = forecasts.select("series_id", "model", served=True).unique()
    tests = (
        backtests.filter(pl.col("model") != champion)
        .join(own, on=keys)
        .join(shape, on="series_id")
        .join(serving, on=["series_id", "model"], how="left")
        .sort("series_id", "days_ago", "horizon_h")  # sums in a fixed order
    )
    return (
        tests.group_by("as_of", "model", "shape", maintain_order=True)
        .agg(
            pl.col("series_id").n_unique().alias("entered"),
            pl.col("series_id").filter(pl.col("served")).n_unique().alias("served"),
            pl.struct("series_id", "days_ago").n_unique().alias("cuts"),
            pl.col("pinball").mean(),
            pl.col("champion_pinball").mean(),
            pl.col("inside_80").mean().alias("coverage_80"),
        )
        .select(list(TOURNAMENT))
        .cast(pl.Schema(TOURNAMENT))  # pyright: ignore[reportArgumentType]
        .sort("as_of", "model", "shape")
    )
