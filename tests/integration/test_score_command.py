"""The command ``forewarn score`` as people run it, beside the night that it must agree with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from small_fleet import AS_OF, Fleet, environment

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("FOREWARN_DATA", ROOT.parent / "shared" / "data"))
GIB = 1 << 30
P = ["p_24h", "p_72h", "p_168h"]


@pytest.fixture
def metrics(fleet: Fleet) -> Path:
    """The fleet's metrics as Parquet."""
    path = fleet.folder / "metrics.parquet"
    pl.read_csv(fleet.folder / "metrics" / "*.csv", try_parse_dates=True).write_parquet(path)
    return path


@pytest.fixture
def asked(fleet: Fleet) -> Path:
    """Whether each series reaches 90, and other limits on other nights."""
    path = fleet.folder / "tasks.parquet"
    names = pl.DataFrame({"source": "prod", "entity": ["leaky", *(f"calm-{n}" for n in range(4))], "metric": "mem"})
    nights = pl.DataFrame({"as_of": [AS_OF, AS_OF.replace(hour=7), AS_OF.replace(day=1)]})
    names.join(nights, how="cross").join(pl.DataFrame({"limit": [90.0, 50.0]}), how="cross").write_parquet(path)
    return path


def test_a_task_is_answered_as_the_night_answers_it(fleet: Fleet, metrics: Path, asked: Path):
    unbounded = fleet.config.read_text().replace("      minimum: 0\n      maximum: 100\n", "")
    fleet.config.write_text(unbounded.replace("{prophet_series: 0,", "{prophet_series: 0, prior: none,"))
    night = fleet.nightly()
    assert night.code == 0, night.err
    out = fleet.folder / "out.parquet"
    done = fleet.forewarn("score", str(metrics), "--tasks", str(asked), "--out", str(out), "--prior", "none")
    assert done.code == 0, done.err
    assert "30 of 30 tasks answered" in done.out
    found = pl.read_parquet(out).filter(limit=90.0, as_of=AS_OF).sort("entity")
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        risks = con.sql(
            """
            SELECT entity, list(p ORDER BY horizon_h) AS p, min(eta_p50) AS eta
            FROM forecasting.risks JOIN raw.series USING (series_id) GROUP BY ALL ORDER BY entity
            """
        ).fetchall()
    told = [(row["entity"], [row[p] for p in P], row["eta_p50"].replace(tzinfo=None)) for row in found.to_dicts()]
    assert told == risks


def test_processes_change_nothing_but_time(fleet: Fleet, metrics: Path, asked: Path):
    said = []
    for workers in ("1", "2"):
        out = fleet.folder / f"{workers}.parquet"
        arguments = ("score", str(metrics), "--tasks", str(asked), "--out", str(out), "--workers", workers)
        done = fleet.forewarn(*arguments, "--prior", "none")
        assert done.code == 0 and not done.err, done.err
        said.append(out.read_bytes())
    assert said[0] == said[1]


def test_unusable_input_is_one_line_and_code_2(fleet: Fleet, metrics: Path, asked: Path):
    out = fleet.folder / "out.parquet"
    for name, prior, words in (
        ("absent.parquet", "none", "absent.parquet: cannot be read"),
        ("metrics.parquet", "absent.gz", "absent.gz: the prior is not there; name a prior's file"),
        ("metrics.parquet", str(metrics), "metrics.parquet: it is no prior"),
    ):
        arguments = ("score", str(fleet.folder / name), "--tasks", str(asked), "--out", str(out), "--prior", prior)
        done = fleet.forewarn(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert words in done.err and not out.exists()


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real fleets are not at {DATA}; name their folder in $FOREWARN_DATA")
def test_every_real_fleet_at_once(tmp_path: Path):
    """A night in the middle of each fleet, with what it takes in memory."""
    files = sorted(DATA.glob("metrics_*.parquet"))
    asked = pl.concat([middle(file) for file in files])
    asked.write_parquet(tmp_path / "tasks.parquet")
    command = [sys.executable, "-m", "pipelines.cli", "score", *map(str, files), "--prior", "none"]
    command += ["--tasks", str(tmp_path / "tasks.parquet"), "--out", str(tmp_path / "out.parquet")]
    said = tmp_path / "said.txt"
    with said.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment()) as run:
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0, said.read_text()
    assert usage.ru_maxrss * 1024 < 2 * GIB
    found = pl.read_parquet(tmp_path / "out.parquet")
    answered = found.filter(pl.col("reason").is_null())
    assert len(found) == len(asked) and len(answered) > 0.7 * len(asked), found["reason"].value_counts()
    assert not found["reason"].fill_null("").str.starts_with("failed").any()
    assert answered.filter(
        ~pl.all_horizontal(pl.col(P).is_between(0, 1)) | (pl.col(P[0]) > pl.col(P[1])) | (pl.col(P[1]) > pl.col(P[2]))
    ).is_empty()


def middle(file: Path) -> pl.DataFrame:
    """Some series of a file, asked halfway through it whether they get to their highest."""
    names = [pl.col(name).cast(pl.String) for name in ("source", "entity", "metric")]
    samples = pl.scan_parquet(file).filter(pl.col("value").is_finite())
    halfway = samples.select(pl.col("ts").median().dt.truncate("1d")).collect().item()
    series = samples.group_by(names).agg(pl.col("value").max().alias("limit")).collect()
    return series.sort("source", "entity", "metric").head(40).with_columns(as_of=pl.lit(halfway))
