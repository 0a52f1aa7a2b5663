"""One interface, whatever does the work."""

import math
import operator

import pytest

from forecasting.mapper import ProcessPool, Serial


@pytest.mark.parametrize("mapper", [Serial(), ProcessPool(1), ProcessPool(2)], ids=["serial", "one", "two"])
def test_results_come_in_order_from_an_iterator(mapper):
    assert list(mapper.map(operator.neg, iter(range(7)))) == [0, -1, -2, -3, -4, -5, -6]
    assert list(mapper.map(operator.neg, [])) == []


def test_errors_are_passed_on():
    for mapper in (Serial(), ProcessPool(2)):
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):
            list(mapper.map(math.sqrt, [4, -1, 9]))


def test_a_single_batch_stays_in_this_process():
    assert list(ProcessPool(2).map(lambda batch: batch, ["cannot be pickled"])) == ["cannot be pickled"]


def test_batches_are_taken_as_they_are_needed():
    taken = []

    def batches():
        for batch in range(50):
            taken.append(batch)
            yield batch

    next(ProcessPool(2).map(operator.neg, batches()))
    assert len(taken) < 10
