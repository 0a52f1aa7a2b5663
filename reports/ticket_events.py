"""A ticket's life as events: opened once, updated when something material changed, resolved at the end.

Belongs here: the columns of ``reports.ticket_events``, one event as a typed record, and the fold from events to the
tickets that are open. Not here: when an event happens (``ticket_policy``) or what it says (``ticket_text``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

OPENED, UPDATED, RESOLVED = "opened", "updated", "resolved"

EVENTS = pl.Schema(
    {
        "ticket_id": pl.String,
        "as_of": pl.Datetime("us"),
        "event_no": pl.Int32,
        "event": pl.String,
        "reason": pl.String,
        "fingerprint": pl.String,
        "entity": pl.String,
        "signal": pl.String,
        "limit_name": pl.String,
        "direction": pl.String,
        "series_id": pl.UInt64,
        "source": pl.String,
        "metric": pl.String,
        "unit": pl.String,
        "service": pl.String,
        "limit_value": pl.Float64,
        "level": pl.Float64,
        "horizon_h": pl.Int32,
        "probability": pl.Float64,
        "eta_p10": pl.Datetime("us"),
        "eta_p50": pl.Datetime("us"),
        "eta_p90": pl.Datetime("us"),
        "model": pl.String,
        "shape": pl.String,
        "facts": pl.String,
        "others": pl.Int32,
    }
)


@dataclass(frozen=True)
class TicketEvent:
    """One row of ``reports.ticket_events``; times are naive UTC."""

    ticket_id: str
    as_of: datetime
    event_no: int  # runs within the ticket: 1 is its opening
    event: str
    reason: str
    fingerprint: str
    entity: str
    signal: str
    limit_name: str
    direction: str
    series_id: int
    source: str
    metric: str
    unit: str | None
    service: str | None
    limit_value: float
    level: float | None
    horizon_h: int
    probability: float
    eta_p10: datetime | None
    eta_p50: datetime | None
    eta_p90: datetime | None
    model: str | None
    shape: str | None
    facts: str  # JSON list of sentences
    others: int

    @staticmethod
    def of(row: Mapping[str, Any]) -> TicketEvent:
        """From a row of the table; further columns are ignored."""
        return TicketEvent(**{name: row[name] for name in EVENTS})


def histories(events: pl.DataFrame) -> dict[str, list[TicketEvent]]:
    """Every ticket's events in the order in which they happened, by ticket_id."""
    found: dict[str, list[TicketEvent]] = {}
    for row in events.sort("ticket_id", "as_of", "event_no").iter_rows(named=True):
        found.setdefault(row["ticket_id"], []).append(TicketEvent.of(row))
    return found


def fold(events: pl.DataFrame, before: datetime | None = None) -> pl.DataFrame:
    """The tickets that are open after these events.

    Args:
        events: the columns of ``EVENTS``; further ones are ignored.
        before: naive UTC; events of this night and later ones are left out, so that a night's tickets depend on the
            nights before it alone, however often it is run.

    Returns:
        The newest event of each open ticket and `opened_as_of`, sorted by ticket_id.
    """
    earlier = events if before is None else events.filter(pl.col("as_of") < before)
    return (
        earlier.select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())
        .sort("ticket_id", "as_of", "event_no")
        .with_columns(pl.col("as_of").min().over("ticket_id").alias("opened_as_of"))
        .unique("ticket_id", keep="last", maintain_order=True)
        .filter(pl.col("event") != RESOLVED)
    )
