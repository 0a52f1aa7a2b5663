"""Given incidents, as a Prometheus that recorded alerts has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import parse_qsl

import fake_promql
from loopback import Answer, Asked

from desks.given import Given, HttpAdapter, epoch
from pipelines.source_options import (
    Alerts,
    IncidentSource,
)
from pipelines.sources.incident_servers import alerts
from pipelines.sources.incident_servers.episodes import Episode


class AlertsAdapter(HttpAdapter):
    model = Alerts
    knows = frozenset({"service", "severity", "title", "label"})
    full = 5
    cannot: ClassVar[Mapping[str, str]] = {
        "test_a_page_that_fails_keeps_those_before_it_and_the_next_night_goes_on": "its pages are days (test_alerts)"
    }

    @property
    def source(self) -> IncidentSource:
        return Alerts.model_validate(self.options(type="alerts", url=self.server.url, history_days=30))

    def key(self, number: int) -> str:
        given = next(each for each in self.incidents if each.number == number)
        alert = tuple(sorted(self._labels(given).items()))
        return alerts.name_of(Episode(alert, epoch(given.created) * 1000, 0))

    def is_page(self, asked: Asked) -> bool:
        return asked.path == "/api/v1/query_range"

    def answer(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
        if not self.is_page(asked):
            assert asked.path == "/api/v1/query"
            return fake_promql.success({"resultType": "vector", "result": [{"metric": {}, "value": [0, "3"]}]})
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        assert (end - start) / step < 11_000
        series = []
        for given in self.incidents:
            until = epoch(given.resolved) if given.resolved else end + 1
            began = epoch(given.created)
            evaluations = [start + n * step for n in range(round((end - start) / step) + 1)]
            values = [[at, str(began)] for at in evaluations if began <= at < until]
            if values:
                name = {"__name__": "ALERTS_FOR_STATE"}
                series.append({"metric": name | self._labels(given), "values": values})
        return fake_promql.success({"resultType": "matrix", "result": series})

    @staticmethod
    def _labels(given: Given) -> dict[str, str]:
        labels = {"alertname": given.title, "severity": given.severity, "service": given.service}
        return labels | {"instance": f"web-{given.number}:9100"} | ({"forewarn": "yes"} if given.marked else {})
