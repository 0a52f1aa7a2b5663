"""Reading what the settings' sources tell of maintenance. A source that cannot be read is said, and stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from features.known_bad import Window
from pipelines.maintenance import calendars, silences
from pipelines.maintenance.options import CalendarFile, PlannedWindow, Silences
from pipelines.settings import Settings
from pipelines.sources import alertmanager
from pipelines.sources.errors import InputError, NotFetchedError

SETTINGS = "settings"
AHEAD = timedelta(days=14)
"""How far a calendar is unrolled beyond a night; later nights see what comes later."""


@dataclass(frozen=True)
class Told:
    """What one source tells.

    windows: none where there is a `fault`, which says why it could not be read.
    forgets: whether the source drops what is over, so that its silence about the past means nothing.
    later: ids (``Window.told_as``) that changed after the cut: how they were by then, only the record may know.
    left_out: what it tells besides and is no window, reason -> how many.
    """

    source: str
    windows: list[Window] = field(default_factory=list)
    fault: str | None = None
    forgets: bool = False
    later: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)


def read(settings: Settings, as_of: datetime, *, ask: bool = True) -> list[Told]:
    """What every source tells, for a night's cut (naive UTC); windows of the settings themselves first.

    Args:
        ask: whether to ask servers as well.
    """
    planned = [
        one.window(SETTINGS, one.span(settings.zone), one.why)
        for one in settings.maintenance
        if isinstance(one, PlannedWindow)
    ]
    first = as_of - timedelta(days=settings.storage.retention.hourly_days)
    found = [Told(SETTINGS, sorted(planned, key=lambda window: window.starts_at))] if planned else []
    for one in settings.maintenance:
        if isinstance(one, CalendarFile):
            found.append(_calendar(one, settings, first, as_of + AHEAD))
        elif isinstance(one, Silences) and ask:
            found.append(_silences(one, settings, as_of))
    return found


def _calendar(options: CalendarFile, settings: Settings, first: datetime, until: datetime) -> Told:
    source = calendars.source(options)
    try:
        return Told(source, calendars.read(settings.path(options.ical), options, settings.zone, first, until))
    except InputError as error:
        return Told(source, fault=str(error))


def _silences(options: Silences, settings: Settings, as_of: datetime) -> Told:
    try:
        answer = alertmanager.silences(options.alertmanager, options.access, settings)
        told = silences.windows(answer, options, as_of)
    except (InputError, NotFetchedError) as error:
        return Told(options.source, fault=str(error), forgets=True)
    except ValueError as error:
        return Told(options.source, fault=f"{options.alertmanager}: {error}", forgets=True)
    return Told(options.source, told.windows, forgets=True, later=told.later, left_out=told.left_out)
