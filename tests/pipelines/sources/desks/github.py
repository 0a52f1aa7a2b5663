"""Given incidents, as GitHub has them."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode, urlsplit

from loopback import Answer, Asked, as_json

from desks.given import KNOWABLE, Given, HttpAdapter, naive, query, z
from pipelines.source_options import (
    GitHub,
    IncidentSource,
)


class GitHubAdapter(HttpAdapter):
    model = GitHub
    knows = KNOWABLE
    contract = "github-rest"

    @property
    def source(self) -> IncidentSource:
        return GitHub.model_validate(self.options(type="github", url=self.server.url, repositories=["acme/shop"]))

    def key(self, number: int) -> str:
        return f"acme/shop#{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path == "/repos/acme/shop/issues"

    def answer(self, asked: Asked) -> Answer:
        path, params = urlsplit(asked.path).path, query(asked)
        if self.is_page(asked):
            assert params["labels"] == "incident"
            since = naive(params["since"]) if "since" in params else datetime.min
            seen = sorted((i for i in self.incidents if i.updated >= since), key=lambda i: (i.updated, i.number))
            return self._paged(asked, [self._issue(each) for each in seen])
        number = int(path.split("/")[-2])
        return self._paged(asked, self._timeline(next(i for i in self.incidents if i.number == number)))

    def _paged(self, asked: Asked, listed: list[dict]) -> Answer:
        params = query(asked)
        size, page = int(params.get("per_page", 30)), int(params.get("page", 1))
        last = max(1, -(-len(listed) // size))

        def link(number: int, relation: str) -> str:
            address = f"{self.server.url}{urlsplit(asked.path).path}?{urlencode(params | {'page': number})}"
            return f'<{address}>; rel="{relation}"'

        links = [link(page + 1, "next"), link(last, "last")] if page < last else []
        return as_json(listed[(page - 1) * size : page * size], headers={"Link": ", ".join(links)} if links else {})

    @staticmethod
    def _issue(given: Given) -> dict:
        labels = ["incident", f"severity/{given.severity}", f"service/{given.service}"]
        return {
            "number": given.number,
            "title": given.title,
            "body": given.text or None,
            "user": {"login": "alertbot", "type": "Bot"},
            "labels": [{"name": name} for name in [*labels, *(["forewarn"] if given.marked else [])]],
            "state": "closed" if given.ended else "open",
            "state_reason": "not_planned" if given.cancelled else "completed" if given.resolved else None,
            "created_at": z(given.created),
            "updated_at": z(given.updated),
            "closed_at": z(given.ended),
        }

    @staticmethod
    def _timeline(given: Given) -> list[dict]:
        happened: list[dict] = [{"event": "labeled", "created_at": z(given.created), "label": {"name": "incident"}}]
        if given.acknowledged:
            happened.append({"event": "assigned", "created_at": z(given.acknowledged), "assignee": {"login": "jo"}})
        for resolved, reopened in given.reopened:
            happened.append({"event": "closed", "created_at": z(resolved), "state_reason": None})
            happened.append({"event": "reopened", "created_at": z(reopened)})
        if given.ended:
            reason = "not_planned" if given.cancelled else None
            happened.append({"event": "closed", "created_at": z(given.ended), "state_reason": reason})
        return happened
