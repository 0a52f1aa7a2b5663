import numpy as np
import pytest
from synthetic_series import HOURS, T

from features.trend import latest_trend, robust_trend

FORTNIGHT = np.array([336])


def noise(seed: int, sd: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, HOURS)


@pytest.mark.parametrize("window", [30, 72, 168, 336, 1000])
def test_the_line_is_found(window):
    found = robust_trend((100 + 0.5 * T)[None], np.array([window]))
    assert found.slope_per_day[0] == pytest.approx(12)
    assert found.level[0] == pytest.approx(100, abs=0.3)
    assert found.strength[0] == pytest.approx(1)
    assert found.steady[0]


def test_only_the_window_counts():
    values = np.where(T < -100, -2.0 * T, 200 + 0.5 * T)[None]
    assert robust_trend(values, np.array([96])).slope_per_day[0] == pytest.approx(12)


def test_spikes_and_gaps_do_not_turn_it():
    values = 0.5 * T + noise(0, 1)
    values[::13] += 500
    values[5::3] = np.nan
    assert robust_trend(values[None], FORTNIGHT).slope_per_day[0] == pytest.approx(12, rel=0.03)


def test_strength_is_the_share_of_the_variance():
    found = robust_trend((0.1 * T + noise(1, 10))[None], FORTNIGHT)
    explained = 0.1**2 * 336**2 / 12
    assert found.strength[0] == pytest.approx(explained / (explained + 100), abs=0.06)


def test_noise_has_no_trend():
    assert robust_trend(noise(2, 1)[None], FORTNIGHT).strength[0] < 0.1


def test_a_jump_is_not_steady():
    assert not robust_trend(np.where(T > -150, 10.0, 0.0)[None] + noise(3, 0.1), FORTNIGHT).steady[0]


def test_too_few_points_are_no_line():
    values = np.where(T >= -3, 1.0, np.nan)[None]
    found = robust_trend(values, FORTNIGHT)
    assert np.isnan(found.slope_per_day[0])
    assert found.strength[0] == 0


def test_a_random_walk_does_not_go_beyond_chance():
    walks = np.cumsum(np.random.default_rng(6).normal(size=(300, HOURS)), axis=1)
    assert robust_trend(walks, np.full(300, 336)).beyond_chance.mean() < 0.08


def test_a_straight_line_goes_beyond_chance_however_rarely_it_was_seen():
    line = (100 - T / 24)[None]
    for seen in (T < 0, T % 24 == 5, np.abs(T + 100) > 60):
        assert robust_trend(np.where(seen, line, np.nan), FORTNIGHT).beyond_chance[0]


@pytest.mark.parametrize("age", [70, 100, 150])
def test_a_young_trend_is_followed(age):
    values = 50 + np.maximum(0, T + age) * 0.3 + noise(4, 0.3)
    found, window = latest_trend(values[None], FORTNIGHT)
    assert found.slope_per_day[0] == pytest.approx(7.2, rel=0.1)
    assert window[0] < 336


def test_an_old_trend_keeps_its_window():
    found, window = latest_trend((0.1 * T + noise(5, 1))[None], FORTNIGHT)
    assert window[0] == 336
    assert found.slope_per_day[0] == pytest.approx(2.4, rel=0.05)


def test_ups_and_downs_are_no_young_trends():
    _, window = latest_trend((np.sin(T / 30) + noise(6, 0.05))[None], FORTNIGHT)
    assert window[0] == 336
