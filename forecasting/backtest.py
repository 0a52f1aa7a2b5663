"""How well paths would have done on a series' own past.

Belongs here: scores of paths against what came. Not here: which models are asked (``forecasting.tournament``) and what
follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from forecasting.history import DAY, History
from forecasting.paths import Paths, weighted_quantiles, widened
from forecasting.tables import BACKTESTS, HORIZONS, QUANTILES

CUTS = (7, 14, 21)  # days ago; a week's outcome had settled after each
STRIDE_H = 11  # every eleventh hour is scored: all times of day are met, at a tenth of the cost


def path_quantiles(paths: Paths, hours: np.ndarray) -> np.ndarray:
    """[S, len(QUANTILES), len(hours)], unit-free: where a fair share of new outcomes lies below, at each hour ahead.

    Widened for the number of independent futures that the paths are worth.
    """
    worth = np.stack([paths.worth(int(hour) + 1) for hour in hours], axis=1)
    return weighted_quantiles(paths.values[:, :, hours], paths.weights, widened(QUANTILES, worth))


def backtest(
    model: str,
    history: History,
    paths_at: Callable[[int], Paths],
    cuts: Sequence[int],
    tested: Callable[[int], np.ndarray],
) -> pl.DataFrame:
    """Scores of one model at past cuts.

    Args:
        paths_at: the model's paths from a cut (days ago), made of hours before it alone.
        tested: bool [S], which series can be tested at a cut.

    Returns:
        The columns of ``forecasting.tables.BACKTESTS``: pinball loss (mean over quantiles and hours, in units of the
        spread) and the share of observed hours inside [q10, q90].
    """
    frames = [pl.DataFrame(schema=BACKTESTS)]
    hours = np.arange(STRIDE_H // 2, HORIZONS[-1], STRIDE_H)
    for cut in cuts:
        rows = np.flatnonzero(tested(cut))
        if len(rows) == 0:
            continue
        quantile = path_quantiles(paths_at(cut).take(rows), hours)
        columns = history.values.shape[1] - DAY * cut + hours
        came, seen = history.values[rows][:, columns].astype(np.float64), history.seen[rows][:, columns]
        loss, inside = _pinball(quantile, came), (came >= quantile[:, 0]) & (came <= quantile[:, -1])
        for horizon in HORIZONS:
            counted = seen & (hours < horizon)
            n = counted.sum(axis=1)
            known = n > 0
            frames.append(
                pl.DataFrame(
                    {
                        "series_id": history.grid.series_id[rows][known],
                        "model": [model] * int(known.sum()),
                        "days_ago": np.full(known.sum(), cut),
                        "horizon_h": np.full(known.sum(), horizon),
                        "pinball": (np.where(counted, loss, 0.0).sum(axis=1)[known] / n[known]),
                        "inside_80": (inside & counted).sum(axis=1)[known] / n[known],
                    }
                ).cast(BACKTESTS)  # pyright: ignore[reportArgumentType]
            )
    return pl.concat(frames).sort("series_id", "model", "days_ago", "horizon_h")


def _pinball(quantile: np.ndarray, came: np.ndarray) -> np.ndarray:
    """[S, hours]: mean over the quantiles (Koenker & Bassett, 1978)."""
    share = np.asarray(QUANTILES)[None, :, None]
    over = came[:, None, :] - quantile
    return np.maximum(share * over, (share - 1) * over).mean(axis=1)
