"""The ledger of publications in the warehouse: what was meant to reach which tracker, and what did."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb

from pipelines.trackers.publish import PendingEvent, State


class WarehouseLedger:
    """``pipelines.trackers.publish.Ledger`` over reports.publications.

    Args:
        con: a connection that commits every statement (``Warehouse.autocommit``): an intent must be on disk before the
            tracker is called.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection):
        self._con = con

    def record(
        self, tracker: str, event: PendingEvent, state: State, *, key: str | None = None, error: str | None = None
    ) -> None:
        row = {
            "tracker": tracker,
            "ticket_id": event.document.ticket_id,
            "as_of": event.as_of,
            "event_no": event.event_no,
        }
        self._con.execute("BEGIN")
        self._con.execute(
            "DELETE FROM reports.publications WHERE tracker = $tracker AND ticket_id = $ticket_id"
            " AND as_of = $as_of AND event_no = $event_no",
            row,
        )
        self._con.execute(
            "INSERT INTO reports.publications VALUES"
            " ($tracker, $ticket_id, $as_of, $event_no, $state, $digest, $key, $error, $now)",
            row
            | {"state": state, "digest": event.digest, "key": key, "error": error}
            | {"now": datetime.now(UTC).replace(tzinfo=None)},
        )
        self._con.execute("COMMIT")

    def is_done(self, tracker: str, event: PendingEvent) -> bool:
        found = self._rows(
            "as_of = $as_of AND event_no = $event_no AND digest = $digest AND state = 'done'",
            tracker,
            event.document.ticket_id,
            as_of=event.as_of,
            event_no=event.event_no,
            digest=event.digest,
        )
        return bool(found)

    def key_of(self, tracker: str, ticket_id: str) -> str | None:
        found = self._rows("state = 'done'", tracker, ticket_id)
        return found[-1][0] if found else None

    def was_tried(self, tracker: str, ticket_id: str) -> bool:
        return bool(self._rows("state IN ('intended', 'failed')", tracker, ticket_id))

    def _rows(self, condition: str, tracker: str, ticket_id: str, **values: object) -> list[tuple]:
        return self._con.execute(
            f"SELECT tracker_key FROM reports.publications"
            f" WHERE tracker = $tracker AND ticket_id = $ticket_id AND {condition} ORDER BY as_of, event_no",
            {"tracker": tracker, "ticket_id": ticket_id, **values},
        ).fetchall()
