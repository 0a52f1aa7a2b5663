"""Redmine is asked for issues that changed, and for each of them with its journals, which lists do not have.

Who sends no key, or a wrong one, is no error to Redmine but an anonymous guest who sees less; so it is asked first who
we are. Filters that it does not know it leaves out without a word; so names of the settings are looked up.

Issues that were deleted, or are of another tracker or project now, are told by nobody; they stay as they were last
seen.

Belongs here: questions. Not here: what issues and journals mean (``redmine_rows``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from pipelines.settings import Settings
from pipelines.source_options import Redmine
from pipelines.sources.errors import shown
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.pages import Asked, Page
from pipelines.sources.incident_servers.reading import found, moment, records, stamp, told
from pipelines.sources.incident_servers.redmine_rows import (
    Names,
    Principal,
    Record,
    Status,
    assigned,
    events,
    incident,
    status,
)

FULL = 100
"""More than that Redmine lists never."""
HIDDEN = (403, 404)
GONE = (404, 410)


class RedmineIssues(Asked):
    """See ``pages.Asked``; its parts are projects, or all that the key may see."""

    def __init__(self, source: Redmine, settings: Settings):
        self._source = source
        self._api = JsonApi(source.url, source.access, settings, saying=("errors.0",))
        self._members: dict[str, dict[str, Principal]] = {}
        super().__init__(source.url, self._api, source.projects or ("",))

    def survey(self) -> str:
        """One question a project."""
        counted = ", ".join(f"{self._count(part)} in {part or 'all projects'}" for part in self.parts)
        trackers = ", ".join(self._source.trackers) or "any tracker"
        unclear = [shown(each.name) for each in self._known.statuses.values() if each.kind is None]
        doubt = f"; it is not known what {', '.join(unclear)} mean: say so under states" if unclear else ""
        return f"{self.name}: Redmine, as {shown(self._known.login)}; issues of {trackers}: {counted}{doubt}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """One project's issues, and its subprojects'."""
        del until
        listed = ascending(since, partial(self._issues, part), changed=_changed, key=lambda each: each["id"], full=FULL)
        for issues in listed:
            whole = [issue for issue in self._api.together(self._whole, issues) if issue is not None]
            names = Names(self._known.statuses, self._principals(whole))
            rows = [incident(issue, names, self._source) for issue in whole]
            happened = [row for issue in whole for row in events(issue, names)]
            yield Page(rows, happened, through=_changed(issues[-1]) if issues else None)

    # ------------------------------------------------------------------------------------------------------ questions

    @cached_property
    def _known(self) -> _Known:
        login = self._login()
        statuses = self._api.get("/issue_statuses.json").value
        named = {each.id: each for record in records(statuses, "issue_statuses") if (each := self._status(record))}
        if not named:
            raise self._api.odd("statuses of issues")
        return _Known(login, named, self._trackers())

    def _login(self) -> str:
        try:
            answer = self._api.get("/users/current.json").value
        except FetchError as error:
            if error.status not in (401, 403):
                raise
            raise FetchError(
                f"{self.name}: does not know us; give a user's API key in access.headers as X-Redmine-API-Key, and let"
                " its administrator enable the REST API",
                error.status,
            ) from error
        login = told(answer, "user.login")
        if login is None:
            raise self._api.odd("user")
        return login

    def _status(self, record: Record) -> Status | None:
        return status(record, self._source.states)

    def _trackers(self) -> list[str]:
        """The ids of the settings' trackers."""
        if not self._source.trackers:
            return []
        answer = records(self._api.get("/trackers.json").value, "trackers")
        ids = {told(each, "name"): told(each, "id") for each in answer}
        for name in self._source.trackers:
            if not ids.get(name):
                others = ", ".join(shown(other) for other in ids if other) or "none"
                raise FetchError(f"{self.name}: has no tracker {name!r}, but {others}; correct trackers")
        return [found_id for name in self._source.trackers if (found_id := ids[name])]

    def _issues(self, part: str, since: datetime, page: int) -> Sequence[Record]:
        """A page in the order of change. With a record that is none it fails: were it passed over, the page would look
        like the last one.
        """
        answer = self._list(part, limit=FULL, offset=(page - 1) * FULL, updated_on=f">={stamp(since)}")
        issues = records(answer, "issues")
        sound = [each for each in issues if told(each, "id") and moment(told(each, "updated_on"))]
        if len(sound) != len(answer["issues"]):
            raise self._api.odd("list of issues")
        return issues

    def _count(self, part: str) -> int:
        return self._list(part, limit=1)["total_count"]

    def _list(self, part: str, **params: object) -> Any:
        params |= {"status_id": "*", "sort": "updated_on:asc,id:asc"}
        if self._known.trackers:
            params["tracker_id"] = "|".join(self._known.trackers)
        if part:
            params |= {"project_id": part, "subproject_id": "*"}
        try:
            answer = self._api.get("/issues.json", params).value
        except FetchError as error:
            if not part or error.status not in HIDDEN:
                raise
            raise FetchError(
                f"{self.name}: has no project {part!r}, or hides it from us; correct projects, or make us its member",
                error.status,
            ) from error
        if not isinstance(found(answer, "issues"), list) or not isinstance(found(answer, "total_count"), int):
            raise self._api.odd("list of issues")
        return answer

    def _whole(self, issue: Record) -> Record | None:
        """An issue with its journals; None where it was deleted meanwhile."""
        try:
            answer = self._api.get(f"/issues/{issue['id']}.json", {"include": "journals"}).value
        except FetchError as error:
            if error.status not in GONE:
                raise
            return None
        whole = found(answer, "issue")
        if told(whole, "id") != told(issue, "id"):
            raise self._api.odd("issue")
        return whole

    def _principals(self, issues: Sequence[Record]) -> dict[str, Principal]:
        """Who is named by these issues, or a member of a project of theirs in which somebody was assigned."""
        named: dict[str, Principal] = {}
        for issue in issues:
            people = [found(issue, "assigned_to"), *(found(each, "user") for each in records(issue, "journals"))]
            named |= {who.id: who for each in people if (who := _principal(each, is_team=False))}
        projects = {told(issue, "project.id"): None for issue in issues if assigned(issue)}
        for project in filter(None, projects):
            named |= self._in_project(project)
        return named

    def _in_project(self, project: str) -> dict[str, Principal]:
        """Members of a project; asked for once. Where we may not see them, nobody is known."""
        if project not in self._members:
            try:
                listed = list(self._memberships(project))
            except FetchError as error:
                if error.status not in HIDDEN:
                    raise
                listed = []
            self._members[project] = {who.id: who for who in listed}
        return self._members[project]

    def _memberships(self, project: str) -> Iterator[Principal]:
        offset, is_last = 0, False
        while not is_last:
            answer = self._api.get(f"/projects/{project}/memberships.json", {"limit": FULL, "offset": offset}).value
            page = records(answer, "memberships")
            for each in page:
                for kind in ("user", "group"):
                    if who := _principal(found(each, kind), is_team=kind == "group"):
                        yield who
            offset += FULL
            total = told(answer, "total_count") or ""
            is_last = len(page) < FULL or not total.isdigit() or offset >= int(total)


@dataclass(frozen=True)
class _Known:
    """login: ours. statuses: by id. trackers: ids of the settings'; empty: any."""

    login: str
    statuses: dict[str, Status]
    trackers: list[str]


def _principal(record: object, *, is_team: bool) -> Principal | None:
    who, name = told(record, "id"), told(record, "name")
    return Principal(who, name, is_team) if who and name else None


def _changed(issue: Record) -> datetime:
    return moment(told(issue, "updated_on")) or datetime.min
