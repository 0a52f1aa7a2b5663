import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.prior import __main__ as command
from data.prior.fleets import simulated_lessons
from data.prior.measured import OPEN, MeasuredError, measured_lessons, read_grid, without
from data.prior.teaching import teach
from features.grid import Grid
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import Prior, parse, unlearnt
from forecasting.learnt.questions import NAMES

SHIPPED = Path(command.__file__).parent / "prior.json.gz"
MOST_BYTES = 1_500_000
FEW = ["--simulated", "60"]


def write(path: Path, seed: int) -> None:
    """Three weeks of two series that wander and climb."""
    rng = np.random.default_rng(seed)
    hours = 21 * 24
    ts = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(hours)]
    walked = [np.cumsum(rng.normal(0.1, 1, hours)) for _ in range(2)]
    pl.concat(
        pl.DataFrame({"source": path.stem, "entity": f"e{number}", "metric": "used", "ts": ts, "value": values})
        for number, values in enumerate(walked)
    ).write_parquet(path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    for seed, one in enumerate(OPEN):
        write(one.path(folder), seed)
    write(folder / "metrics_elsewhere.parquet", 99)
    return folder


@pytest.fixture(scope="module")
def priors(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One prior for each file, which never saw it."""
    folder = tmp_path_factory.mktemp("priors")
    assert command.main(["--leave-one-out", "--data", str(measured), "--out-dir", str(folder), *FEW]) == 0
    return folder


def built(folder: Path, *options: str) -> bytes:
    out = folder / "prior.json.gz"
    assert command.main(["--out", str(out), *FEW, *options]) == 0
    assert [path.name for path in folder.iterdir() if path.is_file()] == [out.name]
    return out.read_bytes()


def same(one: Lessons, other: Lessons) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in {"predictors", "crossed"})
        for name in Lessons.__dataclass_fields__
    )


# ---------------------------------------------------------------------------------------------------------- lessons


def test_simulated_lessons_follow_from_the_seed():
    lessons = simulated_lessons(80, seed=1)
    assert len(lessons) > 600
    assert same(lessons, simulated_lessons(80, seed=1))
    assert not same(lessons, simulated_lessons(80, seed=2))
    shares = np.nanmean(lessons.crossed, axis=0)
    assert 0.02 < shares[0] < shares[1] < shares[2] < 0.7
    days = lessons.predictors[:, NAMES.index("history_days")]
    assert days.min() < 10
    assert days.max() > 20


def test_nothing_after_an_outcome_teaches_and_what_has_not_settled_does_not():
    values = np.cumsum(np.random.default_rng(0).normal(size=(3, 30 * 24)), axis=1)
    ids, end = np.arange(3, dtype=np.uint64), datetime(2024, 2, 1)
    settled = 30 * 24 - 170
    whole = teach(Grid(ids, end, values), [settled - 1, settled, settled + 1, 700])
    assert len(np.unique(whole.origin)) == 2
    cut = Grid(ids, end - timedelta(hours=1), values[:, :-1])
    first = whole.take(np.flatnonzero(whole.origin == whole.origin.min()))
    assert same(teach(cut, [settled - 1]), first)


def test_a_file_becomes_hours_and_lessons(measured: Path):
    path = OPEN[0].path(measured)
    grid = read_grid(path)
    assert grid.values.shape == (2, 21 * 24)
    assert grid.as_of == datetime(2024, 1, 22)
    samples = pl.read_parquet(path)
    assert set(grid.values[:, -1]) == set(samples.filter(pl.col("ts") == pl.col("ts").max())["value"])
    lessons = measured_lessons(path)
    assert len(np.unique(lessons.series_id)) == 2
    assert len(np.unique(lessons.origin % 24)) > 2  # every hour of the day, in time


def test_a_file_that_teaches_nothing_is_named(tmp_path: Path):
    absent, wrong, empty = (tmp_path / f"metrics_{name}.parquet" for name in ("absent", "wrong", "empty"))
    wrong.write_text("no parquet")
    write(empty, 1)
    pl.read_parquet(empty).with_columns(value=pl.lit(float("nan"))).write_parquet(empty)
    for path in (absent, wrong, empty):
        with pytest.raises(MeasuredError, match=f"{path.name}: cannot be learnt from"):
            measured_lessons(path)


# ------------------------------------------------------------------------------------------------------------ priors


def test_families_are_left_out_together():
    assert {one.stem for one in OPEN} - {one.stem for one in without(["smd8_5min"])} == {"smd8_5min", "asd12_5min"}
    assert without(["bitbrains_rnd_1h"]) == OPEN
    assert {one.licence for one in OPEN} <= {"MIT", "Apache-2.0", "CC-BY-4.0"}


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path):
    assert built(tmp_path) == built(tmp_path)
    assert built(tmp_path) != built(tmp_path, "--seed", "8")


def test_what_is_left_out_was_never_seen(measured: Path, priors: Path, tmp_path: Path):
    left_out = built(tmp_path, "--data", str(measured), "--leave-out", "nab_real")
    assert left_out == (priors / "nab_real.json.gz").read_bytes()
    assert "nab_real" not in parse(left_out).about
    elsewhere = shutil.copytree(measured, tmp_path / "elsewhere")
    write(elsewhere / "metrics_nab_real.parquet", seed=1234)  # another history altogether
    assert built(tmp_path, "--data", str(elsewhere), "--leave-out", "nab_real") == left_out
    assert built(tmp_path, "--data", str(elsewhere)) != left_out


def test_every_file_gets_a_prior_that_never_saw_it(measured: Path, priors: Path):
    stems = {path.stem.removeprefix("metrics_") for path in measured.iterdir()}
    assert {path.name for path in priors.iterdir()} == {f"{stem}.json.gz" for stem in stems}
    for path in priors.iterdir():
        stem = path.name.removesuffix(".json.gz")
        about = parse(path.read_bytes()).about
        kept = without([stem])
        assert all((one.stem in about) == (one in kept) for one in OPEN)
    assert (priors / "smd8_5min.json.gz").read_bytes() == (priors / "asd12_5min.json.gz").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--out"),
        (["--leave-one-out", "--out", "x"], "--out-dir"),
        (["--out", "x", "--leave-out", "nab"], "nab"),
        (["--out", "x", "--data", "nowhere"], "nowhere/metrics_tor_1aeo_rss.parquet"),
    ],
)
def test_unusable_options_are_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert command.main([*options, "--simulated", "1"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_prior_that_ships_is_small_known_and_sensible():
    content = SHIPPED.read_bytes()
    prior: Prior = parse(content)
    assert len(content) < MOST_BYTES
    assert all(one.stem in prior.about for one in OPEN)
    lessons = simulated_lessons(60, seed=99)  # a seed that it was not built with
    p = unlearnt(prior).probabilities(lessons.predictors, lessons.kinds)
    known = np.isfinite(lessons.crossed)
    came = np.where(known, lessons.crossed, 0)
    miss = np.where(known, np.square(p - came), 0).sum(axis=0) / known.sum(axis=0)
    share = np.nanmean(lessons.crossed, axis=0)
    assert (miss < 0.7 * share * (1 - share)).all()
