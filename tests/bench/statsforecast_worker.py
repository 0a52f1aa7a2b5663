"""AutoETS and AutoARIMA as a user of statsforecast would run them. Runs in the environment of ``peers.lock``.

    python statsforecast_worker.py MODEL CASES.npz ANSWERS.npz

CASES: values (all histories end to end, hourly, no NaN), ends [C]; limits (end to end), limit_ends [C]; seeds [C].
ANSWERS: p [limits, 3], NaN where the model raised; seconds of CPU [C]; error, the first thing raised.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from persistence import AHEAD, crossing_shares
from process_tree import cpu_seconds
from statsforecast.models import MSTL, AutoARIMA, AutoETS  # pyright: ignore[reportMissingImports]

PATHS = 500
DAY = 24
WARM_UP = 50 + np.sin(np.arange(14 * DAY) * 2 * np.pi / DAY) + np.random.default_rng(0).normal(0, 0.3, 14 * DAY)

Draw = Callable[[np.ndarray, int], np.ndarray]
"""History and seed to paths [PATHS, AHEAD]."""


def autoets(history: np.ndarray, seed: int) -> np.ndarray:
    return AutoETS(season_length=DAY).fit(history).simulate(h=AHEAD, n_paths=PATHS, seed=seed)


def autoarima(history: np.ndarray, seed: int) -> np.ndarray:
    """Without a season: one of 24 costs 40 s a fit at a month of hours."""
    return AutoARIMA().fit(history).simulate(h=AHEAD, n_paths=PATHS, seed=seed)


def mstl_autoarima(history: np.ndarray, seed: int) -> np.ndarray:
    """The library's own way round that: the season by MSTL, AutoARIMA for the rest. MSTL cannot simulate, so its
    season is laid on the paths of the rest.
    """
    fitted: Any = MSTL(season_length=[DAY], trend_forecaster=AutoARIMA()).fit(history)
    rest = fitted.trend_forecaster
    season = fitted.predict(h=AHEAD)["mean"] - rest.predict(h=AHEAD)["mean"]
    return rest.simulate(h=AHEAD, n_paths=PATHS, seed=seed) + season


MODELS: dict[str, Draw] = {"autoets": autoets, "autoarima": autoarima, "mstl_autoarima": mstl_autoarima}


def answer(draw: Draw, history: np.ndarray, limits: np.ndarray, seed: int) -> np.ndarray:
    """float64 [L, 3]: the share of simulated paths that cross."""
    return crossing_shares(np.asarray(draw(history, seed), dtype=np.float64), limits)


def main(model: str, cases: str, answers: str) -> None:
    warnings.simplefilter("ignore")
    given = np.load(cases)
    histories = np.split(given["values"], given["ends"][:-1])
    asked = np.split(given["limits"], given["limit_ends"][:-1])
    draw = MODELS[model]
    answer(draw, WARM_UP, np.array([60.0]), 0)  # imports and compilation are nobody's cost
    found, seconds, first_error = [], [], ""
    for history, limits, seed in zip(histories, asked, given["seeds"], strict=True):
        began = cpu_seconds()
        try:
            found.append(answer(draw, history, limits, int(seed)))
        except Exception as error:  # whatever a peer raises: it abstains, and is told
            first_error = first_error or f"{type(error).__name__}: {error}"
            found.append(np.full((len(limits), 3), np.nan))
        seconds.append(cpu_seconds() - began)
    np.savez(answers, p=np.concatenate(found), seconds=np.array(seconds), error=np.array(first_error))


if __name__ == "__main__":
    main(*sys.argv[1:])
