"""A replay in numbers: what the tickets of past nights would have been worth, beside what predict_linear would. Pure.

Belongs here: counts, shares with their intervals, lead times, reliability, the frontier of policies. Not here: how a
ticket's outcome and a miss are found (``ticket_outcomes``), words and pictures (``replay_page``, ``replay_charts``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from reports.statistics import Interval, quantile_interval, share_interval
from reports.ticket_policy import TicketPolicy

CAME_TRUE, AVERTED, FALSE_ALARM, UNKNOWN, OPEN = "came_true", "averted", "false_alarm", "unknown", "open"
OUTCOMES = (CAME_TRUE, AVERTED, FALSE_ALARM, UNKNOWN, OPEN)
SETTLED = (CAME_TRUE, AVERTED, FALSE_ALARM)
ENOUGH = 10  # settled tickets; of fewer, a share says little: 9 of 9 are compatible with 7 in 10
PARTS = ("shape", "signal", "service", "model")
TENTHS = 10
POLICY_KEYS = ("open_at", "horizon_h", "hold_nights")

DEFINITIONS = {
    "nights": "nights that were replayed, each with what could be known on it; a week is seven of them",
    "tickets": "tickets that the policy would have opened on these nights",
    "came_true": "the limit was reached after the ticket opened and before its horizon ended, or while it stayed open",
    "averted": "the limit was not reached because something from outside broke the trend after the ticket opened: a "
    "reset or clean-up that is not the series' habit, a resize, or work on the ticket",
    "false_alarm": "neither, although the series was observed",
    "unknown": "the series was not observed for long enough to say; in no share below",
    "open": "the promise's time was not over when the replay ended; in no share below",
    "settled": "came_true + averted + false_alarm",
    "precision": "(came_true + averted) / settled; interval: Wilson, 95 %",
    "precision_strict": "came_true / settled: as if every averted ticket had been a false alarm",
    "missed": "real crossings that no ticket foresaw; each limit of each series counts, while one ticket speaks for "
    "all of an entity's signal, so that recall is rather understated",
    "recall": "came_true / (came_true + missed); interval: Wilson, 95 %",
    "false_per_100_series_weeks": "false_alarm per week and 100 series watched",
    "lead_hours_median": "hours from a ticket's opening to the crossing, of those that came true: half had more; "
    "interval: order statistics, 95 %",
    "lead_hours_p10": "nine in ten of them had more",
    "brier": "mean squared distance between the probability given for the policy's horizon and what came (1 or 0), "
    "over every settled question of every night; 0 is perfect; brier_climatology: of always answering the share that "
    "came",
    "reliability": "these questions by tenths of the probability: its mean (p), the share that came true with a Wilson "
    "interval (lo, hi), how many (n); one series is asked about every night, so they are not independent",
    "notes": "what could not be done: nights without data, a policy that cannot open a ticket, lost series",
    "services": "each service's record against its own bar (publish_when): meets, fails, or cannot say, since too few "
    "tickets have settled or too few nights were played",
    "baselines": "Prometheus' predict_linear over the last 6 h, 24 h and 7 d in the place of the probability, asked "
    "once a night (in use it is asked every minute, and says more); the rest of the policy and all counting are the "
    "same. It gives no probability, so it has neither brier nor reliability",
}


def summarise(
    tickets: pl.DataFrame,
    nights: pl.DataFrame,
    misses: pl.DataFrame,
    settlements: pl.DataFrame,
    baselines: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]],
    *,
    series: int,
    policy: TicketPolicy,
) -> dict[str, Any]:
    """The replay's ``summary.json``; null where there is nothing to say, the same whatever the order of the rows.

    Args:
        tickets: one row a ticket: outcome (came_true, averted, false_alarm, unknown; null: its time is not over),
            lead_hours, shape, signal, service, model.
        nights: one row a night that was replayed: as_of, naive UTC.
        misses: one row a crossing that no ticket foresaw: reason.
        settlements: horizon_h, p, outcome ('true', 'false', 'unknown'); other horizons than the policy's are ignored.
        baselines: name -> its (tickets, misses), in the same columns, on the same nights.
        series: how many were watched.
        policy: that decided the tickets.

    Raises:
        ValueError: a ticket's outcome is none of these.
    """
    asked = settlements.filter(pl.col("horizon_h") == policy.horizon_h)
    first, last = nights["as_of"].min(), nights["as_of"].max()
    of = {"nights": nights.height, "series": series}
    return {
        "from": _iso(first),
        "to": _iso(last),
        **_figures(tickets, misses, **of),
        **_answers(asked),
        "policy": policy.model_dump(mode="json"),
        "by": {part: breakdown(tickets, part) for part in PARTS},
        "baselines": {
            name: {**_figures(*frames, **of), **_answers(asked.clear())} for name, frames in baselines.items()
        },
        "definitions": DEFINITIONS,
    }


def settled(figures: Mapping[str, Any]) -> int:
    """Of how many tickets it is known whether they came true, were averted or were false alarms.

    Args:
        figures: the summary, one of its baselines or a row of its `by`.
    """
    return sum(figures["outcomes"][name] for name in SETTLED)


def breakdown(tickets: pl.DataFrame, part: str) -> list[dict[str, Any]]:
    """Outcomes, precision and lead time for every value of one column, the most frequent first; no value is null."""
    rows = []
    for (value,), group in tickets.partition_by(part, as_dict=True).items():
        outcomes = _outcomes(group)
        told = {"value": value, "tickets": group.height, "outcomes": outcomes}
        rows.append(told | _precision(outcomes) | _lead(group))
    return sorted(rows, key=lambda row: (-row["tickets"], row["value"] is None, str(row["value"])))


def frontier(sweep: pl.DataFrame) -> pl.DataFrame:
    """The policies worth choosing from: no other has at least their precision and their recall and more of one.

    Of those that equal each other in both, the one with the fewest tickets.

    Args:
        sweep: one row a policy that was tried: open_at, horizon_h, hold_nights, tickets_per_week, precision, recall;
            one without precision or recall (nothing settled, nothing crossed) is on no frontier.

    Returns:
        Rows of `sweep`, by tickets a week.
    """
    best_first = (
        sweep.filter(pl.col("precision").is_not_null(), pl.col("recall").is_not_null())
        .sort(pl.col("precision").neg(), pl.col("recall").neg(), "tickets_per_week", *POLICY_KEYS)
        .with_columns(reached=pl.col("recall").cum_max().shift(1).fill_null(-1.0))
    )
    worth = best_first.filter(pl.col("recall") > pl.col("reached"))
    return worth.drop("reached").sort("tickets_per_week", pl.col("precision").neg(), *POLICY_KEYS)


# ------------------------------------------------------------------------------------------------------------- tickets


def _figures(tickets: pl.DataFrame, misses: pl.DataFrame, *, nights: int, series: int) -> dict[str, Any]:
    weeks = nights / 7
    outcomes, missed = _outcomes(tickets), misses.height
    came_true = outcomes[CAME_TRUE]
    return {
        "nights": nights,
        "series": series,
        "tickets": tickets.height,
        "tickets_per_week": _ratio(tickets.height, weeks),
        "outcomes": outcomes,
        **_precision(outcomes),
        "recall": _ratio(came_true, came_true + missed),
        "recall_interval": _share_interval(came_true, came_true + missed),
        "false_per_100_series_weeks": _ratio(100 * outcomes[FALSE_ALARM], series * weeks),
        **_lead(tickets),
        "missed": missed,
        "missed_by_reason": _missed_by_reason(misses),
    }


def _precision(outcomes: Mapping[str, int]) -> dict[str, Any]:
    known = sum(outcomes[name] for name in SETTLED)
    kept = outcomes[CAME_TRUE] + outcomes[AVERTED]
    return {
        "precision": _ratio(kept, known),
        "precision_interval": _share_interval(kept, known),
        "precision_strict": _ratio(outcomes[CAME_TRUE], known),
    }


def _lead(tickets: pl.DataFrame) -> dict[str, Any]:
    of_true = tickets.filter(pl.col("outcome") == CAME_TRUE)["lead_hours"].drop_nulls()
    lead = of_true.cast(pl.Float64).sort().to_numpy()
    return {
        "lead_hours_median": float(np.quantile(lead, 0.5)) if len(lead) else None,
        "lead_hours_median_interval": _as_json(quantile_interval(lead, lead, 0.5)) if len(lead) else None,
        "lead_hours_p10": float(np.quantile(lead, 0.1)) if len(lead) else None,
    }


def _outcomes(tickets: pl.DataFrame) -> dict[str, int]:
    found = dict(tickets["outcome"].cast(pl.String).fill_null(OPEN).value_counts().iter_rows())
    if strange := sorted(set(found) - set(OUTCOMES)):
        raise ValueError(f"tickets: an outcome is {strange[0]!r}; it must be one of {', '.join(OUTCOMES[:-1])} or null")
    return {name: found.get(name, 0) for name in OUTCOMES}


def _missed_by_reason(misses: pl.DataFrame) -> dict[str, int]:
    counts = misses.group_by(pl.col("reason").cast(pl.String).fill_null("reason not known")).len("n")
    return dict(counts.sort(pl.col("n").cast(pl.Int64).neg(), "reason").iter_rows())


# ------------------------------------------------------------------------------------------------------------- answers


def _answers(asked: pl.DataFrame) -> dict[str, Any]:
    """How good the probabilities of one horizon were, whatever became a ticket."""
    answered = asked.filter(pl.col("outcome").is_in(["true", "false"]), pl.col("p").is_not_null())
    p = answered["p"].cast(pl.Float64).to_numpy()
    came = (answered["outcome"] == "true").cast(pl.Float64).to_numpy()
    n = len(p)
    share = float(came.sum()) / n if n else 0.0
    return {
        "brier": math.fsum((p - came) ** 2) / n if n else None,
        "brier_climatology": share * (1 - share) if n else None,
        "questions": {name: int((asked["outcome"] == name).sum()) for name in ("true", "false", "unknown")},
        "reliability": _reliability(p, came),
    }


def _reliability(p: np.ndarray, came: np.ndarray) -> list[dict[str, Any]]:
    tenth = np.minimum((p * TENTHS).astype(int), TENTHS - 1)
    bins = []
    for at in np.unique(tenth):
        inside = tenth == at
        n, hits = int(inside.sum()), int(came[inside].sum())
        bins.append({"p": math.fsum(p[inside]) / n, "share": hits / n, "n": n, **(_share_interval(hits, n) or {})})
    return bins


# --------------------------------------------------------------------------------------------------------------- JSON


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _share_interval(hits: int, n: int) -> dict[str, float] | None:
    interval = share_interval(hits, n)
    if interval is None:
        return None
    share = hits / n  # at 0 and 1 it may differ from its interval's end in the last bits
    return _as_json(Interval(min(interval.lo, share), max(interval.hi, share)))


def _as_json(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"lo": interval.lo, "hi": interval.hi}


def _iso(moment: object) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if isinstance(moment, datetime) else None
