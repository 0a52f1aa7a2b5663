"""The mathematics of a crossing, against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.crossing import already_crossed, first_crossing, furthest_held, last_beyond, persistent, probability
from forecasting.history import Scale
from forecasting.paths import Paths

HORIZONS = (24, 72, 168)
VALUES = st.integers(-5, 5).map(float)
few = settings(max_examples=12, deadline=None)
many = settings(max_examples=30, deadline=None)


def slow_first_crossing(path: np.ndarray, limit: float, lasts: int, direction: str) -> int:
    for start in range(len(path) - lasts + 1):
        window = path[start : start + lasts]
        if all(v >= limit if direction == "up" else v <= limit for v in window):
            return start
    return len(path)


@many
@given(arrays(float, (2, 3, 20), elements=VALUES), VALUES, st.integers(1, 9), st.sampled_from(["up", "down"]))
def test_first_crossing_is_the_first_run(paths, limit, lasts, direction):
    found = first_crossing(paths, np.array([limit, limit]), lasts, direction)
    for s in range(2):
        for n in range(3):
            assert found[s, n] == slow_first_crossing(paths[s, n], limit, lasts, direction)


@many
@given(arrays(float, (1, 1, 30), elements=VALUES), st.integers(1, 12))
def test_persistent_is_the_lowest_of_each_window(paths, lasts):
    windows = np.lib.stride_tricks.sliding_window_view(paths[0, 0], lasts)
    assert np.array_equal(persistent(paths, lasts, "up")[0, 0], windows.min(axis=1))


@many
@given(
    arrays(float, 12, elements=st.one_of(VALUES, st.just(np.nan))), VALUES, st.integers(1, 4),
    st.sampled_from(["up", "down"]),
)  # fmt: skip
def test_already_crossed_looks_at_the_last_observed_hours(values, limit, lasts, direction):
    observed = [v for v in values if not np.isnan(v)]
    last = observed[-lasts:]
    expected = len(last) == lasts and all(v >= limit if direction == "up" else v <= limit for v in last)
    assert already_crossed(values[None], np.array([limit]), lasts, direction)[0] == expected


def test_furthest_held_skips_gaps_and_spikes():
    values = np.array([1, 9, 1, 5, np.nan, 6, 5, 1, 1.0])
    assert furthest_held(values, 3, "up") == (5, 6)
    assert furthest_held(values, 2, "down") == (1, 2)
    assert furthest_held(values[:2], 3, "up") is None


def paths_of(values: np.ndarray, origins: int = 40) -> Paths:
    """Equal weights, in units of their own."""
    S, N, _ = values.shape
    return Paths(
        values=values.astype(np.float32),
        weights=np.full((S, N), 1 / N, dtype=np.float32),
        level=values[:, :, 0].mean(axis=1),
        scale=Scale(np.zeros(S), np.ones(S)),
        evidence=np.full((S, origins), 1 / origins),
    )


@few
@given(
    arrays(float, (1, 5, 172), elements=st.floats(-100, 100, width=32)), st.floats(-200, 200),
    st.sampled_from(["up", "down"]), st.integers(1, 5),
)  # fmt: skip
def test_probabilities_are_open_ordered_and_finite(values, limit, direction, lasts):
    found = probability(paths_of(values), np.array([limit]), lasts, direction, HORIZONS)
    assert ((found.p > 0) & (found.p < 1)).all()
    assert (np.diff(found.p, axis=1) >= 0).all()
    assert np.isfinite(found.eta_h).all()
    assert (np.diff(found.eta_h, axis=1) >= 0).all()
    assert ((found.eta_h >= 0) & (found.eta_h <= 168)).all()


@few
@given(arrays(float, (1, 4, 170), elements=st.floats(-9, 9, width=32)), st.floats(-9, 9), st.floats(0, 9))
def test_a_further_limit_is_less_probable(values, limit, further):
    near, far = (probability(paths_of(values), np.array([at]), 3, "up", HORIZONS).p for at in (limit, limit + further))
    assert (far <= near + 1e-12).all()


@few
@given(arrays(float, (1, 4, 170), elements=st.floats(-9, 9, width=32)), st.floats(-9, 9))
def test_down_mirrors_up(values, limit):
    up = probability(paths_of(values), np.array([limit]), 3, "up", HORIZONS)
    down = probability(paths_of(-values), np.array([-limit]), 3, "down", HORIZONS)
    assert np.array_equal(up.p, down.p)
    assert np.array_equal(up.eta_h, down.eta_h)


@pytest.mark.parametrize("limit", [np.inf, -np.inf, 1e300, -1e300])
def test_limits_out_of_this_world(limit):
    values = np.random.default_rng(1).normal(size=(1, 20, 170))
    p = probability(paths_of(values), np.array([limit]), 3, "up", HORIZONS).p
    assert (p < 0.01).all() if limit > 0 else (p > 0.9).all()


def test_steady_rise_gives_the_hour_it_arrives():
    values = np.arange(170.0)[None, None] + np.random.default_rng(1).normal(0, 0.5, (1, 60, 170))
    found = probability(paths_of(values), np.array([100.0]), 3, "up", HORIZONS)
    assert found.p[0, 1] < 0.15
    assert found.p[0, 2] > 0.85
    assert abs(found.eta_h[0, 1] - 100) < 6


def test_little_evidence_is_never_sure():
    values = np.random.default_rng(1).normal(10, 1, (1, 50, 170))
    above, below = np.array([10.5]), np.array([13.0])
    much, little = (paths_of(values, origins) for origins in (56, 1))
    assert probability(much, above, 3, "up", HORIZONS).p[0, 2] > 0.9
    assert probability(little, above, 3, "up", HORIZONS).p[0, 2] < 0.9
    assert probability(much, below, 3, "up", HORIZONS).p[0, 2] < 0.05
    assert probability(little, below, 3, "up", HORIZONS).p[0, 2] > 0.05


@many
@given(st.lists(st.sampled_from([0.0, 1.0, np.nan]), max_size=24), st.integers(1, 4), st.sampled_from(["up", "down"]))
def test_the_newest_crossing_is_found_as_by_hand(values: list[float], lasts_h: int, direction: str) -> None:
    level = np.array(values) if direction == "up" else -np.array(values)
    observed = [hour for hour, value in enumerate(values) if not np.isnan(value)]
    runs = [observed[start : start + lasts_h] for start in range(len(observed) - lasts_h + 1)]
    ends = [run[-1] for run in runs if all(values[hour] >= 1 for hour in run)]
    expected = len(values) - max(ends) if ends else None
    assert last_beyond(level, 1.0 if direction == "up" else -1.0, lasts_h, direction) == expected
