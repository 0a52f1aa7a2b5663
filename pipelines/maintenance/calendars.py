"""Calendar files (iCalendar, RFC 5545) as known-bad windows.

Belongs here: the file, its faults, and its events between two moments. Recurrence, exceptions and moved events are
``recurring_ical_events``' to get right. What repeats for ever is unrolled between the two moments only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from features.known_bad import Window
from pipelines.maintenance.options import CalendarFile, to_utc
from pipelines.sources.errors import InputError, shown

LARGEST = 10 << 20  # bytes; a calendar of many years has less
MOST = 20_000  # windows; a calendar that repeats every hour for two years has fewer
TOO_OFTEN = {"SECONDLY", "MINUTELY"}


def read(path: Path, options: CalendarFile, zone: ZoneInfo, first: datetime, until: datetime) -> list[Window]:
    """The windows of a file between two moments (naive UTC), in order.

    Args:
        zone: of times that carry none, and of days.

    Raises:
        InputError: the file cannot be read or is no calendar, an event has an unknown zone or ends before it starts,
            or there are too many.
    """
    name = shown(path.name)
    calendar = _parsed(path, name)
    try:
        for event in calendar.walk("VEVENT"):
            _examine(event, zone, name)
        events = recurring_ical_events.of(calendar).between(first - timedelta(days=1), until + timedelta(days=1))
        found = sorted(_windows(events, options, zone, name), key=lambda each: (each.starts_at, each.ends_at))
    except InputError:
        raise
    except Exception as error:  # the libraries let out whatever a malformed rule makes dateutil raise
        raise InputError(f"{name}: an event cannot be read ({_said(error)}); correct its times or its RRULE") from error
    return [window for window in found if window.ends_at > first and window.starts_at < until]


def _parsed(path: Path, name: str) -> icalendar.Calendar:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{name}: is larger than {LARGEST >> 20} MiB; keep maintenance in a calendar of its own")
        calendar = icalendar.Calendar.from_ical(path.read_bytes())
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); correct maintenance.ical") from error
    except Exception as error:  # the library lets out whatever a broken file makes it raise
        raise InputError(f"{name}: is no calendar ({_said(error)}); export it again as iCalendar (.ics)") from error
    if not isinstance(calendar, icalendar.Calendar):
        raise InputError(f"{name}: is no calendar; export it again as iCalendar (.ics)")
    return calendar


def _examine(event: Any, zone: ZoneInfo, name: str) -> None:
    """What the libraries would take without a word.

    Raises:
        InputError: with the event's summary and the mend.
    """
    what = f"{name}: event {_summary(event)[:60]!r}"
    if event.get("DTSTART") is None:
        raise InputError(f"{what} has no DTSTART; give it one, or remove it")
    for key in ("DTSTART", "DTEND"):
        found = event.get(key)
        named = found.params.get("TZID") if found is not None else None
        if found is not None and named and isinstance(found.dt, datetime) and found.dt.tzinfo is None:
            raise InputError(f"{what} is of the unknown zone {shown(str(named))!r}; use an IANA name or a VTIMEZONE")
    ends = event.get("DTEND")
    if ends is not None and _moment(ends.dt, zone) < _moment(event["DTSTART"].dt, zone):
        raise InputError(f"{what} ends before it starts; correct DTSTART or DTEND")
    rules = event.get("RRULE") or []
    for rule in rules if isinstance(rules, list) else [rules]:
        often = {str(one).upper() for one in rule.get("FREQ", [])} & TOO_OFTEN
        if often:
            raise InputError(f"{what} repeats {often.pop().lower()}; a window is made of hours, let it repeat hourly")


def _windows(events: Any, options: CalendarFile, zone: ZoneInfo, name: str) -> Iterator[Window]:
    for number, event in enumerate(events):
        if number >= MOST:
            raise InputError(f"{name}: holds more than {MOST:,} events; keep maintenance in a calendar of its own")
        summary = _summary(event)
        if str(event.get("STATUS", "")).upper() == "CANCELLED" or not fnmatchcase(summary, options.summary):
            continue
        starts_at, ends_at = (_moment(event[key].dt, zone) for key in ("DTSTART", "DTEND"))
        if ends_at > starts_at:  # a reminder without a length hides nothing
            yield options.window(source(options), (starts_at, ends_at), summary)


def source(options: CalendarFile) -> str:
    """What a file is called in messages and in the record."""
    return f"calendar {options.ical}"


def _moment(moment: date, zone: ZoneInfo) -> datetime:
    return to_utc(moment if isinstance(moment, datetime) else datetime.combine(moment, time()), zone)


def _summary(event: Any) -> str:
    return shown(str(event.get("SUMMARY", "") or ""))


def _said(error: Exception) -> str:
    return shown(" ".join(str(error).split())[:120])
