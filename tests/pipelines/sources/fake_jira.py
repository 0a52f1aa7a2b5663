"""As much of Jira as the source asks for, over issues that a test gives: Cloud's API, or the older one of Data Center.

It filters, orders and pages as Jira does; JQL that the source does not write it refuses.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from loopback import Answer, Asked, as_json

TOKEN = "s3cr3t-t0ken"  # noqa: S105
EMAIL = "bot@example.com"
HERE = timezone(timedelta(hours=1))
"""In which a site writes its times."""
FULL = 100

STATUS = {
    "Open": ("1", "new"),
    "Waiting for support": ("2", "indeterminate"),
    "Work in progress": ("3", "indeterminate"),
    "In Triage": ("4", "indeterminate"),
    "Pending": ("5", "indeterminate"),
    "Completed": ("6", "done"),
    "Closed": ("7", "done"),
    "Canceled": ("8", "done"),
    "Erledigt": ("9", "done"),
    "Done": ("10", "indeterminate"),  # as somebody may call what is not done
}
FIELDS = {
    "customfield_10010": ("Severity", None),
    "customfield_10020": ("Affected services", None),
    "customfield_10030": ("Time to first response", "com.atlassian.servicedesk:sd-sla-field"),
    "customfield_10031": ("Time to resolution", "com.atlassian.servicedesk:sd-sla-field"),
    "customfield_10040": ("Outage began", None),
    **{name: (name.title(), None) for name in ("summary", "description", "status", "labels", "created", "updated")},
}
TYPES = {"10000": "Task", "10001": "[System] Incident", "10002": "Incident", "10003": "Incident"}
JQL = re.compile(
    r'(?:(?P<own>\(.+\)) AND )?(?:project = "(?P<project>[^"]+)" AND )?(?:issuetype in \((?P<types>[\d, ]+)\) AND )?'
    r"updated >= (?P<since>\d+) ORDER BY updated ASC, key ASC"
)
COUNTED = re.compile(
    r'(?P<own>\(.+\))|(?:project = "(?P<project>[^"]+)")?(?: AND )?(?:issuetype in \((?P<types>.+)\))?'
)


def written(at: datetime, milliseconds: int = 0) -> str:
    """A naive UTC time as Jira has it."""
    there = at.replace(tzinfo=UTC).astimezone(HERE)
    return f"{there:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}{there:%z}"


def millis(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp()) * 1000


@dataclass(frozen=True)
class Move:
    """A change: to a status, with a resolution ('' takes it away), to a person."""

    at: datetime
    status: str | None = None
    resolution: str | None = None
    person: str | None = None


@dataclass
class FakeIssue:
    """more: fields besides. updated: by default, when it changed last."""

    key: str
    created: datetime
    moves: Sequence[Move] = ()
    first: str = "Open"
    kind: str = "10001"
    updated: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(10_000 + int(self.key.rpartition("-")[2]))

    @property
    def changed(self) -> datetime:
        return self.updated or max([self.created, *(move.at for move in self.moves)])

    def record(self) -> dict[str, Any]:
        status, resolution, resolved, person = self.first, None, None, None
        for move in self.moves:
            status, person = move.status or status, move.person or person
            if move.resolution is not None:
                resolution, resolved = (move.resolution, move.at) if move.resolution else (None, None)
        return {
            "id": self.id,
            "key": self.key,
            "fields": {
                "summary": "disk full",
                "description": None,
                "created": written(self.created),
                "updated": written(self.changed),
                "resolutiondate": written(resolved) if resolved else None,
                "resolution": {"id": "1", "name": resolution} if resolution else None,
                "status": {"id": STATUS[status][0], "name": status, "statusCategory": {"key": STATUS[status][1]}},
                "priority": {"id": "2", "name": "High"},
                "issuetype": {"id": self.kind, "name": TYPES[self.kind]},
                "project": {"id": "1", "key": self.key.rpartition("-")[0], "name": "Operations"},
                "labels": [],
                "components": [],
                "assignee": {"accountId": person, "displayName": f"{person} Person"} if person else None,
                **self.more,
            },
        }

    def histories(self, *, cloud: bool) -> list[dict[str, Any]]:
        """The newest first, with changes of other fields in between."""
        status, resolution, person, found = self.first, "", None, []
        for number, move in enumerate(self.moves):
            items = [self._item("summary", (None, "a"), (None, "b"), cloud)]
            if move.status:
                before, after = (STATUS[status][0], status), (STATUS[move.status][0], move.status)
                items.append(self._item("status", before, after, cloud))
                status = move.status
            if move.resolution is not None:
                before, after = ("1" if resolution else None, resolution or None), (
                    "1" if move.resolution else None, move.resolution or None)  # fmt: skip
                items.append(self._item("resolution", before, after, cloud))
                resolution = move.resolution
            if move.person:
                items.append(self._item("assignee", (person, person), (move.person, f"{move.person} Person"), cloud))
                person = move.person
            created = millis(move.at) if cloud else written(move.at)  # numbers are what Cloud's bulk answer has
            found.append({"id": f"{self.id}{number}", "created": created, "items": items})
        return found[::-1]

    @staticmethod
    def _item(name: str, before: tuple[Any, Any], after: tuple[Any, Any], cloud: bool) -> dict[str, Any]:
        item = {"field": name, "from": before[0], "fromString": before[1], "to": after[0], "toString": after[1]}
        return item | ({"fieldId": name} if cloud else {})


@dataclass
class FakeJira:
    """full: issues a page. changes: of a page of histories. knows_us: whether it logs us in, or takes us for strangers.

    bearer: whether it wants a token, not a name and a password.
    """

    issues: list[FakeIssue] = field(default_factory=list)
    cloud: bool = True
    full: int = FULL
    changes: int = 1000
    knows_us: bool = True
    bearer: bool = False

    def __call__(self, asked: Asked) -> Answer:
        root = "/rest/api/3" if self.cloud else "/rest/api/2"
        if not asked.path.startswith(root):
            return as_json({"errorMessages": ["dead link"]}, 404)
        told = json.loads(asked.body) if asked.body else {}
        match asked.method, asked.path.removeprefix(root):
            case "GET", "/myself":
                known = self.knows_us and self._is_ours(asked)
                return (
                    as_json({"accountId": "1"}) if known else as_json({"message": "Client must be authenticated"}, 401)
                )
            case "GET", "/field":
                return as_json([_field(key, name, kind) for key, (name, kind) in FIELDS.items()])
            case "GET", "/issuetype":
                return as_json([{"id": key, "name": name, "subtask": False} for key, name in TYPES.items()])
            case "GET", "/status":
                return as_json(
                    [{"id": i, "name": name, "statusCategory": {"key": c}} for name, (i, c) in STATUS.items()]
                )
            case "POST", "/search/jql" if self.cloud:
                return self._search(told, told.get("nextPageToken"))
            case "POST", "/search" if not self.cloud:
                return self._older_search(told)
            case "POST", "/changelog/bulkfetch" if self.cloud:
                return self._histories(told)
            case "POST", "/search/approximate-count" if self.cloud:
                return as_json({"count": len(self._chosen(COUNTED, told["jql"]) or [])})
        return as_json({"errorMessages": ["dead link"]}, 404)

    def _is_ours(self, asked: Asked) -> bool:
        basic = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        return asked.headers.get("Authorization") == (f"Bearer {TOKEN}" if self.bearer else f"Basic {basic}")

    def _chosen(self, grammar: re.Pattern[str], jql: str) -> list[FakeIssue] | None:
        parts = grammar.fullmatch(jql)
        if parts is None:
            return None
        told = parts.groupdict()
        since = int(told.get("since") or 0)
        return sorted(
            (
                issue
                for issue in (self.issues if self.knows_us else [])
                if millis(issue.changed) >= since
                and told["project"] in (None, issue.key.rpartition("-")[0])
                and (told["types"] is None or issue.kind in told["types"].split(", "))
            ),
            key=lambda issue: (issue.changed, issue.key),
        )

    def _page(self, told: Mapping[str, Any], begin: int) -> tuple[list[dict[str, Any]], int] | None:
        chosen = self._chosen(JQL, told["jql"])
        if chosen is None:
            return None
        page = []
        for issue in chosen[begin : begin + min(told["maxResults"], self.full)]:
            record = issue.record()
            fields = {name: value for name, value in record["fields"].items() if name in told["fields"]}
            page.append(record | {"fields": fields})
        return page, len(chosen)

    def _search(self, told: Mapping[str, Any], token: str | None) -> Answer:
        asked_for, _, begin = base64.b64decode(token).decode().rpartition("@") if token else (told["jql"], "", "0")
        found = self._page(told, int(begin))
        if found is None or asked_for != told["jql"]:
            return as_json({"errorMessages": [f"Error in the JQL Query: {told['jql']}"], "warningMessages": []}, 400)
        page, total = found
        end = int(begin) + len(page)
        after = {"nextPageToken": base64.b64encode(f"{told['jql']}@{end}".encode()).decode()} if end < total else {}
        return as_json({"issues": page, "isLast": not after} | after)

    def _older_search(self, told: Mapping[str, Any]) -> Answer:
        if told["maxResults"] == 0:
            return as_json({"total": len(self._chosen(COUNTED, told["jql"]) or []), "issues": []})
        found = self._page(told, told["startAt"])
        if found is None:
            return as_json({"errorMessages": [f"Error in the JQL Query: {told['jql']}"]}, 400)
        assert told["expand"] == ["changelog"]
        page, total = found
        by_key = {issue.key: issue for issue in self.issues}
        listed = [each | {"changelog": {"histories": by_key[each["key"]].histories(cloud=False)}} for each in page]
        return as_json({"startAt": told["startAt"], "maxResults": told["maxResults"], "total": total, "issues": listed})

    def _histories(self, told: Mapping[str, Any]) -> Answer:
        wanted = [issue for issue in self.issues if issue.id in told["issueIdsOrKeys"]]
        changes = []
        for issue in wanted:
            for history in reversed(issue.histories(cloud=True)):
                items = [item for item in history["items"] if item["fieldId"] in told["fieldIds"]]
                changes += [(history["created"], issue.id, history | {"items": items})] if items else []
        changes.sort(key=lambda change: change[:2])
        begin = int(told.get("nextPageToken", 0))
        end = begin + min(told["maxResults"], self.changes)
        by_issue: dict[str, list[dict[str, Any]]] = {}
        for _, issue, history in changes[begin:end]:
            by_issue.setdefault(issue, []).append(history)
        page = [{"issueId": issue, "changeHistories": listed} for issue, listed in by_issue.items()]
        return as_json({"issueChangeLogs": page} | ({"nextPageToken": str(end)} if end < len(changes) else {}))


def _field(key: str, name: str, kind: str | None) -> dict[str, Any]:
    return {"id": key, "name": name, "custom": kind is not None, "schema": {"type": "any", "custom": kind}}


def adf(*lines: str) -> dict[str, Any]:
    """A description as Cloud has it."""
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": [{"type": "panel", "content": paragraphs}]}


def sla(*completed: tuple[datetime, bool], ongoing: bool | None = None) -> dict[str, Any]:
    """An SLA's cycles: (when it ended, whether too late). ongoing: whether the one that runs is too late."""
    cycles = [
        {"stopTime": {"epochMillis": millis(at), "iso8601": written(at)}, "breached": late} for at, late in completed
    ]
    return {"id": "1", "name": "an SLA", "completedCycles": cycles} | (
        {} if ongoing is None else {"ongoingCycle": {"breached": ongoing, "paused": False}}
    )
