"""The truth about the sample fleet: which limits are crossed and when, past and future.

Belongs here: limits as the sample's settings set them, applied to the simulated courses. Not here: forecasts; nothing
of this may reach the nightly run. Limits that are read off a series' past have no truth here.

A crossing is the first of the signal's `lasts_hours` consecutive observed hours whose mean is at or beyond the limit.
Future crossings are those of the noise-free course, past ones those of the samples as they were collected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from data.fleet.clock import AS_OF, FUTURE_DAYS, PER_HOUR
from data.fleet.samples import SOURCE
from data.fleet.simulation import Fleet, Series
from data.presets import load_presets
from features.signals import ConstantLimit, SeriesLimit, Signal

SETTINGS = Path(__file__).resolve().parent.parent / "sample" / "forewarn.yaml"
TIME = pl.Datetime("us")
IDENTITY = {"source": pl.String, "entity": pl.String, "metric": pl.String, "labels": pl.String}
LIMIT = {"signal": pl.String, "limit_name": pl.String, "limit": pl.Float64, "direction": pl.String, "lasts_h": pl.Int64}


@dataclass(frozen=True)
class Bound:
    """A limit that holds for a series."""

    signal: str
    limit_name: str
    limit: float
    direction: str
    lasts_h: int

    def reached(self, values: np.ndarray) -> np.ndarray:
        """Where values are at or beyond the limit; NaN is not."""
        return values <= self.limit if self.direction == "down" else values >= self.limit


@cache
def sample_signals() -> tuple[Signal, ...]:
    """The signals of the sample's settings, its own before the presets."""
    section = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["signals"]
    return (*(Signal.model_validate(own) for own in section["own"]), *load_presets(section["presets"]))


def crossings(fleet: Fleet) -> pl.DataFrame:
    """Every (series, limit) with its fate after the as-of, sorted.

    Returns:
        source, entity, metric, labels (canonical JSON of the identity labels), signal, limit_name, limit, direction,
        lasts_h, scenario, beyond (it already is at the as-of, and still measured), crosses_at (naive UTC; null where it
        is already beyond, does not cross within 14 days, or is not measured any more), foreseeable (what happens
        follows from the past).
    """
    as_of = int(np.searchsorted(fleet.clock.day, 0.0)) // PER_HOUR
    rows = []
    for series, bound in _bounds(fleet):
        hourly = _hourly_means(series.clean)
        measured = series.row.alive[1] > 0
        beyond = measured and bool(bound.reached(hourly[as_of - bound.lasts_h : as_of]).all())
        coming = runs(bound.reached(hourly[as_of:]), bound.lasts_h) if measured and not beyond else iter(())
        onset = next((hour for hour, _ in coming if hour < 24 * FUTURE_DAYS), None)
        crosses_at = None if onset is None else AS_OF + timedelta(hours=onset)
        rows.append(
            identity(series) | asdict(bound)
            | {"scenario": series.row.scenario, "beyond": beyond, "crosses_at": crosses_at}
            | {"foreseeable": not series.row.surprise}
        )  # fmt: skip
    more = {"scenario": pl.String, "beyond": pl.Boolean, "crosses_at": TIME, "foreseeable": pl.Boolean}
    return pl.DataFrame(rows, schema=IDENTITY | LIMIT | more).sort(*IDENTITY, "limit_name")


def past_crossings(fleet: Fleet, until: datetime = AS_OF) -> pl.DataFrame:
    """Every crossing in what was collected before `until`, sorted.

    Returns:
        as `crossings`, but crosses_at is never null, and `back_at` is the first observed hour within the limit again,
        null where that had not come by then.
    """
    first = fleet.clock.ts[0].astype("datetime64[us]").item()
    past = fleet.clock.ts < np.datetime64(until, "s")
    rows = []
    for series, bound in _bounds(fleet):
        hourly = _hourly_means(np.where(series.observed, series.values, np.nan)[past])
        seen = np.flatnonzero(~np.isnan(hourly))
        for since, ended in runs(bound.reached(hourly[seen]), bound.lasts_h):
            back_at = first + timedelta(hours=int(seen[ended])) if ended < len(seen) else None
            crosses_at = first + timedelta(hours=int(seen[since]))
            rows.append(
                identity(series) | asdict(bound)
                | {"scenario": series.row.scenario, "crosses_at": crosses_at, "back_at": back_at}
            )  # fmt: skip
    more = {"scenario": pl.String, "crosses_at": TIME, "back_at": TIME}
    return pl.DataFrame(rows, schema=IDENTITY | LIMIT | more).sort(*IDENTITY, "limit_name", "crosses_at")


def scenarios(fleet: Fleet) -> pl.DataFrame:
    """Every series with its story: source, entity, metric, labels, scenario, shape, parameters (JSON), sorted."""
    rows = [
        identity(series)
        | {"scenario": series.row.scenario, "shape": series.row.shape, "parameters": _json(series.row.parameters)}
        for series in fleet.series
    ]
    more = {"scenario": pl.String, "shape": pl.String, "parameters": pl.String}
    return pl.DataFrame(rows, schema=IDENTITY | more).sort(*IDENTITY)


def runs(reached: np.ndarray, lasts: int) -> Iterator[tuple[int, int]]:
    """(first, one past the last) of each unbroken stretch of True that is at least `lasts` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], reached.astype(np.int8), [0]])))
    for since, until in edges.reshape(-1, 2):
        if until - since >= lasts:
            yield int(since), int(until)


def identity(series: Series) -> dict[str, str]:
    """What tells the series from others, as the warehouse names it."""
    row, signal = series.row, _signal_of(series)
    names = row.labels if signal is None or signal.identity is None else signal.identity
    kept = {name: row.labels[name] for name in names if name in row.labels}
    return {"source": SOURCE, "entity": row.entity, "metric": row.metric, "labels": _json(kept)}


def _bounds(fleet: Fleet) -> Iterator[tuple[Series, Bound]]:
    """Every series with every limit that the settings set for it."""
    sizes = {tuple(identity(s).values()): float(s.clean[0]) for s in fleet.series if s.row.noise == 0}
    for series in fleet.series:
        signal = _signal_of(series)
        if signal is None:
            continue
        for limit in signal.limits:
            if isinstance(limit, ConstantLimit):
                value = limit.value
            elif isinstance(limit, SeriesLimit):
                value = limit.share * sizes[tuple((identity(series) | {"metric": limit.metric}).values())]
            else:
                continue
            yield series, Bound(signal.name, limit.name, value, signal.direction, signal.lasts_hours)


def _signal_of(series: Series) -> Signal | None:
    row = series.row
    return next((s for s in sample_signals() if s.matches(row.entity, row.metric, row.labels)), None)


def _hourly_means(values: np.ndarray) -> np.ndarray:
    """Means of full hours; NaN where nothing was observed."""
    by_hour = values.reshape(-1, PER_HOUR)
    seen = ~np.isnan(by_hour)
    total = np.where(seen, by_hour, 0.0).sum(axis=1)
    return np.divide(total, seen.sum(axis=1), out=np.full(len(total), np.nan), where=seen.any(axis=1))


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
