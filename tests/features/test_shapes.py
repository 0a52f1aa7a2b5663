from dataclasses import replace

import numpy as np
import pytest

from features.shapes import Cycles, Evidence, ceiling_holds, cycles_of, shapes


def one(value: float) -> np.ndarray:
    return np.array([value])


NO_CYCLES = Cycles(*(one(v) for v in (0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)))
SAW = Cycles(
    count=one(9), peak=one(80), drop=one(30), every_h=one(24), ceiling=one(80), near_ceiling=one(1.0), growth=one(0.0)
)
PLAIN = Evidence(
    history_h=one(1000),
    observed_h=one(1000),
    step_h=one(1),
    constant=one(False),
    falls_to_zero=one(False),
    share_at_level=one(0.1),
    level=one(60),
    overall_spread=one(10),
    noise=one(3),
    cycles=NO_CYCLES,
    since_reset_h=one(np.nan),
    since_step_h=one(np.nan),
    slope_per_day=one(0),
    window_h=one(336),
    trend_strength=one(0.0),
    trend_steady=one(False),
    trend_beyond_chance=one(False),
    season_strength=one(0.1),
    warms_up=one(False),
    staircase=one(False),
)


def shape(**changes) -> str:
    return str(shapes(replace(PLAIN, **changes))[0])


RISING = {
    "slope_per_day": one(1.0),
    "trend_strength": one(0.9),
    "trend_steady": one(True),
    "trend_beyond_chance": one(True),
}


def test_each_word_has_its_rule():
    assert shape() == "noisy"
    assert shape(noise=one(0.5)) == "wandering"
    assert shape(share_at_level=one(0.9)) == "flat"
    assert shape(season_strength=one(0.7)) == "seasonal"
    assert shape(since_step_h=one(100)) == "step"
    assert shape(**RISING) == "trend"
    assert shape(staircase=one(True), **RISING) == "staircase"
    assert shape(warms_up=one(True), **RISING) == "warm_up"
    assert shape(cycles=replace(SAW, near_ceiling=one(0.4)), since_reset_h=one(5), **RISING) == "leak_with_resets"
    assert shape(cycles=SAW, since_reset_h=one(5), **RISING) == "sawtooth"
    assert shape(cycles=replace(SAW, near_ceiling=one(0.1)), falls_to_zero=one(True)) == "counter"
    assert shape(step_h=one(6)) == "sparse"
    assert shape(constant=one(True)) == "constant"
    assert shape(history_h=one(50)) == "too_short"


def test_a_clean_up_that_stays_away_is_no_sawtooth_any_more():
    assert shape(cycles=SAW, since_reset_h=one(100), **RISING) == "leak_with_resets"
    assert shape(cycles=SAW, since_reset_h=one(5), level=one(95), **RISING) == "leak_with_resets"


def test_a_small_movement_is_no_trend():
    assert shape(**RISING | {"slope_per_day": one(0.05)}) == "noisy"


def test_what_chance_may_bring_is_no_trend():
    assert shape(**RISING | {"trend_beyond_chance": one(False)}) == "noisy"


def test_a_rare_series_has_a_shape_where_it_is_plain():
    assert shape(step_h=one(24), **RISING) == "trend"
    assert shape(step_h=one(24)) == "sparse"


def test_cycles_are_summed_up():
    row, hour = np.array([1, 1, 1, 1]), np.array([10, 30, 50, 80])
    found = cycles_of(3, row, hour, np.array([50.0, 60, 50, 60]), np.array([20.0, 20, 20, 20]))
    assert found.count.tolist() == [0, 4, 0]
    assert found.peak[1] == 55
    assert found.drop[1] == 20
    assert found.every_h[1] == 25
    assert found.ceiling[1] == 60
    assert found.near_ceiling[1] == pytest.approx(0.5)
    assert np.isnan(found.peak[[0, 2]]).all()


def test_only_the_last_cycles_count():
    peaks = np.concatenate([np.full(20, 10.0), np.full(14, 90.0)])
    found = cycles_of(1, np.zeros(34, dtype=int), np.arange(34) * 24, peaks, np.full(34, 5.0))
    assert (found.count[0], found.peak[0], found.ceiling[0], found.near_ceiling[0]) == (34, 90, 90, 1)


def test_a_ceiling_does_not_creep_up():
    assert ceiling_holds(SAW, one(60), one(5))[0]
    assert not ceiling_holds(replace(SAW, growth=one(0.2)), one(60), one(5))[0]


AGREEMENT = [(1.0, 2, False), (1.0, 3, True), (0.65, 4, False), (0.65, 14, True), (0.55, 60, False)]


@pytest.mark.parametrize(("near", "count", "holds"), AGREEMENT)
def test_few_cycles_must_agree_better(near, count, holds):
    cycles = replace(SAW, near_ceiling=one(near), count=one(count))
    assert ceiling_holds(cycles, one(60), one(5))[0] == holds
