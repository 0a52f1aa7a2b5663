"""GitLab: incidents, or any issues, of projects and groups.

============  ==========================================================================================================
created       created_at
acknowledged  the first status *Acknowledged*; else the first assignment, or the first comment by another person than
              the author, while it was open (changelog)
resolved      the status *Resolved*, where it was set before the issue was closed (changelog); else closed_at
closed        closed_at
cancelled     closed_at, where the issue is a duplicate, was moved, or has one of the labels `cancelled`
============  ==========================================================================================================

What happened to an issue stands in its notes, those that GitLab writes by itself among them, and in its state events;
both are asked for whenever the issue changed. Timelines of incidents and their paging are in GraphQL alone, and not
read. Issues that were deleted are told by nobody; they stay as they were last seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any
from urllib.parse import quote

from features.incident_states import PHASES, kind_of
from pipelines.settings import Settings
from pipelines.source_options import GitLab
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.pages import Asked, Page, Row, by_label, finished
from pipelines.sources.incident_servers.reading import found, moment, records, stamp, texts, told

FULL = 100
GONE = 404
"""Of an issue that was listed: it was deleted since, or moved away."""
GROUP = "group "
MISSED = "missed::SLA"
"""The label that GitLab gives an incident whose time is over."""
UNKNOWN_SEVERITY = "UNKNOWN"

# What GitLab writes into an issue's notes, in English whatever its users speak.
STATUS = re.compile(r"changed the (?:incident )?status to \*\*([A-Za-z ]+)\*\*")
ASSIGNED = re.compile(r"assigned to @([\w.-]+)")
BOT = re.compile(r"(?:^|[-_])bot(?:[-_\d]|$)", re.IGNORECASE)

Record = Mapping[str, Any]


class GitLabIssues(Asked):
    """See ``pages.Asked``; its parts are projects and groups."""

    def __init__(self, source: GitLab, settings: Settings):
        self._source = source
        self._api = JsonApi(f"{source.url}/api/v4", source.access, settings, saying=("message", "error"))
        groups = [f"{GROUP}{group}" for group in source.groups]
        super().__init__(source.url, self._api, list(dict.fromkeys([*source.projects, *groups])))

    def survey(self) -> str:
        """One question a project or group."""
        kinds = self._source.issue_type or "issue"
        labels = f" with {', '.join(self._source.labels)}" if self._source.labels else ""
        counts = ", ".join(f"{self._count(part)} in {part}" for part in self.parts)
        return f"{self.name}: {kinds}s{labels}: {counts}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """One project's or group's issues."""
        del until
        ask = partial(self._issues, part)
        for issues in ascending(since, ask, changed=_changed, key=lambda issue: issue["id"], full=FULL):
            happened = list(self._api.together(self._happened, issues))
            pairs = list(zip(issues, happened, strict=True))
            yield Page(
                [incident(issue, steps, self._source) for issue, steps in pairs],
                [event for issue, steps in pairs for event in events(issue, steps)],
                through=_changed(issues[-1]) if issues else None,
            )

    def _issues(self, part: str, since: datetime, page: int) -> Sequence[Record]:
        params = self._chosen | {"order_by": "updated_at", "sort": "asc", "updated_after": stamp(since),
                                 "per_page": FULL, "page": page}  # fmt: skip
        answer = self._api.get(f"{_path(part)}/issues", params).value
        if not isinstance(answer, list):
            raise self._api.odd("list of issues")
        sound = [issue for issue in records(answer) if _is_whole(issue)]
        if len(sound) != len(answer):  # were one passed over, the page would look like the last
            raise self._api.odd("list of issues")
        return sound

    def _happened(self, issue: Record) -> list[Step]:
        path = f"/projects/{quote(str(issue['project_id']), safe='')}/issues/{quote(str(issue['iid']), safe='')}"
        try:
            notes = self._all(f"{path}/notes", {"order_by": "created_at", "sort": "asc", "per_page": FULL})
            states = self._all(f"{path}/resource_state_events", {"per_page": FULL})
        except FetchError as error:
            if error.status != GONE:
                raise
            notes = states = []
        return steps(issue, notes, states, self._source)

    def _all(self, path: str, params: Mapping[str, Any]) -> list[Record]:
        listed: list[Record] = []
        for answer in self._api.pages(path, params):
            if not isinstance(answer.value, list):
                raise self._api.odd("history of an issue")
            listed += records(answer.value)
        return listed

    def _count(self, part: str) -> str:
        """Of large numbers GitLab does not tell the total."""
        answer = self._api.get(f"{_path(part)}/issues", self._chosen | {"per_page": 1})
        if not isinstance(answer.value, list):
            raise self._api.odd("list of issues")
        total = answer.headers.get("X-Total", "")
        return total if total.isascii() and total.isdigit() else "many"

    @property
    def _chosen(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"scope": "all", "state": "all"}
        if self._source.issue_type:
            chosen["issue_type"] = self._source.issue_type
        if self._source.labels:
            chosen["labels"] = ",".join(self._source.labels)
        return chosen


def _path(part: str) -> str:
    if part.startswith(GROUP):
        return f"/groups/{quote(part.removeprefix(GROUP), safe='')}"
    return f"/projects/{quote(part, safe='')}"


def _is_whole(issue: Record) -> bool:
    return all(told(issue, name) for name in ("id", "iid", "project_id")) and _changed(issue) > datetime.min


def _changed(issue: Record) -> datetime:
    return moment(told(issue, "updated_at")) or datetime.min


# --------------------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True)
class Step:
    """One moment in the life of an issue. at: as text, as GitLab has it. answered: whether somebody took it up then."""

    at: str
    state: str | None
    assignee: str | None = None
    answered: bool = False

    @property
    def phase(self) -> str | None:
        kind = kind_of(self.state) if self.state else None
        return PHASES[kind] if kind else None


def steps(issue: Record, notes: Sequence[Record], states: Sequence[Record], source: GitLab) -> list[Step]:
    """All that happened to an issue, the first being that it was opened.

    Args:
        notes: comments, and what GitLab says by itself of status and assignment.
        states: that it was closed and opened again.
    """
    author = told(issue, "author.username")
    told_steps = [*filter(None, (_of_note(note, author) for note in notes)), *_of_states(issue, states)]
    ordered = sorted((step for step in told_steps if moment(step.at)), key=lambda step: moment(step.at) or datetime.min)
    closings = [n for n, step in enumerate(ordered) if step.state == "closed"]
    if closings and _is_cancelled(issue, source):
        # To close an incident resolves it as well, as GitLab says in the same moment; what was none was not resolved.
        last = closings[-1]
        later = [step for step in ordered[last + 1 :] if step.phase != "done"]
        ordered = [*ordered[:last], replace(ordered[last], state="cancelled"), *later]
    happened = [Step(told(issue, "created_at") or "", "open")]
    phase = happened[0].phase
    for step in ordered:
        # Who is assigned to what is done with does not open it.
        happened.append(replace(step, state=None) if step.state == "assigned" and phase != "open" else step)
        phase = happened[-1].phase or phase
    return happened


def _of_note(note: Record, author: str | None) -> Step | None:
    at, body, by = told(note, "created_at") or "", told(note, "body") or "", told(note, "author.username")
    if found(note, "system") is not True:
        by_other = by is not None and by != author and not BOT.search(by)
        return Step(at, None, answered=True) if by_other else None
    if status := STATUS.match(body):
        return Step(at, status[1], answered=status[1].lower() == "acknowledged")
    if assigned := ASSIGNED.match(body):
        by_bot = by is not None and BOT.search(by) is not None
        return Step(at, None if by_bot else "assigned", assigned[1], answered=not by_bot)
    return None


def _of_states(issue: Record, states: Sequence[Record]) -> list[Step]:
    """Closings and reopenings; the last closing is told by the issue itself as well, to the millisecond."""
    dated = [(at, each) for each in states if (at := moment(told(each, "created_at"))) is not None]
    changes = [
        Step(told(each, "created_at") or "", "closed" if told(each, "state") == "closed" else "reopened")
        for _, each in sorted(dated, key=lambda pair: pair[0])
        if told(each, "state") in ("closed", "opened", "reopened")
    ]
    closed_at = told(issue, "closed_at")
    if closed_at and changes and changes[-1].state == "closed":
        changes[-1] = replace(changes[-1], at=closed_at)
    return changes


def _is_cancelled(issue: Record, source: GitLab) -> bool:
    """Whether, as it is closed, there was no incident here."""
    elsewhere = told(issue, "_links.closed_as_duplicate_of") or told(issue, "moved_to_id")
    labels = texts(issue, "labels")
    named = any(fnmatchcase(label.lower(), glob.lower()) for label in labels for glob in source.cancelled)
    return told(issue, "state") == "closed" and (elsewhere is not None or named)


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(issue: Record, happened: Sequence[Step], source: GitLab) -> Row:
    """An issue as a row."""
    labels = texts(issue, "labels")
    acknowledged_at = _acknowledged_at(happened)
    severity = told(issue, "severity")
    row: Row = {
        "incident_id": _key(issue),
        "title": told(issue, "title"),
        "service": _key(issue).rpartition("#")[0].rpartition("/")[2],
        "severity": severity.lower() if severity and severity != UNKNOWN_SEVERITY else None,
        "created_at": told(issue, "created_at"),
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": "changelog" if acknowledged_at else None,
        "updated_at": told(issue, "updated_at"),
        "sla_met": "false" if MISSED in labels else None,
    }
    row |= _ended(issue, happened, source) | by_label(labels, source.by_label)
    return finished(row, issue, source, labels=labels, text=told(issue, "description") or "")


def events(issue: Record, happened: Sequence[Step]) -> list[Row]:
    """An issue's changes of state and assignment."""
    return [
        {"incident_id": _key(issue), "changed_at": step.at, "state": step.state, "assignee": step.assignee}
        for step in happened
        if step.state or step.assignee
    ]


def _key(issue: Record) -> str:
    """As people write it: group/project#7."""
    return told(issue, "references.full") or f"{issue['project_id']}#{issue['iid']}"


def _ended(issue: Record, happened: Sequence[Step], source: GitLab) -> Row:
    """How it stands, and since when it is done, where it is."""
    changes = [step for step in happened if step.phase]
    state, closed_at = changes[-1].state, told(issue, "closed_at")
    if told(issue, "state") == "closed":
        if _is_cancelled(issue, source):
            return {"state": "cancelled", "cancelled_at": closed_at}
        row: Row = {"state": "closed", "closed_at": closed_at}
    else:
        row = {"state": state}
    done = None
    for step in changes:
        done = None if step.phase != "done" else done or step
    if done is None or done.state == "closed":
        return row | {"resolved_at": closed_at if told(issue, "state") == "closed" else None}
    return row | {"resolved_at": done.at, "resolved_basis": "changelog"}


def _acknowledged_at(happened: Sequence[Step]) -> str | None:
    """When somebody took it up, before it was done for the first time."""
    open_steps: list[Step] = []
    for step in happened:
        if step.phase in ("done", "cancelled"):
            break
        open_steps.append(step)
    answers = [step for step in open_steps if step.answered]
    said = [step for step in answers if step.state and step.state.lower() == "acknowledged"]
    return next((step.at for step in said or answers), None)
