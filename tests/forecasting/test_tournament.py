"""Who may try Prophet, who wins, and that a night serves the winner."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from forecasting import scoring
from forecasting.backtest import backtest
from forecasting.history import look_back
from forecasting.mapper import Serial
from forecasting.models.ensemble import Ensemble
from forecasting.models.level_season import LevelSeason
from forecasting.models.registry import FLEET
from forecasting.night import score_fleet
from forecasting.options import ForecastingOptions
from forecasting.tables import BACKTESTS, TOURNAMENT
from forecasting.tournament import candidates, contest, rhythmic, standings, wins


def test_candidates_have_rhythm_history_and_an_open_question():
    profiles = pl.DataFrame(
        {
            "series_id": pl.Series([1, 2, 3, 4, 5, 6], dtype=pl.UInt64),
            "history_h": [2000, 2000, 100, 2000, 2000, 2000],
            "step_h": [1.0, 1.0, 1.0, 24.0, 1.0, 1.0],
            "daily_strength": [0.9, 0.1, 0.9, 0.9, 0.9, 0.6],
            "weekly_strength": [0.0, 0.2, 0.0, 0.0, 0.0, 0.9],
        }
    )
    risks = pl.DataFrame(
        {
            "series_id": pl.Series([1, 2, 3, 4, 5, 6], dtype=pl.UInt64),
            "state": ["scored"] * 6,
            "horizon_h": [168] * 6,
            "p": [0.5, 0.5, 0.5, 0.5, 0.01, 0.5],
        }
    )
    assert candidates(risks, profiles)["series_id"].to_list() == [1, 6]


def test_the_structural_model_may_try_where_there_is_a_rhythm():
    profiles = pl.DataFrame(
        {
            "series_id": pl.Series([1, 2, 3, 4], dtype=pl.UInt64),
            "history_h": [700, 600, 700, 700],
            "step_h": [1.0, 1.0, 24.0, 1.0],
            "daily_strength": [0.0, 0.9, 0.9, 0.2],
            "weekly_strength": [0.4, 0.0, 0.0, 0.2],
        }
    )
    assert rhythmic(profiles).rows() == [(1, 0.4)]


def scores(model: str, losses: list[float], series_id: int = 1) -> pl.DataFrame:
    rows = [
        {
            "series_id": series_id,
            "model": model,
            "days_ago": 7 * (cut + 1),
            "horizon_h": 168,
            "pinball": loss,
            "inside_80": 0.8,
        }
        for cut, loss in enumerate(losses)
    ]
    return pl.DataFrame(rows, schema=BACKTESTS)


def test_a_win_needs_a_margin_and_two_cuts():
    champion = scores("ensemble", [1.0, 1.0, 1.0])
    assert wins(scores("prophet", [0.8, 0.8, 0.9]), champion).tolist() == [1]
    assert wins(scores("prophet", [0.8, 1.0, 0.99]), champion).tolist() == []
    assert wins(scores("prophet", [0.1]), champion).tolist() == []


def test_standings_compare_on_the_same_tests():
    tests = [
        scores("ensemble", [1.0, 2.0], 1),
        scores("ensemble", [3.0], 2),
        scores("ensemble", [9.0], 3),  # nobody challenged it here
        scores("structural", [0.5, 1.0], 1),
        scores("structural", [4.5, 9.0], 2),  # its second cut was no test of the ensemble
    ]
    as_of = datetime(2026, 3, 2)
    ids = pl.Series([1, 2, 3], dtype=pl.UInt64)
    profiles = pl.DataFrame({"series_id": ids, "as_of": [as_of] * 3, "shape": ["seasonal"] * 3})
    risks = pl.DataFrame({"series_id": ids, "state": ["scored"] * 3, "model": ["structural", "ensemble", "ensemble"]})
    table = standings(risks, profiles, pl.concat(tests), "ensemble")
    assert table.schema == pl.Schema(TOURNAMENT)
    assert table.rows() == [(as_of, "structural", "seasonal", 2, 1, 3, 2.0, 2.0, pytest.approx(0.8))]
    assert standings(risks, profiles, pl.concat(tests).clear(), "ensemble").schema == pl.Schema(TOURNAMENT)


def test_a_contest_gives_the_challenger_the_past_of_each_cut_alone(make_grid, hours, rng):
    values = 50 + 5 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 1, len(hours))
    history = look_back(make_grid(values), 170, 60)
    challenger = Ensemble("level_season", (LevelSeason(),), (1.0,))
    fitted = FLEET.fit(history)
    asked = contest(challenger, history, fitted)
    assert asked["days_ago"].unique().sort().to_list() == [7, 14, 21]
    own = challenger.fit(history)
    direct = backtest("level_season", history, own.paths, fitted.cuts((7, 14, 21)), fitted.has)
    # At a cut, the contest may also use stretches that have not settled: the losses are close, not the same.
    np.testing.assert_allclose(asked["pinball"], direct["pinball"], rtol=0.3)


def drawn_by(found) -> list[tuple[int, str]]:
    """Which series' paths are whose."""
    return found.forecasts.select("series_id", "model").unique().sort("series_id").rows()


def test_a_night_draws_the_winner_s_paths(untaught, make_batch, hours, rng, monkeypatch):
    daily = 50 + 15 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 2, len(hours))
    batch = make_batch([daily, 50 + rng.normal(0, 1, len(hours))], [66.0, 54.0])
    challenger = Ensemble("prophet", (LevelSeason(),), (1.0,))
    monkeypatch.setattr(scoring, "PROPHET", challenger)
    monkeypatch.setattr(scoring, "wins", lambda one, two: np.array([1], dtype=np.uint64))
    seen = []
    options = ForecastingOptions(history_days=60, report_floor=0.0)
    found = score_fleet([batch], untaught, options, Serial(), lambda stage, done: seen.append((stage, done)))
    assert seen[0] == ("score", 2)
    assert ("prophet", 1) in seen
    assert drawn_by(found) == [(1, "prophet"), (2, "ensemble")]
    assert found.risks["model"].unique().to_list() == ["learnt"]
    assert found.models.filter(model="prophet")["series"].to_list() == [1, 1, 1]
    assert found.models.filter(model="ensemble", horizon_h=24)["series"].sum() == 1


def test_the_structural_model_serves_where_it_wins(untaught, make_batch, hours, rng):
    # Waves through a noisy week need fewer weeks than medians of its hours; the second series has no rhythm.
    weekly = (
        50 + 10 * np.sin(hours * 2 * np.pi / 168) + 5 * np.sin(hours * 2 * np.pi / 24) + rng.normal(0, 4, len(hours))
    )
    batch = make_batch([weekly, 50 + rng.normal(0, 1, len(hours))], [70.0, 54.0])
    found = score_fleet(
        [batch], untaught, ForecastingOptions(history_days=60, prophet_series=0, report_floor=0.0), Serial()
    )
    assert drawn_by(found) == [(1, "structural"), (2, "ensemble")]
    [row] = found.tournament.rows(named=True)
    assert (row["model"], row["entered"], row["served"], row["cuts"]) == ("structural", 1, 1, 3)
    assert row["pinball"] < 0.9 * row["champion_pinball"]
