import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_series import HOURS, T, cycles, kinds

from features.breaks import Breaks, falls, find_breaks, hours_since, join


def marks(*columns: int) -> np.ndarray:
    made = np.zeros((1, HOURS), dtype=bool)
    made[0, list(columns)] = True
    return made


def test_hours_are_counted_to_as_of():
    assert hours_since(marks(HOURS - 1)).tolist() == [1]
    assert hours_since(marks(3, HOURS - 48)).tolist() == [48]
    assert np.isnan(hours_since(marks())).all()
    assert np.isnan(hours_since(np.zeros((2, 0), dtype=bool))).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(200, HOURS - 30), st.floats(5, 40))
def test_a_clean_up_is_found_at_its_hour(seed, at, height):
    rng = np.random.default_rng(seed)
    values = np.arange(HOURS) * 0.05 + rng.normal(0, 0.05, HOURS)
    values[at:] -= min(height, 0.9 * values[at])
    found = find_breaks(values[None])
    assert np.flatnonzero(found.resets[0]).tolist() == [at]
    assert not found.steps.any()


def test_the_hour_of_the_fall_may_hold_both_levels():
    values = np.arange(HOURS) * 0.05
    values[1000:] -= 40
    values[1000] += 20
    found = find_breaks(values[None])
    assert np.flatnonzero(found.resets[0]).tolist() == [1001]
    _, peak, drop = falls(values[None], found.resets)
    assert peak[0] == pytest.approx(999 * 0.05)
    assert drop[0] == pytest.approx(39.9)


def test_a_restart_of_two_hours_ago_is_found():
    values = cycles(240, 30)
    values[-2:] = [0.0, 0.1]
    assert hours_since(find_breaks(values[None]).resets)[0] == 2


def test_a_restart_within_an_outage_is_found():
    values = np.where(
        (T > -300) & (T < -280), np.nan, np.where(T < -280, 50 + 0.05 * (T + 1440), 20 + 0.05 * (T + 280))
    )
    found = find_breaks(values[None])
    assert hours_since(found.resets)[0] == 280


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(150, HOURS - 130), st.sampled_from([-1, 1]), st.floats(8, 30))
def test_a_step_is_found_at_its_hour(seed, at, direction, height):
    values = np.random.default_rng(seed).normal(0, 1, HOURS)
    values[at:] += direction * height
    found = find_breaks(values[None])
    steps = np.flatnonzero(found.steps[0])
    assert len(steps) == 1
    assert abs(steps[0] - at) <= 1  # a step of six times the noise may be led by two hours that look like it
    assert not found.resets.any()


@pytest.mark.parametrize("hours", [1, 2, 3])
@pytest.mark.parametrize("height", [-30, 30])
def test_spikes_and_dips_are_no_breaks(hours, height):
    values = 40 + 0.01 * np.arange(HOURS) + np.random.default_rng(hours).normal(0, 0.3, HOURS)
    for start in range(100, HOURS, 170):
        values[start : start + hours] += height
    found = find_breaks(values[None])
    assert not found.any.any()


@pytest.mark.parametrize("kind", [k for k in kinds(0) if k.split(":")[0] in ("seasonal", "noisy", "flat", "constant")])
def test_rhythm_and_noise_are_no_breaks(kind):
    assert not find_breaks(kinds(11)[kind][None]).any.any()


def test_bursts_are_no_resets():
    rng = np.random.default_rng(3)
    busy = np.cumsum(rng.random((20, HOURS)) < 0.05, axis=1) % 2
    assert not find_breaks(60 * busy + rng.normal(0, 1, (20, HOURS))).resets.any()


def test_every_daily_restart_is_found():
    values = 50 + cycles(24, 20) + np.random.default_rng(4).normal(0, 0.5, HOURS)
    found = np.flatnonzero(find_breaks(values[None]).resets[0])
    assert len(found) >= HOURS // 24 - 2
    assert set(np.diff(found)) == {24}


def test_rare_samples_break_as_well():
    values = np.where(T % 24 == 3, 40 + cycles(24 * 20, 30), np.nan)
    found = find_breaks(values[None])
    assert found.resets.sum() == 2
    assert not np.isnan(values[found.resets[0][None][0]]).any()


def test_joined_leaks_show_their_slope():
    values = (50 + cycles(24, 24))[None]
    joined = join(values, find_breaks(values))
    assert np.polyfit(T[-240:], joined[0, -240:], 1)[0] == pytest.approx(1.0, rel=0.1)
    assert joined[0, -1] == values[0, -1]


def test_joining_nothing_changes_nothing():
    values = np.random.default_rng(5).normal(size=(2, 50))
    none = np.zeros(values.shape, dtype=bool)
    assert np.array_equal(join(values, Breaks(none, none)), values)
