"""Which files a source has, and whether each can be read: cheap, before a run begins, without reading the rows.

Belongs here: globs, formats, headers and schemas. Not here: rows (``landing`` and what follows it).
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb

from pipelines.settings import Settings
from pipelines.sources.columns import Part, assign
from pipelines.sources.errors import InputError, reading_failed, shown
from pipelines.sources.findings import Finding

DELIMITERS = ",;\t|"
GZIP = b"\x1f\x8b"
HEAD_CHARACTERS = 1 << 16
UNPACKING_ERRORS = (OSError, EOFError, zlib.error)
FOREIGN = {
    b"PK\x03\x04": "is a ZIP or Excel file; export it as CSV or Parquet",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; use gzip or Parquet",
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
}


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written; the quote is always ``"``, doubled inside quotes."""

    delimiter: str
    gzip: bool
    header: tuple[str, ...]
    """Names by position; columns without a name are left out of everything else."""

    @property
    def named(self) -> list[int]:
        """Positions of the columns that have a name."""
        return [i for i, column in enumerate(self.header) if column]


@dataclass(frozen=True)
class FileReport:
    """A file that can be read.

    name: as people know it: relative to the settings' folder where it lies below it.
    columns: column -> DuckDB type, in the order of the file; VARCHAR throughout for CSV.
    parts: canonical name -> column.
    rows: None for CSV, whose rows are not counted before they are read.
    dialect: None for Parquet.
    """

    path: Path
    name: str
    columns: Mapping[str, str]
    parts: Mapping[str, str]
    rows: int | None
    dialect: Dialect | None


def inspect_files(
    patterns: Sequence[str], mapping: Mapping[str, str], parts: Mapping[str, Part], settings: Settings
) -> list[FileReport]:
    """Every file that the patterns name, once, in the order of their paths.

    Raises:
        InputError: a file is missing, empty, unreadable, or lacks a column.
    """
    with duckdb.connect(":memory:") as con:
        return [inspect_file(con, path, _name(path, settings), mapping, parts) for path in _expand(patterns, settings)]


def landed_report(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, mapping: Mapping[str, str], parts: Mapping[str, Part]
) -> FileReport:
    """A Parquet file of ours, that holds what a server gave: its columns may be of any type, as those of CSV.

    Raises:
        InputError: it lacks a column.
    """
    columns, rows = _parquet_schema(con, path, name)
    return FileReport(path, name, columns, assign(name, columns, mapping, parts, typed=False), rows, None)


def readable(files: Sequence[FileReport]) -> Finding:
    """'3 readable files'."""
    return Finding("ok", f"{len(files)} readable file{'s' if len(files) != 1 else ''}")


def _expand(patterns: Sequence[str], settings: Settings) -> list[Path]:
    found: set[Path] = set()
    for pattern in patterns:
        path = settings.path(pattern)
        if path.is_dir():
            raise InputError(f"{shown(str(path))}: is a folder; name its files, such as {shown(pattern)}/*.parquet")
        matches = [path] if path.exists() else [Path(p) for p in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        files = [match for match in matches if not match.is_dir()]
        if not files:
            what = "matches no file" if glob.has_magic(str(path)) else "does not exist"
            raise InputError(f"{shown(str(path))}: {what}; correct the source's paths in the settings")
        found.update(files)
    return sorted(found)


def inspect_file(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, mapping: Mapping[str, str], parts: Mapping[str, Part]
) -> FileReport:
    """A file that people know by this name.

    Raises:
        InputError: it is empty, unreadable, or lacks a column.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); correct its permissions") from error
    if not magic:
        raise InputError(f"{name}: is empty; write it again or leave it out")
    dialect, rows = None, None
    if magic == b"PAR1" or path.suffix in (".parquet", ".pq"):
        columns, rows = _parquet_schema(con, path, name)
    else:
        columns, dialect = _csv_schema(path, name, magic, {mapping.get(part, part) for part in parts})
    assigned = assign(name, columns, mapping, parts, typed=dialect is None)
    return FileReport(path, name, columns, assigned, rows, dialect)


def _name(path: Path, settings: Settings) -> str:
    inside = path.is_relative_to(settings.folder.resolve())
    name = shown(str(path.relative_to(settings.folder.resolve()) if inside else path))
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: the file's name is not UTF-8; rename it") from error
    return name


def _parquet_schema(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> tuple[dict[str, str], int]:
    file = {"file": [glob.escape(str(path))]}
    try:
        described = con.execute("DESCRIBE SELECT * FROM read_parquet($file)", file).fetchall()
        rows = con.execute("SELECT sum(num_rows) FROM parquet_file_metadata($file)", file).fetchall()[0][0]
    except duckdb.Error as error:
        raise reading_failed(name, error, "is not a readable Parquet file") from error
    return {row[0]: row[1] for row in described}, int(rows)


def open_text(path: Path, dialect: Dialect) -> IO[str]:
    """A CSV file as text, without its byte order mark, line ends untouched as the csv module wants them.

    Bytes that are not UTF-8 become lone surrogates, so that one bad row does not spoil a file.
    """
    opened = gzip.open if dialect.gzip else open
    return opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv_schema(path: Path, name: str, magic: bytes, wanted: set[str]) -> tuple[dict[str, str], Dialect]:
    for prefix, fault in FOREIGN.items():
        if magic.startswith(prefix):
            raise InputError(f"{name}: {fault}")
    zipped = magic.startswith(GZIP)
    try:
        with open_text(path, Dialect(",", zipped, ())) as file:
            head = file.read(HEAD_CHARACTERS)
    except UNPACKING_ERRORS as error:
        raise reading_failed(name, error) from error
    if not head.strip():
        raise InputError(f"{name}: is empty; write it again or leave it out")
    if "\0" in head:
        raise InputError(f"{name}: is not CSV (it holds NUL bytes); export it as CSV or Parquet")
    dialect = max(
        (Dialect(delimiter, zipped, _header(head, delimiter)) for delimiter in DELIMITERS),
        key=lambda dialect: (len(wanted.intersection(dialect.header)), len(dialect.header)),
    )
    if wanted.isdisjoint(dialect.header) and len(dialect.header) < 2:
        raise InputError(f"{name}: does not begin with a CSV header; put the columns' names into its first line")
    twice = [column for column, n in Counter(filter(None, dialect.header)).items() if n > 1]
    if twice:
        raise InputError(f"{name}: has two columns {shown(twice[0])!r}; rename one")
    if undecoded("".join(dialect.header)):
        raise InputError(f"{name}: its header is not UTF-8; save it as UTF-8")
    return {column: "VARCHAR" for column in dialect.header if column}, dialect


def _header(head: str, delimiter: str) -> tuple[str, ...]:
    """The first record; none where it cannot be read with this delimiter."""
    try:
        return tuple(column.strip() for column in next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)))
    except csv.Error:
        return ()


def undecoded(text: str) -> bool:
    """Were there bytes that are not UTF-8? See `open_text`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
