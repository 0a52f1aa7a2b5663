"""The fake is asked what the source asks, and so is a real server over the same samples."""

import math
from urllib.parse import urlencode

import httpx
import pytest
import real_victoria_metrics
from fake_promql import TOKEN, FakePromQL, FakeSeries
from loopback import Asked, loopback

MIDNIGHT = 1_772_236_800_000
MINUTE = 60_000
DAY = 1440 * MINUTE
SERIES = [
    FakeSeries(
        {"__name__": "disk", "entity": "a"},
        {
            MIDNIGHT: 1.5,
            MIDNIGHT + 1: -2.0,
            MIDNIGHT + 29_999: 0.25,
            MIDNIGHT + 30_000: 1e9,
            MIDNIGHT + MINUTE - 1: 7.0,
            MIDNIGHT + MINUTE: math.inf,
            MIDNIGHT + 5 * MINUTE: 0.0,
            MIDNIGHT + 61 * MINUTE + 7: -math.inf,  # far from the other one: their mean is NaN, which it leaves out
            MIDNIGHT + DAY - 1: 42.0,
            MIDNIGHT + DAY: 3.0,
        },
    ),
    FakeSeries(
        {"__name__": "disk", "entity": 'b "\n\\', "pod": "€"}, {MIDNIGHT + 30_000: 2.0, MIDNIGHT + DAY - 1: 8.0}
    ),
    FakeSeries({"__name__": "other", "entity": "a"}, {MIDNIGHT: 1.0}),
]
EXPRESSIONS = [
    "avg_over_time(disk[1m])",
    "avg_over_time(disk[30m])",
    "count(avg_over_time(disk[1m]))",
    "avg(count_over_time(disk[60s]))",
    "avg_over_time(absent_metric[1m])",
]


def asked_of(url: str, expression: str, first: int, last: int, step: int) -> dict[frozenset, dict[int, float]]:
    span = {"start": f"{first / 1000:.3f}", "end": f"{last / 1000:.3f}", "step": f"{step / 1000:.3f}"}
    answer = httpx.post(
        f"{url}/api/v1/query_range",
        content=urlencode({"query": expression, **span, "nocache": "1"}),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-www-form-urlencoded"},
        trust_env=False,
    ).raise_for_status()
    return {
        frozenset((k, v) for k, v in one["metric"].items() if k != "__name__"): {
            round(at * 1000): float(value) for at, value in one["values"]
        }
        for one in answer.json()["data"]["result"]
    }


@pytest.mark.skipif(real_victoria_metrics.PROGRAM is None, reason="VictoriaMetrics is not installed")
def test_the_fake_answers_as_a_real_server_does():
    real = real_victoria_metrics.shared()
    real.hold((series.labels, series.samples) for series in SERIES)
    with loopback(FakePromQL(SERIES)) as fake:
        for expression in EXPRESSIONS:
            for step in (MINUTE, 30 * MINUTE, DAY):
                asked = expression, MIDNIGHT + step - 1, MIDNIGHT + DAY - 1, step
                assert asked_of(fake.url, *asked) == asked_of(real.url, *asked), asked


def test_the_fake_refuses_what_it_does_not_know():
    form = urlencode({"query": 'avg_over_time(disk{entity="a"}[1m])', "start": "0", "end": "1", "step": "1"}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert FakePromQL(SERIES)(Asked("POST", "/api/v1/query_range", headers, form)).status == 400
    assert FakePromQL(SERIES)(Asked("GET", "/api/v1/query", {}, b"query=1")).status == 401
