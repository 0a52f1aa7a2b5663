"""What has settled lately: which answers and forecasts count, and which hours they are held against."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.known_bad import MASKED, SPANS, Masks
from forecasting.settlement import SETTLEMENTS
from forecasting.tables import FORECASTS
from pipelines import history
from pipelines.settings import parse
from pipelines.settling import lately
from pipelines.site import Night, Site

AS_OF = datetime(2026, 3, 10)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HOURS = {"series_id": pl.UInt64, "hour": pl.Datetime("us"), "min": pl.Float64, "max": pl.Float64, "mean": pl.Float64,
         "last": pl.Float64, "n": pl.Int32}  # fmt: skip
NOTHING_HIDDEN = Masks(pl.DataFrame(schema=MASKED), pl.DataFrame(schema=SPANS))


def settled(p: float, outcome: str, days_ago: float, *, series_id: int = 1, horizon_h: int = 168) -> dict:
    when = AS_OF - days_ago * DAY
    return dict.fromkeys(SETTLEMENTS) | {
        "as_of": when - 8 * DAY, "series_id": series_id, "limit_name": "critical", "horizon_h": horizon_h,
        "signal": "s", "direction": "up", "limit_value": 90.0, "p": p, "state": "scored", "outcome": outcome,
        "settled_as_of": when,
    }  # fmt: skip


def drawn(days_ago: float, series_id: int = 1) -> list[dict]:
    """A forecast of a week whose band is 0 to 10."""
    as_of = AS_OF - days_ago * DAY
    band = {"q10": 0.0, "q25": 2.0, "q50": 5.0, "q75": 8.0, "q90": 10.0}
    told = {"as_of": as_of, "series_id": series_id, "model": "ensemble"} | band
    return [told | {"hour": as_of + hour * HOUR} for hour in range(168)]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    night = Night(Site(parse("storage: {root: run}", tmp_path)), date(2026, 3, 10), "run", AS_OF)
    night.warehouse.migrate()
    stored = [
        settled(0.9, "true", 3),
        settled(0.8, "false", 27.9, series_id=2),
        settled(0.7, "unknown", 2),
        settled(0.75, "true", 28),
        settled(0.02, "false", 1),
        settled(0.5, "true", 1, horizon_h=24),
        settled(0.99, "false", 0),
    ]  # fmt: skip - the last is of an earlier run of this very night
    forecasts = drawn(9) + drawn(34.5, series_id=2) + drawn(35, series_id=3) + drawn(6)
    hours = [(s, AS_OF - n * HOUR, 0.0, 9.0, 5.0 if n % 4 else 11.0, 5.0, 12) for s in (1, 2, 3) for n in range(1, 900)]
    frames = {
        "forecasting.settlements": pl.DataFrame(stored, schema=SETTLEMENTS),
        "forecasting.forecasts": pl.DataFrame(forecasts, schema=FORECASTS),
        "features.hourly": pl.DataFrame(hours, schema=HOURS, orient="row"),
    }
    with night.warehouse.writer() as con:
        for table, frame in frames.items():
            con.register("told", frame.to_arrow())
            con.execute(f"INSERT INTO {table} BY NAME FROM told")
    night.frames.write("forecasting.settlements", pl.DataFrame([settled(0.95, "true", 0)], schema=SETTLEMENTS))
    night.frames.write("features.hourly", frames["features.hourly"].clear())
    history.write_masks(night.frames, NOTHING_HIDDEN)
    return night


def test_answers_of_four_weeks_count_with_tonights_in_the_place_of_those_of_an_earlier_run(night: Night):
    with night.warehouse.reader() as con:
        found = lately(con, night)
    assert found.tenths.select("horizon_h", "n", "p", "came").rows() == [
        (24, 1, 0.5, 1), (168, 1, 0.02, 0), (168, 1, 0.8, 0), (168, 2, 0.925, 2),
    ]  # fmt: skip
    assert found.tenths["squared_error"].to_list() == pytest.approx([0.25, 0.0004, 0.64, 0.0125])
    assert found.sure.rows() == [(3, 2, pytest.approx(0.883333333), 2)]


def test_forecasts_whose_week_ended_within_four_weeks_are_held_against_what_was_measured(night: Night):
    with night.warehouse.reader() as con:
        (row,) = lately(con, night).band.to_dicts()
    assert row == {"paths": 2, "series": 2, "hours": 2 * 168, "held": 2 * 168 * 3 // 4}


def test_forecasts_are_not_held_against_known_bad_hours(night: Night):
    spans = [(0, AS_OF - 9 * DAY, AS_OF - 8 * DAY), (0, AS_OF - 4 * DAY, AS_OF - 3 * DAY), (1, AS_OF - DAY, AS_OF)]
    masked = pl.DataFrame([(1, 0), (2, 1)], schema=MASKED, orient="row")
    history.write_masks(night.frames, Masks(masked, pl.DataFrame(spans, schema=SPANS, orient="row")))
    with night.warehouse.reader() as con:
        (row,) = lately(con, night).band.to_dicts()
    assert row == {"paths": 2, "series": 2, "hours": 168 + 120, "held": (168 + 120) * 3 // 4}


def test_before_anything_settled_there_is_nothing(tmp_path: Path):
    night = Night(Site(parse("storage: {root: run}", tmp_path)), date(2026, 3, 10), "run", AS_OF)
    night.warehouse.migrate()
    night.frames.write("forecasting.settlements", pl.DataFrame(schema=SETTLEMENTS))
    night.frames.write("features.hourly", pl.DataFrame(schema=HOURS))
    history.write_masks(night.frames, NOTHING_HIDDEN)
    with night.warehouse.reader() as con:
        found = lately(con, night)
    assert found.tenths.is_empty() and found.sure.rows() == [(0, 0, None, 0)] and found.band.rows() == [(0, 0, 0, 0)]
