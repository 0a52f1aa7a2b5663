from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.fleet.clock import PER_DAY, Clock, clock, rhythm
from data.fleet.shapes import SHAPES, countdown, cycles, growth, restarts, warm_up
from data.fleet.simulation import Fleet, Series

C = clock(1, -30, 10)


def test_local_time_follows_the_change_of_the_clocks() -> None:
    spring = clock(1, -66, -60, step_s=3600)  # the last Sunday of March lies in it
    local_days = np.flatnonzero(spring.hour == 0)
    assert 23 in np.diff(local_days)
    assert np.round(np.diff(spring.moments(10)) * 24).tolist() == [24, 23, 24, 24, 24]
    assert spring.weekday[spring.ts == np.datetime64("2026-03-29T12:00:00")] == 6


def test_moments_are_once_a_local_day() -> None:
    for hour in (0.25, 4, 23.5):
        assert len(C.moments(hour)) == 40
    assert np.allclose(np.diff(C.moments(4, weekday=6)), 7)


def test_load_follows_people() -> None:
    office, weekend = rhythm(C, "office"), (C.weekday >= 5) | C.holiday
    assert office[~weekend].mean() > 3 * office[weekend].mean()
    assert office[(C.hour > 9) & (C.hour < 11)].mean() > 5 * office[(C.hour > 1) & (C.hour < 4)].mean()
    shop = rhythm(C, "shop")
    assert shop[(C.hour > 19) & (C.hour < 21)].mean() > 4 * shop[(C.hour > 2) & (C.hour < 5)].mean()
    with pytest.raises(ValueError, match="unknown rhythm"):
        rhythm(C, "siesta")


@settings(max_examples=25, deadline=None)
@given(
    start=st.floats(0, 50),
    rise=st.floats(1, 50),
    begins=st.floats(-25, -1),
    ends=st.floats(0.5, 9),
    follows=st.sampled_from(["even", "office", "shop"]),
)
def test_growth_reaches_what_it_shall_when_it_shall(
    start: float, rise: float, begins: float, ends: float, follows: str
) -> None:
    values = growth(C, start=start, start_day=begins, reach=start + rise, reach_day=ends, follows=follows)
    assert np.allclose(values[C.day < begins], start)
    assert np.all(np.diff(values) >= -1e-9)
    assert np.interp(ends, C.day, values) == pytest.approx(start + rise, abs=0.02 * rise)


def test_cycles_fall_back_at_their_moments_and_nowhere_else() -> None:
    values = cycles(C, low=20, per_day=3, hour=4, weekday=6)
    falls = C.day[1:][np.diff(values) < 0]
    assert np.allclose(falls, C.moments(4, weekday=6))
    assert values[np.isin(C.day, falls)] == pytest.approx(20)
    stopped = cycles(C, low=20, per_day=3, hour=4, weekday=6, until=-10)
    assert np.all(np.diff(stopped[C.day > -10]) > 0)


def test_restarts_reach_the_same_height_each_time() -> None:
    days = [-33.0, -21.0, -14.0, -2.0, 8.0, 15.0]
    values = restarts(C, low=1, high=9, days=days)
    before = [values[np.searchsorted(C.day, day) - 1] for day in days[1:-1]]
    assert before == pytest.approx([9] * 4, abs=0.1)
    assert values.max() <= 9.01
    assert values[0] > 1


def test_warm_up_saturates() -> None:
    values = warm_up(C, cold=1, warm=6, days=[-5.0], time_constant=0.5)
    assert values[C.day < -5] == pytest.approx(6)
    assert values[np.searchsorted(C.day, -5.0)] == pytest.approx(1)
    assert values[C.day > 0] == pytest.approx(6, abs=0.01)


def test_a_certificate_counts_down_and_is_renewed() -> None:
    alone = countdown(C, left=5, validity=90)
    assert np.interp(0, C.day, alone) == pytest.approx(5)
    renewed = countdown(C, left=5, validity=90, renewals=[-3.0])
    assert np.interp(-4, C.day, renewed) == pytest.approx(9)
    assert np.interp(-2, C.day, renewed) == pytest.approx(89)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_speak_of_the_whole_clock(name: str, shape_arguments: dict[str, dict[str, object]]) -> None:
    values = SHAPES[name](C, **shape_arguments[name])
    assert values.shape == C.day.shape
    assert np.isfinite(values).all()


@pytest.fixture
def shape_arguments() -> dict[str, dict[str, object]]:
    return {
        "flat": {"level": 3},
        "load": {"low": 1, "high": 2},
        "growth": {"start": 1, "start_day": -3, "reach": 4, "reach_day": 2},
        "plateau": {"start": 1, "ceiling": 4, "start_day": -20, "days": 3},
        "cycles": {"low": 1, "per_day": 2, "hour": 4},
        "restarts": {"low": 1, "high": 2, "days": [-40, -3, 40]},
        "steps": {"level": 3, "changes": [(-3, 1)]},
        "warm_up": {"cold": 1, "warm": 2, "days": [-4], "time_constant": 1},
        "countdown": {"left": 3, "validity": 90},
        "jobs": {"idle": 1, "busy": 50, "hour": 3, "minutes": 45},
    }


# ---------------------------------------------------------------------------------------- what a collector would read


def hourly(c: Clock, values: np.ndarray, local_hour: int) -> np.ndarray:
    return values[(c.hour >= local_hour) & (c.hour < local_hour + 1)]


def test_backups_are_short_and_at_three(fleet_clock: Clock, one: Callable[..., Series]) -> None:
    cpu = one("backup-01", "cpu_used_percent").values
    assert hourly(fleet_clock, cpu, 3).mean() > 45
    assert hourly(fleet_clock, cpu, 12).mean() < 6


def test_noise_has_a_memory(one: Callable[..., Series]) -> None:
    series = one("mail-01", "mem_used_percent")
    noise = (series.values - series.clean).reshape(-1, PER_DAY // 24).mean(axis=1)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] > 0.5


def test_values_are_what_the_metric_can_show(one: Callable[..., Series]) -> None:
    for entity, metric, quantum in (
        ("ci-01", "cpu_used_percent", 0.1),
        ("payments", "hikaricp_connections_active", 1),
        ("checkout", "container_memory_working_set_bytes", 4096),
    ):
        values = one(entity, metric).values
        assert np.allclose(values / quantum, np.round(values / quantum), atol=1e-6)
        assert values.min() >= 0
    assert one("ci-01", "cpu_used_percent").values.max() <= 100
    assert np.ptp(one("lb-01", "disk_used_percent").values) == 0


def test_gaps_newcomers_and_rare_readings(fleet_clock: Clock, one: Callable[..., Series]) -> None:
    day = fleet_clock.day
    past = day < 0
    assert not one("db-01", "cpu_used_percent").observed[(day > -23.3) & (day < -22)].any()
    assert one("web-01", "cpu_used_percent").observed[(day > -23.3) & (day < -22)].any()
    assert day[one("app-05", "cpu_used_percent").observed].min() > -2.5
    assert day[one("legacy-01", "cpu_used_percent").observed].max() < -10
    assert one("nas-01", "disk_used_percent").observed[past].sum() == 60
    missed = 1 - one("vpn-01", "cpu_used_percent").observed[past].mean()
    assert 0.0005 < missed < 0.01


@pytest.fixture(scope="module")
def fleet_clock(fleet: Fleet) -> Clock:
    return fleet.clock
