"""Which night's report a destination gets."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.due_nights import PATIENCE, is_due, next_due, outstanding
from reports.receivers import DueOn

MONDAY = date(2026, 6, 1)
DAY = timedelta(days=1)
due_on = st.sets(st.sampled_from(get_args(DueOn)), min_size=1)


@pytest.mark.parametrize(
    ("nights", "due"),
    [
        (["mon"], [1, 8, 15, 22, 29]),
        (["first"], [1]),
        (["tue", "first"], [1, 2, 9, 16, 23, 30]),
        (["every"], list(range(1, 31))),
    ],
)
def test_nights_are_due_as_named(nights: list[DueOn], due: list[int]) -> None:
    june = [MONDAY + n * DAY for n in range(30)]
    assert [night.day for night in june if is_due(night, nights)] == due


@given(st.dates(max_value=date(9000, 1, 1)), due_on)
def test_the_next_one_is_the_first_that_is_due(night: date, nights: set[DueOn]) -> None:
    found = next_due(night, nights)
    between = [night + n * DAY for n in range(1, (found - night).days)]
    assert found > night and is_due(found, nights) and not any(is_due(each, nights) for each in between)


@given(due_on, st.lists(st.booleans(), min_size=1, max_size=40))
def test_each_report_that_is_due_arrives_once_or_gives_way_to_a_newer_one(nights: set[DueOn], up: list[bool]) -> None:
    """Over nights on which the destination is up or down, each of which is run twice."""
    tried: dict[date, bool] = {}
    sent: list[date] = []
    for n, is_up in enumerate(up):
        tonight = MONDAY + n * DAY
        for _ in range(2):
            night = outstanding(tonight, nights, tried)
            if night is not None:
                assert is_due(night, nights) and tonight - PATIENCE < night <= tonight
                tried[night] = is_up
                sent += [night] * is_up
        due = [MONDAY + k * DAY for k in range(n + 1) if is_due(MONDAY + k * DAY, nights)]
        if is_up and due and tonight - due[-1] < PATIENCE:
            assert sent[-1] == due[-1]
    assert sent == sorted(set(sent))


def test_what_failed_long_ago_is_news_no_more() -> None:
    assert outstanding(MONDAY + 6 * DAY, ["first"], {MONDAY: False}) == MONDAY
    assert outstanding(MONDAY + 7 * DAY, ["first"], {MONDAY: False}) is None


def test_a_newer_one_that_arrived_is_enough() -> None:
    assert outstanding(MONDAY + 3 * DAY, ["mon"], {MONDAY: False, MONDAY + DAY: True}) is None
