"""From the roster to series: each row's noise-free course, what a collector would read, and when it was there to read.

Belongs here: noise, rounding, bounds, gaps. Not here: labels and files (``data.fleet.samples``), or which of the
courses crosses a limit (``data.fleet.truth``).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import polars as pl

from data.fleet.clock import FUTURE_DAYS, PAST_DAYS, PER_HOUR, STEP_S, Clock, clock, rhythm
from data.fleet.roster import Gap, Row, gaps, roster
from data.fleet.shapes import SHAPES

MISSED_SCRAPES = 0.001
TAIL_H = 12  # a crossing that begins within FUTURE_DAYS may be confirmed just after


@dataclass(frozen=True)
class Metric:
    """How a metric is read: its noise has the standard deviation absolute + relative * value."""

    unit: str
    quantum: float
    absolute: float = 0.0
    relative: float = 0.0
    ceiling: float = np.inf
    hours: float = 3.0  # correlation time of the slower part of the noise
    skewed: bool = False


METRICS = {
    "cpu_used_percent": Metric("percent", 0.1, absolute=0.5, relative=0.09, ceiling=100, hours=1.5, skewed=True),
    "mem_used_percent": Metric("percent", 0.01, absolute=0.45, ceiling=100, hours=6),
    "disk_used_percent": Metric("percent", 0.01, absolute=0.07, ceiling=100),
    "inode_used_percent": Metric("percent", 0.01, absolute=0.04, ceiling=100),
    "container_memory_working_set_bytes": Metric("bytes", 4096, relative=0.008, hours=4),
    "container_spec_memory_limit_bytes": Metric("bytes", 1),
    "jvm_memory_used_bytes": Metric("bytes", 8, relative=0.025, hours=1),
    "jvm_memory_max_bytes": Metric("bytes", 1),
    "process_open_fds": Metric("count", 1, absolute=20, relative=0.012),
    "process_max_fds": Metric("count", 1),
    "hikaricp_connections_active": Metric("count", 1, absolute=0.9, relative=0.025, hours=1, skewed=True),
    "hikaricp_connections_max": Metric("count", 1),
    "queue_messages_ready": Metric("count", 1, absolute=15, relative=0.05, hours=1, skewed=True),
    "http_request_duration_p99_seconds": Metric("seconds", 0.0001, absolute=0.01, relative=0.07, hours=1, skewed=True),
    "http_requests_per_second": Metric("requests/s", 0.01, relative=0.06, hours=2),
    "tls_certificate_days_left": Metric("days", 0.0001),
}


@dataclass(frozen=True)
class Series:
    """One row of the roster on the fleet's clock, past and future; all arrays [n].

    clean: the course without noise, in the metric's unit.
    values: what a collector would read.
    observed: whether it read at all.
    """

    row: Row
    clean: np.ndarray
    values: np.ndarray
    observed: np.ndarray

    @property
    def metric(self) -> Metric:
        return METRICS[self.row.metric]


@dataclass(frozen=True)
class Fleet:
    clock: Clock
    series: tuple[Series, ...]


def simulate(seed: int) -> Fleet:
    """The whole fleet, from PAST_DAYS before the as-of to FUTURE_DAYS after it (and a tail). Same seed, same fleet."""
    c = clock(seed, -PAST_DAYS, FUTURE_DAYS + TAIL_H / 24)
    return Fleet(c, tuple(_series(row, c, generator(seed, row.key)) for row in roster()))


def generator(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on the seed and on a name, and on nothing that is drawn for another name."""
    return np.random.default_rng([seed, int.from_bytes(blake2b(name.encode(), digest_size=8).digest())])


def _series(row: Row, c: Clock, rng: np.random.Generator) -> Series:
    metric = METRICS[row.metric]
    ceiling = metric.ceiling if row.limit is None else row.limit * row.scale
    clean = np.clip(SHAPES[row.shape](c, **row.parameters) * row.scale, 0, ceiling)
    read = clean + _noise(metric, clean, rng) * row.noise
    if row.bursts is not None:
        read += _bursts(c, rng, *row.bursts)
    values = np.clip(np.round(np.clip(read, 0, ceiling) / metric.quantum) * metric.quantum, 0, ceiling)
    return Series(row, clean, np.round(values, 4), _observed(row, c, rng, gaps()))


def _noise(metric: Metric, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White noise with an hourly and a daily wander: what is left over of real series is never white.

    Near a ceiling there is little room for it.
    """
    n = len(clean)
    white = (rng.gamma(4.0, size=n) - 4) / 2 if metric.skewed else rng.standard_normal(n)
    fast, slow = (_wander(rng, n, hours) for hours in (metric.hours, 10 * metric.hours))
    room = np.minimum(1.0, 2 * (1 - clean / metric.ceiling))
    return (metric.absolute + metric.relative * clean * room) * (0.6 * white + 0.6 * fast + 0.53 * slow)


def _wander(rng: np.random.Generator, n: int, hours: float) -> np.ndarray:
    """An AR(1) of unit variance with this correlation time."""
    phi = np.exp(-1 / (hours * PER_HOUR))
    shocks = rng.standard_normal(n)
    shocks[1:] *= np.sqrt(1 - phi**2) / (1 - phi)  # an exponential mean is the recursion of an AR(1), and fast
    return pl.Series(shocks).ewm_mean(alpha=1 - phi, adjust=False).to_numpy()


def _bursts(c: Clock, rng: np.random.Generator, height: float, minutes: float, a_day: float) -> np.ndarray:
    """Short jobs that overlap, more of them when people work."""
    pace = 0.25 + rhythm(c, "office")
    started = np.repeat(np.arange(len(c.day)), rng.poisson(a_day * c.step * pace / pace.mean()))
    lasted = np.ceil(rng.exponential(minutes * 60 / STEP_S, len(started))).astype(int)
    tall = height * rng.uniform(0.4, 1.3, len(started))
    change = np.zeros(len(c.day) + 1)
    np.add.at(change, started, tall)
    np.subtract.at(change, np.minimum(started + lasted, len(c.day)), tall)
    return np.cumsum(change)[:-1]


def _observed(row: Row, c: Clock, rng: np.random.Generator, holes: tuple[Gap, ...]) -> np.ndarray:
    seen = (c.day >= row.alive[0]) & (c.day < row.alive[1])
    if row.daily_at is not None:
        return seen & np.isin(c.day, c.moments(row.daily_at))
    seen &= rng.random(len(c.day)) >= MISSED_SCRAPES
    for gap in holes:
        if gap.concerns(row.entity):
            seen &= (c.day < gap.start_day) | (c.day >= gap.start_day + gap.hours / 24)
    return seen
