"""What every tracker can do, and what it is handed.

Belongs here: the port between tickets and the outside world. Not here: a tracker (each has a module of its own), the
order of intents and calls (``publish``), what a ticket says (``reports.ticket_text``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class TrackerError(Exception):
    """The tracker could not take a ticket; the message is one line that says what failed and, if known, the mend."""


@dataclass(frozen=True)
class TicketDocument:
    """A ticket's newest state, ready to leave the house.

    ticket_id: fingerprint and the night's date; the only part that may name files.
    status: open | resolved.
    title: one plain line. markdown: the whole text, which holds the marker that a tracker is searched for.
    png: the chart, named ``<ticket_id>.png`` in the Markdown; None where there is none.
    payload: the ticket for programs; JSON values only.
    """

    ticket_id: str
    fingerprint: str
    status: str
    title: str
    markdown: str
    png: bytes | None = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)


class Tracker(Protocol):
    """A place that tickets go to. Every failure of its own is raised as ``TrackerError``."""

    @property
    def name(self) -> str:
        """Its name in the settings and in the ledger."""
        ...

    def find(self, ticket_id: str) -> str | None:
        """The tracker's key of the ticket that carries this id's marker, open or closed; None where there is none."""
        ...

    def publish(self, document: TicketDocument, key: str | None = None) -> str:
        """Create the ticket, or bring the one of this key up to date; the same document again changes nothing.

        Returns:
            The tracker's key.
        """
        ...
