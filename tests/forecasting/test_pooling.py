"""What pooling with paths may never change."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from forecasting.history import look_back
from forecasting.learnt.answering import Answers
from forecasting.models.registry import FLEET
from forecasting.pooling import AT_RISK, Drawn, pool, pooled
from forecasting.tables import HORIZONS

ROUNDING = 1e-12


def test_what_is_below_the_floor_stays_to_the_last_bit(make_grid, hours, rng):
    """Whether another limit of its series is at risk must not matter to an answer."""
    history = look_back(make_grid(20 + 0.02 * hours + rng.normal(size=len(hours))), HORIZONS[-1] + 2, 90)
    n = 50
    p = np.sort(rng.uniform(0, AT_RISK, (n, len(HORIZONS))), axis=1)
    zeros = np.zeros(n, dtype=np.int64)
    answers = Answers(p, np.zeros((n, 3)), np.zeros(n, dtype=bool), zeros, zeros, np.zeros(n))
    limits = pl.DataFrame({"series_id": pl.Series([1] * n, dtype=pl.UInt64), "value": np.linspace(50, 90, n)})
    limits = limits.with_columns(direction=pl.lit("up"), lasts_h=3)
    pooled = pool(answers, limits, Drawn(FLEET.name, history, FLEET.fit(history).paths(), np.array(["trend"])))
    assert np.array_equal(pooled.p, p)


def test_paths_of_a_line_weigh_more_unless_it_is_straight(make_grid, hours, rng):
    history = look_back(make_grid(20 + 0.02 * hours + rng.normal(0, 0.1, len(hours))), HORIZONS[-1] + 2, 90)
    zero = np.zeros(1, dtype=np.int64)
    answers = Answers(np.array([[0.2, 0.4, 0.6]]), np.zeros((1, 3)), np.zeros(1, dtype=bool), zero, zero, np.zeros(1))
    limits = pl.DataFrame(
        {"series_id": pl.Series([1], dtype=pl.UInt64), "value": [50.0], "direction": ["up"], "lasts_h": [3]}
    )
    paths = FLEET.fit(history).paths()
    noisy, line = (
        pool(answers, limits, Drawn(FLEET.name, history, paths, np.array([s]))).p for s in ("noisy", "trend")
    )
    assert 0.6 < noisy[0, -1] < line[0, -1] < 1
    assert (np.diff(line) >= 0).all()
    straight = pool(
        replace(answers, straight=np.ones(1)), limits, Drawn(FLEET.name, history, paths, np.array(["trend"]))
    )
    assert noisy[0, -1] < straight.p[0, -1] < line[0, -1]


@pytest.mark.parametrize(("line", "straight"), [(False, 0.0), (True, 0.0), (True, 0.5), (True, 1.0)])
def test_the_answer_rises_with_either_opinion(line, straight):
    """So two opinions that keep the order of limits and of horizons make one that does."""
    logits = np.arange(-9, 9, 0.05)
    ours, theirs = np.meshgrid(1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-logits)), indexing="ij")
    whose = np.full(ours.size, line), np.full(ours.size, straight)
    alone = pooled(ours.reshape(-1, 1), theirs.reshape(-1, 1), *whose).reshape(ours.shape)
    assert np.diff(alone, axis=0).min() >= -ROUNDING
    assert np.diff(alone, axis=1).min() >= -ROUNDING
    assert alone.min() > 0
    assert alone.max() < 1


def test_what_both_say_of_a_line_is_said_more_surely_and_of_all_else_as_it_is():
    said = np.array([[0.2, 0.5, 0.8]])
    line, other = (pooled(said, said, np.array([follows]), np.zeros(1))[0] for follows in (True, False))
    assert np.allclose(other, said[0], rtol=1e-12)
    assert np.isclose(line[0], 0.2, rtol=1e-12)
    assert 0.5 < line[1] < 0.6
    assert 0.83 < line[2] < 0.9


def test_paths_weigh_on_each_horizon_by_its_own_risk():
    """Not within a day of which the crossing model expects nothing, however sure they are."""
    learnt, by_paths = np.array([[0.5 * AT_RISK, 0.2, 0.5]]), np.array([[0.9, 0.9, 0.9]])
    day, three, week = pooled(learnt, by_paths, np.array([False]), np.zeros(1))[0]
    assert day == 0.5 * AT_RISK
    assert 0.2 < three < week
    assert week > 0.5
