"""A query over a database, one sample a row. How rows are judged says ``metric_rows``.

The query is asked for spans of whole UTC days and its answer streamed, some rows at a time, into Parquet files: one a
span, and one more wherever a column turns to another type, as SQLite's may. From there on rows are read as those of
files are, whatever their types: text that is no number costs its row.

Nothing is ever written: DuckDB and SQLite files are opened read-only, PostgreSQL is asked in a read-only transaction,
and no more than one statement is taken. What else a database's account may do is for its owner to restrict.

A database that cannot be reached, or does not take the query, is no fault of the night: what was not fetched is a
reject. A missing file, driver or SELECT is: the night does not begin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import Sql
from pipelines.sources.columns import assign
from pipelines.sources.databases import ROWS_AT_ONCE, file_of, open_database
from pipelines.sources.errors import InputError, NotFetchedError, shown
from pipelines.sources.files import FileReport, landed_report
from pipelines.sources.findings import Finding
from pipelines.sources.metric_rows import PARTS, stage_rows
from pipelines.sources.metric_staging import StagedMetrics
from pipelines.sources.remembered import (
    Span,
    ask,
    counted,
    days_asked,
    question,
    remember,
    spans,
    wanted,
    whole_history,
)
from pipelines.sources.sql import workspace


def inspect(source: Sql, settings: Settings) -> list[Path]:
    """Whether the query is one SELECT, and its file and driver are there: the file; a server is not asked.

    Raises:
        InputError: one line with the mend.
    """
    open_database(source, settings)
    return [file_of(path, settings) for path in (source.duckdb, source.sqlite) if path not in (None, ":memory:")]


def survey(source: Sql, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it: the first rows of the last day are fetched."""
    database = open_database(source, settings)
    now = datetime.now(UTC).replace(tzinfo=None)
    try:
        with database.answer(Span(now - timedelta(days=1), now)) as tables:
            first = next((table for table in tables if table.num_rows), None)
    except NotFetchedError as error:
        yield Finding("fault", str(error))
        return
    if first is None:
        yield Finding("note", f"{database.name}: answers, but the query finds nothing of the last 24 hours")
        return
    try:
        found = assign(
            database.name, dict.fromkeys(first.column_names, "VARCHAR"), {**source.columns}, PARTS, typed=False
        )
    except InputError as error:
        yield Finding("fault", str(error))
        return
    labels = [shown(name) for name in first.column_names if name not in found.values()]
    many = "at least " if first.num_rows >= ROWS_AT_ONCE else ""
    told = f"labels {', '.join(labels)}" if labels else "no labels"
    yield Finding("ok", f"{database.name}: {many}{first.num_rows:,} rows of the last 24 hours, {told}")


def stage(
    con: duckdb.DuckDBPyConnection,
    source: Sql,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``."""
    database = open_database(source, settings)
    asked = question(database.name, source.query, source.times, source.time_zone, source.columns, signals=signals)
    history = whole_history(as_of, source.history_days)
    landed: dict[str, Span] = {}
    reports: list[FileReport] = []
    with workspace(con, folder) as (own, landing):

        def fetch(span: Span) -> None:
            with database.answer(span) as tables:
                paths = _land(database.name, tables, landing / f"{span.since:%Y%m%d}")
            names = [f"{database.name}, {span}" + (f", part {n}" if n > 1 else "") for n in range(1, len(paths) + 1)]
            try:
                found = [
                    landed_report(own, path, name, {**source.columns}, PARTS)
                    for path, name in zip(paths, names, strict=True)
                ]
            except InputError as error:
                raise NotFetchedError(str(error)) from error
            reports.extend(found)
            landed.update(dict.fromkeys(names, span))

        todo = spans(wanted(fetched, asked, history), history, source.days_at_once)
        answered, unfetched = ask(todo, fetch, database.name)
        staged, unusable = stage_rows(
            own,
            source.name,
            reports,
            signals,
            time_zone=source.time_zone,
            as_of=as_of,
            now=now,
            folder=folder,
            dispensable=landed,
            unfetched=unfetched,
        )
        spoiled = {landed[name] for name in unusable}
        came = [span for span in answered if span not in spoiled]
        days = days_asked(asked, came, now, source.settles_after_h)
        path = remember(folder, source.name, days, counted(own, staged.samples))
    return replace(staged, fetched=path)


# ------------------------------------------------------------------------------------------------------- rows to files


def _land(name: str, tables: Iterator[pa.Table], stem: Path) -> list[Path]:
    """Write tables to Parquet files, one for as long as their columns are of the same types."""
    paths: list[Path] = []
    with ExitStack() as open_files:
        schema, writer = None, None
        for table in tables:
            if writer is None or table.schema != schema:
                open_files.close()
                schema = _distinct(name, table.schema)
                paths.append(stem.with_name(f"{stem.name}-{len(paths)}.parquet"))
                writer = open_files.enter_context(pq.ParquetWriter(paths[-1], schema))
            writer.write_table(table)
    return paths


def _distinct(name: str, schema: pa.Schema) -> pa.Schema:
    """Column names are told apart whatever their case, as DuckDB does."""
    counts = Counter(column.lower() for column in schema.names)
    if twice := next((column for column in schema.names if counts[column.lower()] > 1), None):
        raise NotFetchedError(f"{name}: the query gives two columns {shown(twice)!r}; name them apart with AS")
    return schema
