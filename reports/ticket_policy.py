"""Ticket policy: from tonight's risks and yesterday's tickets to tonight's ticket events. Pure.

A ticket is a promise about one cause (entity, signal, limit, direction), kept for as long as the risk holds:

* It **opens** when a risk is high enough tonight and was on the nights before that must agree. What is already beyond
  its limit is no prediction: it opens nothing, nor on the night after (a series that hovers about its limit would open
  and resolve in turn); the digest shows it.
* **One entity's same signal has one open ticket.** When several limits (warning, critical) become due on one night, the
  most severe opens: the lesser one lies on the way, and its ticket would end by a crossing that hurts nobody. While one
  is open no other opens; when its crossing came, a further limit that is still at risk opens on that very night.
* It is **updated** only when somebody would act differently: the probability or the expected time moved by as much as
  the policy says since the last event that was written, the limit moved, or another series took the lead.
* A series **in a known-bad window** on the night opens nothing, and its open ticket is kept as it is: what the night
  says of it rests on hours before the window, and nobody is to be told of work that is under way.
* It is **resolved** when the crossing came, when the risk is gone, or when the series has not been measured for
  `silent_nights`: not on the first silent night, since a collector's outage of a day is common and its worst moment to
  close a ticket; not never, since a series that was taken out of service would keep its ticket for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from features.options import Options
from reports.ticket_causes import CAUSE, causes
from reports.ticket_events import EVENTS, OPENED, RESOLVED, UPDATED

CROSSING_CAME, RISK_GONE, NOT_MEASURED = "crossing came", "risk gone", "no longer measured"

# A limit that is read off the past is renewed now and then; a smaller move changes nobody's plan.
MATERIAL_LIMIT_CHANGE = 0.01

Share = Annotated[float, Field(ge=0, le=1)]
Row = dict[str, Any]
SUBJECT = ("entity", "signal", "direction")  # has one open ticket at most
Subject = tuple[str, str, str]


class TicketPolicy(Options):
    """When a risk becomes a ticket, when a ticket changes, and when it is over."""

    open_at: Share = Field(default=0.7, description="opens at this probability within the horizon")
    resolve_below: Share = Field(
        default=0.35, description="an open ticket is resolved below this; between the two it is kept"
    )
    horizon_h: Literal[24, 72, 168] = 168
    hold_nights: Annotated[int, Field(ge=1, le=14)] = Field(
        default=1, description="nights in a row that must agree before opening"
    )
    silent_nights: Annotated[int, Field(ge=1, le=30)] = Field(
        default=3, description="nights in a row without a measurement after which an open ticket is resolved"
    )
    quiet_days: Annotated[int, Field(ge=0, le=90)] = Field(
        default=7, description="a limit that was beyond within so many days is a rhythm, no news: it opens no ticket"
    )
    max_new_per_night: Annotated[int, Field(ge=1)] = Field(
        default=20, description="the most probable first; the rest wait a night"
    )
    update_p: Share = Field(default=0.15, description="a change of probability worth an update")
    update_eta_h: Annotated[int, Field(ge=1)] = Field(
        default=24, description="a change of the expected time worth an update"
    )

    @model_validator(mode="after")
    def _ordered(self) -> TicketPolicy:
        if self.resolve_below > self.open_at:
            raise ValueError("resolve_below must not exceed open_at, else a ticket opens and resolves every night")
        return self

    @property
    def lookback(self) -> timedelta:
        """How far before a night the risks of earlier nights matter to it (a day may have 25 hours)."""
        return max(self.hold_nights, self.silent_nights, 2) * timedelta(days=1)


def decide(
    risks: pl.DataFrame,
    series: pl.DataFrame,
    profiles: pl.DataFrame,
    earlier_risks: pl.DataFrame,
    open_tickets: pl.DataFrame,
    *,
    policy: TicketPolicy,
    as_of: datetime,
    held: pl.Series | None = None,
) -> pl.DataFrame:
    """Tonight's ticket events.

    Args:
        risks: the columns of ``forecasting.risks``; rows of other nights than `as_of` are ignored.
        series: series_id, source, entity, metric, unit, service; all series of `risks` and `earlier_risks`.
        profiles: series_id, level, shape, of tonight.
        earlier_risks: like `risks`, of the nights since ``as_of - policy.lookback``; others are ignored. A night that
            did not run agrees with nothing and measured nothing.
        open_tickets: ``ticket_events.fold`` over the nights before.
        policy: the rules' numbers.
        as_of: tonight's cut, naive UTC.
        held: series_id of the series that a known-bad window holds tonight; may be left out.

    Returns:
        The columns of ``reports.ticket_events``, sorted by ticket_id. The same whatever the order of the rows given.

    Raises:
        ValueError: `open_tickets` holds events of tonight or later, or a risk's series is not among `series`.
    """
    if open_tickets.filter(pl.col("as_of") >= as_of).height:
        raise ValueError(f"open_tickets holds events at or after {as_of}; fold the nights before it only")
    in_window = frozenset(() if held is None else held)
    night = _Night.of(risks, series, profiles, earlier_risks, policy=policy, as_of=as_of, held=in_window)
    continued, still_open = _continue(open_tickets, night)
    return pl.DataFrame(continued + _open(still_open, night), schema=EVENTS).sort("ticket_id", "event_no")


@dataclass(frozen=True)
class _Night:
    """What tonight and the nights before it say, at the policy's horizon."""

    policy: TicketPolicy
    as_of: datetime
    measured: pl.DataFrame  # tonight's risks that were scored or have crossed, with their series' level and shape
    causes: pl.DataFrame  # the same, one row a cause
    held: frozenset[int]  # series in a known-bad window
    past: pl.DataFrame  # earlier nights' with their entity and nights_ago: 1 is last night, be it 23, 24 or 25 h ago

    @staticmethod
    def of(
        risks: pl.DataFrame,
        series: pl.DataFrame,
        profiles: pl.DataFrame,
        earlier_risks: pl.DataFrame,
        *,
        policy: TicketPolicy,
        as_of: datetime,
        held: frozenset[int],
    ) -> _Night:
        is_measured = (pl.col("horizon_h") == policy.horizon_h) & pl.col("state").is_in(["scored", "crossed"])
        looks = profiles.select("series_id", "level", "shape")
        tonight = risks.filter(is_measured, pl.col("as_of") == as_of)
        hours_ago = (pl.lit(as_of) - pl.col("as_of")).dt.total_hours()
        return _Night(
            policy,
            as_of,
            held=held,
            measured=tonight.join(looks, on="series_id", how="left"),
            causes=causes(tonight, series, policy.horizon_h, policy.resolve_below).join(
                looks, on="series_id", how="left"
            ),
            past=earlier_risks.filter(is_measured)
            .with_columns(nights_ago=((hours_ago + 12) // 24).cast(pl.Int32))
            .filter(pl.col("nights_ago").is_between(1, policy.lookback // timedelta(days=1)))
            .join(series.select("series_id", "entity"), on="series_id"),
        )

    def nights_since(self, earlier: datetime) -> int:
        return round((self.as_of - earlier) / timedelta(days=1))


# ------------------------------------------------------------------------------------------------------- open tickets


def _continue(open_tickets: pl.DataFrame, night: _Night) -> tuple[list[Row], set[Subject]]:
    """The events of tickets that were open, and the subjects of those that stay open."""
    promise = ("series_id", "signal", "limit_name")
    mine = open_tickets.select(promise)
    by_fingerprint = {row["fingerprint"]: row for row in night.causes.iter_rows(named=True)}
    by_promise = {
        tuple(row[name] for name in promise): row
        for row in night.measured.join(mine, on=promise, how="semi").iter_rows(named=True)
    }
    seen = night.past.join(mine, on=promise, how="semi").group_by(promise).agg(pl.col("nights_ago").min())
    last_seen = {tuple(key): nights_ago for *key, nights_ago in seen.iter_rows()}
    events: list[Row] = []
    still_open: set[Subject] = set()
    for ticket in open_tickets.sort("ticket_id").iter_rows(named=True):
        key = tuple(ticket[name] for name in promise)
        cause, leader = by_fingerprint.get(ticket["fingerprint"]), by_promise.get(key)
        if ticket["series_id"] in night.held:
            still_open.add((ticket["entity"], ticket["signal"], ticket["direction"]))
            continue
        silent_for = min(last_seen.get(key, night.policy.silent_nights), night.nights_since(ticket["as_of"]))
        event, reason = _verdict(ticket, cause, leader, silent_for, policy=night.policy)
        if event != RESOLVED:
            still_open.add((ticket["entity"], ticket["signal"], ticket["direction"]))
        if event is not None:
            # A resolved ticket tells how its own series ended; an update may bring another one to the fore.
            tells = leader if event == RESOLVED else cause
            events.append(_next_event(ticket, tells, night) | {"event": event, "reason": reason})
    return events, still_open


def _verdict(
    ticket: Row, cause: Row | None, leader: Row | None, silent_for: int, *, policy: TicketPolicy
) -> tuple[str | None, str]:
    """What becomes of an open ticket: (event or None, reason).

    Args:
        ticket: its newest event.
        cause: tonight's row of its cause, None where nothing of it was measured.
        leader: tonight's risk of the series that the ticket is about, None where that was not measured.
        silent_for: nights since that series was last measured before tonight.
        policy: the rules' numbers.
    """
    if leader is not None and leader["state"] == "crossed":
        return RESOLVED, CROSSING_CAME
    if cause is not None and cause["state"] == "scored" and cause["p"] >= policy.resolve_below:
        reasons = _changes(ticket, cause, leader, policy)
        return (UPDATED, "; ".join(reasons)) if reasons else (None, "")
    if leader is not None:
        return RESOLVED, RISK_GONE
    # Nothing is known of the ticket's own series; that others of its cause are well does not make it well.
    return (RESOLVED, NOT_MEASURED) if silent_for >= policy.silent_nights else (None, "")


def _changes(ticket: Row, cause: Row, leader: Row | None, policy: TicketPolicy) -> list[str]:
    """What changed materially since the ticket's last event."""
    reasons: list[str] = []
    if leader is None or leader["p"] < policy.resolve_below:  # another series carries the risk on
        reasons.append("another series leads")
    if abs(cause["p"] - ticket["probability"]) >= policy.update_p:
        reasons.append("probability changed")
    promised, expected = ticket["eta_p50"], cause["eta_p50"]
    if promised and expected and abs(expected - promised) >= timedelta(hours=policy.update_eta_h):
        reasons.append("expected time changed")
    if cause["series_id"] == ticket["series_id"]:
        before, after = ticket["limit_value"], cause["limit_value"]
        if abs(after - before) > MATERIAL_LIMIT_CHANGE * max(abs(after), abs(before)):
            reasons.append("limit changed")
    return reasons


def _next_event(ticket: Row, tells: Row | None, night: _Night) -> Row:
    """The ticket's next event, but for what it is: what `tells` says, and for the rest what was last known."""
    new = {name: ticket[name] for name in EVENTS} | {"as_of": night.as_of, "event_no": ticket["event_no"] + 1}
    if tells is None:
        return new
    kept = {"ticket_id", "as_of", "event_no", "facts"}
    if tells["state"] == "crossed":  # the promise stays readable after the crossing came
        kept |= {"eta_p10", "eta_p50", "eta_p90"}
    new |= {name: tells[name] for name in EVENTS if name in tells and name not in kept}
    return new | {"probability": tells["p"], "facts": tells["facts"] or "[]"}


# -------------------------------------------------------------------------------------------------------- new tickets


def _open(still_open: set[Subject], night: _Night) -> list[Row]:
    policy = night.policy
    taken = pl.DataFrame(sorted(still_open), schema=dict.fromkeys(SUBJECT, pl.String), orient="row")
    crossed_last_night = night.past.filter(pl.col("nights_ago") == 1, pl.col("state") == "crossed")
    candidates = (
        night.causes.filter(pl.col("state") == "scored", pl.col("p") >= policy.open_at, ~_among(night.held))
        .join(taken, on=SUBJECT, how="anti")
        .join(crossed_last_night, on=("series_id", "signal", "limit_name", "direction"), how="anti")
    )
    quiet_since = night.as_of - timedelta(days=policy.quiet_days)
    candidates = candidates.filter(pl.col("last_beyond_at").is_null() | (pl.col("last_beyond_at") < quiet_since))
    reason = f"probability at or above {100 * policy.open_at:g} %"
    if policy.hold_nights > 1:
        candidates = candidates.join(_agreeing(night), on=CAUSE, how="semi")
        reason += f" for {policy.hold_nights} nights"
    chosen = (
        candidates.sort(pl.col("severity").neg(), pl.col("p").neg(), "eta_p50", "fingerprint", nulls_last=True)
        .unique(SUBJECT, keep="first", maintain_order=True)
        .sort(pl.col("p").neg(), "eta_p50", "fingerprint", nulls_last=True)
        .head(policy.max_new_per_night)
    )
    told = {"as_of": night.as_of, "event_no": 1, "event": OPENED, "reason": reason, "horizon_h": policy.horizon_h}
    return [
        {name: row[name] for name in EVENTS if name in row}
        | told
        | {
            "ticket_id": _ticket_id(row["fingerprint"], night.as_of),
            "probability": row["p"],
            "facts": row["facts"] or "[]",
        }
        for row in chosen.iter_rows(named=True)
    ]


def _among(series_ids: frozenset[int]) -> pl.Expr:
    return pl.col("series_id").is_in(pl.Series(sorted(series_ids), dtype=pl.UInt64).implode())


def _agreeing(night: _Night) -> pl.DataFrame:
    """The causes that were high enough on each of the nights before that must agree."""
    policy = night.policy
    return (
        night.past.filter(
            pl.col("state") == "scored", pl.col("p") >= policy.open_at, pl.col("nights_ago") < policy.hold_nights
        )
        .select(*CAUSE, "nights_ago")
        .unique()
        .group_by(CAUSE)
        .len("agreeing")
        .filter(pl.col("agreeing") == policy.hold_nights - 1)
    )


def _ticket_id(fingerprint: str, as_of: datetime) -> str:
    """The fingerprint and the night's date: that of the noon after its cut, so that no two nights share one.

    (In London the cuts before and after the clocks go forward, 00:00 and 23:00 UTC, lie on one UTC date.)
    """
    return f"{fingerprint}-{as_of + timedelta(hours=12):%Y%m%d}"
