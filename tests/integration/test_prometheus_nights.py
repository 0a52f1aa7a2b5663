"""Whole nights whose metrics come from real servers."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import numpy as np
import polars as pl
import pytest
from metric_servers import Reply, Samples, node_exporter, post, prometheus, proxy, victoria_metrics
from small_fleet import AS_OF, Fleet

from pipelines import sources
from pipelines.settings import parse
from pipelines.sources.metric_staging import StagedMetrics
from pipelines.sources.prometheus import fetching

DAYS = 20
SETTINGS = """
sources:
  metrics:
    - {{name: prod, type: prometheus, url: "{url}", history_days: {days}, access: {{attempts: 2}}}}
signals:
  own:
    - name: memory
      metric: memory_used_percent
      title: memory in use
      unit: percent
      identity: [job]
      minimum: 0
      maximum: 100
      limits: [{{name: critical, value: 90}}]
      query: {{usage: "avg_over_time(memory_used_percent[$step])"}}
    - name: disk
      metric: disk_used_bytes
      unit: bytes
      identity: [device]
      limits: [{{name: size, metric: disk_size_bytes, share: 0.95, query: disk_size_bytes}}]
      query: {{usage: "avg_over_time(disk_size_bytes[$step]) - avg_over_time(disk_free_bytes[$step])"}}
services:
  - {{name: shop, entities: [leaky, calm-*], owner: team-shop, tier: 1}}
calendar: {{first_night: 2026-02-20, as_of: 2026-03-02}}
storage: {{root: run}}
forecasting: {{prophet_series: 0, workers: 1}}
tickets: {{mode: live}}
"""


def history() -> Samples:
    """Three weeks, every five minutes, of a host that leaks and of some that do not; a disk with its size."""
    rng = np.random.default_rng(7)
    ends = int(AS_OF.replace(tzinfo=UTC).timestamp()) + 86_400
    at = np.arange(ends - (DAYS + 1) * 86_400, ends, 300)
    days = (at - (ends - 86_400)) / 86_400
    levels = {"leaky": 84 + 2.4 * days} | {f"calm-{n}": 40 + n + 3 * np.sin(days * 2 * np.pi) for n in range(4)}
    found = {}
    for host, level in levels.items():
        values = np.round(np.minimum(level + rng.normal(0, 0.2, len(at)), 100), 3)
        found[f'memory_used_percent{{instance="{host}:9100",job="node"}}'] = list(
            zip(at.tolist(), values.tolist(), strict=True)
        )
    for host in ("leaky", "calm-0"):
        labels = f'{{device="sda",instance="{host}:9100"}}'
        found[f"disk_size_bytes{labels}"] = [(second, 1e11) for second in at.tolist()]
        free = np.round(6e10 + 1e9 * rng.normal(0, 0.2, len(at)))
        found[f"disk_free_bytes{labels}"] = list(zip(at.tolist(), free.tolist(), strict=True))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Path:
    """A folder with a Prometheus' data."""
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, history()):
        return folder


def site(folder: Path, url: str) -> Fleet:
    folder.mkdir()
    (folder / "forewarn.yaml").write_text(SETTINGS.format(url=url, days=DAYS))
    return Fleet(folder)


def rows(fleet: Fleet, query: str) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        return con.sql(query).fetchall()


def test_a_leak_in_prometheus_becomes_a_ticket_and_a_hole_is_filled_later(server: Path, tmp_path: Path):
    with prometheus(server) as url, proxy(url) as through:
        whole = site(tmp_path / "whole", through.url)
        done = whole.nightly()
        assert done.code == 0, done.err + done.out
        tickets = [json.loads(line) for line in (whole.run / "tickets" / "tickets.jsonl").read_text().splitlines()]
        assert [(ticket["entity"], ticket["signal"]) for ticket in tickets] == [("leaky", "memory")]
        assert rows(whole, "SELECT max(ts) < TIMESTAMP '2026-03-02', count(*) FROM raw.samples") == [
            (True, (5 + 2 + 2) * DAYS * 288)
        ]
        assert rows(whole, "SELECT DISTINCT entity, labels FROM raw.series WHERE entity = 'leaky' ORDER BY ALL") == [
            ("leaky", '{"device":"sda"}'),
            ("leaky", '{"job":"node"}'),
        ]
        assert rows(whole, "SELECT bool_and(complete), count(*) FROM raw.fetched") == [(True, 3 * DAYS)]

        holed = site(tmp_path / "holed", through.url)
        through.fault = lambda asked: Reply(503, b"overloaded") if b"memory" in asked.body and asked.is_data else None
        done = holed.nightly()
        assert done.code == 1, done.out
        assert "not fetched: prod; all else is done" in done.err and done.err.count("\n") == 1
        assert "503" in done.words and "overloaded" in done.words
        assert rows(holed, "SELECT status FROM main.runs") == [("done",)]
        kept = rows(holed, "SELECT count(*) FROM raw.samples")[0][0]
        through.fault, through.asked[:] = lambda asked: None, []
        done = holed.nightly()
        assert done.code == 0, done.err
        assert 0 < kept < rows(holed, "SELECT count(*) FROM raw.samples")[0][0]
        assert _without_runs(holed) == _without_runs(whole)


def _without_runs(fleet: Fleet) -> dict[str, list[tuple]]:
    return {table: found for table, found in fleet.contents().items() if table != "main.runs"}


def test_the_readme_s_five_minutes_as_written(tmp_path: Path):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    written = readme.partition("## Your own Prometheus")[2].partition("```yaml\n")[2].partition("```")[0]
    ends = int(AS_OF.replace(tzinfo=UTC).timestamp())
    at = range(ends - 20 * 86_400, ends, 300)
    disk, host = '{device="/dev/sda1",instance="db:9100",mountpoint="/"}', '{instance="db:9100"}'
    samples = {
        f"node_filesystem_size_bytes{disk}": [(second, 1e11) for second in at],
        f"node_filesystem_avail_bytes{disk}": [(second, 8e9 + (ends - second) * 5e3) for second in at],
        f"node_filesystem_readonly{disk}": [(second, 0) for second in at],
        f"node_memory_MemAvailable_bytes{host}": [(second, 4e9 + second % 86_400 * 1e3) for second in at],
        f"node_memory_MemTotal_bytes{host}": [(second, 16e9) for second in at],
    }
    with prometheus(tmp_path / "prometheus", samples) as url:
        fleet = site(tmp_path / "site", url)
        assert "http://prometheus.example.com:9090" in written
        fleet.config.write_text(written.replace("http://prometheus.example.com:9090", url))
        checked = fleet.forewarn("check", "--config", str(fleet.config))
        assert "Prometheus 2." in checked.words and checked.code == 0
        done = fleet.nightly("--as-of", f"{AS_OF:%Y-%m-%d}")
    assert done.code == 0, done.err
    with duckdb.connect(fleet.folder / "forewarn-data" / "warehouse.duckdb", read_only=True) as con:
        risks = con.sql("SELECT DISTINCT signal, limit_name FROM forecasting.risks WHERE state = 'scored' ORDER BY ALL")
        assert risks.fetchall() == [("host.disk_free", "critical"), ("host.memory_used", "critical")]


def test_a_replay_says_what_it_could_not_fetch(server: Path, tmp_path: Path):
    nights = ["--from", "2026-03-01", "--to", "2026-03-01", "--quick", "--out", str(tmp_path / "out")]
    with prometheus(server) as url, proxy(url) as through:
        fleet = site(tmp_path / "site", through.url)
        through.fault = lambda asked: Reply(400, b"no such thing") if b"disk" in asked.body else None
        done = fleet.forewarn("replay", "--config", str(fleet.config), *nights)
    assert done.code == 0, done.err
    assert "not fetched: prod: " in done.words and "no such thing" in done.words
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["nights"] == 1
    assert not fleet.run.exists()


def test_victoria_metrics_gives_the_same_samples(server: Path, tmp_path: Path):
    with prometheus(server) as prom, victoria_metrics(tmp_path / "vm", history()) as vm:
        staged = {
            (name, fast): stage(tmp_path / f"{name}-{fast}", url, fast=fast)
            for name, url in (("prometheus", prom), ("vm", vm))
            for fast in (True, False)
        }
    samples = {key: pl.read_parquet(found.samples) for key, found in staged.items()}
    first = samples.pop(("prometheus", False))
    assert first.height == (5 + 2 + 2) * DAYS * 288
    for other in samples.values():
        assert other.select("series_id", "ts").equals(first.select("series_id", "ts"))
        assert ((other["value"] - first["value"]).abs() <= 1e-9 * first["value"].abs()).all()
    assert staged["prometheus", True].asked == {"answers_by_query": 1, "answers_by_remote_read": 2}
    assert staged["vm", True].asked == {"answers_by_query": 1, "answers_by_export": 2}


def stage(
    folder: Path, url: str, *, fast: bool = True, as_of: datetime = AS_OF, now: datetime = AS_OF + timedelta(hours=7),
    text: str = SETTINGS,
) -> StagedMetrics:  # fmt: skip
    """What a source gives, without a night around it."""
    settings = parse(text.format(url=url, days=DAYS), folder)
    (source,) = settings.sources.metrics
    source = source.model_copy(update={"fast_path": fast})
    with duckdb.connect() as con:
        return sources.stage_metrics(con, source, settings, settings.signals.all, as_of=as_of, now=now, folder=folder)


LIVE = """
sources: {{metrics: [{{name: here, type: prometheus, url: "{url}", history_days: 1, step_minutes: 1}}]}}
signals:
  own:
    - name: memory
      metric: memory_available_bytes
      unit: bytes
      direction: down
      limits: [{{name: floor, value: 1000000}}]
      query: {{usage: node_memory_MemAvailable_bytes}}
"""


def test_a_live_node_exporter_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Remote read holds stale markers and the server's external labels; what is staged does not."""
    monkeypatch.setattr(fetching, "MOST_RAW", 1e9)
    scraped = (
        "global: {{scrape_interval: 1s, external_labels: {{cluster: east}}}}\n"
        'scrape_configs: [{{job_name: node, static_configs: [{{targets: ["{target}"]}}]}}]\n'
    )
    with ExitStack() as stack:
        exporter = stack.enter_context(ExitStack())
        target = exporter.enter_context(node_exporter(tmp_path / "exporter"))
        config = scraped.format(target=target)
        url = stack.enter_context(prometheus(tmp_path / "prometheus", config=config))
        until(url, "count_over_time(node_memory_MemAvailable_bytes[1m]) >= 2")
        exporter.close()
        until(url, "up == 0")
        end = datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=1)
        staged = [stage(tmp_path / f"{fast}", url, fast=fast, as_of=end, now=end, text=LIVE) for fast in (True, False)]
    assert [found.asked for found in staged] == [{"answers_by_remote_read": 1}, {"answers_by_query": 1}]
    fast, plain = (pl.read_parquet(found.samples) for found in staged)
    assert fast.height and fast.select("series_id", "ts").equals(plain.select("series_id", "ts"))
    assert ((fast["value"] / plain["value"] - 1).abs() < 1e-9).all()
    series = pl.read_parquet(staged[0].series)
    assert series.select("entity", "labels").rows() == [("127.0.0.1", '{"job":"node"}')]
    assert not any(found.rejected for found in staged)


def until(url: str, condition: str, within_s: float = 20) -> None:
    """Wait until a query has an answer."""
    deadline = time.monotonic() + within_s
    while not json.loads(post(f"{url}/api/v1/query", urlencode({"query": condition}).encode()))["data"]["result"]:
        assert time.monotonic() < deadline, f"{condition} did not come true"
        time.sleep(0.1)
