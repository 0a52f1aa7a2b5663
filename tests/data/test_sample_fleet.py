import json
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data import sample_fleet
from data.fleet import incidents
from data.fleet.clock import AS_OF
from data.fleet.roster import roster
from data.fleet.simulation import generator


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): blake2b(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_an_older_fleet_is_replaced_whole(written: Path, tmp_path: Path) -> None:
    older = tmp_path / "fleet"
    (older / "metrics").mkdir(parents=True)
    (older / "metrics" / "left-over.parquet").write_bytes(b"of another version")
    (older / sample_fleet.STAMP).write_text(json.dumps({"version": 0}))
    (tmp_path / ".fleet.partial" / "metrics").mkdir(parents=True)  # an interrupted run

    sample_fleet.generate(older)

    assert digests(older) == digests(written)
    assert [path.name for path in tmp_path.iterdir()] == ["fleet"]


def test_a_fleet_that_is_there_is_left_alone(written: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    sample_fleet.generate(written)
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before


def test_another_seed_gives_another_fleet() -> None:
    names = [row.key for row in roster()]
    draws = {float(generator(seed, name).random()) for seed in (1, 2) for name in names}
    assert len(draws) == 2 * len(names)
    assert not incidents.simulate(1)[0].equals(incidents.simulate(2)[0])


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    assert sample_fleet.main(["--out", str(tmp_path)]) == 2
    assert "name an empty or a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_it_is_as_large_as_a_first_run_can_bear(written: Path) -> None:
    samples = pl.scan_parquet(written / "metrics" / "*.parquet")
    count = samples.select(pl.len()).collect().item()
    assert 2_000_000 < count < 2_700_000
    assert 120 <= len(roster()) <= 180
    assert 40 <= len({row.entity for row in roster()}) <= 50
    assert sum(path.stat().st_size for path in written.rglob("*") if path.is_file()) < 25e6


def test_no_sample_lies_at_or_after_the_as_of_but_the_faulty_ones(written: Path) -> None:
    ts = pl.col("ts").dt.replace_time_zone(None)
    late = pl.scan_parquet(written / "metrics" / "*.parquet").filter(ts >= AS_OF).collect()
    assert late["ts"].dt.year().unique().to_list() == [2099]
    newest = pl.scan_parquet(written / "metrics" / "*.parquet").filter(ts < AS_OF).select(ts.max()).collect().item()
    assert (AS_OF - newest).total_seconds() <= 300


def test_the_faults_are_there(written: Path) -> None:
    samples = pl.read_parquet(written / "metrics" / "*.parquet")
    key = ["entity", "metric", *sorted({name for row in roster() for name in row.labels}), "ts"]
    assert samples.filter(pl.col("value").is_nan()).height == 1
    assert samples.filter(pl.col("value").is_infinite()).height == 2
    twice = samples.filter(samples.select(key).is_duplicated())
    conflicting = twice.group_by(key).agg(pl.col("value").n_unique()).filter(pl.col("value") > 1)
    assert conflicting["entity"].unique().to_list() == ["vpn-01"]
    assert set(twice["entity"]) == {"vpn-01", "web-03"}
    git = samples.filter(pl.col("entity") == "git-01", pl.col("metric") == "mem_used_percent")["ts"]
    assert np.flatnonzero(np.diff(git.to_numpy().astype(np.int64)) < 0).size == 1, "one hour arrives late"
