"""Jira and Jira Service Management: issues, and the history of their status.

============  ==========================================================================================================
created       created
acknowledged  the end of the first cycle of the SLA *Time to first response* (sla); else the first change to a status of
              work (changelog)
resolved      resolutiondate, while the status is one of *done*; else when it became so (changelog)
closed        the last change to a status that says *closed* (changelog)
cancelled     as resolved, where the resolution is one of `cancelled`, or the status says so
============  ==========================================================================================================

SLAs are fields of an issue, so they come with it; histories come for a page of issues at once.

JQL reads a written time in the account's time zone and by the minute. A number it reads as milliseconds since 1970,
whoever asks. Whom it cannot log in it answers as it answers strangers: with success, and without issues. So who we are
is asked first, lest nothing be taken for the answer that nothing changed.

Issues that were deleted are told by nobody; they stay as they were last seen. One that is moved to another project gets
another key there, and is another incident here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pipelines.settings import Settings
from pipelines.source_options import Jira
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.jira.asking import Edition, edition
from pipelines.sources.incident_servers.jira.rows import events, incident, steps
from pipelines.sources.incident_servers.jira.site import Site
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.pages import Asked, Page
from pipelines.sources.incident_servers.reading import moment, told

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Record = Mapping[str, Any]


class JiraIssues(Asked):
    """See ``pages.Asked``; its parts are projects, or all that the settings choose."""

    def __init__(self, source: Jira, settings: Settings):
        self._source = source
        self._api = JsonApi(source.url, source.access, settings, saying=("errorMessages.0", "errorMessage", "message"))
        self._edition: Edition = edition(source, self._api)
        super().__init__(source.url, self._api, list(dict.fromkeys(source.projects)) or [""])

    @cached_property
    def _site(self) -> Site:
        """What the site calls things, asked for once a night."""
        access = self._source.access
        if access.bearer or access.username or access.headers:
            self._edition.who_we_are()
        return Site.asked(self._edition, self._source)

    def survey(self) -> str:
        """One question a project, after those for what the site calls things."""
        self._site.refuse_unknown_fields(self._source.fields)
        counts = [(self._edition.count(self._chosen(part)), part) for part in self.parts]
        types = "" if self._source.jql else f" of type {', '.join(self._site.type_names) or 'any'}"
        found = ", ".join(f"{count} in {part}" if part else str(count) for count, part in counts)
        return f"{self.name}: issues{types}: {found}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """One project's issues."""
        del until
        chosen, site = self._chosen(part), self._site
        ask = _Asking(self._edition, chosen, site.fields)
        for issues in ascending(since, ask, changed=_changed, key=lambda issue: issue["id"], full=1, more=ask.more):
            changes = self._edition.changes(issues) if issues else {}
            told_steps = [steps(issue, changes.get(str(issue["id"]), []), site) for issue in issues]
            pairs = list(zip(issues, told_steps, strict=True))
            yield Page(
                [incident(issue, happened, site, self._source) for issue, happened in pairs],
                [event for issue, happened in pairs for event in events(issue, happened)],
                through=_changed(issues[-1]) if issues else None,
            )

    def _chosen(self, part: str) -> str:
        """The JQL of a part, without its times."""
        if self._source.jql:
            return f"({self._source.jql})"
        conditions = [f"project = {_quoted(part)}"] if part else []
        if self._site.types:
            conditions.append(f"issuetype in ({', '.join(self._site.types)})")
        return " AND ".join(conditions)


class _Asking:
    """Pages of what changed since a moment, as ``ascending`` asks for them: a page is found by the one before it."""

    def __init__(self, questions: Edition, chosen: str, fields: Sequence[str]):
        self._questions = questions
        self._chosen = chosen
        self._fields = fields
        self._after: str | int | None = None

    def __call__(self, since: datetime, page: int) -> Sequence[Record]:
        if page > 1 and self._after is None:
            return []
        # By the full second: however exact a site's index is, what changed within one comes in any order.
        changed = f"updated >= {int((since.replace(tzinfo=UTC) - EPOCH).total_seconds()) * 1000}"
        conditions = " AND ".join(filter(None, (self._chosen, changed)))
        jql = f"{conditions} ORDER BY updated ASC, key ASC"
        found = self._questions.search(jql, self._fields, self._after if page > 1 else None)
        self._after = found.after
        return [each for each in found.issues if told(each, "id") and told(each, "key") and _is_dated(each)]

    def more(self, issues: Sequence[Record]) -> bool:
        """That a page is short does not make it the last one, nor that nothing of it could be read."""
        return bool(issues) or self._after is not None


def _is_dated(issue: Record) -> bool:
    return moment(told(issue, "fields.updated")) is not None


def _changed(issue: Record) -> datetime:
    return moment(told(issue, "fields.updated")) or datetime.min


def _quoted(text: str) -> str:
    """A text in JQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
