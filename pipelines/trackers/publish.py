"""Write-ahead for the outside world: nothing twice, nothing lost.

An intent is written down before the tracker is called, its key after. Where an intent has no such end (a crash, a
time-out), the call may have landed all the same: then the ticket is looked up by its marker before one is created.

Belongs here: that order. Not here: the ledger's table (``reports.publications``, behind the port below), the trackers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pipelines.trackers.base import TicketDocument, Tracker, TrackerError

State = Literal["intended", "done", "failed"]


@dataclass(frozen=True)
class PendingEvent:
    """A ticket's newest event, not yet known to have reached the tracker.

    Only the newest: it tells all that went before, so an older one that failed needs no call of its own.

    digest: of everything that the ticket tells. A night that is run again may tell the same event otherwise.
    """

    as_of: datetime
    event_no: int
    document: TicketDocument
    digest: str = ""


class Ledger(Protocol):
    """What is known of each publication; every call is durable when it returns."""

    def record(
        self, tracker: str, event: PendingEvent, state: State, *, key: str | None = None, error: str | None = None
    ) -> None:
        """Set the state of one event at one tracker."""
        ...

    def is_done(self, tracker: str, event: PendingEvent) -> bool:
        """Whether this very event, told as it is now, has reached the tracker."""
        ...

    def key_of(self, tracker: str, ticket_id: str) -> str | None:
        """The tracker's key of the ticket, from any event of it that is done."""
        ...

    def was_tried(self, tracker: str, ticket_id: str) -> bool:
        """Whether any event of the ticket was intended or has failed."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of the tickets: arrived, had arrived before, or failed (with the reason)."""

    done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


def publish(pending: Iterable[PendingEvent], tracker: Tracker, ledger: Ledger) -> Outcome:
    """Bring every pending ticket to the tracker.

    One that the tracker refuses is recorded as failed with the tracker's message; the others go on, and the next night
    tries it again.
    """
    done: list[str] = []
    skipped: list[str] = []
    failed: list[tuple[str, str]] = []
    for event in sorted(pending, key=lambda each: each.document.ticket_id):
        ticket_id = event.document.ticket_id
        if ledger.is_done(tracker.name, event):
            skipped.append(ticket_id)
            continue
        try:
            _bring(event, tracker, ledger)
            done.append(ticket_id)
        except TrackerError as error:
            ledger.record(tracker.name, event, "failed", error=str(error))
            failed.append((ticket_id, str(error)))
    return Outcome(tuple(done), tuple(skipped), tuple(failed))


def _bring(event: PendingEvent, tracker: Tracker, ledger: Ledger) -> None:
    ticket_id = event.document.ticket_id
    key = ledger.key_of(tracker.name, ticket_id)
    uncertain = key is None and ledger.was_tried(tracker.name, ticket_id)
    ledger.record(tracker.name, event, "intended", key=key)
    if uncertain:
        key = tracker.find(ticket_id)
    ledger.record(tracker.name, event, "done", key=tracker.publish(event.document, key))
