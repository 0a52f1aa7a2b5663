"""What a ticket is told of the tickets before it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.settings import parse
from pipelines.ticketing import context_of
from pipelines.warehouse import Warehouse
from reports.ticket_events import EVENTS, TicketEvent
from reports.track_record import SIGNAL_AND_SHAPE, TrackRecord

NIGHT = datetime(2026, 3, 1)


def opened(ticket_id: str, as_of: datetime = NIGHT - timedelta(days=9)) -> dict:
    numbers = {"event_no": 1, "series_id": 1, "limit_value": 90.0, "level": 1.0, "horizon_h": 168, "probability": 0.9,
               "others": 0}  # fmt: skip
    words = {name: "x" for name, dtype in EVENTS.items() if dtype == pl.String}
    times = dict.fromkeys(("eta_p10", "eta_p50", "eta_p90"))
    return words | numbers | times | {"ticket_id": ticket_id, "as_of": as_of, "event": "opened"}


def test_a_ticket_knows_what_had_become_of_others_on_its_night_and_nothing_later(warehouse: Warehouse):
    past = [f"{n:010x}-20260220" for n in range(12)]
    events = pl.DataFrame([opened(ticket_id) for ticket_id in past], schema=EVENTS)
    updated = events.with_columns(event=pl.lit("updated"), event_no=pl.lit(2, pl.Int32), shape=pl.lit("other"))
    settled_on = [NIGHT - timedelta(days=1)] * 9 + [NIGHT] * 2 + [NIGHT + timedelta(days=1)]
    outcomes = pl.DataFrame(
        {"ticket_id": past, "outcome": ["came_true"] * 8 + ["averted"] * 4, "lead_hours": [30.0] * 8 + [None] * 4,
         "why": ["w"] * 12, "settled_as_of": settled_on},
    )  # fmt: skip
    with warehouse.writer() as con:
        for table, frame in (("ticket_events", pl.concat([events, updated])), ("ticket_outcomes", outcomes)):
            con.register("told", frame.to_arrow())
            con.execute(f"INSERT INTO reports.{table} BY NAME FROM told")
    settings = parse("", Path("nowhere"))
    with warehouse.reader() as con:
        fresh = context_of(con, settings, TicketEvent.of(opened("ffffffffff-20260301", NIGHT)))
        itself = context_of(con, settings, TicketEvent.of(opened(past[0], NIGHT)))
        before = context_of(con, settings, TicketEvent.of(opened("ffffffffff-20260228", NIGHT - timedelta(days=1))))
    assert fresh.kept == TrackRecord(SIGNAL_AND_SHAPE, 11, 8, 3, 0, 30.0)
    assert itself.kept == TrackRecord(SIGNAL_AND_SHAPE, 10, 7, 3, 0, 30.0)
    assert before.kept is None
