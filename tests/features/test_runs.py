"""Runs against a plain loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.runs import at_or_beyond, find_runs

HOURS = st.sampled_from([0.0, 1.0, np.nan])  # within, beyond, not observed


def slow_runs(row: np.ndarray, lasts_h: int) -> list[tuple[int, int, int, int, bool]]:
    found, run = [], []
    for hour, value in enumerate([*row, 0.0]):
        if value == 1:
            run.append(hour)
        elif value == 0 and run:
            confirmed = run[lasts_h - 1] if len(run) >= lasts_h else -1
            found.append((run[0], run[-1], len(run), confirmed, hour == len(row)))
            run = []
    return found


@given(arrays(float, (3, 17), elements=HOURS), st.integers(1, 4))
def test_runs_are_those_of_a_plain_loop(values, lasts_h):
    runs = find_runs(at_or_beyond(values, np.ones((1, 1)), np.ones((1, 1))), ~np.isnan(values), lasts_h)
    for s in range(3):
        mine = runs.take(runs.row == s)
        fields = (mine.first, mine.last, mine.hours, mine.confirmed, mine.unended)
        assert list(zip(*(field.tolist() for field in fields), strict=True)) == slow_runs(values[s], lasts_h)


def test_no_series_have_no_runs():
    assert len(find_runs(np.zeros((0, 5), bool), np.zeros((0, 5), bool), 3).row) == 0
    assert len(find_runs(np.zeros((2, 0), bool), np.zeros((2, 0), bool), 3).lasting.row) == 0


def test_at_or_beyond_knows_both_sides_and_no_nan():
    values = np.array([[1.0, 2.0, 3.0, np.nan]])
    assert at_or_beyond(values, np.array([[2.0]]), np.array([[1.0]])).tolist() == [[False, True, True, False]]
    assert at_or_beyond(values, np.array([[2.0]]), np.array([[-1.0]])).tolist() == [[True, True, False, False]]
    assert not at_or_beyond(values, np.array([[np.nan]]), np.array([[1.0]])).any()
