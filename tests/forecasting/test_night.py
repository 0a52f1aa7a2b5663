"""A night from batches to tables: complete, repeatable, blind to batches and to the future, whole when one fails."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.grid import to_grid
from features.profiles import SCHEMA as PROFILES
from forecasting import scoring
from forecasting.learnt.model import NO_PRIOR, unlearnt
from forecasting.mapper import Serial
from forecasting.night import score_fleet
from forecasting.options import ForecastingOptions
from forecasting.school import Learnt
from forecasting.tables import CALIBRATION, FAILURES, FORECASTS, MODELS, RISKS, TOURNAMENT

QUICK = ForecastingOptions(history_days=60, prophet_series=0)
LIMITS = [60.0, 70.0, 50.0, 72.0, 80.0, 45.0, 46.0, 60.0]
TABLES = {
    "profiles": PROFILES,
    "risks": RISKS,
    "forecasts": FORECASTS,
    "models": MODELS,
    "tournament": TOURNAMENT,
    "calibration": CALIBRATION,
    "failures": FAILURES,
}
UNTAUGHT = Learnt(unlearnt(NO_PRIOR), pl.DataFrame(schema=CALIBRATION))


def night(*batches, options=QUICK, learnt=UNTAUGHT):
    return score_fleet(batches, learnt, options, Serial())


def test_tables_are_whole(mixed, make_batch):
    batch = make_batch(mixed, LIMITS)
    scores = night(batch)
    for name, schema in TABLES.items():
        assert getattr(scores, name).schema == pl.Schema(schema), name
    assert scores.failures.is_empty()
    assert len(scores.profiles) == len(mixed)
    assert len(scores.risks) == 3 * len(mixed)
    scored = scores.risks.filter(pl.col("state") == "scored")
    assert len(scored) == len(scores.risks)
    assert scored["p"].is_between(0, 1, closed="none").all()
    by_horizon = scored.pivot("horizon_h", index="series_id", values="p")
    assert (by_horizon["24"] <= by_horizon["72"]).all()
    assert (by_horizon["72"] <= by_horizon["168"]).all()
    assert (scored["eta_p10"] <= scored["eta_p50"]).all()
    assert (scored["eta_p50"] <= scored["eta_p90"]).all()
    assert (scored["eta_p10"] >= batch.grid.as_of).all()
    told = scored.filter(pl.col("p") >= QUICK.report_floor)
    assert told["facts"].is_not_null().all()
    assert all(len(json.loads(facts)) >= 3 for facts in told["facts"])
    assert scored.filter(pl.col("p") < QUICK.report_floor)["facts"].is_null().all()
    assert set(scores.forecasts["series_id"]) == set(told["series_id"])
    assert (scores.forecasts.group_by("series_id").len()["len"] == 168).all()
    quantiles = scores.forecasts.select("q10", "q25", "q50", "q75", "q90").to_numpy()
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert scores.models.filter(horizon_h=168, model="learnt")["series"].sum() == len(mixed)
    drawn = scores.models.filter(pl.col("model") != "learnt", horizon_h=168)
    assert drawn["series"].sum() == scores.forecasts["series_id"].n_unique()


def test_alone_together_and_shuffled_give_the_same_bytes(mixed, make_batch):
    batch = make_batch(mixed, LIMITS)
    together = night(batch)
    ids = batch.grid.series_id
    alone = night(*(batch.only(ids[at : at + 1]) for at in (5, 2, 7, 0)), batch.only(ids[[1, 3, 4, 6]]))
    halves = night(batch.only(ids[[0, 3, 5]]), batch.only(ids[[1, 2, 4, 6, 7]]))
    for name in ("profiles", "risks", "forecasts"):
        assert getattr(together, name).equals(getattr(alone, name)), name
        assert getattr(together, name).equals(getattr(halves, name)), name


def test_the_future_does_not_matter(mixed, make_batch):
    batch = make_batch(mixed, LIMITS)
    hourly = pl.DataFrame(
        {
            "series_id": np.repeat(batch.grid.series_id, batch.grid.values.shape[1]),
            "hour": np.tile(batch.grid.hours.astype("datetime64[us]"), len(mixed)),
            "mean": batch.grid.values.ravel(),
        }
    ).filter(pl.col("mean").is_not_nan())
    later = hourly.with_columns(pl.col("hour") + pl.duration(days=60), pl.col("mean") * 1e6)
    grids = [
        to_grid(frame, batch.grid.as_of, batch.grid.values.shape[1]) for frame in (hourly, pl.concat([hourly, later]))
    ]
    one, two = (night(replace(batch, grid=grid)) for grid in grids)
    assert one.risks.equals(two.risks)
    assert one.forecasts.equals(two.forecasts)


def test_a_series_that_fails_does_not_take_its_batch_along(mixed, make_batch, monkeypatch):
    batch = make_batch(mixed[:4], LIMITS[:4])
    whole = night(batch)
    answer = scoring.answer

    def trap(grid, *args):
        if 3 in grid.series_id:
            raise RuntimeError("no\nluck")
        return answer(grid, *args)

    monkeypatch.setattr(scoring, "answer", trap)
    scores = night(batch)
    assert scores.failures.select("series_id", "stage", "error").rows() == [(3, "score", "RuntimeError: no luck")]
    assert scores.risks.filter(series_id=3)["reason"].unique().to_list() == ["failed"]
    others = pl.col("series_id") != 3
    assert scores.risks.filter(others).equals(whole.risks.filter(others))
    assert len(scores.profiles) == 4


def test_abstentions_say_why(hours, rng, make_batch):
    T = len(hours)
    noise = 50 + rng.normal(0, 1, T)

    def only(last: int, values: np.ndarray = noise) -> np.ndarray:
        return np.where(hours >= T - last, values, np.nan)

    gappy = np.where(hours % 24 < 16, np.nan, noise)
    rows = {
        "no recent data": np.where(hours < T - 24, noise, np.nan),
        "too short": only(23),
        "too gappy": gappy,
        "constant": np.full(T, 5.0),
        None: only(24),
    }
    batch = make_batch(list(rows.values()), [60.0] * len(rows))
    scores = night(batch)
    assert scores.risks.filter(horizon_h=24)["reason"].to_list() == list(rows)
    silent = scores.risks.filter(pl.col("state") == "abstained")
    assert silent.select("p", "eta_p50", "model", "facts").null_count().row(0) == (len(silent),) * 4


def test_a_limit_without_data_and_data_without_a_limit(mixed, make_batch):
    batch = make_batch(mixed[:3], LIMITS[:3])
    missing = pl.DataFrame(
        [
            {
                "series_id": 2,
                "limit_name": "usual",
                "signal": "s",
                "direction": "up",
                "reason": "no limit: past too short",
            }
        ],
        schema=batch.missing.schema,
    )
    seen = replace(
        batch,
        grid=batch.grid.take(np.array([0, 1])),
        limits=batch.limits.filter(pl.col("series_id") != 2),
        missing=missing,
    )
    scores = night(seen)
    assert scores.risks.filter(horizon_h=72).select("series_id", "limit_name", "reason").rows() == [
        (1, "critical", None),
        (2, "usual", "no limit: past too short"),
        (3, "critical", "no recent data"),
    ]
    assert len(scores.profiles) == 2
    assert scores.risks["limit_value"].null_count() == 3


def test_a_crossed_limit_is_a_state(hours, rng, make_batch):
    above = 50 + rng.normal(0, 1, len(hours))
    above[-3:] = 95
    barely = above.copy()
    barely[-3] = 50
    scores = night(make_batch([above, barely, np.where(hours >= len(hours) - 5, np.nan, above + 60)], [90.0] * 3))
    rows = scores.risks.filter(horizon_h=24)
    assert rows["state"].to_list() == ["crossed", "scored", "crossed"]
    crossed = rows.row(0, named=True)
    assert crossed["p"] == 1
    assert crossed["eta_p50"] is None
    assert "Already above the limit" in crossed["facts"]


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("limit", [-1e300, 0.0, 1e300, np.inf])
def test_hostile_values_never_break_the_night(hours, rng, make_batch, direction, limit):
    T = len(hours)
    rows = [
        np.where(hours > T - 9, 1e300, rng.normal(0, 1, T)),
        np.where(hours % 2 == 0, 1.7e308, -1.7e308),
        -1e12 * rng.random(T),
        np.full(T, np.nan),
        np.where(hours == T - 1, 1.0, np.nan),
        np.where(hours == 5, np.inf, rng.normal(0, 1e-300, T)),
        np.full(T, 1e300),
        np.where(hours < 700, 0.0, 1.0),
    ]
    scores = night(make_batch(rows, [limit] * len(rows), direction))
    assert scores.failures.is_empty()
    assert len(scores.risks) == 3 * len(rows)
    answered = scores.risks.filter(pl.col("state") != "abstained")
    assert answered["p"].is_between(0, 1).all()
    assert answered["p"].is_finite().all()
    for name in ("q10", "q50", "q90"):
        assert scores.forecasts[name].is_finite().all()


def test_bounds_are_kept(hours, rng, make_batch):
    rising = 60 + hours * 0.025 + rng.normal(0, 1, len(hours))
    batch = make_batch([np.minimum(rising, 97)], [99.9], minimum=0.0, maximum=98.0)
    scores = night(batch, options=QUICK.model_copy(update={"report_floor": 0.0}))
    assert (scores.forecasts["q90"] <= 98.001).all()


def test_what_runs_down_is_profiled_upside_down(hours, make_batch):
    """Free memory between daily restarts: it falls, and each restart is a sudden rise."""
    free = 100 - 0.2 * hours / 24 - 30 * (hours % 24) / 24
    up, down = (night(make_batch([free], [5.0], direction)).profiles.row(0, named=True) for direction in ("up", "down"))
    assert up["resets"] == 0 and down["resets"] > len(hours) // 48
    assert down["slope_per_day"] < -20


def test_a_fleet_of_nothing_has_tables_of_nothing():
    scores = night()
    for name, schema in TABLES.items():
        assert getattr(scores, name).schema == pl.Schema(schema)
        assert getattr(scores, name).is_empty()
