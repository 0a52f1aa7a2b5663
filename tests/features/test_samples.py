import numpy as np

from features.samples import Samples

N = np.nan
VALUES = np.array([[N, 1.0, N, N, 2.0, 3.0], [N, N, N, N, N, N], [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]])


def test_gaps_are_closed_and_columns_remembered():
    samples = Samples.of(VALUES)
    assert samples.count.tolist() == [3, 0, 6]
    assert np.array_equal(samples.packed[0], [1, 2, 3, N, N, N], equal_nan=True)
    assert samples.column[0].tolist() == [1, 4, 5, -1, -1, -1]
    assert np.array_equal(samples.distances[0], [3, 1, N, N, N], equal_nan=True)


def test_windows_end_where_the_series_does():
    samples = Samples.of(VALUES)
    window = samples.window(np.array([0, 0]), np.array([-1, 2]), 3)
    assert np.array_equal(window, [[N, 1, 2], [3, N, N]], equal_nan=True)


def test_spaced_points_cover_the_stretch():
    samples = Samples.of(VALUES)
    assert samples.spaced(np.array([2]), np.array([0]), np.array([6]), 3).tolist() == [[5, 7, 9]]


def test_marks_are_in_the_columns_of_the_samples():
    samples = Samples.of(VALUES)
    marks = samples.mark(np.array([0, 2]), np.array([1, 0]))
    assert np.argwhere(marks).tolist() == [[0, 4], [2, 0]]
    assert samples.rank[0, 4] == 1
