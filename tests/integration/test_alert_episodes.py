"""Episodes of alerts from a real Prometheus: one that evaluates a rule while we wait, and one with weeks behind it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from metric_servers import free_port, needed, prometheus

from features.incidents import as_of_view, durations
from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import Alerts

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AS_OF = datetime(2026, 3, 1)


def stage(
    url: str, folder: Path, as_of: datetime, fetched: pl.DataFrame | None = None, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame, Any]:
    """Incidents by their beginning, events, and what was staged."""
    source = Alerts.model_validate({"name": "alerts", "type": "alerts", "url": url, "history_days": 20} | options)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        staged = sources.stage_incidents(
            con,
            source,
            parse("", folder),
            as_of=as_of,
            now=as_of,
            folder=folder / f"{as_of:%m%d-%H%M}",
            fetched=fetched,
        )
    incidents, events = pl.read_parquet(staged.incidents), pl.read_parquet(staged.incident_events)
    return incidents.sort("created_at", "incident_id"), events.sort("changed_at", "event_no"), staged


# --------------------------------------------------------------------------------------------------- one with a past


def seconds(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


def series(labels: str, began: datetime, fires: datetime, until: datetime) -> Iterator[tuple[str, list]]:
    """What an alert leaves behind that is pending until it fires, evaluated each minute."""
    for state, first, last in (("pending", began, fires), ("firing", fires, until)):
        points = [(at, 1.0) for at in range(seconds(first), seconds(last), 60)]
        yield f'ALERTS{{alertstate="{state}",{labels}}}', points
    points = [(at, float(seconds(began))) for at in range(seconds(began), seconds(until), 60)]
    yield f"ALERTS_FOR_STATE{{{labels}}}", points


def test_nights_over_a_past(tmp_path):
    disk = 'alertname="DiskFull",instance="db-1:9100",severity="critical",job="shop",team="db"'
    load = 'alertname="LoadHigh",instance="web-1:9100",severity="warning",job="shop"'
    pending = 'alertname="Pending",instance="web-2:9100"'
    watchdog = 'alertname="Watchdog",severity="none"'
    past: dict[str, list] = {}
    for labels, began, fires, until in (
        (disk, AS_OF - 10 * DAY, AS_OF - 10 * DAY + 5 * MINUTE, AS_OF - 9 * DAY),
        (disk, AS_OF - 5 * DAY, AS_OF - 5 * DAY + 5 * MINUTE, AS_OF + 6 * HOUR),
        (load, AS_OF - 3 * HOUR, AS_OF - 3 * HOUR + 2 * MINUTE, AS_OF - 2 * HOUR),
        (load, AS_OF - 2 * HOUR + 3 * MINUTE, AS_OF - 2 * HOUR + 5 * MINUTE, AS_OF - HOUR),
        (pending, AS_OF - DAY, AS_OF - DAY + HOUR, AS_OF - DAY + HOUR),
        (watchdog, AS_OF - 12 * DAY, AS_OF - 12 * DAY, AS_OF + DAY),
    ):
        for name, points in series(labels, began, fires, until):
            past[name] = [*past.get(name, []), *points]
    # Back-filled series have no marks of their ends; else the server looks back five minutes.
    with prometheus(tmp_path / "prometheus", past, options=["--query.lookback-delta=59s"]) as url:
        incidents, events, first = stage(url, tmp_path, AS_OF)
        later, later_events, second = stage(url, tmp_path, AS_OF + DAY, pl.read_parquet(first.fetched))
    assert not first.rejected and not second.rejected
    told = ("title", "entity", "severity", "service", "team", "created_at", "resolved_at", "resolved_basis", "state")
    assert incidents.select(told).rows() == [
        ("DiskFull", "db-1", "critical", "shop", "db", AS_OF - 10 * DAY, AS_OF - 9 * DAY, "inferred", "resolved"),
        ("DiskFull", "db-1", "critical", "shop", "db", AS_OF - 5 * DAY, None, None, "firing"),
        ("LoadHigh", "web-1", "warning", "shop", None, AS_OF - 3 * HOUR, AS_OF - HOUR, "inferred", "resolved"),
    ]
    assert later.select("created_at", "resolved_at").rows() == [(AS_OF - 5 * DAY, AS_OF + 6 * HOUR)]
    assert later["incident_id"][0] == incidents["incident_id"][1]
    both = pl.concat([incidents.head(1), later, incidents.tail(1)])
    happened = pl.concat([events, later_events]).unique(["incident_id", "event_no"])
    took = durations(as_of_view(both, happened, AS_OF + DAY), AS_OF + DAY)
    assert took["time_to_resolve_s"].to_list() == [86_400, 5.25 * 86_400, 2 * 3_600]
    assert took["reopen_count"].to_list() == [0, 0, 1], "it did not fire for six minutes, and was the same"
    with prometheus(tmp_path / "prometheus", options=["--query.lookback-delta=59s"]) as url:
        (line,) = sources.survey(Alerts(name="a", type="alerts", url=url), parse("", tmp_path))
    assert (line.level, line.text) == (
        "ok",
        f"{url}: alerts that fire now: 0; names of alerts that fired in the last day: 0",
    )


# ------------------------------------------------------------------------------------------------------- one at work

RULES = """
groups:
  - name: ours
    rules:
      - alert: TankEmpty
        expr: tank_level < 10
        for: 2s
        labels: {severity: critical, service: "{{ $labels.tank }}"}
"""


@dataclass
class Tank:
    """A target whose level a test sets."""

    level: int = 100
    address: str = ""


@contextmanager
def tank() -> Iterator[Tank]:
    found = Tank()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'tank_level{{tank="north"}} {found.level}\n'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.mark.skipif(sys.platform != "linux", reason="Prometheus comes from Debian's package")
def test_a_rule_at_work(tmp_path):
    """The server marks the ends of what it evaluates, and forgets, when it restarts, since when a condition holds."""
    needed("prometheus")
    folder, port = tmp_path / "prometheus", free_port()
    folder.mkdir()
    (folder / "rules.yml").write_text(RULES)
    with tank() as target:
        config = (
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
            f"scrape_configs: [{{job_name: tanks, static_configs: [{{targets: ['{target.address}']}}]}}]\n"
        )
        with prometheus(folder, port=port, config=config):
            time.sleep(3)
            emptied = utc_now()
            target.level = 5
            time.sleep(7)
            filled = utc_now()
            target.level = 50
            time.sleep(6)
            emptied_again = utc_now()
            target.level = 1
            time.sleep(7)
        with prometheus(folder, port=port, config=config) as url:
            time.sleep(7)
            close = partial(stage, url, history_days=1, step_seconds=1)
            apart, _, _ = close(tmp_path / "apart", utc_now(), join_minutes=0)
            joined, _, _ = close(tmp_path / "joined", utc_now(), join_minutes=5)
            line = next(iter(sources.survey(Alerts(name="a", type="alerts", url=url), parse("", tmp_path))))
    few = timedelta(seconds=3)
    assert emptied <= apart["created_at"][0] + few / 3 <= emptied + 2 * few
    assert filled <= apart["resolved_at"][0] + few / 3 <= filled + 2 * few
    assert emptied_again <= apart["created_at"][1] + few / 3 <= emptied_again + 2 * few
    assert apart.select("title", "service", "severity", "state").rows() == [
        ("TankEmpty", "north", "critical", "resolved"),
        ("TankEmpty", "north", "critical", "firing"),
    ]
    assert apart.height == 2, "the server's restart is not another incident"
    assert joined.select("created_at", "resolved_at").rows() == [(apart["created_at"][0], None)]
    assert line.text == f"{url}: alerts that fire now: 1; names of alerts that fired in the last day: 1"
