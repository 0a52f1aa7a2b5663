"""Problem candidates: incidents that keep coming back, and what they cost.

Belongs here: which incidents are alike, the order of the groups, and predicted risks of the same entities. Not here:
whether a group's verdict stands among all others of a page (``reports.incident_trends``), and what is shown.

Incidents are alike where service and category are the same (and the entity, where there is no title) and their titles
are similar once numbers and identifiers are taken out: ``token_sort_ratio`` of rapidfuzz, the share of characters that
two titles have in common whatever the order of their words. The commonest title of a group leads it, so a chain of
small differences does not join what its ends would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from rapidfuzz import fuzz, process

from reports.incident_groups import day, days
from reports.incident_options import IncidentOptions
from reports.statistics import ALPHA, RateChange, dispersion, rate_change

LEAST, LEAST_DAYS = 3, 2
MOST_TITLES, MOST_TITLES_OF_BLOCK = 20_000, 1_000
LONGEST_PATTERN = 200  # characters
MORE_OFTEN, LESS_OFTEN, STEADY, TOO_FEW = "more often", "less often", "no detectable change", "too few to say"
TO_JUDGE = 6  # incidents; not even all of fewer in one half would be more than chance
FILLERS = r"\b(a|an|the|on|in|for|of|to|and|with|at|by|from|is|are) "
BLOCK = ("source", "service", "category", "block_entity")
RISKS = {
    "ticket_id": pl.String, "entity": pl.String, "signal": pl.String, "probability": pl.Float64,
    "eta_p50": pl.Datetime("us"),
}  # fmt: skip
"""The columns of predicted risks: one row an open ticket."""


@dataclass(frozen=True)
class Problem:
    """A group of incidents that recur.

    Attributes:
        title: the commonest title, as a source wrote it; None where incidents have none.
        service, category: that they share; entities: with how many incidents each, the most first.
        incidents: ids, the newest first, at most five.
        n, still_open: incidents; days: on how many days they came.
        seconds_lost: the sum of what they took, or have taken so far.
        first, last: when they came.
        change: how often they came in the later half of the time looked at, against the earlier half.
        risks: open predictions about the same entities.
    """

    title: str | None
    service: str | None
    category: str | None
    entities: dict[str, int]
    incidents: tuple[str, ...]
    n: int
    still_open: int
    days: int
    seconds_lost: float
    first: datetime
    last: datetime
    change: RateChange | None
    risks: tuple[dict[str, Any], ...] = field(default=())

    @property
    def p_value(self) -> float | None:
        """Of coming as often as before; None where there are too few to judge."""
        return None if self.change is None or self.n < TO_JUDGE else self.change.p_value

    def verdict(self, q_value: float | None) -> str:
        """In words; more or less often only where the page's false-discovery rate allows it."""
        if self.change is None or q_value is None:
            return TOO_FEW
        if q_value > ALPHA:
            return STEADY
        return MORE_OFTEN if self.change.value > 1 else LESS_OFTEN

    def ahead(self, q_value: float | None) -> float:
        """By what they are ranked: seconds lost, doubled where they come more often, halved where less often."""
        return self.seconds_lost * {MORE_OFTEN: 2.0, LESS_OFTEN: 0.5}.get(self.verdict(q_value), 1.0)


@dataclass(frozen=True)
class Candidates:
    """The problems that are shown, and what they are part of.

    Attributes:
        problems: by seconds lost, at most as many as the options say.
        found: how many there are in all.
        seconds_lost: of all incidents looked at.
        not_compared: incidents whose titles were too many to be compared; they form no group.
    """

    problems: Sequence[Problem]
    found: int
    seconds_lost: float
    not_compared: int


def candidates(
    counted: pl.DataFrame, start: datetime, as_of: datetime, options: IncidentOptions, risks: pl.DataFrame | None = None
) -> Candidates:
    """Groups incidents of [start, as_of) that came three times or more, on two days or more.

    Args:
        counted: durations without predictions and cancelled incidents.
        risks: the columns of `RISKS`.
    """
    looked_at = counted.filter(pl.col("created_at") >= start).with_columns(
        lost=pl.coalesce("time_to_resolve_s", pl.when("is_open").then("age_s")).fill_null(0.0),
        pattern=pattern("title"),
    )
    looked_at = looked_at.with_columns(
        block_entity=pl.when(pl.col("pattern").is_null()).then("entity"), pattern=pl.col("pattern").fill_null("")
    ).filter(pl.any_horizontal(pl.col("category", "block_entity").is_not_null()) | (pl.col("pattern") != ""))
    patterns = (
        looked_at.group_by(*BLOCK, "pattern")
        .agg(n=pl.len(), lost=pl.col("lost").sum())
        .sort("n", "lost", *BLOCK, "pattern", descending=[True, True, *[False] * 5])
    )
    compared = patterns.filter(pl.int_range(pl.len()).over(BLOCK) < MOST_TITLES_OF_BLOCK).head(MOST_TITLES)
    led = _led(compared, options.similar)
    members = looked_at.join(led, on=[*BLOCK, "pattern"], nulls_equal=True)
    groups = (
        members.group_by("leader")
        .agg(
            pl.len().alias("n"),
            pl.col("is_open").sum().alias("still_open"),
            pl.col("created_at").dt.date().n_unique().alias("days"),
            pl.col("lost").sum(),
        )
        .filter((pl.col("n") >= LEAST) & (pl.col("days") >= LEAST_DAYS))
        .sort("lost", "n", "leader", descending=[True, True, False])
    )
    shown = [
        _problem(row, members.filter(pl.col("leader") == row["leader"]), start, as_of, risks)
        for row in groups.head(options.problems).iter_rows(named=True)
    ]
    return Candidates(shown, groups.height, float(looked_at["lost"].sum()), looked_at.height - members.height)


def pattern(column: str) -> pl.Expr:
    """A title without what differs from one time to the next: identifiers, numbers, marks, case. Null where empty.

    Of a long one, as a stack trace, its beginning: what a comparison costs grows with the square of the length.
    """
    lower = pl.col(column).str.slice(0, 2 * LONGEST_PATTERN).str.to_lowercase()
    plain = (
        lower.str.replace_all(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{12,}\b", "#")
        .str.replace_all(r"\d+([.,:/-]\d+)*", "#")
        .str.replace_all(r"[^\p{L}#]+", " ")
        .str.replace_all(FILLERS, "")
        .str.strip_chars()
    )
    # A title of numbers alone is a name, not a measurement.
    kept = pl.when(plain.str.contains(r"\p{L}")).then(plain).otherwise(lower.str.strip_chars())
    return pl.when(kept.str.len_chars() > 0).then(kept.str.slice(0, LONGEST_PATTERN))


def _led(patterns: pl.DataFrame, similar: int) -> pl.DataFrame:
    """Each pattern with the number of its leader; patterns are in order of their frequency."""
    numbered = patterns.with_columns(number=pl.int_range(pl.len(), dtype=pl.Int64))
    leaders = numbered["number"].to_numpy().copy()
    for block in (
        numbered.group_by(BLOCK).agg("number", "pattern").filter(pl.col("number").list.len() > 1).iter_rows(named=True)
    ):
        own = np.array(block["number"])
        order = np.argsort(own)
        own, texts = own[order], [block["pattern"][k] for k in order]
        leaders[own] = own[_leaders(texts, similar)]
    return numbered.with_columns(leader=leaders).select(*BLOCK, "pattern", "leader")


def _leaders(texts: list[str], similar: int) -> np.ndarray:
    """For each text the first before it that leads and is similar, else itself."""
    alike = process.cdist(texts, texts, scorer=fuzz.token_sort_ratio, score_cutoff=similar, dtype=np.uint8) > 0
    leaders = np.full(len(texts), -1)
    for number in range(len(texts)):
        if leaders[number] < 0:
            leaders[(leaders < 0) & alike[number]] = number
            leaders[number] = number
    return leaders


def _problem(
    row: dict[str, Any], members: pl.DataFrame, start: datetime, as_of: datetime, risks: pl.DataFrame | None
) -> Problem:
    newest = members.sort("created_at", "source", "incident_id", descending=True)
    titles = members["title"].drop_nulls().value_counts().sort("count", "title", descending=[True, False])
    entities = members["entity"].drop_nulls().value_counts().sort("count", "entity", descending=[True, False])
    return Problem(
        title=titles["title"].item(0) if titles.height else None,
        service=members["service"].item(0),
        category=members["category"].item(0),
        entities=dict(entities.head(8).rows()),
        incidents=tuple(newest["incident_id"].head(5)),
        n=row["n"],
        still_open=row["still_open"],
        days=row["days"],
        seconds_lost=row["lost"],
        first=newest["created_at"].item(-1),
        last=newest["created_at"].item(0),
        change=_change(days(members["created_at"]), day(start), day(as_of)),
        risks=_risks_of(entities["entity"], risks),
    )


def _change(at: np.ndarray, start: float, end: float) -> RateChange | None:
    """The later half against the earlier, bursts of a day or of a week counted for less."""
    middle = (start + end) / 2
    before, after = int((at < middle).sum()), int((at >= middle).sum())
    return rate_change(before, after, dispersion=max(_dispersion(at, start, end, width) for width in (1.0, 7.0)))


def _dispersion(at: np.ndarray, start: float, end: float, width: float) -> float:
    """Of the counts of each half's days or weeks; a rest at its end is left out."""
    middle, counts, expected = (start + end) / 2, [], []
    for first in (start, middle):
        bins = int((middle - start) / width)
        inside = np.histogram(at, bins=bins, range=(first, first + bins * width))[0] if bins else np.zeros(0)
        if inside.sum():
            counts.append(inside)
            expected.append(np.full(bins, inside.mean()))
    return dispersion(np.concatenate(counts), np.concatenate(expected), len(counts)) if counts else 1.0


def _risks_of(entities: pl.Series, risks: pl.DataFrame | None) -> tuple[dict[str, Any], ...]:
    if risks is None:
        return ()
    found = risks.filter(pl.col("entity").is_in(entities.to_list())).sort(
        "probability", "ticket_id", descending=[True, False]
    )
    return tuple(found.head(3).iter_rows(named=True))
