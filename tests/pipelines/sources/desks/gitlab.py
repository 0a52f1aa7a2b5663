"""Given incidents, as GitLab has them."""

from __future__ import annotations

from urllib.parse import urlsplit

import fake_gitlab
from fake_gitlab import FakeGitLab
from loopback import Answer, Asked

from desks.given import KNOWABLE, Given, HttpAdapter
from pipelines.source_options import (
    GitLab,
    IncidentSource,
)


class GitLabAdapter(HttpAdapter):
    model = GitLab
    knows = KNOWABLE

    @property
    def source(self) -> IncidentSource:
        return GitLab.model_validate(self.options(type="gitlab", url=self.server.url, projects=["acme/shop"]))

    def key(self, number: int) -> str:
        return f"acme/shop#{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path.endswith("/issues")

    def answer(self, asked: Asked) -> Answer:
        return FakeGitLab([self._issue(each) for each in self.incidents], self.server.url)(asked)

    @staticmethod
    def _issue(given: Given) -> fake_gitlab.FakeIssue:
        said = [fake_gitlab.Said(given.acknowledged, "assigned to @jo")] if given.acknowledged else []
        states = [each for closed, again in given.reopened for each in ((closed, "closed"), (again, "reopened"))]
        if given.ended:
            states.append((given.ended, "closed"))
        labels = [f"service::{given.service}", *(["forewarn"] if given.marked else [])]
        labels += ["invalid"] if given.cancelled else []
        more = {"title": given.title, "description": given.text or None, "severity": given.severity.upper()}
        return fake_gitlab.FakeIssue(
            given.number, given.created, said, states, labels, updated=given.updated, more=more
        )
