"""Incident files: stamps, versions, events."""

from datetime import datetime, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from features.incident_states import BEGINNINGS, WORDS, kind_of
from pipelines.sources.errors import InputError
from pipelines.sources.incident_rows import STATE_KINDS, stage_of_life
from pipelines.warehouse import migrations

CREATED = datetime(2026, 2, 1, 9)


def z(at: datetime | None) -> str:
    return "" if at is None else at.isoformat() + "Z"


def csv(*rows: dict) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(columns)] + [",".join(str(row.get(name, "")) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def incident(number: int = 1, **stamps) -> dict:
    return {"incident_id": f"INC{number}", "created_at": z(CREATED)} | stamps


def later(**delta: float) -> str:
    return z(CREATED + timedelta(**delta))


def test_what_is_staged_has_the_columns_of_the_warehouse(stage_incidents):
    staged = stage_incidents(
        {"x.csv": csv(incident())}, events={"e.csv": csv({"incident_id": "INC1", "changed_at": later()})}
    )
    with duckdb.connect() as con:
        for script in migrations().values():
            con.execute(script.read_text())
        for table, frame in (("incidents", staged.incidents), ("incident_events", staged.events)):
            rows = con.execute(f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}'").fetchall()
            assert frame.columns == [row[0] for row in rows]


def test_stamps_that_are_there_are_of_the_field(stage_incidents):
    staged = stage_incidents({"x.csv": csv(incident(resolved_at=later(hours=2)))})
    (row,) = staged.incidents.iter_rows(named=True)
    assert (row["resolved_at"], row["resolved_basis"]) == (CREATED + timedelta(hours=2), "field")
    assert (row["created_at"], row["created_basis"]) == (CREATED, "field")
    assert (row["closed_at"], row["closed_basis"]) == (None, None)
    assert (row["source"], row["is_predicted"]) == ("desk", False)


@pytest.mark.parametrize("stamp", ["started_at", "detected_at"])
def test_created_falls_back_to_when_it_began(stage_incidents, stamp):
    staged = stage_incidents({"x.csv": csv({"incident_id": "1", stamp: z(CREATED)})})
    assert staged.incidents.select("created_at", "created_basis", stamp).rows() == [(CREATED, "inferred", CREATED)]


def test_updated_is_the_field_or_else_the_newest_stamp_that_is_not_of_the_future(stage_incidents):
    rows = [
        incident(1, updated_at=later(days=3)),
        incident(2, acknowledged_at=later(hours=1), resolved_at=later(hours=5), closed_at="2099-01-01T00:00:00Z"),
        incident(3),
    ]
    staged = stage_incidents({"x.csv": csv(*rows)})
    assert staged.incidents["updated_at"].to_list() == [
        CREATED + timedelta(days=3),
        CREATED + timedelta(hours=5),
        CREATED,
    ]
    assert staged.incidents["closed_at"][1] == datetime(2099, 1, 1)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"incident_id": "", "created_at": z(CREATED)}, "no incident id", None),
        ({"incident_id": "2"}, "no created time", None),
        (
            incident(2, created_at="2026-02-01T09:00:00"),
            "no time zone",
            "created_at: 2026-02-01T09:00:00 (add Z, or set the source's time_zone)",
        ),
        (
            incident(2, created_at="03/04/2026 10:00"),
            "ambiguous date",
            "created_at: 03/04/2026 10:00 (day or month first? write it as 2026-05-31)",
        ),
        (incident(2, resolved_at="soon"), "unreadable time", "resolved_at: soon (write it as 2026-05-31T13:00:00Z)"),
        (incident(2, resolved_at=later(hours=-1)), "resolved before created", None),
        (incident(2, acknowledged_at=later(seconds=-1)), "acknowledged before created", None),
        (incident(2, closed_at=later(days=-1)), "closed before created", None),
        (incident(2, cancelled_at=later(days=-1)), "cancelled before created", None),
        (incident(2, created_at="2099-01-01T00:00:00Z"), "future", "created 2099-01-01 00:00:00"),
        (
            incident(2, created_at="0001-01-01T00:00:00Z"),
            "implausible time",
            "created 0001-01-01 00:00:00 (a placeholder for no time? leave it empty)",
        ),
        (incident(2, reopen_count="some"), "not a number", "reopen_count: some"),
        (incident(2, is_predicted="perhaps"), "neither true nor false", "is_predicted: perhaps (write yes or no)"),
        (incident(1), "duplicate incident id", "INC1"),
    ],
)  # fmt: skip
def test_refused_rows(stage_incidents, row, reason, detail):
    staged = stage_incidents({"x.csv": csv(incident(1, updated_at=later(days=1)), row)})
    assert staged.incidents["incident_id"].to_list() == ["INC1"]
    assert staged.rejects.select("source", "file", "file_row", "reason").rows() == [("desk", "x.csv", 2, reason)]
    assert detail is None or staged.rejects["detail"].to_list() == [detail]
    assert (staged.counts.read, staged.counts.rejected) == (2, {reason: 1})


def test_a_negative_duration_shows_both_stamps(stage_incidents):
    staged = stage_incidents({"x.csv": csv(incident(1, resolved_at=later(hours=-1)))})
    assert staged.rejects["detail"].to_list() == ["2026-02-01 08:00:00 < 2026-02-01 09:00:00"]


def test_zero_durations_and_early_starts_are_sound(stage_incidents):
    same = {f"{stage}_at": z(CREATED) for stage in ("acknowledged", "resolved", "closed")}
    staged = stage_incidents(
        {"x.csv": csv(incident(1, **same, started_at=later(days=-1), detected_at=later(hours=-1)))}
    )
    assert staged.counts.rejected == {}


def test_incidents_of_later_nights_are_held_back_but_later_stamps_stay(stage_incidents):
    rows = [
        incident(1, resolved_at="2026-03-01T01:00:00Z"),
        incident(2, created_at="2026-03-01T00:00:00Z"),
        incident(3, created_at="2026-03-01T02:30:01Z"),
    ]
    staged = stage_incidents({"x.csv": csv(*rows)})
    assert staged.incidents.select("incident_id", "resolved_at").rows() == [("INC1", datetime(2026, 3, 1, 1))]
    assert (staged.counts.held_back, staged.counts.rejected) == (1, {"future": 1})


@pytest.mark.parametrize("word", ["true", "TRUE", "yes", "1", "t"])
def test_predicted_in_many_words(stage_incidents, word):
    staged = stage_incidents(
        {"x.csv": csv(incident(1, is_predicted=word), incident(2, is_predicted="no"), incident(3))}
    )
    assert staged.incidents["is_predicted"].to_list() == [True, False, False]


def test_of_one_id_in_a_file_the_version_updated_last_stays(stage_incidents):
    rows = [incident(1, updated_at=later(days=d), state=s) for d, s in ((1, "old"), (3, "newest"), (2, "newer"))]
    staged = stage_incidents({"x.csv": csv(*rows)})
    assert staged.incidents["state"].to_list() == ["newest"]
    assert staged.reasons() == [(1, "duplicate incident id"), (3, "duplicate incident id")]


def test_exports_that_overlap_are_no_fault(stage_incidents):
    old = [incident(1, state="open"), incident(2, state="open")]
    new = [incident(2, state="closed", closed_at=later(days=1)), incident(3, state="open")]
    staged = stage_incidents({"a.csv": csv(*new), "b.csv": csv(*old), "c.csv": csv(*old)})
    assert dict(staged.incidents.select("incident_id", "state").rows()) == {
        "INC1": "open",
        "INC2": "closed",
        "INC3": "open",
    }
    assert (staged.counts.read, staged.counts.superseded, staged.counts.rejected) == (6, 3, {})


def test_columns_of_typed_files_are_mapped(stage_incidents):
    frame = pl.DataFrame(
        {
            "number": [17, 18],
            "opened": pl.Series([CREATED] * 2).dt.replace_time_zone("UTC"),
            "reopened": ["1", "0"],
            "group": pl.Series(["a", "b"], dtype=pl.Categorical),
            "flag": [True, False],
        }
    )
    mapping = {"incident_id": "number", "created_at": "opened", "started_at": "opened", "reopen_count": "reopened"}
    staged = stage_incidents({"x.parquet": frame}, columns=mapping | {"team": "group", "is_predicted": "flag"})
    assert staged.incidents.select("incident_id", "started_at", "reopen_count", "team", "is_predicted").rows() == [
        ("17", CREATED, 1, "a", True),
        ("18", CREATED, 0, "b", False),
    ]


def test_mixed_zones_name_the_column_that_has_them(stage_incidents):
    rows = [incident(1, closed_at=later(days=1)), incident(2, closed_at="2026-02-05T10:00:00+01:00")]
    with pytest.raises(
        InputError, match=r"^x\.csv: column 'closed_at' mixes time zones: row 1 has Z, row 2 has \+0100;"
    ):
        stage_incidents({"x.csv": csv(*rows)})


def event(number: int, at: str, **parts) -> dict:
    return {"incident_id": f"INC{number}", "changed_at": at} | parts


def test_events_of_staged_incidents(stage_incidents):
    rows = [
        event(1, later(hours=2), event_no=2, state="Resolved", team="a", assignee="x"),
        event(1, later(hours=1), event_no=1, state="Active", team="a"),
        event(9, later(hours=1), event_no=1, state="Active"),
        event(1, "never", event_no=3),
        event(1, "", event_no=4),
        event(1, "2099-01-01T00:00:00Z", event_no=5),
        event(1, later(hours=3), event_no="six"),
        event(1, later(hours=2), event_no=1, state="New"),
        event(1, "2026-03-01T01:00:00Z", event_no=8),
    ]
    staged = stage_incidents({"x.csv": csv(incident(1))}, events={"e.csv": csv(*rows)})
    assert staged.events.select("source", "event_no", "state").rows() == [
        ("desk", 1, "New"),
        ("desk", 2, "Resolved"),
        ("desk", 8, None),
    ]
    assert staged.rejects.select("file", "file_row", "reason").rows() == [
        ("e.csv", 2, "duplicate event"),
        ("e.csv", 4, "unreadable time"),
        ("e.csv", 5, "no time"),
        ("e.csv", 6, "future"),
        ("e.csv", 7, "not a number"),
    ]
    counts = staged.counts.event_counts
    assert (counts.read, counts.unknown) == (9, 1)
    assert staged.counts.counts.rejected == {}


def test_events_before_1970_are_refused_and_counted(stage_incidents):
    event = {"incident_id": "INC1", "changed_at": "0001-01-01T00:00:00Z", "state": "new"}
    staged = stage_incidents({"x.csv": csv(incident())}, events={"e.csv": csv(event)})
    assert staged.rejects.select("file", "reason").rows() == [("e.csv", "implausible time")]
    assert staged.events.is_empty()


def test_events_without_a_source_are_of_the_incident_with_their_id(stage_incidents):
    incidents = csv({**incident(1), "source": "snow"}, {**incident(2), "source": "jira"})
    rows = [event(1, later(hours=1)), event(2, later(hours=1))]
    staged = stage_incidents({"x.csv": incidents}, events={"e.csv": csv(*rows)})
    assert staged.events.select("source", "incident_id").rows() == [("jira", "INC2"), ("snow", "INC1")]


def numbered(stage_incidents, *rows: dict) -> dict[tuple, int]:
    """Events without numbers, as one export: their content -> the number that they get."""
    staged = stage_incidents({"x.csv": csv(incident(1))}, events={"e.csv": csv(*rows)})
    assert staged.counts.rejected == {}
    content = staged.events.select("changed_at", "state", "team", "assignee").rows()
    assert len(content) == len(rows)
    return dict(zip(content, staged.events["event_no"], strict=True))


def test_an_event_without_a_number_has_the_same_one_in_every_export(stage_incidents):
    early, common, new = (event(1, later(hours=h), state="Active", team=t) for h, t in ((1, "a"), (2, "b"), (3, "b")))
    of_common = (CREATED + timedelta(hours=2), "Active", "b", None)
    first = numbered(stage_incidents, common)
    only_newer = numbered(stage_incidents, common, new)
    late_arrival = numbered(stage_incidents, new, early, common)
    assert first[of_common] == only_newer[of_common] == late_arrival[of_common]
    assert only_newer.items() <= late_arrival.items()
    assert len(set(late_arrival.values())) == 3


def test_the_number_of_an_event_never_changes(stage_incidents):
    """Warehouses keep these numbers: should this fail, every event that they hold would come in again."""
    rows = [
        event(1, later(hours=1), state="New", team="a", assignee="x"),
        event(1, later(hours=2), state="Resolved"),
        event(1, later(hours=3)),
    ]
    assert sorted(numbered(stage_incidents, *rows).values()) == [254_716_758, 372_601_335, 1_301_758_617]


PARTS = [
    {},
    {"state": "a"},
    {"team": "a"},
    {"assignee": "a"},
    {"state": "a", "team": "a"},
    {"state": "-"},
    {"team": "-"},
]


def test_events_of_one_second_have_numbers_of_their_own_that_fit_the_warehouse(stage_incidents):
    numbers = numbered(stage_incidents, *(event(1, later(hours=1), **parts) for parts in PARTS)).values()
    assert len(set(numbers)) == len(PARTS)
    assert all(0 <= number < 2**31 for number in numbers)


@pytest.mark.parametrize("order", [1, -1])
def test_events_of_one_second_are_in_the_order_of_an_incidents_life(stage_incidents, order):
    life = ["Escalating", "New", "In_Progress", "Awaiting Vendor", "Resolved", "Closed Complete", "Cancelled"]
    rows = [event(1, later(hours=1), state=state, team=team) for state in life[::order] for team in "abc"]
    numbers = numbered(stage_incidents, *rows)
    found = [state for (_, state, *_), _ in sorted(numbers.items(), key=lambda item: item[1])]
    assert found == [state for state in life for _ in "abc"]


@pytest.mark.parametrize("word", [*WORDS, *(beginning + "x" for beginning, _ in BEGINNINGS), "?", "  ON__hold/x ", ""])
def test_the_stage_of_a_state_is_that_of_its_kind(con, word):
    kind = kind_of(word)
    query = f"SELECT {stage_of_life('state')} FROM (SELECT $state AS state)"
    assert con.execute(query, {"state": word}).fetchall() == [(STATE_KINDS.index(kind) + 1 if kind else 0,)]


def test_an_event_twice_in_a_file_is_refused_and_in_another_file_superseded(stage_incidents):
    rows = [event(1, later(hours=h), state=s) for h, s in ((3, "c"), (1, "a"), (2, "b"), (1, "a"))]
    staged = stage_incidents({"x.csv": csv(incident(1))}, events={"a.csv": csv(*rows), "b.csv": csv(*rows[:2])})
    assert sorted(staged.events["state"]) == ["a", "b", "c"]
    assert staged.reasons() == [(4, "duplicate event")]
    assert staged.counts.event_counts.superseded == 2


def test_events_are_numbered_in_every_file_or_in_none(stage_incidents):
    events = {"a.csv": csv(event(1, later(), event_no=1)), "b.csv": csv(event(1, later()))}
    with pytest.raises(InputError, match=r"^b\.csv: has no column 'event_no', though other files have"):
        stage_incidents({"x.csv": csv(incident(1))}, events=events)


HOSTILE = ["'; DROP TABLE x; --", "two\nlines", "x" * 10_000, "<script>", "{'a': 1}"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_through_unchanged(stage_incidents, text):
    created = pl.Series([CREATED]).dt.replace_time_zone("UTC")
    frame = pl.DataFrame({"incident_id": [text], "created_at": created, "title": [text], text: [text]})
    staged = stage_incidents({"x.parquet": frame})
    assert staged.incidents.select("incident_id", "title").rows() == [(text, text)]


VERSION = st.tuples(st.integers(1, 3), st.integers(0, 2), st.sampled_from(["open", "closed"]))


@trying(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_and_division_into_files_play_no_part(stage_incidents, data):
    rows = data.draw(st.lists(VERSION, min_size=1, max_size=8))
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))

    def staged(files: dict[str, list]) -> bytes:
        written = {
            name: "incident_id,created_at,updated_at,state\n"
            + "".join(f"INC{n},{z(CREATED)},{later(days=d)},{s}\n" for n, d, s in part)
            for name, part in files.items()
        }
        result = stage_incidents(written).counts
        assert result.read == len(rows)
        return result.incidents.read_bytes()

    whole = staged({"x.csv": rows})
    assert staged({"x.csv": shuffled}) == whole
    assert staged({"b.csv": shuffled[:cut], "a.csv": shuffled[cut:]}) == whole
