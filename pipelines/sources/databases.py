"""Databases as the SQL source asks them: DuckDB and SQLite files, and servers through SQLAlchemy, all read-only.

Belongs here: opening one, binding a span's times, and its answer as Arrow tables, some rows at a time. Not here: which
spans are asked, and what becomes of the rows (``sql_query``).
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from pipelines.settings import Settings
from pipelines.source_options import Sql
from pipelines.sources.errors import DISK_FULL, InputError, NotFetchedError, shown
from pipelines.sources.remembered import (
    Span,
)
from pipelines.sources.sql import literal

ROWS_AT_ONCE = 50_000
BIND = re.compile(r"(?<![:\w])(:(?:since|until)\b)")
CONNECT_S = 15
PATIENT = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Drivers that are told how long to wait for a connection, and take it under this name."""
EXTRAS = {"postgresql": "forewarn[postgres]"}
"""Database -> what brings a driver."""
COLUMNS = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
    date: pa.date32(),
}


class Database(ABC):
    """Something that takes the query.

    name: as people may see it: host and database, or the file.
    """

    name: str

    @abstractmethod
    def answer(self, span: Span) -> AbstractContextManager[Iterator[pa.Table]]:
        """The rows of a span, `ROWS_AT_ONCE`.

        Raises:
            NotFetchedError: also while the tables are read.
        """
        ...


def open_database(source: Sql, settings: Settings) -> Database:
    """The database that a source names; a server is not asked yet.

    Raises:
        InputError: its file or driver is missing, or the query is not one SELECT.
    """
    if source.duckdb is not None:
        return _DuckDb(source.duckdb, source, settings)
    if source.sqlite is not None:
        return _Sqlite(source.sqlite, source, settings)
    return _Server(source.url.get_secret_value() if source.url else "", source)


def _single(query: str) -> str:
    return query.strip().removesuffix(";")


def _binds(span: Span, times: str, zone: str | None, *, aware: bool) -> dict[str, object]:
    """:since and :until as the settings say they are; `aware` where the database knows instants."""
    of_span = {"since": span.since, "until": span.until}
    instants = {name: each.replace(tzinfo=UTC) for name, each in of_span.items()}
    match times:
        case "epoch":
            return {name: int(each.timestamp()) for name, each in instants.items()}
        case "text":
            return {name: each.strftime("%Y-%m-%dT%H:%M:%SZ") for name, each in instants.items()}
        case _ if aware:
            return dict(instants)
    local = ZoneInfo(zone or "UTC")
    return {name: each.astimezone(local).replace(tzinfo=None) for name, each in instants.items()}


def file_of(path: str, settings: Settings) -> Path:
    """A file that the settings name.

    Raises:
        InputError: it does not exist.
    """
    found = settings.path(path)
    if not found.is_file():
        raise InputError(f"{shown(str(found))}: does not exist; correct the source's path in the settings")
    return found


class _DuckDb(Database):
    """A DuckDB file, or none: then the query names files. Straight into Arrow."""

    def __init__(self, file: str, source: Sql, settings: Settings):
        self._source = source
        self._settings = settings
        self._path = None if file == ":memory:" else file_of(file, settings)
        self.name = shown(file)
        self._query = re.sub(BIND, lambda bind: f"${bind[0][1:]}", _single(source.query))
        try:
            with duckdb.connect(":memory:") as con:
                statements = con.extract_statements(self._query)
        except duckdb.Error as error:
            raise InputError(f"{self.name}: query: {_first_line(error)}; correct it") from error
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise InputError(f"{self.name}: query: is not one SELECT; write it as one")

    @contextmanager
    def answer(self, span: Span) -> Iterator[Iterator[pa.Table]]:
        zone = self._source.time_zone or "UTC"
        binds = _binds(span, self._source.times or "timestamp", zone, aware=True)
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        try:
            with duckdb.connect(self._path or ":memory:", read_only=self._path is not None, config=config) as con:
                con.execute(f"SET TimeZone = {literal(zone)}")
                con.execute(f"SET memory_limit = {literal(self._settings.storage.memory_limit)}")
                con.execute(f"SET file_search_path = {literal(str(self._settings.folder.resolve()))}")
                reader = con.sql(self._query, params=binds).to_arrow_reader(ROWS_AT_ONCE)
                yield (pa.Table.from_batches([batch]) for batch in reader)
        except (duckdb.Error, pa.ArrowException) as error:
            if DISK_FULL in str(error):
                raise
            raise NotFetchedError(f"{self.name}: {_first_line(error)}") from error


class _Alchemy(Database):
    """What SQLAlchemy speaks to. Its drivers hand out rows; these become columns some at a time."""

    def __init__(self, source: Sql, engine: sa.Engine, name: str, times: str):
        self._source = source
        self._engine = engine
        self._times = source.times or times
        self.name = name
        # Our two binds and no other: any colon else is a colon.
        parts = re.split(BIND, _single(source.query))
        self._query = sa.text("".join(part if at % 2 else part.replace(":", r"\:") for at, part in enumerate(parts)))

    @contextmanager
    def answer(self, span: Span) -> Iterator[Iterator[pa.Table]]:
        zone = self._source.time_zone
        binds = _binds(span, self._times, zone, aware=self._engine.dialect.name == "postgresql")
        try:
            with self._engine.connect() as connection:
                options = {"stream_results": True, "max_row_buffer": ROWS_AT_ONCE}
                if self._engine.dialect.name == "postgresql":
                    options["postgresql_readonly"] = True
                result = connection.execution_options(**options).execute(self._query, binds)
                names = list(result.keys())
                yield (_table(names, rows) for rows in result.partitions(ROWS_AT_ONCE))
        except SQLAlchemyError as error:
            raise NotFetchedError(f"{self.name}: {self._told(error)}") from error
        finally:
            self._engine.dispose()

    def _told(self, error: SQLAlchemyError) -> str:
        """What the database says, without what SQLAlchemy adds, and without secrets."""
        said = _first_line(error.orig if isinstance(error, DBAPIError) and error.orig else error)
        url = self._engine.url
        secrets = [url.password, *(each for each in url.query.values() if isinstance(each, str))]
        for secret in filter(None, secrets):
            said = said.replace(str(secret), "***").replace(quote(str(secret), safe=""), "***")
        return said


class _Sqlite(_Alchemy):
    """An SQLite file. Bytes that are no UTF-8 are shown as escapes, so that one text does not cost the rest."""

    def __init__(self, file: str, source: Sql, settings: Settings):
        path = file_of(file, settings)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
            connection.text_factory = lambda text: text.decode(errors="backslashreplace")
            return connection

        super().__init__(
            source, sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool), shown(file), "text"
        )


class _Server(_Alchemy):
    """A database that is asked over a network."""

    def __init__(self, address: str, source: Sql):
        try:
            url = sa.make_url(address)
        except (ArgumentError, ValueError) as error:  # its own words hold the URL
            raise InputError(
                f"source {source.name}: url: is none of a database; write it as postgresql+psycopg://user@host/database"
            ) from error
        if source.password is not None:
            url = url.set(password=source.password.get_secret_value())
        backend = url.get_backend_name()
        port = f":{url.port}" if url.port else ""
        name = shown(f"{url.host or backend}{port}/{url.database or ''}")
        if backend in ("sqlite", "duckdb"):
            raise InputError(
                f"source {source.name}: url: files are named by path; write {backend}: FILE instead of url"
            )
        try:
            engine = sa.create_engine(
                url,
                poolclass=sa.NullPool,
                connect_args={"connect_timeout": CONNECT_S} if url.get_driver_name() in PATIENT else {},
            )
        except NoSuchModuleError as error:
            raise InputError(
                f"{name}: SQLAlchemy knows no {shown(url.drivername)!r}; correct the source's url"
            ) from error
        except ModuleNotFoundError as error:
            package = EXTRAS.get(backend, "its package beside forewarn")
            raise InputError(f"{name}: its driver {error.name!r} is not installed; install {package}") from error
        super().__init__(source, engine, name, "timestamp")
        if backend == "postgresql":
            event.listen(engine, "connect", self._begin)

    def _begin(self, connection: Any, record: object) -> None:
        """PostgreSQL's own clock and patience are set to the source's."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"SET TIME ZONE {literal(self._source.time_zone or 'UTC')}")
            cursor.execute(f"SET statement_timeout = {int(self._source.timeout_s * 1000)}")
        connection.commit()


def _first_line(error: BaseException) -> str:
    return shown(next(iter(str(error).strip().splitlines()), type(error).__name__))


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    return pa.table([_column(name, values) for name, values in zip(names, zip(*rows, strict=True), strict=True)], names)


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    """A column in the one type that its values have, else as text."""
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if name == "value" and kinds <= {int, float, Decimal}:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        if kinds == {datetime} and len({value.tzinfo is None for value in values if value is not None}) == 1:
            naive = next(value for value in values if value is not None).tzinfo is None
            return pa.array(values, pa.timestamp("us", None if naive else "UTC"))
        if len(kinds) == 1 and kinds <= COLUMNS.keys():
            return pa.array(values, COLUMNS[kinds.pop()])
    except (OverflowError, UnicodeError, pa.ArrowException):  # beyond the type; a lone surrogate
        pass
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return text.encode(errors="backslashreplace").decode()
