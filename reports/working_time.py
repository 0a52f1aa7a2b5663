"""Working hours: when people can mend what is about to break. The only place, besides seasonality, of local time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import model_validator

from features.options import Options

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
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
