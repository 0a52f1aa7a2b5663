"""The incident report that people read: the page.

Belongs here: what is shown, in which order. Not here: numbers (``incident_trends``), sentences (``incident_words``),
pictures (``incident_charts``), the lines for a chat (``incident_summary``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from reports import incident_words as words
from reports.html import environment
from reports.incident_changes import Change
from reports.incident_charts import inline_charts
from reports.incident_groups import STEM, Slice
from reports.incident_periods import ALL
from reports.incident_trends import IncidentTrends
from reports.incident_words import BADGES, NAMES
from reports.problems import Problem
from reports.statistics import mean_coverage

ROLE_NAMES = {"commander": "a commander", "communications": "communications", "experts": "experts"}


def render(trends: IncidentTrends) -> str:
    """The report as one self-contained HTML file."""
    return (
        environment()
        .get_template("incident_report.html.j2")
        .render(
            as_of=trends.as_of,
            since=trends.since,
            options=trends.options,
            headlines=headlines(trends),
            changes=_changes(trends),
            mixes=_mixes(trends),
            goals=_goals(trends),
            goals_told=_goals_told(trends),
            pictures=inline_charts(trends),
            slices=_by_dimension(trends),
            left_out={dimension: n for dimension, n in trends.left_out.items() if n},
            problems=[_problem(problem, judged, trends) for problem, judged in trends.problems],
            candidates=trends.candidates,
            practice=trends.practice,
            roles=ROLE_NAMES,
            averted=None if trends.averted is None else words.averted_sentence(trends.averted),
            quality=trends.quality,
            unread=[words.unread_sentence(source, whys) for source, whys in trends.unread.items()],
            lacking=[words.lacking_sentence(source, notes) for source, notes in trends.lacking.items()],
            grains={grain: _rows(trends, grain) for grain in trends.periods},
            shown=_shown_columns(trends),
            mean_coverage=mean_coverage,
            asked=_asked(trends),
            hours=words.hours,
            day=words.day,
            terms={key: text for key, text in trends.mttr["definitions"].items() if isinstance(text, str)},
        )
    )


def headlines(trends: IncidentTrends) -> list[dict[str, Any]]:
    """The verdict on each measure over all incidents, with all that it takes to read it."""
    definitions = trends.mttr["definitions"]
    found = []
    for tested in trends.mttr["trends"]:
        measure = tested["measure"]
        if tested["slice"]:
            continue
        change = trends.changes and trends.changes.of[Slice(), measure]
        found.append({
            "measure": measure,
            "name": NAMES[measure],
            "verdict": tested["verdict"],
            "badge": BADGES[tested["verdict"]],
            "sentence": words.trend_sentence(tested, trends),
            "power": words.power_sentence(tested),
            "change": words.change_sentence(change, trends.changes) if change and trends.changes else None,
            "tension": words.tension_sentence(tested, change) if change else None,
            "caution": words.rests_sentence(trends.quality.usable[measure]),
            "definition": definitions[measure],
            "usable": trends.quality.usable[measure],
        })  # fmt: skip
    return found


def _changes(trends: IncidentTrends) -> dict[str, Any] | None:
    """The last days against those before them, one row a measure of all incidents that has both medians."""
    if trends.changes is None:
        return None
    of_all = [each for (part, _), each in trends.changes.of.items() if part == Slice()]
    rows = [
        {
            "name": NAMES[each.measure], "before": each.before, "after": each.after,
            "ratio": _told(each), "smallest": _smallest(each),
        }
        for each in of_all
        if each.before.value is not None or each.after.value is not None
    ]  # fmt: skip
    before, after = trends.changes.before, trends.changes.after
    return {"rows": rows, "name": after.name, "before": words.span(before), "after": words.span(after)}


def _told(change: Change) -> dict[str, str] | None:
    """Nothing of two medians that are zero, as at night in working hours."""
    return words.ratio_ends(change.ratio) if change.ratio and (change.before.value or change.after.value) else None


def _smallest(change: Change) -> str | None:
    """None where not even nine tenths less would be seen."""
    smallest = change.ratio.smallest_detectable if _told(change) and change.ratio else None
    return words.share(smallest) if smallest and smallest > 0.1 else None


def _mixes(trends: IncidentTrends) -> list[dict[str, Any]]:
    if trends.changes is None:
        return []
    return [
        {"dimension": dimension, **{name: words.ratio_ends(getattr(split, name)) for name in ("total", "speed", "mix")}}
        for dimension, split in trends.changes.mixes.items()
    ]


def _goals(trends: IncidentTrends) -> list[dict[str, str]]:
    return [
        {
            "name": words.goal_name(standing), "sentence": words.goal_sentence(standing), "verdict": judged.verdict,
            "badge": BADGES.get(judged.verdict, "quiet"),
        }
        for standing, judged in trends.goals
    ]  # fmt: skip


def _goals_told(trends: IncidentTrends) -> str:
    """As in '2 on track, 1 too early'."""
    counts = Counter(judged.verdict for _, judged in trends.goals)
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items())


def _asked(trends: IncidentTrends) -> int:
    """How many questions the page's verdicts answer."""
    tested = sum(found["p_value"] is not None for found in trends.mttr["trends"])
    goals = sum(judged.q_value is not None for _, judged in trends.goals)
    return tested + goals + sum(judged.q_value is not None for _, judged in trends.problems)


def _slices(trends: IncidentTrends) -> list[dict[str, Any]]:
    """One row a slice and measure, but for *all*, in the order of the options."""
    overall = trends.table.filter(pl.col("period") == ALL)
    medians = {
        (row["slice"], row["measure"]): row
        for row in overall.filter(pl.col("measure").is_in(["mttr_median", "mtta_median"])).iter_rows(named=True)
    }
    rows = []
    for found in trends.mttr["trends"]:
        for dimension, value in found["slice"].items():
            slope = words.slope(found)
            change = trends.changes and trends.changes.of[Slice(dimension, value), found["measure"]].ratio
            rows.append({
                "dimension": dimension, "value": value, "measure": found["measure"], "n": found["n"],
                "verdict": found["verdict"], "badge": BADGES[found["verdict"]], "q": found["q_value"],
                "change": slope,
                "lo": words.percent(found["lo"]) if slope else None,
                "hi": words.percent(found["hi"]) if slope else None,
                "ratio": words.ratio_ends(change) if change else None,
                "median": medians[f"{dimension}={value}", f"{found['measure']}_median"],
            })  # fmt: skip
    return rows


def _by_dimension(trends: IncidentTrends) -> dict[str, list[dict[str, Any]]]:
    rows = _slices(trends)
    found = {dimension: [row for row in rows if row["dimension"] == dimension] for dimension in trends.options.slices}
    return {dimension: own for dimension, own in found.items() if own}


def _problem(problem: Problem, judged: Any, trends: IncidentTrends) -> dict[str, Any]:
    total = trends.candidates.seconds_lost
    return {
        "found": problem,
        "name": problem.title or problem.category or problem.service or "",
        "where": ", ".join(part for part in (problem.service, problem.title and problem.category) if part),
        "entities": ", ".join(f"{entity} ({n})" for entity, n in problem.entities.items()),
        "lost": words.hours(problem.seconds_lost),
        "share": problem.seconds_lost / total if total else None,
        "verdict": judged.verdict,
        "badge": BADGES.get(judged.verdict, "quiet"),
        "rate": None if problem.change is None else words.rate(problem.change),
        "last": words.day(problem.last),
    }


def _rows(trends: IncidentTrends, grain: str) -> list[dict[str, Any]]:
    """The slice *all* by period, the newest first: measure -> row of the table."""
    names = [period.name for period in trends.periods[grain]][::-1]
    of_all = trends.table.filter((pl.col("slice") == ALL) & pl.col("period").is_in(names))
    found: dict[str, dict[str, Any]] = {name: {"name": name} for name in names}
    for row in of_all.iter_rows(named=True):
        found[row["period"]][row["measure"]] = row
    return list(found.values())


def _shown_columns(trends: IncidentTrends) -> set[str]:
    """The measures beside the usual that some period of all incidents has; the others have no column."""
    known = trends.table.filter((pl.col("slice") == ALL) & pl.col("value").is_not_null())["measure"]
    return set(_optional()) & set(known.unique().to_list())


def _optional() -> Iterator[str]:
    yield from ("reopened", "reassigned", "sla_met", "mttr_no_hold_median")
    yield from (f"{measure}_working_median" for measure in STEM)
