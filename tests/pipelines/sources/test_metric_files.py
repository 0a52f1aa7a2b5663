"""Metric files: a rule for every kind of row, each counted."""

import json
from datetime import datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from features.signals import ConstantLimit, Signal
from pipelines.sources import metric_rows, rejects
from pipelines.sources.errors import InputError
from pipelines.sources.identity import series_id

AT = datetime(2026, 2, 28, 12)
AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)


def frame(*rows: tuple, **labels: list) -> pl.DataFrame:
    """Rows of entity, metric, ts, value."""
    schema = {"entity": pl.String, "metric": pl.String, "ts": pl.Datetime("us", "UTC"), "value": pl.Float64}
    return pl.DataFrame(list(rows), schema, orient="row").with_columns(**{k: pl.Series(v) for k, v in labels.items()})


def csv(*rows: str) -> str:
    return "entity,metric,ts,value\n" + "".join(row + "\n" for row in rows)


STAMP = "2026-02-28T12:00:00Z"


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (f",m,{STAMP},1", "no entity", None),
        (f"e,,{STAMP},1", "no metric", None),
        ("e,m,,1", "no time", None),
        ("e,m,  ,1", "no time", None),
        (f"e,m,{STAMP},", "no value", None),
        (f"e,m,{STAMP},abc", "not a number", "abc"),
        (f'e,m,{STAMP},"1,5"', "not a number", "1,5"),
        (f"e,m,{STAMP},NaN", "NaN", "NaN"),
        (f"e,m,{STAMP},-inf", "infinite", "-inf"),
        (f"e,m,{STAMP},1e999", "infinite", "1e999"),
        ("e,m,yesterday,1", "unreadable time", "yesterday (write it as 2026-05-31T13:00:00Z)"),
        ("e,m,31/12/2025 10:00,1", "ambiguous date", "31/12/2025 10:00 (day or month first? write it as 2026-05-31)"),
        ("e,m,2026-02-28T12:00:00,1", "no time zone", "2026-02-28T12:00:00 (add Z, or set the source's time_zone)"),
        ("e,m,2099-01-01T00:00:00Z,1", "future", "2099-01-01T00:00:00Z"),
        (f"e,m,{STAMP}", "broken row", "3 fields instead of 4: e"),
        (f"e,m,{STAMP},{'x' * 10_000}", "not a number", "x" * 79 + "…"),
    ],
)
def test_refused_rows_are_listed_with_file_row_reason_and_value(stage, row, reason, detail):
    staged = stage({"x.csv": csv(f"e,m,{STAMP},1", row)})
    assert staged.rejects.rows() == [("fleet", "x.csv", 2, reason, detail)]
    assert staged.counts.rejected == {reason: 1}
    assert (staged.counts.read, staged.counts.staged) == (2, 1)


def test_the_same_rules_hold_for_typed_files(stage):
    staged = stage(
        {
            "x.parquet": frame(
                ("e", "m", AT, 1.0),
                (None, "m", AT, 1.0),
                ("", "m", AT, 1.0),
                ("e", None, AT, 1.0),
                ("e", "m", None, 1.0),
                ("e", "m", AT, None),
                ("e", "m", AT, float("nan")),
                ("e", "m", AT, float("-inf")),
                ("e", "m", datetime(2099, 1, 1), 1.0),
            )
        }
    )
    assert staged.reasons() == [
        (2, "no entity"),
        (3, "no entity"),
        (4, "no metric"),
        (5, "no time"),
        (6, "no value"),
        (7, "NaN"),
        (8, "infinite"),
        (9, "future"),
    ]


@pytest.mark.parametrize("other", [0.0, 1.0, float("inf")])
@pytest.mark.parametrize("writer", ["polars", "arrow"])
def test_nan_is_found_whatever_the_statistics_of_the_file_say(stage, tmp_path, writer, other):
    rows = frame(("e", "m", AT, other), ("e", "m", AT, float("nan")))
    if writer == "arrow":
        pq.write_table(rows.to_arrow(), tmp_path / "t")
    else:
        rows.write_parquet(tmp_path / "t", statistics="full")
    staged = stage({"x.parquet": (tmp_path / "t").read_bytes()})
    assert (2, "NaN") in staged.reasons()


def test_a_wall_clock_without_a_zone_is_refused_row_by_row(stage):
    naive = frame(("e", "m", AT, 1.0), ("e", "m", None, 1.0)).with_columns(pl.col("ts").dt.replace_time_zone(None))
    assert stage({"x.parquet": naive}).reasons() == [(1, "no time zone"), (2, "no time")]
    assert stage({"x.parquet": naive}, time_zone="Europe/Berlin").samples["ts"].to_list() == [AT - timedelta(hours=1)]


def test_the_cut_divides_what_is_staged_held_back_and_of_the_future(stage):
    second = timedelta(seconds=1)
    stamps = [AS_OF - second, AS_OF - timedelta(microseconds=1), AS_OF, NOW, NOW + second]
    staged = stage({"x.parquet": frame(*(("e", "m", at, float(i)) for i, at in enumerate(stamps)))})
    assert staged.samples.select("ts", "value").rows() == [(AS_OF - second, 1.0)]
    assert (staged.counts.held_back, staged.counts.conflicts, staged.counts.rejected) == (2, 1, {"future": 1})


def test_a_series_is_known_only_by_what_is_staged(stage):
    rows = (("seen", "m", AT, 1.0), ("later", "m", AS_OF, 1.0), ("bad", "m", AT, float("nan")))
    staged = stage({"x.parquet": frame(*rows)})
    assert staged.series["entity"].to_list() == ["seen"]


def test_duplicates_are_kept_once_and_of_conflicting_values_the_largest(stage):
    rows = [("e", "m", AT, value) for value in (1.0, 3.0, 3.0, 2.0, 3.0)] + [("e", "m", AT + timedelta(seconds=1), 1.0)]
    staged = stage({"x.parquet": frame(*rows)})
    assert staged.samples["value"].to_list() == [3.0, 1.0]
    assert (staged.counts.read, staged.counts.duplicates, staged.counts.conflicts) == (6, 2, 2)


def test_samples_lie_by_day_series_and_time(stage):
    rows = [(e, "m", AT - timedelta(hours=h), 1.0) for h in (1, 40, 7, 26) for e in ("b", "a", "c")]
    staged = stage({"x.parquet": frame(*rows)})
    expected = staged.samples.sort(pl.col("ts").dt.date(), "series_id", "ts")
    assert staged.samples.equals(expected)
    assert staged.series["series_id"].is_sorted()


def test_columns_without_a_part_are_labels(stage):
    labels = {"zone": ["a", None, ""], "cpu": [0, 1, 1], "up": [True, None, False]}
    staged = stage({"x.parquet": frame(*((f"e{i}", "m", AT, 1.0) for i in range(3)), **labels)})
    assert dict(staged.series.select("entity", "labels").rows()) == {
        "e0": '{"cpu":"0","up":"true","zone":"a"}',
        "e1": '{"cpu":"1"}',
        "e2": '{"cpu":"1","up":"false"}',
    }


def test_ids_are_those_of_the_identity_labels(stage):
    signal = Signal(name="s", metric="m", identity=["disk"], limits=[ConstantLimit(name="full", value=1)])
    pods = frame(*(("e", "m", AT + timedelta(minutes=i), float(i)) for i in range(2)), disk=["/"] * 2, pod=["a", "b"])
    staged = stage({"x.parquet": pods}, [signal])
    assert staged.series.rows() == [
        (series_id("fleet", "e", "m", {"disk": "/"}), "fleet", "e", "m", '{"disk":"/"}', None)
    ]
    assert staged.samples["series_id"].n_unique() == 1
    assert stage({"x.parquet": pods}).samples["series_id"].n_unique() == 2


def test_names_are_mapped_and_the_source_is_a_column_or_the_name(stage):
    content = "host,name,when,val,uom,dc\n" + f"e,m,{STAMP},1,B,fra\ne,m,{STAMP},1,B,\n"
    mapping = {"entity": "host", "metric": "name", "ts": "when", "value": "val", "unit": "uom", "source": "dc"}
    staged = stage({"x.csv": content}, columns=mapping)
    rows = staged.series.select("source", "entity", "metric", "labels", "unit").sort("source").rows()
    assert rows == [("fleet", "e", "m", "{}", "B"), ("fra", "e", "m", "{}", "B")]


def test_files_of_different_layouts_are_one_source(stage):
    staged = stage(
        {
            "a.parquet": frame(("e", "m", AT, 1.0)),
            "b.csv": f"ts,rack,value,metric,entity\n{STAMP},r1,2,m,e\n{STAMP},,9,m,e\nbad\n",
            "c.parquet": frame(("e", "m", AT, 2.0)).with_columns(pl.col("value").cast(pl.Int16)),
            "d.parquet": frame(("f", "m", AT, 2.0), (None, "m", AT, 2.0)),
        }
    )
    assert (staged.counts.read, staged.counts.staged, staged.counts.conflicts) == (7, 3, 2)
    assert staged.rejects.select("file", "file_row", "reason").rows() == [
        ("b.csv", 3, "broken row"),
        ("d.parquet", 2, "no entity"),
    ]
    first = staged.series.filter(entity="e", labels="{}")["series_id"][0]
    assert staged.samples.filter(series_id=first)["value"].to_list() == [9.0]


@pytest.mark.parametrize("value_type", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(22, 2), pa.bool_()])
def test_values_of_any_numeric_type(stage, tmp_path, value_type):
    table = pa.table({"entity": ["e"], "metric": ["m"], "ts": pa.array([AT], pa.timestamp("ms", "UTC"))})
    pq.write_table(table.append_column("value", pa.array([1]).cast(value_type)), tmp_path / "t")
    staged = stage({"x.parquet": (tmp_path / "t").read_bytes()})
    assert staged.samples["value"].to_list() == [1.0]
    assert dict(staged.samples.schema) == {"series_id": pl.UInt64, "ts": pl.Datetime("us"), "value": pl.Float64}


def test_categories_are_text(stage):
    rows = frame(("e", "m", AT, 1.0), ("f", "m", AT, 1.0)).with_columns(pl.col("entity", "metric").cast(pl.Categorical))
    assert stage({"x.parquet": rows}).series["entity"].sort().to_list() == ["e", "f"]


HOSTILE = [
    "'; DROP TABLE x; --",
    '"quoted"',
    "two\nlines",
    "x" * 10_000,
    "{{7*7}}",
    "<b>",
    "\\",
    "ключ",
    "$as_of",
    "a b",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_hostile_text_comes_through_unchanged(stage, text, kind):
    content = frame((text, text, AT, 1.0), (None, "m", AT, 1.0), **{text: [text, None]})
    name = f"{text[:60]}.{kind}"
    data = content.with_columns(pl.col("ts").dt.strftime("%FT%TZ")).write_csv() if kind == "csv" else content
    staged = stage({name.replace("/", ""): data})
    (row,) = staged.series.iter_rows(named=True)
    assert (row["entity"], row["metric"], json.loads(row["labels"])) == (text, text, {text: text})
    assert staged.reasons() == [(2, "no entity")]


def test_columns_named_like_those_that_duckdb_adds(stage):
    clash = {
        "filename": ["f", "g"],
        "file_row_number": [7, 8],
        "File_Index": [9, 9],
        "file_row": [5, 5],
        "file_no": [1, 1],
    }
    staged = stage({"x.parquet": frame(("e", "m", AT, 1.0), (None, "m", AT, 1.0), **clash)})
    labels = {"File_Index": "9", "file_no": "1", "file_row": "5", "file_row_number": "7", "filename": "f"}
    assert json.loads(staged.series["labels"][0]) == labels
    assert staged.reasons() == [(2, "no entity")]


def test_names_with_glob_characters_read_no_other_file(stage, put):
    put({"x1.parquet": frame(("other", "m", AT, 1.0))})
    staged = stage({"x[1]*.parquet": frame(("e", "m", AT, 1.0))})
    assert staged.series["entity"].to_list() == ["e"]


def test_listing_is_bounded_counting_is_not(stage, monkeypatch):
    monkeypatch.setattr(rejects, "LISTED", 3)
    bad = [("e", "m", AT, float("nan"))] * 5 + [(None, "m", AT, 1.0)]
    text = csv(*["broken"] * 4, "e,m,yesterday,1")
    staged = stage({"a.parquet": frame(*bad), "b.csv": text, "c.parquet": frame(*bad)})
    assert staged.counts.rejected == {"NaN": 10, "broken row": 4, "no entity": 2, "unreadable time": 1}
    assert staged.reasons() == [
        *[(1, "NaN"), (2, "NaN"), (3, "NaN"), (6, "no entity")],
        *[(1, "broken row"), (2, "broken row"), (3, "broken row"), (5, "unreadable time")],
        *[(1, "NaN"), (2, "NaN"), (3, "NaN"), (6, "no entity")],
    ]


def test_a_damaged_file_is_named_among_sound_ones(stage, tmp_path):
    sound = frame(*(("e", "m", AT + timedelta(seconds=i), float(i * i)) for i in range(5_000)))
    sound.write_parquet(tmp_path / "x")
    damaged = bytearray((tmp_path / "x").read_bytes())
    damaged[200:4_000] = b"\xff" * 3_800
    with pytest.raises(InputError, match=r"^b\.parquet: cannot be read \(.*\); copy or export it again$"):
        stage({"a.parquet": sound, "b.parquet": bytes(damaged), "c.parquet": sound})


def test_nothing_is_left_behind(stage, con: duckdb.DuckDBPyConnection, tmp_path):
    staged = stage({"x.csv": csv(f"e,m,{STAMP},1", "broken")})
    folder = staged.counts.series.parent
    assert sorted(p.name for p in folder.iterdir()) == ["rejects.parquet", "samples.parquet", "series.parquet"]
    assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
    with pytest.raises(InputError):
        stage({"x.csv": csv("e,m,2026-01-01T00:00:00Z,1", "e,m,2026-01-01T00:00:00+01:00,1")})
    assert sorted(p.name for p in folder.iterdir()) == ["rejects.parquet", "samples.parquet", "series.parquet"]


SAMPLE = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.just("m"),
    st.integers(0, 6).map(lambda s: AT + timedelta(hours=5 * s)),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, float("nan"), float("inf")]),
    st.sampled_from(["x", "y", None]),
)


@trying(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_and_division_into_files_play_no_part(stage, data):
    rows = data.draw(st.lists(SAMPLE, min_size=1, max_size=25))
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))

    def part(some: list) -> pl.DataFrame:
        return frame(*(row[:4] for row in some)).with_columns(rack=pl.Series([row[4] for row in some], dtype=pl.String))

    def staged(files: dict) -> tuple:
        result = stage(files)
        counts = result.counts
        accounted = counts.staged + counts.duplicates + counts.conflicts + counts.held_back
        assert counts.read == len(rows) == accounted + sum(counts.rejected.values())
        numbers = (counts.staged, counts.duplicates, counts.conflicts, counts.held_back, counts.rejected)
        return numbers, counts.series.read_bytes(), counts.samples.read_bytes()

    whole = staged({"x.parquet": part(rows)})
    assert staged({"x.parquet": part(shuffled)}) == whole
    assert staged({"b.parquet": part(shuffled[:cut]), "a.parquet": part(shuffled[cut:])}) == whole


def test_many_combinations_get_their_ids_page_by_page(stage, monkeypatch):
    monkeypatch.setattr(metric_rows, "COMBINATIONS_AT_ONCE", 2)
    rows = [(f"e{i}", "m", AT, float(i)) for i in range(7)]
    staged = stage({"x.parquet": frame(*rows)})
    expected = {f"e{i}": series_id("fleet", f"e{i}", "m", {}) for i in range(7)}
    assert dict(staged.series.select("entity", "series_id").rows()) == expected
