"""What ``forewarn check`` says of presets that nobody asked for, before a server that answers as a test says."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from fake_promql import TOKEN, FakePromQL, FakeSeries
from loopback import Answer, Asked, loopback

from data.presets import all_presets, load_presets
from features.signals import Signal
from pipelines.settings import parse
from pipelines.source_options import Prometheus
from pipelines.sources.prometheus.client import Client
from pipelines.sources.prometheus.surveying import surveyed


def answering(series: Mapping[str, int], refuse: Callable[[str], int | None]) -> Callable[[Asked], Answer]:
    """A server with so many series of these metrics."""

    def answer(asked: Asked) -> Answer:
        query = parse_qs(asked.body.decode("latin-1")).get("query", [""])[0]
        if status := refuse(query):
            return Answer(b'{"status": "error", "error": "no"}', status)
        count = next((count for metric, count in series.items() if metric in query), 0)
        result = [{"metric": {}, "values": [[0, str(count)]]}] if count else []
        return Answer(json.dumps({"status": "success", "data": {"result": result}}).encode())

    return answer


def told(tmp_path, answer: Callable[[Asked], Answer], *presets: str) -> list[str]:
    with loopback(answer) as server:
        options = {"name": "p", "type": "prometheus", "url": server.url, "fast_path": False}
        source = Prometheus.model_validate(options | {"access": {"attempts": 1}})
        with Client(source.url, source.access, parse("", tmp_path)) as client:
            every = list(all_presets().values())
            found = list(surveyed(client, source, load_presets(presets), datetime(2026, 3, 1), every))
        return [f"{each.level}: {each.text}".replace(server.url, "URL") for each in found]


HERE = {"node_load15": 3, "redis_memory_used_bytes": 1200, "node_filefd": 4}
LOAD = "presets with series here that are not asked for: host.load_average (3)"


def test_presets_with_series_that_are_not_asked_for_are_named_in_one_line(tmp_path):
    found = told(tmp_path, answering(HERE, lambda query: None), "host.file_handles")
    assert "ok: signal host.file_handles: 4 series" in found
    assert found[-1] == (
        "note: presets with series here that are not asked for: database.redis_memory (1,200), host.load_average (3);"
        " add them to signals.presets"
    )


def test_without_a_signal_it_still_says_what_there_is(tmp_path):
    found = told(tmp_path, answering({"node_load15": 3}, lambda query: None))
    assert found[-2].startswith("fault: no signal has a query") and found[-1].startswith(f"note: {LOAD}; add them")


def test_where_all_is_asked_for_that_is_said(tmp_path):
    found = told(tmp_path, answering({"node_load15": 3}, lambda query: None), "host.load_average")
    assert found[-1] == "ok: no preset has series here that is not asked for"


@pytest.mark.parametrize("status", [400, 422])
def test_presets_whose_queries_are_refused_are_counted(tmp_path, status):
    refused = answering({"node_load15": 3}, lambda query: status if "redis" in query or "mysql" in query else None)
    assert told(tmp_path, refused, "host.file_handles")[-1] == (
        f"note: {LOAD}; add them to signals.presets; 2 could not be counted, for the server refuses their queries"
    )


def test_another_failure_is_said_once(tmp_path):
    failing = answering({"node_cpu": 3}, lambda query: 500 if "node_load15" in query or "snmp" in query else None)
    said = told(tmp_path, failing, "host.file_handles")
    assert [line.partition(": URL: answers")[0] for line in said[-2:]] == [
        "note: presets that are not asked for: not all could be counted",
        "note: presets with series here that are not asked for: host.cpu (3); add them to signals.presets",
    ]


def test_nothing_is_concluded_from_what_could_not_be_counted(tmp_path):
    said = told(tmp_path, answering({}, lambda query: 500 if "redis" in query else None), "host.file_handles")
    assert "not all could be counted" in said[-1] and not any("no preset" in line for line in said)


def test_an_expired_token_is_a_fault(tmp_path):
    found = told(tmp_path, answering({}, lambda query: 401 if "redis" in query else None), "host.file_handles")
    assert found[-1].startswith("fault: URL: answers 401")


def test_a_series_that_is_measured_once_in_six_hours_is_there(tmp_path):
    signal = Signal.model_validate(
        {"name": "disk", "metric": "disk", "limits": [{"name": "full", "value": 1}], "query": {"usage": "disk"}}
    )
    at = round(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp() * 1000)
    with loopback(FakePromQL([FakeSeries({"__name__": "disk", "instance": "a:1"}, {at: 0.5})])) as server:
        options = {"name": "p", "type": "prometheus", "url": server.url, "access": {"bearer": TOKEN, "attempts": 1}}
        source = Prometheus.model_validate(options)
        with Client(source.url, source.access, parse("", tmp_path)) as client:
            found = [each.text for each in surveyed(client, source, [signal], datetime(2026, 3, 1), [])]
    assert "signal disk: 1 series" in found
