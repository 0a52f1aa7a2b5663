"""When a statistic of one group is given, and when it is withheld."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from reports.incident_measures import SHARES, Durations, estimates
from reports.statistics import share_interval


def durations(seconds: list[float], finished: list[bool]) -> Durations:
    return Durations(np.arange(len(seconds)) / 1000, np.array(seconds), np.array(finished))


def test_a_share_is_withheld_where_none_has_been_followed_that_long() -> None:
    """Half are done within a minute, the others open for half an hour: nobody knows how many will be within 4 h."""
    found = estimates(durations([60.0] * 10 + [1800.0] * 10, [True] * 10 + [False] * 10), 10)
    assert [found[name].value for name in SHARES] == [None, None, None]
    done = estimates(durations([60.0] * 20, [True] * 20), 10)
    assert [done[name].value for name in SHARES] == [1, 1, 1]


def test_without_open_ones_it_is_the_plain_share() -> None:
    found = estimates(durations([60.0] * 7 + [5000.0] * 13, [True] * 20), 10)["share_1h"]
    assert (found.value, found.n) == (pytest.approx(7 / 20), 20)
    assert found[1:3] == pytest.approx(share_interval(7, 20))


def test_open_ones_count_for_less() -> None:
    """As statsmodels has the curve and its standard error."""
    rng = np.random.default_rng(1)
    seconds, finished = rng.lognormal(8, 1.5, 80).round(), rng.random(80) < 0.6
    found = estimates(durations(list(seconds), list(finished)), 10)["share_1h"]
    curve = SurvfuncRight(seconds, finished.astype(float))
    at = np.searchsorted(curve.surv_times, 3600.0, side="right") - 1
    left, error = (float(np.asarray(each)[at]) for each in (curve.surv_prob, curve.surv_prob_se))
    worth = left * (1 - left) / error**2
    assert worth < 80
    assert found.value == pytest.approx(1 - left, rel=1e-9)
    assert found[1:3] == pytest.approx(share_interval((1 - left) * worth, worth), rel=1e-9)


@given(st.lists(st.tuples(st.integers(1, 100_000), st.booleans()), min_size=10, max_size=40))
def test_a_share_lies_within_its_interval(rows: list[tuple[int, bool]]) -> None:
    found = estimates(durations([float(r[0]) for r in rows], [r[1] for r in rows]), 10)
    for name in SHARES:
        value, lo, hi, _ = found[name]
        assert (value is None) == (lo is None) == (hi is None)
        assert value is None or (lo is not None and hi is not None and lo - 1e-12 <= value <= hi + 1e-12)
