"""Crossings that no ticket foresaw, each with the reason why. Pure.

Belongs here: which crossings were missed, and what kept the nights before from opening a ticket. Not here: what became
of tickets that were opened (``ticket_outcomes``), or the policy itself (``ticket_policy``).

A crossing was *foreseen* if a ticket about the same entity, signal and direction had been opened before the crossing
was complete, and was still open when it began. For one that was missed, every night within the policy's horizon before
it is looked at, and the night that came nearest to a ticket gives the reason. The vocabulary is closed; from near to
far:

============================= ========================================================================================
withdrawn: risk gone          a ticket had promised it within its horizon, and was closed before it came
withdrawn: no longer measured likewise
held back: cap of the night   probable enough, but `max_new_per_night` others were more so
held back: another ticket     a ticket about another limit of the same was open that night
held back: hold_nights        probable enough, but not on as many nights in a row as must agree
held back: quiet days         probable enough, but beyond its limit within `quiet_days`
held back: crossed            probable enough, but beyond its limit on the night before
held back: known-bad window   probable enough, but in a known-bad window that night
no ticket opened              probable enough, and the policy would have opened one: these tickets come from elsewhere
limit moved                   the limit was farther away when the newest of those nights looked
probability too low           below `open_at` on each of those nights; `p` is the highest of them
already beyond                those nights found it beyond this limit
not scored: <reason>          no night had an answer; the newest night's reason (``forecasting.abstention``)
not scored: no night          no night within the horizon before asked about it
============================= ========================================================================================
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from reports.ticket_causes import CAUSE
from reports.ticket_policy import CROSSING_CAME, MATERIAL_LIMIT_CHANGE, SUBJECT, TicketPolicy

TIME = pl.Datetime("us")
MISSES = {
    "series_id": pl.UInt64,
    "entity": pl.String,
    "metric": pl.String,
    "signal": pl.String,
    "direction": pl.String,
    "limit_name": pl.String,
    "limit_value": pl.Float64,
    "crossed_at": TIME,
    "reason": pl.String,
    "p": pl.Float64,  # the highest of the nights within the horizon before; null where none had an answer
}

# How near to a ticket a night came.
_NOT_SCORED, _BEYOND, _TOO_LOW, _WINDOW, _CROSSED, _QUIET, _NOT_HELD, _ANOTHER, _CAP = range(9)
_HELD_BACK = {
    _WINDOW: "held back: known-bad window",
    _CROSSED: "held back: crossed",
    _QUIET: "held back: quiet days",
    _NOT_HELD: "held back: hold_nights",
    _ANOTHER: "held back: another ticket",
    _CAP: "held back: cap of the night",
}


def misses(
    crossings: pl.DataFrame,
    tickets: pl.DataFrame,
    risks: pl.DataFrame,
    series: pl.DataFrame,
    policy: TicketPolicy,
    *,
    held: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The real crossings that no ticket foresaw.

    Args:
        crossings: the columns of ``forecasting.settlement.CROSSINGS``, of the time to be looked at; those that are no
            news are nobody's miss, and left out.
        tickets: series_id, signal, limit_name, direction, opened_at, horizon_h, closed_at, close_reason.
        risks: the columns of forecasting.risks, of the nights within the policy's horizon before the crossings, and of
            the `hold_nights` before these.
        series: series_id, entity, metric; all that are named by the others.
        policy: that opened the tickets.
        held: as_of, series_id: nights on which a known-bad window held a series; may be left out.

    Returns:
        The columns of ``MISSES``, sorted by crossed_at, series_id and limit_name.
    """
    whose = series.select("series_id", "entity", "metric")
    came = crossings.filter("news").join(whose, on="series_id").with_row_index("miss")
    subjects = tickets.join(whose.select("series_id", "entity"), on="series_id", suffix="_of_series").select(
        *SUBJECT, "opened_at", "horizon_h", "closed_at", "close_reason", promised="limit_name"
    )
    told = came.select("miss", *SUBJECT, "crossed_at", "confirmed_at").join(subjects, on=SUBJECT)
    told = told.filter(pl.col("opened_at") <= pl.col("confirmed_at"))
    foresaw = told.filter(pl.col("closed_at").is_null() | (pl.col("closed_at") > pl.col("crossed_at")))
    missed = came.join(foresaw, on="miss", how="anti")
    in_window = pl.DataFrame(schema={"as_of": TIME, "series_id": pl.UInt64}) if held is None else held
    told_of = risks.join(
        in_window.unique().with_columns(in_window=pl.lit(value=True)),
        on=["as_of", "series_id"], how="left", maintain_order="left",
    )  # fmt: skip
    nights = _nights(missed, told_of, whose, subjects, policy)
    best = (
        nights.sort("near", "as_of", descending=True)
        .group_by("miss", maintain_order=True)
        .agg(
            pl.col("near", "abstained").first(),
            pl.col("p").filter(pl.col("state") == "scored").max(),
            pl.col("limit_value").sort_by("as_of").last().alias("asked_value"),
        )
    )
    return (
        missed.join(best, on="miss", how="left")
        .join(_withdrawn(told), on="miss", how="left")
        .with_columns(reason=_reason(policy))
        .select(pl.col(name).cast(dtype) for name, dtype in MISSES.items())
        .sort("crossed_at", "series_id", "limit_name")
    )


def _withdrawn(told: pl.DataFrame) -> pl.DataFrame:
    """miss, closed_for: why the newest ticket was closed that had promised the crossing within its horizon."""
    promised = pl.col("opened_at") + pl.duration(hours="horizon_h") > pl.col("crossed_at")
    closed_before = pl.col("closed_at") <= pl.col("crossed_at")
    return (
        told.filter(promised, closed_before, pl.col("close_reason") != CROSSING_CAME)
        .sort("closed_at", "close_reason")
        .group_by("miss")
        .agg(closed_for=pl.col("close_reason").last())
    )


def _nights(
    missed: pl.DataFrame, risks: pl.DataFrame, whose: pl.DataFrame, subjects: pl.DataFrame, policy: TicketPolicy
) -> pl.DataFrame:
    """The nights within the horizon before each missed crossing, as they looked at its cause.

    Left out are nights on which a ticket of that very cause was open: it came true by an earlier crossing.

    Returns:
        miss, as_of, near, state, p, limit_value, abstained (the reason).
    """
    led = _led(missed, risks, whose, policy)
    within = (pl.col("as_of") <= pl.col("crossed_at")) & (
        pl.col("as_of") + timedelta(hours=policy.horizon_h) > pl.col("crossed_at")
    )
    asked = missed.select("miss", *CAUSE, "crossed_at").join(led, on=CAUSE).filter(within)
    opened = subjects.group_by(pl.col("opened_at").alias("as_of")).agg(new=pl.len())
    another = asked.join(subjects, on=SUBJECT).filter(
        pl.col("opened_at") <= pl.col("as_of"),
        pl.col("closed_at").is_null() | (pl.col("closed_at") > pl.col("as_of")),
    )
    same = pl.col("promised") == pl.col("limit_name")
    taken = another.group_by("miss", "as_of").agg(taken=pl.lit(value=True), own=same.any())
    known = asked.join(opened, on="as_of", how="left").join(taken, on=["miss", "as_of"], how="left")
    return known.filter(~pl.col("own").fill_null(value=False)).with_columns(near=_nearness(policy))


def _led(missed: pl.DataFrame, risks: pl.DataFrame, whose: pl.DataFrame, policy: TicketPolicy) -> pl.DataFrame:
    """One row a night and cause of a missed crossing: what its leader looked like (as in ``ticket_causes.causes``).

    Returns:
        as_of, *CAUSE, state, p, limit_value, last_beyond_at, abstained; crossed_before: beyond its limit on the night
        before; agreeing: nights in a row up to this one that were probable enough.
    """
    ranked = (
        risks.filter(pl.col("horizon_h") == policy.horizon_h)
        .join(whose.select("series_id", "entity"), on="series_id")
        .join(missed.select(CAUSE).unique(), on=CAUSE, how="semi")
        .with_columns(rank=pl.col("state").replace_strict({"scored": 0, "crossed": 1}, default=2, return_dtype=pl.Int8))
        .sort("rank", pl.col("p").neg(), "series_id", nulls_last=True)
    )
    enough = (pl.col("state") == "scored") & (pl.col("p") >= policy.open_at)
    beyond = ranked.filter(pl.col("state") == "crossed").select(
        "series_id", *CAUSE, night=_night().dt.offset_by("1d"), crossed_before=pl.lit(value=True)
    )
    return (
        ranked.group_by("as_of", *CAUSE, maintain_order=True)
        .agg(
            pl.col("series_id", "state", "p", "limit_value", "last_beyond_at", "in_window").first(),
            abstained=pl.col("reason").first(),
        )
        .sort(*CAUSE, "as_of")
        .with_columns(night=_night(), enough=enough)
        .join(beyond.unique(), on=["series_id", *CAUSE, "night"], how="left", maintain_order="left")
        .with_columns(
            streak=(~pl.col("enough") | (pl.col("night").diff() != timedelta(days=1)).fill_null(value=True))
            .cum_sum()
            .over(CAUSE)
        )
        .with_columns(agreeing=pl.col("enough").cum_sum().over(*CAUSE, "streak"))
        .drop("series_id", "night", "streak")
    )


def _night() -> pl.Expr:
    """The day whose midnight is the nearest to the cut: nights count as consecutive whatever the clocks do."""
    return pl.col("as_of").dt.offset_by("12h").dt.truncate("1d")


def _nearness(policy: TicketPolicy) -> pl.Expr:
    """How near a night came to a ticket."""
    quiet_since = pl.col("as_of") - timedelta(days=policy.quiet_days)
    scored = pl.col("state") == "scored"
    return (
        pl.when(pl.col("state") == "crossed").then(_BEYOND)
        .when(~scored).then(_NOT_SCORED)
        .when(pl.col("p") < policy.open_at).then(_TOO_LOW)
        .when(pl.col("in_window")).then(_WINDOW)
        .when(pl.col("crossed_before")).then(_CROSSED)
        .when(pl.col("last_beyond_at") >= quiet_since).then(_QUIET)
        .when(pl.col("agreeing") < policy.hold_nights).then(_NOT_HELD)
        .when(pl.col("taken")).then(_ANOTHER)
        .when(pl.col("new") >= policy.max_new_per_night).then(_CAP)
        .otherwise(_CAP + 1)
    )  # fmt: skip


def _reason(policy: TicketPolicy) -> pl.Expr:
    was, is_now = pl.col("asked_value"), pl.col("limit_value")
    nearer = pl.when(pl.col("direction") == "down").then(is_now - was).otherwise(was - is_now)
    moved = nearer > MATERIAL_LIMIT_CHANGE * pl.max_horizontal(was.abs(), is_now.abs())
    near = pl.col("near")
    held_back = near.replace_strict(_HELD_BACK, default="no ticket opened", return_dtype=pl.String)
    return (
        pl.when(pl.col("closed_for").is_not_null()).then(pl.lit("withdrawn: ") + pl.col("closed_for"))
        .when(near.is_null()).then(pl.lit("not scored: no night"))
        .when(near > _TOO_LOW).then(held_back)
        .when(moved).then(pl.lit("limit moved"))
        .when(near == _TOO_LOW).then(pl.lit("probability too low"))
        .when(near == _BEYOND).then(pl.lit("already beyond"))
        .otherwise(pl.lit("not scored: ") + pl.col("abstained"))
    )  # fmt: skip
