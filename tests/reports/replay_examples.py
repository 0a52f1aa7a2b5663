"""Replays to test with: frames as the pipeline hands them over, and a season of invented nights."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

FIRST = datetime(2026, 4, 1, 22)
TIME = pl.Datetime("us")
TICKETS = {
    "ticket_id": pl.String, "source": pl.String, "entity": pl.String, "metric": pl.String, "service": pl.String,
    "signal": pl.String, "direction": pl.String, "limit_name": pl.String, "limit": pl.Float64, "unit": pl.String,
    "opened_at": TIME, "probability": pl.Float64, "eta_p10": TIME, "eta_p50": TIME, "eta_p90": TIME, "closed_at": TIME,
    "close_reason": pl.String, "outcome": pl.String, "crossed_at": TIME, "lead_hours": pl.Float64, "model": pl.String,
    "shape": pl.String, "series_id": pl.UInt64, "why": pl.String, "useful": pl.Int64,
    "useless": pl.Int64, "note": pl.String,
}  # fmt: skip
NIGHTS = {"as_of": TIME} | dict.fromkeys(("scored", "abstained", "open", "opened", "resolved", "failed"), pl.Int64)
MISSES = {
    "series_id": pl.UInt64, "entity": pl.String, "metric": pl.String, "signal": pl.String, "limit_name": pl.String,
    "crossed_at": TIME, "reason": pl.String,
}  # fmt: skip
SETTLEMENTS = {
    "as_of": TIME, "series_id": pl.UInt64, "limit_name": pl.String, "horizon_h": pl.Int32, "p": pl.Float64,
    "outcome": pl.String,
}  # fmt: skip
SWEEP = {
    "open_at": pl.Float64, "horizon_h": pl.Int64, "hold_nights": pl.Int64, "tickets_per_week": pl.Float64,
    "precision": pl.Float64, "recall": pl.Float64, "chosen": pl.Boolean,
}  # fmt: skip


def ticket(number: int, outcome: str | None, lead: float | None = None, night: int = 0, **more: Any) -> dict[str, Any]:
    opened = FIRST + timedelta(days=night)
    crossed = None if lead is None else opened + timedelta(hours=lead)
    return {
        "ticket_id": f"{number:010x}-{opened:%Y%m%d}", "source": "prometheus", "entity": f"host-{number}",
        "metric": "disk_used", "service": "checkout", "signal": "disk filling", "direction": "up",
        "limit_name": "critical", "limit": 0.95, "unit": "ratio", "opened_at": opened, "probability": 0.83,
        "eta_p10": opened + timedelta(hours=20), "eta_p50": opened + timedelta(hours=50),
        "eta_p90": opened + timedelta(hours=120), "closed_at": crossed,
        "close_reason": None if crossed is None else "crossing came", "outcome": outcome, "crossed_at": crossed,
        "lead_hours": lead, "model": "learnt", "shape": "trend", "series_id": number, "why": None,
        "useful": None, "useless": None, "note": None,
    } | more  # fmt: skip


def tickets(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TICKETS)


def nights(count: int) -> pl.DataFrame:
    rows = [(FIRST + timedelta(days=k), 231, 19, 2, 0, 0, 0) for k in range(count)]
    return pl.DataFrame(rows, schema=NIGHTS, orient="row")


def misses(*reasons: str | None, night: int = 3, entity: str = "db-7") -> pl.DataFrame:
    at = FIRST + timedelta(days=night, hours=5)
    rows = [(n, entity, "memory_used", "memory", "critical", at, reason) for n, reason in enumerate(reasons)]
    return pl.DataFrame(rows, schema=MISSES, orient="row")


def settlements(*rows: tuple[float | None, str], horizon_h: int = 168) -> pl.DataFrame:
    told = [(FIRST, n, "critical", horizon_h, p, outcome) for n, (p, outcome) in enumerate(rows)]
    return pl.DataFrame(told, schema=SETTLEMENTS, orient="row")


def sweep(*rows: tuple[float, float | None, float | None], chosen: int | None = None) -> pl.DataFrame:
    """From (tickets a week, precision, recall)."""
    told = [(0.3 + 0.01 * n, 168, 1, *row, n == chosen) for n, row in enumerate(rows)]
    return pl.DataFrame(told, schema=SWEEP, orient="row")


def season(seed: int, count: int, true_share: float, nights: int = 60) -> pl.DataFrame:
    """So many tickets of invented nights, of which about this share came true."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        night = int(rng.integers(0, nights))
        if night > nights - 5:
            outcome, lead = None, None
        elif rng.random() < true_share:
            outcome, lead = "came_true", float(np.round(rng.gamma(2.5, 24)))
        else:
            outcome, lead = (
                str(rng.choice(["averted", "false_alarm", "false_alarm", "unknown"], p=[0.2, 0.3, 0.4, 0.1])),
                None,
            )
        signal, unit, limit = [
            ("disk filling", "ratio", 0.95),
            ("memory", "bytes", 8.0 * 2**30),
            ("queue", "count", 1e5),
        ][int(rng.integers(0, 3))]
        told = ticket(
            number, outcome, lead, night, signal=signal, unit=unit, limit=limit,
            shape=str(rng.choice(["trend", "leak_with_resets", "steps", "seasonal"])),
            service=[None, "checkout", "search", "payments"][int(rng.integers(0, 4))],
            probability=float(np.round(rng.uniform(0.7, 0.99), 3)),
        )  # fmt: skip
        rows.append(told)
    return tickets(*rows)
