"""Answers to tasks: what they may depend on, and that there is always one, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from rich.console import Console

from forecasting.learnt import learning
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import NO_PRIOR, CrossingModel, Prior
from pipelines import answers, score
from pipelines.sources import tasks
from pipelines.sources.errors import InputError

START = datetime(2026, 1, 1)
DAYS = 50
AS_OF = datetime(2026, 2, 15)
P = ["p_24h", "p_72h", "p_168h"]
COLUMNS = [*P, "eta_p10", "eta_p50", "eta_p90", "model", "reason"]

Score = Callable[..., pl.DataFrame]


def series(entity: str, values: np.ndarray, source: str = "fleet", start: datetime = START) -> pl.DataFrame:
    hours = [start + timedelta(hours=hour) for hour in range(len(values))]
    frame = pl.DataFrame({"ts": pl.Series(hours, dtype=pl.Datetime("us", "UTC")), "value": values})
    return frame.select(
        pl.lit(source).alias("source"), pl.lit(entity).alias("entity"), pl.lit("mem").alias("metric"), "ts", "value"
    )


def fleet() -> pl.DataFrame:
    """Leaks, rhythms, walks and a late comer of one source, and a small other one."""
    rng = np.random.default_rng(7)
    hours = np.arange(24 * DAYS)
    noise = rng.normal(0, 1, (16, len(hours)))
    made = [series(f"leak-{i}", 20 + (0.01 + 0.01 * i) * (hours % (150 + 60 * i)) * 4 + noise[i]) for i in range(6)]
    made += [series(f"day-{i}", 50 + (2 + i) * np.sin(hours * np.pi / 12) + noise[6 + i]) for i in range(4)]
    made += [series(f"walk-{i}", 50 + 0.4 * np.cumsum(noise[10 + i])) for i in range(3)]
    made.append(series("late", 40 + noise[13][:300], start=START + timedelta(days=40)))
    return pl.concat([*made, *(series(f"else-{i}", 10 + noise[14 + i], source="other") for i in range(2))])


def questions(metrics: pl.DataFrame, nights: tuple[datetime, ...]) -> pl.DataFrame:
    """Three limits above the level of every series on every night."""
    rows = []
    for (source, entity, metric), part in metrics.group_by("source", "entity", "metric", maintain_order=True):
        for night in nights:
            before = part.filter(pl.col("ts") < night.replace(tzinfo=ZoneInfo("UTC")))["value"].tail(168).to_numpy()
            if len(before):
                level, spread = np.median(before[-24:]), np.ptp(before)
                rows += [(source, entity, metric, night, float(level + k * spread), k) for k in (0.3, 1.0, 3.0)]
    names = ["source", "entity", "metric", "as_of", "limit", "headroom"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("as_of").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )


NIGHTS = (AS_OF - timedelta(days=6), AS_OF, AS_OF + timedelta(hours=5))


@pytest.fixture(scope="module")
def metrics() -> pl.DataFrame:
    return fleet()


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Score:
    """Answers to tasks over metrics, through files."""
    folder = tmp_path_factory.mktemp("score")

    def answered(metrics: pl.DataFrame, asked: pl.DataFrame, prior: Prior = NO_PRIOR) -> pl.DataFrame:
        metrics.write_parquet(folder / "metrics.parquet")
        asked.write_parquet(folder / "tasks.parquet")
        out = folder / "answers.parquet"
        quiet = Console(quiet=True)
        score.run([folder / "metrics.parquet"], folder / "tasks.parquet", out, prior=prior, workers=1, console=quiet)
        return pl.read_parquet(out)

    return answered


@pytest.fixture(scope="module")
def models() -> Iterator[list[CrossingModel]]:
    """Fleets of this size learn trees of their own; and what was learnt."""
    made: list[CrossingModel] = []

    def learn(prior: Prior, known: Lessons) -> CrossingModel:
        made.append(learning.learn_fleet(prior, known))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "FEWEST_FOR_TREES", 60)
        patch.setattr(learning, "LESSONS_A_TREE", 20)
        patch.setattr(learning, "OWN_PARAMETERS", learning.OWN_PARAMETERS | {"min_data_in_leaf": 5, "lambda_l2": 0.1})
        patch.setattr(answers, "learn_fleet", learn)
        yield made


@pytest.fixture(scope="module")
def together(ask: Score, metrics: pl.DataFrame, models: list[CrossingModel]) -> pl.DataFrame:
    return ask(metrics, questions(metrics, NIGHTS))


# ------------------------------------------------------------------------------------------- what answers depend on


def test_the_fleet_learns_from_its_own_past(together: pl.DataFrame, models: list[CrossingModel]):
    assert any(model.own is not None for model in models)
    assert together["reason"].null_count() > 0.9 * len(together)
    assert together["p_168h"].n_unique() > 0.5 * len(together)


def test_nothing_after_as_of_matters(
    ask: Score, metrics: pl.DataFrame, models: list[CrossingModel], together: pl.DataFrame
):
    night = NIGHTS[1].replace(tzinfo=ZoneInfo("UTC"))
    ahead = pl.col("ts") >= night
    rng = np.random.default_rng(1)
    later = metrics.filter(ahead)
    altered = later.with_columns(value=pl.Series(1e6 * rng.normal(size=len(later)))).with_row_index("n").with_columns(
        value=pl.when(pl.col("n") % 7 == 0).then(float("nan")).otherwise("value")
    )  # fmt: skip
    newcomers = [series(f"new-{i}", rng.normal(size=90), start=NIGHTS[1]) for i in range(40)]
    other = pl.concat([metrics.filter(~ahead), altered.drop("n"), altered.drop("n"), *newcomers])
    asked = questions(metrics, NIGHTS[:2])
    assert_frame_equal(ask(other, asked), together.filter(pl.col("as_of") <= night), check_exact=True)
    assert_frame_equal(ask(metrics.filter(~ahead), asked), ask(other, asked), check_exact=True)


def test_alone_shuffled_and_together_are_the_same(
    ask: Score, metrics: pl.DataFrame, models: list[CrossingModel], together: pl.DataFrame
):
    asked = together.select(pl.exclude(COLUMNS))
    order = np.random.default_rng(3).permutation(len(asked))
    assert_frame_equal(ask(metrics, asked[order]), together[order], check_exact=True)
    risky = (
        together.with_row_index("at").group_by("entity", "as_of", maintain_order=True).agg("at", pl.col("p_168h").max())
    )
    chosen = risky.filter(pl.col("p_168h") < 1).sort("p_168h", "entity", "as_of")["at"].tail(6).explode().to_list()
    chosen += range(0, len(asked), 29)
    for at in chosen:
        assert_frame_equal(ask(metrics, asked[int(at)]), together[int(at)], check_exact=True)


def test_a_higher_limit_is_never_more_probable(ask: Score, metrics: pl.DataFrame, models: list[CrossingModel]):
    limits = np.r_[np.linspace(0, 140, 36), 1e6, 1e300]
    one = questions(metrics, NIGHTS[1:2]).filter(pl.col("entity").is_in(["leak-3", "day-1", "walk-0"]))
    asked = one.select("source", "entity", "metric", "as_of").unique(maintain_order=True).join(
        pl.DataFrame({"limit": limits}), how="cross"
    )  # fmt: skip
    for _, found in ask(metrics, asked).group_by("entity"):
        for name in P:
            # Nearly: two predictors are shares of eves whose number depends on the limit, too.
            assert np.diff(found[name].to_numpy()).max() < 0.01, name
        crossed = found.filter(pl.col("model") == "crossed")
        assert len(crossed) and (crossed["p_24h"] == 1).all()


# --------------------------------------------------------------------------------------------------------- the columns


def test_tasks_come_back_as_they_were(ask: Score, metrics: pl.DataFrame):
    asked = questions(metrics, NIGHTS[1:2])[:6].with_columns(
        pl.col("entity").cast(pl.Categorical), pl.col("as_of").cast(pl.Datetime("ms")), owner=pl.lit("shop"), p_24h=0.5
    )
    found = ask(metrics, asked)
    given = asked.drop("p_24h")
    assert_frame_equal(found.select(given.columns), given)
    assert found.columns == [*given.columns, *COLUMNS]
    assert [found.schema[name] for name in COLUMNS[:6]] == [pl.Float64] * 3 + [pl.Datetime("us", "UTC")] * 3


def test_no_tasks_no_answers(ask: Score, metrics: pl.DataFrame):
    found = ask(metrics, questions(metrics, NIGHTS)[:0])
    assert found.shape == (0, 6 + len(COLUMNS)) and found.schema["p_24h"] == pl.Float64


def test_a_task_asked_twice_is_answered_twice(ask: Score, metrics: pl.DataFrame):
    asked = questions(metrics, NIGHTS[1:2])[:2]
    found = ask(metrics, pl.concat([asked, asked, asked[:1]]))
    assert_frame_equal(found[:2], found[2:4])
    assert_frame_equal(found[:1], found[4:])


@pytest.mark.parametrize(
    "as_of",
    [
        pl.Series([AS_OF]),
        pl.Series([AS_OF]).cast(pl.Datetime("ns", "UTC")),
        pl.Series([AS_OF.date()]),
        pl.Series([AS_OF + timedelta(hours=1)]).dt.replace_time_zone("Europe/Berlin"),
        pl.Series([AS_OF + timedelta(minutes=59, seconds=59)]),
        pl.Series(["2026-02-15T00:00:00Z"]),
    ],
    ids=["naive", "ns", "date", "zone", "within the hour", "text"],
)
def test_as_of_is_utc_and_begins_its_hour(ask: Score, metrics: pl.DataFrame, as_of: pl.Series):
    plain = questions(metrics, (AS_OF,))[1]
    found = ask(metrics, plain.with_columns(as_of=as_of))
    assert_frame_equal(found.select(P), ask(metrics, plain).select(P), check_exact=True)
    if as_of.dtype == pl.Datetime("us", None):
        assert found["eta_p10"].dt.replace_time_zone(None)[0] >= as_of[0]


def test_metrics_in_other_types_and_several_files_are_the_same(tmp_path: Path, ask: Score, metrics: pl.DataFrame):
    asked = questions(metrics, (AS_OF,))[::5]
    asked.write_parquet(tmp_path / "tasks.parquet")
    half = pl.col("ts") < datetime(2026, 1, 20, tzinfo=ZoneInfo("UTC"))
    early = metrics.filter(half).with_columns(
        pl.col("source", "entity", "metric").cast(pl.Categorical), unit=pl.lit("%")
    )
    late = metrics.filter(pl.col("ts") >= datetime(2026, 1, 15, tzinfo=ZoneInfo("UTC"))).with_columns(
        pl.col("ts").dt.replace_time_zone(None).cast(pl.Datetime("ms"))
    )
    early.write_parquet(tmp_path / "a=[1].parquet")
    late.sample(fraction=1, shuffle=True, seed=2).write_parquet(tmp_path / "b.parquet")
    files, out = [tmp_path / "b.parquet", tmp_path / "a=[1].parquet"], tmp_path / "out.parquet"
    found = score.run(files, tmp_path / "tasks.parquet", out, prior=NO_PRIOR, workers=1, console=Console(quiet=True))
    assert found.unusable == 0
    assert_frame_equal(pl.read_parquet(out), ask(metrics, asked), check_exact=True)


# ------------------------------------------------------------------------------------------------------------ bad input


def sound(found: pl.DataFrame) -> None:
    """An answer or an abstention with its reason; never both, never neither."""
    answered = pl.col("reason").is_null()
    p = [pl.col(name) for name in P]
    for name in P:
        assert found.filter(answered)[name].is_finite().all() and found.filter(answered)[name].is_between(0, 1).all()
    assert found.filter(answered, (p[0] > p[1]) | (p[1] > p[2])).is_empty()
    assert found.filter(answered, pl.col("model").is_null()).is_empty()
    silent = found.filter(~answered)
    assert silent.select(pl.all_horizontal(pl.col(c).is_null() for c in COLUMNS[:-1]).all()).item()


def test_crossed_already_is_a_state(ask: Score, metrics: pl.DataFrame):
    asked = questions(metrics, (AS_OF,))[:1].with_columns(limit=pl.lit(-5.0))
    (row,) = ask(metrics, asked).select(COLUMNS).rows()
    assert row == (1.0, 1.0, 1.0, None, None, None, "crossed", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entity": "nobody"}, tasks.UNSEEN),
        ({"source": None}, tasks.NAMELESS),
        ({"entity": ""}, tasks.NAMELESS),
        ({"as_of": datetime(2025, 1, 1, tzinfo=ZoneInfo("UTC"))}, tasks.UNSEEN),
        ({"as_of": START.replace(tzinfo=ZoneInfo("UTC"))}, tasks.UNSEEN),
        ({"as_of": datetime(1, 1, 1, tzinfo=ZoneInfo("UTC"))}, tasks.NO_MOMENT),
        ({"as_of": datetime(9997, 1, 1, tzinfo=ZoneInfo("UTC"))}, "no recent data"),
        ({"as_of": None}, tasks.NO_MOMENT),
        ({"as_of": (START + timedelta(hours=20)).replace(tzinfo=ZoneInfo("UTC"))}, "too short"),
        ({"limit": None}, tasks.NO_LIMIT),
        ({"limit": float("nan")}, tasks.NO_LIMIT),
        ({"limit": float("inf")}, "no limit: beyond the bounds"),
        ({"limit": float("-inf")}, "no limit: beyond the bounds"),
    ],
)
def test_what_cannot_be_answered_says_why(ask: Score, metrics: pl.DataFrame, change: dict, reason: str):
    asked = questions(metrics, (AS_OF,))[:1]
    found = ask(metrics, asked.with_columns(pl.lit(v, asked.schema[k]).alias(k) for k, v in change.items()))
    sound(found)
    assert found["reason"].to_list() == [reason]


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda h: np.full(len(h), 7.0),
    "one sample": lambda h: np.where(h == len(h) - 3, 7.0, np.nan),
    "nothing": lambda h: np.full(len(h), np.nan),
    "huge": lambda h: 1e300 * np.sin(h / 9),
    "largest": lambda h: np.where(h % 2 == 0, 1.7976931348623157e308, -1.7976931348623157e308),
    "infinite": lambda h: np.where(h % 3 == 0, np.inf, h % 17),
    "negative": lambda h: -1e9 - h.astype(float),
    "tiny": lambda h: 5e-324 * (h % 3),
    "spike": lambda h: np.where(h == len(h) - 30, 1e300, 1.0),
    "daily": lambda h: np.where(h % 24 == 3, h * 1.0, np.nan),
    "gappy": lambda h: np.where(h % 50 < 20, np.sin(h / 3), np.nan),
    "leak": lambda h: 0.1 * h + np.sin(h),
}


@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True),
    days=st.integers(1, 40),
    ago=st.integers(-30, 200),
    limits=st.lists(st.floats(), min_size=1, max_size=3),
    near=st.floats(-2, 3),
)
def test_strange_series_are_answered_or_abstained_from(
    ask: Score, *, kinds: list[str], days: int, ago: int, limits: list[float], near: float
):
    hours = np.arange(24 * days)
    made = {kind: KINDS[kind](hours).astype(float) for kind in kinds}
    night = START + timedelta(hours=24 * days - ago)
    rows = [("fleet", kind, "mem", night, limit) for kind, values in made.items()
            for limit in (*limits, float(values[-1]) * near)]  # fmt: skip
    asked = pl.DataFrame(rows, schema=["source", "entity", "metric", "as_of", "limit"], orient="row")
    found = ask(pl.concat(series(kind, values) for kind, values in made.items()), asked)
    sound(found)
    assert not found["reason"].fill_null("").str.starts_with("failed").any(), found["reason"].to_list()


def test_ten_years_of_history_and_a_sample_of_the_year_one(ask: Score):
    hours = np.arange(0, 24 * 3650)
    old = series("old", 50 + 5 * np.sin(hours / 24), start=AS_OF - timedelta(days=3650))
    first = old[:1].with_columns(ts=pl.lit(datetime(1, 1, 2, tzinfo=ZoneInfo("UTC"))).cast(pl.Datetime("us", "UTC")))
    found = ask(pl.concat([old, first]), questions(old, (AS_OF, AS_OF - timedelta(days=3000))))
    sound(found)
    assert found["reason"].null_count() == 6


# ------------------------------------------------------------------------------------------------------- unusable files


def refused(folder: Path, metrics: pl.DataFrame | Path, asked: pl.DataFrame | Path, out: Path | None = None) -> str:
    paths = []
    for name, one in (("metrics", metrics), ("tasks", asked)):
        paths.append(one if isinstance(one, Path) else folder / f"{name}.parquet")
        if isinstance(one, pl.DataFrame):
            one.write_parquet(paths[-1])
    out = out or folder / "out.parquet"
    before = set(folder.iterdir())
    with pytest.raises(InputError) as caught:
        score.run(paths[:1], paths[1], out, prior=NO_PRIOR, workers=1, console=Console(quiet=True))
    assert set(folder.iterdir()) == before, "something was left behind"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unusable_files_are_named_in_one_line(tmp_path: Path, metrics: pl.DataFrame):
    asked, some = questions(metrics, (AS_OF,))[:3], metrics[:50]
    (tmp_path / "text").write_text("source,entity\n")
    (tmp_path / "cut").write_bytes(b"PAR1 and no more")
    assert "tasks.parquet: has no column 'limit'; TASKS need source" in refused(tmp_path, some, asked.drop("limit"))
    said = refused(tmp_path, some.rename({"value": "Value"}), asked)
    assert "metrics.parquet: has no column 'value' (did you mean 'Value'?)" in said
    assert "'value' is of type VARCHAR" in refused(tmp_path, some.with_columns(value=pl.lit("x")), asked)
    assert "'limit' is of type" in refused(tmp_path, some, asked.with_columns(limit=pl.lit([1.0])))
    assert "text: is not a Parquet file" in refused(tmp_path, tmp_path / "text", asked)
    assert "cut: is not a readable Parquet file" in refused(tmp_path, some, tmp_path / "cut")
    assert "absent: cannot be read (No such file" in refused(tmp_path, tmp_path / "absent", asked)
    assert "is a folder" in refused(tmp_path, tmp_path, asked)
    assert "--out" in refused(tmp_path, some, asked, tmp_path)
    assert "cannot be written" in refused(tmp_path, some, asked, tmp_path / "text" / "out.parquet")
    assert "is one of the files that are read" in refused(tmp_path, some, asked, tmp_path / "tasks.parquet")


def test_rows_without_a_sample_are_counted(tmp_path: Path, metrics: pl.DataFrame):
    spoilt = metrics.with_row_index("n").with_columns(
        value=pl.when(pl.col("n") < 3).then(float("nan")).otherwise("value"),
        entity=pl.when(pl.col("n") == 5).then(None).otherwise("entity"),
        ts=pl.when(pl.col("n") == 7).then(None).otherwise("ts"),
    )
    spoilt.write_parquet(tmp_path / "m.parquet")
    questions(metrics, (AS_OF,))[:2].write_parquet(tmp_path / "t.parquet")
    out = tmp_path / "[out].parquet"
    found = score.run([tmp_path / "m.parquet"], tmp_path / "t.parquet", out, prior=NO_PRIOR, workers=1,
                      console=Console(quiet=True))  # fmt: skip
    assert (found.tasks, found.unusable, found.abstained) == (2, 5, {})
    assert score.summary(found, out)[0].startswith("2 of 2 tasks answered") and out.is_file()
