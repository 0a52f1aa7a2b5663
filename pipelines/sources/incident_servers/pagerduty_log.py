"""What PagerDuty's incidents and the entries of their logs mean.

============  ==========================================================================================================
created       created_at
acknowledged  the first acknowledgement in the log (changelog), whoever made it
resolved      resolved_at, else last_status_change_at of a resolved one; PagerDuty knows no closing
cancelled     as resolved, where it was merged into another incident
severity      the urgency; the priority is the priority
entity        the source in the event that triggered it, or Nagios's host
============  ==========================================================================================================

Belongs here: incidents and their logs as rows. Not here: asking (``pagerduty``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.source_options import PagerDuty
from pipelines.sources.incident_servers.pages import Row, finished
from pipelines.sources.incident_servers.reading import records, told

Record = Mapping[str, Any]

TRIGGER, RESOLVE = "trigger_log_entry", "resolve_log_entry"
STATES = {
    "acknowledge_log_entry": "acknowledged",
    "acknowledgement_log_entry": "acknowledged",
    "unacknowledge_log_entry": "triggered",
    "snooze_log_entry": "snoozed",
    RESOLVE: "resolved",
}
ASSIGNMENTS = ("assign_log_entry", "reassign_log_entry", "escalate_log_entry", "delegate_log_entry")
MERGED = "merge_resolve_reason"


@dataclass(frozen=True)
class Logged:
    """An incident with its log, in any order."""

    record: Record
    log: Sequence[Record]

    @property
    def is_merged(self) -> bool:
        return told(self.record, "resolve_reason.type") == MERGED

    @property
    def is_over(self) -> bool:
        """Whether its log ends with a resolution."""
        states = _states(self)
        return bool(states) and states[-1][1] in ("resolved", "merged")

    @property
    def ended_at(self) -> str | None:
        if told(self.record, "status") != "resolved":
            return None
        return told(self.record, "resolved_at") or told(self.record, "last_status_change_at")


def began(record: Record, log: Iterable[Record]) -> bool:
    """Whether a log has the beginning of its incident. Every event that an open one takes in is a trigger as well."""
    first, created_at = told(record, "first_trigger_log_entry.id"), told(record, "created_at")
    return any(
        told(entry, "id") == first if first else _type(entry) == TRIGGER and told(entry, "created_at") == created_at
        for entry in log
    )


def incident(each: Logged, source: PagerDuty) -> Row:
    """An incident as a row. Its version is the last entry that is known: a longer log tells more of one state."""
    record, log = each.record, _ordered(each.log)
    acknowledged_at = next((at for at, word in _states(each) if word == "acknowledged"), None)
    trigger = next((entry for entry in log if _type(entry) == TRIGGER), {})
    row: Row = {
        "incident_id": told(record, "id"),
        "title": told(record, "title") or told(record, "summary"),
        "service": told(record, "service.summary"),
        "entity": told(trigger, "channel.cef_details.source_origin") or told(trigger, "channel.host"),
        "team": told(record, "teams.0.summary"),
        "category": told(record, "incident_type.name"),
        "severity": told(record, "urgency"),
        "priority": told(record, "priority.summary"),
        "state": "merged" if each.is_merged else told(record, "status"),
        "created_at": told(record, "created_at"),
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": "changelog" if acknowledged_at else None,
        "resolved_at": None if each.is_merged else each.ended_at,
        "cancelled_at": each.ended_at if each.is_merged else None,
        "updated_at": told(log[-1], "created_at") if log else None,
        "reopen_count": str(sum(word == "reopened" for _, word in _states(each))),
        "reassignment_count": str(max(0, sum(_type(entry) in ASSIGNMENTS for entry in log) - 1)),
        "experts": _experts(record),
    }
    labels = [
        told(record, "incident_key"),
        told(record, "incident_type.name"),
        told(trigger, "channel.cef_details.event_class"),
    ]
    return finished(
        row,
        {**record, "trigger": trigger},
        source,
        labels=[label for label in labels if label],
        text=json.dumps(trigger, default=str),
    )


def _experts(record: Record) -> str | None:
    """Who was asked to join, and did."""
    joined = (each for each in records(record, "incidents_responders") if told(each, "state") == "joined")
    return ", ".join(sorted({name for each in joined if (name := told(each, "user.summary"))})) or None


# --------------------------------------------------------------------------------------------------------------- events


def events(each: Logged) -> list[Row]:
    """An incident's changes of state, and whom it was given to."""
    key = told(each.record, "id")
    states: list[Row] = [{"incident_id": key, "changed_at": at, "state": word} for at, word in _states(each)]
    given: list[Row] = [
        {"incident_id": key, "changed_at": told(entry, "created_at"), "assignee": names}
        for entry in _ordered(each.log)
        if _type(entry) in ASSIGNMENTS
        and (names := ", ".join(name for user in records(entry, "assignees") if (name := told(user, "summary"))))
    ]
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in [*states, *given])]


def _states(each: Logged) -> list[tuple[str, str]]:
    """When it came into which state, in order.

    The log's word for a reopening is not documented: what follows a resolution is one, and so is an incident that is
    open although its log ends with a resolution.
    """
    states: list[tuple[str, str]] = []
    for entry in _ordered(each.log):
        is_done = bool(states) and states[-1][1] == "resolved"
        kind, at = _type(entry), told(entry, "created_at") or ""
        if "reopen" in kind or (is_done and kind == TRIGGER):
            states.append((at, "reopened"))
        elif kind in STATES or (kind == TRIGGER and not states):
            states.append((at, STATES.get(kind, "triggered")))
    changed_at = told(each.record, "last_status_change_at")
    if states and states[-1][1] == "resolved":
        if each.is_merged:
            states[-1] = (states[-1][0], "merged")
        elif each.ended_at is None and changed_at and changed_at > states[-1][0]:
            states.append((changed_at, "reopened"))
    return states


def _ordered(log: Iterable[Record]) -> list[Record]:
    """By time; of one second, triggers first and resolutions last."""
    timed = [entry for entry in log if told(entry, "created_at")]
    return sorted(
        timed, key=lambda entry: (told(entry, "created_at") or "", _type(entry) == RESOLVE, _type(entry) != TRIGGER)
    )


def _type(entry: Record) -> str:
    return told(entry, "type") or ""
