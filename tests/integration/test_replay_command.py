"""``forewarn replay``: the very tickets that the nights would have opened, and what is said when it cannot."""

import json
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from rich.console import Console
from small_fleet import Fleet

from pipelines.replay import run as replaying
from pipelines.settings import SAMPLE, load

NIGHTS = [date(2026, 2, 26) + timedelta(days=day) for day in range(5)]
FIRST, LAST = NIGHTS[0].isoformat(), NIGHTS[-1].isoformat()


def replay(fleet: Fleet, *arguments: str, first: str = FIRST, last: str = LAST):
    out = str(fleet.folder / "out")
    return fleet.forewarn(
        "replay", "--config", str(fleet.config), "--from", first, "--to", last, "--out", out, *arguments
    )


def written(fleet: Fleet, name: str) -> pl.DataFrame:
    return pl.read_parquet(fleet.folder / "out" / f"{name}.parquet")


def of_warehouse(fleet: Fleet, query: str) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        return con.sql(query).fetchall()


def test_a_replay_says_what_the_nights_say_one_by_one(fleet):
    done = replay(fleet, "--sweep")
    assert done.code == 0, done.err
    assert not (fleet.run / "warehouse.duckdb").exists()  # a replay leaves the site as it was
    for night in NIGHTS:
        assert fleet.nightly("--as-of", night.isoformat()).code == 0

    opened = of_warehouse(
        fleet,
        "SELECT ticket_id, as_of, probability, eta_p10, eta_p50, eta_p90, limit_value FROM reports.ticket_events"
        " WHERE event = 'opened' ORDER BY ALL",
    )
    tickets = written(fleet, "tickets").sort("ticket_id")
    told = ["ticket_id", "opened_at", "probability", "eta_p10", "eta_p50", "eta_p90", "limit"]
    assert tickets.select(told).rows() == opened
    assert tickets["entity"].to_list() == ["leaky"]

    answers = "SELECT as_of, series_id, limit_name, horizon_h, p FROM forecasting.risks ORDER BY ALL"
    folders = [fleet.folder / "out" / "work" / "nights" / night.isoformat() / "risks.parquet" for night in NIGHTS]
    keys = ["as_of", "series_id", "limit_name", "horizon_h"]
    assert pl.concat(map(pl.read_parquet, folders)).select(*keys, "p").sort(keys).rows() == of_warehouse(fleet, answers)

    summary = json.loads((fleet.folder / "out" / "summary.json").read_text())
    assert summary["nights"] == len(NIGHTS)
    assert summary["tickets"] == len(opened)
    assert set(summary["baselines"]) == {"predict_linear_6h", "predict_linear_24h", "predict_linear_7d"}
    assert (fleet.folder / "out" / "replay.html").read_text().startswith("<!")


def test_a_replay_goes_on_where_it_was(fleet):
    assert replay(fleet, last="2026-02-27").code == 0
    nights = fleet.folder / "out" / "work" / "nights"
    before = {night.name: (night / "risks.parquet").stat().st_mtime_ns for night in nights.iterdir()}
    (nights / ".2026-02-28.partial").mkdir()  # as one that was killed leaves it
    assert replay(fleet, last="2026-02-28").code == 0
    after = {night.name: (night / "risks.parquet").stat().st_mtime_ns for night in nights.iterdir()}
    assert set(after) == {"2026-02-26", "2026-02-27", "2026-02-28"}
    assert before.items() <= after.items()
    assert written(fleet, "nights").height == 3


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-03-01", "2026-02-26", "--from 2026-03-01 lies after --to 2026-02-26; swap them"),
        ("2026-02-20", "2026-02-99", "--to '2026-02-99': not a date"),
        ("2025-12-01", "2025-12-03", "calendar.first_night"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_one_line(fleet, first, last, said):
    done = replay(fleet, first=first, last=last)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_nights_without_data_are_left_out_and_a_policy_that_cannot_fire_is_said(fleet):
    fleet.config.write_text(
        fleet.config.read_text().replace("first_night: 2026-02-20", "first_night: 2025-12-01")
        + "tickets: {policy: {open_at: 1.0}}\n"
    )
    done = replay(fleet, first="2025-12-01", last="2025-12-03")
    assert done.code == 2
    assert "hold no sample of a time before --to" in done.err
    done = replay(fleet, first="2026-01-24", last="2026-01-31")
    assert done.code == 0, done.err
    assert "nights of the range have no data and were left out" in done.words
    assert "open_at is 1, but no night said more than" in done.words


def test_a_policy_that_waits_longer_than_the_range_and_series_that_were_lost_are_said_and_the_rest_is_done(fleet):
    fleet.config.write_text(fleet.config.read_text().replace("{mode: live}", "{policy: {hold_nights: 9}}"))
    lost = fleet.folder / "metrics" / "calm-3.csv"
    hours = pl.read_csv(lost)
    hours.filter(pl.col("ts") < "2026-02-26").write_csv(lost)
    done = replay(fleet)
    assert done.code == 0, done.err
    never = "hold_nights is 9, but 5 nights were played: no ticket can open; lower it, or play more nights"
    gone = "1 series was not measured any more after the night of 2026-02-26 or later: calm-3 mem; what came of them"
    assert never in done.words and gone in done.words
    summary = json.loads((fleet.folder / "out" / "summary.json").read_text())
    assert [part in note for part, note in zip((never, gone), summary["notes"], strict=True)] == [True, True]
    assert summary["tickets"] == 0 and summary["nights"] == len(NIGHTS)
    assert never in (fleet.folder / "out" / "replay.html").read_text()


def test_on_a_fresh_machine_the_sample_is_made_first(tmp_path, monkeypatch):
    monkeypatch.setenv("FOREWARN_HOME", str(tmp_path / "home"))
    night = date(2026, 4, 5)
    found = replaying.run(replaying.quicker(load(SAMPLE)), night, night, tmp_path / "out", console=Console(quiet=True))
    assert found.summary["nights"] == 1 and found.summary["series"] > 100
