"""How incidents are looked after once the fire is out: reviews, their actions, and who had which part.

Belongs here: shares over major incidents, where the source records them. Persons are never named: only whether somebody
was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from features.incidents import ROLES
from reports.incident_measures import Estimate
from reports.statistics import share_interval

GRACE = timedelta(days=14)


@dataclass(frozen=True)
class Practice:
    """Shares with Wilson's intervals, without regard to the minimum of incidents: major ones are few.

    Attributes:
        major: major incidents of the time looked at.
        reviewed: of those that ended two weeks before the night or earlier, how many had a review; None where no
            source records reviews.
        actions: of the actions that reviews named, how many are done, where both are recorded; None likewise. Its
            interval takes actions as independent of each other.
        roles: role -> share of major incidents in which somebody was named for it; without roles not recorded.
    """

    major: int
    reviewed: Estimate | None
    actions: Estimate | None
    roles: Mapping[str, Estimate]


def practice(counted: pl.DataFrame, as_of: datetime) -> Practice:
    """Reviews, their actions and roles of the major ones among incidents.

    Args:
        counted: durations of the incidents looked at, without predictions and cancelled ones.
    """
    major = counted.filter(pl.col("is_major").fill_null(False))
    due = major.filter(pl.col("ended_at") <= as_of - GRACE)["reviewed"].drop_nulls()
    said = major.filter((pl.col("actions_total") > 0) & pl.col("actions_done").is_not_null())
    total = int(said["actions_total"].sum())
    done = int(said.select(pl.min_horizontal("actions_done", "actions_total").sum()).item())
    return Practice(
        major=major.height,
        reviewed=_share(int(due.sum()), len(due)),
        actions=_share(done, total),
        roles={role: share for role in ROLES if (share := _share_of(major[role].drop_nulls())) is not None},
    )


def _share_of(known: pl.Series) -> Estimate | None:
    return _share(int(known.sum()), len(known))


def _share(hits: int, n: int) -> Estimate | None:
    interval = share_interval(hits, n)
    return None if interval is None else Estimate(hits / n, *interval, n)
