"""What each number of the incident report means, in words: the same on the page and in ``mttr.json``."""

from __future__ import annotations

from typing import Any

from reports.incident_options import IncidentOptions
from reports.statistics.coverage import MEAN_COVERAGE
from reports.working_time import WorkingCalendar

CALENDAR = "24 x 7 calendar time, nights and waiting for others included; periods in UTC"

MTTR = {
    "name": "time to resolve",
    "start": "created",
    "end": "resolved; the last resolution, where an incident was reopened",
    "calendar": CALENDAR,
}
MTTA = {
    "name": "time to acknowledge",
    "start": "created",
    "end": "acknowledged; the first state of work, where the system keeps no acknowledgement",
    "calendar": CALENDAR,
}

TERMS = {
    "period": "a calendar week, month or quarter in UTC; an incident belongs to the one in which it was created. "
    "The first may begin before the data do, the last ends with the night",
    "created": "incidents created in the period, without predictions and cancelled ones; "
    "lo and hi: exact Poisson interval, which is too narrow where incidents come in storms",
    "resolved": "those of them that were resolved or closed by the night",
    "still_open": "those of them that were still open on the night",
    "open_at_end": "incidents open when the period ended, whenever they were created",
    "unfinished": "an incident that is still open counts as lasting at least as long as it has been open, "
    "so that a figure is not flattered by what is not yet mended (Kaplan-Meier)",
    "median": "half took longer; interval: order statistics, whatever becomes of those still open",
    "p75, p90": "three quarters, nine tenths took no longer; withheld where no interval exists at that number",
    "mean": "withheld while any incident of the period is still open, then with a lower end alone; "
    "interval: studentised bootstrap of the logarithm, which holds less often than it promises on skewed durations: "
    "measured by simulation, "
    + ", ".join(f"{share:.0%} at n = {n}" for n, share in MEAN_COVERAGE.items()).replace("%", " %"),
    "km_median": "Kaplan-Meier: the first time by which half were finished",
    "share_1h, share_4h, share_24h": "share finished within that time (Kaplan-Meier); interval: Wilson, of as many "
    "as it is worth; withheld where some are still open and none has been followed that long",
    "mtbf": "mean time from one incident to the next: the period's length by its incidents",
    "ratio": "median of the later span by that of the earlier one; interval: order statistics of both, joined",
    "mix": "of that ratio, speed is what changed among like incidents, mix what came from other kinds of incidents "
    "than before, new ones too; both orders of taking them apart are averaged, so that their product is the ratio",
    "trend": "slope of the logarithm of the duration per 30 days (Theil-Sen over medians of successive incidents, at "
    "least 5 and at least a fortieth of the time each; -0.1 is about 10 % shorter every 30 days), its 95 % interval, "
    "and p_value of a Mann-Kendall test that allows for good and bad spells",
    "verdict": "improving or worsening, by the sign of Kendall's S, where q_value <= 0.05, else no detectable change; "
    "too few to say below 8 such medians, that is about 40 incidents. Where good and bad spells are strong, 17 % of "
    "simulated pages without any change carried a wrong one",
    "smallest_detectable": "the slope that would have been found in 80 % of cases; a smaller one is easily missed",
    "goal": "the way to a goal is even; on track where the whole interval of the ratio lies at or below the way, off "
    "track where it lies above, else too early; measured on the incidents since it began, of the last 90 days",
    "problem": "incidents of one service and category with similar titles that came three times or more, on two days "
    "or more; hours lost: the sum of their times to resolve, so far; verdict: how often they came in the later half of "
    "the time against the earlier (exact conditional test, storms counted for less)",
}


def definitions(
    mtta_usable: dict[str, Any], options: IncidentOptions, calendar: WorkingCalendar | None
) -> dict[str, Any]:
    """The contract's `definitions`: mttr and mtta in full, and every other term in a sentence."""
    ways = {
        "benjamini-hochberg": "Benjamini-Hochberg",
        "benjamini-yekutieli": "Benjamini-Yekutieli",
    }
    terms = dict(TERMS)
    terms["q_value"] = (
        f"p_value after {ways[options.false_discovery]} over all verdicts of the report, of goals and problems too"
    )
    if calendar is not None:
        terms["working hours"] = (
            f"{', '.join(calendar.hours.days)} from {calendar.hours.start:%H:%M} to {calendar.hours.end:%H:%M}, "
            f"{calendar.zone.key}, without {len(calendar.holidays)} holidays"
        )
    return {"mttr": MTTR, "mtta": {**MTTA, "usable": mtta_usable}, **terms}
