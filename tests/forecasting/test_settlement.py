"""Crossings and settlements by small examples, against a plain loop, and whatever hours lie outside their windows."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.grid import Grid
from forecasting.learnt import lessons
from forecasting.settlement import CROSSINGS, SETTLEMENTS, agreed, crossings, held, parted, settle
from forecasting.tables import HORIZONS, LIMITS, RISKS

START = datetime(2026, 3, 1)
HOURS = st.sampled_from([10.0, 79.0, 80.0, 90.0, np.nan])


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def grid_of(*rows: list[float] | np.ndarray) -> Grid:
    """Series 1, 2, ... from START on."""
    values = np.array(rows, dtype=float)
    return Grid(np.arange(1, len(rows) + 1, dtype=np.uint64), at(values.shape[1]), values)


def limit(series_id: int = 1, value: float = 80.0, *, since: int = 0, direction: str = "up", lasts_h: int = 3) -> dict:
    return {"series_id": series_id, "limit_name": "critical", "valid_from": at(since), "signal": "s",
            "direction": direction, "value": value, "lasts_h": lasts_h, "basis": "set in the settings"}  # fmt: skip


def limits(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows) or [limit()], schema=LIMITS, orient="row")


def risk(hour: int, horizon_h: int = 24, series_id: int = 1, value: float = 80.0, **more) -> dict:
    return dict.fromkeys(RISKS) | {
        "as_of": at(hour), "series_id": series_id, "limit_name": "critical", "horizon_h": horizon_h, "signal": "s",
        "direction": "up", "limit_value": value, "state": "scored", "p": 0.5,
    } | more  # fmt: skip


def risks(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=RISKS, orient="row")


def crossed_at(grid: Grid, given_limits: pl.DataFrame | None = None, quiet_days: int = 0) -> list[int]:
    """Hours from START of the crossings that are news."""
    found = crossings(grid, limits() if given_limits is None else given_limits, quiet_days)
    return [(moment - START) // timedelta(hours=1) for moment in found.filter("news")["crossed_at"]]


def settled(values: np.ndarray, *asked: dict, given_limits: pl.DataFrame | None = None) -> list[str]:
    found = settle(risks(*asked), grid_of(values), limits() if given_limits is None else given_limits)
    return found["outcome"].to_list()


# ---------------------------------------------------------------------------------------------------------- crossings


def slow_crossings(row: np.ndarray, value: float, lasts_h: int) -> list[int]:
    seen = [(hour, v >= value) for hour, v in enumerate(row) if not np.isnan(v)]
    found, run = [], []
    for n, (hour, beyond) in enumerate(seen):
        run = [*run, (n, hour)] if beyond else []
        if len(run) == lasts_h and run[0][0] > 0:
            found.append(run[0][1])
    return found


@given(arrays(float, 60, elements=HOURS), st.integers(1, 4))
def test_crossings_are_those_of_a_plain_loop(row, lasts_h):
    readings = held(grid_of(row)).values[0]
    assert crossed_at(grid_of(row), limits(limit(lasts_h=lasts_h))) == slow_crossings(readings, 80.0, lasts_h)


def test_a_crossing_is_told_with_what_held_and_when_it_was_confirmed():
    found = crossings(grid_of([1, 90, np.nan, 90, 90, 90, 1]), limits(), 7)
    assert dict(found.schema) == CROSSINGS
    assert found.rows() == [(1, "critical", "s", "up", 80.0, 3, at(1), at(4), True)]


def test_downwards():
    assert crossed_at(grid_of([9, 9, 5, 4, 3, 9]), limits(limit(value=5, direction="down"))) == [2]


def test_what_was_under_way_when_first_seen_is_no_crossing():
    assert crossed_at(grid_of([90, 90, 90, 1, 90, 90, 90])) == [4]
    assert crossed_at(grid_of([1, 90, 90, 90, 90, 90, 1]), limits(limit(since=2))) == []


def test_a_rhythm_is_no_news_until_it_rested_for_the_quiet_days():
    day = np.r_[np.full(4, 90.0), np.full(20, 10.0)]
    row = np.r_[np.full(24, 10.0), day, day, np.full(48, 10.0), day]
    assert crossed_at(grid_of(row)) == [24, 48, 120]
    assert crossed_at(grid_of(row), quiet_days=2) == [24, 120]
    assert crossed_at(grid_of(row), quiet_days=4) == [24]


def test_the_quiet_days_end_on_the_hour():
    row = np.full(80, 10.0)
    row[4:8] = row[32:36] = 90  # ended in hour 7, began in hour 32
    assert crossed_at(grid_of(row), quiet_days=1) == [4, 32]
    row[8] = 90
    assert crossed_at(grid_of(row), quiet_days=1) == [4]


def test_each_limit_holds_until_the_next_and_news_is_about_the_one_that_holds():
    row = np.full(60, 10.0)
    row[5:15] = 85  # beyond 80, and not beyond 90
    row[40:50] = 95
    assert crossed_at(grid_of(row), limits(limit(value=80), limit(value=90, since=20)), quiet_days=7) == [5, 40]
    assert crossed_at(grid_of(row), limits(limit(value=90), limit(value=80, since=20)), quiet_days=7) == []


def test_a_limit_that_comes_to_a_series_is_crossed():
    assert crossed_at(grid_of(np.full(40, 85.0)), limits(limit(value=90), limit(value=80, since=20)), 7) == [20]


def test_a_daily_reading_counts_like_hours():
    row = np.full(10 * 24, np.nan)
    row[7::24] = [10, 10, 10, 10, 10, 90, 10, 10, 10, 10]
    assert crossed_at(grid_of(row)) == [5 * 24 + 7]


def test_many_series_are_as_each_alone():
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(0, 3, (150, 300)), axis=1) + 60
    given_limits = limits(*(limit(s, 80 + s % 7) for s in range(1, 151)), *(limit(s, 70, since=99) for s in (3, 9)))
    grid = grid_of(*values)
    alone = [crossings(grid.take(np.array([s])), given_limits, 2) for s in range(150)]
    every = crossings(grid, given_limits.sample(fraction=1, shuffle=True, seed=0), 2)
    assert every.equals(pl.concat(alone))
    assert every.height > 50


def test_limits_of_unknown_series_and_of_the_future_are_left_out():
    later = pl.concat([limits(limit(7)), limits(limit(since=3))])
    assert crossings(grid_of([1, 90, 90]), later, 7).is_empty()


# ------------------------------------------------------------------------------------------------------------- settle


def test_true_false_and_unknown():
    row = np.full(80, 10.0)
    row[40:43] = 90
    assert settled(row, risk(10)) == ["false"]
    assert settled(row, risk(30)) == ["true"]
    row[12:25] = np.nan
    assert settled(row, risk(10)) == ["unknown"]
    row[24] = 10
    assert settled(row, risk(10)) == ["false"]


def test_a_row_says_what_was_asked_and_when_it_came():
    row = np.full(80, 10.0)
    row[40:43] = 90
    found = settle(risks(risk(30)), grid_of(row), limits())
    assert dict(found.schema) == SETTLEMENTS
    told = (at(30), 1, "critical", 24, "s", "up", 80.0, 0.5, "scored", "true", at(40), at(80))
    assert found.rows() == [told]


def test_a_crossing_counts_from_the_first_hour_to_the_last_of_the_horizon():
    for begins, outcome in ((9, "true"), (10, "true"), (33, "true"), (34, "false")):
        row = np.full(60, 10.0)
        row[begins : begins + 4] = 90
        assert settled(row, risk(10)) == [outcome], begins


def test_what_was_seen_to_come_is_true_however_little_was_seen():
    row = np.full(60, np.nan)
    row[20:23] = 90
    assert settled(row, risk(10)) == ["true"]


def test_a_run_that_gaps_kept_from_being_confirmed_is_unknown():
    row = np.full(60, 10.0)
    row[32:34] = 90
    row[34:40] = np.nan
    row[40] = 90  # too late to tell: the answer must not change any more
    assert settled(row, risk(10)) == ["unknown"]


def test_only_what_was_scored_and_has_ended_is_settled():
    row = np.full(60, 10.0)
    asked = [risk(34), risk(35), risk(10, state="crossed", p=1.0), risk(10, state="abstained", p=None)]
    assert settle(risks(*asked), grid_of(row), limits())["as_of"].to_list() == [at(34)]


def test_the_limit_is_the_one_that_the_risk_named_and_the_hours_those_of_its_night():
    row = np.full(60, 10.0)
    row[20:22] = 90
    since = limits(limit(value=95, lasts_h=2), limit(value=95, since=11, lasts_h=3))
    assert settled(row, risk(10), risk(11), given_limits=since) == ["true", "false"]
    assert settled(row, risk(10, value=91.0), given_limits=since) == ["false"]


def test_a_series_that_is_gone_is_unknown():
    assert settled(np.full(60, 10.0), risk(10, series_id=9), given_limits=limits(limit(9))) == ["unknown"]


def test_what_cannot_be_settled_is_said():
    with pytest.raises(ValueError, match="give it more hours"):
        settle(risks(risk(-5)), grid_of(np.full(60, 10.0)), limits(limit(since=-9)))
    with pytest.raises(ValueError, match=r"limit 'critical' of series 1 has no limit .* give all rows"):
        settle(risks(risk(5)), grid_of(np.full(60, 10.0)), limits(limit(since=6)))


def test_nothing_asked_nothing_settled():
    assert dict(settle(risks(), grid_of(np.full(60, 10.0)), limits()).schema) == SETTLEMENTS


def test_agrees_with_the_outcomes_that_the_model_learns_from():
    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(0, 3, (200, 220)), axis=1) + 60
    values[rng.random(values.shape) < 0.2] = np.nan
    asked = risks(*(risk(48, 168, series_id=s) for s in range(1, 201)))
    found = settle(asked, grid_of(*values), limits(*(limit(s) for s in range(1, 201))))
    learnt = lessons.outcome(held(grid_of(*values)).values[:, 48:218], np.full(200, 80.0), 168, 3)
    assert found["outcome"].to_list() == ["true" if y == 1 else "false" for y in learnt]


@given(
    arrays(float, 260, elements=HOURS), arrays(float, 260, elements=HOURS), st.integers(24, 60),
    st.sampled_from(HORIZONS), st.integers(1, 4),
)  # fmt: skip
def test_settled_once_and_for_all(row, other, hour, horizon_h, lasts_h):
    """More hours after the window, and other hours before it, change nothing."""
    ends = hour + horizon_h + lasts_h - 1
    hourly = limits(limit(lasts_h=lasts_h))
    row[np.isnan(row)] = np.where(np.arange(np.isnan(row).sum()) % 2, 10.0, np.nan)  # hourly, so that nothing is held
    other = np.where(np.isnan(other), 10.0, other)
    asked = risk(hour, horizon_h)
    assert settled(row[: ends - 1], asked, given_limits=hourly) == []
    once = settled(row[:ends], asked, given_limits=hourly)
    assert len(once) == 1
    assert settled(row, asked, given_limits=hourly) == once
    assert settled(np.r_[row[:ends], other[ends:]], asked, given_limits=hourly) == once
    dense = np.where(np.isnan(row), 10.0, row)
    before = np.r_[other[:hour], dense[hour:]]
    assert settled(before, asked, given_limits=hourly) == settled(dense, asked, given_limits=hourly)


def test_rare_readings_settle_once_and_for_all_too():
    rng = np.random.default_rng(3)
    row = np.full(90 * 24, np.nan)
    row[np.sort(rng.choice(len(row), 90, replace=False))] = rng.uniform(60, 85, 90)
    nights = [risk(24 * day, h) for day in range(30, 60) for h in HORIZONS]
    last = settle(risks(*nights), grid_of(row), limits()).drop("settled_as_of")
    for day in (40, 55, 70):
        early = settle(risks(*nights), grid_of(row[: 24 * day]), limits()).drop("settled_as_of")
        assert early.equals(last.join(early, on=["as_of", "horizon_h"], how="semi"))
    assert last["outcome"].n_unique() > 1


# --------------------------------------------------------------------------------------------------- known-bad windows


def hidden(values: np.ndarray, first: int, until: int) -> np.ndarray:
    seen = values.copy()
    seen[first:until] = np.nan
    return seen


def spike(first: int, until: int) -> np.ndarray:
    values = np.full(60, 10.0)
    values[first:until] = 95.0
    return values


@pytest.mark.parametrize(
    ("beyond", "window", "outcome", "plain", "unseen"),
    [
        ((24, 30), (40, 44), "true", [24], []),  # before the window
        ((24, 30), (22, 32), "unknown", [], [24]),  # within it
        ((24, 60), (22, 32), "unknown", [], [24, 32]),  # began within it and went on
        ((24, 60), (30, 40), "true", [24], []),  # began before it and went on
        ((60, 60), (22, 32), "false", [], []),  # never came
    ],
)
def test_a_crossing_in_a_known_bad_window_is_nobodys_news(
    beyond: tuple[int, int], window: tuple[int, int], outcome: str, plain: list[int], unseen: list[int]
):
    values = spike(*beyond)
    measured, seen = grid_of(values), grid_of(hidden(values, *window))
    asked = risks(risk(20, horizon_h=24))
    found = agreed(settle(asked, seen, limits()), settle(asked, measured, limits()))
    assert dict(found.schema) == SETTLEMENTS and found["outcome"].to_list() == [outcome]
    shown, lost = parted(crossings(seen, limits(), 0), crossings(measured, limits(), 0))
    hours = [[(moment - START) // timedelta(hours=1) for moment in part["crossed_at"]] for part in (shown, lost)]
    assert hours == [plain, unseen]


@given(arrays(float, 60, elements=HOURS), st.integers(0, 60), st.integers(0, 30))
def test_without_hidden_hours_nothing_changes(row, first, length):
    asked = risks(risk(20, horizon_h=24))
    measured = settle(asked, grid_of(row), limits())
    assert agreed(measured, measured).equals(measured)
    seen = settle(asked, grid_of(hidden(row, first, first + length)), limits())
    came = agreed(seen, measured)["outcome"].to_list()
    assert came in (["unknown"], measured["outcome"].to_list())
