"""Given incidents, as Jira, in the cloud and in a data center has them."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from fake_jira import FakeIssue, FakeJira, Move, adf
from loopback import Answer, Asked

from desks.given import KNOWABLE, Given, HttpAdapter
from pipelines.source_options import (
    IncidentSource,
    Jira,
)


class JiraAdapter(HttpAdapter):
    model = Jira
    knows = KNOWABLE
    contract = "jira-cloud-v3"
    edition: ClassVar[str] = "cloud"

    @property
    def source(self) -> IncidentSource:
        told = {"type": "jira", "url": self.server.url, "edition": self.edition, "projects": ["OPS"]}
        return Jira.model_validate(self.options(**told))

    def key(self, number: int) -> str:
        return f"OPS-{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path.endswith(("/search/jql", "/search"))

    def answer(self, asked: Asked) -> Answer:
        issues = [self._issue(each) for each in self.incidents]
        return FakeJira(issues, cloud=self.edition == "cloud", bearer=True)(asked)

    def _issue(self, given: Given) -> FakeIssue:
        moves = [Move(given.acknowledged, "Work in progress", person="5b10a")] if given.acknowledged else []
        for resolved, reopened in given.reopened:
            moves += [Move(resolved, "Completed", "Done"), Move(reopened, "Open", "")]
        if given.ended:
            moves.append(Move(given.ended, "Closed", "Duplicate" if given.cancelled else "Done"))
        more = {
            "summary": given.title,
            "description": adf(*given.text.split("\n")) if self.edition == "cloud" else given.text,
            "components": [{"name": given.service}],
            "labels": ["forewarn"] if given.marked else [],
            "customfield_10010": {"value": given.severity},
        }
        return FakeIssue(self.key(given.number), given.created, moves, updated=given.updated, more=more)


class JiraDataCenterAdapter(JiraAdapter):
    contract = None
    edition = "data-center"
