"""The file of feedback: what a night hears of it, and what the command writes into it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines import feedback
from pipelines.cli import app
from pipelines.feedback_entry import give
from pipelines.settings import Settings, parse
from pipelines.site import Night, Site
from pipelines.sources.errors import InputError
from reports.ticket_events import EVENTS

NIGHT = date(2026, 3, 10)
AS_OF = datetime(2026, 3, 9, 23)  # midnight in Berlin
OLD, OTHER, TONIGHT = "00000000aa-20260301", "00000000ab-20260302", "00000000bb-20260310"
SETTINGS = "calendar: {time_zone: Europe/Berlin, first_night: 2026-01-01}\nstorage: {root: run}"


def event(ticket_id: str, as_of: datetime) -> dict:
    words = {name: "x" for name, dtype in EVENTS.items() if dtype == pl.String}
    numbers = {"event_no": 1, "series_id": 1, "limit_value": 90.0, "horizon_h": 168, "probability": 0.9, "others": 0}
    return dict.fromkeys(EVENTS) | words | numbers | {"ticket_id": ticket_id, "as_of": as_of, "event": "opened"}


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night that opens a ticket; two of earlier nights are published."""
    settings = parse(SETTINGS, tmp_path)
    night = Night(Site(settings), NIGHT, "run", datetime(2026, 3, 10, 2, 30))
    night.warehouse.migrate()
    stored = [event(OLD, AS_OF - timedelta(days=9)), event(OTHER, AS_OF - timedelta(days=8))]
    with night.warehouse.writer() as con:
        con.register("told", pl.DataFrame(stored, schema=EVENTS).to_arrow())
        con.execute("INSERT INTO reports.ticket_events BY NAME FROM told")
    night.frames.write("reports.ticket_events", pl.DataFrame([event(TONIGHT, AS_OF)], schema=EVENTS))
    return night


def put(night: Night, text: str | bytes) -> Path:
    path = night.settings.feedback_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def heard(night: Night, text: str | bytes) -> list[tuple]:
    put(night, text)
    return feedback.listen(night).heard.feedback.rows()


# ---------------------------------------------------------------------------------------------------------------- file


def test_without_a_file_nobody_has_said_anything(night: Night):
    found = feedback.listen(night)
    assert found.heard.feedback.is_empty() and not found.rejected
    assert night.frames.read(feedback.TABLE).is_empty() and night.frames.read(feedback.REFUSED).is_empty()


def test_two_columns_are_enough_and_times_are_the_calendars(night: Night):
    assert heard(night, f"useful;ticket_id\r\nYES;{OLD}\r\n0;{OTHER}\r\n") == [
        (OLD, "somebody", True, None, None, AS_OF - timedelta(days=9)),
        (OTHER, "somebody", False, None, None, AS_OF - timedelta(days=8)),
    ]
    header = "\ufeffticket_id,useful,by,worked_at,note,given_at,stars\n"
    lines = f'{OLD},true,lea,2026-03-03 10:00,"\'=SUM(1)\n, twice",2026-03-04T10:00:00+05:30,5\n{OTHER},no,kim,\n,,,\n'
    assert heard(night, header + lines) == [
        (OLD, "lea", True, datetime(2026, 3, 3, 9), "=SUM(1)\n, twice", datetime(2026, 3, 4, 4, 30)),
        (OTHER, "kim", False, None, None, AS_OF - timedelta(days=8)),
    ]


def test_bad_lines_are_told_with_row_and_mend_and_the_others_stand(night: Night):
    lines = [f"{OLD},maybe", f"{OLD},", ",yes", "nope,yes", f"{OLD},yes,lea,31/02/2026", f"{OLD},yes,a,,b,,,,",
             f"{OTHER},yes,kim"]  # fmt: skip
    put(night, "ticket_id,useful,by,worked_at,note,given_at\n" + "\n".join(lines))
    found = feedback.listen(night)
    assert found.heard.feedback["ticket_id"].to_list() == [OTHER]
    assert [tuple(row)[2:] for row in found.refused.rows()] == [
        (1, "neither true nor false", "useful: maybe (write yes or no)"),
        (2, "neither true nor false", "useful is empty (write yes or no)"),
        (3, "no such ticket", "ticket_id is empty (copy its id from the end of the ticket, or remove the line)"),
        (4, "no such ticket", "nope (copy its id from the end of the ticket, or remove the line)"),
        (5, "ambiguous date", "worked_at: 31/02/2026 (day or month first? write it as 2026-05-31)"),
        (6, "broken row", f"9 fields instead of 6: {OLD}"),
    ]
    assert found.refused["file"].unique().to_list() == ["run/feedback.csv"]
    assert found.rejected == {"ambiguous date": 1, "broken row": 1, "neither true nor false": 2, "no such ticket": 2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; write it again or leave it out"),
        (b"ticket,useful\na,yes\n", "has no column 'ticket_id'; put it into the first line"),
        ("ticket_id,useful\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"PK\x03\x04", "is a ZIP or Excel file; export it as CSV or Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_the_night_goes_on(night: Night, content: bytes, said: str):
    put(night, content)
    found = feedback.listen(night)
    assert found.refused.rows() == [("feedback", "run/feedback.csv", None, "unreadable file", said)]
    assert found.heard.feedback.is_empty() and found.rejected == {"unreadable file": 1}


def test_what_was_heard_before_is_known_as_of_the_night_though_its_line_is_gone(night: Night):
    rows = [
        (OLD, "lea", True, AS_OF, "kept", AS_OF - timedelta(days=1)),  # worked at the cut: not known yet
        (OLD, "kim", True, None, "corrected", AS_OF - timedelta(days=1)),
        (OLD, "sam", True, None, "of a later night", AS_OF),
        ("withdrawn", "kim", True, None, None, AS_OF - timedelta(days=1)),
    ]
    with night.warehouse.writer() as con:
        con.executemany("INSERT INTO reports.feedback VALUES (?, ?, ?, ?, ?, ?)", rows)
    put(
        night,
        f"ticket_id,useful,by,worked_at\n{OLD},no,kim,2026-03-08\n{TONIGHT},yes,kim\n{TONIGHT},no,sam,2026-03-10\n",
    )
    feedback.listen(night)
    with night.warehouse.reader() as con:
        known, worked = feedback.known(con, night), feedback.worked(con, night)
    assert known.select("ticket_id", "given_by", "useful").rows() == [
        (OLD, "kim", False), (OLD, "lea", True), (TONIGHT, "kim", True), (TONIGHT, "sam", False),
    ]  # fmt: skip
    assert worked.rows() == [(OLD, datetime(2026, 3, 7, 23))]


def test_a_replay_hears_what_the_readers_snapshot_keeps(night: Night):
    assert feedback.of_site(night.settings).is_empty()  # no night has run yet
    with night.warehouse.writer() as con:
        con.execute("INSERT INTO reports.feedback VALUES (?, 'lea', true, ?, 'kept', ?)", [OLD, AS_OF, AS_OF])
    night.warehouse.snapshot()
    assert feedback.of_site(night.settings).rows() == [(OLD, "lea", True, AS_OF, "kept", AS_OF)]
    with duckdb.connect(night.warehouse.snapshot_path) as con:
        con.execute("DROP TABLE reports.feedback")  # as one of an older Forewarn
    assert feedback.of_site(night.settings).is_empty()


# ------------------------------------------------------------------------------------------------------------- command


def written(settings: Settings) -> list[dict[str, str]]:
    with settings.feedback_file.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_answer_is_heard_by_the_next_night(night: Night):
    told = give(
        night.settings, OLD, "Yes", by="lea", worked="2026-03-03T10:00", note="=cmd()|'x'!A1,\n\"quoted\" \x1b[31m"
    )
    assert (
        told.startswith(f"recorded in {night.settings.feedback_file}: {OLD} was useful, says lea") and "\n" not in told
    )
    (line,) = written(night.settings)
    assert line | {"given_at": ""} == {
        "ticket_id": OLD, "useful": "yes", "by": "lea", "worked_at": "2026-03-03T09:00:00Z", "given_at": "",
        "note": "'=cmd()|'x'!A1, \"quoted\" [31m",
    }  # fmt: skip
    assert feedback.listen(night).heard.held_back == 1  # it was given today, long after that night's cut
    today = datetime.now(night.settings.zone).date() + timedelta(days=1)
    later = Night(night.site, today, "later", night.started_at)
    later.frames.write("reports.ticket_events", pl.DataFrame(schema=EVENTS))
    ((ticket_id, by, useful, worked, note, _given),) = feedback.listen(later).heard.feedback.rows()
    assert (ticket_id, by, useful, worked) == (OLD, "lea", True, datetime(2026, 3, 3, 9))
    assert note == "=cmd()|'x'!A1, \"quoted\" [31m"


def test_in_an_archive_the_clock_says_nothing_and_the_order_decides(night: Night, tmp_path: Path):
    archive = parse(SETTINGS.replace("first_night", "as_of: 2026-03-10, first_night"), tmp_path)
    for answer in ("yes", "no"):
        give(archive, OLD, answer, by="")
    assert [line["given_at"] for line in written(archive)] == ["", ""]
    assert feedback.listen(night).heard.feedback.select("given_by", "useful").rows() == [("somebody", False)]


def test_an_answer_goes_into_the_file_as_it_is(night: Night):
    path = put(night, f"by;ticket_id;useful;stars;given_at;worked_at;note\nkim;{OTHER};no")  # without a last line end
    give(night.settings, OLD[:10], "no", by="@lea", note="a;b")
    assert path.read_text().splitlines()[:2] == ["by;ticket_id;useful;stars;given_at;worked_at;note", f"kim;{OTHER};no"]
    assert path.read_text().splitlines()[2].startswith(f"'@lea;{OLD};no;;20") and path.read_text().endswith(';;"a;b"\n')


@pytest.mark.parametrize(
    ("ticket", "useful", "more", "said"),
    [
        ("00000000aa-20260302", "yes", {}, "there is none (did you mean 00000000aa-20260301?); copy the id"),
        ("", "yes", {}, "there is none; copy the id"),
        ("00000000a", "yes", {}, "2 tickets begin so, the last are 00000000aa-20260301, 00000000ab-20260302; name one"),
        (OLD, "perhaps", {}, "say yes or no"),
        (OLD, "yes", {"worked": "tomorrow"}, "--worked 'tomorrow': unreadable time"),
        (OLD, "yes", {"worked": "2999-01-01"}, "lies in the future"),
        (OLD, "yes", {"note": "x" * 2001}, "--note: has 2001 characters; say it in 2000"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_a_line_and_nothing_is_written(night, ticket, useful, more, said):
    with pytest.raises(InputError) as raised:
        give(night.settings, ticket, useful, by="lea", **more)
    assert said in str(raised.value) and "\n" not in str(raised.value)
    assert not night.settings.feedback_file.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ticket_id,useful\n", "run/feedback.csv: has no column 'by'; add it to the end of the first line"),
        (b"\x1f\x8b", "run/feedback.csv: "),
    ],
)
def test_a_file_that_an_answer_does_not_fit_into_stays_as_it_is(night: Night, content: bytes, said: str):
    path = put(night, content)
    with pytest.raises(InputError, match=said):
        give(night.settings, OLD, "yes", by="lea")
    assert path.read_bytes() == content


def test_before_the_first_night_there_is_no_ticket(tmp_path: Path):
    with pytest.raises(InputError, match="no night has run here yet"):
        give(parse(SETTINGS, tmp_path), OLD, "yes", by="lea")
    assert not (tmp_path / "run").exists()


def test_answers_that_come_at_once_are_all_recorded(night: Night):
    night.warehouse.snapshot()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: give(night.settings, OLD, "yes", by=f"reader-{n}"), range(24)))
    assert {line["by"] for line in written(night.settings)} == {f"reader-{n}" for n in range(24)}


def test_the_command_records_who_is_logged_in_and_ends_with_2_where_it_cannot(night: Night, tmp_path: Path):
    config = tmp_path / "forewarn.yaml"
    config.write_text(SETTINGS)
    done = CliRunner().invoke(app, ["feedback", OLD, "no", "--config", str(config)], env={"USER": "kim"})
    assert done.exit_code == 0 and f"{OLD} was not useful, says kim; the next night shows it" in done.output
    command = [sys.executable, "-m", "pipelines.cli", "feedback", "nope", "yes", "--config", str(config)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert refused.returncode == 2 and refused.stderr.startswith("forewarn: ticket 'nope': there is none; copy the id")
    assert len(refused.stderr.splitlines()) == 1
