"""The forewarn command as people run it: once, twice, night after night."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from small_fleet import Fleet, contents, write_fleet


@pytest.fixture(scope="module")
def nights(tmp_path_factory) -> Fleet:
    """A fleet after its night was run twice; what the first run said is kept beside it."""
    fleet = write_fleet(tmp_path_factory.mktemp("nights") / "site")
    for name in ("first", "second"):
        done = fleet.nightly()
        assert done.code == 0, done.err
        found = {"tables": fleet.contents(), "tickets": tickets(fleet)}
        (fleet.folder / f"{name}.json").write_text(json.dumps(found, default=str))
        (fleet.folder / f"{name}.txt").write_text(done.words)
    return fleet


def tickets(fleet: Fleet) -> dict[str, str]:
    folder = fleet.run / "tickets"
    return {path.name: path.read_bytes().hex() for path in sorted(folder.iterdir())}


def test_the_leak_becomes_the_one_ticket(nights: Fleet):
    lines = (nights.run / "tickets" / "tickets.jsonl").read_text().splitlines()
    assert [json.loads(line)["entity"] for line in lines] == ["leaky"]
    ticket = json.loads(lines[0])
    text = (nights.run / "tickets" / ticket["file"]).read_text()
    assert ticket["probability"] >= 0.7 and ticket["owner"] == "team-shop"
    assert "runbooks.example.com/shop" in text and f"forewarn-ticket: {ticket['ticket_id']}" in text
    assert (nights.run / "tickets" / ticket["chart"]).read_bytes().startswith(b"\x89PNG")


def test_the_same_night_twice_gives_the_same_tables_and_tickets(nights: Fleet):
    first, second = (json.loads((nights.folder / f"{name}.json").read_text()) for name in ("first", "second"))
    for table, rows in first["tables"].items():
        if table != "main.runs":  # its counts tell what was new, which the second time is nothing
            assert second["tables"][table] == rows, table
    assert second["tickets"] == first["tickets"]
    assert len(second["tables"]["main.runs"]) == 1


def test_the_summary_says_what_came_in_and_where_to_look(nights: Fleet):
    out = (nights.folder / "first.txt").read_text()
    for said in ("ingested", "rejected", "scored", "abstained", "tickets", "seconds", "digest.html", "snapshot.duckdb"):
        assert said in out
    assert "1 opened" in out
    assert "held back" in out  # the files hold two days after the cut


def test_nothing_after_the_cut_is_known(nights: Fleet):
    with duckdb.connect(nights.run / "warehouse.duckdb", read_only=True) as con:
        assert con.sql("SELECT max(ts) < TIMESTAMP '2026-03-02' FROM raw.samples").fetchall() == [(True,)]


def test_the_snapshot_says_the_same_as_the_warehouse(nights: Fleet):
    ours, readers = contents(nights.run / "warehouse.duckdb"), contents(nights.run / "snapshot.duckdb")
    assert set(ours) - set(readers) == {"raw.samples", "raw.pending_days"}
    assert all(ours[table] == rows for table, rows in readers.items())


def test_pages_are_written_and_hostile_text_is_quoted(nights: Fleet):
    pages = nights.run / "reports" / "2026-03-02"
    for name in ("digest.html", "mttr.html"):
        html = (pages / name).read_text()
        assert "<script>alert" not in html
    assert json.loads((pages / "mttr.json").read_text())["usable"]["total"] > 0


def test_dagster_keeps_the_lineage_of_the_run(nights: Fleet):
    assert (nights.run / "dagster" / "dagster.yaml").exists()
    assert list((nights.run / "dagster").rglob("*.db"))


def test_later_nights_continue_the_ticket_and_an_older_one_makes_them_stale(fleet: Fleet):
    for night in ("2026-02-28", "2026-03-02"):
        assert fleet.nightly("--as-of", night).code == 0
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        opened = con.sql("SELECT as_of, event FROM reports.ticket_events ORDER BY as_of").fetchall()
    assert [event for _, event in opened].count("opened") == 1
    assert len(list((fleet.run / "tickets").glob("*.md"))) == 1
    # a limit that nothing can reach: run again, the older night opens no ticket, so the later one is stale
    fleet.config.write_text(fleet.config.read_text().replace("value: 90", "value: 101"))
    again = fleet.nightly("--as-of", "2026-02-28")
    assert again.code == 0 and "stale night" in again.out
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        assert con.sql("SELECT status FROM main.runs ORDER BY as_of").fetchall() == [("done",), ("stale",)]
    # and the newest night, run again, tells the tracker that the ticket is no more
    assert fleet.nightly("--as-of", "2026-03-02").code == 0
    (line,) = (fleet.run / "tickets" / "tickets.jsonl").read_text().splitlines()
    assert json.loads(line)["event"] == "withdrawn" and json.loads(line)["status"] == "resolved"
    assert "Withdrawn" in (fleet.run / "tickets" / json.loads(line)["file"]).read_text()


def test_check_says_one_line_a_finding(fleet: Fleet):
    good = fleet.forewarn("check", "--config", str(fleet.config))
    assert good.code == 0 and "source fleet: 5 readable files" in good.out
    (fleet.folder / "incidents.csv").unlink()
    bad = fleet.forewarn("check", "--config", str(fleet.config))
    assert bad.code == 2 and "fault" in bad.out and "incidents.csv" in bad.out


def test_report_needs_no_warehouse(fleet: Fleet, tmp_path: Path):
    done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert {"mttr.html", "mttr.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert any(path.suffix == ".png" for path in (tmp_path / "out").iterdir())
    assert not (fleet.run / "warehouse.duckdb").exists()
