"""Given incidents, as a status page has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from loopback import Answer, Asked, as_json

from desks.given import Given, HttpAdapter, query, z
from pipelines.source_options import (
    IncidentSource,
    StatusPage,
)


class StatusPageAdapter(HttpAdapter):
    model = StatusPage
    knows = frozenset({"reopened", "service", "title", "text"})
    full = 50
    cannot: ClassVar[Mapping[str, str]] = {
        "test_a_second_night_asks_for_what_changed": "a page tells of its latest 50 incidents (test_statuspage)",
        "test_a_page_that_fails_keeps_those_before_it_and_the_next_night_goes_on": "it has one page (test_statuspage)",
    }

    @property
    def source(self) -> IncidentSource:
        return StatusPage.model_validate(self.options(type="statuspage", url=self.server.url, history_days=60))

    def key(self, number: int) -> str:
        return f"inc{number}"

    def is_page(self, asked: Asked) -> bool:
        return asked.path == "/api/v2/incidents.json"

    def answer(self, asked: Asked) -> Answer:
        newest_first = sorted(self.incidents, key=lambda given: given.created, reverse=True)
        path, params = urlsplit(asked.path).path, query(asked)
        page = {"id": "kctbh9vrtdwd", "name": "Acme", "time_zone": "Etc/UTC"}
        if self.is_page(asked):
            return as_json({"page": page, "incidents": [self._incident(each) for each in newest_first[: self.full]]})
        if path == "/history.json":
            in_order = newest_first if params["page"] == "1" else []
            listed = [{"code": self.key(each.number), "name": each.title, "impact": "minor"} for each in in_order]
            return as_json({"components": [], "months": [{"name": "March", "year": 2026, "incidents": listed}]})
        code = path.removeprefix("/incidents/").removesuffix(".json")
        return as_json(next(self._incident(each) for each in self.incidents if self.key(each.number) == code))

    def _incident(self, given: Given) -> dict:
        said = [(given.created, "investigating", given.text)]
        for resolved, reopened in given.reopened:
            said += [(resolved, "resolved", ""), (reopened, "investigating", "")]
        said += [(given.resolved, "resolved", "")] if given.resolved else []
        updates = [
            {"id": f"u{n}", "status": word, "body": body, "created_at": z(at), "display_at": z(at)}
            for n, (at, word, body) in enumerate(said)
        ]
        return {
            "id": self.key(given.number), "name": given.title, "status": said[-1][1], "impact": "major",
            "created_at": z(given.created), "started_at": z(given.created), "updated_at": z(given.updated),
            "monitoring_at": None, "resolved_at": z(given.resolved), "incident_updates": updates[::-1],
            "components": [{"id": "c1", "name": given.service}],
        }  # fmt: skip
