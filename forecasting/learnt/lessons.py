"""Questions about a fleet's own settled past: limits that its series never had, and whether they were reached.

Belongs here: which questions are put to the past (*virtual limits*), and their outcomes. Not here: what is learnt from
them (``forecasting.learnt.learning``).

A lesson is a series at a past *origin*, with a limit set from what was known then, and outcomes, each known once its
own horizon has settled: what a day brings is known a day later. Origins lie on a calendar of their own, every third day
at the hour of day of as_of, so every night meets the same lessons again.
Limits are drawn from a hash of series and origin: nothing chooses them but chance, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from features.grid import Grid
from features.profiles import profile
from forecasting.history import DAY, hold
from forecasting.learnt.calibration import Kinds, unknown
from forecasting.learnt.past import look
from forecasting.learnt.questions import NAMES, predictors
from forecasting.tables import HORIZONS

EVERY_DAYS = 3
LASTS_H = 3  # hours of a virtual crossing: that of a limit by default
LIMITS = 3  # a series and origin; more would say the same again
NEAREST, FURTHEST = 0.2, 6.0  # headroom in spreads; drawn so that every doubling is as likely
FEWEST_DAYS = 2  # of history that an origin needs
FEWEST_READINGS = 2  # in its last week, of which not all are equal
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Lessons:
    """N questions about the past.

    predictors: float32 [N, len(NAMES)]. crossed: float32 [N, len(HORIZONS)], 1 or 0; NaN where too little was observed
        or it had not settled.
    origin: int64 [N], hours since 1970. series_id: uint64 [N].
    shape: str [N], of the series at the origin (``features.shapes``); empty where it was not looked at.
    metric: str [N], what is measured; empty where it was not said.
    """

    predictors: np.ndarray
    crossed: np.ndarray
    origin: np.ndarray
    series_id: np.ndarray
    shape: np.ndarray
    metric: np.ndarray

    @property
    def kinds(self) -> Kinds:
        return Kinds(self.shape, self.metric)

    def __len__(self) -> int:
        return len(self.origin)

    def take(self, rows: np.ndarray) -> Lessons:
        return Lessons(*(getattr(self, name)[rows] for name in Lessons.__dataclass_fields__))


EMPTY = Lessons(
    predictors=np.zeros((0, len(NAMES)), np.float32),
    crossed=np.zeros((0, len(HORIZONS)), np.float32),
    origin=np.zeros(0, np.int64),
    series_id=np.zeros(0, np.uint64),
    shape=np.zeros(0, "<U1"),
    metric=np.zeros(0, "<U1"),
)


def together(parts: Iterable[Lessons]) -> Lessons:
    """All lessons, in the order of origin and series, whatever the order of the parts."""
    every = [EMPTY, *parts]
    joined = Lessons(
        *(np.concatenate([getattr(part, name) for part in every]) for name in Lessons.__dataclass_fields__)
    )
    return joined.take(np.lexsort((joined.series_id, joined.origin)))


def origins(as_of: datetime, days: int) -> list[int]:
    """Hours since 1970 of the origins with any outcome that had settled at as_of, at most `days` back; oldest first."""
    now = hours(as_of)
    newest = now - settling_h(HORIZONS[0])
    phase = now % DAY
    first, last = -(-(now - days * DAY - phase) // DAY), (newest - phase) // DAY
    return [day * DAY + phase for day in range(first, last + 1) if day % EVERY_DAYS == 0]


def lessons(
    grid: Grid, falling: np.ndarray, at: int, history_days: int, *, metric: np.ndarray | None = None
) -> Lessons:
    """What the series of a grid teach at one origin.

    Args:
        grid: reaches from `history_days` before the origin (or less) to its settled outcomes, or as far as is known.
        falling: bool [S], whose danger lies below.
        at: the origin, hours since 1970.
        metric: str [S], what is measured. Where it is said, shapes are looked at as well, which costs as much again:
            together they are the kinds that a fleet's own layer tells apart, and a prior does not.
    """
    column = grid.values.shape[1] - (hours(grid.as_of) - at)
    if column < FEWEST_DAYS * DAY:
        return EMPTY
    # One window and no more: a lesson must be the same on every night that meets it.
    window = grid.values[:, max(0, column - DAY * history_days) : column + settling_h(HORIZONS[-1])]
    sign = np.where(falling[:, None], -1.0, 1.0)
    window = sign * window
    before = min(column, DAY * history_days)
    able = np.flatnonzero(_teaches(window[:, :before]))
    if len(able) == 0:
        return EMPTY
    window, ids = window[able], grid.series_id[able]
    kinds = unknown(len(able))
    if metric is not None:
        seen = profile(Grid(ids, _moment(at), window[:, :before] * sign[able]), falling[able])
        kinds = Kinds(seen["shape"].to_numpy().astype(str), metric[able])
    past = look(window[:, :before], LASTS_H)
    row = np.repeat(np.arange(len(able)), LIMITS)
    headroom = NEAREST * (FURTHEST / NEAREST) ** _chance(ids, at).ravel()
    limit = past.level[row] + headroom * past.spread[row]
    return Lessons(
        predictors=predictors(past, row, limit),
        crossed=_outcomes(window, before, row, limit),
        origin=np.full(len(row), at, dtype=np.int64),
        series_id=ids[row],
        shape=kinds.shape[row],
        metric=kinds.metric[row],
    )


def settled(lessons: Lessons, as_of: datetime) -> Lessons:
    """The lessons with those outcomes alone that had settled at as_of; without any, a lesson is left out."""
    known = np.stack([lessons.origin + settling_h(horizon) <= hours(as_of) for horizon in HORIZONS], axis=1)
    told = replace(lessons, crossed=np.where(known, lessons.crossed, np.float32(np.nan)))
    return told.take(np.flatnonzero(known.any(axis=1)))


def settling_h(horizon: int) -> int:
    """Hours from an origin until it is known whether a crossing began within the horizon: it has to last."""
    return horizon + LASTS_H - 1


def outcome(ahead: np.ndarray, limit: np.ndarray, horizon: int, lasts_h: int) -> np.ndarray:
    """float32 [N]: whether a crossing began within the horizon; NaN where under half of it was observed.

    Args:
        ahead: [N, horizon + lasts_h - 1], NaN where not observed. limit: [N].

    A crossing is the first of `lasts_h` consecutive observed hours at or above the limit. Hours after `ahead` are not
    asked: an outcome that waited for them would settle later.
    """
    seen = ~np.isnan(ahead)
    order = np.argsort(~seen, axis=1, kind="stable")  # observed hours first, in time
    packed = np.take_along_axis(ahead, order, axis=1)
    with np.errstate(invalid="ignore"):
        beyond = packed >= limit[:, None]
    run = beyond.copy()
    for hour in range(1, lasts_h):
        run[:, :-hour] &= beyond[:, hour:]
        run[:, -hour:] = False
    began = np.where(run.any(axis=1), np.take_along_axis(order, run.argmax(axis=1)[:, None], axis=1)[:, 0], np.inf)
    known = 2 * np.count_nonzero(seen[:, :horizon], axis=1) >= horizon
    return np.where(known, began < horizon, np.nan).astype(np.float32)


def _outcomes(window: np.ndarray, before: int, row: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """float32 [N, len(HORIZONS)], each read from the hours until it settles; NaN where the window ends before that."""
    found = np.full((len(row), len(HORIZONS)), np.nan, dtype=np.float32)
    for at, horizon in enumerate(HORIZONS):
        end = before + settling_h(horizon)
        if end <= window.shape[1]:
            found[:, at] = outcome(hold(window[:, :end])[:, before:][row], limit, horizon, LASTS_H)
    return found


def _teaches(before: np.ndarray) -> np.ndarray:
    """Whether a series was alive at the origin: something in the last day, and no constant week."""
    seen = ~np.isnan(before)
    week = before[:, -7 * DAY :]
    low = np.where(np.isnan(week), np.inf, week).min(axis=1)
    high = np.where(np.isnan(week), -np.inf, week).max(axis=1)
    began = before.shape[1] - np.argmax(seen, axis=1)
    enough = np.count_nonzero(~np.isnan(week), axis=1) >= FEWEST_READINGS
    return seen[:, -DAY:].any(axis=1) & enough & (low < high) & (began >= FEWEST_DAYS * DAY)


def _chance(series_id: np.ndarray, at: int) -> np.ndarray:
    """float64 [S, LIMITS] in [0, 1), from SplitMix64 (Steele, Lea & Flood, 2014) of series and origin."""
    with np.errstate(over="ignore"):
        seed = series_id.astype(np.uint64) + np.uint64(at) * GOLDEN
        z = seed[:, None] + GOLDEN * np.arange(1, LIMITS + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def hours(moment: datetime) -> int:
    """Since 1970."""
    return int(np.datetime64(moment, "h").astype(np.int64))


def _moment(hours: int) -> datetime:
    return np.datetime64(hours, "h").astype("datetime64[us]").item()
