"""Weeks, months and quarters up to the night. Calendar periods in UTC, the newest cut at the night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

ALL = "all"


class Period(NamedTuple):
    """Start included, end not; named 2026-W22, 2026-05, 2026-Q2 or all."""

    name: str
    start: datetime
    end: datetime


class Grain(NamedTuple):
    """A way to cut time: what its periods are called, where one begins, and a step that leads into the next."""

    name: Callable[[datetime], str]
    start: Callable[[datetime], datetime]
    step: timedelta

    def periods(self, first: datetime, as_of: datetime, at_most: int) -> list[Period]:
        """From the one that holds `first` to the night's, none left out between; the newest `at_most`."""
        found, start = [], self.start(first)
        while start < as_of:
            following = self.start(start + self.step)
            found.append(Period(self.name(start), start, min(following, as_of)))
            start = following
        return found[-at_most:] if at_most else []


def month_start(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def months_before(moment: datetime, months: int) -> datetime:
    """The start of the month so many before the moment's own."""
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return datetime(years, month + 1, 1)


def is_month(name: str) -> bool:
    """Whether a period of this name is a month, as 2026-05 is."""
    return len(name) == 7 and name[5].isdigit()


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _week_start(moment: datetime) -> datetime:
    return _midnight(moment) - timedelta(days=moment.weekday())


def _week_name(start: datetime) -> str:
    year, week, _ = start.isocalendar()
    return f"{year}-W{week:02}"


def _quarter_start(moment: datetime) -> datetime:
    return _midnight(moment).replace(month=1 + 3 * ((moment.month - 1) // 3), day=1)


WEEK = Grain(_week_name, _week_start, timedelta(days=8))
MONTH = Grain(lambda start: f"{start:%Y-%m}", month_start, timedelta(days=32))
QUARTER = Grain(lambda start: f"{start.year}-Q{(start.month + 2) // 3}", _quarter_start, timedelta(days=95))
