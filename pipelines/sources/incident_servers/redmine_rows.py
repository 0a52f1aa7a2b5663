"""Redmine's issues and their journals as rows.

============  ==========================================================================================================
created       created_on
acknowledged  the first journal that assigns the issue, or changes its status to one of work or waiting (changelog)
resolved      the journal that changed its status to a resolved or closed one, which it has kept (changelog); where no
              journal says so, closed_on
closed        likewise, of closed ones
cancelled     likewise, of those that say so, such as *Rejected*; then it is neither resolved nor closed
severity      priority
service       project; `fields` may name ``category.name`` or a custom field (``custom.Name``) instead
team          the group to which it is assigned
============  ==========================================================================================================

What a status means its name says (``features.incident_states``), or the settings do. One that closes issues, yet sounds
open or like nothing, means closed: Redmine keeps ``closed_on`` of an issue that was reopened, so the status counts.

Belongs here: what records mean. Not here: asking for them (``redmine``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from features.incident_states import PHASES, Kind, kind_of
from pipelines.source_options import Redmine
from pipelines.sources.incident_servers.pages import Row, finished
from pipelines.sources.incident_servers.reading import found, records, told

Record = Mapping[str, Any]

WORK: tuple[Kind, ...] = ("active", "on hold")
ENDS: Mapping[str, tuple[Kind, ...]] = {
    "resolved": ("resolved", "closed"), "closed": ("closed",), "cancelled": ("cancelled",),
}  # fmt: skip
"""Stamp -> the kinds of status that it is of."""


@dataclass(frozen=True)
class Status:
    """state: as rows have it. kind: what it means; None: that is not known."""

    id: str
    name: str
    state: str
    kind: Kind | None


@dataclass(frozen=True)
class Principal:
    """Whom an issue can be assigned to: a user, or a group of them."""

    id: str
    name: str
    is_team: bool


@dataclass(frozen=True)
class Names:
    """What the ids in journals stand for."""

    statuses: Mapping[str, Status]
    principals: Mapping[str, Principal]


@dataclass(frozen=True)
class Step:
    """A journal by which an issue changed its status, or was assigned to somebody. at: as Redmine wrote it."""

    at: str
    status: str | None = None
    assigned: str | None = None


def status(record: object, states: Mapping[str, Kind]) -> Status | None:
    """A status of issues; None where the record is none.

    Args:
        states: name -> what the settings say it means.
    """
    status_id, name = told(record, "id"), told(record, "name")
    if status_id is None or name is None:
        return None
    said, heard = states.get(name), kind_of(name)
    if said is not None:
        return Status(status_id, name, said, said)
    if found(record, "is_closed") is True and (heard is None or PHASES[heard] == "open"):
        return Status(status_id, name, "closed", "closed")
    return Status(status_id, name, name, heard)


# -------------------------------------------------------------------------------------------------------------- rows


def incident(issue: Record, names: Names, source: Redmine) -> Row:
    """An issue with its journals as a row."""
    steps = list(_steps(issue))
    current = names.statuses.get(told(issue, "status.id") or "")
    kind = current.kind if current else None
    acknowledged_at = next((step.at for step in steps if step.assigned or _kind(step, names) in WORK), None)
    who = names.principals.get(told(issue, "assigned_to.id") or "")
    row: Row = {
        "incident_id": told(issue, "id"),
        "title": told(issue, "subject"),
        "service": told(issue, "project.name"),
        "team": who.name if who and who.is_team else None,
        "category": told(issue, "category.name"),
        "severity": told(issue, "priority.name"),
        "priority": told(issue, "priority.name"),
        "state": current.state if current else told(issue, "status.name"),
        "created_at": told(issue, "created_on"),
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": "changelog" if acknowledged_at else None,
        "updated_at": told(issue, "updated_on"),
    }
    for stamp, kinds in ENDS.items():
        if kind in kinds:
            began = _began(steps, names, kinds)
            row[f"{stamp}_at"] = began or told(issue, "closed_on")
            row[f"{stamp}_basis"] = "changelog" if began else None
    record = {**issue, "custom": _custom(issue)}
    return finished(row, record, source, labels=_labels(issue), text=told(issue, "description") or "")


def events(issue: Record, names: Names) -> list[Row]:
    """An issue's changes of status and assignment; the first is that it was created."""
    key, steps = told(issue, "id"), list(_steps(issue))
    changes = [Step(told(issue, "created_on") or "", _first(issue, "status"), _first(issue, "assigned_to")), *steps]
    closed_on = told(issue, "closed_on")
    if closed_on and not any(step.status for step in steps):  # imported, or its journals were deleted
        changes = [Step(changes[0].at, None, changes[0].assigned), *steps, Step(closed_on, told(issue, "status.id"))]
    rows = []
    for step in changes:
        has = names.statuses.get(step.status or "")
        who = names.principals.get(step.assigned or "")
        said: Row = {"state": has.state if has else None}
        if who:
            said["team" if who.is_team else "assignee"] = who.name
        if any(said.values()):
            rows.append({"incident_id": key, "changed_at": step.at, **said})
    return rows


def assigned(issue: Record) -> bool:
    """Whether it is, or was, assigned to anybody."""
    return bool(told(issue, "assigned_to.id")) or any(step.assigned for step in _steps(issue))


# ----------------------------------------------------------------------------------------------------------- journals


def _steps(issue: Record) -> Iterator[Step]:
    """In the order in which Redmine tells them: of time."""
    for journal in records(issue, "journals"):
        became = {told(each, "name"): told(each, "new_value") for each in _attributes(journal)}
        step = Step(told(journal, "created_on") or "", became.get("status_id"), became.get("assigned_to_id"))
        if step.status or step.assigned:
            yield step


def _attributes(journal: Record) -> Iterator[Record]:
    """Of fields that every issue has: a custom field may be numbered or called as it likes."""
    return (each for each in records(journal, "details") if told(each, "property") == "attr")


def _first(issue: Record, part: str) -> str | None:
    """The id that it was created with: what its first change changed, or what it still has."""
    for journal in records(issue, "journals"):
        for each in _attributes(journal):
            if told(each, "name") == f"{part}_id":
                return told(each, "old_value")
    return told(issue, f"{part}.id")


def _kind(step: Step, names: Names) -> Kind | None:
    has = names.statuses.get(step.status or "")
    return has.kind if has else None


def _began(steps: Collection[Step], names: Names, kinds: Collection[Kind]) -> str | None:
    """Since when its status has been of one of these kinds; None where no journal says so."""
    began = None
    for step in steps:
        kind = _kind(step, names)
        if kind is not None:
            began = (began or step.at) if kind in kinds else None
    return began


# -------------------------------------------------------------------------------------------------------------- fields


def _custom(issue: Record) -> dict[str, object]:
    """Custom fields by their names, and by their ids, which no name takes the place of."""
    fields = records(issue, "custom_fields")
    named = {name: found(each, "value") for each in fields if (name := told(each, "name"))}
    return named | {number: found(each, "value") for each in fields if (number := told(each, "id"))}


def _labels(issue: Record) -> Iterator[str]:
    """What a label is elsewhere: a tag, where a plug-in has them, or a value of a custom field."""
    yield from (name for tag in records(issue, "tags") if (name := told(tag, "name")))
    for each in records(issue, "custom_fields"):
        value = found(each, "value")
        for label in value if isinstance(value, list) else [value]:
            if isinstance(label, str):
                yield label
