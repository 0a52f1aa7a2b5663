"""Limits from settings, from other series and from the past."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features.grid import Grid
from features.signals import Signal
from forecasting.limits import companion_metrics, hours_needed, resolve
from forecasting.tables import LIMITS, MISSING

AS_OF = datetime(2026, 3, 2)
EPOCH = datetime(1970, 1, 1)


def signal(*limits: dict, **options) -> Signal:
    return Signal.model_validate({"name": "s", "metric": "used", "limits": list(limits), **options})


def series(count: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "series_id": pl.Series(range(1, count + 1), dtype=pl.UInt64),
            "source": ["f"] * count,
            "entity": [f"host-{i}" for i in range(count)],
            "metric": ["used"] * count,
            "labels": ['{"mountpoint":"/"}'] * count,
        }
    )


def asked(values: np.ndarray, one: Signal, companions: pl.DataFrame | None = None, as_of: datetime = AS_OF):
    grid = Grid(np.arange(1, len(values) + 1, dtype=np.uint64), as_of, values)
    matched = series(len(values)).select("series_id", pl.lit("s").alias("signal"))
    found = resolve(series(len(values)), matched, [one], grid, companions)
    assert found.resolved.schema == pl.Schema(LIMITS)
    assert found.missing.schema == pl.Schema(MISSING)
    return found


def test_a_constant_holds_since_the_first_day():
    values = np.full((1, 100), np.nan)
    values[0, 40:] = 1.0
    found = asked(values, signal({"name": "critical", "value": 90.0}, lasts_hours=5)).resolved.row(0, named=True)
    assert found["value"] == 90
    assert found["lasts_h"] == 5
    assert found["valid_from"] == (AS_OF - timedelta(hours=60)).replace(hour=0)


def test_another_series_is_the_limit():
    companions = pl.DataFrame(
        {"source": ["f"], "entity": ["host-0"], "metric": ["size"], "labels": ['{"mountpoint":"/"}'], "level": [200.0]}
    )
    one = signal({"name": "full", "metric": "size", "share": 0.9})
    found = asked(np.ones((2, 48)), one, companions)
    assert found.resolved.select("series_id", "value").rows() == [(1, 180.0)]
    assert "90 % of size" in found.resolved["basis"][0]
    assert found.missing.select("series_id", "reason").rows() == [(2, "no limit: no companion series")]
    assert companion_metrics([one]) == ["size"]


def past(**options) -> dict:
    return {"name": "usual", "quantile": 0.9, "margin": 0.5, "days": 28, "renew_days": 28, **options}


def test_a_past_limit_does_not_see_its_own_renewal_or_later():
    one = signal(past())
    T = hours_needed([one])
    values = np.random.default_rng(1).normal(size=(1, T))
    renewal = EPOCH + timedelta(days=(AS_OF - EPOCH).days // 28 * 28)
    end = T - int((AS_OF - renewal) / timedelta(hours=1))
    before = asked(values, one).resolved.row(0, named=True)
    assert before["valid_from"] == renewal
    low, at, high = np.quantile(values[0, end - 28 * 24 : end], [0.05, 0.9, 0.95])
    assert before["value"] == pytest.approx(at + 0.5 * (high - low))
    values[0, end:] = 1e6
    assert asked(values, one).resolved.row(0, named=True) == before


def test_a_past_limit_stays_between_renewals():
    one = signal(past(renew_days=7, days=7))
    rng = np.random.default_rng(2)
    whole = rng.normal(size=(1, 24 * 60)).cumsum(axis=1)
    found = {
        (row["valid_from"], row["value"])
        for day in range(7)
        for row in asked(
            whole[:, : 24 * (53 + day)], one, as_of=datetime(2026, 3, 5) + timedelta(days=day)
        ).resolved.iter_rows(named=True)
    }
    assert len(found) == 1  # 2026-03-05 is such a day: 20517 days after the epoch


def test_a_young_series_is_renewed_when_a_week_old():
    one = signal(past())
    values = np.full((2, 24 * 60), np.nan)
    values[0, -9 * 24 - 5 :] = np.arange(9 * 24 + 5)
    values[1, -6 * 24 :] = 1
    found = asked(values, one)
    row = found.resolved.row(0, named=True)
    assert row["series_id"] == 1
    assert row["valid_from"] == AS_OF - timedelta(days=2)
    assert row["value"] < 7 * 24 + 24 + 150
    assert found.missing.row(0, named=True)["reason"] == "no limit: past too short"


def test_bounds_make_a_limit_unreachable_or_clip_it():
    values = np.random.default_rng(1).uniform(80, 99, (1, 24 * 60))
    assert asked(values, signal(past(), maximum=100.0)).missing["reason"].to_list() == ["no limit: beyond the bounds"]
    down = asked(values, signal(past(quantile=0.0, margin=0.0), direction="down", minimum=0.0)).resolved
    assert down["value"][0] >= 80


def test_downwards_the_margin_goes_down():
    values = np.random.default_rng(1).uniform(10, 20, (1, 24 * 60))
    found = asked(values, signal(past(quantile=0.02), direction="down")).resolved.row(0, named=True)
    assert found["value"] < 10
    assert "2nd percentile" in found["basis"]
    assert "below it" in found["basis"]


def test_labels_that_differ_do_not_share_a_limit():
    companions = pl.DataFrame(
        {"source": ["f"], "entity": ["host-0"], "metric": ["size"], "labels": ["{}"], "level": [200.0]}
    )
    assert asked(np.ones((1, 48)), signal({"name": "full", "metric": "size"}), companions).resolved.is_empty()
