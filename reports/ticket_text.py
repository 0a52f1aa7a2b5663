"""What a ticket says, as Markdown, as a title and as a record. Pure.

Belongs here: the words of a ticket and their order: first what a tired reader must know, last how to check it. Not
here: when a ticket opens (``ticket_policy``), its picture (``ticket_chart``), where it goes (``pipelines.trackers``).

Names, labels, units and facts come from metrics and are escaped; advice and runbooks come from the settings' owner and
may hold Markdown of their own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from features.signals import Signal
from features.units import format_share, format_value
from reports import ticket_policy
from reports.services import Service
from reports.text import (
    code_markdown,
    escape_markdown,
    format_date,
    format_local,
    format_moment,
    format_utc,
    likelihood,
    link_markdown,
    model_in_words,
    one_line,
    plain_spaces,
    to_utc,
    to_zone,
)
from reports.ticket_events import RESOLVED, TicketEvent
from reports.track_record import TrackRecord
from reports.working_time import WorkingHours, last_working_moment

RESOLUTIONS = {
    ticket_policy.CROSSING_CAME: "The series is beyond its limit. This is no longer a prediction: from here your "
    "alerting and your incident process lead.",
    ticket_policy.RISK_GONE: "A crossing within the horizon has become unlikely.",
    ticket_policy.NOT_MEASURED: "Nothing was measured for several nights, so whether the risk is over is not known. If "
    "the series was taken out of service nothing is left to do; if not, mend its collection.",
}


@dataclass(frozen=True)
class TicketContext:
    """What a ticket needs besides its events.

    labels: the series' identity labels.
    limit_basis: in words, where the limit's value comes from.
    path_model: who drew the forecast beside the probability, which has a model of its own.
    service: that owns the entity; services: all of them, for who depends on it.
    kept: what became of earlier tickets like it; None where too few have settled to say.
    zone, hours, holidays: the calendar; a service's own zone goes before `zone`.
    """

    zone: ZoneInfo
    signal: Signal | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    limit_basis: str | None = None
    service: Service | None = None
    services: Sequence[Service] = ()
    hours: WorkingHours = field(default_factory=WorkingHours)
    holidays: Collection[date] = ()
    path_model: str | None = None
    kept: TrackRecord | None = None

    @property
    def team_zone(self) -> ZoneInfo:
        return ZoneInfo(self.service.time_zone) if self.service and self.service.time_zone else self.zone

    @property
    def dependants(self) -> list[str]:
        if self.service is None:
            return []
        return sorted(each.name for each in self.services if self.service.name in each.depends_on)

    def unit_of(self, event: TicketEvent) -> str | None:
        return (self.signal.unit if self.signal else None) or event.unit

    def act_by(self, event: TicketEvent) -> datetime | None:
        """The last working moment before the early estimate, aware in the team's zone; None where there is none."""
        if event.eta_p10 is None:
            return None
        return last_working_moment(event.eta_p10, event.as_of, self.team_zone, self.hours, self.holidays)


def marker(ticket_id: str) -> str:
    """What a tracker is searched for before a ticket is created."""
    return f"forewarn-ticket: {ticket_id}"


# -------------------------------------------------------------------------------------------------------------- title


def title(event: TicketEvent, context: TicketContext) -> str:
    """One plain line, not escaped: 'db-02: memory in use will reach 95 % about Wed 3 Jun (84 % likely)'.

    It names the day and not the days to go: a title stays in a tracker's list for nights in which nothing is updated.
    """
    limit = format_value(event.limit_value, context.unit_of(event))
    what = f"{_subject(event, context)}: {_measure(event, context)}"
    if event.event == RESOLVED:
        return plain_spaces(f"Resolved, {event.reason}: {what}, limit {limit}")
    verb = "will reach" if event.direction == "up" else "will fall to"
    return plain_spaces(f"{what} {verb} {limit}{_day(event, context)} ({format_share(event.probability)} likely)")


def _day(event: TicketEvent, context: TicketContext) -> str:
    """When, to the hour within the first day and to the day beyond it."""
    if event.eta_p50 is None:
        return ""
    if event.eta_p50 - event.as_of < timedelta(days=1):
        return f" about {format_moment(event.eta_p50, context.team_zone)}"
    return f" about {format_date(to_zone(event.eta_p50, context.team_zone))}"


def _subject(event: TicketEvent, context: TicketContext) -> str:
    """The entity, and what tells its series apart, unless it says the same again or is too long for a title."""
    apart = ((key, value) for key, value in sorted(context.labels.items()) if value != event.entity)
    labels = ", ".join(f"{key}={value}" for key, value in apart)
    return one_line(event.entity, 60) + (f" ({one_line(labels)})" if labels and len(labels) <= 60 else "")


def _measure(event: TicketEvent, context: TicketContext) -> str:
    return one_line((context.signal.title if context.signal else None) or event.metric, 60)


# ----------------------------------------------------------------------------------------------------------- markdown


def markdown(history: Sequence[TicketEvent], context: TicketContext, chart: str | None) -> str:
    """The whole ticket.

    Args:
        history: the ticket's events, oldest first; the last one is its state.
        context: what surrounds it.
        chart: file name of the PNG beside it, or None.
    """
    event = history[-1]
    parts = [
        f"# {escape_markdown(title(event, context), 300)}",
        _resolution(event, context) if event.event == RESOLVED else _act_by(event, context),
        _summary(event, context),
        f"![measured, forecast and limit](<{chart}>)" if chart else "",
        _why(event, context),
        "" if event.event == RESOLVED else _to_do(context),
        _history(history, context),
        _check(event, context),
    ]
    return plain_spaces("\n\n".join(part for part in parts if part) + "\n")


def withdrawn(ticket_id: str) -> str:
    """What stands in the place of a ticket whose night was run again and opens it no longer."""
    return (
        "# Withdrawn\n\nThe night that opened this ticket was run again, with other data or settings, and opens it no "
        f"longer. Nothing is left to do.\n\n`{marker(ticket_id)}`\n"
    )


def _resolution(event: TicketEvent, context: TicketContext) -> str:
    night = format_local(event.as_of, context.zone)
    return f"> **Resolved as of {night}: {event.reason}.** {RESOLUTIONS[event.reason]}"


def _act_by(event: TicketEvent, context: TicketContext) -> str:
    if event.eta_p10 is None:
        return ""
    moment = context.act_by(event)
    early = format_local(event.eta_p10, context.team_zone)
    if moment is None:
        return f"> **Act at once:** no working hours are left before the early estimate ({early})."
    by = f"{format_date(moment)} {moment.year}, {moment:%H:%M} {moment.tzname()}"
    return f"> **Act by {by}**, the last working moment before the early estimate ({early})."


def _summary(event: TicketEvent, context: TicketContext) -> str:
    lines = [("What", _what(event, context)), ("When", _when(event, context))]
    if event.event != RESOLVED:
        lines.append(("How sure", _how_sure(event, context)))
        if context.kept:
            lines.append(("Track record", f"{context.kept.sentence}."))
    lines.append(("Who", _who(event, context)))
    return "\n".join(f"- **{name}:** {text}" for name, text in lines)


def _what(event: TicketEvent, context: TicketContext) -> str:
    unit = context.unit_of(event)

    def shown(value: float) -> str:
        return escape_markdown(format_value(value, unit))

    text = f"{escape_markdown(_measure(event, context))} of {code_markdown(event.entity)}"
    text += " reaches" if event.direction == "up" else " falls to"
    text += f" its limit {code_markdown(event.limit_name)}, {shown(event.limit_value)}"
    if context.signal and context.signal.lasts_hours > 1:
        text += f", and stays there for {context.signal.lasts_hours} hours"
    text += "."
    if event.level is not None:
        headroom = (event.limit_value - event.level) * (1 if event.direction == "up" else -1)
        away = shown(headroom).replace("%", "percentage points")
        text += f" The median of its last day is {shown(event.level)}, "
        text += f"{away} away." if headroom > 0 else "at or beyond the limit."
    if event.others:
        text += f" {event.others} further series of the same cause {'is' if event.others == 1 else 'are'} at risk."
    return text


def _when(event: TicketEvent, context: TicketContext) -> str:
    if event.eta_p50 is None:
        return f"within {_horizon(event)} if at all; no time can be named."
    zone = context.team_zone
    said = "it was expected for" if event.event == RESOLVED else "most likely"
    text = f"{said} **{format_local(event.eta_p50, zone)}** ({format_utc(event.eta_p50)})"
    if event.eta_p10 and event.eta_p90:
        text += (
            f"; in 8 of 10 cases between {format_local(event.eta_p10, zone)} and {format_local(event.eta_p90, zone)}"
        )
        text += f" ({format_utc(event.eta_p10)} and {format_utc(event.eta_p90)})"
    return text + "."


def _how_sure(event: TicketEvent, context: TicketContext) -> str:
    text = f"{likelihood(event.probability)}, **{format_share(event.probability)}** within {_horizon(event)}."
    if event.model:
        text += f" The probability is by {escape_markdown(model_in_words(event.model))}"
        if context.path_model and context.path_model != event.model:
            drawn_by = escape_markdown(model_in_words(context.path_model))
            text += f", weighed with the forecast on the chart, which is by {drawn_by}"
        text += "."
    if event.shape:
        text += f" The series' shape: {escape_markdown(event.shape.replace('_', ' '))}."
    return text


def _horizon(event: TicketEvent) -> str:
    return f"{event.horizon_h // 24} days" if event.horizon_h > 24 else f"{event.horizon_h} hours"


def _who(event: TicketEvent, context: TicketContext) -> str:
    service = context.service
    if service is None:
        named = f"service {code_markdown(event.service)}" if event.service else "no service in the settings"
        return f"{named}; nobody is named as its owner."
    text = escape_markdown(service.owner) if service.owner else "no owner named"
    text += f", for the service {code_markdown(service.name)}"
    return text + (f" (tier {service.tier})." if service.tier else ".")


def _why(event: TicketEvent, context: TicketContext) -> str:
    facts: list[str] = json.loads(event.facts)
    if context.limit_basis and not any(context.limit_basis in fact for fact in facts):
        facts.append(f"The limit: {context.limit_basis}.")
    return "## Why\n\n" + "\n".join(f"- {escape_markdown(fact)}" for fact in facts) if facts else ""


def _to_do(context: TicketContext) -> str:
    parts = [context.signal.advice.strip()] if context.signal and context.signal.advice else []
    if context.service and context.service.runbook:
        parts.append(f"Runbook: {link_markdown(context.service.runbook)}")
    if context.dependants:
        names = ", ".join(code_markdown(name) for name in context.dependants)
        parts.append(f"Services that depend on it: {names}.")
    return "## What to do\n\n" + "\n\n".join(parts) if parts else ""


def _history(history: Sequence[TicketEvent], context: TicketContext) -> str:
    rows = ["| night | event | probability | expected | why |", "|---|---|---:|---|---|"]
    for event in history:
        probability = format_share(event.probability)
        expected = format_local(event.eta_p50, context.team_zone)
        night = format_local(event.as_of, context.zone)
        rows.append(f"| {night} | {event.event} | {probability} | {expected} | {escape_markdown(event.reason)} |")
    return "## History of this ticket\n\n" + "\n".join(rows)


def _check(event: TicketEvent, context: TicketContext) -> str:
    labels = json.dumps(dict(sorted(context.labels.items())), ensure_ascii=False)
    identity = [
        ("source", event.source), ("entity", event.entity), ("metric", event.metric), ("labels", labels),
        ("series", str(event.series_id)), ("signal", event.signal), ("model", event.model or "none"),
        ("forecast by", context.path_model or "none"),
    ]  # fmt: skip
    lines = [f"- {name}: {code_markdown(value)}" for name, value in identity]
    lines.append(f"- as of: {format_utc(event.as_of)}; nothing later was seen")
    lines.append(f"- fingerprint: `{event.fingerprint}`")
    query = f"SELECT hour, mean FROM features.hourly WHERE series_id = {event.series_id} ORDER BY hour;"
    return (
        "## How to check it\n\n" + "\n".join(lines) + f"\n\n```sql\n{query}\n```\n\n`{marker(event.ticket_id)}`\n\n"
        "*A prediction by Forewarn: a warning, not an incident. It never counts in MTTR.*"
    )


# ------------------------------------------------------------------------------------------------------------- record


def record(history: Sequence[TicketEvent], context: TicketContext) -> dict[str, Any]:
    """The ticket for programs: JSON values only, times ISO 8601 in UTC."""
    event = history[-1]
    act_by = context.act_by(event)
    return {
        "ticket_id": event.ticket_id,
        "fingerprint": event.fingerprint,
        "status": "resolved" if event.event == RESOLVED else "open",
        "title": title(event, context),
        "opened_as_of": _iso(history[0].as_of),
        "as_of": _iso(event.as_of),
        "event": event.event,
        "event_no": event.event_no,
        "reason": event.reason,
        "source": event.source,
        "entity": event.entity,
        "metric": event.metric,
        "labels": dict(sorted(context.labels.items())),
        "signal": event.signal,
        "direction": event.direction,
        "limit_name": event.limit_name,
        "limit_value": event.limit_value,
        "level": event.level,
        "unit": context.unit_of(event),
        "horizon_h": event.horizon_h,
        "probability": event.probability,
        "eta_p10": _iso(event.eta_p10),
        "eta_p50": _iso(event.eta_p50),
        "eta_p90": _iso(event.eta_p90),
        "act_by": _iso(to_utc(act_by)) if act_by else None,
        "model": event.model,
        "path_model": context.path_model,
        "shape": event.shape,
        "track_record": asdict(context.kept) if context.kept else None,
        "facts": json.loads(event.facts),
        "others": event.others,
        "service": context.service.name if context.service else event.service,
        "owner": context.service.owner if context.service else None,
        "tier": context.service.tier if context.service else None,
        "runbook": context.service.runbook if context.service else None,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat(timespec='seconds')}Z"
