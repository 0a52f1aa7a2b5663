"""Who is told of a ticket, and by which record a service is published."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.ledger import WarehouseLedger
from pipelines.piloting import proves, record_replay, service_modes
from pipelines.settings import SHADOW, Settings, SettingsError, parse
from pipelines.site import Night, Site
from pipelines.ticketing import pending, trackers
from pipelines.trackers.publish import publish
from reports.pilot import Record
from reports.ticket_events import EVENTS
from reports.ticket_outcomes import OUTCOMES

NIGHT = datetime(2026, 3, 1)
SETTINGS = """
tickets: {mode: pilot, publish_when: {precision: 0.8, tickets_per_week: 5, settled: 4}}
services:
  - {name: shop, entities: [shop-*]}
  - {name: mail, entities: [mail-*], mode: shadow}
  - {name: web, entities: [web-*], mode: live}
"""


@pytest.fixture
def night(tmp_path: Path) -> Night:
    site = Site(parse(SETTINGS, tmp_path))
    site.warehouse.migrate()
    night = Night(site, date(2026, 3, 1), "run", NIGHT)
    stage(night)
    return night


def stage(night: Night, *events: dict) -> None:
    """What tonight decided, and no outcome."""
    night.frames.write("reports.ticket_events", pl.DataFrame(list(events), schema=EVENTS))
    nothing = pl.DataFrame(schema=OUTCOMES | {"settled_as_of": pl.Datetime("us")})
    night.frames.write("reports.ticket_outcomes", nothing)


def event(n: int, service: str | None, event: str = "opened", as_of: datetime = NIGHT) -> dict:
    numbers = {"event_no": 1 if event == "opened" else 2, "series_id": n, "limit_value": 90.0, "level": 80.0,
               "horizon_h": 168, "probability": 0.9, "others": 0}  # fmt: skip
    words = {name: "x" for name, dtype in EVENTS.items() if dtype == pl.String}
    told = {
        "ticket_id": f"{n:010x}-20260220",
        "fingerprint": f"{n:010x}",
        "as_of": as_of,
        "event": event,
        "facts": "[]",
    }
    reason = "risk gone" if event == "resolved" else "likely"
    return words | numbers | dict.fromkeys(("eta_p10", "eta_p50", "eta_p90")) | told | {
        "service": service, "reason": reason, "direction": "up"}  # fmt: skip


def store(night: Night, table: str, frame: pl.DataFrame) -> None:
    with night.warehouse.writer() as con:
        con.register("told", frame.to_arrow())
        con.execute(f"INSERT INTO {table} BY NAME FROM told")


def ledger(night: Night, service: str, outcomes: list[str], nights: int = 30) -> None:
    """A service's settled tickets, and the nights that they were opened on."""
    first = NIGHT - timedelta(days=nights)
    rows = [event(n, service, as_of=first) for n in range(len(outcomes))]
    store(night, "reports.ticket_events", pl.DataFrame(rows, schema=EVENTS))
    judged = {"ticket_id": [row["ticket_id"] for row in rows], "outcome": outcomes, "why": ["w"] * len(rows)}
    settled_on = [NIGHT - timedelta(days=1)] * len(rows)
    store(night, "reports.ticket_outcomes", pl.DataFrame(judged | {"settled_as_of": settled_on}))
    ran = [first + timedelta(days=day) for day in range(nights)]
    same = {"status": ["done"] * nights, "versions": ["{}"] * nights, "counts": ["{}"] * nights}
    runs = {"run_id": [f"r{day}" for day in range(nights)], "as_of": ran, "started_at": ran}
    store(night, "main.runs", pl.DataFrame(runs | same))


def published(night: Night) -> dict[str | None, bool]:
    return dict(service_modes(night).select("service", "published").iter_rows())


def proof(settings: Settings, **found: Record) -> None:
    record_replay(settings, {**found}, NIGHT - timedelta(days=60), NIGHT - timedelta(days=8), 52)


# ----------------------------------------------------------------------------------------------------------- records


def test_without_a_record_only_what_is_live_is_published(night: Night):
    assert published(night) == {"shop": False, "mail": False, "web": True, None: False}


def test_a_replay_switches_a_pilot_on_and_the_ledger_off_again(night: Night):
    proof(night.settings, shop=Record(52, 9, 8, 8), mail=Record(52, 9, 8, 8))
    assert published(night) == {"shop": True, "mail": False, "web": True, None: False}
    store(night, "reports.service_modes", service_modes(night).with_columns(as_of=pl.lit(NIGHT - timedelta(days=1))))
    assert not service_modes(night)["changed"].any()
    ledger(night, "shop", ["came_true", "false_alarm", "false_alarm", "false_alarm", "unknown"])
    (row,) = service_modes(night).filter(pl.col("changed")).iter_rows(named=True)
    assert (row["service"], row["published"], row["record"]) == ("shop", False, "ledger")
    assert (row["nights"], row["tickets"], row["settled"], row["kept"]) == (31, 5, 4, 1)


def test_a_ledger_that_meets_the_bar_needs_no_replay(night: Night):
    ledger(night, "shop", ["came_true", "averted", "came_true", "came_true"])
    assert published(night)["shop"]


def test_what_was_settled_later_is_not_known_yet(night: Night):
    ledger(night, "shop", ["came_true"] * 4)
    with night.warehouse.writer() as con:
        con.execute("UPDATE reports.ticket_outcomes SET settled_as_of = $later", {"later": NIGHT + timedelta(days=1)})
    assert not published(night)["shop"]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("policy: {open_at: 0.6}", "policy: {open_at: 0.8}"),
        ("policy: {open_at: 0.7}", "policy: {hold_nights: 2}"),
    ],
)
def test_a_replay_of_another_policy_proves_nothing(tmp_path: Path, then: str, now: str):
    both = [parse(SETTINGS.replace("mode: pilot,", f"mode: pilot, {policy},"), tmp_path) for policy in (then, now)]
    assert proves(both[0]) != proves(both[1])
    quick = parse(SETTINGS + "forecasting: {prophet_series: 0, workers: 1}", tmp_path)
    assert proves(quick) == proves(parse(SETTINGS, tmp_path))
    night = Night(Site(both[1]), date(2026, 3, 1), "run", NIGHT)
    night.warehouse.migrate()
    stage(night)
    proof(both[0], shop=Record(52, 9, 8, 8))
    assert not published(night)["shop"]
    proof(both[1], shop=Record(52, 9, 8, 8))
    assert published(night)["shop"]


def test_an_old_replay_and_one_of_later_nights_do_not_count(night: Night):
    good: dict[str | None, Record] = {"shop": Record(52, 9, 8, 8)}
    record_replay(night.settings, good, NIGHT - timedelta(days=200), NIGHT - timedelta(days=91), 109)
    record_replay(night.settings, good, NIGHT, NIGHT + timedelta(days=30), 30)
    assert not published(night)["shop"]


# ---------------------------------------------------------------------------------------------------------- audience


def bring(night: Night, *events: dict) -> dict[str, set[int]]:
    """Publish what is pending once these events are in the warehouse: tracker -> series that it was told of."""
    store(night, "reports.ticket_events", pl.DataFrame(list(events), schema=EVENTS))
    receivers = trackers(night.settings)
    with night.warehouse.autocommit() as con:
        todo = pending(con, night.settings, [tracker.name for tracker in receivers])
        for tracker in receivers:
            publish(todo[tracker.name], tracker, WarehouseLedger(con))
    return {name: {int(one.document.fingerprint, 16) for one in events} for name, events in todo.items()}


def switch(night: Night, as_of: datetime, *services: str) -> None:
    rows = service_modes(night).with_columns(
        as_of=pl.lit(as_of), published=pl.col("service").is_in(services).fill_null(value=False)
    )
    store(night, "reports.service_modes", rows)


def test_in_shadow_tickets_are_written_aside(night: Night):
    switch(night, NIGHT, "web")
    told = bring(night, event(1, "shop"), event(2, "web"), event(3, None), event(4, "gone from the settings"))
    assert told == {"outbox": {2}, SHADOW: {1, 3, 4}}
    found = {folder.name: len(list(folder.glob("*.md"))) for folder in (night.settings.root / "tickets",
                                                                        night.settings.shadow_folder)}  # fmt: skip
    assert found == {"tickets": 1, "shadow": 3}


def test_a_service_that_is_switched_on_brings_what_is_open_and_nothing_that_is_over(night: Night):
    switch(night, NIGHT, "web")
    bring(night, event(1, "shop"), event(2, "shop"))
    later = NIGHT + timedelta(days=1)
    switch(night, later, "web", "shop")
    assert bring(night, event(2, "shop", "resolved", later)) == {"outbox": {1}, SHADOW: {2}}


def test_a_service_that_is_switched_off_is_told_to_the_end_of_what_it_was_told_of(night: Night):
    switch(night, NIGHT, "shop")
    assert bring(night, event(1, "shop")) == {"outbox": {1}, SHADOW: set()}
    later = NIGHT + timedelta(days=1)
    switch(night, later)
    assert bring(night, event(1, "shop", "resolved", later), event(2, "shop", as_of=later)) == {
        "outbox": {1}, SHADOW: {2}}  # fmt: skip
    assert "Resolved" in (night.settings.root / "tickets" / "0000000001-20260220.md").read_text()


def test_no_tracker_may_have_the_name_of_the_shadow(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"tickets: a tracker is called 'shadow'.*another name"):
        parse("tickets: {trackers: [{name: shadow}]}", tmp_path)
