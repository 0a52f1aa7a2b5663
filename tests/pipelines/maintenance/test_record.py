"""Which windows a night knows, over nights that are run, run again, and run when a source is silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from features.known_bad import Window, from_frame
from pipelines.maintenance.reading import Told
from pipelines.maintenance.record import known, publish, recorded, recorded_before
from pipelines.publishing.runs import Run, finish_run
from pipelines.warehouse import Warehouse

FIRST = datetime(2026, 3, 1)
AM = "alertmanager http://am"
PLAN = Window("settings", FIRST - timedelta(days=3), FIRST - timedelta(days=2), ("db-*",), why="move")
SILENCE = Window(AM, FIRST - timedelta(hours=4), FIRST + timedelta(hours=20), ("web-1",), why="disk", told_as="s1")


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    warehouse = Warehouse(tmp_path)
    warehouse.migrate()
    with warehouse.autocommit() as con:
        yield con


def night(days: int) -> datetime:
    return FIRST + timedelta(days=days)


def settings(*windows: Window) -> Told:
    return Told("settings", list(windows))


def silences(*windows: Window, **more) -> Told:
    return Told(AM, list(windows), forgets=True, **more)


def run(con: duckdb.DuckDBPyConnection, days: int, told: Sequence[Told]) -> list[Window]:
    """A night that reads its sources, and is published."""
    as_of = night(days)
    frame = known(recorded_before(con, as_of), told, as_of)
    con.register("tonight", frame.to_arrow())
    publish(con, "tonight", as_of)
    con.unregister("tonight")
    finish_run(con, Run(f"run-{days}", as_of, as_of), {})
    assert from_frame(recorded(con, as_of)) == from_frame(frame)
    return from_frame(frame)


def test_a_later_window_changes_nothing_about_an_earlier_night(con: duckdb.DuckDBPyConnection):
    assert run(con, 0, [settings()]) == []
    assert run(con, 1, [settings(PLAN)]) == [PLAN]
    assert from_frame(recorded(con, night(0))) == []
    assert from_frame(recorded(con, night(1))) == from_frame(recorded(con, night(9))) == [PLAN]


def test_what_is_taken_back_still_held_on_the_nights_before(con: duckdb.DuckDBPyConnection):
    run(con, 0, [settings(PLAN)])
    assert run(con, 1, [settings()]) == []
    assert from_frame(recorded(con, night(0))) == [PLAN]
    assert run(con, 2, [settings(PLAN)]) == [PLAN]
    assert from_frame(recorded(con, night(1))) == []


def test_the_newest_night_may_be_run_again_with_other_settings(con: duckdb.DuckDBPyConnection):
    run(con, 0, [settings(PLAN)])
    assert run(con, 1, [settings()]) == []
    assert run(con, 1, [settings(PLAN)]) == [PLAN]
    assert con.sql("SELECT first_known, dropped FROM raw.known_bad").fetchall() == [(night(0), None)]


def test_an_older_night_leaves_the_record_alone(con: duckdb.DuckDBPyConnection):
    run(con, 0, [settings(PLAN)])
    run(con, 1, [settings(PLAN)])
    before = con.sql("FROM raw.known_bad").fetchall()
    con.register("tonight", recorded(con, night(0)).clear().to_arrow())
    publish(con, "tonight", night(0))
    assert con.sql("FROM raw.known_bad").fetchall() == before


def test_a_source_that_cannot_be_read_keeps_what_was_known(con: duckdb.DuckDBPyConnection):
    run(con, 0, [silences(SILENCE)])
    assert run(con, 1, [silences(fault="am: cannot be reached")]) == [SILENCE]
    assert run(con, 2, []) == [], "it is no longer among the settings"


def test_an_alertmanager_forgets_what_is_over_and_the_record_does_not(con: duckdb.DuckDBPyConnection):
    run(con, 0, [silences(SILENCE)])
    assert run(con, 9, [silences()]) == [SILENCE]


def test_a_silence_that_vanished_before_its_end_ended(con: duckdb.DuckDBPyConnection):
    endless = Window(AM, SILENCE.starts_at, night(99), ("web-1",), told_as="s1")
    run(con, 0, [silences(endless)])
    [found] = run(con, 1, [silences()])
    assert found.ends_at == night(1)
    future = Window(AM, night(50), night(99), ("web-1",), told_as="s2")
    run(con, 2, [silences(future)])
    assert [one.told_as for one in run(con, 3, [silences()])] == ["s1"]


def test_a_silence_that_was_shortened_is_taken_as_it_is_now(con: duckdb.DuckDBPyConnection):
    run(con, 0, [silences(SILENCE)])
    shorter = Window(AM, SILENCE.starts_at, night(0) + timedelta(hours=1), ("web-1",), told_as="s1")
    assert run(con, 1, [silences(shorter)]) == [shorter]
    assert from_frame(recorded(con, night(0))) == [SILENCE]


def test_a_silence_that_changed_after_the_cut_is_as_it_was_known(con: duckdb.DuckDBPyConnection):
    run(con, 0, [silences(SILENCE)])
    assert run(con, 1, [silences(later=frozenset({"s1"}))]) == [SILENCE]
    assert run(con, 2, [silences(later=frozenset({"s9"}))]) == [SILENCE]
