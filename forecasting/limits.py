"""Which limit holds for a series on a night, and how it came about.

Belongs here: from a signal's limits and a series' own past to numbers. Not here: which series a signal is about
(``features.signals``), or whether a limit will be reached (``forecasting.crossing``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.grid import Grid
from features.signals import ConstantLimit, Limit, PastLimit, SeriesLimit, Signal
from forecasting.abstention import BEYOND_BOUNDS, NO_COMPANION, NO_PAST
from forecasting.tables import LIMITS, MISSING

EPOCH = datetime(1970, 1, 1)
DAY = timedelta(days=1)
HISTORY_BEFORE_RENEWAL = 7 * DAY
FEWEST_HOURS = 7  # a quantile of less says nothing; a daily sampled series has seven in a week


@dataclass(frozen=True)
class Limits:
    """The limits of a batch of series on a night.

    resolved: exactly the columns of forecasting.limits.
    missing: series_id, limit_name, signal, direction, reason: limits that a signal names but the series has not.
    """

    resolved: pl.DataFrame
    missing: pl.DataFrame


def hours_needed(signals: Sequence[Signal]) -> int:
    """How many hours before as_of a grid must cover so that every limit of `signals` can be resolved from it."""
    past = [limit for signal in signals for limit in signal.limits if isinstance(limit, PastLimit)]
    return 24 * max((limit.days + limit.renew_days + 1 for limit in past), default=0)


def companion_metrics(signals: Sequence[Signal]) -> list[str]:
    """The metrics whose series serve as limits of others: what `resolve` wants among its companions. Sorted."""
    return sorted({limit.metric for signal in signals for limit in signal.limits if isinstance(limit, SeriesLimit)})


def resolve(
    series: pl.DataFrame,
    matched: pl.DataFrame,
    signals: Sequence[Signal],
    grid: Grid,
    companions: pl.DataFrame | None = None,
) -> Limits:
    """The limits of every matched series as they hold at `grid.as_of`.

    A limit's `valid_from` is, for a constant, the midnight before the series' first observed hour; for a limit held by
    another series, as_of; for a limit from the past, the renewal: the latest day, counted in `renew_days` from the
    epoch, with at least a week of history before it, or, for a younger series, its first midnight with a week behind
    it. A limit from the past rests on hours before its renewal alone, so it does not creep along with a leak.

    Args:
        series: series_id, source, entity, metric, labels (JSON of the identity labels); optionally first_hour (naive
            UTC), the first observed hour where the grid does not reach back to it.
        matched: series_id, signal; what ``features.signals.match`` gives.
        signals: the signals that `matched` names.
        grid: hourly means of (at least) the matched series, `hours_needed(signals)` hours or more.
        companions: source, entity, metric, labels, level: the series that serve as limits, with the median of their
            last 24 hours.
    """
    by_name = {signal.name: signal for signal in signals}
    rows = {int(i): row for row, i in enumerate(grid.series_id)}
    levels = _levels(companions)
    resolved: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for line in series.join(matched, on="series_id").sort("series_id").iter_rows(named=True):
        signal = by_name[line["signal"]]
        values = grid.values[rows[line["series_id"]]] if line["series_id"] in rows else np.empty(0)
        own = {"series_id": line["series_id"], "signal": signal.name, "direction": signal.direction}
        for limit in signal.limits:
            found = _resolve_one(limit, signal, line, values, grid.as_of, levels=levels)
            if isinstance(found, str):
                missing.append({**own, "limit_name": limit.name, "reason": found})
            else:
                resolved.append({**own, "limit_name": limit.name, "lasts_h": signal.lasts_hours, **found})
    return Limits(pl.DataFrame(resolved, schema=LIMITS), pl.DataFrame(missing, schema=MISSING))


def _levels(companions: pl.DataFrame | None) -> dict[tuple[str, str, str, str], float]:
    if companions is None:
        return {}
    columns = companions.select("source", "entity", "metric", "labels", "level").iter_rows()
    return {
        (source, entity, metric, labels): level
        for source, entity, metric, labels, level in columns
        if level is not None and math.isfinite(level)
    }


def _resolve_one(
    limit: Limit,
    signal: Signal,
    line: dict[str, Any],
    values: np.ndarray,
    as_of: datetime,
    *,
    levels: dict[tuple[str, str, str, str], float],
) -> dict[str, Any] | str:
    """valid_from, value and basis; or the reason why there is no limit."""
    first = _first_hour(values, as_of)
    match limit:
        case ConstantLimit():
            since = _midnight(line.get("first_hour") or first or as_of)
            return {"valid_from": since, "value": limit.value, "basis": "set in the settings"}
        case SeriesLimit():
            level = levels.get((line["source"], line["entity"], limit.metric, line["labels"]))
            if level is None:
                return NO_COMPANION
            share = "" if limit.share == 1 else f"{100 * limit.share:g} % of "
            basis = f"{share}{limit.metric}, median of the last 24 hours"
            return {"valid_from": as_of, "value": limit.share * level, "basis": basis}
        case PastLimit():
            renewal = _renewal(limit, first, as_of)
            if first is None or renewal is None:
                return NO_PAST
            return _from_past(limit, signal, values, as_of=as_of, first=first, renewal=renewal)


def _first_hour(values: np.ndarray, as_of: datetime) -> datetime | None:
    observed = np.flatnonzero(np.isfinite(values))
    return as_of - timedelta(hours=len(values) - int(observed[0])) if len(observed) else None


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _renewal(limit: PastLimit, first: datetime | None, as_of: datetime) -> datetime | None:
    """The newest renewal that has a week of history before it."""
    if first is None:
        return None
    regular = EPOCH + DAY * ((as_of - EPOCH) // DAY // limit.renew_days * limit.renew_days)
    earliest = first + HISTORY_BEFORE_RENEWAL
    young = earliest if earliest == _midnight(earliest) else _midnight(earliest) + DAY
    if regular >= earliest:
        return regular
    return young if young <= as_of else None


def _from_past(
    limit: PastLimit, signal: Signal, values: np.ndarray, *, as_of: datetime, first: datetime, renewal: datetime
) -> dict[str, Any] | str:
    end = len(values) - int((as_of - renewal) / timedelta(hours=1))
    window = values[max(0, end - 24 * limit.days) : max(0, end)]
    window = window[np.isfinite(window)]
    if len(window) < FEWEST_HOURS:
        return NO_PAST
    low, at, high = np.quantile(window, [0.05, limit.quantile, 0.95])
    sign = 1 if signal.direction == "up" else -1
    value = float(at + sign * limit.margin * (high - low))
    if not math.isfinite(value):
        return BEYOND_BOUNDS
    if signal.maximum is not None and value > signal.maximum:
        if sign > 0:  # it could never be reached, so nothing is promised about it
            return BEYOND_BOUNDS
        value = signal.maximum
    if signal.minimum is not None and value < signal.minimum:
        if sign < 0:
            return BEYOND_BOUNDS
        value = signal.minimum
    side = "above" if sign > 0 else "below"
    margin = f", and {100 * limit.margin:g} % of their spread {side} it" if limit.margin else ""
    days = min(limit.days, -(-(renewal - first) // DAY))
    basis = f"{_ordinal(100 * limit.quantile)} percentile of {days} days before {renewal:%Y-%m-%d}{margin}"
    return {"valid_from": renewal, "value": value, "basis": basis}


def _ordinal(number: float) -> str:
    """98 -> 98th, 1 -> 1st, 99.9 -> 99.9th."""
    text = f"{number:g}"
    if "." in text or text[-2:] in ("11", "12", "13"):
        return f"{text}th"
    return text + {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
