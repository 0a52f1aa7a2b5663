"""The benchmark's measures under weights, so that a bootstrap costs seconds; with unit weights they are crossing.py's.

Belongs here: what ``crossing.py score`` computes, as weighted sums over arrays. Not here: how weights are drawn
(``intervals``). ``accuracy`` refuses to publish where the two disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import SupportsFloat

import numpy as np
import polars as pl
from persistence import HORIZONS
from questions import KEYS, ON

OPEN_AT = 0.7
LEVELS = np.arange(0.99, 0.04, -0.01)
MOST_FALSE = 1.0  # tickets per 100 series-weeks
EPISODE_H = HORIZONS[-1]
STEP_H = 72
LEADS = (24, 48, 72)  # hours
FEWEST = 50  # crossings, and non-crossings, without which a fleet is left out
COLUMNS = [f"p_{h}h" for h in HORIZONS]
HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Board:
    """What was asked and what came; N ordinary questions, sorted by series, headroom, as_of, and M about creeps.

    truth: ON, headroom, hit_h, y_*. rises: ON, event, hit_h.
    fleet: int64 [N]; y, base: float64 [N, 3], NaN where unknown; series, line: int64 [N]; hour: int64 [N].
    """

    truth: pl.DataFrame
    rises: pl.DataFrame
    fleet: np.ndarray
    y: np.ndarray
    base: np.ndarray
    series: np.ndarray
    line: np.ndarray
    hour: np.ndarray

    @property
    def headroom_1(self) -> np.ndarray:
        return (self.truth["headroom"] == 1.0).to_numpy()

    @cached_property
    def counted(self) -> list[tuple[int, int]]:
        """(horizon, fleet) that the macro averages count."""
        return [
            (h, fleet)
            for h in range(len(HORIZONS))
            for fleet in np.unique(self.fleet)
            if min(np.nansum(y := self.y[self.fleet == fleet, h]), np.nansum(1 - y)) >= FEWEST
        ]


def board(truth: pl.DataFrame, rises: pl.DataFrame, fleets: pl.DataFrame) -> Board:
    """Arrays of the benchmark's frames; `fleets` has source and fleet."""
    outcomes = [f"y_{h}h" for h in HORIZONS]
    table = truth.join(fleets, on="source", how="left").sort([*KEYS, "headroom", "as_of"])
    table = table.with_columns(
        *(pl.col(y).cast(pl.Float64).mean().over("source", "headroom").alias(f"base_{y}") for y in outcomes),
        pl.col("fleet").rank("dense").alias("fleet_no"),
        pl.struct(KEYS).rank("dense").alias("series_no"),
        pl.struct([*KEYS, "headroom"]).rank("dense").alias("line_no"),
    )
    return Board(
        truth=table,
        rises=rises.sort(["event", "as_of"]),
        fleet=table["fleet_no"].to_numpy().astype(np.int64),
        y=table.select(pl.col(outcomes).cast(pl.Float64).fill_null(np.nan)).to_numpy(),
        base=table.select(f"base_{y}" for y in outcomes).to_numpy(),
        series=table["series_no"].to_numpy().astype(np.int64),
        line=table["line_no"].to_numpy().astype(np.int64),
        hour=table["as_of"].to_numpy().astype("datetime64[h]").astype(np.int64),
    )


class Scorer:
    """One forecaster's answers on a board, ready to be measured under many weights.

    `asked` [N] bool: the questions that it was asked; it abstained from those of them without an answer.
    """

    def __init__(self, board: Board, answers: pl.DataFrame, asked: np.ndarray | None = None):
        self.board = board
        self.asked = np.ones(len(board.line), dtype=bool) if asked is None else asked
        known = answers.select(*ON, *COLUMNS).fill_nan(None)
        given = board.truth.select(ON).join(known, on=ON, how="left", maintain_order="left")
        p = given.select(pl.col(COLUMNS).cast(pl.Float64).fill_null(np.nan)).to_numpy()
        self.answered = int((~np.isnan(p[:, 0]) & self.asked).sum())
        self.p = np.where(np.isnan(p), board.base, p)
        self._said = np.nan_to_num(p[:, 2])  # an abstention opens no ticket, however likely a crossing usually is
        self._sorted = {
            (h, fleet): self._order(h, (board.fleet == fleet) & ~np.isnan(board.y[:, h])) for h, fleet in board.counted
        }
        rises = board.rises.join(known, on=ON, how="left", maintain_order="left")
        self.creep_p = rises["p_168h"].fill_null(0.0).to_numpy()
        self._creeps = {lead: self._creep_events(lead) for lead in LEADS}
        self._first = {float(level): self._alerts(level, board.headroom_1) for level in (*LEVELS, OPEN_AT)}
        self._tickets = self._alerts(OPEN_AT, self.asked)

    def measure(self, weight: np.ndarray, creep_weight: np.ndarray | None = None) -> dict[str, float]:
        """The benchmark's figures with question i counted weight[i] times; NaN where there is nothing to count."""
        weight = weight * self.asked
        found = {}
        for h, hours in enumerate(HORIZONS):
            counted = [self._fleet(h, fleet, weight) for one, fleet in self.board.counted if one == h]
            found[f"skill_{hours}h"], found[f"ap_{hours}h"] = np.nanmean(counted, axis=0) if counted else (np.nan,) * 2
            found[f"calibration_{hours}h"] = self._calibration(h, weight)
        came = self.board.y[self._tickets, 2]
        found["precision"] = _ratio(weight[self._tickets] @ came, weight[self._tickets].sum())
        found["false_tickets"] = self._false_rate(OPEN_AT, weight)
        if creep_weight is not None:
            bar = self.bar(weight)
            for lead in LEADS:
                found[f"creeps_{lead}h"] = self._caught(OPEN_AT, lead, creep_weight)
                found[f"creeps_{lead}h_at_bar"] = self._caught(bar, lead, creep_weight)
        return found

    def bar(self, weight: np.ndarray) -> float:
        """The lowest level whose false tickets stay within the most allowed; infinite where none does."""
        bar = np.inf
        for level in LEVELS:
            if self._false_rate(float(level), weight) > MOST_FALSE:
                break
            bar = float(level)
        return bar

    def tickets(self) -> int:
        return len(self._tickets)

    def _order(self, h: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the mask, the most probable first, and the last of each run of ties."""
        rows = np.flatnonzero(mask & self.asked)
        rows = rows[np.argsort(-self.p[rows, h], kind="stable")]
        return rows, np.r_[np.flatnonzero(np.diff(self.p[rows, h])), len(rows) - 1]

    def _fleet(self, h: int, fleet: int, weight: np.ndarray) -> tuple[float, float]:
        """Brier skill and average precision."""
        rows, last = self._sorted[h, fleet]
        w, y, p, base = weight[rows], self.board.y[rows, h], self.p[rows, h], self.board.base[rows, h]
        skill = 1 - _ratio(w @ np.square(p - y), w @ np.square(base - y))
        hits, calls = np.cumsum(w * y)[last], np.cumsum(w)[last]
        if len(rows) == 0 or hits[-1] == 0:
            return skill, np.nan
        precision = hits / np.maximum(calls, np.finfo(float).tiny)
        return skill, float(np.sum(np.diff(np.r_[0.0, hits / hits[-1]]) * precision))

    def _calibration(self, h: int, weight: np.ndarray) -> float:
        """Mean distance of what was said from what came, over ten bins."""
        known = ~np.isnan(self.board.y[:, h])
        w, p, y = weight[known], self.p[known, h], self.board.y[known, h]
        bins = np.clip(np.floor(p * 10 + 1e-9), 0, 9).astype(np.int64)
        said, came = (np.bincount(bins, w * column, minlength=10) for column in (p, y))
        return _ratio(np.abs(said - came).sum(), w.sum())

    def _alerts(self, level: float, mask: np.ndarray) -> np.ndarray:
        """Rows that open a ticket: at or above the level, and more than an episode after the one before."""
        rows = np.flatnonzero((self._said >= level) & ~np.isnan(self.board.y[:, 2]) & mask & self.asked)
        line, hour = self.board.line[rows], self.board.hour[rows]
        new = np.r_[True, (np.diff(line) != 0) | (np.diff(hour) > EPISODE_H)][: len(rows)]
        return rows[new]

    def _false_rate(self, level: float, weight: np.ndarray) -> float:
        """False tickets per 100 series-weeks, among the questions of headroom 1."""
        first = self._first[level]
        return 100 * _ratio(weight[first] @ (1 - self.board.y[first, 2]), max(self._weeks(weight), 1.0))

    def _weeks(self, weight: np.ndarray) -> float:
        """Series-weeks asked about: a night of headroom 1 stands for 72 hours."""
        known = self.board.headroom_1 & ~np.isnan(self.board.y[:, 2])
        return float(weight[known].sum()) * STEP_H / EPISODE_H

    def _creep_events(self, lead: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each creep that was asked at least `lead` hours ahead: its source, a row of it, the highest p by then."""
        events = (
            self.board.rises.with_columns(pl.Series("p", self.creep_p), pl.col("source").rank("dense"))
            .with_row_index()
            .filter(pl.col("hit_h") >= lead)
            .group_by("source", "event")
            .agg(pl.col("index").first(), pl.col("p").max())
            .sort("event")
        )
        return tuple(events[name].to_numpy() for name in ("source", "index", "p"))  # pyright: ignore[reportReturnType]

    def _caught(self, level: float, lead: int, weight: np.ndarray) -> float:
        """Share of the creeps raised at least `lead` hours ahead, macro over sources."""
        source, row, p = self._creeps[lead]
        drawn = np.bincount(source, weight[row])
        raised = np.bincount(source, weight[row] * (p >= level))
        return float(np.mean(raised[drawn > 0] / drawn[drawn > 0])) if drawn.any() else np.nan


def _ratio(part: SupportsFloat, whole: SupportsFloat) -> float:
    return float(part) / float(whole) if float(whole) > 0 else np.nan


def inside(truth: pl.DataFrame, answers: pl.DataFrame) -> float | None:
    """Share of the crossings that came within the longest horizon whose hour touches [eta_p10, eta_p90]."""
    if "eta_p10" not in answers.columns:
        return None
    utc = pl.Datetime("us", "UTC")
    etas = [_as_utc(pl.col(name), answers.schema[name]).alias(name) for name in ("eta_p10", "eta_p90")]
    came = (
        truth.filter(pl.col("y_168h") & (pl.col("hit_h") < HORIZONS[-1]))
        .join(answers.select(*ON, *etas), on=ON)
        .filter(pl.col("eta_p10").is_not_null())
    )
    at = (pl.col("as_of") + pl.duration(hours=pl.col("hit_h"))).cast(utc)
    touched = (pl.col("eta_p10") < at + pl.duration(hours=1)) & (at <= pl.col("eta_p90"))
    return came.select(touched.mean()).item()


def _as_utc(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    naive = isinstance(dtype, pl.Datetime) and dtype.time_zone is None
    return column.dt.replace_time_zone("UTC") if naive else column.dt.convert_time_zone("UTC")
