"""The words that trackers use for the state of an incident, and what they mean here.

Belongs here: the vocabulary (ServiceNow, Jira, PagerDuty, status pages, GitHub, Redmine, Zabbix, Alertmanager).
Not here: what follows from a state for a duration (``features.incidents``).

Case, underscores, hyphens and surrounding blanks do not matter. A word that is not known changes nothing: the incident
stays what it was before, and open where nothing else was ever said.
"""

from __future__ import annotations

import re
from typing import Literal

import polars as pl

Kind = Literal["new", "active", "on hold", "resolved", "closed", "cancelled"]
Phase = Literal["open", "done", "cancelled"]

WORDS: dict[str, Kind] = {
    **dict.fromkeys(("new", "open", "to do", "todo", "triggered", "firing", "problem", "logged", "backlog"), "new"),
    **dict.fromkeys(("active", "acknowledged", "assigned", "in progress", "work in progress", "in review"), "active"),
    **dict.fromkeys(("investigating", "identified", "monitoring", "mitigated", "escalated", "started"), "active"),
    **dict.fromkeys(("reopened", "re opened", "under investigation", "accepted", "responding"), "active"),
    **dict.fromkeys(("on hold", "hold", "blocked", "feedback", "suspended", "snoozed", "suppressed"), "on hold"),
    **dict.fromkeys(("resolved", "done", "completed", "complete", "fixed", "solved", "ok", "recovered"), "resolved"),
    **dict.fromkeys(("restored", "postmortem", "post mortem", "in post incident review"), "resolved"),
    **dict.fromkeys(("closed", "archived"), "closed"),
    **dict.fromkeys(("cancelled", "canceled", "rejected", "declined", "withdrawn", "void", "invalid"), "cancelled"),
    **dict.fromkeys(("duplicate", "merged", "false alarm", "false positive", "not an incident"), "cancelled"),
}

# Systems grow such words freely: "Awaiting Vendor", "Waiting for customer", "Closed Incomplete".
BEGINNINGS: tuple[tuple[str, Kind], ...] = (
    ("awaiting ", "on hold"),
    ("waiting ", "on hold"),
    ("pending", "on hold"),
    ("on hold ", "on hold"),
    ("closed ", "closed"),
    ("resolved ", "resolved"),
    ("cancel", "cancelled"),
)

PHASES: dict[Kind, Phase] = {
    "new": "open",
    "active": "open",
    "on hold": "open",
    "resolved": "done",
    "closed": "done",
    "cancelled": "cancelled",
}


def kind_of(word: str) -> Kind | None:
    """What a tracker's word for a state means; None where the word is not known."""
    plain = " ".join(re.sub(r"[_\-/.]+", " ", word).lower().split())
    if plain in WORDS:
        return WORDS[plain]
    return next((kind for beginning, kind in BEGINNINGS if plain.startswith(beginning)), None)


def kinds(column: str) -> pl.Expr:
    """`kind_of` for a string column; null where the word is null or not known."""
    return pl.col(column).map_batches(_kinds, return_dtype=pl.String)


def phases(column: str) -> pl.Expr:
    """The phase of a column of kinds; null stays null."""
    return pl.col(column).replace_strict(PHASES, default=None, return_dtype=pl.String)


def _kinds(words: pl.Series) -> pl.Series:
    known = {word: kind_of(word) for word in words.unique().drop_nulls().to_list()}
    return words.replace_strict(known, default=None, return_dtype=pl.String)
