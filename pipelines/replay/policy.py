"""From what past nights said to the tickets that a policy would have opened, night after night.

Belongs here: the fold over nights, and tickets as one row each. Not here: the policy itself
(``reports.ticket_policy``), what became of a ticket (``reports.ticket_outcomes``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from pipelines import steps
from reports.ticket_events import EVENTS, OPENED, RESOLVED
from reports.ticket_policy import TicketPolicy

SURE, NEVER = 1.0, 0.0
RULE_POLICY = {"open_at": 0.5, "resolve_below": 0.5}  # of a rule, which says yes or no

TICKETS = [
    "ticket_id", "source", "entity", "metric", "unit", "service", "signal", "direction", "limit_name", "limit",
    "series_id", "opened_at", "horizon_h", "probability", "eta_p10", "eta_p50", "eta_p90", "closed_at", "close_reason",
    "model", "shape",
]  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What one night said, in a folder (``nights.KEPT``)."""

    as_of: datetime
    folder: Path

    def frame(self, name: str) -> pl.DataFrame:
        return _read(self.folder / f"{name}.parquet")


@lru_cache(maxsize=4096)
def _read(path: Path) -> pl.DataFrame:
    """A frame of a night; a sweep asks for the same ones dozens of times, and they do not change."""
    return pl.read_parquet(path)


def events(
    nights: Sequence[Said],
    series: pl.DataFrame,
    policy: TicketPolicy,
    rule: str | None = None,
    held: Callable[[datetime], pl.Series] | None = None,
) -> pl.DataFrame:
    """The ticket events of all nights, in order.

    Args:
        nights: ascending.
        series: all that is known of any.
        rule: whose alerts stand in for the probabilities; none for Forewarn's own.
        held: the series that a known-bad window holds on a night.
    """
    decided = [pl.DataFrame(schema=EVENTS)]
    earlier: list[pl.DataFrame] = []
    for said, risks in zip(nights, answers(nights, policy, rule), strict=True):
        earlier = [one for one in earlier if one["as_of"][0] >= said.as_of - policy.lookback]
        before = pl.concat([risks.clear(), *earlier])
        night = steps.decide_tickets(
            said.as_of,
            policy,
            risks,
            said.frame("profiles"),
            series,
            earlier_risks=before,
            events=pl.concat(decided),
            held=held(said.as_of) if held else None,
        )
        decided.append(night)
        if len(risks):
            earlier.append(risks)
    return pl.concat(decided)


def answers(nights: Sequence[Said], policy: TicketPolicy, rule: str | None = None) -> Iterator[pl.DataFrame]:
    """Each night's rows of forecasting.risks at the policy's horizon, as Forewarn or a rule answered."""
    for said in nights:
        risks = said.frame("risks").filter(pl.col("horizon_h") == policy.horizon_h)
        yield risks if rule is None else _by_rule(risks, said.frame("alerts"), rule)


def _by_rule(risks: pl.DataFrame, alerts: pl.DataFrame, rule: str) -> pl.DataFrame:
    """The same questions, answered yes or no."""
    keys = ["series_id", "limit_name", "horizon_h"]
    yes = alerts.filter(pl.col("rule") == rule).select(*keys, "last_beyond_at", pl.lit(SURE).alias("sure"))
    unknown = pl.lit(None, pl.Datetime("us"))
    return (
        risks.drop("last_beyond_at")
        .join(yes, on=keys, how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("state") == "scored").then(pl.col("sure").fill_null(NEVER)).otherwise("p").alias("p"),
            *(unknown.alias(f"eta_p{percent}") for percent in (10, 50, 90)),
            pl.lit(rule).alias("model"),
        )
        .select(risks.columns)
    )


def rule_policy(policy: TicketPolicy) -> TicketPolicy:
    """The same policy for who says yes or no."""
    return policy.model_copy(update=RULE_POLICY)


def tickets(events: pl.DataFrame) -> pl.DataFrame:
    """One row a ticket, as it was when it opened, and when and why it closed: the columns of `TICKETS`."""
    opened = events.filter(pl.col("event") == OPENED).rename({"as_of": "opened_at", "limit_value": "limit"})
    closed = events.filter(pl.col("event") == RESOLVED).select(
        "ticket_id", pl.col("as_of").alias("closed_at"), pl.col("reason").alias("close_reason")
    )
    return opened.join(closed, on="ticket_id", how="left").select(TICKETS).sort("opened_at", "ticket_id")


def tally(nights: Sequence[Said], events: pl.DataFrame, horizon_h: int) -> pl.DataFrame:
    """nights.parquet: as_of, scored, abstained, failed (series and limits), open, opened, resolved (tickets)."""
    rows = []
    standing = 0
    for said in nights:
        states = said.frame("risks").filter(pl.col("horizon_h") == horizon_h)["state"]
        tonight = events.filter(pl.col("as_of") == said.as_of)["event"]
        opened, resolved = int((tonight == OPENED).sum()), int((tonight == RESOLVED).sum())
        standing += opened - resolved
        abstained = int((states == "abstained").sum())
        failed = said.frame("failures")["series_id"].n_unique()
        rows.append((said.as_of, len(states) - abstained, abstained, failed, standing, opened, resolved))
    names = ("scored", "abstained", "failed", "open", "opened", "resolved")
    return pl.DataFrame(rows, schema={"as_of": pl.Datetime("us"), **dict.fromkeys(names, pl.Int64)}, orient="row")
