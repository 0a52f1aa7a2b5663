import numpy as np
import pytest
from synthetic_series import HOURS, T, cycles

from features.calm import Calm
from features.drops import find_drops
from features.saturation import warm_up_to

ROWS = 40


def plateaus(values: np.ndarray) -> np.ndarray:
    """In the unit of the values."""
    calm = Calm.of(values)
    drops = find_drops(calm)
    since = np.full(len(values), np.nan)
    since[drops.row] = HOURS - calm.samples.column[drops.row, drops.at]
    spread = np.nanquantile(values, 0.95, axis=1) - np.nanquantile(values, 0.05, axis=1)
    return np.nanmedian(values, axis=1) + spread * warm_up_to(calm.samples, since)


def noise(seed: int, sd: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, (ROWS, HOURS))


def warm_ups(ago: int, seen: float, before: float) -> np.ndarray:
    """From 50 towards 80 since `ago` hours, of which `seen` time constants were seen; at `before` until then."""
    since = T + ago
    return np.where(since < 0, before, 80 - 30 * np.exp(-np.maximum(since, 0) * seen / ago))


@pytest.mark.parametrize("ago", [30, 200, 1000])
@pytest.mark.parametrize("seen", [1.5, 3.0, 6.0])
@pytest.mark.parametrize("before", [80.0, 50.0, np.nan])
def test_a_warm_up_is_found_and_its_plateau_told(ago, seen, before):
    found = plateaus(warm_ups(ago, seen, before) + noise(ago, 0.6))
    assert np.mean(~np.isnan(found)) > 0.8
    assert np.nanmedian(found) == pytest.approx(80, abs=2.5)


@pytest.mark.parametrize("hours", [30, 200, 1000])
@pytest.mark.parametrize("sd", [0.2, 3.0])
def test_a_leak_is_no_warm_up(hours, sd):
    values = 50 + 30 * np.maximum(T + hours, 0) / hours + noise(hours, sd)
    assert np.mean(~np.isnan(plateaus(values))) < 0.02


def test_a_leak_since_a_restart_is_no_warm_up():
    assert np.mean(~np.isnan(plateaus(50 + cycles(300, 30) + noise(1, 0.5)))) < 0.02


def test_a_random_walk_is_seldom_one():
    assert np.mean(~np.isnan(plateaus(np.cumsum(noise(2, 0.3), axis=1)))) < 0.1


def test_what_is_warm_for_long_is_no_rise_any_more():
    assert np.isnan(plateaus(warm_ups(1000, 40.0, 80.0) + noise(3, 0.3))).all()
