"""A real Redmine on the loopback from Debian's packages, of which the code is copied: an installed one is not touched.

Issues and their journals are written into its database, just as it writes them itself, since its API has no past;
``test_real_redmine`` holds the two against each other.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import pytest
from real_postgres import free_port
from standing import STANDING

SHARED = Path("/usr/share/redmine")
INSTALLED = (SHARED / "config.ru").exists() and all(map(shutil.which, ("bundle", "puma")))
COPIED = ("app", "bin", "config", "db", "lib", "public", "config.ru", "Gemfile", "Rakefile")
LOGIN = "forewarn"
READY_S = 120.0
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

PREPARE = f"""
task forewarn: 'db:migrate' do
  ActiveRecord::Base.descendants.each(&:reset_column_information)
  Redmine::DefaultData::Loader.load('en')
  Setting.rest_api_enabled = '1'
  incident = Tracker.create!(name: 'Incident', default_status: IssueStatus.find_by!(name: '{NEW}'))
  WorkflowRule.copy(Tracker.find_by!(name: 'Bug'), nil, incident, Role.all)
  user = User.new(firstname: 'Night', lastname: 'Watch', mail: '{LOGIN}@localhost.invalid', admin: true)
  user.login = '{LOGIN}'
  user.password = SecureRandom.hex(16)
  user.save!
  puts "key #{{user.api_key}}"
end
"""


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
class RealRedmine:
    """key: of its API, of an administrator."""

    url: str
    key: str
    database: Path

    # ------------------------------------------------------------------------------------------------------------- API

    def get(self, path: str, **asked: str) -> Any:
        return self.send("GET", f"{path}?{urlencode(asked)}")

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - on loopback
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"X-Redmine-API-Key": key or self.key, "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                told = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(told) if told.strip() else None

    # ----------------------------------------------------------------------------------------------------------- issues

    def add(self, *issues: Issue) -> list[int]:
        """Issues with all that became of them; their ids."""
        for project in dict.fromkeys(issue.project for issue in issues):
            self.project(project)
        with self._writing() as desk:
            return [desk.add(issue) for issue in issues]

    def change(self, issue_id: int, *changes: Change) -> None:
        with self._writing() as desk:
            for change in changes:
                desk.change(issue_id, change)

    def delete(self, issue_id: int) -> None:
        self.send("DELETE", f"/issues/{issue_id}.json")

    def clear(self) -> None:
        """Without any issue, nor custom field."""
        with self._writing() as desk:
            for table in ("issues", "journals", "journal_details", "custom_values", "custom_fields"):
                desk.con.execute(f"DELETE FROM {table}")
            desk.con.execute("DELETE FROM custom_fields_trackers")

    # --------------------------------------------------------------------------------------------------- what they have

    def project(self, name: str, **fields: Any) -> int:
        """Its id; it is made where it is new."""
        with self._writing() as desk:
            found = desk.value("SELECT id FROM projects WHERE name = ?", name)
            trackers = [row[0] for row in desk.con.execute("SELECT id FROM trackers")]
        if found is not None:
            return found
        made = {"name": name, "identifier": name.lower().replace(" ", "-"), "tracker_ids": trackers}
        made |= {"enabled_module_names": ["issue_tracking"]}
        return self.send("POST", "/projects.json", {"project": made | fields})["project"]["id"]

    def custom_field(self, name: str, kind: str = "string", *, multiple: bool = False) -> int:
        """A new one of issues of all trackers and projects; its id."""
        with self._writing() as desk:
            return desk.custom_field(name, kind, multiple)

    def group(self, name: str) -> int:
        """A team's id; it is made where it is new. Issues are assigned to it by its name."""
        with self._writing() as desk:
            return desk.principal("Group", "", name)

    def setting(self, name: str, value: str) -> None:
        """What an administrator sets; `clear` does not take it back."""
        with self._writing() as desk:
            desk.con.execute("DELETE FROM settings WHERE name = ?", (name,))
            at = _written(datetime.now(UTC).replace(tzinfo=None))
            desk.con.execute("INSERT INTO settings (name, value, updated_on) VALUES (?, ?, ?)", (name, value, at))

    def stranger(self) -> str:
        """The key of somebody who is a member of nothing."""
        name = f"stranger{os.urandom(4).hex()}"
        made = {"login": name, "firstname": "Stran", "lastname": "Ger", "password": os.urandom(16).hex()}
        return self.send("POST", "/users.json", {"user": made | {"mail": f"{name}@localhost.invalid"}})["user"][
            "api_key"
        ]

    def id(self, name: str, value: str, project: str = "Checkout") -> int | str:
        """The id of a status, a tracker, a user (a member of all projects that there are) or whatever `name` says."""
        with self._writing() as desk:
            return desk.id(name, value, desk.value("SELECT id FROM projects WHERE name = ?", project))

    @contextmanager
    def _writing(self) -> Iterator[_Desk]:
        with closing(sqlite3.connect(self.database, timeout=30)) as con, con:
            con.row_factory = sqlite3.Row
            yield _Desk(con)


@dataclass(frozen=True)
class _Desk:
    """Writes as Redmine would have at that time."""

    con: sqlite3.Connection

    def add(self, issue: Issue) -> int:
        at = _written(issue.created)
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
        at = _written(change.at)
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


def _written(at: datetime) -> str:
    return at.isoformat(" ", "microseconds")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


# ------------------------------------------------------------------------------------------------------------ server


@contextmanager
def redmine() -> Iterator[RealRedmine]:
    """Started, and stopped in the end."""
    with TemporaryDirectory(prefix="forewarn-redmine-") as name:
        folder = Path(name)
        _lay_out(folder)
        own = {"RAILS_ENV": "production", "REDMINE_INSTANCE": "default", "SECRET_KEY_BASE": os.urandom(32).hex()}
        own |= {"BUNDLE_GEMFILE": str(folder / "Gemfile"), "BUNDLE_SILENCE_ROOT_WARNING": "1", "HOME": name}
        own |= {"TZ": "UTC", "SCHEMA": os.devnull, "LANG": "C.UTF-8"}  # what it keeps in its database is local time
        env = os.environ | own
        prepare = ["bundle", "exec", "rake", "forewarn"]
        done = subprocess.run(prepare, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr[-2000:]
        key = done.stdout.rpartition("key ")[2].strip()
        port = free_port()
        serve = [
            "bundle",
            "exec",
            "puma",
            "-e",
            "production",
            "-t",
            "2:4",
            "-b",
            f"tcp://127.0.0.1:{port}",
            "config.ru",
        ]
        log = folder / "puma.log"
        with log.open("wb") as out, subprocess.Popen(serve, cwd=folder, env=env, stdout=out, stderr=out) as process:
            try:
                found = RealRedmine(f"http://127.0.0.1:{port}", key, folder / "redmine.sqlite")
                _await(found, process, log)
                yield found
            finally:
                process.terminate()
                process.wait(60)


def _lay_out(folder: Path) -> None:
    """Redmine's code, with a database and a log of its own."""
    for name in COPIED:
        copy = shutil.copytree if (SHARED / name).is_dir() else shutil.copy
        copy(SHARED / name, folder / name)
    (folder / "config" / "database.yml").unlink(missing_ok=True)
    gems = (SHARED / "Gemfile").read_text().replace(str(SHARED), str(folder))  # where it looks for database.yml
    (folder / "Gemfile").write_text(f'{gems}\ngem "puma"\n')
    (folder / "lib" / "tasks" / "forewarn.rake").write_text(PREPARE)
    own = folder / "instances" / "default"
    for name in ("config", "files", "log", "tmp"):
        (own / name).mkdir(parents=True)
    database = {"adapter": "sqlite3", "database": str(folder / "redmine.sqlite"), "timeout": 30_000}
    (own / "config" / "database.yml").write_text(json.dumps({"production": database}))  # YAML, too


def _await(server: RealRedmine, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_S
    while True:
        try:
            server.get("/issue_statuses.json")
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, f"Redmine was not ready in {READY_S} s"
            time.sleep(0.1)
        else:
            return


@cache
def _shared() -> RealRedmine:
    return STANDING.enter_context(redmine())


def missing() -> str | None:
    """What is not installed here."""
    return None if INSTALLED else "Redmine is not installed (Debian's packages: redmine, redmine-sqlite and puma)"


def shared() -> RealRedmine:
    """One for all tests of a process, stopped at its end, without any issue; skips where it is not installed."""
    if lacks := missing():
        pytest.skip(lacks)
    server = _shared()
    server.clear()
    return server
