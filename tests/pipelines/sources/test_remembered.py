"""Which days are asked for, in which spans, and when a day is asked for no more."""

from datetime import date, datetime, timedelta

import polars as pl

from pipelines.sources.remembered import Span, is_settled, spans, wanted, whole_history

AS_OF = datetime(2026, 3, 2, 1)
DAYS = [date(2026, 3, 2), date(2026, 3, 1), date(2026, 2, 28), date(2026, 2, 27)]


def test_days_that_are_complete_are_left_out_and_the_others_are_few_spans():
    history = whole_history(AS_OF, 3)
    assert wanted(None, "q", history) == DAYS
    rows = [("q", DAYS[2], True), ("q", DAYS[1], False), ("other", DAYS[3], True)]
    days = wanted(pl.DataFrame(rows, ["query", "day", "complete"], orient="row"), "q", history)
    assert days == [DAYS[0], DAYS[1], DAYS[3]]
    newest = Span(datetime(2026, 3, 1), AS_OF)
    assert spans(days, history) == [newest, Span(datetime(2026, 2, 27), datetime(2026, 2, 28))]
    assert [len(span.days) for span in spans(days, history, 1)] == [1, 1, 1]


def test_a_day_settles_when_it_is_over_and_was_asked_for_to_its_end():
    day, end, settles = date(2026, 3, 1), datetime(2026, 3, 2), timedelta(hours=6)
    assert is_settled(day, end, end + settles, settles)
    assert not is_settled(day, end, end + timedelta(hours=5), settles)
    assert not is_settled(day, end - timedelta(minutes=5), end + settles, settles)
