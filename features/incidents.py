"""Incidents as they were known on a night, and how long they took.

Belongs here: taking later knowledge away, and one row of durations an incident. Not here: statistics over incidents
(``reports.incident_trends``), the words for states (``features.incident_states``), or where incidents come from
(``pipelines.sources``).
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from features.incident_states import kinds, phases

KEY = ("source", "incident_id")

STAMPS = ("started_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at", "cancelled_at")
AS_RECORDED = ("sla_met", "on_hold_s", "actions_total", "actions_done")  # believed of a record not changed since
REBUILT = ("acknowledged_at", "resolved_at", "closed_at", "cancelled_at")

# What trackers write where they know no team.
NOBODY = ("", "?", "-", "n/a", "none", "null", "unknown", "unassigned")

# What the words of severities and priorities for the gravest incidents begin with, where none is flagged as major.
MAJOR = r"(?i)^\s*(p[01]|[01]|s1|sev[-_ ]?[01]|critical|major|highest|blocker)\b"

ROLES = ("commander", "communications", "experts")
AT_ONCE = 10  # incidents of a source that are resolved at one and the same moment are a clean-up

# Why an incident is left out of a measure. The first that holds is given.
PREDICTED = "predicted, not an incident"
CANCELLED = "cancelled, a duplicate or no incident"
AFTER_THE_FACT = "posted after the fact (resolved = created)"
RESOLVED_EARLY = "resolved before created"
CONTRADICTION = "state says open, yet it has a resolved time"
NO_RESOLVED_TIME = "resolved or closed, but not said when"
NO_ACKNOWLEDGEMENTS = "its source records no acknowledgement"
NO_ACKNOWLEDGEMENT = "no acknowledgement recorded"
ACKNOWLEDGED_EARLY = "acknowledged before created"
ACKNOWLEDGED_LATE = "acknowledged after resolved"


def as_of_view(incidents: pl.DataFrame, events: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The incidents as they were known just before `as_of`.

    Nothing with a time at or after `as_of` has any influence. Incidents created later are gone, later stamps are null
    (with their basis), and state, resolution, team and counts are rebuilt from the status events before `as_of`:

    - The state is that of the last event. Where the events say *open*, an earlier resolved stamp was overtaken by a
      reopening and is taken away; where they say *done*, the incident counts as resolved since it last became so.
    - A system's own stamp is kept where it is not contradicted: a resolved stamp within the current spell of *done*, or
      later than the last event. Otherwise the time comes from the events, with basis ``changelog``.
    - Without events the stamps alone tell; the record's own state is believed only if the record was last changed
      before `as_of`, else it is inferred from the stamps.
    - What has no history (severity, service, title, ...) stands as the source has it now.

    Args:
        incidents: the columns of raw.incidents, times naive UTC.
        events: the columns of raw.incident_events, in any order; they are ordered by `changed_at`, then `event_no`.
        as_of: naive UTC.

    Returns:
        The columns of raw.incidents, ordered by created_at, source, incident_id.
    """
    seen = incidents.filter(pl.col("created_at") < as_of)
    told = _told(events, as_of)
    return (
        seen.join(told, on=KEY, how="left")
        .with_columns(_cut(name, as_of) for name in STAMPS)
        .with_columns(is_fresh=pl.col("updated_at") < as_of)
        .with_columns(
            known_acknowledged_at=_acknowledged(),
            known_resolved_at=_resolved(),
            known_closed_at=_closed(),
            known_cancelled_at=_cancelled(),
        )
        .with_columns(
            *_bases(),
            state=_state(),
            team=_team(told),
            reopen_count=_reopened(),
            reassignment_count=_reassigned(),
            review_at=pl.when(pl.col("review_at") < as_of).then("review_at"),
            **{name: pl.when("is_fresh").then(name) for name in AS_RECORDED},
        )
        .with_columns(pl.col(f"known_{name}").alias(name) for name in REBUILT)
        .with_columns(updated_at=_updated())
        .select(incidents.columns)
        .sort("created_at", *KEY)
    )


def durations(view: pl.DataFrame, as_of: datetime, events: pl.DataFrame | None = None) -> pl.DataFrame:
    """How long each incident took, or has taken so far.

    Time to acknowledge runs from created_at to acknowledged_at, time to resolve from created_at to resolved_at, both in
    calendar time; a reopened incident runs on until its last resolution. A measure is *censored* where its reason for
    exclusion and its duration are both null: it is still running, and has lasted age_s at least.

    Args:
        view: from `as_of_view`.
        as_of: naive UTC, the same.
        events: the columns of raw.incident_events: what of the time an incident was on hold. Without them that is known
            only where its record says it.

    Returns:
        One row an incident, in the order of `view`:

        - source, incident_id, created_at, ended_at (resolved, else closed, else cancelled; null while open or where it
          was not said), is_open, age_s (created_at to as_of);
        - title, service, entity, severity, team, category;
        - time_to_acknowledge_s, acknowledge_excluded, time_to_resolve_s, resolve_excluded (reasons: the constants of
          this module; durations of excluded incidents are null), on_hold_s (of the time to resolve, or of its age);
        - reopen_count, reassignment_count, sla_met, is_major, reviewed, actions_total, actions_done, and for each of
          `ROLES` whether it was named, all null where the source does not say; persons are not passed on;
        - changed_after_close, resolved_in_bulk: true where the record shows it.
    """
    held = _held(view, events, as_of) if events is not None else pl.lit(None, pl.Float64)
    kinded = view.with_columns(kind=kinds("state"), told_on_hold_s=held).with_columns(phase=phases("kind"))
    ended = pl.coalesce("resolved_at", "closed_at", "cancelled_at")
    resolved_s, acknowledged_s = _seconds_since_created("resolved_at"), _seconds_since_created("acknowledged_at")
    return (
        kinded.with_columns(
            ended_at=ended,
            is_open=ended.is_null() & pl.col("phase").fill_null("open").eq("open"),
            age_s=(pl.lit(as_of) - pl.col("created_at")).dt.total_microseconds() / 1e6,
            resolve_excluded=_resolve_excluded(),
            acknowledge_excluded=_acknowledge_excluded(),
        )
        .with_columns(
            time_to_resolve_s=pl.when(pl.col("resolve_excluded").is_null()).then(resolved_s),
            time_to_acknowledge_s=pl.when(pl.col("acknowledge_excluded").is_null()).then(acknowledged_s),
        )
        .with_columns(
            on_hold_s=pl.coalesce("told_on_hold_s", pl.col("on_hold_s").cast(pl.Float64)),
            is_major=pl.coalesce("is_major", _grave()),
            reviewed=_where_recorded("review_at"),
            changed_after_close=(pl.col("updated_at") > pl.col("closed_at")).fill_null(False),
            resolved_in_bulk=(pl.len().over("source", "resolved_at") >= AT_ONCE) & pl.col("resolved_at").is_not_null(),
            **{role: _where_recorded(role) for role in ROLES},
        )
        .select(
            *KEY, "created_at", "ended_at", "is_open", "age_s", "title", "service", "entity", "severity", "team",
            "category", "time_to_acknowledge_s", "acknowledge_excluded", "time_to_resolve_s", "resolve_excluded",
            "on_hold_s", "reopen_count", "reassignment_count", "sla_met", "is_major", "reviewed", "actions_total",
            "actions_done", *ROLES, "changed_after_close", "resolved_in_bulk",
        )
    )  # fmt: skip


# -------------------------------------------------------------------------------------------- what the events told


def _told(events: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """One row an incident: what its events before `as_of` say, in columns that begin with ``told_``.

    A *spell* is an unbroken run of one phase (open, done, cancelled); words that are not known carry the phase on.
    """
    ordered = (
        events.filter(pl.col("changed_at") < as_of)
        .select(*KEY, "changed_at", "event_no", "state", "team")
        .sort(*KEY, "changed_at", "event_no")
        .with_columns(kind=kinds("state"), team=_named("team"))
        .with_columns(phase=phases("kind").forward_fill().over(KEY), known_team=pl.col("team").forward_fill().over(KEY))
        .with_columns(before=pl.col("phase").shift().over(KEY), team_before=pl.col("known_team").shift().over(KEY))
    )
    begins = pl.col("phase").ne_missing(pl.col("before"))
    reopened = pl.col("phase").eq("open") & pl.col("before").eq("done")
    at_work = pl.col("kind").is_in(["active", "on hold"])
    return ordered.group_by(KEY).agg(
        told_state=pl.col("state").drop_nulls().last(),
        told_phase=pl.col("phase").last(),
        told_since=pl.col("changed_at").filter(begins).last(),
        told_last_at=pl.col("changed_at").filter(pl.col("state").is_not_null()).last(),
        told_at_work=pl.col("changed_at").filter(at_work).first(),
        told_reopened=reopened.sum().cast(pl.Int32),
        told_team=pl.col("known_team").last(),
        told_reassigned=pl.col("known_team").ne(pl.col("team_before")).sum().cast(pl.Int32),
    )


def _named(column: str) -> pl.Expr:
    """A name, or null where the source wrote something that means nobody."""
    name = pl.col(column).str.strip_chars()
    return pl.when(~name.str.to_lowercase().is_in(NOBODY)).then(name)


# ------------------------------------------------------------------------------------- what was known before as_of


def _cut(stamp: str, as_of: datetime) -> pl.Expr:
    return pl.when(pl.col(stamp) < as_of).then(stamp).alias(stamp)


def _acknowledged() -> pl.Expr:
    """The first state of work stands in where the system keeps no acknowledgement of its own."""
    return pl.coalesce("acknowledged_at", "told_at_work")


def _resolved() -> pl.Expr:
    field, phase = pl.col("resolved_at"), pl.col("told_phase")
    return (
        pl.when(phase == "done")
        .then(pl.when(field >= pl.col("told_since")).then(field).otherwise("told_since"))
        .when(phase == "open")
        .then(pl.when(_newer_than_events(field)).then(field))
        .otherwise(field)
    )


def _closed() -> pl.Expr:
    """A closing before the last reopening is overtaken, like a resolution."""
    field, phase = pl.col("closed_at"), pl.col("told_phase")
    return (
        pl.when(phase == "done")
        .then(pl.when(field >= pl.col("told_since")).then(field))
        .when(phase == "open")
        .then(pl.when(_newer_than_events(field)).then(field))
        .otherwise(field)
    )


def _cancelled() -> pl.Expr:
    field, phase = pl.col("cancelled_at"), pl.col("told_phase")
    return (
        pl.when(phase == "cancelled")
        .then(pl.coalesce(field, "told_since"))
        .when(phase.is_null() | _newer_than_events(field))
        .then(field)
    )


def _newer_than_events(field: pl.Expr) -> pl.Expr:
    """The log ends before this stamp, so it cannot contradict it."""
    return field > pl.col("told_last_at")


def _state() -> pl.Expr:
    """As the events say; else as the record says, if nothing later can have changed it; else as the stamps imply."""
    log_ends_early = pl.col("told_phase").eq("open") & pl.any_horizontal(
        pl.col("known_resolved_at", "known_cancelled_at").is_not_null()
    )
    by_events = pl.col("told_state").is_not_null() & ~log_ends_early.fill_null(False)
    implied = (
        pl.when(pl.col("known_cancelled_at").is_not_null())
        .then(pl.lit("cancelled"))
        .when(pl.col("known_closed_at").is_not_null())
        .then(pl.lit("closed"))
        .when(pl.col("known_resolved_at").is_not_null())
        .then(pl.lit("resolved"))
        .when(pl.col("known_acknowledged_at").is_not_null())
        .then(pl.lit("acknowledged"))
        .otherwise(pl.lit("open"))
    )
    by_record = pl.col("is_fresh") & pl.col("state").is_not_null()
    return pl.when(by_events).then("told_state").when(by_record).then("state").otherwise(implied)


def _team(told: pl.DataFrame) -> pl.Expr:
    """Where a source's events carry teams they alone decide, since the record's own team may be of a later day."""
    by_events = told.filter(pl.col("told_team").is_not_null())["source"].unique().sort()
    return pl.when(pl.col("source").is_in(by_events.to_list())).then("told_team").otherwise(_named("team"))


def _reopened() -> pl.Expr:
    """Null where neither the events nor an unchanged record can tell, like reassignments."""
    by_events = pl.col("told_phase").is_not_null()
    return pl.when(by_events).then("told_reopened").when("is_fresh").then("reopen_count")


def _reassigned() -> pl.Expr:
    by_events = pl.col("told_team").is_not_null()
    return pl.when(by_events).then("told_reassigned").when("is_fresh").then("reassignment_count")


def _bases() -> list[pl.Expr]:
    """The source's own basis for a stamp it gave, ``changelog`` for one from the events, null without a stamp."""
    bases = []
    for stamp in STAMPS:
        basis = stamp.replace("_at", "_basis")
        known = pl.col(f"known_{stamp}" if stamp in REBUILT else stamp)
        given = pl.when(known.eq_missing(pl.col(stamp))).then(basis).otherwise(pl.lit("changelog"))
        bases.append(pl.when(known.is_not_null()).then(given).alias(basis))
    return bases


def _updated() -> pl.Expr:
    latest = pl.max_horizontal("created_at", "told_last_at", *STAMPS)
    return pl.when("is_fresh").then("updated_at").otherwise(latest)


# ----------------------------------------------------------------------------------------------------- durations


def _seconds_since_created(stamp: str) -> pl.Expr:
    return (pl.col(stamp) - pl.col("created_at")).dt.total_microseconds() / 1e6


def _no_incident() -> pl.Expr:
    """The reasons that hold for every measure."""
    cancelled = pl.col("cancelled_at").is_not_null() | pl.col("phase").eq("cancelled").fill_null(False)
    return pl.when("is_predicted").then(pl.lit(PREDICTED)).when(cancelled).then(pl.lit(CANCELLED))


def _resolve_excluded() -> pl.Expr:
    created, resolved = pl.col("created_at"), pl.col("resolved_at")
    over = pl.col("closed_at").is_not_null() | pl.col("phase").eq("done").fill_null(False)
    return pl.coalesce(
        _no_incident(),
        pl.when(resolved < created)
        .then(pl.lit(RESOLVED_EARLY))
        .when(resolved == created)
        .then(pl.lit(AFTER_THE_FACT))
        .when(resolved.is_not_null() & pl.col("phase").eq("open"))
        .then(pl.lit(CONTRADICTION))
        .when(resolved.is_null() & over)
        .then(pl.lit(NO_RESOLVED_TIME)),
    )


def _acknowledge_excluded() -> pl.Expr:
    created, acknowledged, resolved = pl.col("created_at"), pl.col("acknowledged_at"), pl.col("resolved_at")
    none_at_all = ~acknowledged.is_not_null().any().over("source")
    over = resolved.is_not_null() | pl.col("closed_at").is_not_null()
    at_work = pl.col("kind").is_in(["active", "on hold", "resolved", "closed"]).fill_null(False)
    return pl.coalesce(
        _no_incident(),
        pl.when(none_at_all)
        .then(pl.lit(NO_ACKNOWLEDGEMENTS))
        .when(resolved == created)
        .then(pl.lit(AFTER_THE_FACT))
        .when(acknowledged < created)
        .then(pl.lit(ACKNOWLEDGED_EARLY))
        .when(acknowledged > resolved)
        .then(pl.lit(ACKNOWLEDGED_LATE))
        .when(acknowledged.is_null() & (over | at_work))
        .then(pl.lit(NO_ACKNOWLEDGEMENT)),
    )


# ------------------------------------------------------------------------------------------------ beside durations


def _held(view: pl.DataFrame, events: pl.DataFrame, as_of: datetime) -> pl.Series:
    """Seconds on hold between creation and the end (or `as_of`), in the order of `view`.

    Null for an incident without events, and where no event of its source says *on hold*: then nobody records it.
    """
    seen = events.filter(pl.col("changed_at") < as_of).select(*KEY, "changed_at", "event_no", kind=kinds("state"))
    recording = seen.filter(pl.col("kind") == "on hold")["source"].unique()
    known = (
        seen.filter(pl.col("source").is_in(recording.to_list()) & pl.col("kind").is_not_null())
        .sort(*KEY, "changed_at", "event_no")
        .with_columns(until=pl.col("changed_at").shift(-1).over(KEY).fill_null(as_of))
    )
    ends = view.select(*KEY, "created_at", end=pl.coalesce("resolved_at", "closed_at", "cancelled_at"))
    spells = known.join(ends, on=KEY).with_columns(
        until=pl.min_horizontal("until", "end"), since=pl.max_horizontal("changed_at", "created_at")
    )
    lasted = (pl.col("until") - pl.col("since")).dt.total_microseconds().clip(0) / 1e6
    told = spells.group_by(KEY).agg(held=lasted.filter(pl.col("kind") == "on hold").sum())
    return view.select(KEY).join(told, on=KEY, how="left", maintain_order="left")["held"]


def _grave() -> pl.Expr:
    """By severity or priority; null where the source has neither."""
    columns = [pl.col(name) for name in ("severity", "priority")]
    known = pl.any_horizontal(column.is_not_null() for column in columns)
    return pl.when(known).then(pl.any_horizontal(column.str.contains(MAJOR).fill_null(False) for column in columns))


def _where_recorded(column: str) -> pl.Expr:
    """Whether it is there; null where no incident of the source has it."""
    known = pl.col(column).is_not_null()
    return pl.when(known.any().over("source")).then(known)
