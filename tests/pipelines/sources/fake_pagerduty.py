"""A small PagerDuty: incidents with their logs, and of its REST API as much as is asked of it here.

As the real one does, it tells the newest entries first, at most a hundred a page, and refuses what lies behind the
first ten thousand of an account's log.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback import Answer, Asked

MOST, FULL = 10_000, 100

Record = dict[str, Any]


@dataclass
class FakePagerDuty:
    """incidents: id -> incident. log: entries, each with its incident's id under ``incident``. services: the account's.

    secret: incidents whose own log is not told. ends_belong: whether stretches of time have their ends.
    """

    incidents: dict[str, Record] = field(default_factory=dict)
    log: list[Record] = field(default_factory=list)
    services: list[Record] = field(default_factory=list)
    secret: set[str] = field(default_factory=set)
    ends_belong: bool = True

    def answer(self, asked: Asked) -> Answer:
        path, params = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        match path.strip("/").split("/"):
            case ["log_entries"]:
                if int(params["offset"][0]) + int(params["limit"][0]) > MOST:
                    return _refusal(400, "Offset must be less than or equal to 10000")
                return _paged(self._entries(self._between(params), params), "log_entries", params)
            case ["incidents", key, "log_entries"]:
                if key in self.secret:
                    return _refusal(404, "Not Found")
                own = [entry for entry in self.log if entry["incident"] == key]
                return _paged(self._entries(own, params), "log_entries", params)
            case ["incidents"]:
                return _paged([each for each in self.incidents.values() if _chosen(each, params)], "incidents", params)
            case ["services"]:
                return _paged(self.services, "services", params)
            case _:
                raise AssertionError(asked.path)

    def is_page(self, asked: Asked) -> bool:
        """Whether a question begins a stretch of the log that will be told."""
        address = urlsplit(asked.path)
        params = parse_qs(address.query)
        return address.path == "/log_entries" and params["offset"] == ["0"] and 0 < len(self._between(params)) <= 1000

    def _between(self, params: dict[str, list[str]]) -> list[Record]:
        since, until = (_at(params[name][0]) for name in ("since", "until"))
        return [
            entry
            for entry in self.log
            if (since < (at := _at(entry["created_at"])) < until or (self.ends_belong and at in (since, until)))
            and _chosen(self.incidents[entry["incident"]], params)
        ]

    def _entries(self, entries: Sequence[Record], params: dict[str, list[str]]) -> list[Record]:
        assert params["time_zone"] == ["UTC"]
        included = params.get("include[]", [])
        return [
            {
                **entry,
                "incident": self._incident(entry["incident"], whole="incidents" in included),
                "channel": entry["channel"] if "channels" in included else {"type": entry["channel"]["type"]},
            }
            for entry in sorted(entries, key=lambda entry: entry["created_at"], reverse=True)
        ]

    def _incident(self, key: str, *, whole: bool) -> Record:
        record = self.incidents[key]
        return record if whole else {"id": key, "type": "incident_reference", "summary": record["title"]}


def _chosen(record: Record, params: dict[str, list[str]]) -> bool:
    teams, services = params.get("team_ids[]"), params.get("service_ids[]")
    return (teams is None or any(team["id"] in teams for team in record["teams"])) and (
        services is None or record["service"]["id"] in services
    )


def _paged(listed: Sequence[Record], name: str, params: dict[str, list[str]]) -> Answer:
    limit, offset = int(params["limit"][0]), int(params.get("offset", ["0"])[0])
    assert limit <= FULL
    total = len(listed) if params.get("total") == ["true"] else None
    page = {
        name: listed[offset : offset + limit],
        "limit": limit,
        "offset": offset,
        "more": offset + limit < len(listed),
        "total": total,
    }
    return Answer(json.dumps(page).encode(), headers={"Content-Type": "application/json"})


def _refusal(status: int, said: str) -> Answer:
    return Answer(json.dumps({"error": {"code": 2001, "message": "Invalid", "errors": [said]}}).encode(), status=status)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
