import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.robust import EXTREME, WIDE, mad, median, quantiles, standardise, variance

tables = arrays(float, (3, 9), elements=st.floats(-1e6, 1e6) | st.just(float("nan")))


@settings(max_examples=60)
@given(tables)
def test_quantiles_are_those_of_the_observed(values):
    found = quantiles(values, (0.0, 0.05, 0.5, 1.0))
    for row, column in zip(values, found.T, strict=True):
        seen = row[~np.isnan(row)]
        if len(seen):
            assert column == pytest.approx(np.quantile(seen, [0.0, 0.05, 0.5, 1.0]), rel=1e-9, abs=1e-9)
        else:
            assert np.isnan(column).all()


@settings(max_examples=60)
@given(tables)
def test_variance_is_that_of_the_observed(values):
    for row, found in zip(values, variance(values), strict=True):
        seen = row[~np.isnan(row)]
        assert found == pytest.approx(np.var(seen) if len(seen) else 0.0, rel=1e-6, abs=1e-3)


def test_mad_estimates_the_sd_and_ignores_spikes():
    values = np.random.default_rng(0).normal(5, 2, (1, 20_000))
    values[0, :1000] = 1e6
    assert mad(values)[0] == pytest.approx(2, rel=0.1)


def test_empty_rows_have_no_median():
    assert np.isnan(median(np.empty((2, 0)))).all()


@settings(max_examples=60)
@given(arrays(float, (2, 8), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_standardised_values_are_small_whatever_they_were(values):
    found = standardise(values)
    assert np.array_equal(np.isnan(found.values), ~np.isfinite(values))
    assert np.nanmax(np.abs(found.values), initial=0) <= EXTREME
    assert np.isfinite(found.centre).all()
    assert (found.scale > 0).all()
    assert np.isfinite(found.scale).all()


def test_standardised_values_lead_back():
    values = np.random.default_rng(1).normal(1e9, 10, (4, 100))
    found = standardise(values)
    assert np.allclose(found.values * found.scale[:, None] + found.centre[:, None], values)


@settings(max_examples=60)
@given(arrays(float, (3, WIDE + 1), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))), st.booleans())
def test_a_selected_median_is_the_sorted_one(values, odd):
    wide = values[:, odd:]
    assert np.array_equal(median(wide), quantiles(wide, (0.5,))[0], equal_nan=True)
