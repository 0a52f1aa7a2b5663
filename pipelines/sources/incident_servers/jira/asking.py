"""How questions are put to Jira Cloud, and to Jira Data Center, which knows an older API.

Belongs here: addresses, pages and limits. Not here: which issues are asked for, and what they mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.source_options import Jira
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.reading import found, records, told

FULL = 100  # Jira Cloud gives no more of issues with their fields
CHANGES = 1000
CHANGED_FIELDS = ["status", "resolution", "assignee"]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """after: by what the next page is asked for; None: there is none."""

    issues: Sequence[Record]
    after: str | int | None


class Edition(ABC):
    """One of Jira's APIs. Its questions raise FetchError."""

    root: ClassVar[str]

    def __init__(self, api: JsonApi):
        self._api = api

    def who_we_are(self) -> None:
        """Fails unless we are logged in."""
        if not isinstance(self._api.get(f"{self.root}/myself").value, Mapping):
            raise self._api.odd("account")

    def listed(self, what: str) -> list[Record]:
        """All of the site's: ``field``, ``issuetype`` or ``status``."""
        answer = self._api.get(f"{self.root}/{what}").value
        if not isinstance(answer, list):
            raise self._api.odd(f"list of each {what}")
        return records(answer)

    @abstractmethod
    def search(self, jql: str, fields: Sequence[str], after: str | int | None) -> Found:
        """A page of issues.

        Args:
            after: as the page before it has it; None: the first.
        """

    @abstractmethod
    def changes(self, issues: Sequence[Record]) -> dict[str, list[Record]]:
        """The history of each by its id, in any order, of ``CHANGED_FIELDS`` at least."""

    @abstractmethod
    def count(self, jql: str) -> int:
        """How many issues there are, nearly."""

    def _issues(self, answer: object) -> list[Record]:
        if not isinstance(found(answer, "issues"), list):
            raise self._api.odd("list of issues")
        return records(answer, "issues")

    def _number(self, answer: object, path: str) -> int:
        number = found(answer, path)
        if not isinstance(number, int):
            raise self._api.odd("number of issues")
        return number


class Cloud(Edition):
    root = "/rest/api/3"

    def __init__(self, api: JsonApi):
        super().__init__(api)
        self._searched: set[str] = set()

    def search(self, jql: str, fields: Sequence[str], after: str | int | None) -> Found:
        if after is None:
            self._searched = set()
        question = {"jql": jql, "fields": list(fields), "maxResults": FULL}
        answer = self._api.post(f"{self.root}/search/jql", question | _token(after)).value
        return Found(self._issues(answer), self._next(answer, self._searched))

    def changes(self, issues: Sequence[Record]) -> dict[str, list[Record]]:
        """Of all issues at once; a page holds so many changes, of whichever issues they are."""
        question = {
            "issueIdsOrKeys": [str(issue["id"]) for issue in issues],
            "fieldIds": CHANGED_FIELDS,
            "maxResults": CHANGES,
        }
        histories: dict[str, list[Record]] = {}
        after, is_last = None, False
        fetched: set[str] = set()
        while not is_last:
            answer = self._api.post(f"{self.root}/changelog/bulkfetch", question | _token(after)).value
            if not isinstance(found(answer, "issueChangeLogs"), list):
                raise self._api.odd("list of changes")
            for each in records(answer, "issueChangeLogs"):
                histories.setdefault(told(each, "issueId") or "", []).extend(records(each, "changeHistories"))
            after = self._next(answer, fetched)
            is_last = after is None
        return histories

    def count(self, jql: str) -> int:
        return self._number(self._api.post(f"{self.root}/search/approximate-count", {"jql": jql}).value, "count")

    def _next(self, answer: object, earlier: set[str]) -> str | None:
        """By what the next page is asked for, added to the `earlier`; one that comes again leads round for ever."""
        token = None if found(answer, "isLast") is True else told(answer, "nextPageToken")
        if token is None:
            return None
        if token in earlier:
            raise self._api.odd("page after the one before it")
        earlier.add(token)
        return token


class DataCenter(Edition):
    """Histories come with the issues."""

    root = "/rest/api/2"

    def search(self, jql: str, fields: Sequence[str], after: str | int | None) -> Found:
        begin = after if isinstance(after, int) else 0
        question = {"jql": jql, "fields": list(fields), "maxResults": FULL, "startAt": begin, "expand": ["changelog"]}
        answer = self._api.post(f"{self.root}/search", question).value
        issues = self._issues(answer)
        end = begin + len(issues)
        return Found(issues, end if issues and end < self._number(answer, "total") else None)

    def changes(self, issues: Sequence[Record]) -> dict[str, list[Record]]:
        return {str(issue["id"]): records(issue, "changelog.histories") for issue in issues}

    def count(self, jql: str) -> int:
        return self._number(self._api.post(f"{self.root}/search", {"jql": jql, "maxResults": 0}).value, "total")


def edition(source: Jira, api: JsonApi) -> Edition:
    return Cloud(api) if source.is_cloud else DataCenter(api)


def _token(after: str | int | None) -> dict[str, str | int]:
    return {} if after is None else {"nextPageToken": after}
