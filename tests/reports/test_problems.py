from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from incident_examples import AS_OF, frame, row

from reports.incident_options import IncidentOptions
from reports.incident_trends import Beside, trends
from reports.problems import LESS_OFTEN, MORE_OFTEN, RISKS, STEADY, TOO_FEW, Candidates, candidates, pattern

START = datetime(2025, 6, 1)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def series(name: str, title: str | None, days: list[float], took: float = 3600.0, **given: Any) -> list[dict[str, Any]]:
    known = {"title": title, "category": "disk", "entity": "db-1"} | given
    return [row(f"{name}{k}", at(day), took, **known) for k, day in enumerate(days)]


def found(*rows: list[dict[str, Any]], **options: Any) -> Candidates:
    return candidates(frame([each for part in rows for each in part]), START, AS_OF, IncidentOptions(**options))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("db-01: disk 93 % full", "DB-17: disk 97.5 % full!"),
        ("Job 4711 failed at 2026-05-31 13:00", "job 12 failed at 2026-06-01 02:11"),
        ("order 550e8400-e29b-41d4-a716-446655440000 stuck", "order 123e4567-e89b-12d3-a456-426614174000 stuck"),
        ("Errors on the API", "errors on API"),
    ],
)
def test_what_differs_from_time_to_time_is_taken_out(one: str, other: str) -> None:
    patterns = pl.DataFrame({"title": [one, other]}).select(pattern("title"))["title"]
    assert patterns[0] == patterns[1]


def test_a_number_alone_is_a_name() -> None:
    assert pl.DataFrame({"t": ["471", " 472", "", None, "!?"]}).select(pattern("t"))["t"].to_list() == [
        "471", "472", None, None, "!?",
    ]  # fmt: skip


def test_of_a_long_title_the_beginning_is_compared() -> None:
    trace = "Failure in handler " + "at java.lang.Thread.run " * 4000
    found = pl.DataFrame({"t": [trace, "1" * 9000, " " * 9000 + "x"]}).select(pattern("t"))["t"]
    assert found.str.len_chars().max() == 200
    assert found[0].startswith("failure handler java lang thread run")


def test_similar_titles_of_one_service_and_category_are_one_problem() -> None:
    disk = series("a", "Disk of db-1 is 95 % full", [1, 50, 100])
    again = series("b", "disk full on db-2: 97 %", [200, 300], entity="db-2")
    other = series("c", "Login page slow", [10, 20, 30], took=60.0)
    elsewhere = series("d", "Disk of db-1 is 95 % full", [11, 21, 31], took=30.0, service="web")
    told = found(disk, again, other, elsewhere, similar=60)
    assert [(each.title, each.n, each.service) for each in told.problems] == [
        ("Disk of db-1 is 95 % full", 5, "db"), ("Login page slow", 3, "db"), ("Disk of db-1 is 95 % full", 3, "web"),
    ]  # fmt: skip
    first = told.problems[0]
    assert first.entities == {"db-1": 3, "db-2": 2}
    assert first.seconds_lost == 5 * 3600
    assert first.incidents[0] == "b1"
    assert (first.first, first.last, first.days) == (at(1), at(300), 5)


def test_what_came_once_or_on_one_day_is_no_problem() -> None:
    assert found(series("a", "disk full", [1, 2]), series("b", "login slow", [5, 5.1, 5.2, 5.3])).problems == []


def test_without_titles_the_entity_tells_them_apart() -> None:
    told = found(series("a", None, [1, 2, 3], entity="e1"), series("b", None, [1, 2, 3], entity="e2"))
    assert sorted(tuple(each.entities) for each in told.problems) == [("e1",), ("e2",)]
    assert found(series("c", None, [1, 2, 3], entity=None, category=None)).problems == []


def test_open_incidents_count_for_what_has_passed() -> None:
    still_open = [row(f"o{k}", AS_OF - timedelta(days=k), None, title="hangs", category="c") for k in (1, 2, 3)]
    (problem,) = found(still_open).problems
    assert problem.seconds_lost == 6 * 86_400
    assert problem.still_open == 3


def judged(days: list[float]) -> str:
    rows = frame(series("a", "x fails", days))
    ((_, judged),) = trends(rows, AS_OF, IncidentOptions(slices=())).problems
    return judged.verdict


def test_more_often_and_less_often_are_told_from_chance() -> None:
    seldom = list(np.linspace(5, 170, 4))
    often = list(np.linspace(190, 360, 40))
    assert judged(seldom + often) == MORE_OFTEN
    assert judged([365 - day for day in seldom + often]) == LESS_OFTEN
    assert judged(list(np.linspace(1, 360, 40))) == STEADY
    assert judged([1, 100, 300]) == TOO_FEW


def test_one_storm_is_not_more_often() -> None:
    quiet = list(np.linspace(1, 360, 12))
    assert judged(quiet + [300 + k / 100 for k in range(60)]) == STEADY


def test_rank_goes_by_hours_and_trend() -> None:
    rising = series("a", "x fails", list(np.linspace(1, 170, 4)) + list(np.linspace(190, 360, 40)), took=3600.0)
    costly = series("b", "y hangs", list(np.linspace(1, 360, 40)), took=5400.0)
    told = trends(frame(rising + costly), AS_OF, IncidentOptions(slices=())).problems
    assert [(problem.title, judged.verdict) for problem, judged in told] == [
        ("x fails", MORE_OFTEN),
        ("y hangs", STEADY),
    ]


def test_predictions_of_the_same_entities_are_linked() -> None:
    tickets = [("t1", "db-1", "host.disk", 0.9, None), ("t2", "web-9", "host.disk", 0.99, None)]
    risks = pl.DataFrame(tickets, schema=RISKS, orient="row")
    rows = frame(series("a", "Disk full", [1, 2, 3]))
    told = trends(rows, AS_OF, beside=Beside(risks=risks))
    assert [risk["ticket_id"] for risk in told.problems[0][0].risks] == ["t1"]
    assert told.mttr["problems"][0]["predicted"] == [
        {"ticket_id": "t1", "entity": "db-1", "signal": "host.disk", "probability": 0.9}
    ]


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(0, 300)), max_size=30))
def test_every_incident_is_in_one_group_at_most_whatever_its_title(cases: list[tuple[str, int]]) -> None:
    rows = [row(f"i{k}", at(day), 60.0, title=title, category="c") for k, (title, day) in enumerate(cases)]
    told = candidates(frame(rows), START, AS_OF, IncidentOptions(problems=100))
    assert sum(problem.n for problem in told.problems) <= len(rows)
    assert all(problem.n >= 3 and problem.days >= 2 for problem in told.problems)


def test_the_order_of_rows_is_irrelevant() -> None:
    rows = frame(
        series("a", "x fails", [1, 2, 3, 9]) + series("b", "x  FAILS 7", [4, 5, 6]) + series("c", "z", [7, 8, 9])
    )
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    options = IncidentOptions()
    assert candidates(rows, START, AS_OF, options) == candidates(shuffled, START, AS_OF, options)


def test_titles_beyond_what_can_be_compared_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.problems.MOST_TITLES", 1)
    told = found(series("a", "disk full", [1, 2, 3]), series("b", "login slow", [4]), series("c", "job late", [5]))
    assert (len(told.problems), told.not_compared) == (1, 2)
