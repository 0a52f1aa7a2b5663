"""A replay as one page that a manager can read and an SRE can check. Pure.

Belongs here: words, rows and their order. Not here: numbers (``replay_summary``), pictures (``replay_charts``), markup
(``templates/replay.html.j2``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from markupsafe import Markup

from features.units import format_number, format_value
from reports import sparkline
from reports.feedback import spoken
from reports.html import environment
from reports.replay_charts import IN_WORDS, baseline_in_words, pictures
from reports.replay_summary import AVERTED, CAME_TRUE, ENOUGH, FALSE_ALARM, OPEN, UNKNOWN, frontier, settled
from reports.text import MONTHS, one_line, to_zone

BADGES = {CAME_TRUE: "good", AVERTED: "good", FALSE_ALARM: "bad", UNKNOWN: "quiet", OPEN: "quiet"}
ORDER = (FALSE_ALARM, CAME_TRUE, AVERTED, OPEN, UNKNOWN)  # of the tickets: what speaks against us comes first
MOST_MISSES, MOST_POLICIES = 200, 12


@dataclass(frozen=True)
class Contender:
    """A row of the comparison: its name, its figures as in ``summary.json``, and whether they suffice for a share."""

    name: str
    figures: Mapping[str, Any]

    @property
    def settled(self) -> int:
        return settled(self.figures)

    @property
    def is_enough(self) -> bool:
        return self.settled >= ENOUGH


def page(
    summary: Mapping[str, Any],
    tickets: pl.DataFrame,
    nights: pl.DataFrame,
    misses: pl.DataFrame,
    charts: Mapping[str, bytes | Markup],
    *,
    zone: ZoneInfo,
    sweep: pl.DataFrame | None = None,
) -> str:
    """The page, self-contained; the same frames give the same page, whatever the order of their rows.

    Args:
        summary: from ``replay_summary.summarise`` over the frames below.
        tickets: ticket_id, entity, metric, service, signal, limit_name, limit, unit, opened_at, probability, eta_p10,
            eta_p50, eta_p90, closed_at, close_reason, outcome, crossed_at, lead_hours, model, shape, why; useful,
            useless, note: what readers said of it, null where nobody did.
        nights: as_of, scored, abstained, failed.
        misses: entity, metric, signal, limit_name, crossed_at, reason.
        charts: ticket_id -> its picture, as PNG or as markup from ``sparkline``; those without one show none.
        zone: of the times on the page.
        sweep: the policies that were tried, as in ``replay_summary.frontier``, with `chosen`.
    """
    return (
        environment()
        .get_template("replay.html.j2")
        .render(
            summary=summary,
            verdict=verdict(summary, zone),
            contenders=contenders(summary),
            pictures=pictures(summary, tickets, nights, misses, sweep=sweep, zone=zone),
            policies=_policies(sweep),
            parts=_parts(summary),
            groups=_groups(tickets),
            charts=charts,
            spark_style=sparkline.STYLE,
            misses=misses.sort("crossed_at", "entity", "signal", "limit_name", "metric").head(MOST_MISSES).to_dicts(),
            usual=_usual_night(nights),
            failed=int(nights["failed"].sum()),
            zone=zone,
            enough=ENOUGH,
            in_words=IN_WORDS,
            badges=BADGES,
        )
    )


def contenders(summary: Mapping[str, Any]) -> list[Contender]:
    """Forewarn, then the baselines."""
    others = [Contender(baseline_in_words(name), figures) for name, figures in summary["baselines"].items()]
    return [Contender("Forewarn", summary), *others]


# ------------------------------------------------------------------------------------------------------------- verdict


def verdict(summary: Mapping[str, Any], zone: ZoneInfo) -> str:
    """The replay in a sentence: how many tickets, what became of them, and what the best simple rule would have done.

    Below ten settled tickets it says that these are too few, and praises nothing.
    """
    if not summary["nights"]:
        return "No night was replayed, so there is nothing to say."
    first, last = (to_zone(datetime.fromisoformat(summary[end].rstrip("Z")), zone) for end in ("from", "to"))
    since = _date(first) if first.year == last.year else f"{_date(first)} {first.year}"
    nights = f"the {_number(summary['nights'])} nights from {since} to {_date(last)} {last.year}"
    if summary["nights"] == 1:
        nights = f"the night of {_date(last)} {last.year}"
    opened = _worth(f"On {nights} Forewarn would have opened {_tickets(summary)}", summary)
    rival = _rival(summary)
    return f"{opened}; {rival}. {_missed(summary)}." if rival else f"{opened}. {_missed(summary)}."


def _worth(opened: str, summary: Mapping[str, Any]) -> str:
    outcomes, n = summary["outcomes"], settled(summary)
    if not summary["tickets"]:
        return opened
    if not n:
        return f"{opened}: too few to say how good they are, since none has settled"
    if n < ENOUGH:
        return f"{opened}: too few to say how good they are, since {_number(n)} settled and a verdict takes {ENOUGH}"
    ahead, averted, false = summary["lead_hours_median"], outcomes[AVERTED], outcomes[FALSE_ALARM]
    parts = [
        f"{_count(outcomes[CAME_TRUE])} came true" + (f" (a median of {_hours(ahead)} ahead)" if ahead else ""),
        *([f"{_number(averted)} {_was(averted)} averted"] if averted else []),
        f"{_count(false)} {_was(max(false, 1))} {'a false alarm' if false < 2 else 'false alarms'}",
    ]
    return f"{opened}: {', '.join(parts[:-1])} and {parts[-1]}"


def _rival(summary: Mapping[str, Any]) -> str:
    """What the best of the baselines would have done."""
    known = [each for each in contenders(summary)[1:] if each.figures["tickets"]]
    if not known:
        either = " either" if not summary["tickets"] else ""
        return f"predict_linear would have opened none{either}" if summary["baselines"] else ""
    best = max(known, key=lambda each: (_balance(each.figures), -each.figures["tickets"]))
    figures, n = best.figures, best.settled
    among = f", the best of {len(summary['baselines'])} such rules," if len(summary["baselines"]) > 1 else ""
    opened = f"{best.name}{among} would have opened {_tickets(figures)}"
    if not best.is_enough:
        return f"{opened}, too few to compare"
    return f"{opened}, and {_in_ten(figures['outcomes'][FALSE_ALARM], n)} of those settled would have been false alarms"


def _balance(figures: Mapping[str, Any]) -> float:
    """Precision and recall in one, the F1 score, to choose a rival by."""
    kept = figures["outcomes"][CAME_TRUE] + figures["outcomes"][AVERTED]
    wrong = figures["outcomes"][FALSE_ALARM] + figures["missed"]
    return 2 * kept / (2 * kept + wrong) if kept else 0.0


def _missed(summary: Mapping[str, Any]) -> str:
    missed, came = summary["missed"], summary["outcomes"][CAME_TRUE]
    if not missed:
        return "No crossing came without a ticket" if came else "No crossing was seen"
    return f"Of {_number(missed + came)} crossings {_number(missed)} came without a ticket from Forewarn"


def _tickets(figures: Mapping[str, Any]) -> str:
    n = figures["tickets"]
    if not n:
        return "no ticket"
    told = f"{_number(n)} ticket{'' if n == 1 else 's'}"
    return f"{told}, {format_number(figures['tickets_per_week'], 2)} a week" if figures["nights"] > 7 else told


def _in_ten(hits: int, n: int) -> str:
    """A share in words: '9 in 10'; all and none only where it is so."""
    tenths = round(10 * hits / n)
    if hits in (0, n):
        return "all" if hits else "none"
    return {0: "fewer than 1 in 10", 10: "more than 9 in 10"}.get(tenths, f"{tenths} in 10")


def _date(local: datetime) -> str:
    return f"{local.day} {MONTHS[local.month - 1]}"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _number(n: int) -> str:
    return format_number(n, 12)


def _count(n: int) -> str:
    return _number(n) if n else "none"


def _hours(hours: float) -> str:
    return f"{_number(round(hours))}\u00a0h"


# ---------------------------------------------------------------------------------------------------------------- rows


def _policies(sweep: pl.DataFrame | None) -> list[dict[str, Any]]:
    """The policies worth choosing from, and the chosen one, by tickets a week."""
    if sweep is None:
        return []
    worth = frontier(sweep)
    every = -(-worth.height // MOST_POLICIES)
    shown = pl.concat([worth.gather_every(max(every, 1)), sweep.filter("chosen")]).unique()
    return shown.sort("tickets_per_week", "open_at", "horizon_h", "hold_nights", nulls_last=True).to_dicts()


def _parts(summary: Mapping[str, Any]) -> list[tuple[str, list[Contender]]]:
    """What the tickets were worth by shape, signal and so on; a part with one value alone says nothing new."""
    return [
        (part, [Contender(_part_name(part, row["value"]), row) for row in rows])
        for part, rows in summary["by"].items()
        if len(rows) > 1
    ]


def _part_name(part: str, value: str | None) -> str:
    return f"no {part}" if value is None else one_line(value.replace("_", " ") if part == "shape" else value, 60)


def _groups(tickets: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Tickets by outcome, each group in order of time, as the template shows them; nothing in them is escaped."""
    told = tickets.with_columns(outcome=pl.col("outcome").fill_null(OPEN)).sort("opened_at", "ticket_id")
    rows = [
        row
        | {"limit_text": format_value(row["limit"], row["unit"])}
        | {"heard": spoken(row["useful"], row["useless"], row["note"])}
        for row in told.iter_rows(named=True)
    ]
    groups = [(outcome, [row for row in rows if row["outcome"] == outcome]) for outcome in ORDER]
    return [(outcome, some) for outcome, some in groups if some]


def _usual_night(nights: pl.DataFrame) -> dict[str, str]:
    """How many series were scored and abstained from on an average night."""
    if not nights.height:
        return {}
    return {name: _number(round(nights[name].sum() / nights.height)) for name in ("scored", "abstained")}
