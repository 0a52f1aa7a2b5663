"""GitHub: issues with the labels of incidents, and their timelines.

============  ==========================================================================================================
created       created_at
acknowledged  the first assignment, or the first comment by another person than the author (changelog)
resolved      closed_at, unless it was closed as *not planned* or as a *duplicate*: then it was cancelled
closed        as resolved
severity etc  labels, as the settings say; the service is else the repository
============  ==========================================================================================================

An issue's timeline is asked for whenever the issue changed, since acknowledgement and reopenings stand nowhere else.
Issues that were transferred or deleted are told by nobody; they stay as they were last seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from pipelines.settings import Settings
from pipelines.source_options import GitHub
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.json_api import JsonApi, link
from pipelines.sources.incident_servers.pages import Asked, Page, Row, by_label, finished
from pipelines.sources.incident_servers.reading import moment, records, stamp, told

FULL = 100
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
GONE = (404, 410)
"""Of an issue that was listed: it was deleted since, or moved away."""
NO_INCIDENT = ("not_planned", "duplicate")

Record = Mapping[str, Any]


class GitHubIssues(Asked):
    """See ``pages.Asked``; its parts are repositories."""

    def __init__(self, source: GitHub, settings: Settings):
        self._source = source
        self._api = JsonApi(source.url, source.access, settings, headers=HEADERS, saying=("message",))
        super().__init__(source.url, self._api, source.repositories)

    def survey(self) -> str:
        """One question a repository."""
        counts = [self._count(repository) for repository in self.parts]
        labels = ", ".join(self._source.labels) or "any label"
        found = ", ".join(f"{count} in {name}" for count, name in zip(counts, self.parts, strict=True))
        return f"{self.name}: issues with {labels}: {found}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """One repository's issues."""
        del until
        found = ascending(
            since, partial(self._issues, part), changed=_changed, key=lambda issue: issue["number"], full=FULL
        )
        for issues in found:
            ours = [issue for issue in issues if "pull_request" not in issue]
            timelines = list(self._api.together(lambda issue: self._timeline(part, issue), ours))
            rows = [incident(part, *each, self._source) for each in zip(ours, timelines, strict=True)]
            happened = [row for each in zip(ours, timelines, strict=True) for row in events(part, *each)]
            yield Page(rows, happened, through=_changed(issues[-1]) if issues else None)

    def _issues(self, repository: str, since: datetime, page: int) -> Sequence[Record]:
        params = {"state": "all", "sort": "updated", "direction": "asc", "since": stamp(since), "per_page": FULL,
                  "page": page, **self._labelled}  # fmt: skip
        answer = self._api.get(f"/repos/{repository}/issues", params).value
        if not isinstance(answer, list):
            raise self._api.odd("list of issues")
        sound = [each for each in records(answer) if told(each, "number") and moment(told(each, "updated_at"))]
        if len(sound) != len(answer):  # were one passed over, the page would look like the last
            raise self._api.odd("list of issues")
        return sound

    def _timeline(self, repository: str, issue: Record) -> list[Record]:
        path = f"/repos/{repository}/issues/{issue['number']}/timeline"
        try:
            return [each for answer in self._api.pages(path, {"per_page": FULL}) for each in records(answer.value)]
        except FetchError as error:
            if error.status not in GONE:
                raise
            return []

    def _count(self, repository: str) -> int:
        """Of a page of one issue, the number of the last page is that of issues, pull requests among them."""
        answer = self._api.get(f"/repos/{repository}/issues", {"state": "all", "per_page": 1, **self._labelled})
        if not isinstance(answer.value, list):
            raise self._api.odd("list of issues")
        last = link(answer.headers, "last")
        number = httpx.URL(last).params.get("page", "") if last else ""
        return int(number) if number.isascii() and number.isdigit() else len(answer.value)

    @property
    def _labelled(self) -> dict[str, str]:
        return {"labels": ",".join(self._source.labels)} if self._source.labels else {}


def _changed(issue: Record) -> datetime:
    return moment(told(issue, "updated_at")) or datetime.min


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(repository: str, issue: Record, timeline: Sequence[Record], source: GitHub) -> Row:
    """An issue as a row."""
    labels = [name for label in records(issue, "labels") if (name := told(label, "name"))]
    closed_at, refused = told(issue, "closed_at"), told(issue, "state_reason") in NO_INCIDENT
    acknowledged_at = _acknowledged_at(issue, timeline)
    row: Row = {
        "incident_id": f"{repository}#{issue['number']}",
        "title": told(issue, "title"),
        "service": repository.partition("/")[2],
        "category": told(issue, "type.name"),
        "state": _state(told(issue, "state"), refused=refused),
        "created_at": told(issue, "created_at"),
        "acknowledged_at": acknowledged_at,
        "acknowledged_basis": "changelog" if acknowledged_at else None,
        "resolved_at": None if refused else closed_at,
        "closed_at": None if refused else closed_at,
        "cancelled_at": closed_at if refused else None,
        "updated_at": told(issue, "updated_at"),
    }
    row |= by_label(labels, source.by_label)
    return finished(row, issue, source, labels=labels, text=told(issue, "body") or "")


def events(repository: str, issue: Record, timeline: Sequence[Record]) -> list[Row]:
    """An issue's changes of state and assignment; the first is that it was opened."""
    key = f"{repository}#{issue['number']}"
    rows: list[Row] = [{"incident_id": key, "changed_at": told(issue, "created_at"), "state": "open"}]
    is_open = True
    for happened in timeline:
        event, at = told(happened, "event"), told(happened, "created_at")
        is_open = event != "closed" and (is_open or event == "reopened")
        if event == "closed":
            refused = told(happened, "state_reason") in NO_INCIDENT
            rows.append({"incident_id": key, "changed_at": at, "state": _state("closed", refused=refused)})
        elif event == "reopened":
            rows.append({"incident_id": key, "changed_at": at, "state": "reopened"})
        elif event == "assigned":  # of a closed issue, or by a bot, it says nothing of its state
            is_taken = is_open and not _is_bot(happened)
            assignee, state = told(happened, "assignee.login"), "assigned" if is_taken else None
            rows.append({"incident_id": key, "changed_at": at, "state": state, "assignee": assignee})
    return rows


def _state(state: str | None, *, refused: bool) -> str | None:
    return "cancelled" if state == "closed" and refused else state


def _acknowledged_at(issue: Record, timeline: Sequence[Record]) -> str | None:
    """When somebody took it up: as text, like all that the server says."""
    author = told(issue, "user.login")
    taken = [happened for happened in timeline if _is_taking(happened, author) and not _is_bot(happened)]
    return min((at for happened in taken if (at := told(happened, "created_at"))), default=None)


def _is_taking(happened: Record, author: str | None) -> bool:
    event = told(happened, "event")
    return event == "assigned" or (event == "commented" and told(happened, "user.login") != author)


def _is_bot(happened: Record) -> bool:
    """Whether no person did it; comments name a user, other events an actor."""
    return "Bot" in (told(happened, "user.type"), told(happened, "actor.type"))
