"""SQL in small pieces: names and texts quoted, files read and written.

What comes from outside is bound where DuckDB allows it; these are for the places where it does not.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl


def quoted(column: str) -> str:
    """A column's name."""
    return '"' + column.replace('"', '""') + '"'


def literal(text: str | None) -> str:
    """A text."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def file_name(path: Path) -> str:
    """A file to read, and no other one: to DuckDB a name is a glob."""
    return literal(glob.escape(str(path)))


def parquet(*paths: Path) -> str:
    """A scan of Parquet files of one layout."""
    return f"read_parquet([{', '.join(map(file_name, paths))}])"


@contextmanager
def workspace(con: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A session on the same database, in UTC, and a folder: what is made in them goes with them."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".landing-") as landing, con.cursor() as session:
        session.execute("SET TimeZone = 'UTC'")
        yield session, Path(landing)


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> Iterator[None]:
    """A frame as a view of that name, for as long as the block lasts."""
    con.register(name, frame)
    try:
        yield
    finally:
        con.unregister(name)


def write(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write what a query selects as Parquet.

    Returns:
        The number of rows.
    """
    with replacing(path) as temporary:
        copied = con.execute(
            f"COPY ({query}) TO {literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchall()
    return copied[0][0]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside a file, which the file takes over once the block has written it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
