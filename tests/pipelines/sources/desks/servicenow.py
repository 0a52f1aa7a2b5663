"""Given incidents, as ServiceNow has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from fake_servicenow import FakeServiceNow
from loopback import Answer, Asked

from desks.given import KNOWABLE, Given, HttpAdapter, query
from pipelines.source_options import (
    IncidentSource,
    ServiceNow,
)


class ServiceNowAdapter(HttpAdapter):
    model = ServiceNow
    knows = KNOWABLE
    full = 500

    def __init__(self):
        super().__init__()
        self.instance = FakeServiceNow(self.server.url, {"task_sla": [], "metric_instance": []})

    @property
    def source(self) -> IncidentSource:
        return ServiceNow.model_validate(self.options(type="servicenow", url=self.server.url))

    def key(self, number: int) -> str:
        return f"INC{number:07}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path == "/api/now/table/incident" and query(asked)["sysparm_limit"] == "500"

    def serve(self, incidents: Sequence[Given]) -> None:
        super().serve(incidents)
        self.instance.tables["incident"] = [self._record(each) for each in incidents]
        self.instance.tables["metric_instance"] = [row for each in incidents for row in self._metrics(each)]

    def answer(self, asked: Asked) -> Answer:
        return self.instance.answer(asked)

    def _record(self, given: Given) -> dict:
        return {
            "sys_id": f"{given.number:032x}",
            "number": self.key(given.number),
            "short_description": given.title,
            "description": given.text,
            "state": self._life(given)[-1][1],
            "priority": ("2", given.severity),
            "business_service": (f"{1:032x}", given.service),
            "opened_at": snow(given.created),
            "sys_created_on": snow(given.created),
            "resolved_at": snow(given.resolved or (given.reopened[-1][0] if given.reopened else None)),
            "closed_at": "",
            "sys_updated_on": snow(given.updated),
            "reopen_count": str(len(given.reopened)),
            "correlation_display": "forewarn" if given.marked else "",
        }

    @staticmethod
    def _life(given: Given) -> list[tuple[datetime, tuple[str, str]]]:
        new, work, done, void = ("1", "Neu"), ("2", "In Arbeit"), ("6", "Gelöst"), ("8", "Abgebrochen")
        life = [(given.created, new)]
        life += [(given.acknowledged, work)] if given.acknowledged else []
        for resolved, reopened in given.reopened:
            life += [(resolved, done), (reopened, work)]
        life += [(given.resolved, done)] if given.resolved else []
        life += [(given.cancelled, void)] if given.cancelled else []
        return life

    def _metrics(self, given: Given) -> list[dict]:
        return [
            {
                "sys_id": f"{given.number:028x}{n:04x}",
                "id": f"{given.number:032x}",
                "definition.field": "incident_state",
                "value": word,
                "field_value": number,
                "start": snow(at),
            }
            for n, (at, (number, word)) in enumerate(self._life(given))
        ]


def snow(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
