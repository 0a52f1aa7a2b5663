"""Thirty nights, one by one: the ledger that they leave is settled, right, and what a replay of them says.

The nights are the job itself. All but the last leave out what only people look at (pages, ticket files, the readers'
copy), and none learns from the fleet's past: that costs as much as the rest, and the ledger is made of neither.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from pipelines.build import NIGHTLY, build_defs
from pipelines.replay import run as replaying
from pipelines.replay.findings import Findings
from pipelines.replay.past import Past
from pipelines.replay.policy import Said
from pipelines.settings import Settings, cut, load
from pipelines.site import Site

FIRST = datetime(2026, 2, 1)
NIGHTS = [FIRST.date() + timedelta(days=day) for day in range(30)]
LAST = FIRST + timedelta(days=29)
DAY = 24
SETTINGS = """
sources: {metrics: [{name: fleet, paths: [metrics.parquet]}]}
signals:
  own: [{name: memory, metric: mem, unit: percent, minimum: 0, maximum: 100, limits: [{name: critical, value: 90}]}]
services: [{name: shop, entities: ["*"]}]
calendar: {first_night: 2026-02-01, as_of: 2026-03-02}
storage: {root: run}
forecasting: {prophet_series: 0, workers: 1, learning_days: 0}
tickets: {policy: {open_at: 0.55}}
"""
FOR_READERS = {("reports", "digest"), ("reports", "tickets"), ("main", "snapshot")}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
WORKED = FIRST + timedelta(days=15.5)


def leak(due: float) -> Callable[[np.ndarray], np.ndarray]:
    """Four percent a day towards the limit, reached on day `due`."""
    return lambda day: 90 + 4 * (day - due)


def until(day_: float, course: Callable[[np.ndarray], np.ndarray], then: float | None) -> Callable:
    """A course that ends on a day: the level from then on, None for where it stood."""
    return lambda day: np.where(day < day_, course(day), course(np.array(day_)) if then is None else then)


COURSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "crossed": until(11, leak(9), 40.0),
    "mended": until(13.4, leak(15), 40.0),
    "held": until(14.5, leak(17), None),
    "worked": until(15.6, leak(18), None),
    "gone": until(20.0, leak(22), np.nan),
    "jump": lambda day: np.where(day < 20, 45.0, 97.0),
    "late": leak(27.5),
    **{f"calm-{n}": (lambda day, n=n: 40 + n + 3 * np.sin(2 * np.pi * day)) for n in range(3)},
}  # fmt: skip
BECAME = {"crossed": "came_true", "mended": "averted", "held": "false_alarm", "worked": "averted", "gone": "unknown",
          "late": "came_true"}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("thirty")
    (folder / "forewarn.yaml").write_text(SETTINGS)
    write(folder / "metrics.parquet")
    settings = load(folder / "forewarn.yaml")
    job = build_defs(settings).resolve_job_def(NIGHTLY)
    every = job.asset_layer.selected_asset_keys
    with dg.DagsterInstance.ephemeral() as instance:
        for night in NIGHTS:
            wanted = [key for key in every if night == NIGHTS[-1] or tuple(key.path) not in FOR_READERS]
            if night == WORKED.date() + timedelta(days=1):
                say_that_it_was_worked(settings)
            assert job.execute_in_process(
                partition_key=night.isoformat(), instance=instance, run_config=QUIET, asset_selection=wanted
            ).success
    return settings


def write(path: Path) -> None:
    """Three weeks of history, the nights, and nothing after them."""
    rng = np.random.default_rng(11)
    day = np.arange(-21 * DAY, 29 * DAY) / DAY
    ts = [FIRST + timedelta(days=float(at)) for at in day]
    frames = []
    for entity, course in COURSES.items():
        values = np.clip(np.maximum(course(day), 38.0) + rng.normal(0, 0.2, len(day)), 0, 100)
        own = pl.DataFrame({"entity": entity, "metric": "mem", "ts": ts, "value": values, "source": "prod"})
        frames.append(own.filter(pl.col("value").is_not_nan()))
    pl.concat(frames).with_columns(pl.col("ts").dt.replace_time_zone("UTC"), unit=pl.lit("percent")).write_parquet(path)


def say_that_it_was_worked(settings: Settings) -> None:
    ((ticket_id,),) = rows(settings, "SELECT DISTINCT ticket_id FROM reports.ticket_events WHERE entity = 'worked'")
    line = f"{ticket_id},yes,lea,{WORKED.isoformat()}Z,freed some\n"
    settings.feedback_file.write_text(f"ticket_id,useful,by,worked_at,note\n{line}")


def rows(settings: Settings, query: str, *values: object) -> list[tuple]:
    with Site(settings).warehouse.reader() as con:
        return con.execute(query, values).fetchall()


def frame(settings: Settings, query: str) -> pl.DataFrame:
    with Site(settings).warehouse.reader() as con:
        return con.sql(query).pl()


@pytest.fixture(scope="module")
def replayed(site: Settings) -> Findings:
    """The same nights played again, from the files and the site's own snapshot."""
    out = site.folder / "replay"
    replaying.run(site, NIGHTS[0], NIGHTS[-1], out, console=Console(quiet=True))
    nights = [Said(cut(night, site.zone), out / replaying.WORK / "nights" / night.isoformat()) for night in NIGHTS]
    return Findings.of(site, Past(out / replaying.WORK / "past"), nights)


def test_every_risk_that_came_due_is_settled_once_and_none_before_its_time(site: Settings):
    due = "state = 'scored' AND as_of + to_hours(horizon_h + 2) <= ?"
    asked = rows(site, f"SELECT as_of, series_id, horizon_h FROM forecasting.risks WHERE {due} ORDER BY ALL", LAST)
    settled = rows(site, "SELECT as_of, series_id, horizon_h FROM forecasting.settlements ORDER BY ALL")
    assert settled == asked and len(settled) > 600
    late = "SELECT count(*) FROM forecasting.settlements WHERE settled_as_of > as_of + to_hours(horizon_h + 2 + 24)"
    assert rows(site, late) == [(0,)]
    unknown = "SELECT DISTINCT entity FROM forecasting.settlements JOIN raw.series USING (series_id)"
    assert rows(site, f"{unknown} WHERE outcome = 'unknown'") == [("gone",)]


def test_every_ticket_is_judged_as_it_was_drawn(site: Settings):
    judged = rows(
        site,
        "SELECT entity, outcome, why FROM reports.ticket_events LEFT JOIN reports.ticket_outcomes USING (ticket_id)"
        " WHERE event = 'opened' ORDER BY ALL",
    )
    assert {entity: outcome for entity, outcome, _ in judged} == BECAME and len(judged) == len(BECAME)
    why = {entity: said for entity, _, said in judged}
    assert "was reset" in why["mended"] and "was worked" in why["worked"] and "only" in why["gone"]


def test_what_nobody_foresaw_is_missed_with_its_reason(site: Settings):
    missed = rows(site, "SELECT entity, crossed_at, reason FROM reports.misses")
    assert missed == [("jump", FIRST + timedelta(days=20), "probability too low")]


def test_the_last_page_tells_all_of_it(site: Settings):
    page = (site.root / "reports" / NIGHTS[-1].isoformat() / "digest.html").read_text()
    for told in (
        "Of 5 tickets that settled in the last 90 days, 2 came true, 2 were averted and 1 was a false alarm",
        "Of 1 more it cannot be known", "1 crossing came that no ticket foresaw",
        "Readers spoke of 1 of them, and found 1 useful", "Useful? 1 yes: “freed some”",
        "What past nights answered, and what came", "by shape, signal, service, model",
    ):  # fmt: skip
        assert told in page


def test_a_replay_of_the_nights_says_the_same_wherever_both_can_say(site: Settings, replayed: Findings):
    tickets = replayed.under(replayed.policy)
    told = ["ticket_id", "outcome", "crossed_at", "lead_hours"]
    ledger = frame(site, f"SELECT {', '.join(told)} FROM reports.ticket_outcomes ORDER BY ticket_id")
    assert tickets.tickets.select(told).sort("ticket_id").rows() == ledger.rows()
    assert tickets.tickets.filter(entity="worked")["outcome"].to_list() == ["averted"]
    written = pl.read_parquet(site.folder / "replay" / "tickets.parquet").filter(entity="worked")
    assert written.select("useful", "useless", "note").rows() == [(1, 0, "freed some")]
    missed = frame(site, "SELECT series_id, limit_name, crossed_at, reason FROM reports.misses")
    assert tickets.missed.select(missed.columns).rows() == missed.rows()

    keys = ["as_of", "series_id", "limit_name", "horizon_h"]
    settled = [*keys, "p", "outcome", "crossed_at"]
    kept = frame(site, f"SELECT {', '.join(settled)} FROM forecasting.settlements")
    again = replayed.settled().select(settled).join(kept.select(keys), on=keys, how="semi")
    assert again.sort(keys).rows() == kept.sort(keys).rows()
