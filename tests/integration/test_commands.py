"""What the command says and where it puts things: one line for every error, folders that are named elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from urllib.parse import unquote

import duckdb
import polars as pl
import pytest
from small_fleet import Fleet, environment

from pipelines import cli, digests
from pipelines.settings import SettingsError, load
from pipelines.site import Night, Site


def change(fleet: Fleet, old: str, new: str) -> None:
    text = fleet.config.read_text()
    assert old in text
    fleet.config.write_text(text.replace(old, new))


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------- errors in one line


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("f.yaml: first\n  second\x1b[31m"), 2, r"f.yaml: first second\x1b[31m"),
        (OSError(28, "No space left on device", "/srv/x"), 1, "[Errno 28] No space left on device: '/srv/x'"),
        (duckdb.IOException("IO Error: broken\n\nmore"), 1, "IO Error: broken more"),
    ],
)
def test_every_error_is_one_line(monkeypatch, capsys, error: Exception, code: int, said: str):
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code, capsys.readouterr().err) == (code, f"forewarn: {said}\n")


@pytest.mark.parametrize("spoilt", ["first_night: 2024-13-45", "time_zone: a\x01b"])
def test_a_settings_file_that_yaml_chokes_on_is_one_line(fleet: Fleet, spoilt: str):
    change(fleet, "first_night: 2026-02-20", spoilt)
    done = fleet.forewarn("check", "--config", str(fleet.config))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "forewarn.yaml line 18: not valid YAML" in done.err


def test_check_reports_a_root_that_cannot_be_made(fleet: Fleet):
    (fleet.folder / "file").write_text("")
    change(fleet, "root: run", "root: file/deep/run")
    done = fleet.forewarn("check", "--config", str(fleet.config))
    assert (done.code, done.err) == (2, "")
    assert "correct storage.root" in done.out.splitlines()[0] and done.out.startswith("fault ")
    assert "GiB free under" in done.out


# --------------------------------------------------------------------------------------------------------- the report


def test_report_leaves_no_trace_outside_its_folder(fleet: Fleet, tmp_path: Path):
    before = files(tmp_path)
    out = tmp_path / "[bold]a folder with a name that is longer than a line[/bold]" / ("x" * 100)
    done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(out))
    assert done.code == 0, done.err
    assert {Path(line) for line in done.out.splitlines()} == files(out) == files(tmp_path) - before
    assert not fleet.run.exists()


def test_report_counts_an_incident_of_two_sources_once(fleet: Fleet, tmp_path: Path):
    desk = pl.read_csv(fleet.folder / "incidents.csv", infer_schema=False).with_columns(
        source=pl.lit("desk"), updated_at=pl.lit("2026-02-28T00:00:00Z")
    )
    all_but_one = pl.when(pl.int_range(pl.len()) > 0).then(pl.lit("9")).otherwise(pl.lit("8"))
    newer = desk.with_columns(severity=all_but_one, updated_at=pl.lit("2026-03-01T00:00:00Z"))
    named = "- {name: desk, paths: [incidents.csv]}"
    change(fleet, named, f"{named}\n    - {{name: again, paths: [again.csv]}}")
    for first, second in ((desk, newer), (newer, desk)):
        first.write_csv(fleet.folder / "incidents.csv")
        second.write_csv(fleet.folder / "again.csv")
        done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(tmp_path / "out"))
        assert done.code == 0, done.err
        told = (tmp_path / "out" / "mttr.json").read_text()
        assert json.loads(told)["usable"]["total"] == desk.height
        assert set(re.findall(r'"severity": "(.*?)"', told)) == {"9"}


def test_report_makes_the_sample_fleet_first(tmp_path: Path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "report", "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=240,
        env=environment() | {"FOREWARN_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "mttr.json").read_text())["usable"]["total"] > 0


def test_report_says_that_its_folder_cannot_be_written(fleet: Fleet):
    out = fleet.config / "below a file"
    done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(out))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert done.err.startswith(f"forewarn: --out {out}: cannot be written (")


# ------------------------------------------------------------------------------------------- where people find things


def test_tickets_elsewhere_are_told_and_linked(fleet: Fleet):
    folder = fleet.folder / "mail #1 100%" / "tickets"
    change(fleet, "{mode: live}", f"{{mode: live, trackers: [{{type: outbox, folder: {str(folder)!r}}}]}}")
    done = fleet.nightly()
    assert done.code == 0, done.err
    assert re.search(rf"^tickets +{re.escape(str(folder))}$", done.out, re.MULTILINE)
    page = fleet.run / "reports" / "2026-03-02" / "digest.html"
    links = re.findall(r'href="([^"]+\.md)"', page.read_text())
    assert links and all((page.parent / unquote(link)).is_file() for link in links)
    assert "mail%20%231%20100%25" in links[0]
    latest = page.parent.parent / "latest.html"
    assert (latest.parent / target(latest)).samefile(page)


def target(latest: Path) -> str:
    """Where the page sends its reader, on its own or by a click."""
    html = latest.read_text()
    refresh, link = re.search(r'content="0; url=([^"]+)"', html), re.search(r'href="([^"]+)"', html)
    assert refresh and link and refresh[1] == link[1]
    return link[1]


def test_latest_is_the_newest_night_whatever_order_they_run_in(fleet: Fleet):
    site = Site(load(fleet.config))
    latest = fleet.run / "reports" / "latest.html"
    for night, newest in (
        (date(2026, 2, 28), "2026-02-28"),
        (date(2026, 3, 2), "2026-03-02"),
        (date(2026, 3, 1), "2026-03-02"),
        (date(2026, 3, 2), "2026-03-02"),
    ):
        path = digests.write(digests.Page(f"<p>{night}"), Night(site, night, "run", datetime(2026, 3, 3)))
        assert path.read_text() == f"<p>{night}"
        assert target(latest) == f"{newest}/digest.html"
    assert {path.name for path in latest.parent.iterdir()} == {"2026-02-28", "2026-03-01", "2026-03-02", "latest.html"}
