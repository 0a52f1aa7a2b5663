"""`forewarn report` over bad input: every row is in a number or in a count, and text stays text."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.incident_report import known_tickets
from pipelines.settings import night_of, parse
from pipelines.warehouse import Warehouse, migrations
from reports.averted import PROMISES
from reports.incident_options import IncidentOptions
from reports.problems import RISKS

HOSTILE = '=HYPERLINK("http://x","y")<img src=x onerror=alert(1)>|`*'
COLUMNS = "incident_id,created_at,acknowledged_at,resolved_at,state,title,service,category,updated_at,closed_at"
SETTINGS = """
sources:
  incidents:
    - {name: desk, paths: [incidents.csv]}
calendar: {first_night: 2026-01-01}
"""


def line(
    name: str, created: str = "2026-04-01T10:00:00Z", acknowledged: str = "", resolved: str = "", **given: str
) -> str:
    known = {"state": "closed", "title": "disk full", "service": "db", "category": "c", "updated": "", "closed": ""}
    rest = ['"' + value.replace('"', '""') + '"' for value in (known | given).values()]
    return ",".join([name, created, acknowledged, resolved, *rest])


BAD = (
    line("early", resolved="2026-04-01T09:00:00Z"),
    line("late-ack", acknowledged="2026-04-01T12:00:00Z", resolved="2026-04-01T11:00:00Z"),
    line("after", resolved="2026-04-01T10:00:00Z"),
    line("future", created="2999-01-01T00:00:00Z"),
    line("will-be", resolved="2999-01-01T00:00:00Z"),
    line("no-zone", created="2026-04-01 10:00:00"),
    line("day-first", created="01/04/2026 10:00", resolved="2026-04-01T11:00:00Z"),
    line("twice", resolved="2026-04-01T11:00:00Z", updated="2026-04-01T11:00:00Z"),
    line("twice", resolved="2026-04-01T12:00:00Z", updated="2026-04-01T12:00:00Z"),
    line("changed", resolved="2026-04-01T11:00:00Z", closed="2026-04-02T11:00:00Z", updated="2026-04-05T11:00:00Z"),
    line("lonely", resolved="2026-04-01T11:30:00Z", service="rare"),
)
GOOD = tuple(
    line(
        f"ok{k}",
        f"2026-0{1 + k // 20}-{1 + k % 20:02}T08:00:00Z",
        f"2026-0{1 + k // 20}-{1 + k % 20:02}T08:10:00Z" if k % 5 > 1 else "",
        f"2026-0{1 + k // 20}-{1 + k % 20:02}T{9 + k % 7:02}:00:00Z",
        title=HOSTILE,
    )
    for k in range(60)
)


def test_everything_is_counted_by_kind(tmp_path: Path) -> None:
    (tmp_path / "incidents.csv").write_text("\n".join([COLUMNS, *GOOD, *BAD]) + "\n")
    from pipelines.incident_report import write_report  # noqa: PLC0415 - the pictures take a second to import

    settings = parse(SETTINGS, tmp_path)
    written, unread = write_report(settings, night_of("2026-05-01", settings), tmp_path / "out")
    assert not unread
    assert {path.name for path in written} >= {"mttr.html", "mttr.json", "mttr.md", "mttr.png"}
    told = json.loads((tmp_path / "out" / "mttr.json").read_text())
    refused = {
        "refused: resolved before created": 1, "refused: future": 1, "refused: resolved in the future": 1,
        "refused: no time zone": 1, "refused: ambiguous date": 1,
    }  # fmt: skip
    after_the_fact = {"posted after the fact (resolved = created)": 1}
    assert told["usable"] == {"total": 70, "used": 64, "excluded": after_the_fact | refused}
    acknowledged = told["definitions"]["mtta"]["usable"]["excluded"]
    assert acknowledged["no acknowledgement recorded"] == 24 + 3
    assert acknowledged["acknowledged after resolved"] == 1
    page = (tmp_path / "out" / "mttr.html").read_text()
    for counted in ("1 duplicate incident id (of an incident)", "1 changed by its source after it was closed"):
        assert counted in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    summary = (tmp_path / "out" / "mttr.md").read_text()
    assert "<img" not in summary
    assert "http://" not in summary
    assert "rare" not in {period["slice"].get("service") for period in told["periods"]}


@pytest.fixture
def warehouse(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    for path in migrations().values():
        con.execute(path.read_text())
    return con


def test_open_tickets_and_settled_promises_are_found(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    columns = [row[0] for row in warehouse.sql("DESCRIBE reports.ticket_events").fetchall()]

    def event(ticket: str, night: int, kind: str, p: float = 0.9) -> None:
        known = {
            "ticket_id": ticket, "as_of": f"2026-05-{night:02}", "event_no": night, "event": kind, "entity": "db-1",
            "probability": p, "horizon_h": 168, "limit_value": 1, "series_id": 1, "others": 0,
        }  # fmt: skip
        warehouse.execute(
            f"INSERT INTO reports.ticket_events VALUES ({', '.join('?' for _ in columns)})",
            [
                known.get(name, None if name.startswith("eta") else "x" if name not in ("level",) else None)
                for name in columns
            ],
        )

    event("open", 1, "opened")
    event("open", 3, "updated", 0.95)
    event("over", 1, "opened")
    event("over", 2, "resolved")
    warehouse.execute("INSERT INTO reports.ticket_outcomes VALUES ('over', 'averted', NULL, NULL, 'w', '2026-05-09')")
    night = night_of("2026-05-10", parse(SETTINGS, tmp_path))
    as_of = pl.Series([night]).cast(pl.Datetime("us")).item()
    risks, promises = known_tickets(warehouse, as_of, IncidentOptions())
    assert (dict(risks.schema), dict(promises.schema)) == (RISKS, PROMISES)
    assert risks.select("ticket_id", "probability").rows() == [("open", 0.95)]
    assert promises.rows() == [("over", "db-1", "x", "averted")]


def test_a_warehouse_of_another_schema_does_not_stop_the_report(tmp_path: Path) -> None:
    (tmp_path / "incidents.csv").write_text("\n".join([COLUMNS, *GOOD]) + "\n")
    settings = parse(SETTINGS, tmp_path)
    path = Warehouse(settings.root, "1GiB").path
    path.parent.mkdir(parents=True)
    duckdb.connect(str(path)).close()
    from pipelines.incident_report import write_report  # noqa: PLC0415

    written, _ = write_report(settings, night_of("2026-05-01", settings), tmp_path / "out")
    assert written
