"""As much of GitLab's REST API as the source asks for, over issues that a test gives.

It filters, orders and pages as GitLab does, and refuses what `PARAMETERS` does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from loopback import Answer, Asked, as_json

TOKEN = "s3cr3t-t0ken"  # noqa: S105
PAGING = {"page": r"[1-9]\d*", "per_page": r"[1-9]\d?|100"}
LISTED = {
    "scope": "created_by_me|assigned_to_me|all",
    "state": "opened|closed|all",
    "issue_type": "issue|incident|test_case|task",
    "labels": ".+",
    "order_by": "created_at|updated_at|priority|due_date|relative_position|label_priority|milestone_due|popularity",
    "sort": "asc|desc",
    "updated_after": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    **PAGING,
}
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    r"/api/v4/(projects|groups)/[^/]+/issues": LISTED,
    r"/api/v4/projects/[^/]+/issues/\d+/notes": {
        "order_by": "created_at|updated_at", "sort": "asc|desc",
        "activity_filter": "all_notes|only_comments|only_activity", **PAGING,
    },
    r"/api/v4/projects/[^/]+/issues/\d+/resource_state_events": PAGING,
}  # fmt: skip
"""Path -> the parameters that GitLab's reference has for it, and their values."""


def written(at: datetime | None, milliseconds: int = 0) -> str | None:
    return None if at is None else f"{at.isoformat()}.{milliseconds:03}Z"


@dataclass(frozen=True)
class Said:
    """A note: a comment, or what GitLab says by itself (of no `by`)."""

    at: datetime
    body: str
    by: str | None = None


@dataclass
class FakeIssue:
    """states: (when, closed or reopened). more: fields besides. updated: by default, when something happened last."""

    iid: int
    created: datetime
    said: Sequence[Said] = ()
    states: Sequence[tuple[datetime, str]] = ()
    labels: Sequence[str] = ()
    project: str = "acme/shop"
    kind: str = "incident"
    updated: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> datetime:
        times = [self.created, *(note.at for note in self.said), *(at for at, _ in self.states)]
        return self.updated or max(times)

    @property
    def closed(self) -> datetime | None:
        return self.states[-1][0] if self.states and self.states[-1][1] == "closed" else None

    def record(self) -> dict[str, Any]:
        return {
            "id": len(self.project) * 100_000 + self.iid,
            "iid": self.iid,
            "project_id": len(self.project),
            "title": "disk full",
            "description": None,
            "state": "closed" if self.closed else "opened",
            "created_at": written(self.created),
            "updated_at": written(self.changed, 999),
            "closed_at": written(self.closed),
            "labels": list(self.labels),
            "author": {"id": 1, "username": "alert-bot"},
            "type": self.kind.upper(),
            "severity": "UNKNOWN",
            "references": {"short": f"#{self.iid}", "full": f"{self.project}#{self.iid}"},
            "moved_to_id": None,
            "_links": {"closed_as_duplicate_of": None},
            **self.more,
        }


@dataclass
class FakeGitLab:
    """url: of itself, for the addresses of pages. late_ms: by how much its state events are later than it is itself."""

    issues: list[FakeIssue] = field(default_factory=list)
    url: str = ""
    late_ms: int = 0

    def __call__(self, asked: Asked) -> Answer:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        if headers.get("authorization") != f"Bearer {TOKEN}" and headers.get("private-token") != TOKEN:
            return as_json({"message": "401 Unauthorized"}, 401)
        path, params = urlsplit(asked.path).path, dict(parse_qsl(urlsplit(asked.path).query))
        if fault := fault_of(asked):
            return as_json({"error": fault}, 400)
        parts = path.removeprefix("/api/v4/").split("/")
        if len(parts) == 3:
            listed = self._chosen(parts[0], unquote(parts[1]), params)
            if listed is None:
                return as_json({"message": f"404 {parts[0][:-1].title()} Not Found"}, 404)
            return self._paged(asked, params, [issue.record() for issue in listed])
        issue = next(i for i in self.issues if str(len(i.project)) == parts[1] and i.iid == int(parts[3]))
        return self._paged(asked, params, self._notes(issue) if parts[4] == "notes" else self._states(issue))

    def _chosen(self, kind: str, name: str, params: Mapping[str, str]) -> list[FakeIssue] | None:
        inside = [
            issue
            for issue in self.issues
            if (issue.project == name if kind == "projects" else issue.project.startswith(f"{name}/"))
        ]
        if not inside and name == "nobody/knows":
            return None
        since = datetime.fromisoformat(params.get("updated_after", "0001-01-01T00:00:00Z")).replace(tzinfo=None)
        labels = set(filter(None, params.get("labels", "").split(",")))
        found = [
            issue
            for issue in inside
            if issue.changed + timedelta(milliseconds=999) >= since
            and params.get("issue_type", issue.kind) == issue.kind
            and labels <= set(issue.labels)
        ]
        return sorted(found, key=lambda issue: (issue.changed, issue.project, issue.iid))

    def _paged(self, asked: Asked, params: Mapping[str, str], listed: list[dict[str, Any]]) -> Answer:
        size, page = int(params.get("per_page", 20)), int(params.get("page", 1))
        more = page * size < len(listed)
        address = f"{self.url}{urlsplit(asked.path).path}?{urlencode(dict(params) | {'page': page + 1})}"
        headers = {"X-Total": str(len(listed))} | ({"Link": f'<{address}>; rel="next"'} if more else {})
        return as_json(listed[(page - 1) * size : page * size], headers=headers)

    @staticmethod
    def _notes(issue: FakeIssue) -> list[dict[str, Any]]:
        return [
            {
                "id": number,
                "body": note.body,
                "system": note.by is None,
                "author": {"username": note.by or "jo"},
                "created_at": written(note.at),
            }
            for number, note in enumerate(sorted(issue.said, key=lambda note: note.at))
        ]

    def _states(self, issue: FakeIssue) -> list[dict[str, Any]]:
        return [
            {"id": number, "state": state, "created_at": written(at, self.late_ms), "resource_type": "Issue"}
            for number, (at, state) in enumerate(issue.states)
        ]


def fault_of(asked: Asked) -> str | None:
    """What GitLab's reference does not allow about a question."""
    parts = urlsplit(asked.path)
    allowed = next((held for path, held in PARAMETERS.items() if re.fullmatch(path, parts.path)), None)
    if allowed is None or asked.method != "GET":
        return f"{asked.method} {parts.path} is no question"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in allowed or not re.fullmatch(allowed[name], value):
            return f"{name}={value} is not allowed for {parts.path}"
    return None
