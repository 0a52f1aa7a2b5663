"""Redmine's database, written just as Redmine writes it, since its API has no past.

``test_real_redmine`` holds the two against each other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LOGIN = "forewarn"
NEW = "New"
COLUMNS = {
    "subject": "subject",
    "tracker": "tracker_id",
    "status": "status_id",
    "priority": "priority_id",
    "category": "category_id",
    "assignee": "assigned_to_id",
}
"""What of an issue can change -> its column. By any other name it is a custom field."""
NAMED = {"tracker": "trackers", "status": "issue_statuses", "priority": "enumerations", "category": "issue_categories"}
"""What has a table in which it has a `name`."""


@dataclass(frozen=True)
class Change:
    """What somebody did to an issue.

    sets: of `COLUMNS`, or custom fields; by names, which are made where they are new; None: taken away.
    """

    at: datetime
    sets: Mapping[str, str | None] = field(default_factory=dict)
    note: str = ""
    private: bool = False


@dataclass(frozen=True)
class Issue:
    """As it was created, and what became of it. Times are naive UTC.

    has: of `COLUMNS`, or custom fields. number: its id; None: the next one.
    """

    created: datetime
    has: Mapping[str, str]
    description: str = ""
    project: str = "Checkout"
    changes: tuple[Change, ...] = ()
    number: int | None = None


@dataclass(frozen=True)
class Desk:
    """Writes as Redmine would have at that time."""

    con: sqlite3.Connection

    def add(self, issue: Issue) -> int:
        at = written(issue.created)
        project = self.value("SELECT id FROM projects WHERE name = ?", issue.project)
        has = {"subject": "", "tracker": "Incident", "status": NEW, "priority": "Normal", **issue.has}
        row: dict[str, object] = {COLUMNS[name]: self.id(name, has[name], project) for name in COLUMNS if name in has}
        row |= {"project_id": project, "description": issue.description, "created_on": at, "updated_on": at}
        row |= {"author_id": self.value("SELECT id FROM users WHERE login = ?", LOGIN), "start_date": at[:10]}
        row |= {"id": issue.number, "lft": 1, "rgt": 2, "closed_on": at if self._is_closed(row["status_id"]) else None}
        issue_id = self._insert("issues", row)
        self.con.execute("UPDATE issues SET root_id = id WHERE id = ?", (issue_id,))
        for field_id in self._custom_fields().values():
            self._insert("custom_values", _custom(issue_id, field_id, ""))
        for name in has.keys() - COLUMNS.keys():
            self._set_custom(issue_id, name, has[name])
        for change in issue.changes:
            self.change(issue_id, change)
        return issue_id

    def change(self, issue_id: int, change: Change) -> None:
        at = written(change.at)
        was = self.con.execute("SELECT * FROM issues WHERE id = ?", (issue_id,)).fetchone()
        becomes: dict[str, object] = {"updated_on": at, "lock_version": was["lock_version"] + 1}
        details = []
        for name, value in change.sets.items():
            if name in COLUMNS:
                column = COLUMNS[name]
                becomes[column] = None if value is None else self.id(name, value, was["project_id"])
                details.append(("attr", column, was[column], becomes[column]))
            else:
                field_id, before = self._set_custom(issue_id, name, value or "")
                details.append(("cf", field_id, before, value or ""))
        if "status_id" in becomes and self._is_closed(becomes["status_id"]) and not self._is_closed(was["status_id"]):
            becomes["closed_on"] = at
        assigned = ", ".join(f"{column} = ?" for column in becomes)
        self.con.execute(f"UPDATE issues SET {assigned} WHERE id = ?", (*becomes.values(), issue_id))
        self._journals(issue_id, change, at, details)

    def _journals(self, issue_id: int, change: Change, at: str, details: list[tuple[Any, ...]]) -> None:
        """One; a private note beside changes stands in a second, which has none."""
        user = self.value("SELECT id FROM users WHERE login = ?", LOGIN)
        row = {"journalized_id": issue_id, "journalized_type": "Issue", "user_id": user, "created_on": at}
        apart = change.private and bool(change.note) and bool(details)
        alone = change.private and not apart
        journal = self._insert("journals", row | {"notes": None if apart else change.note, "private_notes": alone})
        if apart:
            self._insert("journals", row | {"notes": change.note, "private_notes": True})
        for kind, key, before, after in details:
            values = {"old_value": _text(before), "value": _text(after)}
            self._insert("journal_details", {"journal_id": journal, "property": kind, "prop_key": str(key), **values})

    # ------------------------------------------------------------------------------------------------------------ names

    def id(self, name: str, value: str, project: int | None) -> int | str:
        """What stands in a column for a name."""
        if name == "subject":
            return value
        if name == "assignee":
            return self.user(value)
        found = self.value(
            f"SELECT id FROM {NAMED[name]} WHERE name = ?"
            + (" AND type = 'IssuePriority'" if name == "priority" else "")
            + (f" AND project_id = {project}" if name == "category" else ""),
            value,
        )
        if found is None:
            assert name == "category", f"this Redmine has no {name} {value}"
            return self._insert("issue_categories", {"project_id": project, "name": value})
        return found

    def user(self, name: str) -> int:
        first, _, last = name.rpartition(" ")
        return self.principal("User", first, last)

    def principal(self, kind: str, first: str, last: str) -> int:
        """Of a user or a group: a member of all projects that there are."""
        found = self.value("SELECT id FROM users WHERE firstname = ? AND lastname = ?", first, last)
        if found is None:
            login = f"{first}.{last}".lower() if first else ""
            row = {"login": login, "firstname": first, "lastname": last, "type": kind}
            found = self._insert("users", row | {"language": "en", "mail_notification": "none"})
        role = self.value("SELECT id FROM roles WHERE name = ?", "Developer")
        outside = "SELECT id FROM projects WHERE id NOT IN (SELECT project_id FROM members WHERE user_id = ?)"
        for (project,) in self.con.execute(outside, (found,)).fetchall():
            member = self._insert("members", {"user_id": found, "project_id": project})
            self._insert("member_roles", {"member_id": member, "role_id": role})
        return found

    def custom_field(self, name: str, kind: str, multiple: bool) -> int:
        row = {"type": "IssueCustomField", "name": name, "field_format": kind, "is_for_all": True, "is_filter": True}
        field_id = self._insert(
            "custom_fields", row | {"multiple": multiple, "position": 1, "format_store": "--- {}\n"}
        )
        for (tracker,) in self.con.execute("SELECT id FROM trackers").fetchall():
            self._insert("custom_fields_trackers", {"custom_field_id": field_id, "tracker_id": tracker})
        return field_id

    def _custom_fields(self) -> dict[str, int]:
        return dict(self.con.execute("SELECT name, id FROM custom_fields").fetchall())

    def _set_custom(self, issue_id: int, name: str, value: str) -> tuple[int, str]:
        field_id = self._custom_fields()[name]
        at = (issue_id, field_id)
        before = self.value("SELECT value FROM custom_values WHERE customized_id = ? AND custom_field_id = ?", *at)
        self.con.execute("DELETE FROM custom_values WHERE customized_id = ? AND custom_field_id = ?", at)
        self._insert("custom_values", _custom(issue_id, field_id, value))
        return field_id, before or ""

    def _is_closed(self, status: object) -> bool:
        return bool(self.value("SELECT is_closed FROM issue_statuses WHERE id = ?", status))

    def value(self, sql: str, *given: object) -> Any:
        found = self.con.execute(sql, given).fetchone()
        return found and found[0]

    def _insert(self, table: str, row: Mapping[str, object]) -> int:
        marks = ", ".join("?" * len(row))
        done = self.con.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        assert done.lastrowid is not None
        return done.lastrowid


def _custom(issue_id: int, field_id: int, value: str) -> dict[str, object]:
    return {"customized_type": "Issue", "customized_id": issue_id, "custom_field_id": field_id, "value": value}


def written(at: datetime) -> str:
    return at.isoformat(" ", "microseconds")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
