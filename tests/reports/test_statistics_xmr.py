from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import xmr
from reports.statistics.xmr import OF_LIMITS, OF_RANGES


def test_the_constants_are_those_of_a_normal_process() -> None:
    """The median moving range of a normal process is 0.954 sd: |N(0, 2)|, halved."""
    median_range = np.sqrt(2) * stats.norm.ppf(0.75)
    assert pytest.approx(3 / median_range, abs=5e-4) == OF_LIMITS
    mean_range, spread = 2 / np.sqrt(np.pi), np.sqrt(2 - 4 / np.pi)
    assert pytest.approx((mean_range + 3 * spread) / median_range, abs=5e-3) == OF_RANGES


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=60))
def test_limits_are_medians_and_their_ranges(values: list[float]) -> None:
    found = xmr(np.array(values))
    assert found is not None
    ranges = sorted(abs(b - a) for a, b in pairwise(values))
    middle = len(ranges) // 2
    median_range = ranges[middle] if len(ranges) % 2 else (ranges[middle - 1] + ranges[middle]) / 2
    assert found.centre == pytest.approx(np.median(values))
    assert found.upper - found.lower == pytest.approx(2 * 3.145 * median_range)
    assert found.range_upper == pytest.approx(3.865 * median_range)
    assert [bool(each) for each in found.outside] == [not found.lower <= value <= found.upper for value in values]


def test_an_outlier_stands_out_and_does_not_hide_itself() -> None:
    values = np.array([1, 1.2, 0.9, 1.1, 1.0, 1.15, 5.0, 0.95, 1.05, 1.1])
    found = xmr(values)
    assert found is not None
    assert np.flatnonzero(found.outside).tolist() == [6]
    assert not found.in_run.any()


def test_eight_in_a_row_are_a_run() -> None:
    values = np.array([1.1, 0.1] * 4 + [1.2] * 8 + [0.2] * 8)
    found = xmr(values)
    assert found is not None
    assert np.flatnonzero(found.in_run).tolist() == list(range(8, 24))
    assert xmr(values[:7]) is None


def test_a_process_at_rest_seldom_stands_out() -> None:
    rng = np.random.default_rng(1)
    charts = [xmr(rng.normal(size=24)) for _ in range(400)]
    assert np.mean([chart is not None and chart.outside.mean() for chart in charts]) < 0.02
