"""The records by which services are published: what the ledger says of each, and what replays said.

Belongs here: reading and writing these records. Not here: the rule (``reports.pilot``), what became of a ticket
(``pipelines.settling``), who is told of it (``pipelines.ticketing``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.site import Night, Site
from pipelines.warehouse import quoted
from reports.pilot import PILOT, Record, decide
from reports.replay_summary import SETTLED
from reports.ticket_events import OPENED
from reports.ticket_outcomes import AVERTED, CAME_TRUE

WINDOW = timedelta(days=90)
"""What is older says little of tonight: neither a ledger's tickets nor a replay count beyond it."""


def proves(settings: Settings) -> str:
    """A digest of what decides tickets, so that a replay under other settings proves nothing.

    Prophet's contest and the number of processes are none of it: a quick replay counts.
    """
    told = {
        "signals": [signal.model_dump(mode="json") for signal in settings.signals.all],
        "forecasting": settings.forecasting.model_dump(mode="json", exclude={"prophet_series", "workers"}),
        "policy": settings.tickets.policy.model_dump(mode="json"),
    }
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def service_modes(night: Night) -> pl.DataFrame:
    """Tonight's rows of reports.service_modes."""
    with night.warehouse.reader() as con:
        ledger, replay = _ledger(con, night), _replay(con, night)
        before = dict(
            con.execute(
                "SELECT service, published FROM reports.service_modes"
                " WHERE as_of = (SELECT max(as_of) FROM reports.service_modes WHERE as_of < $as_of)",
                {"as_of": night.as_of},
            ).fetchall()
        )
    decided = decide(night.settings.terms, ledger, replay, before)
    return decided.select(pl.lit(night.as_of, pl.Datetime("us")).alias("as_of"), pl.all())


def _ledger(con: duckdb.DuckDBPyConnection, night: Night) -> dict[str | None, Record]:
    """Each service's tickets that were opened within the last `WINDOW`, tonight's among them."""
    tonight = {name: quoted(night.frames.path(f"reports.{name}")) for name in ("ticket_events", "ticket_outcomes")}
    since = {"first": night.as_of - WINDOW, "as_of": night.as_of}
    nights = con.execute(
        "SELECT count(DISTINCT as_of) + 1 FROM main.runs"
        " WHERE as_of > $first AND as_of < $as_of AND status IN ('done', 'stale')",
        since,
    ).fetchall()[0][0]
    tickets = con.sql(
        f"""
        WITH events AS (
            FROM reports.ticket_events WHERE as_of > $first AND as_of < $as_of
            UNION ALL BY NAME
            FROM read_parquet({tonight["ticket_events"]})
        ), outcomes AS (
            FROM reports.ticket_outcomes WHERE settled_as_of < $as_of
            UNION ALL BY NAME
            FROM read_parquet({tonight["ticket_outcomes"]})
        )
        SELECT service, outcome FROM events LEFT JOIN outcomes USING (ticket_id) WHERE event = '{OPENED}'
        """,
        params=since,
    ).pl()
    return records(tickets, nights)


def records(tickets: pl.DataFrame, nights: int) -> dict[str | None, Record]:
    """Each service's record; of a service without a ticket none.

    Args:
        tickets: service, outcome (null: not known yet).
        nights: on which they could have been opened.
    """
    found = tickets.group_by("service").agg(
        pl.len(),
        settled=pl.col("outcome").is_in(SETTLED).sum(),
        kept=pl.col("outcome").is_in((CAME_TRUE, AVERTED)).sum(),
    )
    return {service: Record(nights, *figures) for service, *figures in found.iter_rows()}


def _replay(con: duckdb.DuckDBPyConnection, night: Night) -> dict[str | None, Record]:
    """What the newest replay says that was made under tonight's settings and ends within `WINDOW` before tonight."""
    rows = con.execute(
        """
        SELECT service, nights, tickets, settled, kept
        FROM reports.replays
        WHERE proves = $proves AND last_as_of <= $as_of AND last_as_of > $first
        QUALIFY dense_rank() OVER (ORDER BY last_as_of DESC, recorded_at DESC) = 1
        """,
        {"proves": proves(night.settings), "as_of": night.as_of, "first": night.as_of - WINDOW},
    ).fetchall()
    return {service: Record(*figures) for service, *figures in rows}


def in_pilot(settings: Settings) -> bool:
    """Whether any service waits for its record."""
    return any(terms.mode == PILOT for terms in settings.terms.values())


def record_replay(
    settings: Settings, found: Mapping[str | None, Record], first: datetime, last: datetime, nights: int
) -> None:
    """Keep what a replay says of each service, for the nights to come.

    Args:
        found: service -> its record; of a service without a ticket nothing.
        first, last: the cuts of its first and last night, naive UTC.
        nights: that were played.

    Raises:
        WarehouseError: the warehouse is locked or unusable.
    """
    warehouse = Site(settings).warehouse
    warehouse.migrate()
    now, digest = datetime.now(UTC).replace(tzinfo=None), proves(settings)
    with warehouse.writer() as con:
        for service in settings.terms:
            one = found.get(service, Record(nights))
            con.execute(
                "INSERT INTO reports.replays"
                " VALUES ($now, $first, $last, $proves, $service, $nights, $tickets, $settled, $kept)",
                {"now": now, "first": first, "last": last, "proves": digest, "service": service, **asdict(one)},
            )
