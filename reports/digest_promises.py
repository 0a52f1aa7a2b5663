"""How many of the promises that tickets make are kept, and what readers say of them, in words and rows. Pure.

Belongs here: what the ledger of the last months says on the night's page. Not here: what became of a single ticket
(``ticket_outcomes``), the record of a ticket's class (``track_record``), whether probabilities were right
(``answers_kept``), the page (``digest`` and its template).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from features.units import format_share
from reports.digest_rows import Group, grouped
from reports.feedback import Usefulness, opinions, spoken, usefulness
from reports.replay_summary import ENOUGH, PARTS, SETTLED, UNKNOWN, breakdown
from reports.statistics import share_interval
from reports.text import one_line
from reports.ticket_events import OPENED

DAYS = 90
"""Of settled tickets, misses and opinions that the page looks back on."""
MOST_HEARD = 8


@dataclass(frozen=True)
class Told:
    """A ticket, what became of it and why, and what readers say of it; None where it is open, where nobody spoke."""

    ticket_id: str
    outcome: str | None
    entity: str
    signal: str
    limit_name: str
    why: str | None
    heard: str | None


@dataclass(frozen=True)
class Class:
    """What became of the tickets of one shape, signal, service or model.

    share: kept; None where too few to say. useful: to readers; None where nobody spoke.
    """

    name: str
    outcomes: Mapping[str, int]
    share: float | None
    lead_hours_median: float | None
    useful: Usefulness | None


@dataclass(frozen=True)
class Promises:
    """What the page says about promises; without sentences it has nothing to say.

    tonight: tickets settled tonight. heard: other tickets that readers spoke of, the newest opinion first.
    missed: crossings that no ticket foresaw, by reason. classes: part (shape, signal, ...) -> its classes.
    """

    sentences: tuple[str, ...]
    tonight: tuple[Told, ...] = ()
    heard: tuple[Told, ...] = ()
    missed: tuple[Group, ...] = ()
    classes: Mapping[str, tuple[Class, ...]] = field(default_factory=dict)


def promises(
    outcomes: pl.DataFrame, misses: pl.DataFrame, events: pl.DataFrame, feedback: pl.DataFrame, as_of: datetime
) -> Promises:
    """What was settled, and what was said of tickets, in the last `DAYS`.

    Args:
        outcomes: the columns of reports.ticket_outcomes, settled within `DAYS` before `as_of` or tonight.
        misses: the columns of reports.misses, likewise.
        events: the columns of reports.ticket_events.
        feedback: the columns of reports.feedback, of all opinions as of the night.
    """
    as_opened = events.filter(pl.col("event") == OPENED).join(opinions(feedback), on="ticket_id", how="left")
    tickets = as_opened.join(outcomes, on="ticket_id").sort("ticket_id")
    heard = _heard(feedback, as_opened.join(outcomes, on="ticket_id", how="left"), as_of)
    if outcomes.is_empty() and misses.is_empty() and heard.is_empty():
        return Promises(())
    tonight = tickets.filter(pl.col("settled_as_of") == as_of).sort("entity", "signal", "ticket_id")
    return Promises(
        sentences=_sentences(tickets, len(misses)),
        tonight=tuple(_told(row) for row in tonight.iter_rows(named=True)),
        heard=tuple(_told(row) for row in heard.head(MOST_HEARD).iter_rows(named=True)),
        missed=tuple(_missed(misses)),
        classes={part: tuple(_class(part, row, tickets) for row in breakdown(tickets, part)) for part in PARTS},
    )


def _heard(feedback: pl.DataFrame, tickets: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The tickets that readers spoke of lately, the newest opinion first; those settled tonight are told anyway."""
    lately = feedback.filter(pl.col("given_at") > as_of - timedelta(days=DAYS))
    spoke = lately.group_by("ticket_id").agg(pl.col("given_at").max())
    told = tickets.join(spoke, on="ticket_id").filter(pl.col("settled_as_of").ne_missing(as_of))
    return told.sort("given_at", "ticket_id", descending=[True, False])


def _sentences(tickets: pl.DataFrame, missed: int) -> tuple[str, ...]:
    """Counts first, then what may be concluded from them."""
    if tickets.is_empty():
        return (f"No ticket has settled in the last {DAYS} days.", _foresaw(missed))
    (row,) = breakdown(tickets.with_columns(all=pl.lit("all")), "all")
    came, averted, wrong = (row["outcomes"][name] for name in SETTLED)
    known, unknown = came + averted + wrong, row["outcomes"][UNKNOWN]
    told = f"{came or 'none'} came true, {averted or 'none'} {_were(averted)} averted and {wrong or 'none'} "
    told += "was a false alarm" if wrong == 1 else "were false alarms"
    found = [f"Of {known} ticket{'' if known == 1 else 's'} that settled in the last {DAYS} days, {told}{_share(row)}."]
    if not known:
        found = [f"No ticket with a known outcome has settled in the last {DAYS} days."]
    if row["lead_hours_median"] is not None:
        found.append(f"Of those that came true, half were opened {row['lead_hours_median']:.0f} h or more before.")
    if unknown:
        found.append(f"Of {unknown}{' more' if known else ''} it cannot be known, since too little was measured.")
    if liked := _usefulness(tickets):
        these = f"{liked.tickets} of them" if liked.tickets < len(tickets) else "all of them"
        found.append(f"Readers spoke of {these}, and found {liked.useful or 'none'} useful.")
    return (*found, _foresaw(missed))


def _share(row: Mapping[str, Any]) -> str:
    """': 85 % were right ...', or that there are too few."""
    came, averted, wrong = (row["outcomes"][name] for name in SETTLED)
    known = came + averted + wrong
    interval = share_interval(came + averted, known)
    if known < ENOUGH or interval is None:
        return "; too few to say how often tickets are right"
    kept = format_share((came + averted) / known)
    return f": {kept} were right (95\u00a0% interval {format_share(interval.lo)} to {format_share(interval.hi)})"


def _foresaw(missed: int) -> str:
    if not missed:
        return "No crossing came that was news and that no ticket foresaw."
    return f"{missed} crossing{'' if missed == 1 else 's'} came that no ticket foresaw."


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _told(row: Mapping[str, Any]) -> Told:
    named = (one_line(row[name], 80) for name in ("entity", "signal", "limit_name"))
    heard = spoken(row["useful"], row["useless"], row["note"])
    return Told(row["ticket_id"], row["outcome"], *named, why=row["why"], heard=heard)


def _usefulness(tickets: pl.DataFrame) -> Usefulness | None:
    return usefulness(tickets.select("useful", "useless").iter_rows())


def _missed(misses: pl.DataFrame) -> list[Group]:
    """By reason, the newest named."""
    ordered = misses.sort("crossed_at", "series_id", "limit_name", descending=[True, False, False])
    return grouped(ordered.with_columns(example=pl.format("{} {}", "entity", "metric")), "reason", "example")


def _class(part: str, row: Mapping[str, Any], tickets: pl.DataFrame) -> Class:
    value = f"no {part}" if row["value"] is None else one_line(row["value"], 60)
    known = sum(row["outcomes"][name] for name in SETTLED)
    return Class(
        name=value.replace("_", " ") if part == "shape" else value,
        outcomes=row["outcomes"],
        share=row["precision"] if known >= ENOUGH else None,
        lead_hours_median=row["lead_hours_median"],
        useful=_usefulness(tickets.filter(pl.col(part).eq_missing(row["value"]))),
    )
