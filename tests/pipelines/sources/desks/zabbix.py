"""Given incidents, as Zabbix has them."""

from __future__ import annotations

import json

import fake_zabbix
from fake_zabbix import FakeProblem, FakeZabbix
from loopback import Answer, Asked

from desks.given import (
    KNOWABLE,
    Given,
    HttpAdapter,
    epoch,
)
from pipelines.source_options import (
    IncidentSource,
    ZabbixProblems,
)
from pipelines.sources.incident_servers import zabbix_problems


class ZabbixAdapter(HttpAdapter):
    model = ZabbixProblems
    knows = KNOWABLE - {"reopened", "text"}
    full = zabbix_problems.AT_ONCE

    @property
    def source(self) -> IncidentSource:
        access = {"bearer": fake_zabbix.TOKEN, "attempts": 2}
        return ZabbixProblems.model_validate(
            self.options(type="zabbix", url=f"{self.server.url}/zabbix", access=access, history_days=30)
        )

    def key(self, number: int) -> str:
        return str(number * 10)

    def is_ours(self, asked: Asked) -> bool:
        return True  # the double looks itself

    def is_page(self, asked: Asked) -> bool:
        question = json.loads(asked.body)
        return question["method"] == "event.get" and "eventid_from" in question["params"]

    def answer(self, asked: Asked) -> Answer:
        return FakeZabbix(problems=[self._problem(each) for each in self.incidents], version="7.0.1")(asked)

    @staticmethod
    def _problem(given: Given) -> FakeProblem:
        updates: list[dict] = []
        if given.acknowledged:
            updates.append({"clock": epoch(given.acknowledged), "action": 2, "username": "jo"})
        if given.cancelled:
            updates.append({"clock": epoch(given.cancelled), "action": 256})
        return FakeProblem(
            event=given.number * 10,
            clock=epoch(given.created),
            name=given.title,
            severity=zabbix_problems.SEVERITIES.index(given.severity),
            tags=[("service", given.service), *([("forewarn", "")] if given.marked else [])],
            updates=updates,
            ended=(given.number * 10 + 5, epoch(given.resolved)) if given.resolved else None,
            cause=7 if given.cancelled else 0,
        )
