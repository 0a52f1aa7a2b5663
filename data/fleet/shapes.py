"""The shapes of the sample fleet: what a series does over time, before any noise.

Each shape is a function (clock, parameters...) -> values [n] in the metric's own unit. Belongs here: shapes. Not here:
noise, rounding and gaps (``data.fleet.simulation``), or which series has which shape (``data.fleet.roster``).

shape        what it is in a real fleet
-----------  ------------------------------------------------------------------------------------------------------
flat         a configured size, a database whose cache is full, a disk that grows a little
load         CPU, connections, latency: follows the rhythm of people's days
growth       leaks and filling disks: holds a level, then grows in step with load and reaches a level on a day
plateau      retention or a cache that fills: approaches its ceiling ever more slowly
cycles       rises between resets at known local times: log rotation, weekly clean-ups and deploys, daily restarts
restarts     rises between resets at stated days, always to the same height: killed for memory and started again
steps        level shifts that stay: deploys, migrations
warm_up      after each restart a steep rise that saturates: caches and heaps
countdown    days left of a certificate, with renewals
jobs         quiet, and busy in a window of each day: backups and batch runs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from data.fleet.clock import Clock, rhythm

Shape = Callable[..., np.ndarray]


def flat(c: Clock, *, level: float, per_day: float = 0.0) -> np.ndarray:
    """`level` at the as-of, drifting by `per_day`."""
    return level + per_day * c.day


def load(c: Clock, *, low: float, high: float, follows: str = "office") -> np.ndarray:
    """Between `low` at night and about `high` at the weekday's peak."""
    return low + (high - low) * rhythm(c, follows)


def growth(
    c: Clock,
    *,
    start: float,
    start_day: float,
    reach: float,
    reach_day: float,
    follows: str = "even",
    swing: float = 0.0,
    before_per_day: float = 0.0,
    mended_day: float | None = None,
) -> np.ndarray:
    """`start` until `start_day` (with a drift of `before_per_day`), then growth in step with load that reaches `reach`
    on `reach_day` and goes on until `mended_day`, when it falls back to `start` for good. `swing` adds the rhythm
    itself, for what also breathes with load.
    """
    grown = np.cumsum(np.where(c.day >= start_day, 0.15 + rhythm(c, follows), 0.0))
    share = grown / np.interp(reach_day, c.day, grown)
    if mended_day is not None:
        share = np.where(c.day < mended_day, share, 0.0)
    before = before_per_day * np.minimum(c.day - start_day, 0)
    return start + before + (reach - start) * share + swing * rhythm(c, follows)


def plateau(c: Clock, *, start: float, ceiling: float, start_day: float, days: float) -> np.ndarray:
    """`start` until `start_day`, then towards `ceiling` with the time constant `days`."""
    return ceiling - (ceiling - start) * np.exp(-np.maximum(c.day - start_day, 0) / days)


def cycles(
    c: Clock,
    *,
    low: float,
    per_day: float,
    hour: float,
    weekday: int | None = None,
    base_per_day: float = 0.0,
    base_from: float | None = None,
    until: float | None = None,
    follows: str = "even",
) -> np.ndarray:
    """Grows by `per_day` on average and falls back to `low` at each local `hour` (of `weekday`).

    The floor itself grows by `base_per_day` since `base_from`; the resets stop `until` that day, where given.
    """
    resets = c.moments(hour, weekday)
    if until is not None:
        resets = resets[resets < until]
    pace = 0.15 + rhythm(c, follows)
    grown = np.cumsum(pace) * (per_day * c.step / pace.mean())
    since = grown - np.interp(_latest(resets, c, c.day[0]), c.day, grown)
    floor = base_per_day * np.maximum(c.day - (c.day[0] if base_from is None else base_from), 0)
    return low + floor + since


def restarts(c: Clock, *, low: float, high: float, days: Sequence[float], follows: str = "shop") -> np.ndarray:
    """From `low` after each of `days` in step with load to `high` just before the next; `days` must span the clock."""
    edges = np.asarray(days, dtype=float)
    cycle = np.clip(np.searchsorted(edges, c.day, side="right") - 1, 0, len(edges) - 2)
    grown = np.cumsum(0.15 + rhythm(c, follows))
    pace = (grown[-1] - grown[0]) / (c.day[-1] - c.day[0])
    begun, ended = (_beyond(c, grown, pace, moments) for moments in (edges[cycle], edges[cycle + 1]))
    return low + (high - low) * (grown - begun) / (ended - begun)


def steps(
    c: Clock,
    *,
    level: float,
    changes: Sequence[tuple[float, float]],
    swing: float = 0.0,
    follows: str = "office",
    per_day: float = 0.0,
) -> np.ndarray:
    """`level`, changed for good by each (day, difference)."""
    shifted = sum((np.where(c.day >= day, difference, 0.0) for day, difference in changes), np.zeros_like(c.day))
    return level + shifted + swing * rhythm(c, follows) + per_day * c.day


def warm_up(
    c: Clock, *, cold: float, warm: float, days: Sequence[float], time_constant: float, swing: float = 0.0
) -> np.ndarray:
    """After each of `days` from `cold` towards `warm`, with a time constant in days; warm before the first."""
    since = c.day - _latest(days, c, before=-1e6)
    return warm - (warm - cold) * np.exp(-since / time_constant) + swing * rhythm(c, "shop")


def countdown(c: Clock, *, left: float, validity: float, renewals: Sequence[float] = ()) -> np.ndarray:
    """Days left: `left` at the as-of if nobody renews, and `validity` at each renewal."""
    return validity - (c.day - _latest(renewals, c, before=left - validity))


def jobs(
    c: Clock, *, idle: float, busy: float, hour: float, minutes: float, weekday: int | None = None, swing: float = 0.0
) -> np.ndarray:
    """`idle` with a rhythm of `swing`, and `busy` for `minutes` from each local `hour` (of `weekday`)."""
    inside = ((c.hour - hour) % 24) * 60 < minutes
    if weekday is not None:
        inside &= c.weekday == weekday
    return np.where(inside, busy, idle + swing * rhythm(c, "office"))


def _beyond(c: Clock, grown: np.ndarray, pace: float, days: np.ndarray) -> np.ndarray:
    """`grown` on some days, continued at the average `pace` outside of the clock."""
    outside = np.minimum(days - c.day[0], 0) + np.maximum(days - c.day[-1], 0)
    return np.interp(days, c.day, grown) + pace * outside


def _latest(moments: Sequence[float] | np.ndarray, c: Clock, before: float) -> np.ndarray:
    """The last of `moments` up to each time; `before` where none was yet."""
    edges = np.array([before, *moments])
    return edges[np.searchsorted(edges[1:], c.day, side="right")]


SHAPES: dict[str, Shape] = {
    shape.__name__: shape for shape in (flat, load, growth, plateau, cycles, restarts, steps, warm_up, countdown, jobs)
}
