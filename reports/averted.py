"""What predicted and averted risks would have cost: an interval, never a boast.

Nobody knows whether an averted risk would have come true. So the number that would have come is the number averted
times the share of tickets, among those that nobody averted, that did come true; and each is taken to cost what
incidents of the same entities cost (of the same services, else all, where those are too few). Both have an interval;
their lower ends and their upper ends are multiplied, so the product's holds at least as often as both do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from reports.incident_measures import Estimate
from reports.statistics import mean_interval, share_interval
from reports.ticket_outcomes import AVERTED, CAME_TRUE, FALSE_ALARM

PROMISES = {"ticket_id": pl.String, "entity": pl.String, "service": pl.String, "outcome": pl.String}
"""The columns of promises: settled tickets."""


@dataclass(frozen=True)
class Averted:
    """What averted risks may have saved.

    Attributes:
        n: averted tickets.
        came_true: share of the others that came true; n is how many others there are.
        seconds: what the averted ones would have cost; value and ends are None where it cannot be said.
        like: whose incidents the cost of one is taken from, in words.
    """

    n: int
    came_true: Estimate
    seconds: Estimate
    like: str


def averted(promises: pl.DataFrame, counted: pl.DataFrame, minimum_n: int) -> Averted | None:
    """The cost of averted risks, had they gone the way of those that nobody averted.

    Args:
        promises: the columns of `PROMISES`, of the time looked at.
        counted: durations without predictions and cancelled incidents.

    Returns:
        None where none was averted.
    """
    gone = promises.filter(pl.col("outcome") == AVERTED)
    others = promises.filter(pl.col("outcome").is_in([CAME_TRUE, FALSE_ALARM]))["outcome"]
    if gone.is_empty():
        return None
    hits = int((others == CAME_TRUE).sum())
    share = share_interval(hits, len(others))
    came = Estimate(None, None, None, 0) if share is None else Estimate(hits / len(others), *share, len(others))
    cost, like = _cost(gone, counted, minimum_n)
    ends = [
        None if p is None or each is None else gone.height * p * each
        for p, each in ((came.value, cost.value), (came.lo, cost.lo), (came.hi, cost.hi))
    ]
    return Averted(gone.height, came, Estimate(ends[0], ends[1], ends[2], cost.n), like)


def _cost(gone: pl.DataFrame, counted: pl.DataFrame, minimum_n: int) -> tuple[Estimate, str]:
    """The mean time to resolve of incidents like those averted. Open ones count for what has passed so far."""
    usable = counted.filter(pl.col("resolve_excluded").is_null())
    alike: Sequence[tuple[str, pl.Expr]] = (
        ("the same entities", pl.col("entity").is_in(gone["entity"].drop_nulls().to_list())),
        ("the same services", pl.col("service").is_in(gone["service"].drop_nulls().to_list())),
        ("all services", pl.lit(True)),
    )
    for like, chosen in alike:
        seconds = usable.filter(chosen.fill_null(False)).select(pl.coalesce("time_to_resolve_s", "age_s")).to_series()
        interval = mean_interval(seconds.to_numpy()) if len(seconds) >= minimum_n else None
        if interval is not None:
            return Estimate(float(seconds.to_numpy().mean()), *interval, len(seconds)), like
    return Estimate(None, None, None, 0), alike[-1][0]
