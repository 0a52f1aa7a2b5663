"""The incident report in a few lines of Markdown, for a chat or a wiki."""

from __future__ import annotations

from reports import incident_words as words
from reports.incident_page import headlines
from reports.incident_trends import IncidentTrends
from reports.incident_words import NAMES
from reports.text import escape_markdown

PARTS, PROBLEMS = 5, 3


def summary_markdown(trends: IncidentTrends) -> str:
    """The verdicts, what they rest on, goals, and the costliest problems. Text of incidents is harmless in it."""
    lines = [f"**Incidents as of {trends.as_of:%Y-%m-%d %H:%M} UTC**", ""]
    lines += [f"- {escape_markdown(words.unread_sentence(*each), 400)}" for each in trends.unread.items()]
    lines += [f"- {escape_markdown(words.lacking_sentence(*each), 400)}" for each in trends.lacking.items()]
    for headline in headlines(trends):
        told = " ".join(headline[name] for name in ("sentence", "power", "change", "tension") if headline[name])
        lines.append(f"- **{headline['name']}: {headline['verdict']}.** {told}")
        lines.append(f"  {_measured(headline['usable'])}")
    for standing, judged in trends.goals:
        name = escape_markdown(words.goal_name(standing))
        lines.append(f"- **Goal {judged.verdict}.** {name}. {words.goal_sentence(standing)}")
    if told := _parts(trends):
        lines += ["", told]
    if trends.problems:
        lines += ["", "Costliest recurring incidents:"]
        for problem, judged in trends.problems[:PROBLEMS]:
            name = escape_markdown(problem.title or problem.category or problem.service or "", 80)
            lost = f"{words.hours(problem.seconds_lost)} lost in {words.count(problem.n)} incidents"
            lines.append(f"- {name}: {lost}, {judged.verdict}")
    return "\n".join(lines) + "\n"


def _measured(usable: dict) -> str:
    excluded = "; ".join(f"{words.count(n)} {escape_markdown(reason)}" for reason, n in usable["excluded"].items())
    measured = f"Measured from {words.count(usable['used'])} of {words.count(usable['total'])} incidents"
    return f"{measured}{f' (left out: {excluded})' if excluded else ''}."


def _parts(trends: IncidentTrends) -> str | None:
    moved = words.moved(trends)
    if not moved:
        return None
    told = ", ".join(
        f"{escape_markdown(value, 60)} {NAMES[found['measure']].lower()} {found['verdict']}"
        f"{f' ({slope})' if (slope := words.slope(found)) else ''}"
        for value, found in moved[:PARTS]
    )
    more = f" and {len(moved) - PARTS} more" if len(moved) > PARTS else ""
    return f"Of the parts: {told}{more}."
