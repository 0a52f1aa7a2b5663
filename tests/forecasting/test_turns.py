"""Where a series last turned: the stretch since then, and what lies before it."""

import numpy as np
import pytest

from forecasting.learnt.turns import BLOCK_H, FEWEST, turns

DAY = 24
MONTH_H = 28 * DAY


def facts(values: np.ndarray) -> dict[str, float]:
    return {name: float(value[0]) for name, value in turns(values[None].astype(np.float32)).items()}


def calm(rng: np.random.Generator, hours: int = MONTH_H, sd: float = 0.01) -> np.ndarray:
    return rng.normal(0, sd, hours)


@pytest.mark.parametrize("days", [1, 2.5, 6])
def test_a_leak_shows_its_slope_since_it_began(rng, days):
    age_h = int(days * DAY)
    values = calm(rng)
    values[-age_h:] += np.arange(1, age_h + 1) / DAY
    found = facts(values)
    for window in ("7d", "28d"):
        assert found[f"turn_age_{window}"] == pytest.approx(days, abs=2 * BLOCK_H / DAY)
        assert found[f"turn_slope_{window}"] == pytest.approx(1, abs=0.05)
        assert found[f"turn_end_{window}"] == pytest.approx(days, abs=0.05)
        assert found[f"turn_fit_{window}"] > 0.98
        assert found[f"turn_before_slope_{window}"] == pytest.approx(0, abs=0.1)
        assert found[f"turn_jump_{window}"] == pytest.approx(0, abs=0.1)
        assert found[f"turn_fell_{window}"] < 0.05
        assert found[f"turn_rise_{window}"] > np.log(50)  # a hundred times the noise before


def test_a_restart_is_a_cut_and_its_fall_the_jump(rng):
    values = np.concatenate([np.arange(MONTH_H - 3 * DAY), np.arange(3 * DAY)]) / DAY + calm(rng)
    found = facts(values)
    assert found["turn_age_7d"] == pytest.approx(3, abs=2 * BLOCK_H / DAY)
    assert found["turn_slope_7d"] == pytest.approx(1, abs=0.05)
    assert found["turn_jump_7d"] == pytest.approx(-25, abs=0.5)


def test_a_warm_up_bends_and_a_leak_does_not(rng):
    age = np.arange(1, 4 * DAY + 1)
    leak, warm_up = calm(rng), calm(rng)
    leak[-len(age) :] += age / DAY
    warm_up[-len(age) :] += 4 * (1 - np.exp(-age / (2 * DAY)))
    assert abs(facts(leak)["turn_bend_7d"]) < 0.1
    assert facts(warm_up)["turn_bend_7d"] > 0.3


def test_a_load_falls_back_and_an_amount_does_not():
    at = np.arange(MONTH_H)
    amount = at / DAY
    assert facts(amount)["turn_fell_28d"] == 0
    assert facts(amount + 3 * np.sin(2 * np.pi * at / DAY))["turn_fell_28d"] > 0.15


def test_half_a_window_of_gaps_changes_little(rng):
    values = calm(rng)
    values[-3 * DAY :] += np.arange(3 * DAY) / DAY
    gappy = np.where(rng.random(MONTH_H) < 0.5, values, np.nan)
    assert facts(gappy)["turn_slope_7d"] == pytest.approx(facts(values)["turn_slope_7d"], abs=0.1)


@pytest.mark.parametrize("values", [np.full(8 * DAY, np.nan), np.zeros(8 * DAY), np.full(8 * DAY, 1000.0)])
def test_what_does_not_move_has_no_slope(values):
    found = facts(values)
    assert found["turn_slope_7d"] == found["turn_fit_7d"] == found["turn_fell_7d"] == 0
    assert not any(np.isinf(value) for value in found.values())


def test_without_a_cut_the_whole_is_the_stretch_and_nothing_lies_before_it():
    values = np.full(8 * DAY, np.nan)
    values[-(2 * FEWEST - 1) * BLOCK_H :] = np.arange((2 * FEWEST - 1) * BLOCK_H)
    found = facts(values)
    assert found["turn_age_7d"] == 7
    assert np.isnan(found["turn_jump_7d"])
    assert found["turn_slope_7d"] == pytest.approx(DAY, rel=1e-6)


def test_a_series_turns_alike_in_company(rng):
    values = np.cumsum(rng.normal(0, 1, (20, MONTH_H)), axis=1).astype(np.float32)
    together = turns(values)
    for row in (0, 7, 19):
        for name, alone in turns(values[row : row + 1]).items():
            assert alone.tobytes() == together[name][row : row + 1].tobytes()
