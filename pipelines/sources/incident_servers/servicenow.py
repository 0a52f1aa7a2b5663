"""ServiceNow is asked for its records by the Table API, and for their SLAs and metrics in bulk.

An account that may not read SLAs or metrics still tells incidents; what they lack then is a note. Times in questions
and answers are UTC, whatever zone the account has. Records that were deleted are told by nobody; they stay as they were
last seen.

Belongs here: questions, pages and rights. Not here: what records mean (``servicenow_records``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pipelines.settings import Settings
from pipelines.source_options import ServiceNow
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.json_api import Answer, JsonApi
from pipelines.sources.incident_servers.pages import Asked, Page
from pipelines.sources.incident_servers.reading import moment, records, told
from pipelines.sources.incident_servers.servicenow_records import (
    ASSIGNED,
    FIELDS,
    GROUP,
    STATE_FIELDS,
    SideRow,
    Told,
    events,
    incident,
    plain,
)

FULL = 500
"""Records a page: words for them are looked up one by one, so larger ones come near ServiceNow's time limit."""
STEP = FULL * 9 // 10
"""Pages that are asked for by number overlap: what changes meanwhile leaves its place, and all behind it move up."""
IDS_AT_ONCE = 100
"""In one question: an id has 32 characters, and an address should stay below 8 KiB."""
MANY = 5000
ENDLESS = 1000 * MANY
"""Rows about a hundred records: who has more to tell does not know where it ends."""
"""Rows of a side table a page."""
REFUSED = (400, 403, 404)
"""No such table, no right to it, nothing there."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class _Side:
    """A table about records. of: its column with their id. lost: what is not known without it."""

    table: str
    of: str
    fields: tuple[str, ...]
    where: str
    lost: str


SLAS = _Side(
    "task_sla",
    of="task",
    fields=("task", "sla.name", "sla.type", "sla.target", "stage", "has_breached", "end_time", "pause_duration"),
    where="",
    lost="SLAs and the acknowledgements in them",
)
METRICS = _Side(
    "metric_instance",
    of="id",
    fields=("id", "definition.field", "value", "field_value", "start"),
    where=f"definition.fieldIN{','.join((*STATE_FIELDS, ASSIGNED, GROUP))}^",
    lost="changes of state, reopenings, and acknowledgements outside SLAs",
)


class _Listed(list[Record]):
    """A page of records. more: whether another one follows, by ServiceNow's word: what an account may not see it takes
    out of a page that is cut already, so that one that is not full need not be the last.
    """

    more: bool = False


class ServiceNowRecords(Asked):
    """See ``pages.Asked``; it is one part."""

    def __init__(self, source: ServiceNow, settings: Settings):
        self._source = source
        self._api = JsonApi(source.url, source.access, settings, saying=("error.message", "error.detail"))
        super().__init__(f"{source.url}, {source.table}", self._api)

    def survey(self) -> str:
        """One question for the records, and one for each table about them."""
        total = self._count(self._source.table, self._source.query)
        sides = (f"{side.table} {'can' if self._may_read(side) else 'cannot'} be read" for side in (SLAS, METRICS))
        return f"{self.name}: {total} records; {', '.join(sides)}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """The table's records, in the order of their change."""
        del part
        lacking: dict[_Side, str] = {}
        ask = partial(self._changed_between, until)
        found = ascending(since, ask, changed=_changed, key=_id, full=FULL, more=_more)
        for listed in found:
            ids = [_id(record) for record in listed]
            slas, metrics = self._rows(SLAS, ids, lacking), self._rows(METRICS, ids, lacking)
            page = [Told(plain(record), slas.get(_id(record), ()), metrics.get(_id(record), ())) for record in listed]
            yield Page(
                [incident(each, self._source) for each in page],
                [row for each in page for row in events(each, self._source)],
                through=_changed(listed[-1]) if listed else None,
                notes=tuple(lacking.values()),
            )

    # -------------------------------------------------------------------------------------------------------- records

    def _changed_between(self, until: datetime, since: datetime, page: int) -> _Listed:
        chosen = f"{self._source.query}^" if self._source.query else ""
        span = f"sys_updated_on>={_stored(since)}^sys_updated_on<{_stored(until)}"
        found = self._records(
            self._source.table,
            f"{chosen}{span}^ORDERBYsys_updated_on^ORDERBYsys_id",
            fields=sorted({*FIELDS, *self._source.fields.values()}),
            display="all",
            offset=(page - 1) * STEP,
            limit=FULL,
        )
        sound = _Listed(record for record in found if _id(record) and _changed(record) > datetime.min)
        if found and not sound:
            raise self._api.odd(f"records of {self._source.table} with sys_id and sys_updated_on")
        sound.more = found.more
        return sound

    def _records(
        self, table: str, query: str, *, fields: Iterable[str], display: str, offset: int, limit: int
    ) -> _Listed:
        params = {
            "sysparm_query": query, "sysparm_fields": ",".join(fields), "sysparm_display_value": display,
            "sysparm_exclude_reference_link": "true", "sysparm_limit": limit, "sysparm_offset": offset,
        }  # fmt: skip
        answer = self._ask(table, params)
        listed = _Listed(records(answer.value, "result"))
        listed.more = 'rel="next"' in answer.headers.get("Link", "") or len(listed) >= limit
        return listed

    def _ask(self, table: str, params: Mapping[str, Any]) -> Answer:
        answer = self._api.get(f"/api/now/table/{table}", params)
        if not isinstance(answer.value, Mapping) or not isinstance(answer.value.get("result"), list):
            raise self._api.odd(f"list of records of {table}")
        return answer

    def _count(self, table: str, query: str) -> int:
        answer = self._ask(table, {"sysparm_query": query, "sysparm_fields": "sys_id", "sysparm_limit": 1})
        total = answer.headers.get("X-Total-Count", "")
        return int(total) if total.isascii() and total.isdigit() else len(answer.value["result"])

    # ---------------------------------------------------------------------------------------------- tables about them

    def _rows(self, side: _Side, ids: Sequence[str], lacking: dict[_Side, str]) -> dict[str, list[SideRow]]:
        """A table's rows by the id of the record that they are about; none where the account may not read it.

        Args:
            lacking: table -> why it cannot be read; such a table is not asked again.
        """
        found: dict[str, list[SideRow]] = {}
        if side in lacking:
            return found
        batches = [ids[n : n + IDS_AT_ONCE] for n in range(0, len(ids), IDS_AT_ONCE)]
        try:
            for rows in self._api.together(partial(self._about, side), batches):
                for row in rows:
                    found.setdefault(row[side.of], []).append(row)
        except FetchError as error:
            if error.status not in REFUSED:
                raise
            lacking[side] = f"{side.lost} are not known, for {side.table} cannot be read: {error.message}"
        return found

    def _about(self, side: _Side, ids: Sequence[str]) -> list[SideRow]:
        """All rows about some records, in an order that changes do not disturb."""
        rows: list[SideRow] = []
        offset, more = 0, True
        while more:
            query = f"{side.where}{side.of}IN{','.join(ids)}^ORDERBYsys_id"
            listed = self._records(side.table, query, fields=side.fields, display="false", offset=offset, limit=MANY)
            rows += [{name: told(row, name) or "" for name in side.fields} for row in listed]
            offset, more = offset + MANY, listed.more
            if offset >= ENDLESS:
                raise self._api.odd(f"end of {side.table}")
        return rows

    def _may_read(self, side: _Side) -> bool:
        """Whether it is there, and holds a row that the account may see."""
        try:
            return self._count(side.table, "") > 0
        except FetchError as error:
            if error.status not in REFUSED:
                raise
            return False


def _stored(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _id(record: Record) -> str:
    return told(record, "sys_id.value") or ""


def _changed(record: Record) -> datetime:
    return moment(f"{told(record, 'sys_updated_on.value')}Z") or datetime.min


def _more(listed: Sequence[Record]) -> bool:
    return isinstance(listed, _Listed) and listed.more
