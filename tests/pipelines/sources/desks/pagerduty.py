"""Given incidents, as PagerDuty has them."""

from __future__ import annotations

from collections.abc import Sequence

from fake_pagerduty import FakePagerDuty
from loopback import Answer, Asked

from desks.given import KNOWABLE, SECRET, Given, HttpAdapter, z
from pipelines.source_options import (
    IncidentSource,
    PagerDuty,
)


class PagerDutyAdapter(HttpAdapter):
    model = PagerDuty
    knows = KNOWABLE
    contract = "pagerduty-rest"
    full = 500

    def __init__(self):
        super().__init__()
        self.account = FakePagerDuty()

    @property
    def source(self) -> IncidentSource:
        return PagerDuty.model_validate(self.options(type="pagerduty", url=self.server.url))

    def key(self, number: int) -> str:
        return f"P{number:06}"

    def is_page(self, asked: Asked) -> bool:
        return self.account.is_page(asked)

    def is_ours(self, asked: Asked) -> bool:
        return asked.headers.get("Authorization") == f"Token token={SECRET}"

    def serve(self, incidents: Sequence[Given]) -> None:
        super().serve(incidents)
        self.account.incidents = {self.key(each.number): self._incident(each) for each in incidents}
        self.account.log = [entry for each in incidents for entry in self._log(each)]

    def answer(self, asked: Asked) -> Answer:
        return self.account.answer(asked)

    def _incident(self, given: Given) -> dict:
        key = self.key(given.number)
        status = "resolved" if given.ended else "acknowledged" if given.acknowledged else "triggered"
        return {
            "id": key,
            "type": "incident",
            "title": given.title,
            "summary": f"[#{given.number}] {given.title}",
            "incident_key": "forewarn:1" if given.marked else None,
            "service": {"id": "PSHOP", "type": "service_reference", "summary": given.service},
            "teams": [],
            "urgency": given.severity,
            "priority": None,
            "status": status,
            "created_at": z(given.created),
            "updated_at": z(given.updated),
            "resolved_at": z(given.ended),
            "last_status_change_at": z(given.updated),
            "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "P1"}} if given.cancelled else None,
            "first_trigger_log_entry": {"id": f"{key}-0", "type": "trigger_log_entry_reference"},
        }

    def _log(self, given: Given) -> list[dict]:
        life = [("trigger", given.created), ("acknowledge", given.acknowledged)]
        for resolved, reopened in given.reopened:
            life += [("resolve", resolved), ("reopen", reopened)]
        life += [("resolve", given.ended), ("annotate", given.updated_at)]
        key = self.key(given.number)
        return [
            {
                "id": f"{key}-{n}",
                "type": f"{kind}_log_entry",
                "created_at": z(at),
                "incident": key,
                "channel": {"type": "api", "details": given.text} if kind == "trigger" else {"type": "website"},
            }
            for n, (kind, at) in enumerate(life)
            if at
        ]
