"""A small ServiceNow: tables, and of its Table API as much as is asked of it here.

As the real one does, it passes over fields that it does not know, cuts pages before it takes out what the account may
not see, and refuses tables that the account may not read. What it was never told how to do fails the test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from loopback import Answer, Asked

PARAMETERS = {
    "sysparm_query", "sysparm_fields", "sysparm_display_value", "sysparm_exclude_reference_link", "sysparm_limit",
    "sysparm_offset",
}  # fmt: skip
MOST = 10_000

Cell = str | tuple[str, str]
"""A stored value, or one with the words that people see."""
Row = Mapping[str, Cell]


@dataclass
class FakeServiceNow:
    """url: where it is reached. hidden: sys_ids that the account may not see. refused: table -> status."""

    url: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    refused: dict[str, int] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        address = urlsplit(asked.path)
        found = re.fullmatch(r"/api/now/table/([a-z_]+)", address.path)
        assert asked.method == "GET"
        assert found, asked.path
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        assert params.keys() <= PARAMETERS
        table = found[1]
        if table in self.refused:
            return _refusal(self.refused[table], table)
        if table not in self.tables:
            return _refusal(400, table)
        chosen = queried(self.tables[table], params.get("sysparm_query", ""))
        limit = min(int(params.get("sysparm_limit", MOST)), MOST)
        offset = int(params.get("sysparm_offset", 0))
        seen = [row for row in chosen[offset : offset + limit] if _stored(row["sys_id"]) not in self.hidden]
        names = params["sysparm_fields"].split(",")
        rows = [_shown(row, names, params.get("sysparm_display_value", "false")) for row in seen]
        headers = {"X-Total-Count": str(len(chosen)), "Content-Type": "application/json;charset=UTF-8"}
        if offset + limit < len(chosen):
            onward = urlencode(params | {"sysparm_offset": offset + limit})
            headers["Link"] = f'<{self.url}{address.path}?{onward}>;rel="next"'
        return Answer(json.dumps({"result": rows}).encode(), headers=headers)


def _refusal(status: int, table: str) -> Answer:
    said = f"Invalid table {table}" if status == 400 else "User Not Authorized"
    body = {"error": {"message": said, "detail": "Failed API level ACL Validation"}, "status": "failure"}
    return Answer(json.dumps(body).encode(), status=status)


def _shown(row: Row, names: Iterable[str], display: str) -> dict[str, object]:
    known = {name: row[name] for name in names if name in row}
    if display == "all":
        return {name: {"display_value": _words(cell), "value": _stored(cell)} for name, cell in known.items()}
    assert display == "false"
    return {name: _stored(cell) for name, cell in known.items()}


def _stored(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _words(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[1]


def queried(rows: Sequence[Row], query: str) -> list[Row]:
    """The rows that an encoded query chooses, in its order."""
    order: list[str] = []
    for term in filter(None, query.split("^")):
        if term.startswith("ORDERBY"):
            order.append(term.removeprefix("ORDERBY"))
        else:
            rows = [row for row in rows if _holds(row, term)]
    return sorted(rows, key=lambda row: [_stored(row[name]) for name in order])


def _holds(row: Row, term: str) -> bool:
    found = re.fullmatch(r"([a-z_.]+)(>=|<|=|IN)(.*)", term)
    assert found, term
    name, sign, value = found.groups()
    stored = _stored(row.get(name, ""))
    if sign == "IN":
        return stored in value.split(",")
    return {"=": stored == value, ">=": stored >= value, "<": stored < value}[sign]
