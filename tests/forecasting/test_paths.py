"""Weighted quantiles, and what overlapping stretches are worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.history import Scale
from forecasting.paths import Paths, weighted_quantiles, widened

SHARES = np.array([0.1, 0.5, 0.9])[None, :, None]


@settings(max_examples=50, deadline=None)
@given(arrays(float, (1, 9, 2), elements=st.integers(-50, 50).map(float)))
def test_equal_weights_give_plain_quantiles(values):
    found = weighted_quantiles(values, np.full((1, 9), 1 / 9), SHARES)[0]
    expected = np.quantile(values[0], [0.1, 0.5, 0.9], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_path_without_weight_does_not_count():
    values = np.array([1.0, 2.0, 3.0, 1000.0])[None, :, None]
    weights = np.array([[1 / 3, 1 / 3, 1 / 3, 0.0]])
    assert weighted_quantiles(values, weights, SHARES).max() <= 3


def worth(evidence: list[float], hours: int) -> float:
    made = np.array([evidence])
    scale = Scale(np.zeros(1), np.ones(1))
    return float(
        Paths(np.zeros((1, 1, 1), np.float32), np.ones((1, 1), np.float32), np.zeros(1), scale, made).worth(hours)[0]
    )


def test_overlapping_stretches_are_worth_less():
    even = [1 / 56] * 56
    assert worth(even, 24) == pytest.approx(56)
    assert 8 < worth(even, 168) < 9
    apart = [0.25 if day % 10 == 0 else 0.0 for day in range(40)]
    assert worth(apart, 168) == pytest.approx(4)
    assert worth([1.0], 168) == 1


def test_the_fewer_the_pasts_the_wider_up_to_a_bound():
    share = widened((0.1, 0.5, 0.9), np.array([[1.0, 3.0, 6.0, 1000.0]]))
    assert share[0, 1].tolist() == [0.5] * 4
    np.testing.assert_allclose(share[0, 0] + share[0, 2], 1)
    assert (np.diff(share[0, 2]) < 0).all()
    assert 0.9 < share[0, 2, 0] < 1
    assert share[0, 2, 3] == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("pasts", [8, 40])
def test_bands_hold_what_they_promise(pasts, rng):
    """Outcomes and paths of one distribution; of fewer independent paths even the outermost would hold less."""
    values, came = rng.standard_normal((4000, pasts, 1)), rng.standard_normal(4000)
    share = widened((0.1, 0.9), np.full((1, 1), float(pasts)))
    low, high = weighted_quantiles(values, np.full((4000, pasts), 1 / pasts), share)[:, :, 0].T
    assert 0.77 < ((came >= low) & (came <= high)).mean() < 0.83
