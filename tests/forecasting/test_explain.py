"""Facts in words and numbers that a reader can check."""

from datetime import datetime

import polars as pl

from features.profiles import SCHEMA
from features.signals import Signal
from forecasting.explain import Evidence, explain
from forecasting.tables import BACKTESTS

LEAK = {
    "history_h": 1440, "observed_h": 1400, "step_h": 1.0, "level": 71.0, "slope_per_day": 6.0, "trend_strength": 0.9,
    "daily_strength": 0.4, "weekly_strength": 0.0, "resets": 3, "hours_since_reset": 100, "reset_peak": 88.0,
    "reset_drop": 40.0, "steps": 0,
}  # fmt: skip


def facts(profile: dict | None = None, **changes) -> str:
    signal = Signal.model_validate(
        {
            "name": "host.memory", "metric": "m", "unit": "percent", "limits": [{"name": "critical", "value": 95}],
            "direction": changes.pop("direction", "up"),
        }
    )  # fmt: skip
    tests = [
        {"series_id": 1, "model": "ensemble", "days_ago": d, "horizon_h": h, "pinball": 0.1, "inside_80": 0.75}
        for d in (7, 14)
        for h in (24, 168)
    ]
    known = {
        "as_of": datetime(2026, 3, 2),
        "signal": signal,
        "unit": "percent",
        "limit": {"limit_name": "critical", "value": 95.0, "basis": "set in the settings", "lasts_h": 3},
        "profile": dict.fromkeys(SCHEMA) | LEAK | (profile or {}),
        "crossed": False,
        "eves": 60,
        "went_so_far": 4,
        "furthest": (88.0, 101),
        "backtests": pl.DataFrame(tests, schema=BACKTESTS),
    }
    return "\n".join(explain(Evidence(**(known | changes)))).replace("\u00a0", " ")


def test_a_leak_is_told_with_its_numbers():
    said = facts()
    assert "The last day's median is 71 %, 24 % below the limit of 95 %." in said
    assert (
        "rises by 6 % a day since the last reset on 2026-02-25 20:00 UTC; at that rate alone the limit is 4 d" in said
    )
    assert "It rose as far within a week as it would have to now after 4 of the last 60 days" in said
    assert "reset (a restart or clean-up) 3 times, usually from 88 % by 40 %" in said
    assert "40 % of its movement is a daily rhythm." in said
    assert "60 d of history, 3 % of it missing" in said
    assert "Tested on 2 past weeks of this series, the 80 % band of the forecast held 75 % of the hours." in said
    assert "The limit 'critical': set in the settings." in said


def test_a_ceiling_and_a_warm_up_are_told():
    said = facts({"ceiling": 82.0, "ceiling_share": 0.9, "warm_up_to": 77.0})
    assert "90 % of its last climbs ended near 82 %" in said
    assert "flattens as after a restart or deploy, towards 77 %" in said
    assert "ended near" not in facts()


def test_a_flat_series_claims_no_trend():
    said = facts({"slope_per_day": 0.001, "trend_strength": 0.05, "resets": 0, "hours_since_reset": None})
    assert "no steady trend" in said
    assert "reset" not in said


def test_a_rise_without_precedent_is_told_as_such():
    assert "After none of the last 60 days whose following week is known it rose as far" in facts(went_so_far=0)
    assert "as far within a week" not in facts(eves=3)


def test_downwards_is_the_other_way_round():
    said = facts({"slope_per_day": -2.0, "level": 105.0}, direction="down")
    assert "105 %, 10 % above the limit of 95 %" in said
    assert "falls by 2 % a day" in said
    assert "lowest level" in said


def test_a_crossed_limit_is_said_first():
    assert facts(crossed=True).startswith("Already above the limit of 95 %")


def test_what_is_unknown_is_left_out():
    said = facts(
        dict.fromkeys(("level", "slope_per_day", "trend_strength", "reset_peak", "reset_drop", "step_h")),
        furthest=None, backtests=pl.DataFrame(schema=BACKTESTS),
    )  # fmt: skip
    assert "None" not in said
    assert "too little history to have been tested" in said
