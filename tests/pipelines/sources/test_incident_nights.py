"""Nights, and the report between them, over an incident server that sometimes fails."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from desks.github import GitHubAdapter
from desks.given import SECRET, Given
from rich.console import Console
from staged_incidents import DAY, HOUR, MINUTE

from pipelines.incident_history import read as history
from pipelines.incident_report import write_report
from pipelines.nightly import Outcome, run_night
from pipelines.settings import Settings, parse
from pipelines.site import Site

SETTINGS = """
sources:
  incidents:
    - name: desk
      type: github
      url: {url}
      repositories: [acme/shop]
      access: {{bearer: {secret}, attempts: 1}}
storage: {{root: run}}
calendar: {{first_night: 2026-01-01}}
"""
FIELDS = SETTINGS.replace("repositories:", "fields: {fields}\n      repositories:")
FIRST = datetime(2026, 2, 27)


@pytest.fixture
def desk() -> Iterator[GitHubAdapter]:
    adapter = GitHubAdapter()
    yield adapter
    adapter.close()


@pytest.fixture
def settings(tmp_path: Path, desk: GitHubAdapter) -> Settings:
    return parse(SETTINGS.format(url=desk.server.url, secret=SECRET), tmp_path)


def night(settings: Settings, number: int) -> Outcome:
    return run_night(settings, (FIRST + number * DAY).date(), Console(quiet=True))


def stored(settings: Settings) -> dict[str, tuple[datetime, datetime | None]]:
    with Site(settings).warehouse.reader() as con:
        rows = con.sql("SELECT incident_id, created_at, resolved_at FROM raw.incidents").fetchall()
    return {key: (created_at, resolved_at) for key, created_at, resolved_at in rows}


def report(settings: Settings, folder: Path, day: date) -> tuple[dict, str, list[str]]:
    _, unread = write_report(settings, day, folder)
    return json.loads((folder / "mttr.json").read_text()), (folder / "mttr.html").read_text(), list(unread)


def test_nights_add_up_to_what_the_server_has_though_it_fails_midway(desk, settings, tmp_path):
    begins = [FIRST - 20 * DAY + n * MINUTE for n in range(250)]
    given = [Given(n, at, acknowledged=at + MINUTE, resolved=at + HOUR) for n, at in enumerate(begins, start=1)]
    desk.serve(given)
    desk.behaviour.fails_on = 2
    outcome = night(settings, 0)
    assert [source for source, _ in outcome.unread] == ["desk"]
    assert len(stored(settings)) == 100

    desk.serve([*given, Given(999, FIRST + HOUR)])
    told, _, unread = report(settings, tmp_path / "between", FIRST.date())
    assert unread == []
    assert told["usable"]["total"] == 250
    assert len(stored(settings)) == 100, "a report stores nothing"

    before = len(desk.asked)
    outcome = night(settings, 1)
    assert outcome.unread == []
    assert stored(settings).keys() == {desk.key(each.number) for each in given} | {desk.key(999)}
    assert len(desk.asked) - before < len(given), "what was stored is not asked for again"

    desk.serve([*given[1:], Given(1, given[0].created, resolved=FIRST + DAY + HOUR)])
    night(settings, 2)
    assert stored(settings)[desk.key(1)] == (given[0].created, FIRST + DAY + HOUR)


def test_a_server_that_is_down_leaves_the_old_numbers_and_a_warning_on_the_page(desk, settings, tmp_path):
    desk.serve([Given(n, FIRST - n * DAY, resolved=FIRST - n * DAY + HOUR) for n in range(1, 21)])
    night(settings, 0)
    desk.vanish()
    told, page, unread = report(settings, tmp_path / "report", (FIRST + DAY).date())
    assert told["usable"]["used"] == 20
    assert unread == ["desk"]
    assert "desk was not read to the end" in page
    assert "desk was not read to the end" in (tmp_path / "report" / "mttr.md").read_text()
    outcome = night(settings, 1)
    assert [source for source, _ in outcome.unread] == ["desk"]
    assert "desk was not read to the end" in (settings.root / "reports" / "2026-02-28" / "mttr.html").read_text()
    everything = b"".join(path.read_bytes() for path in settings.root.rglob("*") if path.is_file())
    assert SECRET.encode() not in everything


def test_a_report_has_what_is_stored_though_incidents_name_their_own_source(desk, tmp_path):
    own = parse(FIELDS.format(fields="{source: user.login}", url=desk.server.url, secret=SECRET), tmp_path)
    desk.serve([Given(n, FIRST - n * DAY, resolved=FIRST - n * DAY + HOUR) for n in range(1, 21)])
    night(own, 0)
    told, _, unread = report(own, tmp_path / "report", (FIRST + DAY).date())
    assert (told["usable"]["total"], unread) == (20, [])


def test_other_settings_hold_for_what_is_stored_already(desk, tmp_path):
    def fields(part: str) -> Settings:
        return parse(FIELDS.format(fields=f"{{team: {part}}}", url=desk.server.url, secret=SECRET), tmp_path)

    def teams(settings: Settings) -> set[str]:
        with Site(settings).warehouse.reader() as con:
            return {team for (team,) in con.sql("SELECT team FROM raw.incidents").fetchall()}

    desk.serve([Given(n, FIRST - n * DAY, resolved=FIRST - n * DAY + HOUR) for n in range(1, 4)])
    night(fields("title"), 0)
    assert teams(fields("title")) == {"disk full"}
    night(fields("state"), 1)
    assert teams(fields("state")) == {"closed"}
    assert set(history(fields("user.login"), (FIRST + 2 * DAY)).durations["team"]) == {"alertbot"}
