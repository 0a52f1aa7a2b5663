"""What a team could pick instead: each peer gets one series on one night, and says how probable each crossing is.

Belongs here: the peers that run in this environment, as their users would run them. Not here: the statsforecast models
(``statsforecast_peers``), the questions (``questions``), scores.

All see the hourly means of the last 90 days, as the night does, and cross as the benchmark does: three hours in a row.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import persistence
from persistence import AHEAD, HORIZONS, crossing_shares
from process_tree import cpu_seconds

HISTORY_DAYS = 90
DAY = 24
WEEK = 7 * DAY
PATHS = 200
CHUNK = 32  # cases a task of the pool


@dataclass(frozen=True)
class Case:
    """One series on one night, and up to which limits it is asked.

    key: source, entity, metric. as_of: naive UTC, on a full hour.
    observed: float64 [T], hourly means before as_of, NaN where there was no sample; begins with one.
    held: the same, where a rarely sampled series' readings are carried forward (as the benchmark does).
    limits: float64 [L].
    """

    key: tuple[str, str, str]
    as_of: np.datetime64
    observed: np.ndarray
    held: np.ndarray
    limits: np.ndarray

    @cached_property
    def filled(self) -> np.ndarray:
        """float64 [T]: gaps interpolated, for models that want none."""
        seen = np.flatnonzero(~np.isnan(self.held))
        return np.interp(np.arange(len(self.held)), seen, self.held[seen])

    @cached_property
    def seed(self) -> int:
        digest = hashlib.blake2b(repr((self.key, str(self.as_of))).encode(), digest_size=4).digest()
        return int.from_bytes(digest) % 2**31

    @cached_property
    def digest(self) -> bytes:
        """What an answer may depend on."""
        asked = repr((self.key, str(self.as_of), self.limits.tolist())).encode()
        return hashlib.blake2b(self.observed.tobytes() + self.held.tobytes() + asked, digest_size=16).digest()


@dataclass(frozen=True)
class Answers:
    """p: float64 [L, 3], NaN where the peer abstains. seconds: of CPU."""

    p: np.ndarray
    seconds: float


def predict_linear(case: Case, hours: int) -> np.ndarray:
    """The usual alerting rule: least squares over the last hours; 1 where the line reaches the limit, else 0."""
    y = case.held[-hours:]
    seen = np.flatnonzero(~np.isnan(y))
    if len(seen) < 2:
        return np.zeros((len(case.limits), len(HORIZONS)))
    slope, level = np.polyfit(seen - float(len(y)), y[seen], 1)
    reached = np.maximum(level, level + slope * np.array(HORIZONS))
    return (reached[None, :] >= case.limits[:, None]).astype(np.float64)


def seasonal_naive(case: Case) -> np.ndarray:
    """Last week again (yesterday, in a young series), with the errors that this would have made on every past day."""
    y = case.filled
    if len(y) < DAY:
        return crossing_shares(np.full((1, AHEAD), y[-1]), case.limits)
    season = WEEK if len(y) >= 2 * WEEK + AHEAD else DAY
    ahead = np.arange(AHEAD)
    again = ahead % season - season
    origins = np.arange(len(y) - AHEAD, season - 1, -DAY)
    forecast = y[len(y) + again]
    if len(origins) == 0:  # too young for an error of its own
        return crossing_shares(forecast[None], case.limits)
    errors = y[origins[:, None] + ahead] - y[origins[:, None] + again]
    return crossing_shares(forecast + errors, case.limits)


def drift(case: Case) -> np.ndarray:
    """A random walk: the hourly increments of the past, drawn with replacement and added to the last level."""
    seen = case.held[~np.isnan(case.held)]
    increments = np.diff(case.held)
    increments = increments[~np.isnan(increments)]
    if len(increments) == 0:
        return crossing_shares(np.full((1, AHEAD), seen[-1]), case.limits)
    drawn = np.random.default_rng(case.seed).choice(increments, (PATHS, AHEAD))
    return crossing_shares(seen[-1] + np.cumsum(drawn, axis=1), case.limits)


def prophet(case: Case) -> np.ndarray:
    """Prophet at its defaults, on what was observed; P is the share of its 1000 predictive samples that cross."""
    import pandas as pd  # noqa: PLC0415  both cost seconds

    logging.getLogger("prophet.plot").disabled = True
    from prophet import Prophet  # noqa: PLC0415

    for name in ("cmdstanpy", "prophet"):  # silenced after the import, which sets them up
        logging.getLogger(name).disabled = True
    hours = case.as_of + np.arange(-len(case.observed), AHEAD).astype("timedelta64[h]")
    hours = hours.astype("datetime64[ns]")
    past = pd.DataFrame({"ds": hours[:-AHEAD], "y": case.observed}).dropna()
    state = np.random.get_state()  # Prophet draws from the global generator
    np.random.seed(case.seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = Prophet().fit(past, seed=case.seed)
            paths = model.predictive_samples(pd.DataFrame({"ds": hours[-AHEAD:]}))["yhat"].T
    finally:
        np.random.set_state(state)
    return crossing_shares(paths, case.limits)


def predict_linear_6h(case: Case) -> np.ndarray:
    return predict_linear(case, 6)


def predict_linear_24h(case: Case) -> np.ndarray:
    return predict_linear(case, DAY)


def predict_linear_7d(case: Case) -> np.ndarray:
    return predict_linear(case, WEEK)


@dataclass(frozen=True)
class Peer:
    """A function of one case, applied to many in a pool."""

    name: str
    function: Callable[[Case], np.ndarray]
    processes: int = 2

    @property
    def source(self) -> bytes:
        """What its answers depend on, besides the case."""
        return Path(__file__).read_bytes() + Path(persistence.__file__).read_bytes()

    def answer_all(self, cases: Sequence[Case]) -> list[Answers]:
        """The cases' answers, in order."""
        chunks = [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]
        # Spawned: a forked child of a process that has used polars deadlocks.
        with ProcessPoolExecutor(self.processes, mp_context=get_context("spawn")) as pool:
            return [one for part in pool.map(peer_answers, [self.function] * len(chunks), chunks) for one in part]


def peer_answers(function: Callable[[Case], np.ndarray], cases: Sequence[Case]) -> list[Answers]:
    """What a worker does; a case on which the peer raises is abstained from."""
    found = []
    for case in cases:
        began = cpu_seconds()
        try:
            p = function(case)
        except (ValueError, RuntimeError, np.linalg.LinAlgError):  # what Prophet raises where it cannot fit
            p = np.full((len(case.limits), len(HORIZONS)), np.nan)
        found.append(Answers(p, cpu_seconds() - began))
    return found


QUICK = (
    Peer("seasonal_naive", seasonal_naive),
    Peer("predict_linear_6h", predict_linear_6h),
    Peer("predict_linear_24h", predict_linear_24h),
    Peer("predict_linear_7d", predict_linear_7d),
    Peer("drift", drift),
)
PROPHET = Peer("prophet", prophet)
