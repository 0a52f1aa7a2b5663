"""The DuckDB warehouse: one writer for seconds at a time, readers on a snapshot, and a schema that only moves forward.

Belongs here: opening, locking, migrating, snapshotting. Not here: what a night writes (``pipelines.publishing``).

DuckDB lets one process write or many read. So stages hand each other Parquet frames, one publisher opens the file
read-write for its transaction and closes it in ``finally``, and everybody else reads ``snapshot.duckdb``, a copy that
is replaced whole after every night.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

MIGRATIONS = Path(__file__).parent / "migrations"
SNAPSHOT_LEAVES_OUT = {("raw", "samples"), ("raw", "pending_days")}


class WarehouseError(Exception):
    """The warehouse cannot be used; the message is one line with the mend."""


class Warehouse:
    """A DuckDB file under the storage root.

    Args:
        folder: where `warehouse.duckdb`, `snapshot.duckdb` and the spill folder live; made when missing.
        memory_limit: of DuckDB; it spills to the folder beyond it.
        patience_s: how long to wait for another process that holds the file.
    """

    def __init__(self, folder: Path, memory_limit: str = "1GiB", patience_s: float = 20.0):
        self.folder = folder
        self.path = folder / "warehouse.duckdb"
        self.snapshot_path = folder / "snapshot.duckdb"
        self.memory_limit = memory_limit
        self.patience_s = patience_s

    # ------------------------------------------------------------------------------------------------- connections

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection inside one transaction: committed on leaving, rolled back on an exception."""
        con = self._open(read_only=False)
        try:
            con.execute("BEGIN")
            try:
                yield con
            except BaseException:
                con.execute("ROLLBACK")
                raise
            con.execute("COMMIT")
        except duckdb.IOException as error:
            raise self._explained(error) from error
        finally:
            con.close()

    @contextmanager
    def autocommit(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection in which every statement is a commit of its own, as a write-ahead ledger needs it."""
        con = self._open(read_only=False)
        try:
            yield con
        except duckdb.IOException as error:
            raise self._explained(error) from error
        finally:
            con.close()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the warehouse itself, for the nightly's own stages."""
        con = self._open(read_only=True)
        try:
            yield con
        finally:
            con.close()

    @contextmanager
    def scratch(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An in-memory connection with the warehouse's limits, for staging: it spills, and locks nothing."""
        con = duckdb.connect(":memory:")
        try:
            self._configure(con)
            yield con
        finally:
            con.close()

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        self._make_folder()
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                con = duckdb.connect(self.path, read_only=read_only)
                break
            except duckdb.IOException as error:
                if not _is_locked(error) or time.monotonic() >= deadline:
                    raise self._explained(error) from error
                time.sleep(0.25)
            except duckdb.Error as error:
                raise self._explained(error) from error
        try:
            self._configure(con)
        except BaseException:
            con.close()
            raise
        return con

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"{self.folder}: cannot be made ({error.strerror}); correct storage.root") from error

    def _configure(self, con: duckdb.DuckDBPyConnection) -> None:
        spill = self.folder / "spill"
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET memory_limit = $limit", {"limit": self.memory_limit})
        con.execute("SET temp_directory = $spill", {"spill": str(spill)})

    def _explained(self, error: duckdb.Error) -> WarehouseError:
        said = str(error).splitlines()[0]
        if _is_locked(error):
            holder = re.search(r"PID (\d+)", str(error))
            who = f"process {holder[1]}" if holder else "another process"
            return WarehouseError(
                f"{self.path}: is locked by {who}; let it finish or end it (readers: open snapshot.duckdb instead)"
            )
        if "version" in said and "newer" in said:
            return WarehouseError(f"{self.path}: written by a newer DuckDB; upgrade the environment ({said})")
        if "No space left" in str(error) or "Disk quota" in str(error) or "max_temp_directory_size" in str(error):
            return WarehouseError(f"{self.path}: the disk is full; free some space and run the night again")
        return WarehouseError(f"{self.path}: {said}")

    # --------------------------------------------------------------------------------------------------- migration

    def migrate(self) -> int:
        """Bring the schema forward, one migration a transaction.

        Returns:
            The schema's version.

        Raises:
            WarehouseError: the file is locked, unreadable, or of a newer Forewarn.
        """
        known = migrations()
        newest = max(known)
        con = self._open(read_only=False)
        try:
            con.execute(
                "CREATE TABLE IF NOT EXISTS main.schema_version (version INTEGER NOT NULL, name VARCHAR NOT NULL,"
                " applied_at TIMESTAMP NOT NULL DEFAULT current_localtimestamp())"
            )
            current = con.sql("SELECT coalesce(max(version), 0) FROM main.schema_version").fetchall()[0][0]
            if current > newest:
                raise WarehouseError(
                    f"{self.path}: has schema {current}, this Forewarn knows {newest};"
                    " upgrade Forewarn, or restore a backup"
                )
            for version in range(current + 1, newest + 1):
                _apply(con, version, known[version])
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            con.close()
        return newest

    # ---------------------------------------------------------------------------------------------------- snapshot

    def snapshot(self) -> Path:
        """Replace the readers' copy. It leaves raw samples out, and older DuckDBs (1.5) can read it.

        A reader that holds the old copy keeps it: the file is replaced, not rewritten.
        """
        fresh = self.snapshot_path.with_suffix(".tmp")
        fresh.unlink(missing_ok=True)
        with self.scratch() as con:
            con.execute(f"ATTACH {quoted(self.path)} AS w (READ_ONLY)")
            con.execute(f"ATTACH {quoted(fresh)} AS snap (STORAGE_VERSION 'v1.5.0')")
            tables = con.sql(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'w' ORDER BY ALL"
            ).fetchall()
            views = con.sql(
                "SELECT schema_name, view_name, sql FROM duckdb_views()"
                " WHERE database_name = 'w' AND NOT internal ORDER BY ALL"
            ).fetchall()
            for schema, table in tables:
                con.execute(f'CREATE SCHEMA IF NOT EXISTS snap."{schema}"')
                if (schema, table) not in SNAPSHOT_LEAVES_OUT:
                    con.execute(f'CREATE TABLE snap."{schema}"."{table}" AS FROM w."{schema}"."{table}"')
            con.execute("USE snap")
            for _schema, _view, sql in views:
                con.execute(sql)
            con.execute("USE memory")
            con.execute("DETACH snap")
            con.execute("DETACH w")
        return fresh.replace(self.snapshot_path)


def _is_locked(error: duckdb.Error) -> bool:
    return "Could not set lock" in str(error) or "Conflicting lock" in str(error)


def migrations() -> dict[int, Path]:
    """Version -> file, from names such as 0001_the_house.sql."""
    return {int(path.name[:4]): path for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


def _apply(con: duckdb.DuckDBPyConnection, version: int, path: Path) -> None:
    con.execute("BEGIN")
    try:
        con.execute(path.read_text(encoding="utf-8"))
        con.execute("INSERT INTO main.schema_version (version, name) VALUES (?, ?)", [version, path.stem])
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def quoted(text: str | Path) -> str:
    """A SQL string literal, for the few places (ATTACH, COPY) that take no bound parameter."""
    return "'" + str(text).replace("'", "''") + "'"
