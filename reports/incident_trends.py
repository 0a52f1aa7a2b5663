"""Are we getting better at incidents? Numbers by period and slice, verdicts, goals and recurring problems.

Belongs here: how the parts of the report come together, the verdicts of a page as one family, and the contract of
``mttr.json``. Not here: the parts (``incident_groups``, ``incident_changes``, ``incident_goals``, ``problems``, ...),
why an incident is left out (``features.incidents``), and what is drawn or written (``incident_page``).

An incident belongs to the period in which it was *created*: sorting by resolution would hide what is still open.
Predictions and cancelled incidents are counted nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from features.incidents import CANCELLED, PREDICTED
from reports.averted import Averted, averted
from reports.incident_behaviour import Behaviour, behaviour
from reports.incident_changes import Changes, changes
from reports.incident_definitions import definitions
from reports.incident_goals import Standing, standing
from reports.incident_groups import STEM, Group, Slice, day, slices, with_variants
from reports.incident_measures import Estimate
from reports.incident_options import IncidentOptions
from reports.incident_periods import ALL, MONTH, QUARTER, WEEK, Period, is_month, months_before
from reports.incident_practice import Practice, practice
from reports.incident_quality import Quality, quality
from reports.problems import Candidates, Problem, candidates
from reports.statistics import ALPHA, Trend, q_values, trend
from reports.working_time import WorkingCalendar

IMPROVING, WORSENING, NO_CHANGE, TOO_FEW = "improving", "worsening", "no detectable change", "too few to say"
TABLE = {
    "as_of": pl.Datetime("us"), "period": pl.String, "slice": pl.String, "measure": pl.String,
    "n": pl.Int32, "value": pl.Float64, "lo": pl.Float64, "hi": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """What the report needs beside incidents; each may be left out.

    Attributes:
        calendar: when people work; without it there are no working-hours variants.
        refused, refused_events: reason -> rows of incidents, of status changes, that the sources could not take.
        risks: open predictions, the columns of ``problems.RISKS``.
        promises: settled tickets, the columns of ``averted.PROMISES``, of the months that verdicts are about.
        unread: source -> why its server did not tell all that is new.
        lacking: source -> what its server did not tell of its incidents.
    """

    calendar: WorkingCalendar | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    refused_events: Mapping[str, int] = field(default_factory=dict)
    risks: pl.DataFrame | None = None
    promises: pl.DataFrame | None = None
    unread: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """Something with a verdict, and the q-value that the verdict rests on; None where there was nothing to test."""

    verdict: str
    q_value: float | None


@dataclass(frozen=True)
class IncidentTrends:
    """The night's incident statistics.

    Attributes:
        as_of: naive UTC.
        options: what they were made with.
        table: the columns of reports.incident_trends, ordered by its key.
        mttr: the contract of ``mttr.json``, ready for ``json.dumps``.
        since: when the time begins that verdicts and problems are about; the first incident, should that be later.
        periods: grain (month, quarter, week) -> its periods.
        left_out: dimension -> how many of its values got no numbers of their own, having too few incidents.
        changes: the last days against those before them.
        behaviour: measure -> its process behaviour chart.
        goals: each with its verdict; problems: likewise, in order of rank, of the `candidates`.
        practice: of major incidents of the months that verdicts are about.
        averted: what predictions may have saved.
        quality: what all of it rests on. unread, lacking: as in `Beside`.
    """

    as_of: datetime
    options: IncidentOptions
    table: pl.DataFrame
    mttr: dict[str, Any]
    since: datetime
    periods: Mapping[str, Sequence[Period]]
    left_out: Mapping[str, int]
    changes: Changes | None
    behaviour: Mapping[str, Behaviour]
    goals: Sequence[tuple[Standing, Judged]]
    problems: Sequence[tuple[Problem, Judged]]
    candidates: Candidates
    practice: Practice
    averted: Averted | None
    quality: Quality
    unread: Mapping[str, Sequence[str]]
    lacking: Mapping[str, Sequence[str]]


def trends(
    durations: pl.DataFrame, as_of: datetime, options: IncidentOptions | None = None, beside: Beside | None = None
) -> IncidentTrends:
    """Statistics, trends and verdicts.

    Args:
        durations: from ``features.incidents.durations`` of the same `as_of`.
        as_of: naive UTC.
    """
    options, beside = options or IncidentOptions(), beside or Beside()
    counted = durations.filter(~_no_incident()).sort("created_at", "source", "incident_id")
    counted = with_variants(counted, as_of, beside.calendar)
    periods = _periods(counted["created_at"], as_of, options)
    months = periods["month"]
    shown = Period(ALL, months[0].start if months else as_of, as_of)
    recent = counted.filter(pl.col("created_at") >= shown.start)
    chosen, left_out = slices(recent, options)
    groups = {each: Group.of(each.of(counted), shown) for each in chosen}
    cells = [
        (each, period, group.within(period, options))
        for each, group in groups.items()
        for period in (*months, *periods["quarter"], *periods["week"], shown)
    ]
    since = max(months_before(as_of, options.trend_months), recent["created_at"].item(0) if months else shown.start)
    found = candidates(counted, since, as_of, options, beside.risks)
    tested, goals, problems = _judge(
        [_test(each, measure, group, since) for each, group in groups.items() for measure in STEM],
        [standing(goal, counted, as_of, options) for goal in options.goals],
        found.problems,
        options,
    )
    table = _table(as_of, cells, tested)
    rests_on = quality(durations, shown, beside.refused, beside.refused_events)
    return IncidentTrends(
        as_of=as_of,
        options=options,
        table=table,
        mttr={
            "as_of": _iso(as_of),
            "definitions": definitions(rests_on.usable["mtta"], options, beside.calendar),
            "usable": rests_on.usable["mttr"],
            "periods": [_period(*cell) for cell in cells if cell[1].name != ALL],
            "trends": [test.contract for test in tested],
            "goals": [_goal(*goal) for goal in goals],
            "problems": [_problem(*problem) for problem in problems],
        },
        since=since,
        periods=periods,
        left_out=left_out,
        changes=changes(groups, recent, as_of, options),
        behaviour={
            measure: chart
            for measure in STEM
            if (chart := behaviour(table, months, periods["week"], as_of, measure)) is not None
        },
        goals=goals,
        problems=problems,
        candidates=found,
        practice=practice(counted.filter(pl.col("created_at") >= since), as_of),
        averted=None if beside.promises is None else averted(beside.promises, recent, options.minimum_n),
        quality=rests_on,
        unread=beside.unread,
        lacking=beside.lacking,
    )


def _no_incident() -> pl.Expr:
    return pl.col("resolve_excluded").is_in([PREDICTED, CANCELLED]).fill_null(False)


def _periods(created: pl.Series, as_of: datetime, options: IncidentOptions) -> dict[str, list[Period]]:
    if created.is_empty():
        return {"month": [], "quarter": [], "week": []}
    first = created.item(0)
    months = MONTH.periods(first, as_of, options.months)
    begin = max(first, months[0].start)
    quarters = QUARTER.periods(begin, as_of, options.quarters)
    whole = [quarter for quarter in quarters if quarter.start >= months[0].start or first >= months[0].start]
    return {"month": months, "quarter": whole, "week": WEEK.periods(begin, as_of, options.weeks)}


# -------------------------------------------------------------------------------------------------------- verdicts


class Tested(NamedTuple):
    """One slice's trend of one measure over the last months; `trend` is None where there are too few incidents."""

    slice: Slice
    measure: str
    n: int
    trend: Trend | None
    q_value: float | None = None

    @property
    def verdict(self) -> str:
        if self.trend is None or self.q_value is None:
            return TOO_FEW
        if self.q_value > ALPHA:
            return NO_CHANGE
        return IMPROVING if self.trend.direction < 0 else WORSENING

    @property
    def contract(self) -> dict[str, Any]:
        found = self.trend
        numbers = (None,) * 5 if found is None else found[:5]
        slope, lo, hi, p_value, smallest = (_plain(number) for number in numbers)
        return {
            "slice": self.slice.key, "measure": self.measure, "n": self.n,
            "slope_log_per_30d": slope, "lo": lo, "hi": hi, "p_value": p_value, "q_value": _plain(self.q_value),
            "verdict": self.verdict, "smallest_detectable": smallest,
        }  # fmt: skip


def _test(each: Slice, measure: str, group: Group, since: datetime) -> Tested:
    recent = group.measures[measure].between(day(since), np.inf)
    return Tested(each, measure, len(recent.at), trend(recent.at / 30, recent.seconds, recent.finished))


def _judge(
    tested: Sequence[Tested], goals: Sequence[Standing], problems: Sequence[Problem], options: IncidentOptions
) -> tuple[list[Tested], list[tuple[Standing, Judged]], list[tuple[Problem, Judged]]]:
    """All verdicts of the page, their false-discovery rate held together."""
    p_values = [None if each.trend is None else each.trend.p_value for each in tested]
    p_values += [goal.p_value for goal in goals]
    p_values += [problem.p_value for problem in problems]
    q = _adjusted(p_values, options)
    judged_trends = [each._replace(q_value=next(q)) for each in tested]
    judged_goals = [(goal, Judged(goal.verdict(q_value), q_value)) for goal in goals for q_value in (next(q),)]
    ranked = [(problem, next(q)) for problem in problems]
    ranked.sort(key=lambda pair: -pair[0].ahead(pair[1]))
    return judged_trends, judged_goals, [(problem, Judged(problem.verdict(value), value)) for problem, value in ranked]


def _adjusted(p_values: Sequence[float | None], options: IncidentOptions) -> Iterator[float | None]:
    known = iter(q_values(np.array([p for p in p_values if p is not None]), options.false_discovery))
    return iter([None if p is None else float(next(known)) for p in p_values])


# -------------------------------------------------------------------------------------------------- what is handed on


Cell = tuple[Slice, Period, dict[str, Estimate]]


def _table(as_of: datetime, cells: Sequence[Cell], tested: Sequence[Tested]) -> pl.DataFrame:
    """Of the parts' weeks and quarters without what is withheld: night after night it would be most of the table."""
    rows = [
        (as_of, period.name, each.name, measure, number.n, number.value, number.lo, number.hi)
        for each, period, numbers in cells
        for measure, number in numbers.items()
        if not each.dimension or period.name == ALL or is_month(period.name) or number.value is not None
    ]
    for test in tested:
        slope, lo, hi = (None, None, None) if test.trend is None else test.trend[:3]
        rows.append((as_of, ALL, test.slice.name, f"{test.measure}_slope_log_per_30d", test.n, slope, lo, hi))
    return pl.DataFrame(rows, schema=TABLE, orient="row").sort("period", "slice", "measure")


def _period(each: Slice, period: Period, numbers: dict[str, Estimate]) -> dict[str, Any]:
    return {
        "start": _iso(period.start),
        "end": _iso(period.end),
        "slice": each.key,
        **{name: numbers[name].value for name in ("created", "resolved", "open_at_end")},
        **{measure: _measure(numbers, measure) for measure in STEM},
    }


def _measure(numbers: dict[str, Estimate], measure: str) -> dict[str, float | None]:
    def of(name: str) -> Estimate:
        return numbers[f"{measure}_{name}"]

    mean, median = of("mean"), of("median")
    ends = {
        "mean": mean.value, "mean_lo": mean.lo, "mean_hi": mean.hi,
        "median": median.value, "median_lo": median.lo, "median_hi": median.hi,
    }  # fmt: skip
    others = {name: of(name).value for name in ("p75", "p90", "km_median", "share_1h", "share_4h", "share_24h")}
    return {name: _plain(value) for name, value in (ends | others).items()}


def _goal(standing: Standing, judged: Judged) -> dict[str, Any]:
    goal, ratio = standing.goal, standing.ratio
    value, lo, hi = (None, None, None) if ratio is None else ratio
    return {
        "measure": goal.measure, "slice": standing.slice.key, "change": goal.change,
        "from": goal.start.isoformat(), "by": goal.by.isoformat(), "verdict": judged.verdict,
        "baseline": _plain(standing.baseline.value), "current": _plain(standing.current.value),
        "n_baseline": standing.baseline.n, "n_current": standing.current.n,
        "ratio": _plain(value), "lo": _plain(lo), "hi": _plain(hi), "required": _plain(standing.required),
        "p_value": _plain(standing.p_value), "q_value": _plain(judged.q_value),
    }  # fmt: skip


def _problem(problem: Problem, judged: Judged) -> dict[str, Any]:
    change = problem.change
    return {
        "title": problem.title, "service": problem.service, "category": problem.category,
        "entities": problem.entities, "incidents": list(problem.incidents), "n": problem.n,
        "still_open": problem.still_open, "days": problem.days, "seconds_lost": _plain(problem.seconds_lost),
        "first": _iso(problem.first), "last": _iso(problem.last), "verdict": judged.verdict,
        "rate_ratio": _plain(None if change is None else change.value),
        "lo": _plain(None if change is None else change.lo), "hi": _plain(None if change is None else change.hi),
        "p_value": _plain(problem.p_value), "q_value": _plain(judged.q_value),
        "predicted": [
            {"ticket_id": risk["ticket_id"], "entity": risk["entity"], "signal": risk["signal"],
             "probability": _plain(risk["probability"])}
            for risk in problem.risks
        ],
    }  # fmt: skip


def _plain(number: float | None) -> float | None:
    """Seconds to the millisecond and small numbers to what they are worth; null for what JSON has no number for."""
    if number is None or not np.isfinite(number):
        return None
    return round(number, 3 if abs(number) >= 10 else 6)


def _iso(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"
