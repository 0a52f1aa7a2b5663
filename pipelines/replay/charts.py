"""Small charts of a replay's tickets: what was measured, what was forecast on the night, and what came.

Belongs here: gathering what a chart shows. Not here: how it is drawn (``reports.sparkline``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from features.grid import to_grid
from forecasting.tables import HORIZONS
from pipelines.replay.past import Past
from pipelines.replay.policy import Said
from reports.sparkline import Spark, sparkline

BEFORE, AFTER = timedelta(days=14), timedelta(hours=HORIZONS[-1])
MOST = 300
"""Tickets with a chart, the newest; a page with more is too heavy to open."""


def draw_all(tickets: pl.DataFrame, nights: Sequence[Said], past: Past) -> dict[str, Markup]:
    """ticket_id -> its chart."""
    folders = {said.as_of: said for said in nights}
    shown = tickets.sort("opened_at", "ticket_id").tail(MOST)
    found: dict[str, Markup] = {}
    for (opened_at,), part in shown.group_by(["opened_at"], maintain_order=True):
        paths = folders[opened_at].frame("forecasts")  # pyright: ignore[reportArgumentType]
        for ticket in part.iter_rows(named=True):
            found[ticket["ticket_id"]] = _draw(ticket, paths.filter(pl.col("series_id") == ticket["series_id"]), past)
    return found


def _draw(ticket: dict[str, Any], path: pl.DataFrame, past: Past) -> Markup:
    opened, series = ticket["opened_at"], [ticket["series_id"]]
    before = _values(past, series, opened - BEFORE, opened)
    after = _values(past, series, opened, opened + AFTER)
    by_hour = path.sort("hour")
    low, middle, high = (by_hour[name].to_numpy() for name in ("q10", "q50", "q90"))
    return sparkline(Spark(before, low, middle, high, ticket["limit"], after))


def _values(past: Past, series: list[int], first, until) -> np.ndarray:
    hours = (until - first) // timedelta(hours=1)
    grid = to_grid(past.hours(series, first, until), until, hours)
    return grid.values[0] if len(grid.series_id) else np.full(hours, np.nan)
