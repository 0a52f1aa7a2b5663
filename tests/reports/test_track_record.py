from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.track_record import ALL, ENOUGH, LAST, SIGNAL, SIGNAL_AND_SHAPE, TrackRecord, track_record

NIGHT = datetime(2026, 6, 1)
SCHEMA = {
    "ticket_id": pl.String, "signal": pl.String, "shape": pl.String, "outcome": pl.String, "lead_hours": pl.Float64,
    "settled_as_of": pl.Datetime("us"),
}  # fmt: skip


def settled(*groups: tuple[int, str, str | None, str | None, float | None]) -> pl.DataFrame:
    """n tickets of a signal, shape, outcome and lead, a later group settled later."""
    rows = [
        (f"{night:02}-{n:02}", signal, shape, outcome, lead, NIGHT + timedelta(days=night))
        for night, (count, signal, shape, outcome, lead) in enumerate(groups)
        for n in range(count)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_the_nearest_class_that_is_large_enough_speaks():
    tickets = settled((9, "mem", "trend", "came_true", 40.0), (9, "mem", "flat", "averted", None),
                      (9, "disk", "trend", "false_alarm", None))  # fmt: skip
    assert track_record(tickets, "mem", "trend") == TrackRecord(SIGNAL, 18, 9, 9, 0, 40.0)
    assert track_record(tickets, "cpu", "trend") == TrackRecord(ALL, 27, 9, 9, 9, 40.0)
    more = pl.concat([tickets, settled((1, "mem", "trend", "false_alarm", None))])
    assert track_record(more, "mem", "trend") == TrackRecord(SIGNAL_AND_SHAPE, 10, 9, 0, 1, 40.0)


@pytest.mark.parametrize("outcome", ["unknown", None])
def test_fewer_than_enough_say_nothing_and_what_is_not_known_does_not_count(outcome: str | None):
    few = settled((ENOUGH - 1, "mem", "trend", "came_true", 1.0), (50, "mem", "trend", outcome, None))
    assert track_record(few, "mem", "trend") is None
    assert track_record(few.clear(), "mem", None) is None


def test_only_the_last_count():
    tickets = settled((30, "mem", "trend", "false_alarm", None), (LAST - 5, "mem", "trend", "came_true", 51.0))
    assert track_record(tickets, "mem", "trend") == TrackRecord(SIGNAL_AND_SHAPE, LAST, LAST - 5, 0, 5, 51.0)


@given(st.integers())
def test_the_order_of_rows_does_not_matter(seed: int):
    tickets = settled((45, "mem", "trend", "false_alarm", None), (20, "mem", None, "came_true", 3.0))
    assert track_record(tickets.sample(fraction=1, shuffle=True, seed=seed % 2**32), "mem", None) == track_record(
        tickets, "mem", None
    )


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            TrackRecord(SIGNAL, 12, 0, 1, 11, None),
            "of the last 12 tickets like this (same signal), none came true, 1 was averted and 11 were false alarms",
        ),
        (
            TrackRecord(ALL, 12, 11, 0, 1, 7.6),
            "of the last 12 tickets of all kinds, 11 came true, none were averted and 1 was a false alarm; median lead"
            " 8 h",
        ),
    ],
)
def test_in_words(record: TrackRecord, sentence: str):
    assert record.sentence == sentence
