"""What trackers and pagers answer, page by page, as rows of incidents and of their events.

Belongs here: the shape of pages, and what all rows share: labels, fields of the settings, and whether an incident is a
prediction of ours. Not here: any one server's records, and what is staged of rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from pipelines.source_options.incidents import IncidentColumn, IncidentServer
from pipelines.sources.incident_servers.reading import told

Row = dict[str, str | None]
"""Canonical part -> text: of an incident ``incident_rows.PARTS | BASES``, of an event ``EVENT_PARTS``."""

MARKER = "forewarn-ticket:"
"""What a ticket of ours ends with, see ``reports.ticket_text.marker``."""


@dataclass(frozen=True)
class Page:
    """Incidents with all of their events, as a server answered them.

    through: naive UTC; every incident that changed before it has been told by this page. None: not known yet.
    notes: what the server does not tell, be it to this account or to anybody, a line each; the night goes on without
        it, and to ask again would not help.
    """

    incidents: Sequence[Row] = ()
    events: Sequence[Row] = ()
    through: datetime | None = None
    notes: Sequence[str] = ()


class Closeable(Protocol):
    def close(self) -> object: ...


class Asked(ABC):
    """A server that is asked for incidents. To be used in a ``with``.

    name: of the server, for people.
    parts: what is asked for apart from each other, such as repositories; each is remembered by its own.
    """

    def __init__(self, name: str, connection: Closeable, parts: Sequence[str] = ("",)):
        self.name = name
        self.parts = parts
        self._connection = connection

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    @abstractmethod
    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """All incidents of a part that changed at or after `since` and, so far as the server can tell, before `until`,
        which is now (both naive UTC); those changed first come first, where the server can do that.

        Raises:
            NotFetchedError: whatever was not answered; the pages before it stand.
        """

    @abstractmethod
    def survey(self) -> str:
        """What ``forewarn check`` says of it: that it answers, and how many incidents the settings choose.

        Raises:
            NotFetchedError: it does not.
        """


def by_label(labels: Iterable[str], globs: Mapping[IncidentColumn, str]) -> Row:
    """Parts that labels tell: of the label ``severity/high`` and the glob ``severity/*`` the severity is ``high``."""
    row: Row = {}
    for part, glob in globs.items():
        before, star, after = glob.partition("*")
        for label in labels:
            if fnmatchcase(label, glob) and part not in row:
                row[part] = label[len(before) : len(label) - len(after)] if star else label
    return row


def finished(row: Row, record: object, source: IncidentServer, *, labels: Iterable[str] = (), text: str = "") -> Row:
    """A server's row, with what the settings say of its fields, and whether it is a prediction of ours.

    Args:
        record: the server's.
        text: in which a ticket's marker would stand.
    """
    own = {part: told(record, path) for part, path in source.fields.items()}
    bases = {f"{part.removesuffix('_at')}_basis": None for part in own if part.endswith("_at") and own[part]}
    named = any(fnmatchcase(label, glob) for label in labels for glob in source.predicted)
    predicted = "true" if named or MARKER in text else "false"
    return {**row, "is_predicted": predicted, **bases, **{part: value for part, value in own.items() if value}}
