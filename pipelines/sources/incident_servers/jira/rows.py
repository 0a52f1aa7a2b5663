"""An issue and its history as rows.

Belongs here: what fields and changes mean. Not here: how they are asked for, and what a site calls them (``site``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from features.incident_states import kind_of
from pipelines.source_options import Jira
from pipelines.sources.incident_servers.jira.site import OVER, Site
from pipelines.sources.incident_servers.pages import Row, by_label, finished
from pipelines.sources.incident_servers.reading import found, moment, records, texts, told

AT_WORK = ("active", "on hold")
CANCELLED = "cancelled"
SINCE_1970 = datetime(1970, 1, 1)
SECONDS_UNTIL = 1e11  # larger numbers are milliseconds, see ``pipelines.sources.times``

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One moment in the life of an issue. state: None where it did not change. assignee: who got it.

    handed_over: whether it went from one person to another.
    """

    at: datetime
    state: str | None
    assignee: str | None = None
    handed_over: bool = False

    @property
    def kind(self) -> str | None:
        return kind_of(self.state) if self.state else None


# --------------------------------------------------------------------------------------------------------------- steps


def steps(issue: Record, histories: Sequence[Record], site: Site) -> list[Step]:
    """All that happened to an issue, the first being that it was created.

    Args:
        histories: in any order.
    """
    created = at(found(issue, "fields.created"))
    if created is None:
        return []
    changes = sorted(
        ((when, change) for change in histories if (when := at(change.get("created"))) is not None),
        key=lambda pair: pair[0],
    )
    status = _first(changes, "status", _reference(found(issue, "fields.status")))
    resolution = _first(changes, "resolution", _reference(found(issue, "fields.resolution")))
    happened = [Step(created, _state(status, resolution, site))]
    state = happened[0].state
    for when, change in changes:
        items = {_field(item): item for item in records(change, "items")}
        status = _after(items.get("status"), status)
        resolution = _after(items.get("resolution"), resolution)
        new = _state(status, resolution, site)
        person = items.get("assignee", {})
        step = Step(
            when,
            new if "status" in items or new != state else None,
            told(person, "to"),
            handed_over=bool(told(person, "from") and told(person, "to")),
        )
        if step.state or step.assignee:
            happened.append(step)
        state = new
    return happened


def _field(item: Record) -> str | None:
    """Data Center has only its name."""
    return told(item, "fieldId") or told(item, "field")


def _reference(value: object) -> Record:
    return {"id": told(value, "id"), "name": told(value, "name")}


def _first(changes: Iterable[tuple[datetime, Record]], field: str, now: Record) -> Record:
    """What a field was at first: what it was before its first change, or is now."""
    for _, change in changes:
        for item in records(change, "items"):
            if _field(item) == field:
                return {"id": told(item, "from"), "name": told(item, "fromString")}
    return now


def _after(item: Record | None, before: Record) -> Record:
    return before if item is None else {"id": told(item, "to"), "name": told(item, "toString")}


def _state(status: Record, resolution: Record, site: Site) -> str | None:
    """The word for a status; what was done with as no incident is cancelled."""
    word = site.word(status)
    kind, category = kind_of(word) if word else None, site.category(status)
    is_over = OVER.get(category) if category else kind in ("resolved", "closed", CANCELLED)
    return CANCELLED if is_over and site.is_cancelled(told(resolution, "name")) else word


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(issue: Record, happened: Sequence[Step], site: Site, source: Jira) -> Row:
    """An issue as a row."""
    issue = site.named(issue)
    labels = texts(issue, "fields.labels")
    acknowledged_at, acknowledged_basis = _acknowledged(issue, happened, site)
    row: Row = {
        "incident_id": told(issue, "key"),
        "title": told(issue, "fields.summary"),
        "service": told(issue, "fields.components.0.name") or told(issue, "fields.project.key"),
        "severity": _said(issue, site.severity),
        "priority": told(issue, "fields.priority.name"),
        "created_at": told(issue, "fields.created"),
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": acknowledged_basis,
        "updated_at": told(issue, "fields.updated"),
        "reassignment_count": str(sum(step.handed_over for step in happened)),
        "sla_met": _met(issue, site.resolution),
    }
    row |= _ended(issue, happened) | by_label(labels, source.by_label)
    return finished(row, issue, source, labels=labels, text=_text(found(issue, "fields.description")))


def events(issue: Record, happened: Sequence[Step]) -> list[Row]:
    """An issue's changes of state and assignment. Persons are accounts, not names."""
    key = told(issue, "key")
    return [
        {"incident_id": key, "changed_at": written(step.at), "state": step.state, "assignee": step.assignee}
        for step in happened
    ]


def _ended(issue: Record, happened: Sequence[Step]) -> Row:
    """How it stands, and since when it is done, where it is."""
    changes = [step for step in happened if step.state]
    if not changes:
        return {}
    last = changes[-1]
    row: Row = {"state": last.state}
    done_at = told(issue, "fields.resolutiondate")
    if last.kind in ("resolved", "closed"):
        row["resolved_at"] = done_at
    if last.kind == "closed":
        row |= {"closed_at": written(last.at), "closed_basis": "changelog"}
    if last.kind == CANCELLED:
        row |= {"cancelled_at": done_at or written(last.at), "cancelled_basis": None if done_at else "changelog"}
    return row


def _acknowledged(issue: Record, happened: Sequence[Step], site: Site) -> tuple[str | None, str | None]:
    """When somebody took it up, and how that is known."""
    cycles = [cycle for key in site.response for cycle in records(issue, f"fields.{key}.completedCycles")]
    answered = [when for cycle in cycles if (when := at(found(cycle, "stopTime.epochMillis"))) is not None]
    if answered:
        return written(min(answered)), "sla"
    at_work = next((step.at for step in happened[1:] if step.kind in AT_WORK), None)
    return (written(at_work), "changelog") if at_work else (None, None)


def _met(issue: Record, slas: Iterable[str]) -> str | None:
    """Whether it was done in time: never in a reopened one's life was it late. Unknown while that is open."""
    slas = list(slas)
    completed = [cycle for key in slas for cycle in records(issue, f"fields.{key}.completedCycles")]
    ongoing = [cycle for key in slas if isinstance(cycle := found(issue, f"fields.{key}.ongoingCycle"), Mapping)]
    if any(found(cycle, "breached") is True for cycle in (*completed, *ongoing)):
        return "false"
    return "true" if completed and not ongoing else None


def _said(issue: Record, keys: Iterable[str]) -> str | None:
    """The value of the first field that has one: an option, or a text."""
    values = (found(issue, f"fields.{key}") for key in keys)
    return next((said for value in values if (said := told(value, "value") or told([value], "0"))), None)


def _text(description: object) -> str:
    """A description as text: Data Center's is one, Cloud's is a tree of nodes with texts at its leaves."""
    leaves: list[str] = []
    left = [description]
    while left:  # not by recursion: somebody else decides how deep the tree is
        node = left.pop()
        if isinstance(node, str):
            leaves.append(node)
        elif isinstance(node, Mapping):
            left += [node.get("text"), *reversed(records(node, "content"))]
    return "\n".join(leaves)


# --------------------------------------------------------------------------------------------------------------- times


def at(value: object) -> datetime | None:
    """A time as naive UTC: a text with its zone, or a number of (milli)seconds since 1970, as changes may have it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return moment(value) if isinstance(value, str) else None
    try:
        seconds = value / 1000 if abs(value) >= SECONDS_UNTIL else value
        return SINCE_1970 + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def written(when: datetime) -> str:
    return when.replace(tzinfo=UTC).isoformat()
