from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipelines.maintenance.calendars import read
from pipelines.maintenance.options import CalendarFile
from pipelines.sources.errors import InputError

FIRST, UNTIL = datetime(2026, 3, 1), datetime(2026, 4, 15)
ZONE = ZoneInfo("Europe/Berlin")


def ics(*events: str) -> str:
    inside = "\n".join(f"BEGIN:VEVENT\nUID:{n}\n{event}\nEND:VEVENT" for n, event in enumerate(events))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\n{inside}\nEND:VCALENDAR\n"


def windows(folder: Path, content: str, summary: str = "*") -> list[tuple[datetime, datetime, str]]:
    (folder / "ops.ics").write_text(content)
    options = CalendarFile(ical="ops.ics", entities=["db-*"], summary=summary)
    found = read(folder / "ops.ics", options, ZONE, FIRST, UNTIL)
    assert all(one.entities == ("db-*",) and one.source == "calendar ops.ics" for one in found)
    return [(one.starts_at, one.ends_at, one.why) for one in found]


def test_times_without_a_zone_are_the_calendar_s_and_follow_its_clock(tmp_path: Path):
    weekly = "DTSTART:20200105T020000\nDTEND:20200105T040000\nRRULE:FREQ=WEEKLY;BYDAY=SU\nSUMMARY:Patching"
    found = windows(tmp_path, ics(weekly))
    assert found[0] == (datetime(2026, 3, 1, 1), datetime(2026, 3, 1, 3), "Patching")
    assert (datetime(2026, 4, 5, 0), datetime(2026, 4, 5, 2), "Patching") in found, "summer time since 29 March"
    assert len(found) == 7


def test_days_zones_durations_exceptions_and_moved_events(tmp_path: Path):
    found = windows(
        tmp_path,
        ics(
            "DTSTART;VALUE=DATE:20260310\nDTEND;VALUE=DATE:20260312\nSUMMARY:Freeze",
            "DTSTART:20260320T220000Z\nDURATION:PT90M\nSUMMARY:Move",
            "DTSTART;TZID=America/New_York:20260322T200000\nDURATION:PT1H\nSUMMARY:Abroad",
            "DTSTART:20260401T100000Z\nDTEND:20260401T110000Z\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260402T100000Z",
            "DTSTART:20260405T100000Z\nDTEND:20260405T110000Z\nSTATUS:CANCELLED\nSUMMARY:Off",
            "DTSTART:20260406T100000Z\nSUMMARY:A reminder",
        ),
    )
    assert found == [
        (datetime(2026, 3, 9, 23), datetime(2026, 3, 11, 23), "Freeze"),
        (datetime(2026, 3, 20, 22), datetime(2026, 3, 20, 23, 30), "Move"),
        (datetime(2026, 3, 23, 0), datetime(2026, 3, 23, 1), "Abroad"),
        (datetime(2026, 4, 1, 10), datetime(2026, 4, 1, 11), ""),
        (datetime(2026, 4, 3, 10), datetime(2026, 4, 3, 11), ""),
    ]


def test_only_events_whose_summary_matches(tmp_path: Path):
    event = "DTSTART:2026030{}T100000Z\nDURATION:PT1H\nSUMMARY:{}"
    both = ics(event.format(3, "Lunch"), event.format(4, "MW 7"))
    assert [why for _, _, why in windows(tmp_path, both, "MW*")] == ["MW 7"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nothing of the kind", "ops.ics: is no calendar"),
        ("", "ops.ics: is no calendar"),
        (ics("SUMMARY:x"), "event 'x' has no DTSTART; give it one, or remove it"),
        (ics("DTSTART;TZID=Mars/Olympus:20260310T100000\nDURATION:PT1H"), "unknown zone 'Mars/Olympus'; use an IANA"),
        (ics("DTSTART:20260310T100000Z\nDURATION:PT1H\nRRULE:FREQ=SECONDLY"), "repeats secondly; a window is made of"),
        (ics("DTSTART:20260310T100000Z\nDTEND:20260310T090000Z\nSUMMARY:x"), "event 'x' ends before it starts"),
        (ics("DTSTART:20260310T100000Z\nDURATION:PT1H\nRRULE:FREQ=SOMETIMES"), "ops.ics: "),
        (ics("DTSTART:yesterday\nDURATION:PT1H"), "ops.ics: "),
    ],
)  # fmt: skip
def test_what_is_no_calendar_is_said_in_one_line(tmp_path: Path, content: str, said: str):
    with pytest.raises(InputError) as caught:
        windows(tmp_path, content)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.ics: cannot be read"):
        read(tmp_path / "none.ics", CalendarFile(ical="none.ics", entities=["*"]), ZONE, FIRST, UNTIL)


def test_what_repeats_for_ever_since_long_ago_is_bounded(tmp_path: Path):
    hourly = ics("DTSTART:20200101T000000Z\nDURATION:PT10M\nRRULE:FREQ=HOURLY")
    assert len(windows(tmp_path, hourly)) == 24 * 45
