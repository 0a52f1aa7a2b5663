"""Prophet by merit: which series it may try, and where it wins.

Belongs here: the rules of the contest. Not here: Prophet itself, or how work is spread over processes.

Prophet costs a thousand times what the ensemble costs, so it is asked only where a rhythm is strong, long observed, and
where the answer is open (a probability that is neither low nor high). It must beat the ensemble on the series' own
past, at cuts whose weeks had settled, by a margin; else the ensemble serves.
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
from forecasting.tables import HORIZONS

STRONG_RHYTHM = 0.5
LONG_DAYS = 35  # four weeks to fit on at the earliest of the cuts that count
OPEN = (0.1, 0.9)
MARGIN = 0.1  # of the pinball loss
FEWEST_CUTS = 2


def candidates(risks: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    """Series where Prophet may earn its cost.

    Args:
        risks, profiles: the columns of their tables.

    Returns:
        series_id, merit (rhythm strength times openness, 0..1); best first, ties by series_id.
    """
    rhythm = pl.max_horizontal("daily_strength", "weekly_strength")
    fit = profiles.filter(
        (pl.col("history_h") >= DAY * LONG_DAYS) & (pl.col("step_h") <= 2) & (rhythm >= STRONG_RHYTHM)
    ).select("series_id", rhythm.alias("rhythm"))
    asked = risks.filter(
        (pl.col("state") == SCORED) & (pl.col("horizon_h") == HORIZONS[-1]) & pl.col("p").is_between(*OPEN)
    )
    openness = asked.group_by("series_id").agg((1 - (2 * pl.col("p") - 1).abs()).max().alias("openness"))
    return (
        fit.join(openness, on="series_id")
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
    """uint64: series on which the challenger's mean loss is smaller by the margin, over the same cuts and horizons."""
    keys = ["series_id", "days_ago", "horizon_h"]
    both = challenger.join(champion, on=keys, suffix="_champion")
    mean = both.group_by("series_id").agg(
        pl.col("pinball").mean(), pl.col("pinball_champion").mean(), pl.col("days_ago").n_unique().alias("cuts")
    )
    won = mean.filter((pl.col("cuts") >= FEWEST_CUTS) & (pl.col("pinball") < (1 - MARGIN) * pl.col("pinball_champion")))
    return won["series_id"].sort().to_numpy()
