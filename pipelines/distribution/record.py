"""The record of what was sent: reports.distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol

import duckdb

from pipelines.warehouse import Warehouse
from reports.due_nights import PATIENCE

State = Literal["intended", "done", "failed"]
TABLE = "reports.distribution"
CUT_SHORT = "its sending was cut short, so it may have arrived or not"


@dataclass(frozen=True)
class Entry:
    """What is known of a night's report at one destination; the columns of the table.

    changed_at: naive UTC.
    """

    destination: str
    night: date
    state: State
    number: int = 1
    taken: tuple[str, ...] = ()
    error: str | None = None
    changed_at: datetime | None = None

    def has_arrived(self, tonight: date) -> bool:
        """Whether tonight's report is there."""
        return self.state == "done" and self.night == tonight

    def is_missing(self, tonight: date) -> bool:
        """Whether a report is not there that tonight, or a night before, should have brought."""
        return self.state != "done" and tonight - PATIENCE < self.night <= tonight

    @property
    def why(self) -> str:
        """Why it is missing."""
        return f"the report of {self.night}: {self.error or CUT_SHORT}; tried again next night"


class Record(Protocol):
    """Every call is durable when it returns."""

    def entries(self, destination: str) -> dict[date, Entry]:
        """What is known of a destination, by night."""
        ...

    def write(self, entry: Entry) -> None:
        """Replace what is known of a night's report at a destination."""
        ...


class WarehouseRecord:
    """A record in the warehouse, which is held for moments only: a server that is waited for does not keep it."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse

    def entries(self, destination: str) -> dict[date, Entry]:
        with self._warehouse.reader() as con:
            rows = con.execute(f"{SELECT} WHERE destination = $destination", {"destination": destination}).fetchall()
        return {entry.night: entry for entry in map(_entry, rows)}

    def write(self, entry: Entry) -> None:
        key = {"destination": entry.destination, "night": entry.night}
        with self._warehouse.writer() as con:
            con.execute(f"DELETE FROM {TABLE} WHERE destination = $destination AND night = $night", key)
            con.execute(
                f"INSERT INTO {TABLE} VALUES ($destination, $night, $state, $number, $taken, $error, $now)",
                key
                | {"state": entry.state, "number": entry.number, "taken": list(entry.taken), "error": entry.error}
                | {"now": datetime.now(UTC).replace(tzinfo=None, microsecond=0)},
            )


SELECT = f"SELECT destination, night, state, number, taken, error, changed_at FROM {TABLE}"


def newest(con: duckdb.DuckDBPyConnection, destinations: Sequence[str]) -> list[Entry]:
    """The newest entry of each of the destinations that has any, in their order."""
    query = f"{SELECT} QUALIFY row_number() OVER (PARTITION BY destination ORDER BY night DESC) = 1"
    found = {entry.destination: entry for entry in map(_entry, con.execute(query).fetchall())}
    return [found[name] for name in destinations if name in found]


def _entry(row: tuple) -> Entry:
    destination, night, state, number, taken, error, changed_at = row
    return Entry(destination, night, state, number, tuple(taken), error, changed_at)
