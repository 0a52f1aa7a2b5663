"""Parquet files that a command line names: whether each can be read, and which of its columns plays which part.

Belongs here: one file, one line for what is wrong with it. Not here: files that the settings name (``files``), whose
columns may be mapped; and what rows mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import duckdb

from pipelines.sources.columns import Part
from pipelines.sources.errors import InputError, reading_failed, shown
from pipelines.sources.sql import file_name, quoted


@dataclass(frozen=True)
class Table:
    """A Parquet file that has what it needs.

    name: for messages. types: canonical name -> DuckDB type, of the parts that it has.
    """

    path: Path
    name: str
    types: Mapping[str, str]

    @property
    def scan(self) -> str:
        """What to select from; a folder called ``a=b`` is no column."""
        return f"read_parquet({file_name(self.path)}, hive_partitioning = false)"


def find(con: duckdb.DuckDBPyConnection, path: Path, parts: Mapping[str, Part], what: str) -> Table:
    """Look at a file's columns.

    Args:
        what: what the file is to the command, such as METRICS.

    Raises:
        InputError: it cannot be read, or a column is missing or of a type that cannot be.
    """
    name = shown(str(path))
    _readable(path, name, what)
    scan = Table(path, name, {}).scan
    try:
        columns = {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}
    except duckdb.Error as error:
        raise reading_failed(name, error, "is not a readable Parquet file") from error
    missing = next((part for part in parts if parts[part].required and part not in columns), None)
    if missing is not None:
        near = get_close_matches(missing, columns, n=1)
        meant = f" (did you mean {shown(near[0])!r}?)" if near else ""
        raise InputError(f"{name}: has no column {missing!r}{meant}; {what} need {', '.join(parts)}")
    types = {part: columns[part] for part in parts if part in columns}
    for part, kind in types.items():
        if not parts[part].kind.may_be(kind):
            must = parts[part].kind.words
            raise InputError(f"{name}: column {part!r} is of type {shown(kind)}, but must be {must}; write it as one")
    return Table(path, name, types)


def _readable(path: Path, name: str, what: str) -> None:
    if name != str(path):  # DuckDB takes names as UTF-8
        raise InputError(f"{name}: the file's name holds characters that cannot be shown; rename it")
    if path.is_dir():
        raise InputError(f"{name}: is a folder; {what} are Parquet files, name them one by one")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read ({why}); name a file that is there") from error
    if magic != b"PAR1":
        raise InputError(f"{name}: is not a Parquet file; {what} are read from Parquet alone")


def column(part: str) -> str:
    """SQL of a part: its column has its name."""
    return quoted(part)
