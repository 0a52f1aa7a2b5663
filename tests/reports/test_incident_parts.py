"""The parts of the incident report that are small: periods, what stands out, what it rests on, practice, changes."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from incident_examples import AS_OF, frame, row, year

from reports.incident_groups import Slice
from reports.incident_options import IncidentOptions
from reports.incident_periods import MONTH, QUARTER, WEEK, months_before
from reports.incident_practice import practice
from reports.incident_trends import Beside, trends
from reports.working_time import WorkingCalendar


@pytest.mark.parametrize(
    ("grain", "first", "as_of", "expected"),
    [
        (MONTH, datetime(2026, 1, 31), datetime(2026, 3, 1), ["2026-01", "2026-02"]),
        (QUARTER, datetime(2025, 11, 5), datetime(2026, 4, 2), ["2025-Q4", "2026-Q1", "2026-Q2"]),
        (WEEK, datetime(2025, 12, 30), datetime(2026, 1, 6), ["2026-W01", "2026-W02"]),
        (WEEK, datetime(2026, 12, 28), datetime(2027, 1, 5), ["2026-W53", "2027-W01"]),
    ],
)
def test_periods_follow_the_calendar(grain, first: datetime, as_of: datetime, expected: list[str]) -> None:
    found = grain.periods(first, as_of, 99)
    assert [period.name for period in found] == expected
    assert all(one.end == other.start for one, other in pairwise(found))
    assert found[0].start <= first < found[0].end
    assert found[-1].end == as_of


def test_months_before_cross_the_year() -> None:
    assert months_before(datetime(2026, 2, 17, 5), 3) == datetime(2025, 11, 1)


def test_weeks_quarters_and_months_are_in_the_contract_and_the_table() -> None:
    found = trends(year(300), AS_OF, IncidentOptions(weeks=4, quarters=2))
    ends = {(period["start"], period["end"]) for period in found.mttr["periods"]}
    assert ("2026-05-25T00:00:00Z", "2026-06-01T00:00:00Z") in ends
    assert ("2026-04-01T00:00:00Z", "2026-06-01T00:00:00Z") in ends
    of_quarter = found.table.filter((pl.col("period") == "2026-Q1") & (pl.col("slice") == "all"))
    months = found.table.filter(pl.col("period").is_in(["2026-01", "2026-02", "2026-03"]) & (pl.col("slice") == "all"))
    created = [each.filter(pl.col("measure") == "created")["value"].sum() for each in (of_quarter, months)]
    assert created[0] == created[1] > 0


def test_rates_and_time_between_incidents() -> None:
    begin = datetime(2026, 5, 1)
    rows = [row(str(k), begin + timedelta(hours=k), 600.0, reopen_count=int(k < 5), sla_met=k < 30) for k in range(40)]
    table = trends(frame(rows), AS_OF).table.filter((pl.col("period") == "2026-05") & (pl.col("slice") == "all"))
    told = {each["measure"]: each for each in table.iter_rows(named=True)}
    assert (told["reopened"]["value"], told["sla_met"]["value"]) == (5 / 40, 30 / 40)
    assert (told["reassigned"]["value"], told["reassigned"]["n"]) == (None, 0)
    assert told["mtbf"]["value"] == 31 * 86_400 / 40
    assert told["created"]["lo"] < 40 < told["created"]["hi"]


def test_working_hours_and_holds_are_measured_beside_calendar_time() -> None:
    friday = datetime(2026, 5, 8, 16)
    rows = [row(str(k), friday + timedelta(minutes=k), 3 * 86_400.0, on_hold_s=86_400.0) for k in range(20)]
    calendar = WorkingCalendar(ZoneInfo("UTC"))
    found = trends(frame(rows), AS_OF, beside=Beside(calendar))
    medians = {
        each["measure"]: each["value"]
        for each in found.table.filter(pl.col("period") == "2026-05").iter_rows(named=True)
    }
    assert medians["mttr_median"] == 3 * 86_400
    assert medians["mttr_no_hold_median"] == 2 * 86_400
    # An hour of Friday less k minutes, and of Monday 7 h and those k minutes.
    assert medians["mttr_working_median"] == pytest.approx(8 * 3600, abs=60)
    assert "working hours" in found.mttr["definitions"]
    without = trends(frame(rows), AS_OF).table.filter(pl.col("measure") == "mttr_working_median")
    assert without["value"].null_count() == without.height


def test_the_last_days_are_held_against_those_before() -> None:
    found = trends(year(900, slope=-0.2), AS_OF).changes
    assert found is not None
    assert (found.after.end, found.after.name) == (AS_OF, "90 days")
    change = found.of[Slice(), "mttr"]
    assert change.ratio is not None and change.ratio.hi is not None and change.ratio.hi < 1
    young = trends(year(200).filter(pl.col("created_at") > AS_OF - timedelta(days=31)), AS_OF).changes
    assert young is not None and young.after.end - young.after.start <= timedelta(days=15)
    assert trends(year(2000).filter(pl.col("created_at") > AS_OF - timedelta(days=10)), AS_OF).changes is None


def test_a_month_that_stands_out_is_named() -> None:
    rng = np.random.default_rng(5)
    rows = [
        row(f"{month}-{k}", datetime(2025, month, 1 + k // 2), float(rng.lognormal(8 + (4 if month == 9 else 0), 0.8)))
        for month in range(1, 13)
        for k in range(40)
    ]
    found = trends(frame(rows), datetime(2026, 1, 1)).behaviour["mttr"]
    assert found.grain == "month"
    assert "2025-09" in found.outstanding
    assert len(found.outstanding) <= 3


def test_rows_that_were_refused_are_counted_and_incidents_among_them_left_out() -> None:
    refused = {"resolved before created": 3, "duplicate incident id": 2}
    found = trends(year(50), AS_OF, beside=Beside(refused=refused, refused_events={"no time": 4}))
    assert found.mttr["usable"] == {"total": 53, "used": 50, "excluded": {"refused: resolved before created": 3}}
    assert found.quality.refused == {
        "no time (of a status change)": 4, "resolved before created (of an incident)": 3,
        "duplicate incident id (of an incident)": 2,
    }  # fmt: skip


def test_practice_is_about_major_incidents_that_are_over() -> None:
    done, lately = AS_OF - timedelta(days=60), AS_OF - timedelta(days=3)
    rows = [
        row("a", done, 60.0, is_major=True, reviewed=True, actions_total=4, actions_done=3, commander=True),
        row("b", done, 60.0, is_major=True, reviewed=False, commander=False),
        row("c", lately, 60.0, is_major=True, reviewed=False, commander=True),
        row("d", done, 60.0, is_major=False, reviewed=False, actions_total=9, actions_done=0),
        row("e", lately, 60.0, is_major=True, actions_total=5),  # how many are done is not known
    ]
    found = practice(frame(rows), AS_OF)
    assert found.major == 4
    assert found.reviewed is not None and (found.reviewed.value, found.reviewed.n) == (0.5, 2)
    assert found.actions is not None and (found.actions.value, found.actions.n) == (0.75, 4)
    assert {role: (share.value, share.n) for role, share in found.roles.items()} == {"commander": (2 / 3, 3)}
    assert practice(frame([row("e", done, 60.0)]), AS_OF).reviewed is None


def test_the_stricter_way_to_hold_verdicts_together_finds_no_more() -> None:
    rows = pl.concat([year(120, seed=k, slope=-0.05, service=f"s{k}") for k in range(6)])
    one, other = (
        [each["q_value"] for each in trends(rows, AS_OF, IncidentOptions(false_discovery=way)).mttr["trends"]]
        for way in ("benjamini-hochberg", "benjamini-yekutieli")
    )
    assert all(strict >= usual for usual, strict in zip(one, other, strict=True))
    assert one != other
