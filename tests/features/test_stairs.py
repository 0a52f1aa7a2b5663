import numpy as np
import pytest
from synthetic_series import HOURS, T, cycles, kinds

from features.calm import Calm
from features.stairs import is_staircase

RISES = (100, 260, 500, 640, 900, 1180, 1300)


def stairs(sizes: float | list[float], noise: float = 0.1) -> np.ndarray:
    up = np.zeros(HOURS)
    up[list(RISES)] = sizes
    return 20 + np.cumsum(up) + np.random.default_rng(1).normal(0, noise, HOURS)


def found(values: np.ndarray) -> bool:
    return bool(is_staircase(Calm.of(values[None]))[0])


@pytest.mark.parametrize("sizes", [5.0, [1.0, 4, 2, 2, 5, 3, 1.5]])
@pytest.mark.parametrize("direction", [1, -1])
def test_rare_jumps_one_way_are_a_staircase(sizes, direction):
    assert found(direction * stairs(sizes))
    assert found(direction * np.where(T % 6 == 5, stairs(sizes), np.nan))


def test_stairs_without_noise_are_one_where_they_differ():
    assert found(stairs([1.0, 4, 2, 2, 5, 3, 1.5], noise=0))


def test_a_rounded_line_is_none():
    assert not found(np.floor(20 + np.arange(HOURS) / 150))


def test_a_staircase_that_has_stopped_is_none():
    assert not found(np.concatenate([stairs(5.0)[-500:], np.full(HOURS - 500, 55.0)]))


def test_up_and_down_is_none():
    assert not found(stairs([5.0, -5, 5, -5, 5, -5, 5]))


@pytest.mark.parametrize("kind", [k for k in kinds(0) if not k.startswith("staircase")])
def test_nothing_else_is_one(kind):
    assert not found(kinds(5)[kind])


def test_a_tooth_is_none():
    assert not found(-cycles(200, 30))
