"""Files become scans: batches of Parquet files of one layout, every row with the number of its file and its own.

CSV is first landed as Parquet, every column as text, so that all that follows reads one format and each file once.
DuckDB reads a clean file fast but refuses a broken one whole; then the file is read row by row, so that only its broken
rows are refused, each with its number. Blank lines are no rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, groupby, islice
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.errors import reading_failed
from pipelines.sources.files import UNPACKING_ERRORS, Dialect, FileReport, open_text, undecoded
from pipelines.sources.rejects import BROKEN_ROW, Rejects
from pipelines.sources.sql import file_name, literal, parquet, quoted, write

VIRTUAL = {"filename", "file_index", "file_row_number"}
"""Columns that DuckDB adds to a scan, unless the file has one of that name."""

ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Batch:
    """Files of one layout, read in one scan.

    first_no: the number of the first of them.
    scan: what to select from.
    file_no, file_row: SQL for the number of the file among the source's, and of the row in it; its first row is 1.
    columns: column of the files -> its name in the scan as SQL, and its DuckDB type.
    parts: canonical name -> column of the files.
    """

    files: tuple[FileReport, ...]
    first_no: int
    scan: str
    file_no: str
    file_row: str
    columns: dict[str, tuple[str, str]]
    parts: dict[str, str]

    def column(self, part: str) -> str:
        """SQL of the column that plays a part."""
        return self.columns[self.parts[part]][0]

    def find(self, part: str) -> str | None:
        """The same, None where no column plays it."""
        return self.column(part) if part in self.parts else None

    def name(self, file_no: int) -> str:
        return self.files[file_no - self.first_no].name

    def type(self, part: str) -> str:
        return self.columns[self.parts[part]][1]


def land(
    con: duckdb.DuckDBPyConnection,
    reports: Sequence[FileReport],
    rejects: Rejects,
    folder: Path,
    *,
    first_no: int = 0,
    padded: bool = False,
) -> list[Batch]:
    """Batches that hold every file once.

    Args:
        reports: the files, numbered in their order.
        rejects: receives the broken rows of CSV files.
        folder: for landed copies; the caller removes it.
        first_no: the number of the first file.
        padded: whether rows of CSV files may end early, as people write them; else they are broken.

    Raises:
        InputError: a file changed since it was inspected, or is cut short.
    """
    opened = [
        _open(con, number, report, rejects, folder, padded=padded) for number, report in enumerate(reports, first_no)
    ]
    return [_batch(list(group)) for _, group in groupby(opened, key=lambda file: file.layout)]


@dataclass(frozen=True)
class _Opened:
    """One file, ready to be scanned; `landed` where it is a copy with positional names and a column file_row."""

    number: int
    report: FileReport
    path: Path
    landed: bool

    @property
    def layout(self) -> tuple[object, ...]:
        return self.landed, tuple(self.report.columns.items()), tuple(self.report.parts.items())


def _open(
    con: duckdb.DuckDBPyConnection, number: int, report: FileReport, rejects: Rejects, folder: Path, *, padded: bool
) -> _Opened:
    target = folder / f"{number}.parquet"
    if report.dialect is not None:
        try:
            _land_clean(con, report.path, report.dialect, target)
        except duckdb.InvalidInputException:
            _land_row_by_row(number, report, report.dialect, target, rejects, padded=padded)
        except duckdb.IOException as error:
            raise reading_failed(report.name, error) from error
        return _Opened(number, report, target, landed=True)
    if VIRTUAL & {column.lower() for column in report.columns}:
        with explained(con, [report]):
            _land_renamed(con, report, target)
        return _Opened(number, report, target, landed=True)
    return _Opened(number, report, report.path, landed=False)


def _batch(opened: list[_Opened]) -> Batch:
    first = opened[0]
    names = [f"c{i}" if first.landed else quoted(column) for i, column in enumerate(first.report.columns)]
    return Batch(
        files=tuple(file.report for file in opened),
        first_no=first.number,
        scan=parquet(*(file.path for file in opened)),
        file_no=f"{first.number} + file_index",
        file_row="file_row" if first.landed else "file_row_number + 1",
        columns={
            column: (name, kind) for name, (column, kind) in zip(names, first.report.columns.items(), strict=True)
        },
        parts=dict(first.report.parts),
    )


# ------------------------------------------------------------------------------------------------------------- copies


def _land_renamed(con: duckdb.DuckDBPyConnection, report: FileReport, target: Path) -> None:
    columns = ", ".join(f"{quoted(column)} AS c{i}" for i, column in enumerate(report.columns))
    write(con, f"SELECT row_number() OVER () AS file_row, {columns} FROM {parquet(report.path)}", target)


def _land_clean(con: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, target: Path) -> None:
    """Land a CSV file by DuckDB, without letting it guess anything.

    Raises:
        duckdb.InvalidInputException: some row is broken.
    """
    positions = ", ".join(f"'p{i}': 'VARCHAR'" for i in range(len(dialect.header)))
    write(
        con,
        f"""
        SELECT row_number() OVER () AS file_row, {", ".join(f"p{i} AS c{c}" for c, i in enumerate(dialect.named))}
        FROM read_csv(
            {file_name(path)}, auto_detect = false, header = true, columns = {{{positions}}},
            delim = {literal(dialect.delimiter)}, quote = '"', escape = '"',
            compression = '{"gzip" if dialect.gzip else "none"}'
        )
        """,
        target,
    )


def _land_row_by_row(
    number: int, report: FileReport, dialect: Dialect, target: Path, rejects: Rejects, *, padded: bool
) -> None:
    """Land the sound rows of a CSV file and refuse the others."""
    schema = pa.schema([("file_row", pa.int64()), *((f"c{c}", pa.string()) for c in range(len(dialect.named)))])
    first_row = 1
    try:
        with open_text(report.path, dialect) as file, pq.ParquetWriter(target, schema) as writer:
            for chunk in _chunks(file, dialect):
                records = [_filled(record, len(dialect.header)) for record in chunk] if padded else chunk
                faults = [_fault(record, len(dialect.header)) for record in records]
                numbered = list(zip(count(first_row), records, faults, strict=False))
                rejects.add(number, BROKEN_ROW, [(row, fault) for row, _, fault in numbered if fault])
                sound = [record for record, fault in zip(records, faults, strict=True) if not fault]
                rows = pa.array([row for row, _, fault in numbered if not fault], pa.int64())
                fields = list(zip(*sound, strict=True)) or [()] * len(dialect.header)
                texts = [pa.array(fields[i], pa.string()) for i in dialect.named]
                writer.write_table(pa.table([rows, *texts], schema))
                first_row += len(records)
    except UNPACKING_ERRORS as error:
        raise reading_failed(report.name, error) from error


def _chunks(file: IO[str], dialect: Dialect) -> Iterator[list[list[str] | csv.Error]]:
    """The data rows of a file; after a fault of quoting, reading goes on with the next line."""
    reader = csv.reader(file, delimiter=dialect.delimiter, strict=True)
    next(reader)
    read_up_to = 0
    while reader.line_num > read_up_to:
        read_up_to = reader.line_num
        records: list[list[str] | csv.Error] = []
        try:
            records.extend(filter(None, islice(reader, ROWS_AT_ONCE)))  # keeps what came before an error
        except csv.Error as error:
            records.append(error)
        yield records


def _filled(record: list[str] | csv.Error, width: int) -> list[str] | csv.Error:
    """A row that ends early, with empty cells to its end."""
    return record if isinstance(record, csv.Error) else record + [""] * (width - len(record))


def _fault(record: list[str] | csv.Error, width: int) -> str | None:
    if isinstance(record, csv.Error):
        return str(record)
    if len(record) != width:
        return f"{len(record)} fields instead of {width}: {record[0]}"
    text = "".join(record)
    return "not UTF-8" if not text.isascii() and undecoded(text) else None


# -------------------------------------------------------------------------------------------------------------- faults


@contextmanager
def explained(con: duckdb.DuckDBPyConnection, files: Sequence[FileReport]) -> Iterator[None]:
    """Find the damaged file behind an error of a scan.

    Raises:
        InputError: one of the files cannot be read; if none can be blamed the error stays what it was.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        for report in files:
            if report.dialect is None:
                try:
                    con.execute(f"SELECT bit_xor(hash(file)) FROM {parquet(report.path)} AS file").fetchall()
                except duckdb.Error as error:
                    raise reading_failed(report.name, error) from error
        raise
