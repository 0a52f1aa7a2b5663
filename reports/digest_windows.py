"""The known-bad windows that hold on a night, in rows for its page. Pure.

Belongs here: what the page says of windows and of tickets that they hold back. Not here: what a window hides
(``features.known_bad``), the policy (``ticket_policy``), the page (``digest``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from features.known_bad import Window, held
from features.units import format_share
from reports.digest_rows import CROWD, Night
from reports.text import one_line
from reports.ticket_causes import causes


@dataclass(frozen=True)
class WindowRow:
    """One window; nothing in it is escaped. scope: what it is about. series: how many of them are watched tonight."""

    why: str
    source: str
    scope: str
    ends_at: datetime
    series: int


@dataclass(frozen=True)
class Windows:
    """The windows of a night, and the tickets that they hold back, a line each; further ones are counted."""

    rows: list[WindowRow]
    unlisted: int
    held_back: list[str]
    held: frozenset[int]  # series


def windows_of(night: Night, known: Sequence[Window]) -> Windows:
    """The windows that hold at the cut, those that end last first."""
    now = sorted((window for window in known if window.holds(night.as_of)), key=lambda w: (w.ends_at, w.source, w.why))
    watched = night.series.join(night.profiles.select("series_id"), on="series_id", how="semi")
    rows = [_row(window, watched, night.as_of) for window in reversed(now)]
    ours = frozenset(held(night.series, now, night.as_of)["series_id"])
    return Windows(rows[:CROWD], max(0, len(rows) - CROWD), list(_held_back(night, ours)), ours)


def _row(window: Window, watched: pl.DataFrame, as_of: datetime) -> WindowRow:
    kinds = zip(("", "service ", "metric "), window.scope, strict=True)
    scope = "; ".join(word + ", ".join(globs) for word, globs in kinds if globs)
    series = len(held(watched, [window], as_of))
    why = one_line(window.why, 200) or "no reason given"
    return WindowRow(why, one_line(window.source, 80), one_line(scope, 160), window.ends_at, series)


def _held_back(night: Night, ours: frozenset[int]) -> Iterator[str]:
    """What would be due a ticket but for its window."""
    policy = night.policy
    due = causes(night.at_horizon(night.risks), night.series, policy.horizon_h, policy.resolve_below).filter(
        pl.col("state") == "scored",
        pl.col("p") >= policy.open_at,
        pl.col("series_id").is_in(pl.Series(sorted(ours), dtype=pl.UInt64).implode()),
    )
    for row in due.sort(pl.col("p").neg(), "entity", "signal", "limit_name").head(CROWD).iter_rows(named=True):
        names = (one_line(row[name], 80) for name in ("entity", "signal", "limit_name"))
        yield f"{' · '.join(names)}: {format_share(row['p'])}"
