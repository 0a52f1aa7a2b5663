"""Goals: is the median on its way to where people want it by a day?

Belongs here: which incidents speak for a goal, and what must be true of them by now. Not here: how medians are compared
(``reports.statistics.ratio``), or how many verdicts a page may carry (``reports.incident_trends``).

The way to a goal is even: a third of the time gone, a third of the change made, on a logarithmic scale. The incidents
since the goal began (of the last 90 days, should they be more) are held against the baseline before it, and their
ratio's interval against the way's height at the middle of those incidents. Wholly at or below it is *on track*, wholly
above it *off track*; when the interval holds both it is *too early* to say. After the goal's day, incidents created
until then decide: *reached*, *missed*, or *not settled*.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from reports.incident_groups import Group, Slice, day
from reports.incident_measures import Estimate, estimates
from reports.incident_options import Goal, IncidentOptions
from reports.incident_periods import Period
from reports.statistics import ALPHA, Ratio, median_ratio

ON_TRACK, OFF_TRACK, TOO_EARLY = "on track", "off track", "too early"
REACHED, MISSED, NOT_SETTLED = "reached", "missed", "not settled"
RECENT = timedelta(days=90)


@dataclass(frozen=True)
class Standing:
    """How a goal stands.

    Attributes:
        goal: what was set.
        slice: the incidents that it is about.
        before, now: the spans that are compared; None for `now` before the goal has begun.
        baseline, current: their medians.
        ratio: current / baseline, with its interval; None where either has too few incidents.
        required: what that ratio must be by now; the whole change, once the goal's day is over.
        is_over: whether the goal's day is over.
        p_value: of the ratio being just as required.
    """

    goal: Goal
    slice: Slice
    before: Period
    now: Period | None
    baseline: Estimate
    current: Estimate
    ratio: Ratio | None
    required: float
    is_over: bool
    p_value: float | None

    def verdict(self, q_value: float | None) -> str:
        """In words; only where the page's false-discovery rate allows it is it said that a goal is on or off track."""
        yes, no, neither = (REACHED, MISSED, NOT_SETTLED) if self.is_over else (ON_TRACK, OFF_TRACK, TOO_EARLY)
        if self.ratio is None or self.ratio.value is None or q_value is None or q_value > ALPHA:
            return neither
        return yes if self.ratio.value <= self.required else no


def standing(goal: Goal, counted: pl.DataFrame, as_of: datetime, options: IncidentOptions) -> Standing:
    """How a goal stands on a night.

    Args:
        counted: the durations of all incidents, with their variants, in order of creation.
    """
    start, end = _midnight(goal.start), _midnight(goal.by) + timedelta(days=1)
    before = Period("baseline", start - timedelta(days=goal.baseline_days), start)
    until = min(end, as_of)
    now = Period("now", max(start, until - RECENT), until) if until > start else None
    each = Slice(*next(iter(goal.slice.items()), (None, None)))
    group = Group.of(each.of(counted), Period("all", before.start, max(as_of, before.start)))
    durations = group.measures[goal.measure]
    first = durations.between(day(before.start), day(before.end))
    second = durations.between(*((day(now.start), day(now.end)) if now else (0.0, 0.0)))
    enough = min(len(first.seconds), len(second.seconds)) >= options.minimum_n
    ratio = median_ratio(first.seconds, first.finished, second.seconds, second.finished) if enough else None
    is_over = as_of >= end
    gone = 1.0 if is_over or not len(second.at) else (second.at.mean() - day(start)) / (day(end) - day(start))
    required = float((1 + goal.change) ** gone)
    return Standing(
        goal=goal,
        slice=each,
        before=before,
        now=now,
        baseline=estimates(first, options.minimum_n)["median"],
        current=estimates(second, options.minimum_n)["median"],
        ratio=ratio,
        required=required,
        is_over=is_over,
        p_value=None if ratio is None else ratio.p_value(required),
    )


def _midnight(of: date) -> datetime:
    return datetime.combine(of, time())
