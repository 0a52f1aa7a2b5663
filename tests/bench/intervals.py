"""Bootstrap intervals over series and weeks.

Questions about one series are alike, and so are those of one week, in which a whole fleet may have moved. So both are
drawn with replacement, within each source, and a question counts as often as its series and its week were drawn
together: the pigeonhole bootstrap (Owen, Annals of Applied Statistics 2007), which errs on the wide side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from measures import Board, Scorer
from questions import KEYS

SHARES = (0.05, 0.95)  # of the replicates: a 90 % interval


@dataclass(frozen=True)
class Clusters:
    """Of the ordinary questions and then the creeps' [N + M]: numbers of their series and weeks; [C]: their sources."""

    series: np.ndarray
    weeks: np.ndarray
    source_of_series: np.ndarray
    source_of_week: np.ndarray
    ordinary: int


def clusters(board: Board) -> Clusters:
    ordinary = board.truth.select(*KEYS, at="as_of")
    creeps = board.rises.select(*KEYS, at=pl.col("as_of") + pl.duration(hours=pl.col("hit_h")))  # one week an event
    both = pl.concat([ordinary, creeps]).select(
        pl.col("source").rank("dense").alias("source") - 1,
        pl.struct(KEYS).rank("dense").alias("series") - 1,
        pl.struct("source", pl.col("at").dt.epoch("d") // 7).rank("dense").alias("week") - 1,
    )
    source, series, week = (both[name].to_numpy().astype(np.int64) for name in ("source", "series", "week"))
    owners = []
    for number in (series, week):
        owner = np.zeros(number.max() + 1, dtype=np.int64)
        owner[number] = source
        owners.append(owner)
    return Clusters(series, week, *owners, ordinary=len(ordinary))


def draws(of: Clusters, asked: np.ndarray, replicates: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights of the ordinary questions and of the creeps', a pair a replicate; only what was `asked` [N] is drawn."""
    rng = np.random.default_rng(seed)
    present = np.r_[asked, np.ones(len(of.series) - of.ordinary, dtype=bool)]
    for _ in range(replicates):
        series = _drawn(rng, of.source_of_series, of.series[present])
        weeks = _drawn(rng, of.source_of_week, of.weeks[present])
        weight = (series[of.series] * weeks[of.weeks]).astype(np.float64)
        yield weight[: of.ordinary], weight[of.ordinary :]


def _drawn(rng: np.random.Generator, source: np.ndarray, present: np.ndarray) -> np.ndarray:
    """int64 [C]: how often each cluster was drawn, as many within a source as it has."""
    times = np.zeros(len(source), dtype=np.int64)
    there = np.unique(present)
    for one in np.unique(source[there]):
        own = there[source[there] == one]
        times[own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)))
    return times


def intervals(scorer: Scorer, replicates: int, *, creeps: bool = True) -> dict[str, tuple[float, float]]:
    """The 90 % interval of every measure. The same draws for every forecaster of a board and a sample."""
    found = [
        scorer.measure(weight, creep if creeps else None)
        for weight, creep in draws(clusters(scorer.board), scorer.asked, replicates)
    ]
    told = {}
    for name in found[0]:
        values = np.array([one[name] for one in found])
        values = values[~np.isnan(values)]
        if len(values):
            low, high = np.quantile(values, SHARES)
            told[name] = (float(low), float(high))
    return told
