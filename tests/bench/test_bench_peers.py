"""The peers cross as the benchmark does, and say what their users would expect of them."""

import numpy as np
import pytest
from peers import Case, drift, peer_answers, predict_linear_7d, predict_linear_24h, seasonal_naive
from persistence import AHEAD, HORIZONS, PERSIST, crossing_shares

HOURS = np.arange(28 * 24)


def case(values: np.ndarray, *limits: float) -> Case:
    return Case(("s", "e", "m"), np.datetime64("2026-06-01T00", "h"), values, values, np.array(limits))


def first_crossing(path: np.ndarray, limit: float) -> int | None:
    above = path >= limit
    return next((h for h in range(len(path) - PERSIST + 1) if above[h : h + PERSIST].all()), None)


def test_shares_are_those_of_a_count_by_hand():
    rng = np.random.default_rng(1)
    paths, limits = np.cumsum(rng.normal(size=(40, AHEAD)), axis=1), np.array([0.0, 3.0, 9.0])
    hits = [[first_crossing(path, limit) for path in paths] for limit in limits]
    by_hand = [[np.mean([hit is not None and hit < h for hit in row]) for h in HORIZONS] for row in hits]
    assert crossing_shares(paths, limits) == pytest.approx(np.array(by_hand))


def test_two_hours_beyond_are_no_crossing_and_a_run_may_be_confirmed_after_the_horizon():
    path = np.zeros((2, AHEAD))
    path[0, 10:12] = 1
    path[1, HORIZONS[-1] - 1 :] = 1
    assert crossing_shares(path[:1], np.array([1.0])).max() == 0
    assert crossing_shares(path[1:], np.array([1.0])).tolist() == [[0, 0, 1]]


def test_predict_linear_follows_the_line_that_it_sees():
    values = 10 + 0.1 * HOURS  # 0.1 an hour: 24 h give 2.4
    now = 10 + 0.1 * len(HOURS)
    assert predict_linear_24h(case(values, now + 2, now + 5, now + 20)).tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 0]]
    bent = 10.0 + np.maximum(0, HOURS - len(HOURS) + 24)
    assert predict_linear_7d(case(bent, 60)).tolist() != predict_linear_24h(case(bent, 60)).tolist()


def test_seasonal_naive_leaves_a_rhythm_alone_and_knows_its_own_errors():
    rhythm = 50 + 10 * np.sin(HOURS * 2 * np.pi / 168)
    assert seasonal_naive(case(rhythm, 61)).max() == 0
    assert seasonal_naive(case(rhythm, 55))[0, -1] == 1
    growing = rhythm + 0.05 * HOURS
    assert seasonal_naive(case(growing, growing[-168:].max() + 5))[0, -1] == 1  # its errors are a week's growth
    assert seasonal_naive(case(rhythm[:170], 61)).max() == 0


def test_drift_goes_on_as_the_past_went_and_is_the_same_each_time():
    rng = np.random.default_rng(2)
    values = 0.1 * HOURS + rng.normal(0, 0.01, len(HOURS))
    said = drift(case(values, values[-1] + 5, values[-1] + 30))
    assert said[0].tolist() == [0, 1, 1]
    assert said[1].tolist() == [0, 0, 0]
    assert drift(case(values, values[-1] + 5, values[-1] + 30)).tolist() == said.tolist()


def test_gaps_and_a_single_reading_are_answered():
    gappy = np.where(HOURS % 3 == 0, 5.0 + HOURS * 0.01, np.nan)
    single = np.array([5.0])
    for peer in (predict_linear_24h, seasonal_naive, drift):
        for values in (gappy, single):
            found = peer_answers(peer, [case(values, 6.0, 50.0)])[0].p
            assert found.shape == (2, 3)
            assert ((found >= 0) & (found <= 1)).all()
