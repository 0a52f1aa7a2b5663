"""A real Redmine on the loopback from Debian's packages, of which the code is copied: an installed one is not touched.

Belongs here: the server, and what tests have it do. Not here: how issues get a past (``redmine_database``).
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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import pytest
from real_postgres import free_port
from redmine_database import LOGIN, NEW, Change, Desk, Issue, written
from standing import STANDING

SHARED = Path("/usr/share/redmine")
INSTALLED = (SHARED / "config.ru").exists() and all(map(shutil.which, ("bundle", "puma")))
COPIED = ("app", "bin", "config", "db", "lib", "public", "config.ru", "Gemfile", "Rakefile")
READY_S = 120.0

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
            at = written(datetime.now(UTC).replace(tzinfo=None))
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
    def _writing(self) -> Iterator[Desk]:
        with closing(sqlite3.connect(self.database, timeout=30)) as con, con:
            con.row_factory = sqlite3.Row
            yield Desk(con)


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
