"""Fleets whose truth is known: leaks are foreseen, harmless ones left alone, and probabilities mean what they say."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from features.grid import Grid
from forecasting.batch import Batch
from forecasting.crossing import first_crossing, probability
from forecasting.history import look_back
from forecasting.mapper import Serial
from forecasting.models.registry import FLEET
from forecasting.night import score_fleet
from forecasting.options import ForecastingOptions
from forecasting.school import Learnt

OPENS_A_TICKET = 0.7
OPTIONS = ForecastingOptions(history_days=60, prophet_series=0)


@pytest.fixture
def weekly_risk(untaught: Learnt) -> Callable[[Batch], pl.DataFrame]:
    """What a fleet without a past is told about the coming week."""
    return lambda batch: score_fleet([batch], untaught, OPTIONS, Serial()).risks.filter(horizon_h=168)


@pytest.mark.parametrize("leaks", [(0.02, 60), (0.05, 120), (0.005, 100)])
def test_a_steady_leak_is_foreseen_on_time(weekly_risk, hours, rng, make_batch, leaks):
    slope, due_h = leaks
    daily = 0.2 * np.sin(hours * 2 * np.pi / 24)
    leak = 30 + slope * hours + daily + rng.normal(0, 0.1, len(hours))
    risk = weekly_risk(make_batch([leak], [30 + slope * (len(hours) + due_h)])).row(0, named=True)
    assert risk["p"] >= OPENS_A_TICKET
    hours_to = [(risk[f"eta_p{q}"] - risk["as_of"]).total_seconds() / 3600 for q in (10, 50, 90)]
    assert hours_to[0] <= due_h + 6
    assert hours_to[2] >= due_h - 6
    assert abs(hours_to[1] - due_h) < max(24, 0.5 * due_h)


def test_a_draining_disk_is_foreseen_downwards(weekly_risk, hours, rng, make_batch):
    free = 100 - 0.04 * hours + rng.normal(0, 0.2, len(hours))
    assert weekly_risk(make_batch([free], [float(free[-1]) - 4], "down"))["p"][0] >= OPENS_A_TICKET
    assert weekly_risk(make_batch([free], [float(free[-1]) - 20], "down"))["p"][0] < 0.2


def test_a_leak_behind_daily_restarts_shows_its_slope(weekly_risk, hours, rng, make_batch):
    teeth = 20 + 1.0 * (hours % 24) + 0.05 * hours + rng.normal(0, 0.3, len(hours))
    peak = 20 + 23 + 0.05 * len(hours)
    assert weekly_risk(make_batch([teeth], [peak + 4]))["p"][0] > 0.6
    still = teeth - 0.05 * hours
    assert weekly_risk(make_batch([still], [47.0]))["p"][0] < 0.1


@pytest.mark.parametrize("kind", ["flat", "noisy", "daily", "sawtooth", "spikes", "old step"])
def test_harmless_series_are_left_alone(weekly_risk, hours, rng, make_batch, kind):
    T = len(hours)
    noise = rng.normal(0, 1, T)
    values, limit = {
        "flat": (50 + 0.01 * noise, 51.0),
        "noisy": (50 + 3 * noise, 70.0),
        "daily": (50 + 15 * np.sin(hours * 2 * np.pi / 24) + noise, 80.0),
        "sawtooth": (20 + 0.2 * ((hours + 60) % 200) + 0.3 * noise, 80.0),
        "spikes": (40 + noise + np.where(hours % 177 == 9, 50, 0), 85.0),
        "old step": (40 + noise + np.where(hours > T - 300, 15, 0), 75.0),
    }[kind]
    assert weekly_risk(make_batch([values], [limit]))["p"][0] < 0.15


def test_probabilities_are_calibrated_on_a_simulated_fleet():
    """Random walks, noise about a mean, leaks of random slope and teeth; each asked about a random limit.

    Within a band of probabilities the share that crosses lies within 0.13 of what was said, and the whole within 0.05.
    """
    rng = np.random.default_rng(5)
    S, T, H = 240, 45 * 24, 170
    hours = np.arange(T + H)
    shocks = rng.normal(0, 1, (S, T + H))
    walk = np.cumsum(rng.normal(0, 0.15, (S, T + H)), axis=1)
    slope = rng.choice([0, 0, 0.02, 0.05], (S, 1)) * rng.uniform(0.5, 1.5, (S, 1))
    period = rng.integers(60, 250, (S, 1))
    teeth = rng.choice([0, 0, 0.1], (S, 1)) * ((hours + rng.integers(0, 250, (S, 1))) % period)
    walks = rng.choice([0, 1], (S, 1))
    values = 50 + shocks + walks * walk + slope * hours + teeth
    past, future = values[:, :T], values[:, T:]
    level, week = np.median(past[:, -24:], axis=1), past[:, -168:]
    spread = np.quantile(week, 0.95, axis=1) - np.quantile(week, 0.05, axis=1)
    limit = level + rng.uniform(0.3, 1.5, S) * spread
    grid = Grid(np.arange(S, dtype=np.uint64), np.datetime64("2026-03-02", "us").item(), past)
    p = probability(FLEET.fit(look_back(grid, H, 45)).paths(), limit, 3, "up", (24, 72, 168)).p
    came = first_crossing(future[:, None], limit, 3, "up")[:, 0]
    for column, horizon in enumerate((24, 72, 168)):
        true = came < horizon
        assert abs(p[:, column].mean() - true.mean()) < 0.05
        for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)):
            inside = (p[:, column] >= low) & (p[:, column] < high)
            if inside.sum() >= 25:
                assert abs(p[inside, column].mean() - true[inside].mean()) < 0.13, (horizon, low)
        brier, base = np.mean((p[:, column] - true) ** 2), true.mean() * (1 - true.mean())
        assert brier < (0.8 if horizon == 168 else 1.1) * base  # hardly any of them crosses on the first day
