"""What the numbers rest on: how many incidents each uses, why others are left out, and what else is odd about them.

Belongs here: counts by kind. Not here: why a single incident is left out (``features.incidents``), or why a row is no
incident at all (``pipelines.sources``), which is only counted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reports.incident_groups import STEM
from reports.incident_periods import Period

EARLIER = "created before the months shown"
NOT_INCIDENTS = ("duplicate incident id", "duplicate event")
"""Reasons to refuse a row that take no incident away: another row of its id was taken."""

NOTES = {
    "reopened: counted up to the last resolution": pl.col("reopen_count") > 0,
    "resolved at one moment with nine others or more: perhaps a clean-up, not a repair": pl.col("resolved_in_bulk"),
    "changed by its source after it was closed: its newest version counts": pl.col("changed_after_close"),
}


@dataclass(frozen=True)
class Quality:
    """What the report rests on, by kind.

    Attributes:
        usable: measure -> total, used and excluded by reason, as in the contract.
        notes: what is odd about incidents that are used nevertheless -> how many.
        refused: reason -> rows of the sources that could not be taken, of incidents and of status changes.
    """

    usable: Mapping[str, dict[str, Any]]
    notes: Mapping[str, int]
    refused: Mapping[str, int]


def quality(durations: pl.DataFrame, shown: Period, refused: Mapping[str, int], events: Mapping[str, int]) -> Quality:
    """Counts what is used, what is left out and why, and what is odd.

    Args:
        durations: of all incidents, predictions and cancelled ones included.
        refused: reason -> rows of incidents that could not be taken. They count as incidents that are left out, unless
            another row of the same incident was taken.
        events: reason -> rows of status changes, likewise; they are told, but are no incidents.
    """
    used = durations.filter(pl.col("resolve_excluded").is_null() & (pl.col("created_at") >= shown.start))
    found = used.select(flag.fill_null(False).sum().alias(note) for note, flag in NOTES.items())
    notes = {note: int(found[note].item()) for note in NOTES if found[note].item()}
    rows = {f"{reason} (of an incident)": n for reason, n in refused.items()}
    rows |= {f"{reason} (of a status change)": n for reason, n in events.items()}
    return Quality(
        usable={measure: _usable(durations, measure, shown, refused) for measure in STEM},
        notes=notes,
        refused=dict(sorted(rows.items(), key=lambda row: (-row[1], row[0]))),
    )


def _usable(durations: pl.DataFrame, measure: str, shown: Period, refused: Mapping[str, int]) -> dict[str, Any]:
    earlier = pl.when(pl.col("created_at") < shown.start).then(pl.lit(EARLIER))
    reasons = durations.select(reason=pl.coalesce(f"{STEM[measure]}_excluded", earlier))["reason"].drop_nulls()
    counts = dict(reasons.value_counts().rows())
    for reason, n in refused.items():
        if reason not in NOT_INCIDENTS:
            counts[f"refused: {reason}"] = n
    used = durations.height - len(reasons)
    ordered = dict(sorted(counts.items(), key=lambda row: (-row[1], row[0])))
    return {"total": used + sum(ordered.values()), "used": used, "excluded": ordered}
