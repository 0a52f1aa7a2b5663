"""``forewarn feedback``: one reader's answer becomes a line of the file of feedback.

Belongs here: finding the ticket that is meant, and appending a line that harms neither the file nor who opens it. Not
here: reading the file (``pipelines.feedback``).
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

import duckdb

from pipelines.feedback import PARTS, inspect
from pipelines.settings import Settings
from pipelines.site import Site
from pipelines.sources import times
from pipelines.sources.errors import InputError, shown
from reports.feedback import SOMEBODY, guarded
from reports.text import one_line

WORDS = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}
LONGEST_NAME, LONGEST_NOTE = 100, 2000


def give(
    settings: Settings, ticket: str, useful: str, *, by: str, worked: str | None = None, note: str | None = None
) -> str:
    """Append an answer to the file.

    Args:
        ticket: a ticket's id, or a beginning of it that no other ticket shares.
        worked: when the ticket was acted on; without a zone it is the calendar's.

    Returns:
        What was recorded, in one line.

    Raises:
        InputError: an argument or the file is unusable; nothing was written.
    """
    said = WORDS.get(useful.strip().lower())
    if said is None:
        raise InputError(f"{shown(useful)!r}: was the ticket useful? say yes or no")
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    ticket_id = _meant(ticket, _tickets(settings), settings)
    who = _short(by, LONGEST_NAME, "--by") or SOMEBODY
    answer = {
        "ticket_id": ticket_id,
        "useful": "yes" if said else "no",
        "by": guarded(who),
        "worked_at": "" if worked is None else _iso(_past(worked, now, settings)),
        "note": guarded(_short(note or "", LONGEST_NOTE, "--note")),
        # the clock says nothing of an archive's nights; there the order of the file decides
        "given_at": "" if settings.calendar.as_of else _iso(now),
    }
    _append(settings, answer)
    verdict = "useful" if said else "not useful"
    return f"recorded in {settings.feedback_file}: {ticket_id} was {verdict}, says {who}; the next night shows it"


# ----------------------------------------------------------------------------------------------------------- arguments


def _tickets(settings: Settings) -> list[str]:
    """The ids of all tickets, from the readers' snapshot, else from the warehouse."""
    warehouse = Site(settings).warehouse
    if warehouse.snapshot_path.exists():
        with duckdb.connect(warehouse.snapshot_path, read_only=True) as con:
            return _ids(con)
    if not warehouse.path.exists():
        raise InputError(
            f"{settings.root}: no night has run here yet, so there is no ticket; run forewarn nightly first"
        )
    with warehouse.reader() as con:
        return _ids(con)


def _ids(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute("SELECT DISTINCT ticket_id FROM reports.ticket_events ORDER BY ticket_id").fetchall()
    return [ticket_id for (ticket_id,) in rows]


def _meant(ticket: str, known: Sequence[str], settings: Settings) -> str:
    """The ticket of that id, else the only one whose id begins so."""
    asked = ticket.strip()
    matching = [asked] if asked in known else [each for each in known if asked and each.startswith(asked)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        some = ", ".join(matching[-3:])
        raise InputError(f"ticket {shown(asked)!r}: {len(matching)} tickets begin so, the last are {some}; name one")
    same_cause = [each for each in known if each.startswith(f"{asked.partition('-')[0]}-")]
    near = same_cause[-1:] or get_close_matches(asked, known, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise InputError(
        f"ticket {shown(asked)!r}: there is none{meant}; copy the id from the end of the ticket, or from the digest in "
        f"{settings.root / 'reports'}"
    )


def _short(text: str, longest: int, option: str) -> str:
    """One line of visible characters."""
    line = one_line(text, len(text))
    if len(line) > longest:
        raise InputError(f"{option}: has {len(line)} characters; say it in {longest}")
    return line


def _past(written: str, now: datetime, settings: Settings) -> datetime:
    """A time as every source's are read."""
    instant = times.instant("t", "VARCHAR", settings.calendar.time_zone)
    with Site(settings).warehouse.scratch() as con:
        times.prepare(con, as_of=now, now=now)
        ((moment,),) = con.execute(f"SELECT {instant} FROM (SELECT $t AS t)", {"t": written}).fetchall()
    if moment is None:
        raise InputError(f"--worked {shown(written)!r}: unreadable time; write it as 2026-05-31T13:00")
    if moment > now:
        raise InputError(f"--worked {shown(written)!r}: lies in the future; say when the ticket was acted on")
    return moment


def _iso(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')}Z"


# ---------------------------------------------------------------------------------------------------------------- file


def _append(settings: Settings, answer: dict[str, str]) -> None:
    """One more line, whole or not at all; a file that is not there yet gets its header."""
    path = settings.feedback_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path) as file:
            empty = file.seek(0, os.SEEK_END) == 0
            header, delimiter = (tuple(PARTS), ",") if empty else _layout(settings)
            lines = [header] * empty + [[answer.get(column, "") for column in header]]
            text = io.StringIO()
            csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(lines)
            file.write(("" if empty or _ends_line(file) else "\n").encode() + text.getvalue().encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{shown(str(path))}: cannot be written ({error.strerror}); correct its permissions or tickets.feedback"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, to read and append, with every other answer kept out; an editor may put another in its place."""
    while True:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def _layout(settings: Settings) -> tuple[Sequence[str], str]:
    """The columns and the delimiter of a file that somebody began.

    Raises:
        InputError: an answer cannot be appended to it.
    """
    report = inspect(settings)
    if report is None or report.dialect is None or report.dialect.gzip:
        raise InputError(f"{shown(str(settings.feedback_file))}: is not plain CSV, so nothing can be appended to it")
    for name in PARTS:
        if name not in report.parts:
            raise InputError(f"{report.name}: has no column {name!r}; add it to the end of the first line")
    return report.dialect.header, report.dialect.delimiter


def _ends_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) in (b"\n", b"\r")
