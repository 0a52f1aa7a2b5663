import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pipelines import warehouse as warehouse_module
from pipelines.warehouse import Warehouse, WarehouseError


def test_a_transaction_is_whole_or_not_at_all(warehouse: Warehouse):
    with pytest.raises(ZeroDivisionError), warehouse.writer() as con:
        con.execute("INSERT INTO raw.pending_days VALUES ('a', '2026-01-01', 'run')")
        raise ZeroDivisionError
    with warehouse.reader() as con:
        assert con.sql("SELECT count(*) FROM raw.pending_days").fetchall() == [(0,)]


def test_migrating_twice_changes_nothing(warehouse: Warehouse):
    assert warehouse.migrate() == warehouse.migrate()


def test_an_older_warehouse_keeps_its_rows(tmp_path: Path, monkeypatch):
    """A warehouse of every earlier version becomes the newest: the same rows, and the same tables as a fresh one."""
    known = warehouse_module.migrations()
    fresh = Warehouse(tmp_path / "fresh", patience_s=0)
    fresh.migrate()
    for version in sorted(known)[:-1]:
        older = tmp_path / f"migrations-{version}"
        older.mkdir()
        for path in list(known.values())[:version]:
            (older / path.name).write_text(path.read_text())
        warehouse = Warehouse(tmp_path / f"of-{version}", patience_s=0)
        with monkeypatch.context() as past:
            past.setattr(warehouse_module, "MIGRATIONS", older)
            assert warehouse.migrate() == version
            with warehouse.writer() as con:
                con.execute(
                    "INSERT INTO features.profiles (as_of, series_id, shape, history_h, observed_h,"
                    " longest_gap_h, resets, steps, is_integer)"
                    " VALUES ('2026-01-01', 7, 'trend', 48, 40, 3, 2, 1, true)"
                )
        assert warehouse.migrate() == max(known)
        with warehouse.reader() as con:
            kept = con.sql("SELECT series_id, shape, history_h, resets, is_integer, ceiling FROM features.profiles")
            assert kept.fetchall() == [(7, "trend", 48, 2, True, None)]
        assert tables(warehouse) == tables(fresh)


def tables(warehouse: Warehouse) -> list[tuple]:
    told = "schema_name, table_name, column_name, column_index, data_type, is_nullable"
    with warehouse.reader() as con:
        return con.sql(f"SELECT {told} FROM duckdb_columns() WHERE NOT internal ORDER BY ALL").fetchall()


def test_a_migration_that_fails_leaves_the_version_before(warehouse: Warehouse, tmp_path: Path, monkeypatch):
    newest = max(warehouse_module.migrations())
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in warehouse_module.migrations().values():
        (folder / path.name).write_text(path.read_text())
    (folder / f"{newest + 1:04}_good.sql").write_text("CREATE TABLE main.good (x INTEGER)")
    (folder / f"{newest + 2:04}_bad.sql").write_text("CREATE TABLE main.half (x INTEGER); SELECT nothing FROM nowhere")
    monkeypatch.setattr(warehouse_module, "MIGRATIONS", folder)
    with pytest.raises(WarehouseError):
        warehouse.migrate()
    with warehouse.reader() as con:
        tables = {row[0] for row in con.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
        version = con.sql("SELECT max(version) FROM main.schema_version").fetchall()[0][0]
    assert "good" in tables and "half" not in tables and version == newest + 1


def test_a_warehouse_of_a_newer_version_is_refused(warehouse: Warehouse):
    with warehouse.writer() as con:
        con.execute("INSERT INTO main.schema_version (version, name) VALUES (999, 'from the future')")
    with pytest.raises(WarehouseError, match=r"schema 999.*upgrade Forewarn"):
        warehouse.migrate()


def test_a_locked_warehouse_is_said_with_its_holder(warehouse: Warehouse):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; c = duckdb.connect({str(warehouse.path)!r}); print('held', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(WarehouseError, match=f"locked by process {holder.pid}"), warehouse.writer():
            pass
    finally:
        holder.communicate(b"\n")
    with warehouse.writer():
        pass


def test_a_file_that_is_no_warehouse_is_said(tmp_path: Path):
    (tmp_path / "warehouse.duckdb").write_bytes(os.urandom(8192))
    with pytest.raises(WarehouseError, match=r"warehouse\.duckdb: "):
        Warehouse(tmp_path, patience_s=0).migrate()


def test_readers_of_the_snapshot_do_not_block_the_writer_and_see_whole_nights(warehouse: Warehouse):
    with warehouse.writer() as con:
        con.execute("INSERT INTO raw.series VALUES (1, 's', 'it''s', 'm', '{}', NULL, NULL)")
        con.execute("INSERT INTO raw.samples VALUES (1, '2026-01-01', 1.5)")
    reader = duckdb.connect(warehouse.snapshot(), read_only=True)
    try:
        with warehouse.writer() as con:
            con.execute("DELETE FROM raw.series")
        warehouse.snapshot()
        assert reader.sql("SELECT entity FROM raw.series").fetchall() == [("it's",)]
        assert reader.sql("FROM reports.tickets").fetchall() == []
        assert ("raw", "samples") not in set(
            reader.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        )
    finally:
        reader.close()


def test_hostile_folder_names_are_quoted(tmp_path: Path):
    odd = Warehouse(tmp_path / "it's; DROP TABLE raw.series --", patience_s=0)
    odd.migrate()
    assert odd.snapshot().exists()


def test_a_damaged_file_is_not_taken_for_a_locked_one(warehouse: Warehouse):
    with warehouse.writer() as con:
        con.execute("INSERT INTO raw.series SELECT range, 's', 'e', 'm', '{}', NULL, NULL FROM range(100000)")
    content = bytearray(warehouse.path.read_bytes())
    for at in range(12288 + 64, len(content), 4096):
        content[at] ^= 0xFF
    warehouse.path.write_bytes(content)
    with pytest.raises((WarehouseError, duckdb.Error)) as caught, warehouse.writer() as con:
        con.execute("SELECT sum(series_id) FROM raw.series").fetchall()
    assert "locked" not in str(caught.value)
