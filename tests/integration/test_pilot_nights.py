"""From shadow to published: a service in pilot is switched on by its replay."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from small_fleet import AS_OF, Finished, Fleet, write_fleet

FIRST = datetime(2026, 2, 14)
CROSSED = datetime(2026, 2, 28)
SERVICES = """services:
  - {name: shop, entities: [leaky, slow], mode: pilot, publish_when: {precision: 0.9, tickets_per_week: 3, settled: 1}}
  - {name: mail, entities: [calm-*]}
calendar"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory) -> Fleet:
    """A fleet whose one leak reached its limit two days ago, and whose other one will in three."""
    fleet = write_fleet(tmp_path_factory.mktemp("pilot") / "site")
    settings = fleet.config.read_text()
    services = settings[settings.index("services:") : settings.index("calendar") + len("calendar")]
    limit = 84 + 0.1 * (CROSSED - AS_OF) / timedelta(hours=1)
    settings = settings.replace(services, SERVICES).replace("{mode: live}", "{mode: shadow}")
    settings = settings.replace("first_night: 2026-02-20", f"first_night: {FIRST:%Y-%m-%d}")
    fleet.config.write_text(settings.replace("value: 90", f"value: {limit:g}"))
    slow(fleet.folder / "metrics")
    return fleet


def slow(folder: Path) -> None:
    """The same leak, five days behind."""
    hours = pl.read_csv(folder / "leaky.csv")
    hours.with_columns(pl.lit("slow").alias("entity"), value=pl.col("value") - 0.1 * 24 * 5).write_csv(
        folder / "slow.csv"
    )


@pytest.fixture(scope="module")
def before(fleet: Fleet) -> tuple[Finished, set[str], set[str]]:
    """The night before anything is proven, and what it left in both folders."""
    done = fleet.nightly()
    assert done.code == 0, done.err
    return done, tickets(fleet.run / "tickets"), tickets(fleet.run / "shadow")


@pytest.fixture(scope="module")
def replayed(fleet: Fleet, before: object) -> Finished:
    nights = ("--from", f"{FIRST:%Y-%m-%d}", "--to", f"{AS_OF:%Y-%m-%d}", "--out", str(fleet.folder / "replay"))
    done = fleet.forewarn("replay", "--config", str(fleet.config), *nights)
    assert done.code == 0, done.err
    return done


def tickets(folder: Path) -> set[str]:
    """The entities of the tickets in a folder."""
    index = folder / "tickets.jsonl"
    return {json.loads(line)["entity"] for line in index.read_text().splitlines()} if index.exists() else set()


def test_unproven_a_ticket_is_written_aside(before: tuple[Finished, set[str], set[str]]):
    done, published, shadow = before
    assert published == set() and shadow == {"slow"}
    assert "3 in shadow" in done.words or "2 in shadow" in done.words


def test_the_replay_says_what_follows(fleet: Fleet, replayed: Finished):
    # the slow leak's ticket is open on the last night, and what comes of it is not in the files
    assert "pilot shop: 1 of 1 settled tickets were right" in replayed.words.replace("\u00a0", " ")
    assert "meets its bar; published from the next night on" in replayed.words
    services = json.loads((fleet.folder / "replay" / "summary.json").read_text())["services"]
    assert [(one["service"], one["verdict"]) for one in services] == [
        ("mail", "cannot say"), ("shop", "meets"), (None, "cannot say")]  # fmt: skip
    assert "Which services could be published" in (fleet.folder / "replay" / "replay.html").read_text()


def test_proven_the_open_ticket_is_published_on_the_next_night(fleet: Fleet, replayed: Finished):
    done = fleet.nightly()
    assert done.code == 0, done.err
    assert tickets(fleet.run / "tickets") == {"slow"}
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        rows = con.sql("SELECT service, published, record FROM reports.service_modes ORDER BY service NULLS LAST")
        assert rows.fetchall() == [("mail", False, None), ("shop", True, "replay"), (None, False, None)]


def test_a_replay_for_nobody_in_pilot_leaves_the_warehouse_alone(tmp_path: Path):
    fleet = write_fleet(tmp_path / "site")
    nights = ("--from", "2026-03-01", "--to", "2026-03-02", "--out", str(tmp_path / "replay"))
    assert fleet.forewarn("replay", "--config", str(fleet.config), *nights).code == 0
    assert not (fleet.run / "warehouse.duckdb").exists()
