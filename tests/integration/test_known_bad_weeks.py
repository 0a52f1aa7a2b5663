"""A week that everybody knows was bad: with a window over it a false leak raises no ticket, without one it does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from small_fleet import AS_OF, Fleet, write_fleet

BEGAN = AS_OF - timedelta(days=7)
WINDOW = """
maintenance:
  - {from: 2026-02-23, until: 2026-03-02T06:00, entities: [restored], why: "restore <b>test</b> on |prod|"}
  - {ical: freeze.ics, entities: [calm-*]}
"""
ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTART:20260105T200000
DTEND:20260105T230000
RRULE:FREQ=WEEKLY
SUMMARY:Patch Monday
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Fleet:
    """The small fleet, and a host that was filled by a restore for a week."""
    fleet = write_fleet(tmp_path_factory.mktemp("known-bad") / "site")
    (fleet.folder / "freeze.ics").write_text(ICS)
    hours = np.arange(-24 * 35, 48)
    values = 45 + np.random.default_rng(3).normal(0, 0.2, len(hours)) + np.clip(hours + 24 * 7, 0, 24 * 7) * 0.24
    stamps = [(AS_OF + timedelta(hours=int(h))).replace(tzinfo=UTC).isoformat() for h in hours]
    frame = pl.DataFrame({"source": "prod", "entity": "restored", "metric": "mem", "ts": stamps, "value": values})
    frame.with_columns(unit=pl.lit("percent")).write_csv(fleet.folder / "metrics" / "restored.csv")
    return fleet


def tickets(fleet: Fleet) -> set[str]:
    index = fleet.run / "tickets" / "tickets.jsonl"
    return {told["entity"] for line in index.read_text().splitlines() if (told := json.loads(line))}


def ask(fleet: Fleet, query: str) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        return con.sql(query).fetchall()


def test_a_false_leak_raises_a_ticket_only_without_the_window(site: Fleet, tmp_path: Path):
    without = site.nightly()
    assert without.code == 0, without.err
    assert tickets(site) == {"leaky", "restored"}
    assert ask(site, "FROM raw.known_bad") == []

    known = write_again(site, tmp_path)
    done = known.nightly()
    assert done.code == 0, done.err
    assert tickets(known) == {"leaky"}
    assert "1 series held tonight" in done.words
    windows = ask(known, "SELECT source, starts_at, first_known, dropped FROM raw.known_bad ORDER BY ALL")
    assert windows[-1] == ("settings", BEGAN, AS_OF, None)
    assert {window[0] for window in windows} == {"settings", "calendar freeze.ics"}
    page = (known.run / "reports" / "2026-03-02" / "digest.html").read_text()
    assert "restore &lt;b&gt;test&lt;/b&gt; on |prod|" in page and "<b>test" not in page
    [(p,)] = ask(known, "SELECT max(p) FROM forecasting.risks JOIN raw.series USING (series_id)"
                 " WHERE entity = 'restored' AND state = 'scored'")  # fmt: skip
    assert p is None or p < 0.5, "hours of the window were learnt from"


def write_again(site: Fleet, folder: Path) -> Fleet:
    """The same site without what it ran, with windows."""
    copy = Fleet(folder / "site")
    copy.folder.mkdir()
    for name in ("metrics", "incidents.csv", "freeze.ics"):
        (copy.folder / name).symlink_to(site.folder / name)
    copy.config.write_text(site.config.read_text() + WINDOW)
    return copy


def test_a_night_that_is_run_again_knows_what_it_knew(site: Fleet, tmp_path: Path):
    fleet = write_again(site, tmp_path)
    fleet.config.write_text(site.config.read_text())
    for night in ("2026-03-01", "2026-03-02"):
        assert fleet.nightly("--as-of", night).code == 0
    before = fleet.contents()
    fleet.config.write_text(site.config.read_text() + WINDOW)
    again = fleet.nightly("--as-of", "2026-03-01")
    assert again.code == 0 and "stale" not in again.words, again.out
    after = fleet.contents()
    assert all(after[table] == rows for table, rows in before.items() if table not in ("main.runs",)), "it changed"
    assert fleet.nightly().code == 0
    first = ask(fleet, "SELECT DISTINCT first_known FROM raw.known_bad")
    assert first == [(datetime(2026, 3, 2),)]
