"""The standard forecasts say what their names promise."""

import numpy as np
import pytest

from forecasting.history import look_back
from forecasting.models.naive import Drift, Naive, SeasonalNaive

H = 170


def tonight(model, make_grid, values):
    history = look_back(make_grid(values), H, 60)
    made = model.forecast(history)
    assert made.shape == (1, 1 + history.origins, H)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    return history.scale.restore(made)[0]


def test_naive_stays_at_the_last_level(make_grid, hours):
    made = tonight(Naive(), make_grid, np.where(hours < 1000, 10.0, 30.0))
    np.testing.assert_allclose(made[0], 30)
    assert made[30, 0] < 30  # as it was said thirty days ago


def test_seasonal_naive_repeats_the_week_before(make_grid, hours, rng):
    values = rng.normal(50, 5, len(hours))
    made = tonight(SeasonalNaive(), make_grid, values)
    np.testing.assert_allclose(made[0, :168], values[-168:], rtol=1e-5)
    np.testing.assert_allclose(made[0, 168:], made[0, :2])
    np.testing.assert_allclose(made[7, :168], values[-336:-168], rtol=1e-5)
    young = np.where(hours < len(hours) - 72, np.nan, values)
    assert abs(tonight(SeasonalNaive(), make_grid, young)[0, 0] - 50) < 15

    values[-100:-90] = np.nan
    gappy = tonight(SeasonalNaive(), make_grid, values)[0]
    assert np.abs(gappy[68:78] - 50).max() < 30


def test_drift_goes_on_as_since_the_last_break(make_grid, hours, rng):
    leak = 20 + 0.05 * (hours % 720) + rng.normal(0, 0.1, len(hours))  # cleaned up halfway
    made = tonight(Drift(), make_grid, leak)[0]
    assert made[-1] - leak[-1] == pytest.approx(0.05 * H, rel=0.1)
    just = np.where(hours < len(hours) - 10, leak, leak - 30)  # a fresh reset: no drift is known
    fresh = tonight(Drift(), make_grid, just)[0]
    assert abs(fresh[-1] - fresh[0]) < 2
