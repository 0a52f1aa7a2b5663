import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from incident_examples import AS_OF, frame, row, year
from pydantic import ValidationError

from features.incidents import AFTER_THE_FACT, CANCELLED, PREDICTED
from reports.incident_options import IncidentOptions
from reports.incident_quality import EARLIER
from reports.incident_summary import summary_markdown
from reports.incident_trends import IMPROVING, NO_CHANGE, TABLE, TOO_FEW, WORSENING, Beside, IncidentTrends, trends
from reports.working_time import WorkingCalendar

MEASURE = [
    "mean", "mean_lo", "mean_hi", "median", "median_lo", "median_hi", "p75", "p90", "km_median", "share_1h", "share_4h",
    "share_24h",
]  # fmt: skip


def month(found: IncidentTrends, name: str, **slices: str) -> dict:
    return next(p for p in found.mttr["periods"] if p["start"].startswith(name) and p["slice"] == slices)


def verdict(found: IncidentTrends, measure: str = "mttr", **slices: str) -> str:
    return next(t["verdict"] for t in found.mttr["trends"] if t["measure"] == measure and t["slice"] == slices)


def test_the_contract_of_mttr_json() -> None:
    found = trends(year(300), AS_OF).mttr
    assert list(found) == ["as_of", "definitions", "usable", "periods", "trends", "goals", "problems"]
    assert found["as_of"] == "2026-06-01T00:00:00Z"
    assert list(found["usable"]) == ["total", "used", "excluded"]
    for period in found["periods"]:
        assert list(period) == ["start", "end", "slice", "created", "resolved", "open_at_end", "mttr", "mtta"]
        assert list(period["mttr"]) == MEASURE == list(period["mtta"])
    for each in found["trends"]:
        assert list(each) == [
            "slice", "measure", "n", "slope_log_per_30d", "lo", "hi", "p_value", "q_value", "verdict",
            "smallest_detectable",
        ]  # fmt: skip
    assert (found["goals"], found["problems"]) == ([], [])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_table_has_its_columns_and_one_row_a_key() -> None:
    table = trends(year(300), AS_OF).table
    assert dict(table.schema) == TABLE
    assert table.select("as_of", "period", "slice", "measure").is_unique().all()
    assert table.select(pl.col("value", "lo", "hi").is_infinite().any()).sum_horizontal().item() == 0


def test_a_month_of_plain_numbers() -> None:
    took = [600.0 * (i + 1) for i in range(40)]
    rows = [row(str(i), datetime(2026, 5, 1) + timedelta(hours=i), seconds) for i, seconds in enumerate(took)]
    may = month(trends(frame(rows), AS_OF), "2026-05")
    assert (may["start"], may["end"]) == ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z")
    assert (may["created"], may["resolved"], may["open_at_end"]) == (40, 40, 0)
    assert may["mttr"]["median"] == np.median(took)
    assert may["mttr"]["mean"] == np.mean(took)
    assert may["mttr"]["km_median"] == 12000
    assert may["mttr"]["share_1h"] == 6 / 40
    assert may["mtta"]["median"] == np.median(took) / 10
    assert may["mttr"]["median_lo"] < may["mttr"]["median"] < may["mttr"]["median_hi"]


def test_open_incidents_belong_to_the_month_of_creation_and_weigh_in() -> None:
    begin = datetime(2026, 5, 1)
    rows = [row(f"a{i}", begin + timedelta(hours=i), 3600.0 * (i + 1)) for i in range(20)]
    still_open = [row(f"b{i}", begin + timedelta(hours=i), None) for i in range(15)]
    may = month(trends(frame(rows + still_open), AS_OF), "2026-05")
    assert (may["created"], may["resolved"], may["open_at_end"]) == (35, 20, 15)
    assert may["mttr"]["median"] == 18 * 3600  # the 18th of 35; of those resolved alone it is 10.5 h
    assert may["mttr"]["mean"] is None
    assert may["mttr"]["mean_hi"] is None
    assert may["mttr"]["mean_lo"] > 10.5 * 3600
    assert may["mttr"]["p75"] is None


def test_what_was_open_when_a_month_ended() -> None:
    rows = [
        row("a", datetime(2026, 3, 30), 5 * 86400.0),
        row("b", datetime(2026, 4, 2), 60.0),
        row("c", datetime(2026, 4, 29), 40 * 86400.0, is_open=True, ended_at=None, time_to_resolve_s=None),
    ]
    found = trends(frame(rows), AS_OF)
    assert [month(found, name)["open_at_end"] for name in ("2026-03", "2026-04", "2026-05")] == [1, 1, 1]
    assert [month(found, name)["created"] for name in ("2026-03", "2026-04", "2026-05")] == [1, 2, 0]


def test_small_months_show_counts_alone() -> None:
    rows = [row(str(i), datetime(2026, 5, 1) + timedelta(hours=i), 600.0 + i) for i in range(9)]
    may = month(trends(frame(rows), AS_OF), "2026-05")
    assert may["created"] == 9
    assert set(may["mttr"].values()) == {None}


def test_a_month_cut_by_the_night_ends_with_it() -> None:
    as_of = datetime(2026, 5, 20, 22)
    rows = [row("a", datetime(2026, 5, 1), 60.0, as_of)]
    assert month(trends(frame(rows), as_of), "2026-05")["end"] == "2026-05-20T22:00:00Z"


def test_every_incident_is_accounted_for() -> None:
    begin = datetime(2026, 5, 1)
    rows = [row(f"ok{i}", begin + timedelta(hours=i), 600.0) for i in range(12)]
    rows += [row("p", begin, None, resolve_excluded=PREDICTED, acknowledge_excluded=PREDICTED)]
    rows += [row("c", begin, None, resolve_excluded=CANCELLED, acknowledge_excluded=CANCELLED)]
    rows += [row("f", begin, 0.0, resolve_excluded=AFTER_THE_FACT, acknowledge_excluded=AFTER_THE_FACT)]
    rows += [row("old", datetime(2020, 1, 1), 60.0)]
    found = trends(frame(rows), AS_OF, IncidentOptions(months=3, trend_months=3))
    expected = {PREDICTED: 1, CANCELLED: 1, AFTER_THE_FACT: 1, EARLIER: 1}
    assert found.mttr["usable"] == {"total": 16, "used": 12, "excluded": expected}
    assert found.mttr["definitions"]["mtta"]["usable"]["used"] == 12
    assert month(found, "2026-05")["created"] == 13  # predictions and cancelled ones are no incidents


def test_improving_and_worsening_are_told_from_noise() -> None:
    options = IncidentOptions(slices=())
    assert verdict(trends(year(800, slope=-0.15), AS_OF, options)) == IMPROVING
    assert verdict(trends(year(800, slope=0.15), AS_OF, options)) == WORSENING
    assert verdict(trends(year(800, slope=0.0), AS_OF, options)) == NO_CHANGE
    few = trends(year(30, slope=-0.5), AS_OF)
    assert verdict(few) == TOO_FEW
    assert few.mttr["trends"][0]["slope_log_per_30d"] is None


def of_minutes(long_before: float, long_after: float) -> pl.DataFrame:
    """400 incidents of a year that took one minute or two, two as often as said in either half."""
    rng = np.random.default_rng(1)
    starts = np.sort(rng.uniform(0, 330, 400))
    long = rng.random(400) < np.where(starts < 165, long_before, long_after)
    rows = zip(starts, np.where(long, 120.0, 60.0), strict=True)
    return frame([row(f"{k}", AS_OF - timedelta(days=331 - float(at)), took) for k, (at, took) in enumerate(rows)])


@pytest.mark.parametrize(("shares", "expected"), [((0.6, 0.3), IMPROVING), ((0.3, 0.6), WORSENING)])
def test_where_most_durations_are_equal_the_verdict_goes_by_their_order(shares, expected: str) -> None:
    """Theil-Sen's slope is 0 then; it was once called worsening, whichever way things went."""
    found = trends(of_minutes(*shares), AS_OF, IncidentOptions(slices=()))
    first = found.mttr["trends"][0]
    assert (first["slope_log_per_30d"], first["verdict"]) == (0, expected)
    told = summary_markdown(found)
    assert "Too many durations are alike to say by how much" in told
    assert "per 30 days (95" not in told


def test_a_storm_is_told_from_too_few() -> None:
    rows = [row(str(k), AS_OF - timedelta(days=300, minutes=60 - k), 600.0 + k) for k in range(60)]
    found = trends(frame([*rows, row("z", AS_OF - timedelta(days=2), 600.0)]), AS_OF)
    assert verdict(found) == TOO_FEW
    assert "61 usable incidents since 4 Aug 2025, yet too close together" in summary_markdown(found)


@pytest.mark.parametrize(("often", "seldom"), [(61.0, 122.0), (60.0, 600.0)])
def test_the_contract_has_only_numbers_that_json_has(often: float, seldom: float) -> None:
    rows = [row(str(k), AS_OF - timedelta(days=25 - k), seldom if k % 5 == 0 else often) for k in range(15)]
    assert json.dumps(trends(frame(rows), AS_OF).mttr, allow_nan=False)


def test_a_page_without_any_change_seldom_claims_one() -> None:
    """Of 300 such pages with 18 questions each, 9 claimed a change; 5 % is promised, and 8 pages need some room."""
    options = IncidentOptions(minimum_n=10_000)  # monthly numbers are not asked for here
    wrong = 0
    for seed in range(8):
        parts = [year(80, seed=100 * seed + k, service=f"s{k}", team=f"t{k % 3}") for k in range(5)]
        found = trends(pl.concat(parts), AS_OF, options).mttr["trends"]
        assert [each["p_value"] is None for each in found] == [False] * 18
        wrong += any(each["verdict"] in (IMPROVING, WORSENING) for each in found)
    assert wrong <= 2


def test_verdicts_are_about_months_that_are_shown() -> None:
    with pytest.raises(ValidationError, match="trend_months must not exceed months"):
        IncidentOptions(months=3)


def test_slices_are_the_largest_with_enough_and_the_rest_is_counted() -> None:
    sizes = {"db": 60, "web": 50, "=,\n<b>": 45, "cache": 44, "rare": 5}
    parts = [year(n, seed=n, service=name) for name, n in sizes.items()]
    found = trends(pl.concat(parts), AS_OF, IncidentOptions(slices=("service",), slices_per_dimension=3))
    assert [t["slice"] for t in found.mttr["trends"][::2]] == [{}] + [{"service": s} for s in ("db", "web", "=,\n<b>")]
    assert found.left_out == {"service": 2}
    assert "service==,\n<b>" in found.table["slice"].to_list()


def test_the_order_of_rows_is_irrelevant() -> None:
    rows = year(400)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=3)
    first, second = trends(rows, AS_OF), trends(shuffled, AS_OF)
    assert first.table.equals(second.table)
    assert json.dumps(first.mttr) == json.dumps(second.mttr)


@pytest.mark.parametrize("rows", [[], [row("p", datetime(2026, 5, 1), None, resolve_excluded=PREDICTED)]])
def test_no_incidents_are_no_error(rows: list[dict]) -> None:
    found = trends(frame(rows), AS_OF)
    assert found.mttr["periods"] == []
    assert verdict(found) == TOO_FEW


def test_an_incident_created_just_before_the_night() -> None:
    rows = [row(str(i), AS_OF - timedelta(microseconds=1), None) for i in range(60)]
    found = trends(frame(rows), AS_OF)
    assert month(found, "2026-05")["mttr"]["median"] is None
    assert verdict(found) == TOO_FEW


def test_an_incident_of_year_one_stops_no_report() -> None:
    """Warehouses may hold some from before they were refused."""
    calendar = WorkingCalendar(ZoneInfo("America/Los_Angeles"))
    old = row("old", datetime(1, 1, 1), 60.0)
    found = trends(pl.concat([frame([old]), year(50)]), AS_OF, beside=Beside(calendar))
    assert found.mttr["usable"]["excluded"] == {EARLIER: 1}
