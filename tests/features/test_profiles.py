import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_series import AS_OF, HOURS, T, cycles, grid_of, kinds

from features.grid import Grid
from features.profiles import SCHEMA, profile

NEVER_NULL = ("shape", "history_h", "observed_h", "longest_gap_h", "resets", "steps", "is_integer")


def of(values: np.ndarray) -> dict[str, Any]:
    return profile(grid_of([values])).row(0, named=True)


def share_of(shape: str, rows: list[np.ndarray]) -> float:
    return profile(grid_of(rows))["shape"].to_list().count(shape) / len(rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_kind_is_recognised(seed):
    made = kinds(seed)
    found = profile(grid_of(list(made.values()))).with_columns(pl.Series("kind", list(made)))
    wrong = found.filter(pl.col("shape") != pl.col("kind").str.split(":").list.first())
    assert wrong.select("kind", "shape").rows() == []


def test_columns_are_those_of_the_table():
    assert profile(grid_of([np.ones(HOURS)])).schema == SCHEMA
    assert profile(Grid(np.array([], dtype=np.uint64), AS_OF, np.empty((0, HOURS)))).schema == SCHEMA


def test_sampling_is_described():
    values = np.full(HOURS, np.nan)
    values[-100::2] = 7.0
    values[-60:-40] = np.nan
    found = of(values)
    assert (found["history_h"], found["observed_h"], found["longest_gap_h"]) == (100, 40, 21)
    assert found["step_h"] == 2
    assert found["level"] == 7
    assert found["spread"] == 0


def test_a_gap_up_to_as_of_counts_as_a_gap():
    values = np.where(T < -30, 5.0, np.nan)
    assert of(values)["longest_gap_h"] == 30


def test_numbers_of_a_plain_trend():
    rng = np.random.default_rng(5)
    found = of(20 + 0.25 * np.arange(HOURS) + rng.normal(0, 2.0, HOURS))
    assert found["slope_per_day"] == pytest.approx(6.0, rel=0.02)
    assert found["noise"] == pytest.approx(2.0, rel=0.1)
    assert found["trend_strength"] > 0.98


def test_a_young_leak_has_its_own_slope():
    rng = np.random.default_rng(6)
    found = of(50 + np.maximum(0, T + 96) * 0.5 + rng.normal(0, 0.5, HOURS))
    assert found["slope_per_day"] == pytest.approx(12.0, rel=0.1)


def test_a_leak_hidden_by_daily_restarts_shows_its_slope():
    rng = np.random.default_rng(7)
    found = of(50 + cycles(24, 24) + rng.normal(0, 0.3, HOURS))
    assert found["slope_per_day"] == pytest.approx(24.0, rel=0.1)
    assert found["resets"] >= HOURS // 24 - 2
    assert found["reset_peak"] == pytest.approx(73, abs=1)
    assert found["reset_drop"] == pytest.approx(23, abs=1)


def test_what_falls_is_the_mirror_of_what_rises():
    values = np.array(list(kinds(3).values()))
    up = profile(grid_of(list(values)))
    down = profile(grid_of(list(-values)), falling=np.ones(len(values), dtype=bool))
    mirrored = ("level", "slope_per_day", "reset_peak", "ceiling", "warm_up_to")
    same = [c for c in SCHEMA if c not in mirrored and c != "shape"]
    assert up.select(same).equals(down.select(same))
    assert up.filter(pl.col("shape") != "counter")["shape"].equals(down.filter(up["shape"] != "counter")["shape"])
    for column in mirrored:
        assert up[column].to_list() == [None if v is None else -v for v in down[column].to_list()]


@pytest.mark.parametrize("every", [6, 10, 24, 48, 60, 168, 480])
def test_a_clean_up_ceiling_is_learnt(every):
    rng = np.random.default_rng(every)
    long = np.tile(np.arange(every) * 40 / every, 2160 // every + 1)[-2160:]
    rows = 40 + np.stack([np.roll(long, rng.integers(every)) for _ in range(10)]) + rng.normal(0, 0.4, (10, 2160))
    found = profile(Grid(np.arange(10, dtype=np.uint64), AS_OF, rows))
    assert np.allclose(found["ceiling"].to_numpy(), 80 - 40 / every, atol=1.2)
    assert (found["ceiling_share"] >= 0.9).all()


def test_a_few_low_peaks_do_not_lower_the_ceiling():
    climbs = [np.arange(n) * 0.5 for n in (80, 80, 40, 80, 80, 80, 30, 80, 80, 80, 80, 80, 80, 80, 80, 20)]
    found = of(
        30 + np.pad(np.concatenate(climbs), (HOURS, 0))[-HOURS:] + np.random.default_rng(8).normal(0, 0.2, HOURS)
    )
    assert found["ceiling"] == pytest.approx(69.5, abs=0.5)
    assert 0.8 <= found["ceiling_share"] < 1


def test_no_ceiling_where_resets_come_from_anywhere_or_stay_away():
    made = kinds(3)
    anywhere = [values for kind, values in made.items() if not kind.startswith("sawtooth")]
    stayed_away = np.concatenate([cycles(36, 20)[-1000:], np.arange(HOURS - 1000) / 36 * 20])
    found = profile(grid_of([*anywhere, stayed_away]))
    assert found["ceiling"].is_null().all()
    assert found["ceiling_share"].is_null().all()


def test_a_warm_up_leads_to_its_plateau():
    found = of(kinds(4)["warm_up: after a deploy"])
    assert found["warm_up_to"] == pytest.approx(80, abs=1.5)
    assert of(kinds(4)["trend"])["warm_up_to"] is None


def test_random_walks_are_seldom_called_trends():
    steps = np.random.default_rng(9).normal(0, 0.2, (150, HOURS))
    assert share_of("trend", list(50 + np.cumsum(steps, axis=1))) < 0.15


@pytest.mark.parametrize("hours", [100, 200, 400, HOURS])
def test_leaks_are_trends(hours):
    rng = np.random.default_rng(hours)
    leak = 40 + 20 * np.maximum(T + hours, 0) / hours
    rows = [leak + rng.normal(0, 0.1 * 20 * min(1, 336 / hours), HOURS) for _ in range(40)]
    assert share_of("trend", rows) > 0.9


def test_whole_numbers_are_noticed():
    assert of(np.round(np.linspace(0, 90, HOURS)))["is_integer"]
    assert not of(np.linspace(0, 90, HOURS))["is_integer"]
    assert not of(np.full(HOURS, np.nan))["is_integer"]
    assert not of(np.full(HOURS, 1e300))["is_integer"]


def nasty() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    alone = np.full(HOURS, np.nan)
    alone[-5] = 1.0
    return {
        "nothing": np.full(HOURS, np.nan),
        "one sample": alone,
        "zeros": np.zeros(HOURS),
        "huge": 1e300 * rng.normal(size=HOURS),
        "huge and opposite": np.where(T % 2 == 0, 1.7e308, -1.7e308),
        "one huge spike": np.where(T == -50, 1e300, rng.normal(size=HOURS)),
        "tiny": 1e-310 * rng.normal(size=HOURS),
        "infinite now and then": np.where(T % 50 == 0, np.inf, np.where(T % 50 == 1, -np.inf, np.sin(T))),
        "all infinite": np.full(HOURS, np.inf),
        "two values": (T % 7 == 0).astype(float),
        "float noise on a constant": 0.1 + 1e-17 * rng.integers(-1, 2, HOURS),
        "negative": -np.abs(rng.normal(size=HOURS)),
        "last hour only": np.where(T == -1, 3.0, np.nan),
        "first hour only": np.where(T == -HOURS, 3.0, np.nan),
    }


@pytest.mark.parametrize("kind", nasty())
def test_nothing_breaks_it(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = profile(grid_of([nasty()[kind]]))
    row = found.row(0, named=True)
    assert all(row[column] is not None for column in NEVER_NULL)
    for value in row.values():
        assert not isinstance(value, float) or np.isfinite(value)


@pytest.mark.parametrize("hours", [0, 1, 2, 23, 24, 25, 47, 49, 167, 169, 340])
def test_any_length_of_grid_is_fine(hours):
    rows = np.random.default_rng(1).normal(size=(3, hours))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = profile(Grid(np.arange(3, dtype=np.uint64), AS_OF, rows))
    assert found["history_h"].to_list() == [hours] * 3


# ------------------------------------------------------------------------------------------------------- invariances


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 99), st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_units_do_not_matter(seed, shift, scale):
    made = {kind: values for kind, values in kinds(seed).items() if kind != "counter"}  # which knows where zero is
    plain = profile(grid_of(list(made.values())))
    other = profile(grid_of([values * scale + shift for values in made.values()]))
    for column in ("shape", "resets", "hours_since_reset", "steps", "hours_since_step"):
        assert plain[column].to_list() == other[column].to_list()
    for column in ("trend_strength", "daily_strength", "weekly_strength"):
        close = np.isclose(plain[column].fill_null(-1).to_numpy(), other[column].fill_null(-1).to_numpy(), atol=1e-3)
        assert close.all()


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_a_series_is_the_same_alone_and_in_company(seed, random):
    rows = [*kinds(seed).values(), *nasty().values()]
    together = profile(grid_of(rows))
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = Grid(np.array(order, dtype=np.uint64), AS_OF, np.array([rows[i] for i in order]))
    assert profile(shuffled).equals(together)
    for i in order[:3]:
        alone = profile(Grid(np.array([i], dtype=np.uint64), AS_OF, rows[i][None]))
        assert alone.equals(together.filter(pl.col("series_id") == i))


def test_chunks_do_not_matter():
    rows = list(kinds(4).values())
    once = profile(grid_of(rows))
    many = profile(grid_of(rows * 5))
    for copy in range(5):
        part = many.filter((pl.col("series_id") // len(rows)) == copy)
        assert part.drop("series_id").equals(once.drop("series_id"))


def test_unobserved_hours_before_the_history_do_not_matter():
    rows = np.array(list(kinds(8).values()))
    plain = profile(grid_of(list(rows)))
    longer = profile(grid_of(list(np.pad(rows, ((0, 0), (500, 0)), constant_values=np.nan))))
    for column, dtype in SCHEMA.items():
        if dtype == pl.Float64:
            both = plain[column].fill_null(-1).to_numpy(), longer[column].fill_null(-1).to_numpy()
            assert np.allclose(*both, rtol=0.05, atol=0.02), column  # the first half day's trend is known better
        else:
            assert plain[column].equals(longer[column]), column
