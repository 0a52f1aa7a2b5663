"""Working hours: when people can mend what is about to break. The only place, besides seasonality, of local time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import model_validator

from features.options import Options

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EARLIEST = datetime(1970, 1, 1)  # what is dated earlier, as year 1, is the placeholder of some system
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WorkingHours(Options):
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")
    start: time = time(9)
    end: time = time(17)

    @model_validator(mode="after")
    def _ordered(self) -> WorkingHours:
        if self.start >= self.end:
            raise ValueError("start must come before end")
        return self


def last_working_moment(
    before: datetime, after: datetime, zone: ZoneInfo, hours: WorkingHours, holidays: Collection[date]
) -> datetime | None:
    """The latest moment within working hours at or before `before` and later than `after`.

    Args:
        before, after: naive UTC.

    Returns:
        Aware, in `zone`; None where no working time lies between the two.
    """
    deadline, start = (t.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone) for t in (before, after))
    day = deadline.date()
    while day >= start.date():
        if DAYS[day.weekday()] in hours.days and day not in holidays:
            opens, closes = (datetime.combine(day, t, zone) for t in (hours.start, hours.end))
            latest = min(closes, deadline)
            if latest > max(opens, start):
                return latest
        day -= timedelta(days=1)
    return None


@dataclass(frozen=True)
class WorkingCalendar:
    """When a team works: its zone, hours and holidays."""

    zone: ZoneInfo
    hours: WorkingHours = field(default_factory=WorkingHours)
    holidays: Collection[date] = ()

    def clock(self, first: datetime, last: datetime) -> WorkingClock:
        """A clock that runs in working hours only, from `first` to `last`, naive UTC; never before 1970."""
        spanned = (max(first, EARLIEST), last)
        start, end = (t.replace(tzinfo=ZoneInfo("UTC")).astimezone(self.zone).date() for t in spanned)
        days = (start + timedelta(days=n) for n in range((end - start).days + 1))
        spans = [
            tuple(datetime.combine(day, t, self.zone).timestamp() for t in (self.hours.start, self.hours.end))
            for day in days
            if DAYS[day.weekday()] in self.hours.days and day not in self.holidays
        ]
        return WorkingClock(*np.array(spans, dtype=float).reshape(-1, 2).T)


class WorkingClock:
    """Measures the working time between moments, many at once.

    Args:
        opens, closes: [d] epoch seconds of each working day, ascending.
    """

    def __init__(self, opens: np.ndarray, closes: np.ndarray):
        self._opens = opens
        self._lengths = closes - opens
        self._before = np.concatenate([[0.0], np.cumsum(self._lengths)])

    def between(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Working seconds from each `start` to each `end`, [n] epoch seconds; 0 where it ends before it starts."""
        return np.maximum(0.0, self._passed(end) - self._passed(start))

    def _passed(self, moments: np.ndarray) -> np.ndarray:
        if not len(self._opens):
            return np.zeros(len(moments))
        day = np.searchsorted(self._opens, moments, side="right") - 1
        today = np.clip(moments - self._opens[day], 0.0, self._lengths[day])
        return np.where(day < 0, 0.0, self._before[np.maximum(day, 0)] + today)
