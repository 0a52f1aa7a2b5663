"""Known-bad windows: hours that say nothing about how a series behaves, since somebody was at work on it.

Belongs here: which series a window is about, which of their hours it hides, and whom it holds tonight. Not here: where
windows come from (``pipelines.maintenance``), and what is made of hidden hours: everywhere they count as not observed.

A window is half-open, ``[starts_at, ends_at)``, and hides every hour that it touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import chain

import numpy as np
import polars as pl

from features.grid import Grid

TIME = pl.Datetime("us")
HOUR = timedelta(hours=1)
KINDS = ("entities", "services", "metrics")

WINDOWS = {
    "source": pl.String,
    "told_as": pl.String,  # its id at the source; empty where it has none there
    "starts_at": TIME,
    "ends_at": TIME,
    "entities": pl.List(pl.String),  # globs, like the next two; empty: any
    "services": pl.List(pl.String),
    "metrics": pl.List(pl.String),
    "why": pl.String,
}
HELD = {"series_id": pl.UInt64, "source": pl.String, "why": pl.String, "ends_at": TIME}
MASKED = {"series_id": pl.UInt64, "mask": pl.UInt32}
SPANS = {"mask": pl.UInt32, "starts_at": TIME, "ends_at": TIME}

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Window:
    """Naive UTC; `entities`, `services` and `metrics` are globs, all kinds must match, and none of a kind is any."""

    source: str
    starts_at: datetime
    ends_at: datetime
    entities: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    why: str = ""
    told_as: str = ""

    @property
    def scope(self) -> tuple[tuple[str, ...], ...]:
        """Its globs, in the order of ``KINDS``."""
        return self.entities, self.services, self.metrics

    def holds(self, moment: datetime) -> bool:
        return self.starts_at <= moment < self.ends_at


@dataclass(frozen=True)
class Masks:
    """Which hours of which series are hidden.

    series: the columns of ``MASKED``; series of one mask share their hidden hours, the others have none.
    spans: the columns of ``SPANS``; those of a mask neither overlap nor touch.
    """

    series: pl.DataFrame
    spans: pl.DataFrame


def to_frame(windows: Iterable[Window]) -> pl.DataFrame:
    """The columns of ``WINDOWS``."""
    rows = [{name: getattr(window, name) for name in WINDOWS} for window in windows]
    lists = [row | {kind: list(row[kind]) for kind in KINDS} for row in rows]
    return pl.DataFrame(lists, schema=WINDOWS)


def from_frame(frame: pl.DataFrame) -> list[Window]:
    """Windows from at least the columns of ``WINDOWS``."""
    order = ("source", "starts_at", "ends_at", *KINDS, "why", "told_as")
    return [
        Window(source, starts_at, ends_at, tuple(entities), tuple(services), tuple(metrics), why, told_as)
        for source, starts_at, ends_at, entities, services, metrics, why, told_as in frame.select(order).iter_rows()
    ]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in ascending order, those that overlap or touch made one."""
    found: list[Span] = []
    for starts_at, ends_at in sorted(span for span in spans if span[0] < span[1]):
        if found and starts_at <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], ends_at)
        else:
            found.append((starts_at, ends_at))
    return found


def whole_hours(span: Span) -> Span:
    """The full hours that a span touches."""
    starts_at, ends_at = (moment.replace(minute=0, second=0, microsecond=0) for moment in span)
    return starts_at, ends_at if ends_at == span[1] else ends_at + HOUR


def covered(series: pl.DataFrame, scopes: Sequence[tuple[tuple[str, ...], ...]]) -> np.ndarray:
    """Which scopes are about which series; bool [S, scopes].

    Args:
        series: entity, service (null where nobody owns the entity), metric.
        scopes: of windows.
    """
    columns = [series[name] for name in ("entity", "service", "metric")]
    known = [column.unique().to_list() for column in columns]
    found = np.ones((len(series), len(scopes)), dtype=bool)
    for at, scope in enumerate(scopes):
        for column, values, globs in zip(columns, known, scope, strict=True):
            if globs:
                fits = [v for v in values if v is not None and any(fnmatchcase(v, glob) for glob in globs)]
                found[:, at] &= column.is_in(fits).fill_null(value=False).to_numpy()
    return found


def masks(series: pl.DataFrame, windows: Sequence[Window]) -> Masks:
    """What the windows hide of the series.

    Args:
        series: series_id, entity, service, metric.
        windows: all that are known, of any time.
    """
    spans: dict[tuple[tuple[str, ...], ...], list[Span]] = {}
    for window in windows:
        if window.starts_at < window.ends_at:  # one that is empty touches no hour
            spans.setdefault(window.scope, []).append(whole_hours((window.starts_at, window.ends_at)))
    hit = covered(series, list(spans))
    own, mask = np.unique(hit, axis=0, return_inverse=True) if hit.size else (hit[:0], np.zeros(len(series), np.intp))
    every = list(spans.values())
    rows = [
        (number, *span)
        for number, scopes in enumerate(own)
        for span in merged(chain.from_iterable(every[at] for at in np.flatnonzero(scopes)))
    ]
    by_series = pl.DataFrame({"series_id": series["series_id"], "mask": mask.astype(np.uint32).ravel()}, schema=MASKED)
    spanned = pl.DataFrame(rows, schema=SPANS, orient="row")
    return Masks(by_series.join(spanned.select("mask").unique(), on="mask", how="semi"), spanned)


def hide(grid: Grid, masked: Masks) -> Grid:
    """The grid with hidden hours not observed: NaN."""
    rows = pl.DataFrame({"series_id": grid.series_id}, schema={"series_id": pl.UInt64}).with_row_index("row")
    ours = rows.join(masked.series, on="series_id")
    if ours.is_empty():
        return grid
    values, T = grid.values.copy(), grid.values.shape[1]
    for (mask,), part in ours.group_by("mask"):
        spans = masked.spans.filter(pl.col("mask") == mask)
        hidden = np.zeros(T, dtype=bool)
        for starts_at, ends_at in spans.select("starts_at", "ends_at").iter_rows():
            first, until = (T - (grid.as_of - moment) // HOUR for moment in (starts_at, ends_at))
            hidden[max(first, 0) : max(until, 0)] = True
        values[np.ix_(part["row"].to_numpy(), hidden)] = np.nan
    return Grid(grid.series_id, grid.as_of, values)


def held_nights(series: pl.DataFrame, windows: Sequence[Window], nights: Iterable[datetime]) -> pl.DataFrame:
    """as_of, series_id: the nights on which a window held a series.

    Args:
        series: series_id, entity, service, metric.
    """
    nothing = pl.DataFrame(schema={"as_of": TIME, "series_id": pl.UInt64})
    found = [
        held(series, windows, as_of).select(pl.lit(as_of, TIME).alias("as_of"), "series_id")
        for as_of in (nights if windows else ())
    ]
    return pl.concat([nothing, *found])


def held(series: pl.DataFrame, windows: Iterable[Window], moment: datetime) -> pl.DataFrame:
    """The series that a window holds at a moment.

    Args:
        series: series_id, entity, service, metric.

    Returns:
        The columns of ``HELD``, by series_id: of several windows, the one that ends last.
    """
    now = sorted((window for window in windows if window.holds(moment)), key=lambda w: (w.ends_at, w.source, w.why))
    hit = covered(series, [window.scope for window in now])
    last = len(now) - 1 - np.argmax(hit[:, ::-1], axis=1) if now else np.zeros(len(series), np.intp)
    ours = np.flatnonzero(hit.any(axis=1)).tolist()
    longest = [now[last[row]] for row in ours]
    rows = [
        (series["series_id"][row], one.source, one.why, one.ends_at) for row, one in zip(ours, longest, strict=True)
    ]
    return pl.DataFrame(rows, schema=HELD, orient="row").sort("series_id")
