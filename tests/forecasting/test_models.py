"""One conformance suite for every registered model."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

import forecasting.history as history_module
from features.breaks import Breaks
from features.grid import Grid, to_grid
from forecasting.history import History, Scale, look_back
from forecasting.models.base import Model
from forecasting.models.registry import FLEET, MODELS, PROPHET, STRUCTURAL
from forecasting.paths import weighted_quantiles

AS_OF = datetime(2026, 3, 2)
DAYS = 28  # enough for a weekly rhythm, short enough for Prophet
H = 170

every = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
SERVING = (FLEET, STRUCTURAL, PROPHET)  # the ensemble has all the members
serving = pytest.mark.parametrize("model", SERVING, ids=lambda model: model.name)
batched = pytest.mark.parametrize("model", [model for model in MODELS if model is not PROPHET], ids=lambda m: m.name)


@pytest.fixture
def rows(mixed: list[np.ndarray], model: Model) -> np.ndarray:
    """Prophet fits series by series: one will do."""
    chosen = mixed if model.name != "prophet" else [mixed[1]]
    return np.stack(chosen)[:, -24 * DAYS :]


def paths(model: Model, make_grid, values: np.ndarray):
    return model.paths(past(make_grid(*values)))


def past(grid: Grid) -> History:
    """Looking back costs more than most models: once for all of them."""
    key = grid.values.tobytes()
    if key not in _PAST:
        _PAST[key] = look_back(grid, H, DAYS)
    return _PAST[key]


_PAST: dict[bytes, History] = {}


@every
def test_conforms(model, rows, make_grid):
    made = paths(model, make_grid, rows)
    S, N, hours = made.values.shape
    assert (S, hours) == (len(rows), H)
    assert made.values.dtype == np.float32
    assert np.isfinite(made.values).all()
    assert made.weights.shape == (S, N)
    assert (made.weights >= 0).all()
    np.testing.assert_allclose(made.weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(made.evidence.sum(axis=1), 1)
    assert (made.worth(168) >= 1).all()
    assert (made.worth(24) >= made.worth(168)).all()

    again = paths(model, make_grid, rows)
    assert again.values.tobytes() == made.values.tobytes()

    if model.name != "prophet":  # has but one, and its draws are seeded by the series' id, which would differ
        alone = paths(model, make_grid, rows[1:2])
        assert alone.values[0].tobytes() == made.values[1].tobytes()
        assert alone.weights[0].tobytes() == made.weights[1].tobytes()
        assert alone.evidence[0].tobytes() == made.evidence[1].tobytes()

    kept = made.within(np.full(S, 45.0), np.full(S, 55.0))
    back = kept.scale.restore(kept.values)
    assert back.min() >= 45 - 1e-4
    assert back.max() <= 55 + 1e-4


@every
def test_a_quiet_series_stays_where_it_is(model, make_grid, rng):
    values = 50 + rng.normal(0, 1, (1, 24 * DAYS))
    made = paths(model, make_grid, values)
    middle = weighted_quantiles(made.values, made.weights, np.full((1, 1, 1), 0.5))
    strayed = np.abs(made.scale.restore(middle[:, 0]) - 50).max()
    assert strayed < (1.5 if model is FLEET else 8)  # a line through a day of noise leads astray in a week


@serving
@pytest.mark.parametrize("kind", ["huge", "negative", "nearly constant", "one spike", "mostly missing", "two days"])
def test_strange_values_give_finite_paths(model, make_grid, rng, kind):
    hours = 24 * 21
    values = 1 + rng.normal(0, 0.1, (1, hours))
    if kind == "huge":
        values[0, -50:] = 1e300
    elif kind == "negative":
        values = -1e9 * values
    elif kind == "nearly constant":
        values[:] = 7.0
        values[0, -9] = 7.000001
    elif kind == "one spike":
        values[0, 20] = 1e12
    elif kind == "mostly missing":
        values[0, rng.random(hours) < 0.8] = np.nan
        values[0, -3:] = 1
    else:
        values[0, : -2 * 24] = np.nan
    made = paths(model, make_grid, values)
    assert np.isfinite(made.values).all()
    assert np.isfinite(made.scale.restore(made.values)).all()


@serving
def test_what_comes_at_or_after_as_of_changes_nothing(model, rng):
    hour = [AS_OF + timedelta(hours=h) for h in range(-24 * 21, 24 * 9)]
    hourly = pl.DataFrame({"series_id": pl.Series([1] * len(hour), dtype=pl.UInt64), "hour": hour}).with_columns(
        mean=rng.normal(50, 1, len(hour))
    )
    other = hourly.with_columns(mean=pl.when(pl.col("hour") < AS_OF).then("mean").otherwise(1e6))
    one, two = (model.paths(look_back(to_grid(frame, AS_OF, 24 * 21), H, DAYS)) for frame in (hourly, other))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.weights.tobytes() == two.weights.tobytes()


@batched
@pytest.mark.parametrize("factor, shift", [(1000.0, 0.0), (0.001, -7.0), (-1.0, 0.0)])
def test_neither_unit_nor_direction_matters(model, mixed, make_grid, factor, shift):
    values = np.stack([*mixed[:3], *mixed[4:6]])  # without the sawtooth: a reset falls, so it is none upside down
    shares = np.array([0.1, 0.5, 0.9])[None, :, None]
    here, there = (paths(model, make_grid, v[:, -24 * DAYS :]) for v in (values, factor * values + shift))
    found, other = (p.scale.restore(weighted_quantiles(p.values, p.weights, shares)) for p in (here, there))
    expected = np.sort(factor * found + shift, axis=1)
    strayed = np.abs(other - expected) / np.abs(factor * here.scale.spread)[:, None, None]
    # Turned around, ties and the least value with enough weight are other paths.
    assert np.quantile(strayed, 0.95) < (1e-3 if factor > 0 else 0.15)


def neither_scale_nor_break(monkeypatch) -> None:
    """Only these two look over the whole past; see forecasting.history."""
    monkeypatch.setattr(history_module, "find_scale", lambda v: Scale(np.full(len(v), 50.0), np.full(len(v), 20.0)))
    nowhere = lambda v: Breaks(np.zeros(v.shape, dtype=bool), np.zeros(v.shape, dtype=bool))  # noqa: E731
    monkeypatch.setattr(history_module, "find_breaks", nowhere)


@pytest.mark.parametrize("model", [FLEET, STRUCTURAL], ids=lambda model: model.name)
def test_a_cut_knows_its_own_past_alone(make_grid, mixed, monkeypatch, model):
    neither_scale_nor_break(monkeypatch)
    cut = 14
    values = np.stack(mixed)
    altered = values.copy()
    altered[:, -24 * cut :] = np.where(np.isnan(values[:, -24 * cut :]), np.nan, 77.0)
    one, two = (model.fit(look_back(make_grid(*v), H, 60)).paths(cut) for v in (values, altered))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.weights.tobytes() == two.weights.tobytes()


def test_the_structural_model_says_at_a_cut_what_it_says_with_nothing_after_it(make_grid, mixed, monkeypatch):
    neither_scale_nor_break(monkeypatch)
    values, cut = np.stack(mixed), 7
    then = STRUCTURAL.fit(look_back(make_grid(*values), H, 60)).paths(cut)
    alone = STRUCTURAL.paths(look_back(make_grid(*values[:, : -24 * cut]), H, 60))
    assert then.values.tobytes() == alone.values.tobytes()
    assert then.level.tobytes() == alone.level.tobytes()


def test_no_series_give_no_paths(make_grid, mixed):
    nobody = look_back(make_grid(*mixed), H, DAYS).take(np.array([], dtype=np.int64))
    made = STRUCTURAL.fit(nobody).paths(7)
    assert (made.values.shape[0], made.values.shape[2]) == (0, H)
