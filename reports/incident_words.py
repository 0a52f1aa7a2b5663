"""The incident report in sentences, for the page and for the few lines of a chat.

Belongs here: what a verdict, a change, a goal or an averted risk says in words. Not here: markup, or escaping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from features.units import format_duration, format_number, format_share
from reports.averted import Averted
from reports.incident_changes import Change, Changes
from reports.incident_goals import MISSED, OFF_TRACK, ON_TRACK, REACHED, Standing
from reports.incident_measures import Estimate
from reports.incident_periods import Period
from reports.incident_trends import IMPROVING, NO_CHANGE, TOO_FEW, WORSENING, IncidentTrends
from reports.problems import LESS_OFTEN, MORE_OFTEN
from reports.statistics import LEAST_BLOCKS, LEAST_PER_BLOCK, Effect, RateChange, Ratio
from reports.text import MONTHS

NAMES = {
    "mttr": "Time to resolve",
    "mtta": "Time to acknowledge",
    "mttr_working": "Time to resolve, working hours",
    "mttr_no_hold": "Time to resolve, not on hold",
    "mtta_working": "Time to acknowledge, working hours",
}
BADGES = {
    IMPROVING: "good", WORSENING: "bad", NO_CHANGE: "quiet", TOO_FEW: "quiet",
    ON_TRACK: "good", OFF_TRACK: "bad", REACHED: "good", MISSED: "bad",
    MORE_OFTEN: "bad", LESS_OFTEN: "good",
}  # fmt: skip
"""Verdict -> the badge that carries it; all others are quiet."""
FEW = 0.8  # of the incidents; a measure that rests on less says so


def trend_sentence(found: dict[str, Any], trends: IncidentTrends) -> str:
    """What a trend of the contract says, and how sure."""
    since = f"since {day(trends.since)}"
    n = count(found["n"])
    if found["slope_log_per_30d"] is None:
        if found["n"] < LEAST_BLOCKS * LEAST_PER_BLOCK:
            return f"{n} usable incidents {since}; a verdict takes {LEAST_BLOCKS * LEAST_PER_BLOCK}."
        return f"{n} usable incidents {since}, yet too close together: a verdict takes {LEAST_BLOCKS} spells of them."
    change = slope(found)
    if change is None:
        return f"Too many durations are alike to say by how much, from {n} incidents {since}."
    range_ = f"{percent(found['lo'])} to {percent(found['hi'])}"
    return f"{change} per 30 days (95 % interval {range_}), from {n} incidents {since}."


def moved(trends: IncidentTrends) -> list[tuple[str, dict[str, Any]]]:
    """The services, teams, ... whose trend has a verdict, each with what the contract says of it."""
    return [
        (value, found)
        for found in trends.mttr["trends"]
        for value in found["slice"].values()
        if found["verdict"] in (IMPROVING, WORSENING)
    ]


def slope(found: dict[str, Any]) -> str | None:
    """The change per 30 days; None where there is none, or where it is not as its verdict says, durations being alike.

    The verdict is about the order of durations, and where most are equal their typical change is nothing.
    """
    value, lean = found["slope_log_per_30d"], {IMPROVING: -1, WORSENING: 1}.get(found["verdict"])
    if value is None or (lean is not None and value * lean <= 0):
        return None
    return percent(value)


def power_sentence(found: dict[str, Any]) -> str | None:
    """What a trend of the contract could not have seen."""
    smallest = found["smallest_detectable"]
    if smallest is None:
        return None
    return f"A change smaller than {percent(-smallest)} or {percent(smallest)} per 30 days is easily missed."


def change_sentence(change: Change, changes: Changes) -> str | None:
    """The two medians and their ratio; None where neither is known."""
    if change.after.value is None or change.before.value is None:
        return None
    now, before = estimate(change.after), estimate(change.before)
    said = f"Median of the last {changes.after.name}: {now}; of those before: {before}."
    if change.ratio is None or change.ratio.value is None:
        return said
    return f"{said} That is {ratio(change.ratio)}."


def tension_sentence(found: dict[str, Any], change: Change) -> str | None:
    """Where the two spans differ beyond doubt, and yet there is no verdict of a trend."""
    ratio = change.ratio
    if (
        found["verdict"] != NO_CHANGE
        or ratio is None
        or ratio.lo is None
        or ratio.hi is None
        or ratio.lo <= 1 <= ratio.hi
    ):
        return None
    return "So the two spans differ, yet not steadily enough to be told from good and bad spells."


def rests_sentence(usable: dict[str, Any]) -> str | None:
    """A warning where a measure speaks for part of the incidents only."""
    if not usable["total"] or usable["used"] >= FEW * usable["total"]:
        return None
    share = format_share(usable["used"] / usable["total"])
    return f"It speaks for {share} of the incidents; how the others went is not known."


def unread_sentence(source: str, whys: Sequence[str]) -> str:
    """A warning where incidents may be missing, since their server did not tell all of them."""
    more = f" (and {len(whys) - 1} more)" if len(whys) > 1 else ""
    return f"{source} was not read to the end, so what is new there is missing: {whys[0]}{more}"


def lacking_sentence(source: str, notes: Sequence[str]) -> str:
    """What is not known of a server's incidents, though it told all of them."""
    return f"Not all is known of the incidents of {source}: {'; '.join(notes)}"


def goal_name(standing: Standing) -> str:
    about = "".join(f", {dimension} {value}" for dimension, value in standing.slice.key.items())
    return (
        f"{NAMES[standing.goal.measure]}{about}: {percent(math.log1p(standing.goal.change))} by {day(standing.goal.by)}"
    )


def goal_sentence(standing: Standing) -> str:
    """What has been reached, and what should have been by now."""
    if standing.now is None:
        return f"It begins on {day(standing.goal.start)}."
    goal, baseline, current = standing.goal, standing.baseline, standing.current
    said = (
        f"Median {estimate(baseline)} in the {goal.baseline_days} days before {day(goal.start)} "
        f"({count(baseline.n)} incidents), {estimate(current)} from {span(standing.now)} ({count(current.n)})"
    )
    if standing.ratio is None or standing.ratio.value is None:
        return f"{said}; too few to compare."
    required = percent(math.log(standing.required))
    way = f"The goal was {required}" if standing.is_over else f"On an even way it should be at {required} by now"
    return f"{said}: {ratio(standing.ratio)}. {way}."


def averted_sentence(found: Averted) -> str:
    """What predictions may have saved, as an interval."""
    said = f"{count(found.n)} predicted {'risk was' if found.n == 1 else 'risks were'} averted. "
    if found.seconds.value is None:
        return (
            said
            + "What they would have cost cannot be said: too few others have settled, or too few incidents are alike."
        )
    came = found.came_true
    return (
        f"{said}Of {count(came.n)} that nobody averted, {format_share(came.value)} came true. Had the averted ones "
        f"gone the same way, and cost as much as the {count(found.seconds.n)} incidents of {found.like}, they would "
        f"have cost between {hours(found.seconds.lo)} and {hours(found.seconds.hi)}."
    )


# ---------------------------------------------------------------------------------------------------- small phrases


def percent(logarithm: float) -> str:
    """A change of logarithms as percent."""
    change = 100 * math.expm1(min(logarithm, 20.0))
    if abs(change) >= 1000:
        return f"{format_number(1 + change / 100, 2)}-fold"
    digits = 1 if abs(change) < 9.95 or change < -99.5 else 0
    return f"{change:+.{digits}f}\u00a0%".replace("-", "−")


def ratio(found: Ratio) -> str:
    """As in '−30 % (95 % interval −45 % to −12 %)'."""
    if found.value is None:
        return "not known"
    ends = (percent(math.log(end)) if end else "unknown" for end in (found.lo, found.hi))
    return f"{percent(math.log(found.value))} (95 % interval {' to '.join(ends)})"


def ratio_ends(found: Ratio | Effect) -> dict[str, str] | None:
    """The change and its ends apart, for a table; None where the change is not known."""
    if found.value is None:
        return None
    lo, hi = ("?" if end is None else percent(math.log(end)) for end in (found.lo, found.hi))
    return {"value": percent(math.log(found.value)), "lo": lo, "hi": hi}


def share(found: float) -> str:
    """A ratio as the change that it is, as in '−40 %'."""
    return percent(math.log(found))


def rate(found: RateChange) -> str:
    """As in '1.8 × (1.1 to 3.2)'."""
    if not found.value:
        return "none in the later half"
    if math.isinf(found.value):
        return "none in the earlier half"
    value, lo, hi = (format_number(each, 2) for each in found[:3])
    return f"{value} × ({lo} to {hi})"


def estimate(found: Estimate) -> str:
    """A duration with its interval."""
    if found.value is None:
        return "withheld"
    if found.lo is None:
        return format_duration(found.value)
    end = "unknown" if found.hi is None else format_duration(found.hi)
    return f"{format_duration(found.value)} ({format_duration(found.lo)} to {end})"


def hours(seconds: float | None) -> str:
    return (
        "–" if seconds is None else f"{format_number(round(seconds / 3600, 1 if seconds < 36_000 else 0), 12)}\u00a0h"
    )


def span(period: Period) -> str:
    return f"{day(period.start)} to {day(period.end - timedelta(microseconds=1))}"


def day(moment: Any) -> str:
    """A date as '3 Jun 2026'."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def count(n: float) -> str:
    return format_number(n, 12)
