"""Given incidents, as a real Redmine has them."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import real_postgres
import real_redmine
from pydantic import SecretStr
from redmine_database import Change, Issue

from desks.given import KNOWABLE, NAME, Given, IncidentAdapter
from pipelines.source_options import (
    Access,
    IncidentSource,
    Redmine,
)
from pipelines.sources.incident_servers import redmine


class RedmineAdapter(IncidentAdapter):
    """A real one, which takes its time over every issue: pages are small. An incident's service is its category, its
    severity a custom field.
    """

    model = Redmine
    knows = KNOWABLE
    full = 20

    def __init__(self):
        super().__init__()
        self.open.enter_context(patch.object(redmine, "FULL", self.full))
        self.server = real_redmine.shared()
        self.has_vanished = False

    @staticmethod
    def missing() -> str | None:
        return real_redmine.missing()

    def serve(self, incidents: Sequence[Given]) -> None:
        self.server.clear()
        self.server.custom_field("Severity", "string")
        self.server.custom_field("Origin", "string")
        self.server.add(*map(self._issue, incidents))
        self.has_vanished = False

    def vanish(self) -> None:
        self.has_vanished = True

    @property
    def source(self) -> IncidentSource:
        return Redmine(
            name=NAME,
            type="redmine",
            url=f"http://127.0.0.1:{real_postgres.free_port()}" if self.has_vanished else self.server.url,
            access=Access(headers={"X-Redmine-API-Key": SecretStr(self.server.key)}, attempts=1),
            fields={"service": "category.name", "severity": "custom.Severity"},
        )

    @staticmethod
    def _issue(given: Given) -> Issue:
        changes = []
        if given.acknowledged:
            changes.append(Change(given.acknowledged, {"assignee": "Jo Doe"}))
        for resolved, reopened in given.reopened:
            changes.append(Change(resolved, {"status": "Resolved"}))
            changes.append(Change(reopened, {"status": "In Progress"}))
        if given.ended:
            changes.append(Change(given.ended, {"status": "Rejected" if given.cancelled else "Closed"}))
        if given.updated_at:
            changes.append(Change(given.updated_at, note="by the way"))
        has = {"subject": given.title, "category": given.service, "Severity": given.severity}
        has |= {"Origin": "forewarn"} if given.marked else {}
        return Issue(given.created, has, given.text, changes=tuple(changes), number=given.number)
