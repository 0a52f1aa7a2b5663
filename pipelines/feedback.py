"""The file in which people say whether tickets were useful: read by every night, written by ``forewarn feedback``.

Belongs here: the file, its faults, and what the nights before have kept of it. Not here: whose opinion stands on which
night (``reports.feedback``).

The file is a CSV that people edit by hand or let a form write. It is no source that a night depends on: one that cannot
be read is said and the night goes on, and what earlier nights read of it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.site import Night, Site
from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.errors import InputError
from pipelines.sources.files import FileReport, inspect_files
from pipelines.sources.landing import land
from pipelines.sources.records import Rule, judged, read, unreadable
from pipelines.sources.rejects import NO_TICKET, NOT_A_FLAG, UNREADABLE_FILE, Rejects
from pipelines.sources.sql import literal, workspace
from pipelines.warehouse import quoted
from reports.feedback import ENTRIES, FEEDBACK, Heard, hear

PARTS: Mapping[str, Part] = {
    "ticket_id": Part(Kind.TEXT),
    "useful": Part(Kind.FLAG),
    "by": Part(Kind.TEXT),
    "worked_at": Part(Kind.TIME),
    "note": Part(Kind.TEXT),
    "given_at": Part(Kind.TIME),
}
REQUIRED = ("ticket_id", "useful")
SOURCE = "feedback"
TABLE, REFUSED = "reports.feedback", "reports.feedback_rejects"
"""Frames of a night: its opinions, and the lines that say none, with the columns of raw.rejects without their run."""
REJECTS = {"source": pl.String, "file": pl.String, "file_row": pl.Int64, "reason": pl.String, "detail": pl.String}

_RULES = (
    *unreadable(PARTS),
    Rule("written_ticket_id IS NULL", literal(NO_TICKET), "'ticket_id is empty'"),
    Rule("useful IS NULL", literal(NOT_A_FLAG), "'useful is empty'"),
)


@dataclass(frozen=True)
class Listened:
    """What a night got of the file: opinions, the listed lines that it refused, and how many for which reason."""

    heard: Heard
    refused: pl.DataFrame
    rejected: Mapping[str, int]


def inspect(settings: Settings) -> FileReport | None:
    """The file, None where there is none yet.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    path = settings.feedback_file
    if not path.exists():
        return None
    (report,) = inspect_files([str(path)], {}, PARTS, settings)
    for name in REQUIRED:
        if name not in report.parts:
            raise InputError(f"{report.name}: has no column {name!r}; put it into the first line")
    return report


def listen(night: Night) -> Listened:
    """What people have said before the night's cut; frames `TABLE` and `REFUSED` are written."""
    with night.warehouse.reader() as con:
        opened = con.sql(_opened(night), params={"as_of": night.as_of}).pl()
    nothing = pl.DataFrame(schema=ENTRIES)
    try:
        report = inspect(night.settings)
        found = Listened(hear(nothing, opened, night.as_of), pl.DataFrame(schema=REJECTS), {})
        found = _read(night, report, opened) if report else found
    except InputError as error:
        name, _, fault = str(error).partition(": ")
        refused = pl.DataFrame([(SOURCE, name, None, UNREADABLE_FILE, fault)], schema=REJECTS, orient="row")
        found = Listened(hear(nothing, opened, night.as_of), refused, {UNREADABLE_FILE: 1})
    night.frames.write(TABLE, found.heard.feedback)
    night.frames.write(REFUSED, found.refused)
    return found


def _read(night: Night, report: FileReport, opened: pl.DataFrame) -> Listened:
    with night.warehouse.scratch() as con, workspace(con, night.frames.folder) as (own, landing):
        times.prepare(own, as_of=night.as_of, now=night.started_at)
        rejects = Rejects(own, SOURCE, [report.name])
        batches = land(own, [report], rejects, landing, padded=True)
        read(own, "line", batches, PARTS, night.settings.calendar.time_zone, many_hands=True)
        written = " OR ".join(f"written_{name} IS NOT NULL" for name in PARTS)  # spreadsheets leave rows of nothing
        own.execute(f"CREATE TEMP TABLE entry AS {judged(f'FROM line WHERE {written}', _RULES)}")
        rejects.add_from("SELECT file_no, file_row, verdict AS reason, detail FROM entry WHERE verdict IS NOT NULL")
        columns = ", ".join(f'"{name}"' for name in ENTRIES)
        sound = own.sql(f"SELECT {columns} FROM entry WHERE verdict IS NULL ORDER BY file_row").pl()
        heard = hear(sound.cast(dict(ENTRIES)), opened, night.as_of)
        rejects.add(0, NO_TICKET, heard.unknown.select("file_row", "ticket_id").rows())
        rejects.write(landing / "refused.parquet")
        refused = pl.read_parquet(landing / "refused.parquet").select(pl.col(n).cast(t) for n, t in REJECTS.items())
        return Listened(heard, refused, rejects.counts())


def known(con: duckdb.DuckDBPyConnection, night: Night) -> pl.DataFrame:
    """All opinions as of the night's cut: tonight's, and those kept of lines that the file no longer holds.

    Returns:
        The columns of ``FEEDBACK``, by ticket and person.
    """
    tonight = f"read_parquet({quoted(night.frames.path(TABLE))})"
    columns = ", ".join(FEEDBACK)
    return con.sql(
        f"""
        SELECT {columns} FROM {tonight}
        UNION ALL
        SELECT {columns.replace("worked_at", "CASE WHEN worked_at < $as_of THEN worked_at END")}
        FROM (FROM reports.feedback ANTI JOIN {tonight} USING (ticket_id, given_by))
        JOIN ({_opened(night)}) USING (ticket_id)
        WHERE given_at < $as_of OR (given_at = $as_of AND opened_at = $as_of)
        ORDER BY ticket_id, given_by
        """,
        params={"as_of": night.as_of},
    ).pl()


def of_site(settings: Settings) -> pl.DataFrame:
    """All opinions that the readers' snapshot keeps, whenever they were given: the columns of ``FEEDBACK``."""
    path = Site(settings).warehouse.snapshot_path
    nothing = pl.DataFrame(schema=FEEDBACK)
    if not path.is_file():
        return nothing
    with duckdb.connect(path, read_only=True) as con:
        if not con.sql("FROM duckdb_tables() WHERE schema_name = 'reports' AND table_name = 'feedback'").fetchall():
            return nothing  # of a night before there was any
        return con.sql(f"SELECT {', '.join(FEEDBACK)} FROM reports.feedback ORDER BY ticket_id, given_by").pl()


def worked(con: duckdb.DuckDBPyConnection, night: Night) -> pl.DataFrame:
    """ticket_id, worked_at: when somebody acted on tickets, as far as it was before the cut and is known."""
    return known(con, night).filter(pl.col("worked_at").is_not_null()).select("ticket_id", "worked_at")


def _opened(night: Night) -> str:
    """A query for ticket_id, opened_at of all tickets, with the parameter ``$as_of``: tonight's replace the stored."""
    return f"""
        SELECT ticket_id, min(as_of) AS opened_at
        FROM (
            SELECT ticket_id, as_of FROM reports.ticket_events WHERE as_of <> $as_of
            UNION ALL
            SELECT ticket_id, as_of FROM read_parquet({quoted(night.frames.path("reports.ticket_events"))})
        )
        GROUP BY ALL
    """
