"""Records: rows with many parts of which each may be at fault, such as incidents and their events.

Belongs here: reading every part by its kind, and choosing between versions of one record. Not here: what makes a
particular record impossible (``incident_rows``). Samples have a leaner way of their own (``metric_rows``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.landing import Batch, explained
from pipelines.sources.rejects import HELD_BACK, NOT_A_FLAG, NOT_A_NUMBER, Rejects
from pipelines.sources.sql import literal, quoted, write
from pipelines.sources.values import text

SQL_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.TIME: "TIMESTAMP",
    Kind.COUNT: "INTEGER",
    Kind.FLAG: "BOOLEAN",
}
UNKNOWN = "of no known incident"
UNLISTED = (HELD_BACK, UNKNOWN)
"""Verdicts that are no faults: counted, not listed."""


@dataclass(frozen=True)
class Rule:
    """Why a record is refused: a condition on its parts, the reason and the offending value, all as SQL."""

    condition: str
    reason: str
    detail: str = "NULL"


def read(
    con: duckdb.DuckDBPyConnection,
    table: str,
    batches: Sequence[Batch],
    parts: Mapping[str, Part],
    zone: str | None,
    *,
    many_hands: bool = False,
) -> None:
    """Fill a new temporary table with every row of the batches: file_no, file_row, and each part typed as it is named
    and, as text, `written_` before its name.

    Args:
        zone: of times that carry none.
        many_hands: whether the rows were written one by one, each in the time zone of its writer.

    Raises:
        InputError: a file is damaged, or mixes time zones in a column, unless it is of many hands.
    """
    columns = (f"{quoted(name)} {SQL_TYPES[part.kind]}, written_{name} VARCHAR" for name, part in parts.items())
    con.execute(f"CREATE TEMP TABLE {table} (file_no INTEGER, file_row BIGINT, {', '.join(columns)})")
    for batch in batches:
        with explained(con, batch.files):
            for name in batch.parts:
                if parts[name].kind is Kind.TIME and not many_hands:
                    times.refuse_mixed_zones(con, batch, name, zone)
            con.execute(f"INSERT INTO {table} BY NAME {_typed(batch, parts, zone)}")


def _typed(batch: Batch, parts: Mapping[str, Part], zone: str | None) -> str:
    columns = [f"{batch.file_no} AS file_no", f"{batch.file_row} AS file_row"]
    for name, part in parts.items():
        columns.append(f"nullif(trim({text(batch.find(name))}), '') AS written_{name}")
        columns.append(f"({_value(batch, name, part.kind, zone)})::{SQL_TYPES[part.kind]} AS {quoted(name)}")
    return f"SELECT {', '.join(columns)} FROM {batch.scan}"


def _value(batch: Batch, name: str, kind: Kind, time_zone: str | None) -> str:
    column = batch.find(name)
    if column is None:
        return "NULL"
    match kind:
        case Kind.TIME:
            return times.instant(column, batch.type(name), time_zone)
        case Kind.COUNT:
            return f"TRY_CAST(trim({column}::VARCHAR) AS INTEGER)"
        case Kind.FLAG:
            return f"""
                CASE WHEN lower(trim({column}::VARCHAR)) IN ('true', 't', 'yes', 'y', '1') THEN true
                     WHEN lower(trim({column}::VARCHAR)) IN ('false', 'f', 'no', 'n', '0') THEN false END
            """
        case _:
            return text(column)


def unreadable(parts: Mapping[str, Part]) -> Iterator[Rule]:
    """A rule for every part that is not text: it is written, yet cannot be read."""
    reasons = {Kind.COUNT: literal(NOT_A_NUMBER), Kind.FLAG: literal(NOT_A_FLAG)}
    for name, part in parts.items():
        if part.kind is not Kind.TEXT:
            written = f"written_{name}"
            reason = reasons.get(part.kind, f"fault_of_time({written})")
            yield Rule(f"{written} IS NOT NULL AND {quoted(name)} IS NULL", reason, f"'{name}: ' || {written}")


def judged(query: str, rules: Sequence[Rule]) -> str:
    """SQL that adds to records their `verdict`, the reason of the first rule that refuses them, and its `detail`."""
    verdict = " ".join(f"WHEN {rule.condition} THEN {rule.reason}" for rule in rules)
    detail = " ".join(f"WHEN {rule.condition} THEN {rule.detail}" for rule in rules)
    return f"SELECT *, CASE {verdict} END AS verdict, CASE {detail} END AS detail FROM ({query})"


@dataclass(frozen=True)
class Recipe:
    """How rows of one kind become staged records.

    rows: SQL of the rows, as `typed` gives them.
    rules: in order.
    columns: staged column -> SQL over the rows.
    key: what names a record; `version` decides between two of one key, then their content: arrival decides nothing.
    duplicate: reason to refuse the older versions of a record within one file; those in other files are superseded.
    """

    rows: str
    rules: Sequence[Rule]
    columns: Mapping[str, str]
    key: Sequence[str]
    version: str
    duplicate: str


@dataclass(frozen=True)
class Counts:
    """Every row that was read is in one of these; `rejected` by reason."""

    staged: int
    superseded: int
    held_back: int
    unknown: int
    rejected: Mapping[str, int]

    @property
    def read(self) -> int:
        return self.staged + self.superseded + self.held_back + self.unknown + sum(self.rejected.values())


def settle(con: duckdb.DuckDBPyConnection, recipe: Recipe, rejects: Rejects, files: range, target: Path) -> Counts:
    """Write the records that a recipe finds, by key, and refuse the others.

    Args:
        files: numbers of the files that the rows come from.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE judged AS {judged(recipe.rows, recipe.rules)}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE version AS {_versions(recipe)}")
    rejects.add_from(
        f"SELECT file_no, file_row, verdict AS reason, detail FROM judged WHERE verdict NOT IN {UNLISTED}",
    )
    rejects.add_from(
        f"SELECT file_no, file_row, {literal(recipe.duplicate)} AS reason, {recipe.key[1]} AS detail"
        " FROM version WHERE place_in_file > 1"
    )
    columns = ", ".join(map(quoted, recipe.columns))
    order = ", ".join(map(quoted, recipe.key))
    staged = write(con, f"SELECT {columns} FROM version WHERE place = 1 ORDER BY {order}", target)
    return Counts(
        staged=staged,
        superseded=_count(con, "version WHERE place > 1 AND place_in_file = 1"),
        held_back=_count(con, f"judged WHERE verdict = '{HELD_BACK}'"),
        unknown=_count(con, f"judged WHERE verdict = '{UNKNOWN}'"),
        rejected=rejects.counts(files),
    )


def _versions(recipe: Recipe) -> str:
    """SQL of the sound records with their `place` among the versions of one key, and among those of their file."""
    columns = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in recipe.columns.items())
    content = "{" + ", ".join(f"'{name}': {quoted(name)}" for name in recipe.columns) + "}::VARCHAR"
    newest_first = f"ORDER BY {quoted(recipe.version)} DESC, content DESC, file_no, file_row"
    key = ", ".join(map(quoted, recipe.key))
    return f"""
        SELECT * EXCLUDE (content),
               row_number() OVER (PARTITION BY {key} {newest_first}) AS place,
               row_number() OVER (PARTITION BY {key}, file_no {newest_first}) AS place_in_file
        FROM (
            SELECT *, CASE WHEN twins > 1 THEN {content} END AS content  -- costly, and few have a twin
            FROM (SELECT *, count(*) OVER (PARTITION BY {key}) AS twins
                  FROM (SELECT file_no, file_row, {columns} FROM judged WHERE verdict IS NULL))
        )
    """


def _count(con: duckdb.DuckDBPyConnection, what: str) -> int:
    return con.execute(f"SELECT count(*) FROM {what}").fetchall()[0][0]
