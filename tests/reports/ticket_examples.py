"""Small nights to test tickets with: risks and series as the other rooms would hand them over."""

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from reports.ticket_events import EVENTS, fold
from reports.ticket_policy import TicketPolicy, decide

FIRST = datetime(2026, 5, 31, 22)
RISKS = {
    "as_of": pl.Datetime("us"), "series_id": pl.UInt64, "limit_name": pl.String, "horizon_h": pl.Int32,
    "signal": pl.String, "direction": pl.String, "limit_value": pl.Float64, "state": pl.String, "p": pl.Float64,
    "eta_p10": pl.Datetime("us"), "eta_p50": pl.Datetime("us"), "eta_p90": pl.Datetime("us"),
    "last_beyond_at": pl.Datetime("us"), "model": pl.String, "reason": pl.String, "facts": pl.String,
}  # fmt: skip
SERIES = {
    "series_id": pl.UInt64, "source": pl.String, "entity": pl.String, "metric": pl.String, "labels": pl.String,
    "unit": pl.String, "service": pl.String,
}  # fmt: skip
PROFILES = {"as_of": pl.Datetime("us"), "series_id": pl.UInt64, "level": pl.Float64, "shape": pl.String}


def night(n: int) -> datetime:
    return FIRST + timedelta(days=n)


def risk(
    series_id: int = 1,
    p: float | None = 0.9,
    *,
    n: int = 0,
    eta_h: float = 48.0,
    limit_name: str = "critical",
    limit: float = 90.0,
    state: str | None = None,
    **more: Any,
) -> dict:
    """A row of forecasting.risks; p None is an abstention."""
    state = state or ("abstained" if p is None else "scored")
    eta = {f"eta_p{q}": night(n) + timedelta(hours=eta_h * f) for q, f in ((10, 0.8), (50, 1), (90, 1.5))}
    if state != "scored":
        eta = dict.fromkeys(eta)
    return {
        "as_of": night(n), "series_id": series_id, "limit_name": limit_name, "horizon_h": 168, "signal": "host.memory",
        "direction": "up", "limit_value": limit, "state": state, "p": 1.0 if state == "crossed" else p, **eta,
        "last_beyond_at": None, "model": "learnt", "reason": None, "facts": json.dumps(["rises by 4 % a day"]),
    } | more  # fmt: skip


def frame(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=RISKS, orient="row")


def fleet(**entity_of) -> pl.DataFrame:
    """Series by number: fleet(s1="db-02", s2="db-02")."""
    return pl.DataFrame(
        [
            {"series_id": int(key[1:]), "source": "prom", "entity": entity, "metric": "mem_used_percent",
             "labels": "{}", "unit": "percent", "service": "db"}
            for key, entity in entity_of.items()
        ],
        schema=SERIES,
        orient="row",
    )  # fmt: skip


def profiles(series: pl.DataFrame, n: int = 0, level: float = 80.0) -> pl.DataFrame:
    rows = [{"as_of": night(n), "series_id": s, "level": level, "shape": "trend"} for s in series["series_id"]]
    return pl.DataFrame(rows, schema=PROFILES, orient="row")


def live(nights: list[list[dict]], series: pl.DataFrame, policy: TicketPolicy, rng=None) -> pl.DataFrame:
    """All events of nights run in order; each night's rows shuffled where `rng` is given."""
    all_risks = frame(*(row for rows in nights for row in rows))
    events = pl.DataFrame(schema=EVENTS)
    for n in range(len(nights)):
        tonight = all_risks.filter(pl.col("as_of") == night(n))
        earlier = all_risks.filter(pl.col("as_of") < night(n))
        looks = profiles(series, n)
        known = series
        if rng is not None:
            tonight, earlier, looks, known = (
                each[rng.permutation(each.height)] if each.height else each for each in (tonight, earlier, looks, known)
            )
        new = decide(
            tonight, known, looks, earlier, fold(events, before=night(n)), policy=policy, as_of=night(n)
        )  # fmt: skip
        events = pl.concat([events, new])
    return events


def story(events: pl.DataFrame) -> list[tuple[int, str, str]]:
    """What happened: (night, event, reason)."""
    return [
        (round((row["as_of"] - FIRST) / timedelta(days=1)), row["event"], row["reason"])
        for row in events.iter_rows(named=True)
    ]
