"""What people say of the tickets that they got: was it useful, was it worked? Pure.

Belongs here: which of many lines is a person's opinion of a ticket on a night, and what opinions come to. Not here: the
file that they are written in and its faults (``pipelines.feedback``), what is made of a ticket that was worked
(``ticket_outcomes``).

Everybody has one opinion of a ticket, the newest. A line without a time counts as given when the same person's line
before it was, and the first of them when the ticket opened: where nobody writes times, the order of the file decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from reports.text import one_line

TIME = pl.Datetime("us")
ENTRIES = {
    "file_row": pl.Int64,
    "ticket_id": pl.String,
    "useful": pl.Boolean,
    "by": pl.String,
    "worked_at": TIME,
    "note": pl.String,
    "given_at": TIME,
}
FEEDBACK = {
    "ticket_id": pl.String,
    "given_by": pl.String,
    "useful": pl.Boolean,
    "worked_at": TIME,  # when somebody acted on the ticket, if anybody did
    "note": pl.String,
    "given_at": TIME,
}
OPINIONS = {
    "ticket_id": pl.String,
    "useful": pl.Int64,  # how many say yes
    "useless": pl.Int64,  # how many say no
    "note": pl.String,  # the newest
}
SOMEBODY = "somebody"
LONGEST_SHOWN = 200  # characters of a note on a page

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_KEY = ["ticket_id", "given_by"]


@dataclass(frozen=True)
class Heard:
    """What a file of feedback comes to on a night.

    feedback: the columns of ``FEEDBACK``, by ticket and person.
    unknown: the columns of ``ENTRIES``, of lines about tickets that there are not.
    held_back: lines that belong to later nights: given at or after the cut, or about a ticket that opens after it.
    """

    feedback: pl.DataFrame
    unknown: pl.DataFrame
    held_back: int


def hear(entries: pl.DataFrame, opened: pl.DataFrame, as_of: datetime) -> Heard:
    """Everybody's opinions as of a night's cut.

    Args:
        entries: the columns of ``ENTRIES``; ticket_id and useful are not null.
        opened: ticket_id, opened_at of every ticket, later ones too.
    """
    known = _tidied(entries).join(opened, on="ticket_id", maintain_order="left")
    stated = pl.col("given_at").forward_fill().over(_KEY)
    timed = known.sort("file_row").with_columns(stated=stated)
    later = (pl.col("opened_at") > as_of) | (pl.col("stated") >= as_of).fill_null(value=False)
    ours = timed.filter(~later).with_columns(
        given_at=pl.col("stated").fill_null(pl.col("opened_at")),
        worked_at=pl.when(pl.col("worked_at") < as_of).then("worked_at"),
    )
    newest = ours.sort("given_at", "file_row").unique(_KEY, keep="last")
    feedback = newest.select(pl.col(name).cast(dtype) for name, dtype in FEEDBACK.items()).sort(_KEY)
    unknown = entries.filter(~_stripped("ticket_id").is_in(opened["ticket_id"].implode())).sort("file_row")
    return Heard(feedback, unknown, timed.height - ours.height)


def opinions(feedback: pl.DataFrame) -> pl.DataFrame:
    """What all say of each ticket.

    Args:
        feedback: the columns of ``FEEDBACK``.

    Returns:
        The columns of ``OPINIONS``, by ticket_id.
    """
    found = feedback.sort("given_at", "given_by").group_by("ticket_id", maintain_order=True)
    return (
        found.agg(
            pl.col("useful").sum(), useless=pl.col("useful").not_().sum(), note=pl.col("note").drop_nulls().last()
        )
        .select(pl.col(name).cast(dtype) for name, dtype in OPINIONS.items())
        .sort("ticket_id")
    )


@dataclass(frozen=True)
class Usefulness:
    """How many of some tickets readers found useful: more said yes than no. tickets: those of which anybody spoke."""

    tickets: int
    useful: int


def usefulness(told: Iterable[tuple[int | None, int | None]]) -> Usefulness | None:
    """The usefulness of tickets, from how many said yes and no of each; None where nobody spoke of any."""
    spoken = [(yes or 0, no or 0) for yes, no in told if yes or no]
    return Usefulness(len(spoken), sum(yes > no for yes, no in spoken)) if spoken else None


def in_words(useful: int, useless: int) -> str:
    """'2 yes, 1 no', where anybody said either."""
    return ", ".join(f"{n} {word}" for n, word in ((useful, "yes"), (useless, "no")) if n)


def spoken(useful: int | None, useless: int | None, note: str | None) -> str | None:
    """'Useful? 2 yes, 1 no: “woke us for nothing”', in one line that is not escaped; None where nobody spoke."""
    if not useful and not useless:
        return None
    told = f"Useful? {in_words(useful or 0, useless or 0)}"
    said = one_line(note or "", LONGEST_SHOWN)
    return f"{told}: “{said}”" if said else told


def beside_outcomes(feedback: pl.DataFrame, outcomes: pl.DataFrame) -> dict[str, int]:
    """How many tickets were found useful and not, by what became of them: {'useful_and_came_true': 3, ...}.

    Args:
        feedback: the columns of ``FEEDBACK``.
        outcomes: ticket_id, outcome, of the tickets that have settled; the others are open.
    """
    told = opinions(feedback).join(outcomes, on="ticket_id", how="left")
    liked = pl.when(pl.col("useful") > pl.col("useless")).then(pl.lit("useful")).otherwise(pl.lit("not_useful"))
    named = told.select(pl.concat_str(liked, pl.lit("_and_"), pl.col("outcome").fill_null("open")).alias("name"))
    return dict(named.group_by("name").len("n").sort("n", "name", descending=[True, False]).iter_rows())


# -------------------------------------------------------------------------------------------------------------- cells


def guarded(text: str) -> str:
    """Text for a cell that no spreadsheet takes for a formula: an apostrophe before what begins like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _tidied(entries: pl.DataFrame) -> pl.DataFrame:
    """Without the blanks around words and the apostrophes of ``guarded``; `by` becomes given_by."""
    return entries.select(
        pl.all().exclude("ticket_id", "by", "note"),
        _stripped("ticket_id"),
        given_by=_worded("by").fill_null(SOMEBODY),
        note=_worded("note"),
    )


def _worded(column: str) -> pl.Expr:
    """Null where nothing is written."""
    bare = _stripped(column).str.replace(r"^'([=+\-@\t\r])", "${1}")
    return pl.when(bare != "").then(bare)


def _stripped(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars()
