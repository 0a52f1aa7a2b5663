"""Unusable files are one clear line before a run begins."""

import gzip
import re
from datetime import datetime, time
from pathlib import Path

import polars as pl
import pytest

from pipelines.source_options import IncidentFiles, MetricFiles
from pipelines.sources import inspect
from pipelines.sources.errors import InputError, reading_failed
from pipelines.sources.files import FileReport, inspect_files
from pipelines.sources.metric_rows import PARTS

HEADER = "entity,metric,ts,value\n"
CSV = HEADER + "e,m,2026-01-05T10:00:00Z,1\n"
FRAME = pl.DataFrame({"entity": "e", "metric": "m", "ts": datetime(2026, 1, 5), "value": 1.0})


def look(settings, paths, **options):
    return inspect(MetricFiles.model_validate({"name": "fleet", "paths": paths, **options}), settings)


def reports(settings, paths) -> list[FileReport]:
    return inspect_files(paths, {}, PARTS, settings)


def fault(settings, paths, **options) -> str:
    with pytest.raises(InputError) as raised:
        look(settings, paths, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_globs_are_sorted_and_name_every_file_once(settings, put, tmp_path):
    (tmp_path / "a").mkdir()
    put({"b.csv": CSV, "a.parquet": FRAME, "a/c.csv": CSV, "a/.hidden.csv": "junk"})
    found = reports(settings, ["b.csv", "*.csv", "**/*.csv", "*.parquet"])
    assert [report.name for report in found] == ["a/c.csv", "a.parquet", "b.csv"]
    assert [report.rows for report in found] == [None, 1, None]
    assert look(settings, ["*.csv", "*.parquet"]) == [report.path for report in found[1:]]


def test_names_with_glob_characters_are_names_where_the_file_exists(settings, put):
    put({"x[1]*.csv": CSV, "x1.csv": "junk"})
    assert [path.name for path in look(settings, ["x[1]*.csv"])] == ["x[1]*.csv"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "", r"x\.csv: is empty; "),
        ("x.csv", "\n\n", r"x\.csv: is empty; "),
        ("x.csv.gz", gzip.compress(b"", mtime=0), r"x\.csv\.gz: is empty; "),
        ("x.parquet", "", r"x\.parquet: is empty; "),
        ("x.parquet", "this is no parquet at all", r"x\.parquet: is not a readable Parquet file"),
        ("x.csv", b"\x00\x01\x02" * 99, r"x\.csv: is not CSV .*; export it as CSV"),
        ("x.csv", "PK\x03\x04 and so on", r"x\.csv: is a ZIP or Excel file; export it as CSV"),
        ("x.csv", CSV.encode("utf-16"), r"x\.csv: is UTF-16 text; save it as UTF-8"),
        ("x.csv", "just some words\n", r"x\.csv: does not begin with a CSV header; "),
        ("x.csv", "\n" + CSV, r"x\.csv: does not begin with a CSV header; "),
        ("x.csv", b"entity,metric,ts,value,gr\xf6\xdfe\n", r"x\.csv: its header is not UTF-8; "),
        ("x.csv", "entity,metric,ts\n", r"x\.csv: has no column 'value' \(it has entity, metric, ts\); add it, or"),
        ("x.csv", "entity,metric,ts,values\n", r"has no column 'value' \(did you mean 'values'\?\)"),
        ("x.csv", "entity,metric,ts,value,rack,rack\n", r"x\.csv: has two columns 'rack'; rename one"),
        ("x.csv.gz", gzip.compress(CSV.encode())[:20], r"x\.csv\.gz: cannot be read .*; copy or export it again"),
        ("x.parquet", FRAME.with_columns(value=pl.lit("1")), r"column 'value' is of type VARCHAR, .* must be a number"),
        ("x.parquet", FRAME.with_columns(value=pl.concat_list("value")), r"column 'value' is of type .*\[\]"),
        ("x.parquet", FRAME.with_columns(ts=pl.lit(time(10))), r"column 'ts' is of type TIME\w*, but ts must"),
        ("x.parquet", FRAME.with_columns(entity=pl.lit(b"e")), r"column 'entity' is of type BLOB, but"),
    ],
)  # fmt: skip
def test_unusable_files(settings, put, name, content, said):
    put({name: content})
    assert re.search(said, fault(settings, [name]))


def test_truncated_parquet(settings, put, tmp_path):
    put({"x.parquet": FRAME})
    whole = (tmp_path / "x.parquet").read_bytes()
    for size in (3, 4, 100, len(whole) - 1):
        (tmp_path / "x.parquet").write_bytes(whole[:size])
        assert "x.parquet: is not a readable Parquet file" in fault(settings, ["x.parquet"])


def test_missing_files_say_which_and_where(settings, tmp_path):
    assert (
        fault(settings, ["no.csv"]) == f"{tmp_path}/no.csv: does not exist; correct the source's paths in the settings"
    )
    assert fault(settings, ["*.csv"]).startswith(f"{tmp_path}/*.csv: matches no file; ")
    assert "is a folder; name its files" in fault(settings, ["."])


def test_a_mapping_that_no_column_answers_is_a_fault_even_if_optional(settings, put):
    put({"x.csv": CSV})
    assert "has no column 'site'" in fault(settings, ["x.csv"], columns={"source": "site"})
    assert "correct columns.source in the settings" in fault(settings, ["x.csv"], columns={"source": "site"})


def test_hostile_names_stay_on_one_line(settings, put):
    put({"a\nb\x1b[31m.csv": "", "c.csv": 'entity,"x\ny",ts,value\n'})
    assert fault(settings, ["a*.csv"]).startswith("a\\nb\\x1b[31m.csv: is empty")
    assert "(it has entity, x\\ny, ts, value)" in fault(settings, ["c.csv"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_finds_the_columns(settings, put, delimiter):
    put({"x.csv": CSV.replace(",", delimiter)})
    (report,) = reports(settings, ["x.csv"])
    assert report.dialect
    assert report.dialect.delimiter == delimiter


def test_incidents_need_a_time_at_which_they_began(settings, put):
    put({"x.csv": "incident_id,resolved_at\n"})
    with pytest.raises(InputError, match=r"^x\.csv: has no column 'created_at'; .*columns\.created_at"):
        inspect(IncidentFiles(name="desk", paths=["x.csv"]), settings)


def test_events_are_inspected_too(settings, put):
    put({"x.csv": "incident_id,created_at\n", "e.csv": "incident_id,state\n"})
    source = IncidentFiles.model_validate({"name": "desk", "paths": ["x.csv"], "events": {"paths": ["e.csv"]}})
    with pytest.raises(InputError, match=r"^e\.csv: has no column 'changed_at'"):
        inspect(source, settings)


def test_files_without_rows_are_usable(settings, put):
    put({"x.csv": HEADER, "x.parquet": FRAME.head(0)})
    assert len(look(settings, ["x.csv", "x.parquet"])) == 2


def test_unreadable_files_say_why(settings, put, tmp_path, monkeypatch):
    put({"x.csv": CSV})

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert fault(settings, ["x.csv"]) == "x.csv: cannot be read (Permission denied); correct its permissions"


def test_a_full_disk_is_not_blamed_on_the_file():
    assert isinstance(reading_failed("x.csv", ValueError("cut short")), InputError)
    full = OSError(28, "No space left on device")
    assert reading_failed("x.csv", full) is full
