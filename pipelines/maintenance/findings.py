"""What ``forewarn check`` says of maintenance: what each source tells, now and soon, and what matches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from features.known_bad import Window, covered
from pipelines import history
from pipelines.maintenance import reading
from pipelines.site import Site
from pipelines.sources.errors import shown
from pipelines.warehouse import WarehouseError

SOON = timedelta(days=7)
Level = Literal["ok", "note", "fault"]


def findings(site: Site) -> Iterator[tuple[Level, str]]:
    """A line for each source, and one for each scope that is about no series of the warehouse."""
    now = datetime.now(UTC).replace(tzinfo=None)
    series = _series(site) if site.settings.maintenance else pl.DataFrame()
    for told in reading.read(site.settings, now):
        if told.fault is not None:
            yield "fault", f"maintenance, {told.source}: {told.fault}; until then, what was known of it holds"
            continue
        yield "ok", f"maintenance, {told.source}: {_counted(told.windows, now)}"
        for reason, count in told.left_out.items():
            yield "note", f"maintenance, {told.source}: {count} silences {reason} are no windows"
        for text in _idle(told.windows, series):
            yield "note", f"maintenance, {told.source}: {text}"


def _counted(windows: list[Window], now: datetime) -> str:
    holding = sum(window.holds(now) for window in windows)
    soon = sum(now < window.starts_at <= now + SOON for window in windows)
    plural = "" if len(windows) == 1 else "s"
    return f"{len(windows)} window{plural}, {holding} hold{'s' * (holding == 1)} now, {soon} begin within 7 days"


def _idle(windows: list[Window], series: pl.DataFrame) -> Iterator[str]:
    """Scopes that no series matches, where the warehouse knows any."""
    scopes = list(dict.fromkeys(window.scope for window in windows))
    if series.is_empty() or not scopes:
        return
    for at in np.flatnonzero(~covered(series, scopes).any(axis=0)):
        kinds = zip(("entities", "services", "metrics"), scopes[at], strict=True)
        words = "; ".join(f"{kind} {', '.join(globs)}" for kind, globs in kinds if globs)
        yield f"{shown(words)[:200]} match no series that the warehouse knows; correct the globs"


def _series(site: Site) -> pl.DataFrame:
    try:
        with site.warehouse.reader() as con:
            return history.series_of(con)
    except WarehouseError:  # said elsewhere
        return pl.DataFrame()
