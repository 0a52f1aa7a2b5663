"""Rows of metrics in long format, one sample a row, of whatever source: how each is judged.

Rules for rows, in this order; every row is in exactly one of these counts
--------------------------------------------------------------------------
rejected    no entity, metric, time or value; a time that cannot be read or has no zone; a value that is no number, NaN
            or infinite; a sample of the future: at or after as_of, and later than the run began.
held back   at or after as_of, yet not of the future: a later night's. Neither stored nor listed.
duplicates  the same value once more at one second of a series.
conflicts   another value at one second of a series; the largest is kept, whichever came first.
staged      the rest.

Empty texts count as missing, labels with an empty text as absent. Order plays no part: shuffled rows, and rows divided
otherwise among files, stage the same bytes.

How: one scan finds the distinct combinations of names and labels, which get their series_id in Python; a second one
judges every row and leaves typed, narrow rows; they are deduplicated and sorted. Each step streams and spills.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.errors import InputError
from pipelines.sources.files import FileReport
from pipelines.sources.landing import Batch, explained, land
from pipelines.sources.metric_staging import IDENTIFIED, IDENTITY, StagedMetrics, identify, settle
from pipelines.sources.rejects import (
    DATE_ORDER,
    FUTURE,
    HELD_BACK,
    INFINITE,
    NAN,
    NO_ENTITY,
    NO_METRIC,
    NO_TIME,
    NO_VALUE,
    NO_ZONE,
    NOT_A_NUMBER,
    NOT_FETCHED,
    UNREADABLE_TIME,
    Rejects,
)
from pipelines.sources.sql import literal, parquet, registered, workspace, write
from pipelines.sources.values import missing, number, text

PARTS = {
    "source": Part(Kind.TEXT),
    "entity": Part(Kind.TEXT, required=True),
    "metric": Part(Kind.TEXT, required=True),
    "ts": Part(Kind.TIME, required=True),
    "value": Part(Kind.NUMBER, required=True),
    "unit": Part(Kind.TEXT),
}
COMBINATIONS_AT_ONCE = 50_000
JUDGED = """
    file_no BIGINT, file_row BIGINT, combination BIGINT,
    instant TIMESTAMP, value DOUBLE, verdict VARCHAR, detail VARCHAR
"""


@dataclass(frozen=True)
class Unfetched:
    """What a server did not give, and why: each in one line without secrets."""

    what: str
    why: str


def stage_rows(
    con: duckdb.DuckDBPyConnection,
    source: str,
    reports: Sequence[FileReport],
    signals: Sequence[Signal],
    *,
    time_zone: str | None,
    as_of: datetime,
    now: datetime,
    folder: Path,
    dispensable: Collection[str] = (),
    unfetched: Sequence[Unfetched] = (),
) -> tuple[StagedMetrics, set[str]]:
    """Stage series.parquet, samples.parquet and rejects.parquet in `folder`.

    Args:
        con: an in-memory connection with its limits set; left as it was found.
        source: its name, also that of rows which name none.
        reports: the files that hold the rows.
        time_zone: of times that carry no zone; None: they are refused.
        as_of, now: the night's cut, and when the run began; naive UTC.
        folder: made when missing.
        dispensable: names of files without which the night goes on, should they turn out unusable.
        unfetched: what the night has to go on without as well.

    Returns:
        What was staged, and the names of dispensable files that turned out unusable.

    Raises:
        InputError: a file is unusable that is not dispensable.
    """
    with workspace(con, folder) as (own, landing):
        times.prepare(own, as_of=as_of, now=now)
        rejects = Rejects(own, source, [*(report.name for report in reports), *(each.what for each in unfetched)])
        own.execute(IDENTIFIED)
        own.execute(f"CREATE TEMP TABLE judged_rows ({JUDGED})")
        judged = [landing / "judged.parquet"]
        write(own, "FROM judged_rows", judged[0])
        unusable = set()
        for number_of_first, group in _groups(reports, dispensable):
            try:
                for batch in land(own, group, rejects, landing, first_no=number_of_first):
                    target = landing / f"judged-{batch.first_no}.parquet"
                    with explained(own, batch.files):
                        times.refuse_mixed_zones(own, batch, "ts", time_zone)
                        _combine(own, batch, source)
                        _identify(own, batch, signals)
                        _judge(own, batch, source, time_zone, target)
                    judged.append(target)
            except InputError as error:
                if group[0].name not in dispensable:
                    raise
                unusable.add(group[0].name)
                rejects.add_whole(number_of_first, NOT_FETCHED, str(error).removeprefix(f"{group[0].name}: "))
        for number_of_fault, each in enumerate(unfetched, len(reports)):
            rejects.add_whole(number_of_fault, NOT_FETCHED, each.why)
        return settle(own, parquet(*judged), rejects, folder), unusable


def _groups(reports: Sequence[FileReport], dispensable: Collection[str]) -> Iterator[tuple[int, list[FileReport]]]:
    """What is read together, with the number of its first file: each dispensable file stands and falls alone."""
    needed: list[FileReport] = []
    for report_no, report in enumerate(reports):
        if report.name not in dispensable:
            needed.append(report)
            continue
        if needed:
            yield report_no - len(needed), needed
        needed = []
        yield report_no, [report]
    if needed:
        yield len(reports) - len(needed), needed


# ---------------------------------------------------------------------------------------------------------- identities

NAMES = ("source", "entity", "metric", "unit")


def _combine(con: duckdb.DuckDBPyConnection, batch: Batch, source: str) -> None:
    """Number the distinct combinations of names and labels in a batch: table `combination`."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE combination AS
        SELECT row_number() OVER () + (SELECT count(*) FROM identified) AS combination, *
        FROM (SELECT DISTINCT {_named(_keys(batch, source))} FROM {batch.scan})
        """
    )


def _keys(batch: Batch, source: str) -> dict[str, str]:
    """The names, then the labels as l0, l1, ...: each with its SQL as text; what is empty is missing."""
    names = {name: text(batch.find(name)) for name in NAMES}
    names["source"] = f"coalesce({names['source']}, {literal(source)})"
    return names | {f"l{i}": text(batch.columns[label][0]) for i, label in enumerate(_labels(batch))}


def _named(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in expressions.items())


def _labels(batch: Batch) -> list[str]:
    """Columns that play no part are labels."""
    return sorted(batch.columns.keys() - batch.parts.values())


def _identify(con: duckdb.DuckDBPyConnection, batch: Batch, signals: Sequence[Signal]) -> None:
    """Give the combinations of a batch their series_id: appended to table `identified`."""
    labels = _labels(batch)
    for page in _pages(con):
        rows = [_identified(row, labels, signals) for row in page]
        with registered(con, "identities", pl.DataFrame(rows, IDENTITY, orient="row")):
            con.execute("INSERT INTO identified SELECT * FROM identities")


def _identified(row: tuple, labels: Sequence[str], signals: Sequence[Signal]) -> tuple:
    combination, source, entity, metric, unit, *values = row
    present = {label: value for label, value in zip(labels, values, strict=True) if value is not None}
    return combination, *identify(source, entity, metric, unit, present, signals=signals)


def _pages(con: duckdb.DuckDBPyConnection) -> Iterator[list[tuple]]:
    """The rows of table `combination`, some at a time: labels that churn can make them many."""
    query = f"FROM combination WHERE combination > $last ORDER BY combination LIMIT {COMBINATIONS_AT_ONCE}"
    last = 0
    while page := con.execute(query, {"last": last}).fetchall():
        yield page
        last = page[-1][0]


# ------------------------------------------------------------------------------------------------------------- samples


def _judge(con: duckdb.DuckDBPyConnection, batch: Batch, source: str, time_zone: str | None, target: Path) -> None:
    """Write every row of a batch, typed and narrow, with its verdict: NULL where nothing is wrong with it."""
    ts, ts_type = batch.column("ts"), batch.type("ts")
    value, value_type = batch.column("value"), batch.type("value")
    keys = _keys(batch, source)
    same = " AND ".join(f"f.{key} IS NOT DISTINCT FROM c.{key}" for key in keys)
    write(
        con,
        f"""
        WITH file AS (
            SELECT
                {batch.file_no} AS file_no,
                {batch.file_row} AS file_row,
                {_named(keys)},
                {ts} AS written_ts,
                {value} AS written_value,
                {missing(ts, ts_type)} AS has_no_ts,
                {missing(value, value_type)} AS has_no_value,
                {times.instant(ts, ts_type, time_zone)} AS instant,
                {number(value, value_type)} AS value
            FROM {batch.scan}
        )
        SELECT
            file_no, file_row, combination, instant, value,
            CASE
                WHEN f.entity IS NULL THEN '{NO_ENTITY}'
                WHEN f.metric IS NULL THEN '{NO_METRIC}'
                WHEN has_no_ts THEN '{NO_TIME}'
                WHEN instant IS NULL THEN fault_of_time(written_ts::VARCHAR)
                WHEN has_no_value THEN '{NO_VALUE}'
                WHEN value IS NULL THEN '{NOT_A_NUMBER}'
                -- Not isnan(value): DuckDB answers it from a file's statistics, and these leave NaN out.
                WHEN NOT isfinite(value) THEN if(isinf(value), '{INFINITE}', '{NAN}')
                WHEN instant >= as_of() THEN if(instant > run_began(), '{FUTURE}', '{HELD_BACK}')
            END AS verdict,
            CASE
                WHEN verdict IN ('{NO_ZONE}', '{DATE_ORDER}', '{UNREADABLE_TIME}', '{FUTURE}') THEN written_ts::VARCHAR
                WHEN verdict IN ('{NOT_A_NUMBER}', '{NAN}', '{INFINITE}') THEN written_value::VARCHAR
            END AS detail
        FROM file AS f LEFT JOIN combination AS c ON {same}
        """,
        target,
    )
