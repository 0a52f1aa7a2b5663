import numpy as np
import pytest
from synthetic_series import HOURS, T, cycles

from features.seasonality import find_season


def noise(seed: int, sd: float, rows: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, (rows, HOURS))


def test_a_daily_rhythm_is_measured_in_its_units_and_phase():
    found = find_season(500 + 30 * np.cos(2 * np.pi * (T - 5) / 24) + noise(0, 3))
    assert found.daily_strength[0] == pytest.approx(450 / 459, abs=0.02)
    assert found.weekly_strength[0] == 0
    assert np.argmax(found.daily[0]) == pytest.approx(5, abs=1)
    assert np.allclose(found.daily[0], 30 * np.cos(2 * np.pi * (np.arange(24) - 5) / 24), atol=2.5)


def test_a_weekly_rhythm_comes_on_top():
    weekend = (T // 24) % 7 < 2
    found = find_season(50 + 5 * np.sin(2 * np.pi * T / 24) + 20 * weekend + noise(1, 1))
    assert found.weekly_strength[0] > 0.9
    ahead = found.at(np.arange(168))[0]
    expected = 5 * np.sin(2 * np.pi * np.arange(168) / 24) + 20 * ((np.arange(168) // 24) % 7 < 2)
    assert np.allclose(ahead - ahead.mean(), expected - expected.mean(), atol=2)


def test_noise_has_no_rhythm():
    found = find_season(noise(2, 1, rows=50))
    assert (found.daily_strength < 0.05).all()
    assert (found.weekly_strength < 0.05).all()
    assert np.abs(found.at(np.arange(168))).max() < 0.6


def test_rare_spikes_are_no_rhythm():
    values = noise(3, 0.1, rows=20)
    at = np.random.default_rng(3).integers(0, HOURS, (20, 6))
    np.put_along_axis(values, at, 50.0, axis=1)
    found = find_season(values)
    assert (np.maximum(found.daily_strength, found.weekly_strength) < 0.3).all()


@pytest.mark.parametrize(
    "outside", [np.cumsum(np.ones(HOURS)), np.where(T > -400, 40.0, 0.0), np.where(T % 97 == 0, 80.0, 0)]
)
def test_trend_steps_and_spikes_do_not_hide_it(outside):
    rhythm = 10 * np.sin(2 * np.pi * T / 24)
    assert find_season(rhythm + outside + noise(4, 1)).daily_strength[0] > 0.9


def test_fewer_than_two_cycles_are_no_rhythm():
    values = np.where(T >= -40, 10 * np.sin(2 * np.pi * T / 24), np.nan)[None]
    found = find_season(values)
    assert found.daily_strength[0] == 0
    assert not found.daily.any()


def test_a_week_needs_to_come_back():
    values = np.where(T >= -24 * 12, 20.0 * ((T // 24) % 7 < 2), np.nan)[None] + noise(5, 1)
    assert find_season(values).weekly_strength[0] == 0


def test_a_drifting_phase_is_no_rhythm():
    found = find_season(50 + cycles(25, 20)[None] + noise(6, 0.5))
    assert found.daily_strength[0] < 0.3


def test_removed_rhythm_leaves_trend_and_noise():
    values = 0.1 * np.arange(HOURS) + 10 * np.sin(2 * np.pi * T / 24) + noise(7, 1)
    rest = find_season(values).remove(values)[0] - 0.1 * np.arange(HOURS)
    assert np.std(rest) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("every", "daily", "weekly"), [(24, True, False), (12, True, False), (168, False, True)])
def test_a_restart_by_the_clock_is_a_tooth(every, daily, weekly):
    found = find_season(50 + cycles(every, 20)[None] + noise(8, 0.3))
    assert (found.daily_tooth[0], found.weekly_tooth[0]) == (daily, weekly)


def test_load_is_no_tooth():
    hour = T % 24
    office = np.where(hour < 10, 3.0 * hour, 0)
    for load in (office, 10 * np.sin(2 * np.pi * T / 24), 40.0 * (hour < 5), np.minimum(hour, 24 - hour) * 2.0):
        assert not find_season(load + noise(9, 0.5)).daily_tooth[0]
