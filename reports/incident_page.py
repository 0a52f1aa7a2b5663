"""The incident report that people read: a page, and a few lines for a chat.

Belongs here: words and order. Not here: numbers (``reports.incident_trends``), pictures (``reports.incident_charts``).
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from features.units import format_number
from reports.html import environment
from reports.incident_charts import charts, inline_charts
from reports.incident_trends import IMPROVING, NO_CHANGE, TOO_FEW, WORSENING, IncidentTrends
from reports.text import escape_markdown

__all__ = ["charts", "render", "summary_markdown"]

BADGES = {IMPROVING: "good", WORSENING: "bad", NO_CHANGE: "quiet", TOO_FEW: "quiet"}
NAMES = {"mttr": "Time to resolve", "mtta": "Time to acknowledge"}


def render(trends: IncidentTrends) -> str:
    """The report as one self-contained HTML file."""
    return (
        environment()
        .get_template("incident_report.html.j2")
        .render(
            as_of=trends.as_of,
            options=trends.options,
            headlines=_headlines(trends),
            pictures=inline_charts(trends),
            slices=_slices(trends),
            left_out={dimension: n for dimension, n in trends.left_out.items() if n},
            months=_months(trends),
            terms={key: text for key, text in trends.mttr["definitions"].items() if isinstance(text, str)},
        )
    )


def summary_markdown(trends: IncidentTrends) -> str:
    """The verdicts in a few lines of Markdown."""
    lines = [f"**Incidents as of {trends.as_of:%Y-%m-%d %H:%M} UTC**", ""]
    for headline in _headlines(trends):
        lines.append(f"- **{headline['name']}: {headline['verdict']}.** {headline['sentence']}")
        usable = headline["usable"]
        excluded = "; ".join(f"{_count(n)} {escape_markdown(reason)}" for reason, n in usable["excluded"].items())
        measured = f"Measured from {_count(usable['used'])} of {_count(usable['total'])} incidents"
        lines.append(f"  {measured}{f' (left out: {excluded})' if excluded else ''}.")
    if moved := [row for row in _slices(trends) if row["verdict"] in (IMPROVING, WORSENING)]:
        told = ", ".join(
            f"{escape_markdown(row['value'], 60)} {NAMES[row['measure']].lower()} {row['verdict']} ({row['change']})"
            for row in moved[:5]
        )
        more = f" and {len(moved) - 5} more" if len(moved) > 5 else ""
        lines += ["", f"Of the parts: {told}{more}."]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------------ content


def _headlines(trends: IncidentTrends) -> list[dict[str, Any]]:
    definitions = trends.mttr["definitions"]
    usable = {"mttr": trends.mttr["usable"], "mtta": definitions["mtta"]["usable"]}
    return [
        {
            "name": NAMES[found["measure"]],
            "verdict": found["verdict"],
            "badge": BADGES[found["verdict"]],
            "sentence": _sentence(found, trends),
            "definition": definitions[found["measure"]],
            "usable": usable[found["measure"]],
            "latest": _latest(trends, found["measure"]),
        }
        for found in trends.mttr["trends"]
        if not found["slice"]
    ]


def _sentence(found: dict[str, Any], trends: IncidentTrends) -> str:
    """What the trend says, how sure, and what it could not have seen."""
    since = f"of the last {trends.options.trend_months} months"
    if found["slope_log_per_30d"] is None:
        return f"{_count(found['n'])} usable incidents {since}; a verdict takes 40."
    change = _change(found["slope_log_per_30d"])
    range_ = f"{_change(found['lo'])} to {_change(found['hi'])}"
    said = f"{change} per 30 days (95 % interval {range_}), from {_count(found['n'])} incidents {since}."
    smallest = found["smallest_detectable"]
    if smallest is None:
        return said
    return f"{said} A change smaller than {_change(-smallest)} or {_change(smallest)} per 30 days is easily missed."


def _latest(trends: IncidentTrends, measure: str) -> dict[str, Any] | None:
    """The newest month that has a median."""
    key = f"{measure}_median"
    medians = trends.table.filter(
        (pl.col("slice") == "all")
        & (pl.col("period") != "all")
        & (pl.col("measure") == key)
        & pl.col("value").is_not_null()
    )
    return medians.row(-1, named=True) if medians.height else None


def _slices(trends: IncidentTrends) -> list[dict[str, Any]]:
    """One row a slice and measure, but for *all*, in the order of the options."""
    overall = trends.table.filter(pl.col("period") == "all")
    medians = {
        (row["slice"], row["measure"]): row
        for row in overall.filter(pl.col("measure").is_in(["mttr_median", "mtta_median"])).iter_rows(named=True)
    }
    rows = []
    for found in trends.mttr["trends"]:
        for dimension, value in found["slice"].items():
            has_slope = found["slope_log_per_30d"] is not None
            rows.append({
                "dimension": dimension, "value": value, "measure": found["measure"], "n": found["n"],
                "verdict": found["verdict"], "badge": BADGES[found["verdict"]], "q": found["q_value"],
                "change": _change(found["slope_log_per_30d"]) if has_slope else None,
                "lo": _change(found["lo"]) if has_slope else None,
                "hi": _change(found["hi"]) if has_slope else None,
                "median": medians[f"{dimension}={value}", f"{found['measure']}_median"],
            })  # fmt: skip
    return rows


def _months(trends: IncidentTrends) -> list[dict[str, Any]]:
    """The slice *all* by month, the newest first: measure -> row of the table."""
    of_all = trends.table.filter((pl.col("slice") == "all") & (pl.col("period") != "all"))
    months: dict[str, dict[str, Any]] = {}
    for row in of_all.iter_rows(named=True):
        months.setdefault(row["period"], {"name": row["period"]})[row["measure"]] = row
    return [months[name] for name in sorted(months, reverse=True)]


def _change(slope: float) -> str:
    """A slope of logarithms as percent."""
    percent = 100 * math.expm1(min(slope, 20.0))
    if abs(percent) >= 1000:
        return f"{format_number(1 + percent / 100, 2)}-fold"
    digits = 1 if abs(percent) < 9.95 else 0
    return f"{percent:+.{digits}f}\u00a0%".replace("-", "−")


def _count(n: int) -> str:
    return format_number(n, 12)
