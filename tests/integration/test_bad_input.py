"""Unusable input and settings: one clear line, the right exit code, and what was published before stays whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from small_fleet import Fleet, write_fleet


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Fleet, dict]:
    fleet = write_fleet(tmp_path_factory.mktemp("published") / "site")
    assert fleet.nightly().code == 0
    return fleet, fleet.contents()


def missing(fleet: Fleet) -> None:
    (fleet.folder / "incidents.csv").unlink()


def empty(fleet: Fleet) -> None:
    (fleet.folder / "metrics" / "zero.csv").write_bytes(b"")


def wrong_column(fleet: Fleet) -> None:
    (fleet.folder / "metrics" / "odd.csv").write_text("entity,metric,when,value\na,b,2026-01-01T00:00:00Z,1\n")


def wrong_type(fleet: Fleet) -> None:
    fleet.config.write_text(fleet.config.read_text().replace("metrics/*.csv", "metrics/*"))
    frame = pl.DataFrame({"entity": ["a"], "metric": ["b"], "ts": [True], "value": [[1.0]]})
    frame.write_parquet(fleet.folder / "metrics" / "odd.parquet")


def truncated(fleet: Fleet) -> None:
    fleet.config.write_text(fleet.config.read_text().replace("metrics/*.csv", "metrics/*"))
    path = fleet.folder / "metrics" / "cut.parquet"
    pl.DataFrame({"entity": ["a"] * 999, "metric": "b", "ts": "2026-01-01T00:00:00Z", "value": 1.0}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])


def mixed_zones(fleet: Fleet) -> None:
    rows = "prod,a,mem,2026-02-01T00:00:00+01:00,1\nprod,a,mem,2026-02-01T01:00:00Z,1\n"
    (fleet.folder / "metrics" / "mixed.csv").write_text("source,entity,metric,ts,value\n" + rows)


def unknown_key(fleet: Fleet) -> None:
    fleet.config.write_text(fleet.config.read_text() + "\nsignal: {}\n")


def newer_warehouse(fleet: Fleet) -> None:
    fleet.run.mkdir()
    with duckdb.connect(fleet.run / "warehouse.duckdb") as con:
        con.execute("CREATE TABLE schema_version (version INTEGER, name VARCHAR, applied_at TIMESTAMP)")
        con.execute("INSERT INTO schema_version VALUES (999, 'later', NULL)")


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (missing, 2, "incidents.csv"),
        (empty, 2, "zero.csv: is empty"),
        (wrong_column, 2, "odd.csv: has no column 'ts'"),
        (wrong_type, 2, "odd.parquet: column"),
        (truncated, 2, "cut.parquet: is not a readable Parquet file"),
        (mixed_zones, 1, "mixed.csv"),
        (unknown_key, 2, "signal: unknown key"),
        (newer_warehouse, 2, "schema 999"),
    ],
)
def test_what_is_unusable_is_one_line(fleet: Fleet, spoil, code: int, said: str):
    spoil(fleet)
    done = fleet.nightly()
    assert (done.code, done.err.count("\n")) == (code, 1), done.err
    assert said in done.err and done.err.startswith("forewarn: ")


def test_a_failed_run_leaves_the_published_night_whole_and_says_why(published: tuple[Fleet, dict]):
    fleet, before = published
    mixed_zones(fleet)
    try:
        done = fleet.nightly()
        assert done.code == 1
        after = fleet.contents()
        runs = [row[1:3] for row in after.pop("main.runs")]
        assert [status for status, _ in runs] == ["done", "failed"] and "mixed.csv" in runs[1][1]
        assert after == {table: rows for table, rows in before.items() if table != "main.runs"}
    finally:
        (fleet.folder / "metrics" / "mixed.csv").unlink()


def test_a_locked_warehouse_is_named_with_its_holder(published: tuple[Fleet, dict]):
    fleet, _ = published
    path = str(fleet.run / "warehouse.duckdb")
    hold = f"import duckdb; c = duckdb.connect({path!r}); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        done = fleet.nightly()
        assert done.code == 2 and f"locked by process {holder.pid}" in done.err
    finally:
        holder.communicate(b"\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made with a small tmpfs, which only root can mount")
def test_a_full_disk_is_said_and_nothing_is_half_published(fleet: Fleet, tmp_path: Path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs, so a full disk cannot be made")
    try:
        fleet.config.write_text(fleet.config.read_text().replace("root: run", f"root: {small}"))
        done = fleet.nightly()
        assert done.code in (1, 2) and done.err.count("\n") == 1, done.err
        assert "full" in done.err or "No space left" in done.err
        assert not (small / "snapshot.duckdb").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_row_faults_are_counted_and_listed_and_the_night_goes_on(fleet: Fleet):
    rows = [
        "prod,leaky,mem,2026-03-01T00:10:00Z,nan",
        "prod,leaky,mem,2026-03-01T00:11:00Z,inf",
        "prod,leaky,mem,2026-03-01T00:12:00,5",
        "prod,leaky,mem,2999-01-01T00:00:00Z,5",
        "prod,leaky,mem,2026-03-01T00:13:00Z,many",
        "prod,new,mem,2026-03-01T00:14:00Z,5",
    ]
    (fleet.folder / "metrics" / "faults.csv").write_text("source,entity,metric,ts,value\n" + "\n".join(rows) + "\n")
    with (fleet.folder / "incidents.csv").open("a") as file:
        file.write("BAD1,t,shop,1,2026-02-01T10:00:00Z,,2026-02-01T09:00:00Z\n")
        file.write("INC1,t,shop,1,2026-02-01T10:00:00Z,,2026-02-01T11:00:00Z\n")
        file.write("BAD2,t,shop,1,2026-02-01T10:00:00,,\n")
    done = fleet.nightly()
    assert done.code == 0, done.err
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        found = con.sql("SELECT file, file_row FROM raw.rejects ORDER BY ALL").fetchall()
        kept = con.sql("SELECT count(*) FROM raw.series WHERE entity = 'new'").fetchall()
        reasons = {row[0] for row in con.sql("SELECT DISTINCT reason FROM raw.rejects").fetchall()}
    assert [row for file, row in found if file == "metrics/faults.csv"] == [1, 2, 3, 4, 5]
    assert len([row for file, row in found if file == "incidents.csv"]) == 3
    assert kept == [(1,)]
    assert len(reasons) == 7 and all(reason in done.words for reason in reasons)
