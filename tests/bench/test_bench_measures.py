"""Weighted measures and the bootstrap: what a question counts, twice is twice."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from intervals import clusters, draws, intervals
from measures import Board, Scorer, board, inside
from questions import KEYS, ON, sample

START = datetime(2026, 1, 5, tzinfo=UTC)
FLEETS = pl.DataFrame({"source": ["a", "b"], "fleet": ["a", "small fleets"]})


def truth(rng: np.random.Generator, series: int = 30, nights: int = 10) -> pl.DataFrame:
    rows = []
    for source in ("a", "b"):
        for one in range(series):
            for night in range(nights):
                for headroom in (0.5, 1.0):
                    hit = int(rng.integers(0, 400))
                    y = [hit < h for h in (24, 72, 168)]
                    as_of = START + timedelta(hours=72 * night)
                    rows.append((source, f"e{one}", "m", as_of, headroom * 10, headroom, hit if y[2] else None, *y))
    names = [*ON, "headroom", "hit_h", "y_24h", "y_72h", "y_168h"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    return table.with_columns(pl.col("as_of").dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC")))


def rises(of: pl.DataFrame) -> pl.DataFrame:
    return of.filter(pl.col("y_168h"), pl.col("hit_h") >= 48).head(6).select(
        *ON, headroom=pl.lit(-1.0), event=pl.int_range(6, dtype=pl.Int64), hit_h="hit_h"
    )  # fmt: skip


@pytest.fixture
def asked() -> Board:
    outcomes = truth(np.random.default_rng(3))
    return board(outcomes, rises(outcomes), FLEETS)


def said(asked: Board, p: np.ndarray) -> pl.DataFrame:
    return asked.truth.select(ON).with_columns(pl.Series(f"p_{h}h", p) for h in (24, 72, 168))


def test_an_abstention_is_scored_with_the_climatology(asked: Board):
    nothing = said(asked, np.zeros(len(asked.line))).head(0)
    scorer = Scorer(asked, nothing)
    found = scorer.measure(np.ones(len(asked.line)), np.ones(len(asked.rises)))
    assert scorer.answered == 0
    assert found["skill_168h"] == pytest.approx(0)
    assert found["creeps_48h"] == 0


def test_a_prophet_who_knows_has_skill_one_and_catches_all(asked: Board):
    known = said(asked, np.zeros(len(asked.line))).with_columns(
        pl.Series(f"p_{h}h", asked.y[:, k]) for k, h in enumerate((24, 72, 168))
    )
    found = Scorer(asked, known).measure(np.ones(len(asked.line)), np.ones(len(asked.rises)))
    perfect = ("skill_72h", "ap_72h", "precision", "creeps_48h", "creeps_48h_at_bar")
    assert [found[name] for name in perfect] == [1, 1, 1, 1, 1]
    assert (found["false_tickets"], found["calibration_24h"]) == (0, 0)


def test_a_weight_of_two_is_a_question_twice(asked: Board):
    rng = np.random.default_rng(4)
    p = rng.choice([0.1, 0.4, 0.8], len(asked.line))
    scorer, weight = Scorer(asked, said(asked, p)), rng.integers(0, 3, len(asked.line)).astype(float)
    found = scorer.measure(weight)
    known = ~np.isnan(asked.y[:, 2])
    briers, precisions = [], []
    for fleet in np.unique(asked.fleet):
        rows = np.repeat(np.arange(len(p)), weight.astype(int))
        rows = rows[(asked.fleet[rows] == fleet) & known[rows]]
        y, q, base = asked.y[rows, 2], p[rows], asked.base[rows, 2]
        briers.append(1 - np.mean((q - y) ** 2) / np.mean((base - y) ** 2))
        levels = sorted(set(q), reverse=True)
        recall = np.array([0.0, *[y[q >= level].sum() / y.sum() for level in levels]])
        precisions.append(sum(np.diff(recall) * [y[q >= level].mean() for level in levels]))
    assert found["skill_168h"] == pytest.approx(np.mean(briers))
    assert found["ap_168h"] == pytest.approx(np.mean(precisions))


def test_an_alert_within_a_week_of_another_is_an_update(asked: Board):
    always = Scorer(asked, said(asked, np.full(len(asked.line), 0.9)))
    lines = len(np.unique(asked.line))
    assert always.tickets() == lines


def test_draws_keep_a_series_together_and_leave_unasked_sources_out(asked: Board):
    only_a = (asked.truth["source"] == "a").to_numpy()
    of = clusters(asked)
    for weight, _ in draws(of, only_a, 5):
        assert weight[only_a].sum() > 0
        for_series = of.series[: len(weight)]
        never = {int(s) for s in np.unique(for_series[only_a]) if not weight[for_series == s].any()}
        assert 0 < len(never) < 30  # about a third of them are not drawn, with all their nights


def test_an_interval_holds_its_estimate_and_is_the_same_each_time(asked: Board):
    p = np.random.default_rng(5).uniform(size=len(asked.line))
    scorer = Scorer(asked, said(asked, p))
    found, ones = intervals(scorer, 40), scorer.measure(np.ones(len(p)), np.ones(len(asked.rises)))
    low, high = found["skill_168h"]
    assert low < ones["skill_168h"] < high
    assert intervals(scorer, 40) == found


def test_a_larger_sample_holds_the_smaller_and_draws_alike_from_fleets(asked: Board):
    tasks = asked.truth.select(*ON, "headroom")
    small, large = (sample(tasks, FLEETS, nights) for nights in (20, 60))
    assert len(small.join(large, on=ON, how="anti")) == 0
    assert large.group_by("source").agg(pl.struct(*KEYS, "as_of").n_unique().alias("n"))["n"].to_list() == [30, 30]


def test_an_eta_holds_a_crossing_whose_hour_it_touches(asked: Board):
    came = asked.truth.filter(pl.col("y_168h")).head(2)
    at = pl.col("as_of") + pl.duration(hours=pl.col("hit_h"))
    etas = came.with_columns(
        eta_p10=(at + pl.duration(minutes=30)).dt.replace_time_zone(None),
        eta_p90=(at + pl.duration(hours=9)).dt.replace_time_zone(None),
    )
    assert inside(asked.truth, etas) == 1
    assert inside(asked.truth, etas.with_columns(pl.col("eta_p10") + pl.duration(hours=1))) == 0
    assert inside(asked.truth, etas.drop("eta_p10")) is None
