"""From ticket events in the warehouse to documents that can leave the house.

Belongs here: reading what a ticket needs (its events, its series' hours, its forecast, its limit) and handing it to the
rooms that write and draw. Not here: what a ticket says (``reports.ticket_text``) or where it goes (``trackers``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b

import duckdb
import polars as pl

from features.breaks import find_breaks
from features.grid import to_grid
from pipelines.settings import SHADOW, Settings
from pipelines.settings import Outbox as OutboxSettings
from pipelines.trackers.base import TicketDocument, Tracker
from pipelines.trackers.outbox import Outbox
from pipelines.trackers.publish import PendingEvent
from reports.services import service_of
from reports.ticket_chart import chart_of, draw
from reports.ticket_events import RESOLVED, TicketEvent, histories
from reports.ticket_text import TicketContext, markdown, record, title, withdrawn
from reports.track_record import track_record

WITHDRAWN = "withdrawn"
CHART_DAYS = 42
"""More than any chart shows, so that the chart decides."""


def trackers(settings: Settings) -> list[Tracker]:
    """The trackers that the settings name, and the folder of what is not published."""
    return [*(_tracker(each, settings) for each in settings.tickets.trackers), Outbox(settings.shadow_folder, SHADOW)]


def _tracker(options: OutboxSettings, settings: Settings) -> Tracker:
    return Outbox(settings.folder_of(options), options.name)


def pending(con: duckdb.DuckDBPyConnection, settings: Settings, names: Sequence[str]) -> dict[str, list[PendingEvent]]:
    """What each of the trackers `names` has yet to be told.

    That is the newest event of every ticket that concerns it and did not reach it as it is told now, and the withdrawal
    of every ticket that it was told of and that is no more: its night was run again and does not open it any longer.
    """
    told = histories(con.sql("FROM reports.ticket_events").pl())
    arrived = con.sql(
        "SELECT tracker, ticket_id, as_of, event_no, digest FROM reports.publications WHERE state = 'done' ORDER BY ALL"
    ).fetchall()
    done = {(tracker, ticket_id, digest) for tracker, ticket_id, _as_of, _event_no, digest in arrived}
    audience = _Audience.of(con)
    found: dict[str, list[PendingEvent]] = {name: [] for name in names}
    for ticket_id, history in told.items():
        event, digest = history[-1], digest_of(history)
        lacking = [
            name for name in names if (name, ticket_id, digest) not in done and audience.is_concerned(name, event)
        ]
        if lacking:
            newest = PendingEvent(event.as_of, event.event_no, document(con, settings, history), digest)
            for name in lacking:
                found[name].append(newest)
    for tracker, ticket_id, as_of, event_no, digest in arrived:
        if tracker in names and ticket_id not in told and digest != WITHDRAWN:
            found[tracker].append(PendingEvent(as_of, event_no, withdrawal(ticket_id), WITHDRAWN))
    return found


@dataclass(frozen=True)
class _Audience:
    """Who is told of a ticket: the trackers where its service is published, else those who look at the shadow.

    Whoever was told once is told to the end, so that no ticket is left open in a tracker for ever when its service is
    switched off; of what is over before it was told, nobody is.
    """

    published: frozenset[str | None]  # services, as of the newest night
    told: frozenset[tuple[str, str]]  # tracker and ticket_id of every call that was tried

    @staticmethod
    def of(con: duckdb.DuckDBPyConnection) -> _Audience:
        newest = "SELECT max(as_of) FROM reports.service_modes"
        services = con.sql(f"SELECT service FROM reports.service_modes WHERE published AND as_of = ({newest})")
        tried = con.sql("SELECT DISTINCT tracker, ticket_id FROM reports.publications")
        return _Audience(
            frozenset(service for (service,) in services.fetchall()),
            frozenset((tracker, ticket_id) for tracker, ticket_id in tried.fetchall()),
        )

    def is_concerned(self, tracker: str, event: TicketEvent) -> bool:
        if (tracker, event.ticket_id) in self.told:
            return True
        if event.event == RESOLVED:
            return False
        if tracker != SHADOW:
            return event.service in self.published
        return event.service not in self.published and event.ticket_id not in self.told_of

    @cached_property
    def told_of(self) -> frozenset[str]:
        return frozenset(ticket_id for _tracker, ticket_id in self.told)


def digest_of(history: Sequence[TicketEvent]) -> str:
    """A digest of everything that a ticket's events tell."""
    return blake2b(repr(list(history)).encode(), digest_size=16).hexdigest()


def withdrawal(ticket_id: str) -> TicketDocument:
    """The end of a ticket that should not have been opened."""
    fingerprint, _, _ = ticket_id.partition("-")
    told = {"ticket_id": ticket_id, "fingerprint": fingerprint, "status": "resolved", "event": WITHDRAWN}
    return TicketDocument(
        ticket_id=ticket_id,
        fingerprint=fingerprint,
        status="resolved",
        title=f"{ticket_id}: withdrawn",
        markdown=withdrawn(ticket_id),
        png=None,
        payload=told | {"title": f"{ticket_id}: withdrawn"},
    )


def document(con: duckdb.DuckDBPyConnection, settings: Settings, history: Sequence[TicketEvent]) -> TicketDocument:
    """A ticket's newest state, written and drawn."""
    event = history[-1]
    context = context_of(con, settings, event)
    png = draw_ticket(con, event, context)
    return TicketDocument(
        ticket_id=event.ticket_id,
        fingerprint=event.fingerprint,
        status="resolved" if event.event == "resolved" else "open",
        title=title(event, context),
        markdown=markdown(history, context, f"{event.ticket_id}.png"),
        png=png,
        payload=record(history, context),
    )


def context_of(con: duckdb.DuckDBPyConnection, settings: Settings, event: TicketEvent) -> TicketContext:
    """What surrounds a ticket: signal, service, calendar, where its limit is from, who drew its path, its record."""
    labels = con.execute("SELECT labels FROM raw.series WHERE series_id = $id", {"id": event.series_id}).fetchall()
    basis = con.execute(
        "SELECT basis FROM forecasting.limits WHERE series_id = $id AND limit_name = $name AND valid_from <= $as_of"
        " ORDER BY valid_from DESC LIMIT 1",
        {"id": event.series_id, "name": event.limit_name, "as_of": event.as_of},
    ).fetchall()
    drawn_by = con.execute(
        "SELECT model FROM forecasting.forecasts WHERE series_id = $id AND as_of = $as_of LIMIT 1",
        {"id": event.series_id, "as_of": event.as_of},
    ).fetchall()
    return TicketContext(
        zone=settings.zone,
        signal=next((signal for signal in settings.signals.all if signal.name == event.signal), None),
        labels=json.loads(labels[0][0]) if labels else {},
        limit_basis=basis[0][0] if basis else None,
        service=service_of(event.entity, settings.services),
        services=settings.services,
        hours=settings.calendar.working_hours,
        holidays=settings.calendar.holidays,
        path_model=drawn_by[0][0] if drawn_by else None,
        kept=track_record(settled_before(con, event), event.signal, event.shape),
    )


def settled_before(con: duckdb.DuckDBPyConnection, event: TicketEvent) -> pl.DataFrame:
    """The other tickets whose outcome was known on the night of an event, as they were opened."""
    return con.sql(
        "SELECT ticket_id, signal, shape, outcome, lead_hours, settled_as_of"
        " FROM reports.ticket_outcomes JOIN reports.ticket_events USING (ticket_id)"
        " WHERE event = 'opened' AND settled_as_of <= $as_of AND ticket_id <> $ticket_id ORDER BY ALL",
        params={"as_of": event.as_of, "ticket_id": event.ticket_id},
    ).pl()


def draw_ticket(con: duckdb.DuckDBPyConnection, event: TicketEvent, context: TicketContext) -> bytes:
    """The chart of a ticket: what was measured, what is forecast, and the limit."""
    hours = hours_of(con, event.series_id, event.as_of)
    grid = to_grid(hours, event.as_of, 24 * CHART_DAYS)
    marks = find_breaks(grid.values).resets.any(axis=0) if len(grid.series_id) else []
    resets = [hour.astype("datetime64[us]").item() for hour in grid.hours[marks]] if len(grid.series_id) else []
    return draw(chart_of(event, context, hours.select("hour", "mean"), path_of(con, event), resets))


def hours_of(con: duckdb.DuckDBPyConnection, series_id: int, as_of: datetime) -> pl.DataFrame:
    """The recent hours of one series: series_id, hour, mean."""
    return con.sql(
        "SELECT series_id, hour, mean FROM features.hourly"
        " WHERE series_id = $id AND hour >= $first AND hour < $as_of ORDER BY hour",
        params={"id": series_id, "first": as_of - timedelta(days=CHART_DAYS), "as_of": as_of},
    ).pl()


def path_of(con: duckdb.DuckDBPyConnection, event: TicketEvent) -> pl.DataFrame:
    """The forecast of a ticket's series as of its newest event: hour and quantiles."""
    return con.sql(
        "SELECT hour, q10, q25, q50, q75, q90 FROM forecasting.forecasts"
        " WHERE series_id = $id AND as_of = $as_of ORDER BY hour",
        params={"id": event.series_id, "as_of": event.as_of},
    ).pl()
