"""Made-up durations, as ``features.incidents.durations`` hands them over."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

AS_OF = datetime(2026, 6, 1)
SCHEMA = {
    "source": pl.String, "incident_id": pl.String, "created_at": pl.Datetime("us"), "ended_at": pl.Datetime("us"),
    "is_open": pl.Boolean, "age_s": pl.Float64, "title": pl.String, "service": pl.String, "entity": pl.String,
    "severity": pl.String, "team": pl.String, "category": pl.String, "time_to_acknowledge_s": pl.Float64,
    "acknowledge_excluded": pl.String, "time_to_resolve_s": pl.Float64, "resolve_excluded": pl.String,
    "on_hold_s": pl.Float64, "reopen_count": pl.Int32, "reassignment_count": pl.Int32, "sla_met": pl.Boolean,
    "is_major": pl.Boolean, "reviewed": pl.Boolean, "actions_total": pl.Int32, "actions_done": pl.Int32,
    "commander": pl.Boolean, "communications": pl.Boolean, "experts": pl.Boolean,
    "changed_after_close": pl.Boolean, "resolved_in_bulk": pl.Boolean,
}  # fmt: skip


def row(name: str, created: datetime, took: float | None, as_of: datetime = AS_OF, **given: Any) -> dict[str, Any]:
    """An incident that took so many seconds, or is still open; acknowledged after a tenth of that."""
    ended = None if took is None else created + timedelta(seconds=took)
    known = {
        "source": "s", "incident_id": name, "created_at": created, "ended_at": ended, "is_open": ended is None,
        "age_s": (as_of - created).total_seconds(), "service": "db", "severity": "2", "team": "ops", "reopen_count": 0,
        "changed_after_close": False, "resolved_in_bulk": False, "time_to_resolve_s": took,
        "time_to_acknowledge_s": None if took is None else took / 10,
    }  # fmt: skip
    return dict.fromkeys(SCHEMA) | known | given


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def year(n: int, slope: float = 0.0, seed: int = 1, as_of: datetime = AS_OF, **given: Any) -> pl.DataFrame:
    """A year of log-normal durations that change by `slope` (of the logarithm) a month; the newest may be open."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, months in enumerate(np.sort(rng.uniform(0, 12, n))):
        created = as_of - timedelta(days=30 * (12 - float(months)))
        took = float(np.round(rng.lognormal(9 + slope * months, 1.2)))
        still_open = created + timedelta(seconds=took) >= as_of
        rows.append(row(f"{seed}-{number:05}", created, None if still_open else took, as_of, **given))
    return frame(rows)
