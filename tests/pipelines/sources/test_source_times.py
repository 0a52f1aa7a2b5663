"""Reading of time columns, by type and by text."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources import times
from pipelines.sources.errors import InputError

AT = datetime(2026, 1, 5, 10)


@pytest.fixture(scope="module")
def db():
    with duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone = 'UTC'")
        times.prepare(con, as_of=AT, now=AT)
        yield con


def read(db, value, column_type: str, zone: str | None = None):
    return db.execute(f"SELECT {times.instant('$v', column_type, zone)}", {"v": value}).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00Z", AT),
        ("2026-01-05 10:00:00Z", AT),
        ("2026-01-05T10:00Z", AT),
        (" 2026-01-05T10:00:00 UTC ", AT),
        ("2026-01-05T11:00:00+01:00", AT),
        ("2026-01-05T11:00:00+0100", AT),
        ("2026-01-05 11:00:00 +01", AT),
        ("2026-01-05T06:30:00-03:30", AT),
        ("2026-01-05T10:00:00.999999999Z", AT + timedelta(microseconds=999_999)),
        ("2026-01-05T10:00:00,25Z", AT + timedelta(microseconds=250_000)),
        ("1767607200", AT),
        ("1767607200000", AT),
        ("1767607200.5", AT + timedelta(microseconds=500_000)),
        ("2026-01-05T10:00:00", None),
        ("20260105", None),
        ("05/01/2026 10:00", None),
        ("2026-02-30T10:00:00Z", None),
        ("2026-01-05T10:61:00Z", None),
        ("10:00", None),
        ("infinity", None),
        ("now", None),
        ("", None),
    ],
)
def test_text(db, text, expected):
    assert read(db, text, "VARCHAR") == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026-01-05T10:00:00", "no time zone"),
        ("2026-01-05", "no time zone"),
        ("03/04/2026 10:00", "ambiguous date"),
        ("3.4.26", "ambiguous date"),
        ("yesterday", "unreadable time"),
        ("2026-02-30T10:00:00Z", "unreadable time"),
        ("2026-02-30T10:00:00", "unreadable time"),
    ],
)
def test_faults_of_text(db, text, fault):
    assert db.execute("SELECT fault_of_time($t)", {"t": text}).fetchall() == [(fault,)]


@pytest.mark.parametrize(
    ("number", "column_type"),
    [
        (1767607200, "BIGINT"),
        (1767607200000, "BIGINT"),
        (1767607200000000, "BIGINT"),
        (1767607200000000999, "UBIGINT"),
        (1767607200.0, "DOUBLE"),
    ],
)
def test_numbers_are_told_apart_by_magnitude(db, number, column_type):
    assert read(db, number, column_type) == AT


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e30])
def test_numbers_that_are_no_time(db, number):
    assert read(db, number, "DOUBLE") is None


def test_wall_clocks_take_the_zone_of_the_settings(db):
    assert read(db, "2026-01-05 11:00", "VARCHAR", "Europe/Berlin") == AT
    assert read(db, AT, "TIMESTAMP") is None
    assert read(db, date(2026, 7, 1), "DATE", "Europe/Berlin") == datetime(2026, 6, 30, 22)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"]


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    wall=st.datetimes(datetime(1995, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(second=0, microsecond=0)),
)
@pytest.mark.parametrize("_", [0])
def test_wall_clocks_are_read_as_python_reads_them(db, zone, wall, _):
    assert read(db, wall, "TIMESTAMP", zone) == wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("zone", "wall"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30)),  # comes twice
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 30)),  # never comes
        ("America/New_York", datetime(2026, 11, 1, 1, 59)),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, 45)),  # set by half an hour
        ("Europe/Berlin", datetime(2026, 10, 25, 3)),
        ("Europe/Berlin", datetime(2026, 10, 26, 2, 30)),
    ],
)
def test_clocks_that_are_set_take_the_offset_from_before(db, zone, wall):
    assert read(db, wall, "TIMESTAMP", zone) == wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


def sample(ts: pa.Array) -> pa.Table:
    n = len(ts)
    return pa.table({"entity": ["e"] * n, "metric": ["m"] * n, "ts": ts, "value": [1.0] * n})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "time_zone"), [("UTC", None), ("Asia/Tokyo", None), (None, "UTC")])
def test_parquet_stamps_of_every_precision(stage, tmp_path, unit, zone, time_zone):
    seconds = 1767607200
    value = seconds * {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit]
    late = value + {"s": 0, "ms": 999, "us": 999_999, "ns": 999_999_999}[unit]
    pq.write_table(sample(pa.array([value, late], pa.timestamp(unit, zone))), tmp_path / "x.parquet")
    staged = stage({"x.parquet": (tmp_path / "x.parquet").read_bytes()}, time_zone=time_zone)
    assert staged.samples["ts"].to_list() == [AT]
    assert staged.counts.duplicates == 1


def csv(*stamps: str) -> str:
    return "entity,metric,ts,value\n" + "".join(f"e,m,{stamp},1\n" for stamp in stamps)


@pytest.mark.parametrize("text", [True, False])
def test_mixed_zones_in_a_column_are_refused_with_two_rows(stage, text):
    stamps = ["2026-01-05T10:00:00Z", "2026-01-05T10:01:00+00:00", "2026-01-05T12:00:00+01:00"]
    content = csv(*stamps) if text else pl.DataFrame({"entity": "e", "metric": "m", "ts": stamps, "value": 1.0})
    name = "x.csv" if text else "x.parquet"
    with pytest.raises(InputError, match=rf"^{name}: column 'ts' mixes .* row 1 has Z, row 3 has \+0100; .*$"):
        stage({name: content})


def test_offsets_that_the_settings_zone_itself_had_are_not_mixed(stage):
    own = csv("2026-01-05T11:00:00+01:00", "2025-07-05T12:00:00+02:00")
    assert stage({"x.csv": own}, time_zone="Europe/Berlin").counts.staged == 2
    with pytest.raises(InputError, match="mixes"):
        stage({"x.csv": own})
    with pytest.raises(InputError, match="mixes"):
        stage({"x.csv": own + "e,m,2026-01-06T12:00:00Z,1\n"}, time_zone="Europe/Berlin")


def test_stamps_without_zone_beside_others_are_single_faults(stage):
    staged = stage({"x.csv": csv("2026-01-05T10:00:00Z", "2026-01-05T11:00:00")})
    assert staged.reasons() == [(2, "no time zone")]
