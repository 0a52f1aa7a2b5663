from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.prior import creeps, loads
from data.prior.archetypes import ARCHETYPES, series
from data.prior.processes import between, grow, held, memory, moments, regular, rhythm, since, teeth
from data.prior.readings import placed, read, rounded

DAY = 24
SHORT, LONG = 12 * DAY, 125 * DAY
SEEDS = range(20)


def made(archetype: Callable[[np.random.Generator, int], np.ndarray], hours: int = 60 * DAY) -> list[np.ndarray]:
    return [archetype(np.random.default_rng(seed), hours) for seed in SEEDS]


# ------------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("name", ARCHETYPES)
def test_every_kind_is_finite_moves_and_is_the_same_again(name: str):
    for hours in (SHORT, LONG):
        values = ARCHETYPES[name](np.random.default_rng(3), hours)
        assert values.shape == (hours,)
        assert np.isfinite(values).all()
        assert np.array_equal(values, ARCHETYPES[name](np.random.default_rng(3), hours))
    assert np.ptp(values) > 0


def test_a_series_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = (series(np.random.default_rng(seed), 30 * DAY) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_fleets_are_read_in_every_way():
    fleet = [series(np.random.default_rng([5, number]), 30 * DAY) for number in range(150)]
    seen = np.array([np.isfinite(one).mean() for one in fleet])
    assert all(np.isfinite(one).any() for one in fleet)
    assert 0.1 < (seen < 0.5).mean() < 0.35  # six-hourly, daily, irregular
    assert 0.1 < (seen == 1).mean() < 0.6  # the rest has gaps
    assert any(np.array_equal(one, np.round(one), equal_nan=True) for one in fleet)


# -------------------------------------------------------------------------------------------- kinds are what they say


def test_disks_fill():
    for values in made(creeps.filling_on_workdays):
        assert values.argmax() > values.argmin()
    held_for = [np.diff(values[:: 7 * DAY]) for values in made(creeps.filling)]
    assert np.mean([(rises > 0).mean() for rises in held_for]) > 0.6


def test_a_leak_rises_between_restarts_and_falls_at_them_alone():
    leaked = grow(np.ones(100), np.array([10, 40]))
    assert np.flatnonzero(np.diff(leaked) < 0).tolist() == [9, 39]
    assert leaked.max() == 60
    kept = grow(np.ones(100), np.array([10]), keep=0.5)
    assert kept[9:11].tolist() == [10, 6]


def test_no_plateau_of_a_leak_is_a_ceiling():
    passed = [
        values[len(values) // 2 :].max() > values[: len(values) // 2].max() for values in made(creeps.leak_past_plateau)
    ]
    assert 0.3 < np.mean(passed) < 0.95


def test_a_sawtooth_stays_below_its_ceiling_and_above_its_floor():
    low, high = np.array([0.0, 1.0, 0.0]), np.array([2.0, 3.0, 2.0])
    values = teeth(np.linspace(0, 5.9, 60), low, high)
    assert values.max() <= 3
    assert values[:20].max() < 2 <= values[20:40].max()
    assert np.count_nonzero(np.diff(values) < 0) == 2
    for values in made(loads.sawtooth):
        assert values.max() - values.min() < 3 * (np.quantile(values, 0.9) - np.quantile(values, 0.1))


def test_a_heap_collects_often_while_its_floor_may_rise():
    for values in made(creeps.heap):
        assert np.count_nonzero(np.diff(values) < 0) > 10


def test_deploys_ratchet_up():
    assert np.mean([values[-DAY:].mean() > values[:DAY].mean() for values in made(creeps.ratchet)]) > 0.8


def test_a_cache_ends_at_its_size():
    for values in made(creeps.cache):
        assert values.max() < 1.6 + 0.2


def test_what_awakens_was_quiet():
    for values in made(creeps.awakening):
        quiet = values[: len(values) // 6]
        assert np.ptp(quiet) < 0.6 * np.ptp(values)


def test_spells_of_growth_end_as_they_began_without_notice():
    hours = 120 * DAY
    grown = made(creeps.spells, hours)
    high = [values > values.min() + 0.5 * np.ptp(values) for values in grown]
    assert any(values[-1] > 0.95 * values.max() for values in grown)  # some still grow
    assert np.mean([one.mean() for one in high]) < 0.5  # most of the time they are calm
    falls = [np.diff(values).min() / np.ptp(values) for values in grown]
    assert np.mean(np.array(falls) < -0.3) > 0.3  # what was found is taken away at once


def test_a_pool_has_an_end_and_a_queue_is_emptied():
    assert np.mean([np.count_nonzero(values == values.max()) > 3 for values in made(loads.pool)]) > 0.3
    for values in made(loads.backlog):
        assert values.min() >= 0
        assert np.mean(values < 1e-9) > 0.01


def test_jobs_come_back_and_bursts_come_without_notice():
    values = loads.jobs(np.random.default_rng(2), LONG)
    assert np.quantile(values, 0.99) > 3 * np.median(values)
    assert all(values.min() >= 0 for values in made(loads.bursts))


def test_month_ends_are_busier():
    swollen = [np.sort(values.reshape(-1, DAY).mean(axis=1)) for values in made(loads.month_end, LONG)]
    assert np.median([days[-1] / np.median(days) for days in swollen]) > 1.3


# -------------------------------------------------------------------------------------------------------- processes


@given(seed=st.integers(0, 2**32), hours=st.integers(1, 500), every=st.floats(1, 1000))
def test_moments_ascend_within_the_hours(seed: int, hours: int, every: float):
    rng = np.random.default_rng(seed)
    found = moments(rng, hours, every)
    assert all(earlier < later for earlier, later in pairwise(found.tolist()))
    assert hours == 1 or ((found >= 1) & (found < hours)).all()
    period = max(1, int(every))
    assert set(np.diff(regular(rng, hours, period))) <= {period}
    assert 3 <= between(rng, 3, 30) <= 30


@given(marks=st.sets(st.integers(1, 49), max_size=8))
def test_time_since_a_mark_begins_anew_at_each(marks: set[int]):
    edges = np.array(sorted(marks), dtype=np.int64)
    found = since(edges, 50)
    assert found[edges].tolist() == [0] * len(edges)
    assert set(np.diff(found)[np.setdiff1d(np.arange(49), edges - 1)]) <= {1}
    levels = held(np.random.default_rng(1), edges, 50, 2, 3)
    assert set(np.flatnonzero(np.diff(levels)) + 1) <= marks
    assert levels.min() >= 2 and levels.max() <= 3


def test_noise_has_the_memory_and_size_that_were_asked_for():
    noise = memory(np.random.default_rng(1), 20_000, lasts=10, sd=2)
    assert noise.std() == pytest.approx(2, rel=0.1)
    assert np.corrcoef(noise[10:], noise[:-10])[0, 1] == pytest.approx(np.exp(-1), abs=0.08)


def test_a_rhythm_has_a_mean_of_one_and_comes_back_weekly():
    for seed in SEEDS:
        load = rhythm(np.random.default_rng(seed), 28 * DAY)
        assert load.mean() == pytest.approx(1)
        assert np.allclose(load[: 21 * DAY], load[7 * DAY :])


# ---------------------------------------------------------------------------------------------------------- readings


def test_reading_takes_away_and_changes_nothing():
    values = np.arange(40.0 * DAY)
    for seed in SEEDS:
        found = read(np.random.default_rng(seed), values)
        seen = np.isfinite(found)
        assert np.array_equal(found[seen], values[seen])
        assert seen.sum() >= 20


def test_placing_moves_and_rounding_keeps_the_order():
    values = np.random.default_rng(0).normal(size=200)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        assert np.ptp(placed(rng, values)) == pytest.approx(np.ptp(values))
        assert (np.diff(rounded(rng, np.sort(values))) >= 0).all()
