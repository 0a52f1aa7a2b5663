"""What ServiceNow's records mean.

============  ==========================================================================================================
created       opened_at, else sys_created_on
acknowledged  the end of a response SLA (``task_sla``; sla); else the first state of work, else the first assignment, by
              metrics (``metric_instance``; changelog)
resolved      resolved_at, and closed closed_at; neither of a record that is open (again) or cancelled
cancelled     since when it is, by metrics (changelog), else closed_at, else sys_updated_on (inferred)
severity      the priority, which is what ServiceNow makes of impact and urgency
states        by their numbers, since words are in the account's language; of tables other than ``incident`` by words
============  ==========================================================================================================

Belongs here: records and the rows about them, as rows. Not here: asking (``servicenow``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.incident_states import Kind, kind_of
from pipelines.source_options import ServiceNow
from pipelines.sources.incident_servers.pages import Row, finished
from pipelines.sources.incident_servers.reading import moment, told

FIELDS = (
    "sys_id", "number", "short_description", "description", "state", "priority", "category", "opened_at",
    "sys_created_on", "resolved_at", "closed_at", "sys_updated_on", "reopen_count", "reassignment_count",
    "assignment_group", "business_service", "service_offering", "cmdb_ci", "major_incident_state", "correlation_id",
    "correlation_display", "contact_type",
)  # fmt: skip
LABELS = ("correlation_id", "correlation_display", "contact_type", "category")
"""In which whoever writes a record says what it is."""
STATES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
STATE_FIELDS = ("incident_state", "state")
ASSIGNED, GROUP = "assigned_to", "assignment_group"
WORK: tuple[Kind, ...] = ("active", "on hold")
OPEN: tuple[Kind, ...] = ("new", *WORK)
AS_STORED = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
GROUPED = re.compile(r"\d[\d\s.,'’]*")
SINCE = datetime(1970, 1, 1)
"""Durations are times after it."""

SideRow = dict[str, str]
"""Of a table about records: field -> value, which is empty where there is none."""


@dataclass(frozen=True)
class Told:
    """A record as `plain` gives it, its SLAs and its metrics."""

    record: Mapping[str, str]
    slas: Sequence[SideRow]
    metrics: Sequence[SideRow]


def plain(record: Mapping[str, Any]) -> dict[str, str]:
    """A record's fields as texts, those without a value left out: times and numbers as they are stored, times so in
    UTC; of all else the words that people see. ``state.value`` is the number of its state.
    """
    fields = {name: shown for name in record if (shown := _shown(record[name]))}
    return fields | {"state.value": told(record, "state.value") or ""}


def _shown(field: Any) -> str | None:
    stored, words = told(field, "value"), told(field, "display_value")
    if stored is None or AS_STORED.fullmatch(stored) or (stored.isdecimal() and words and GROUPED.fullmatch(words)):
        return stored or words
    return words or stored


# ------------------------------------------------------------------------------------------------------------ incidents


def incident(each: Told, source: ServiceNow) -> Row:
    """A record as a row."""
    record = each.record
    state = _state(source, record.get("state.value"), record.get("state"))
    kind = kind_of(state or "")
    created_at = record.get("opened_at") or record.get("sys_created_on")
    acknowledged_at, acknowledged_basis = _acknowledged(each, source, created_at)
    cancelled_at, cancelled_basis = _cancelled(each, source) if kind == "cancelled" else (None, None)
    ends = kind != "cancelled" and kind not in OPEN
    row: Row = {
        "incident_id": _key(record),
        "title": record.get("short_description"),
        "service": record.get("business_service") or record.get("service_offering"),
        "entity": record.get("cmdb_ci"),
        "team": record.get("assignment_group"),
        "category": record.get("category"),
        "severity": record.get("priority"),
        "priority": record.get("priority"),
        "state": state,
        "created_at": created_at,
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": acknowledged_basis,
        "resolved_at": record.get("resolved_at") if ends else None,
        "closed_at": record.get("closed_at") if ends else None,
        "cancelled_at": cancelled_at,
        "cancelled_basis": cancelled_basis,
        "updated_at": record.get("sys_updated_on"),
        "reopen_count": record.get("reopen_count"),
        "reassignment_count": record.get("reassignment_count"),
        "is_major": _is_major(record),
        "sla_met": _sla_met(each.slas),
        "on_hold_s": _on_hold_s(each.slas),
    }
    labels = [record[name] for name in LABELS if name in record]
    return finished(row, record, source, labels=labels, text=record.get("description", ""))


def _key(record: Mapping[str, str]) -> str | None:
    return record.get("number") or record.get("sys_id")


def _state(source: ServiceNow, number: str | None, word: str | None) -> str | None:
    return (STATES.get(number or "") if source.table == "incident" else None) or word or number


def _is_major(record: Mapping[str, str]) -> str | None:
    """Null where nobody proposed it: instances without major incident management look the same."""
    proposed = record.get("major_incident_state")
    return None if proposed is None else str(proposed.lower() == "accepted").lower()


def _acknowledged(each: Told, source: ServiceNow, created_at: str | None) -> tuple[str | None, str | None]:
    """When, and how that is known. What lies before its creation is of another clock, or of the record that it was
    copied from.
    """
    answered = [sla["end_time"] for sla in _agreed(each.slas) if _is_response(sla)]
    worked = [at for at, word in _states(each, source) if kind_of(word) in WORK]
    assigned = [row["start"] for row in each.metrics if row["definition.field"] == ASSIGNED and row["value"]]
    for times, basis in ((answered, "sla"), (worked, "changelog"), (assigned, "changelog")):
        plausible = [at for at in times if at and at >= (created_at or "")]
        if plausible:
            return min(plausible), basis
    return None, None


def _cancelled(each: Told, source: ServiceNow) -> tuple[str | None, str | None]:
    began = [at for at, word in _states(each, source) if kind_of(word) == "cancelled"]
    if began:
        return max(began), "changelog"
    closed_at = each.record.get("closed_at")
    return (closed_at, None) if closed_at else (each.record.get("sys_updated_on"), "inferred")


# ----------------------------------------------------------------------------------------------------------------- SLAs


def _agreed(slas: Sequence[SideRow]) -> list[SideRow]:
    """Those with customers, not between teams or with suppliers; what was cancelled did not apply."""
    return [sla for sla in slas if sla["stage"] != "cancelled" and sla["sla.type"] in ("SLA", "")]


def _is_response(sla: SideRow) -> bool:
    return sla["sla.target"] == "response" or (not sla["sla.target"] and "response" in sla["sla.name"].lower())


def _sla_met(slas: Sequence[SideRow]) -> str | None:
    """Null where there is none, or one that runs may yet be breached."""
    agreed = _agreed(slas)
    if any(sla["has_breached"] == "true" for sla in agreed):
        return "false"
    return "true" if agreed and all(sla["end_time"] for sla in agreed) else None


def _on_hold_s(slas: Sequence[SideRow]) -> str | None:
    """For how long the clock of its resolution stood still; the longest, should there be several."""
    paused = [
        (at - SINCE).total_seconds()
        for sla in _agreed(slas)
        if not _is_response(sla) and (at := moment(f"{sla['pause_duration']}Z"))
    ]
    return str(int(max(paused))) if paused else None


# --------------------------------------------------------------------------------------------------------------- events


def events(each: Told, source: ServiceNow) -> list[Row]:
    """Its changes of state, team and assignee, each once: several metrics may watch one field."""
    found: dict[tuple[str | None, ...], Row] = {}
    for row in each.metrics:
        field, value = row["definition.field"], row["value"] or None
        state = _state(source, row["field_value"], value) if field in STATE_FIELDS else None
        told_of: Row = {
            "incident_id": _key(each.record),
            "changed_at": row["start"],
            "state": state,
            "team": value if field == GROUP else None,
            "assignee": value if field == ASSIGNED else None,
        }
        if row["start"] and (state or value):
            found[tuple(told_of.values())] = told_of
    return [found[each] for each in sorted(found, key=lambda texts: tuple(text or "" for text in texts))]


def _states(each: Told, source: ServiceNow) -> Iterator[tuple[str, str]]:
    for row in each.metrics:
        word = _state(source, row["field_value"], row["value"])
        if row["definition.field"] in STATE_FIELDS and row["start"] and word:
            yield row["start"], word
