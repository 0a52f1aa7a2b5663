"""PagerDuty is asked for its log, stretch by stretch, for that alone tells what changed; incidents come with it.

The list of incidents can be asked for by their creation only, and the log of each apart. The account's log has them all
in the order of time, a hundred entries a question; no more than 10,000 can be read of a stretch of time, so that
stretches are as long as about a thousand entries. An incident of which the log holds no beginning in its stretch is
asked for its own.

Belongs here: questions and stretches. Not here: what incidents and entries mean (``pagerduty_log``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from pydantic import SecretStr

from pipelines.settings import Settings
from pipelines.source_options import Access, PagerDuty
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.pagerduty_log import Logged, began, events, incident
from pipelines.sources.incident_servers.pages import Asked, Page
from pipelines.sources.incident_servers.reading import found, moment, records, stamp, told

FULL = 100
MOST = 10_000
"""Offset and limit together; what lies behind is refused."""
AT_ONCE = 1000
"""Entries of a stretch: what is lost should it fail midway."""
FIRST, SHORTEST, LONGEST = timedelta(days=1), timedelta(seconds=1), timedelta(days=90)
OVERLAP = timedelta(seconds=1)
"""Whether the ends of a stretch belong to it is not said."""
HEADERS = {"Accept": "application/vnd.pagerduty+json;version=2", "Content-Type": "application/json"}
OF_AN_APP = re.compile(r"pd[a-z]{2}\+")
"""What tokens of OAuth begin with; keys of the API do not."""
UNTOLD = (403, 404)

Record = Mapping[str, Any]
_Log = dict[str, Record]
"""Id -> entry."""


class PagerDutyIncidents(Asked):
    """See ``pages.Asked``; it is one part."""

    def __init__(self, source: PagerDuty, settings: Settings):
        self._source = source
        self._api = JsonApi(
            source.url, _access(source.access), settings, headers=HEADERS, saying=("error.errors.0", "error.message")
        )
        super().__init__(source.url, self._api)

    def survey(self) -> str:
        """One question, and as many as it takes to find the services where the settings name some."""
        params = {"date_range": "all", "limit": 1, "total": "true", **self._of_teams}
        if not self._source.services:
            return f"{self.name}: {self._total(params)} incidents"
        services = [each for each in self._services() if self._is_chosen(told(each, "name"))]
        ids = [key for each in services if (key := told(each, "id"))]
        total = self._total(params | {"service_ids[]": ids}) if ids else 0
        return f"{self.name}: {total} incidents of {len(ids)} services"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """The incidents whose log grew. One that ended while it was read is for another night, like what it says."""
        del part
        carried: dict[str, _Log] = {}
        for end, entries in self._stretches(since.replace(microsecond=0), until):
            logged = [each for each in self._logged(entries, carried, until) if _ended(each) <= until]
            yield Page(
                [incident(each, self._source) for each in logged],
                [row for each in logged for row in events(each)],
                through=end,
            )

    # ------------------------------------------------------------------------------------------------------ incidents

    def _logged(self, entries: Sequence[Record], carried: dict[str, _Log], until: datetime) -> list[Logged]:
        """The incidents of a stretch, each with its log from the beginning.

        Args:
            carried: logs of earlier stretches that may go on; changed to what may go on after this one.
        """
        newest: dict[str, Record] = {}
        grown: dict[str, _Log] = {}
        for entry in entries:
            record, key = found(entry, "incident"), told(entry, "incident.id")
            if key and self._is_chosen(told(record, "service.summary")):
                newest[key] = max(newest.get(key, record), record, key=lambda each: told(each, "updated_at") or "")
                grown.setdefault(key, {}).update(_by_id([entry]))
        unknown = [key for key in grown if key not in carried and not began(newest[key], grown[key].values())]
        asked = dict(zip(unknown, self._api.together(partial(self._log, until), unknown), strict=True))
        logged = []
        for key, entries_of in grown.items():
            before = carried.get(key) or asked.get(key) or {}
            log = before | entries_of
            if key not in carried or len(log) > len(before):  # an own log had entries of later stretches
                logged.append(Logged(newest[key], tuple(log.values())))
                carried.pop(key, None)
                if key in asked or not logged[-1].is_over:
                    carried[key] = log
        return logged

    def _is_chosen(self, service: str | None) -> bool:
        return not self._source.services or any(fnmatchcase(service or "", glob) for glob in self._source.services)

    def _log(self, until: datetime, key: str) -> _Log:
        """An incident's own log up to a moment; empty where it is not told any more."""
        log: list[Record] = []
        more, offset = True, 0
        try:
            while more and offset + FULL <= MOST:  # beyond that PagerDuty refuses
                params = {"include[]": ["channels"], "time_zone": "UTC", "limit": FULL, "offset": offset}
                answer = self._api.get(f"/incidents/{key}/log_entries", params).value
                listed = self._listed(answer, "log_entries")
                log += listed
                more, offset = bool(listed) and found(answer, "more") is True, offset + FULL
        except FetchError as error:
            if error.status not in UNTOLD:
                raise
        return _by_id(entry for entry in log if (moment(told(entry, "created_at")) or until) < until)

    # ------------------------------------------------------------------------------------------------------ stretches

    def _stretches(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, list[Record]]]:
        """The account's log in stretches of time, each with its end: as long as their entries are few enough."""
        length = FIRST
        while since < until:
            end = min(since + length, until)
            entries, total = self._entries(since, end, 0)
            if total > AT_ONCE and end - since > SHORTEST:
                length = max(SHORTEST, timedelta(seconds=(end - since) // timedelta(seconds=2)))
                continue
            if total > MOST:
                raise FetchError(f"{self.name}: tells more than {MOST} changes within a second; is it well?")
            for offset in range(FULL, total, FULL):
                entries += self._entries(since, end, offset)[0]
            yield end, entries
            since = end
            if total < AT_ONCE // 2:
                length = min(length * 2, LONGEST)

    def _entries(self, since: datetime, until: datetime, offset: int) -> tuple[list[Record], int]:
        """A page of a stretch, and how many entries that has."""
        params = {
            "since": stamp(since - OVERLAP), "until": stamp(until), "time_zone": "UTC", "total": "true",
            "include[]": ["incidents", "channels"], "limit": FULL, "offset": offset, **self._of_teams,
        }  # fmt: skip
        answer = self._api.get("/log_entries", params).value
        entries = self._listed(answer, "log_entries")
        total = found(answer, "total")
        if not isinstance(total, int):
            raise self._api.odd("number of log entries")
        return entries, total

    @property
    def _of_teams(self) -> dict[str, list[str]]:
        return {"team_ids[]": self._source.teams} if self._source.teams else {}

    # --------------------------------------------------------------------------------------------------------- survey

    def _total(self, params: Mapping[str, Any]) -> int:
        total = found(self._api.get("/incidents", params).value, "total")
        if not isinstance(total, int):
            raise self._api.odd("number of incidents")
        return total

    def _services(self) -> Iterator[Record]:
        more, offset = True, 0
        while more and offset + FULL <= MOST:
            answer = self._api.get("/services", {"limit": FULL, "offset": offset, **self._of_teams}).value
            yield from self._listed(answer, "services")
            more, offset = found(answer, "more") is True, offset + FULL

    def _listed(self, answer: object, name: str) -> list[Record]:
        if not isinstance(found(answer, name), list):
            raise self._api.odd(f"list of {name.replace('_', ' ')}")
        return records(answer, name)


def _access(access: Access) -> Access:
    """As PagerDuty wants it: a key of its API is sent as ``Token token=...``, only a token of OAuth as bearer."""
    if access.bearer is None or OF_AN_APP.match(access.bearer.get_secret_value()):
        return access
    key = SecretStr(f"Token token={access.bearer.get_secret_value()}")
    return access.model_copy(update={"bearer": None, "headers": {**access.headers, "Authorization": key}})


def _ended(each: Logged) -> datetime:
    return moment(each.ended_at) or datetime.min


def _by_id(entries: Iterable[Record]) -> _Log:
    """Without the incident, which every entry repeats."""
    return {
        told(entry, "id") or repr(entry): {name: entry[name] for name in entry if name != "incident"}
        for entry in entries
    }
