"""Rows that are refused: why, which, and how many.

Every refused row is counted. Of each file and reason the first `LISTED` are listed, so that a file of a hundred million
unusable rows does not fill the warehouse with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from pipelines.sources.sql import literal, registered, write

LISTED = 10_000
LONGEST_DETAIL = 80
LONGEST_SENTENCE = 400

BROKEN_ROW = "broken row"
NO_ENTITY = "no entity"
NO_METRIC = "no metric"
NO_VALUE = "no value"
NO_TIME = "no time"
NO_ZONE = "no time zone"
DATE_ORDER = "ambiguous date"
UNREADABLE_TIME = "unreadable time"
FUTURE = "future"
NOT_A_NUMBER = "not a number"
NAN = "NaN"
INFINITE = "infinite"
NOT_A_FLAG = "neither true nor false"
NO_TICKET = "no such ticket"
UNREADABLE_FILE = "unreadable file"
NOT_FETCHED = "not fetched"
PARTIAL = "partial answer"
ONE_IDENTITY = "series of one identity"
TOO_MANY = "too many series"
CLOCK = "clock skew"
NO_ID = "no incident id"
NO_CREATED = "no created time"
IMPLAUSIBLE = "implausible time"
DUPLICATE_ID = "duplicate incident id"
DUPLICATE_EVENT = "duplicate event"

HELD_BACK = "held back"
"""A verdict that is no fault: the row belongs to a later night."""

MEND = {
    NO_ZONE: "add Z, or set the source's time_zone",
    DATE_ORDER: "day or month first? write it as 2026-05-31",
    UNREADABLE_TIME: "write it as 2026-05-31T13:00:00Z",
    IMPLAUSIBLE: "a placeholder for no time? leave it empty",
    NOT_A_FLAG: "write yes or no",
    NO_TICKET: "copy its id from the end of the ticket, or remove the line",
}
"""Reason -> what to do, where the reason alone does not say it; the detail of a listed row ends with it."""


SENTENCES = (NOT_FETCHED, TOO_MANY, PARTIAL, ONE_IDENTITY, CLOCK)
"""Reasons whose detail is no value of a row, but says what was wrong with all of them."""
UNREAD = (NOT_FETCHED, TOO_MANY)
"""Reasons that leave a source unread, in part at least."""


def shortened(text: str, longest: int = LONGEST_DETAIL) -> str:
    """SQL for a value that may be long."""
    return f"CASE WHEN length({text}) > {longest} THEN left({text}, {longest - 1}) || '…' ELSE {text} END"


class Rejects:
    """The refused rows of one staging, in a temporary table of its connection.

    Args:
        files: names by number, as the queries that fill this number them.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, source: str, files: Sequence[str]):
        self._con = con
        self._source = source
        self._files = pl.DataFrame(
            {"file_no": range(len(files)), "file": files}, {"file_no": pl.Int32, "file": pl.String}
        )
        con.execute("CREATE TEMP TABLE reject_count (file_no INTEGER, reason VARCHAR, n BIGINT, last_listed BIGINT)")
        con.execute("CREATE TEMP TABLE reject (file_no INTEGER, file_row BIGINT, reason VARCHAR, detail VARCHAR)")

    def add(self, file_no: int, reason: str, rows: Sequence[tuple[int, str]]) -> None:
        """Refuse rows of one file, each a number with a detail."""
        if not rows:
            return
        frame = pl.DataFrame(rows, {"file_row": pl.Int64, "detail": pl.String}, orient="row")
        with registered(self._con, "refused", frame):
            self.add_from(f"SELECT {file_no} AS file_no, file_row, {literal(reason)} AS reason, detail FROM refused")

    def add_whole(self, file_no: int, reason: str, detail: str) -> None:
        """Refuse a file as a whole, which counts as one row, of number 0; the detail, our own words, stays whole."""
        self._con.execute("INSERT INTO reject VALUES (?, 0, ?, ?)", [file_no, reason, detail])
        self._con.execute("INSERT INTO reject_count VALUES (?, ?, 1, 0)", [file_no, reason])

    def add_from(self, query: str) -> None:
        """Refuse what a query selects: file_no, file_row, reason, detail. It is run twice."""
        self._con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE added AS
            SELECT file_no, reason, count(*) AS n, list_max(min(file_row, {LISTED})) AS last_listed
            FROM ({query})
            GROUP BY ALL
            """
        )
        sentences = ", ".join(map(literal, SENTENCES))
        self._con.execute(
            f"""
            INSERT INTO reject
            SELECT file_no, file_row, reason,
                   CASE WHEN reason IN ({sentences}) THEN {shortened("detail", LONGEST_SENTENCE)}
                        ELSE {shortened("detail")} END
            FROM ({query}) JOIN added USING (file_no, reason)
            WHERE file_row <= last_listed
            """
        )
        self._con.execute("INSERT INTO reject_count FROM added")

    def counts(self, files: range | None = None) -> dict[str, int]:
        """Reason -> rows; of files with these numbers, or of all."""
        which = files if files is not None else range(len(self._files))
        query = """
            SELECT reason, sum(n)::BIGINT FROM reject_count
            WHERE file_no >= $first AND file_no < $end
            GROUP BY reason ORDER BY reason
        """
        return dict(self._con.execute(query, {"first": which.start, "end": which.stop}).fetchall())

    def write(self, path: Path) -> None:
        """The listed ones as Parquet: source, file, file_row, reason, detail, in the order of the files."""
        mend = " ".join(f"WHEN {literal(reason)} THEN {literal(f' ({mend})')}" for reason, mend in MEND.items())
        with registered(self._con, "reject_file", self._files):
            write(
                self._con,
                f"""
                SELECT {literal(self._source)} AS source, file, file_row, reason,
                       detail || CASE reason {mend} ELSE '' END AS detail
                FROM reject JOIN reject_file USING (file_no)
                QUALIFY row_number() OVER (PARTITION BY file_no, reason ORDER BY file_row) <= {LISTED}
                ORDER BY file_no, file_row
                """,
                path,
            )
