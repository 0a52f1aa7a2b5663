"""The rhythm as it was known at each day."""

import numpy as np

from forecasting.rhythm import learn_rhythm

DAYS = 42
HOURS = np.arange(24 * DAYS)


def rhythm_error(values: np.ndarray, truth: np.ndarray) -> float:
    ahead = learn_rhythm(values[None], 168, 10).ahead[0, 0]
    return float(np.abs(ahead - truth).max())


def test_nothing_later_changes_what_was_known():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 24 * DAYS)) + np.sin(HOURS / 4)
    values[rng.random(values.shape) < 0.1] = np.nan
    altered = values.copy()
    altered[:, -240:] = 1000
    one, two = learn_rhythm(values, 50, 20), learn_rhythm(altered, 50, 20)
    assert np.array_equal(one.level[:, :-240], two.level[:, :-240])
    assert np.array_equal(one.filled[:, :-240], two.filled[:, :-240])
    assert np.array_equal(one.ahead[:, 10:], two.ahead[:, 10:])


def test_a_daily_and_weekly_rhythm_is_found():
    rng = np.random.default_rng(2)
    daily = 10 * np.sin(HOURS * 2 * np.pi / 24)
    weekend = np.where(HOURS % 168 >= 120, -5.0, 0.0)
    coming = np.arange(len(HOURS), len(HOURS) + 168)
    truth = 10 * np.sin(coming * 2 * np.pi / 24) + np.where(coming % 168 >= 120, -5.0, 0.0)
    error = rhythm_error(50 + daily + weekend + rng.normal(0, 0.3, len(HOURS)), truth - truth.mean())
    assert error < 4  # the edges of the weekend are smoothed by the average over a day
    assert rhythm_error(50 + daily + rng.normal(0, 0.3, len(HOURS)), daily[:168]) < 1


def test_noise_and_trend_are_no_rhythm():
    rng = np.random.default_rng(3)
    assert rhythm_error(rng.normal(0, 1, len(HOURS)), np.zeros(168)) < 0.5
    assert rhythm_error(HOURS * 1.0, np.zeros(168)) < 1e-6


def test_a_spike_leaves_no_mark():
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, len(HOURS))
    values[-30] = 1e4
    assert rhythm_error(values, np.zeros(168)) < 2


def test_a_gap_takes_the_level_before_it_and_the_rhythm_of_its_hours():
    values = 50 + 10 * np.sin(HOURS * 2 * np.pi / 24)
    holed = values.copy()
    holed[-60:-20] = np.nan
    learnt = learn_rhythm(holed[None], 24, 5)
    assert np.abs(learnt.filled[0, -60:-20] - values[-60:-20]).max() < 1
