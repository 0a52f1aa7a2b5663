"""What pooling with paths may never change."""

import numpy as np
import polars as pl

from forecasting.history import look_back
from forecasting.learnt.answering import Answers
from forecasting.models.registry import FLEET
from forecasting.pooling import AT_RISK, Drawn, pool
from forecasting.tables import HORIZONS


def test_what_is_below_the_floor_stays_to_the_last_bit(make_grid, hours, rng):
    """Whether another limit of its series is at risk must not matter to an answer."""
    history = look_back(make_grid(20 + 0.02 * hours + rng.normal(size=len(hours))), HORIZONS[-1] + 2, 90)
    n = 50
    p = np.sort(rng.uniform(0, AT_RISK, (n, len(HORIZONS))), axis=1)
    zeros = np.zeros(n, dtype=np.int64)
    answers = Answers(p, np.zeros((n, 3)), np.zeros(n, dtype=bool), zeros, zeros)
    limits = pl.DataFrame({"series_id": pl.Series([1] * n, dtype=pl.UInt64), "value": np.linspace(50, 90, n)})
    limits = limits.with_columns(direction=pl.lit("up"), lasts_h=3)
    pooled = pool(answers, limits, Drawn(FLEET.name, history, FLEET.fit(history).paths(), np.array(["trend"])))
    assert np.array_equal(pooled.p, p)


def test_paths_of_a_plain_line_weigh_more(make_grid, hours, rng):
    history = look_back(make_grid(20 + 0.02 * hours + rng.normal(0, 0.1, len(hours))), HORIZONS[-1] + 2, 90)
    zero = np.zeros(1, dtype=np.int64)
    answers = Answers(np.array([[0.2, 0.4, 0.6]]), np.zeros((1, 3)), np.zeros(1, dtype=bool), zero, zero)
    limits = pl.DataFrame(
        {"series_id": pl.Series([1], dtype=pl.UInt64), "value": [50.0], "direction": ["up"], "lasts_h": [3]}
    )
    paths = FLEET.fit(history).paths()
    noisy, line = (
        pool(answers, limits, Drawn(FLEET.name, history, paths, np.array([s]))).p for s in ("noisy", "trend")
    )
    assert 0.6 < noisy[0, -1] < line[0, -1] < 1
    assert (np.diff(line) >= 0).all()
