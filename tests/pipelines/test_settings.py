import os
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipelines.settings import SettingsError, cut, json_schema, load, night_of, parse
from pipelines.source_options import MetricFiles

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def test_the_committed_schema_has_not_drifted():
    committed = (ROOT / "data" / "settings.schema.json").read_text(encoding="utf-8")
    assert committed == json_schema(), "run: python -m pipelines.settings > data/settings.schema.json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sorces: {}", r"f\.yaml: sorces: unknown key"),
        ("tickets: {policy: {open_at: 2}}", r"tickets\.policy\.open_at: .*less than or equal to 1"),
        ("tickets: {policy: {open_at: 0.2, resolve_below: 0.5}}", r"tickets\.policy: resolve_below must not exceed"),
        ("signals: {presets: [host.memry]}", r"signals: unknown preset 'host.memry'; did you mean host\.memory"),
        ("signals: {own: [{name: a, metric: b, limits: []}]}", r"signals\.own\[0\]\.limits: "),
        ("signals: {own: [{name: a, metric: b, limits: [{name: x, value: .nan}]}]}", r"limits\[0\]\.value: "),
        (
            "sources: {metrics: [{name: a, paths: ['${FOREWARN_NOT_SET}']}]}",
            r"sources\.metrics\[0\]\.paths\[0\]: .*set it",
        ),
        ("calendar: {time_zone: Mars}", r"calendar\.time_zone: unknown time zone 'Mars'; use an IANA name"),
        ("services: [{name: 'a b', entities: ['*']}]", r"services\[0\]\.name: 'a b' must be"),
        ("storage: {root: 'runs[1]'}", r"storage\.root: .*runs\[1\] holds one of"),
        ("storage: {memory_limit: lots}", r"storage\.memory_limit: "),
        ("a: [", r"f\.yaml line 1: not valid YAML"),
        ("version: 1\ncalendar: {first_night: 2024-13-45}", r"f\.yaml line 2: not valid YAML: '2024-13-45' .*month"),
        ("version: 1\nservices: [{name: 0x_}]", r"f\.yaml line 2: not valid YAML: '0x_' "),
        ("version: !!bool maybe", r"f\.yaml line 1: not valid YAML: 'maybe' "),
        ("version: 1\nstorage: {root: a\x01b}", r"f\.yaml line 2: not valid YAML: .*'\\x01'"),
        ("a: {b: !secret c}", r"f\.yaml line 1: not valid YAML: .*!secret"),
        ("[" * 3000, r"f\.yaml: nested too deeply"),
        ("services: &a [*a]", r"f\.yaml: nested too deeply"),
        ('"a\\nb": 1', r"f\.yaml: a b: unknown key"),
        ("tickets: {trackers: [{}, {name: b}, {}]}", r"tickets: two trackers are called 'outbox'; give each"),
        ("- 1", r"f\.yaml: expected a mapping"),
    ],
)
def test_a_fault_is_one_line_with_file_key_and_mend(text: str, said: str):
    with pytest.raises(SettingsError, match=said) as caught:
        parse(text, HERE, "f.yaml")
    assert "\n" not in str(caught.value)


def test_strings_are_filled_from_the_environment(monkeypatch):
    monkeypatch.setenv("FOREWARN_TEST_FOLDER", "/data")
    text = "sources: {metrics: [{name: a, paths: ['${FOREWARN_TEST_FOLDER}/x', '${FOREWARN_NOT_SET:-here}/y']}]}"
    (files,) = parse(text, HERE).sources.metrics
    assert isinstance(files, MetricFiles) and files.paths == ["/data/x", "here/y"]


def test_paths_are_relative_to_the_settings_file(tmp_path: Path):
    (tmp_path / "f.yaml").write_text("storage: {root: out}")
    assert load(tmp_path / "f.yaml").root == tmp_path / "out"


@pytest.mark.parametrize(
    ("trackers", "folder"),
    [
        ("[]", None),
        ("[{type: outbox}]", HERE / "run" / "tickets"),
        ("[{type: outbox, folder: mail/out}, {name: second}]", HERE / "mail" / "out"),
        ("[{type: outbox, folder: /srv/t}]", Path("/srv/t")),
    ],
)
def test_tickets_are_looked_for_in_the_first_outbox(trackers: str, folder: Path | None):
    assert parse(f"tickets: {{trackers: {trackers}}}", HERE).tickets_folder == folder


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None):
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"f\.yaml"):
        load(path)


def test_the_environment_names_the_settings_when_nothing_else_does(tmp_path: Path, monkeypatch):
    (tmp_path / "f.yaml").write_text("storage: {root: elsewhere}")
    monkeypatch.setitem(os.environ, "FOREWARN_CONFIG", str(tmp_path / "f.yaml"))
    assert load().storage.root == "elsewhere"


@pytest.mark.parametrize(
    ("zone", "night", "utc"),
    [
        ("UTC", date(2026, 3, 1), datetime(2026, 3, 1)),
        ("Europe/Berlin", date(2026, 6, 1), datetime(2026, 5, 31, 22)),
        ("Asia/Kolkata", date(2026, 3, 1), datetime(2026, 2, 28, 18)),  # 18:30, floored to the hour
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3)),  # that midnight did not exist
    ],
)
def test_a_night_is_cut_at_local_midnight_floored_to_the_utc_hour(zone: str, night: date, utc: datetime):
    assert cut(night, ZoneInfo(zone)) == utc
    settings = parse(f"calendar: {{time_zone: {zone}, first_night: 2018-01-01}}", HERE)
    assert night_of(night.isoformat(), settings) == night
    assert night_of(utc.isoformat() + "Z", settings) == night


def test_the_night_is_the_archives_own_else_today():
    assert night_of(None, parse("calendar: {as_of: 2025-05-05}", HERE)) == date(2025, 5, 5)
    assert night_of(None, parse("", HERE), today=date(2025, 1, 2)) == date(2025, 1, 2)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-03-01T05:00Z", "2001-01-01", "2999-01-01"])
def test_what_is_no_night_is_refused(text: str):
    with pytest.raises(SettingsError, match="--as-of"):
        night_of(text, parse("", HERE))
