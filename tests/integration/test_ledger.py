"""Night after night, what was promised is settled: a leak that comes true, a jump that nobody could foresee."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from small_fleet import AS_OF, Fleet, write_fleet

from pipelines.build import NIGHTLY, build_defs
from pipelines.settings import load

NIGHTS = [date(2026, 2, 25), date(2026, 2, 28), date(2026, 3, 2), date(2026, 3, 4)]  # the others were left out
CROSSED, JUMPED = datetime(2026, 3, 1), AS_OF + timedelta(hours=12)
LEDGER = ("forecasting.settlements", "reports.ticket_outcomes", "reports.misses")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Fleet:
    """A fleet whose leak reaches its limit on 1 March, and one whose level jumps on the 2nd, after four nights."""
    fleet = write_fleet(tmp_path_factory.mktemp("ledger") / "site")
    limit = 84 + 0.1 * (CROSSED - AS_OF) / timedelta(hours=1)
    fleet.config.write_text(fleet.config.read_text().replace("value: 90", f"value: {limit:g}"))
    jump(fleet.folder / "metrics" / "jump.csv", fleet.folder / "metrics" / "calm-0.csv")
    for night in NIGHTS[:-1]:
        run(fleet, night)
    ((ticket_id,),) = rows(fleet, "SELECT DISTINCT ticket_id FROM reports.ticket_events")
    answer = f'ticket_id,useful,by,note\n{ticket_id},yes,lea,"\'=SUM(A1) <i>saved</i> the weekend"\n'
    (fleet.run / "feedback.csv").write_text(answer)
    run(fleet, NIGHTS[-1])
    return fleet


def jump(path: Path, like: Path) -> None:
    hours = pl.read_csv(like).with_columns(pl.lit("jump").alias("entity"))
    after = pl.col("ts") >= f"{JUMPED.isoformat()}+00:00"
    hours.with_columns(value=pl.when(after).then(97.0).otherwise("value")).write_csv(path)


def run(fleet: Fleet, night: date) -> None:
    job = build_defs(load(fleet.config)).resolve_job_def(NIGHTLY)
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(partition_key=night.isoformat(), instance=instance, run_config=QUIET).success


def rows(fleet: Fleet, query: str) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        return con.sql(query).fetchall()


def test_risks_are_settled_when_their_horizon_is_over_and_only_once(ledger: Fleet):
    settled = rows(
        ledger,
        "SELECT as_of, horizon_h, entity, outcome, crossed_at, settled_as_of FROM forecasting.settlements"
        " JOIN raw.series USING (series_id)",
    )
    assert len({row[:3] for row in settled}) == len(settled)
    nights = [datetime.combine(night, datetime.min.time()) for night in NIGHTS]
    for as_of, horizon_h, entity, outcome, crossed_at, settled_as_of in settled:
        ends = as_of + timedelta(hours=horizon_h + 2)  # two more hours confirm a crossing in the last one
        assert settled_as_of == next(night for night in nights if night >= ends)
        came = {"leaky": CROSSED, "jump": JUMPED}.get(entity, datetime.max)
        if abs(came - as_of - timedelta(hours=horizon_h)) > timedelta(hours=6):  # else noise decides
            assert outcome == str(came < as_of + timedelta(hours=horizon_h)).lower()
            assert outcome == "false" or abs(crossed_at - came) <= timedelta(hours=6)
    due = "SELECT count(*) FROM forecasting.risks WHERE state = 'scored' AND as_of + to_hours(horizon_h + 2) <= $1"
    with duckdb.connect(ledger.run / "warehouse.duckdb", read_only=True) as con:
        assert con.execute(due, [nights[-1]]).fetchall() == [(len(settled),)]


def test_the_leaks_ticket_came_true_and_the_jump_was_missed(ledger: Fleet):
    ((entity, opened, outcome, lead, crossed_at, settled_as_of),) = rows(
        ledger,
        "SELECT entity, opened_as_of, outcome, lead_hours, crossed_at, settled_as_of"
        " FROM reports.ticket_outcomes JOIN reports.tickets USING (ticket_id)",
    )
    assert (entity, outcome, settled_as_of) == ("leaky", "came_true", datetime(2026, 3, 2))
    assert abs(crossed_at - CROSSED) <= timedelta(hours=6)
    assert lead == (crossed_at - opened) / timedelta(hours=1) > 24
    missed = rows(ledger, "SELECT entity, crossed_at, reason, settled_as_of FROM reports.misses")
    assert missed == [("jump", JUMPED, "probability too low", datetime(2026, 3, 4))]


def test_the_page_says_what_came_of_it(ledger: Fleet):
    page = (ledger.run / "reports" / NIGHTS[-1].isoformat() / "digest.html").read_text()
    assert "Of 1 ticket that settled in the last 90 days, 1 came true" in page
    assert "1 crossing came that no ticket foresaw" in page and "Settled tonight" not in page
    assert "Settled tonight" in (ledger.run / "reports" / NIGHTS[-2].isoformat() / "digest.html").read_text()


def test_what_a_reader_said_stands_beside_what_became_of_the_ticket(ledger: Fleet):
    page = (ledger.run / "reports" / NIGHTS[-1].isoformat() / "digest.html").read_text()
    said = page[page.index("What readers say") :]
    assert said.index("came true") < said.index("Useful? 1 yes: “=SUM(A1) &lt;i&gt;saved&lt;/i&gt; the weekend”")
    assert "Readers spoke of all of them, and found 1 useful." in page
    assert (ledger.run / "reports" / NIGHTS[-1].isoformat() / "kept.png").exists()
    assert "What past nights answered, and what came" in page


def test_the_night_counts_what_it_settled_and_what_was_said_of_it(ledger: Fleet):
    ((counts,),) = rows(ledger, "SELECT counts FROM main.runs ORDER BY as_of DESC LIMIT 1")
    told = json.loads(counts)
    assert told["ledger"]["missed"] == 1 and told["feedback"] == {"useful_and_came_true": 1}


def test_a_night_that_is_run_again_settles_the_same(ledger: Fleet):
    before = {table: rows(ledger, f"FROM {table} ORDER BY ALL") for table in LEDGER}
    run(ledger, NIGHTS[-2])
    assert {table: rows(ledger, f"FROM {table} ORDER BY ALL") for table in LEDGER} == before


def test_a_night_that_was_left_out_and_comes_late_settles_in_the_later_ones_place(ledger: Fleet):
    run(ledger, date(2026, 3, 3))
    assert rows(ledger, "SELECT entity, settled_as_of FROM reports.misses") == [("jump", datetime(2026, 3, 3))]
    keys = "as_of, series_id, limit_name, horizon_h"
    assert not rows(ledger, f"SELECT {keys} FROM forecasting.settlements GROUP BY ALL HAVING count(*) > 1")
    run(ledger, NIGHTS[-1])
    assert rows(ledger, "SELECT entity, settled_as_of FROM reports.misses") == [("jump", datetime(2026, 3, 3))]
    assert rows(ledger, "SELECT count(*) FROM reports.ticket_outcomes") == [(1,)]


def test_a_warehouse_from_before_the_ledger_settles_what_it_holds(ledger: Fleet):
    with duckdb.connect(ledger.run / "warehouse.duckdb") as con:
        before = {table: con.sql(f"SELECT count(*) FROM {table}").fetchall() for table in LEDGER[:2]}
        for table in LEDGER:
            con.execute(f"DELETE FROM {table}")
    run(ledger, NIGHTS[-1])
    assert {table: rows(ledger, f"SELECT count(*) FROM {table}") for table in LEDGER[:2]} == before
    came = (
        "SELECT outcome, count(*), median(lead_hours) > 24 FROM reports.ticket_outcomes"
        " JOIN reports.ticket_events USING (ticket_id) WHERE event = 'opened' GROUP BY ALL"
    )
    assert rows(ledger, came) == [("came_true", 1, True)]
