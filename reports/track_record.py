"""How tickets like this one did before: what a reader may hold against a new promise. Pure.

Belongs here: which tickets are alike, and the record of their class. Not here: what became of a single ticket
(``ticket_outcomes``), how all of them did together (``digest_promises``).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reports.ticket_outcomes import AVERTED, CAME_TRUE, FALSE_ALARM

LAST = 40
ENOUGH = 10  # of fewer a share says little: 9 of 9 are compatible with 7 in 10
SETTLED = (CAME_TRUE, AVERTED, FALSE_ALARM)

SIGNAL_AND_SHAPE, SIGNAL, ALL = "signal and shape", "signal", "all"
_IN_WORDS = {
    SIGNAL_AND_SHAPE: "tickets like this (same signal and shape)",
    SIGNAL: "tickets like this (same signal)",
    ALL: "tickets of all kinds",
}


@dataclass(frozen=True)
class TrackRecord:
    """What became of the newest tickets of a class whose outcome is known.

    alike: what they share with the ticket in question: `SIGNAL_AND_SHAPE`, `SIGNAL`, or nothing (`ALL`).
    tickets: how many, `LAST` at most; came_true, averted and false_alarm add up to it.
    lead_hours_median: from opening to crossing, of those that came true.
    """

    alike: str
    tickets: int
    came_true: int
    averted: int
    false_alarm: int
    lead_hours_median: float | None

    @property
    def sentence(self) -> str:
        """'of the last 40 tickets like this (same signal), 34 came true, ...; median lead 51 h'."""
        told = f"of the last {self.tickets} {_IN_WORDS[self.alike]}, {self.came_true or 'none'} came true, "
        told += f"{_were(self.averted)} averted and {_were(self.false_alarm)} "
        told += "a false alarm" if self.false_alarm == 1 else "false alarms"
        return told if self.lead_hours_median is None else f"{told}; median lead {self.lead_hours_median:.0f} h"


def track_record(settled: pl.DataFrame, signal: str, shape: str | None) -> TrackRecord | None:
    """The record of a ticket's class: of the same signal and shape, else of the same signal, else of all tickets.

    Args:
        settled: ticket_id, signal, shape, outcome, lead_hours, settled_as_of; one row a ticket, as it was opened.
        signal, shape: of the ticket in question, which is not among `settled`.

    Returns:
        None where fewer than `ENOUGH` tickets of any kind have a known outcome.
    """
    known = settled.filter(pl.col("outcome").is_in(SETTLED)).sort(
        "settled_as_of", "ticket_id", descending=[True, False]
    )
    same_signal = pl.col("signal") == signal
    classes = {
        SIGNAL_AND_SHAPE: known.filter(same_signal, pl.col("shape") == pl.lit(shape, pl.String)),
        SIGNAL: known.filter(same_signal),
        ALL: known,
    }
    for alike, tickets in classes.items():
        if len(tickets) >= ENOUGH:
            return _record(alike, tickets.head(LAST))
    return None


def _record(alike: str, tickets: pl.DataFrame) -> TrackRecord:
    counts = {name: int((tickets["outcome"] == name).sum()) for name in SETTLED}
    lead = tickets.filter(pl.col("outcome") == CAME_TRUE).select(pl.col("lead_hours").median()).item()
    return TrackRecord(alike, len(tickets), **counts, lead_hours_median=lead)


def _were(n: int) -> str:
    return f"{n or 'none'} {'was' if n == 1 else 'were'}"
