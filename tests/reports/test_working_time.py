from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.working_time import DAYS, WorkingCalendar, WorkingHours

BERLIN = WorkingCalendar(ZoneInfo("Europe/Berlin"), WorkingHours(), frozenset({date(2026, 5, 1)}))
FIRST, LAST = datetime(2026, 3, 1), datetime(2026, 6, 30)


def hours(calendar: WorkingCalendar, start: datetime, end: datetime) -> float:
    clock = calendar.clock(FIRST, LAST)
    return float(clock.between(*(np.array([t.replace(tzinfo=UTC).timestamp()]) for t in (start, end)))[0] / 3600)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (datetime(2026, 4, 8, 7), datetime(2026, 4, 8, 15), 8),  # a Wednesday from 9 to 17 in Berlin
        (datetime(2026, 4, 8, 14), datetime(2026, 4, 9, 8), 2),  # over night
        (datetime(2026, 4, 10, 14), datetime(2026, 4, 13, 8), 2),  # over a weekend
        (datetime(2026, 4, 30, 14), datetime(2026, 5, 4, 8), 2),  # over a holiday and a weekend
        (datetime(2026, 3, 27, 15), datetime(2026, 3, 30, 8), 2),  # the clocks went forward in between
        (datetime(2026, 4, 8, 20), datetime(2026, 4, 8, 23), 0),
        (datetime(2026, 4, 8, 15), datetime(2026, 4, 8, 7), 0),
    ],
)
def test_the_clock_runs_in_working_hours(start: datetime, end: datetime, expected: float) -> None:
    assert hours(BERLIN, start, end) == pytest.approx(expected)


@given(st.datetimes(FIRST, datetime(2026, 6, 20)), st.integers(0, 9 * 24 * 60))
def test_it_is_the_sum_over_minutes(start: datetime, minutes: int) -> None:
    """Counted minute by minute in the zone."""
    start = start.replace(second=0, microsecond=0)
    local = [(start + timedelta(minutes=k)).replace(tzinfo=UTC).astimezone(BERLIN.zone) for k in range(minutes)]
    at_work = sum(
        DAYS[t.weekday()] in BERLIN.hours.days and 9 <= t.hour < 17 and t.date() not in BERLIN.holidays for t in local
    )
    assert hours(BERLIN, start, start + timedelta(minutes=minutes)) == pytest.approx(at_work / 60)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
def test_a_placeholder_for_no_time_stops_no_clock(zone: str) -> None:
    """Year 1 is out of the calendar's range west of UTC, and 740,000 days long elsewhere."""
    clock = WorkingCalendar(ZoneInfo(zone)).clock(datetime(1, 1, 1), LAST)
    at = np.array([datetime(2026, 4, 1, tzinfo=UTC).timestamp()])
    assert clock.between(at, at + 7 * 86_400) == pytest.approx(40 * 3600)


def test_nobody_works_on_holidays_alone() -> None:
    never = WorkingCalendar(
        BERLIN.zone, WorkingHours(days=("sun",)), frozenset(date(2026, 3, 1) + timedelta(n) for n in range(150))
    )
    assert hours(never, FIRST, LAST) == 0
