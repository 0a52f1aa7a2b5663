"""What the two opinions say of a fleet's own past, what is said in the end, and what came.

    python -m data.prior --data DIR --leave-one-out --out-dir PRIORS
    python tests/bench/opinions.py --priors PRIORS [--stems STEM ...] [--every N]

Each file is walked forward: on every N-th of its origins the fleet's layer is learnt from what had settled by then, and
news is asked about (virtual limits that were not reached in the week before) of all series where the crossing model
sees a risk of 3 % or more. For straight lines, other lines, other climbs and all else: questions, the share that
crossed, and the log loss of the crossing model, of the ensemble's paths, and of both pooled, which is what is said.
Below, of what is said with 30 to 40 %, 40 to 50 % ..., how much came.

Belongs here: judging how opinions are weighed and doubted, by lessons. Not here: the benchmark's own questions
(``accuracy.py``), by which neither is chosen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl
from prior import load, log_loss
from questions import DATA, KEYS, ROOT, STEMS

sys.path.insert(0, str(ROOT))

from data.prior.measured import read_grid, series_ids
from features.grid import Grid
from features.profiles import profile
from features.robust import median, quantiles
from forecasting.abstention import FEWEST_HOURS
from forecasting.crossing import probability
from forecasting.history import DAY, hold, look_back
from forecasting.learnt.answering import answer
from forecasting.learnt.calibration import Kinds
from forecasting.learnt.learning import learn_fleet
from forecasting.learnt.lessons import LASTS_H, outcome, settled, settling_h
from forecasting.learnt.lines import CLIMBS
from forecasting.learnt.model import CrossingModel, Prior
from forecasting.models.registry import FLEET
from forecasting.options import ForecastingOptions
from forecasting.pooling import AT_RISK, LINES, pooled
from forecasting.school import SETTLING_H, Class, teach
from forecasting.tables import HORIZONS

OPTIONS = ForecastingOptions()
FIRST = 3  # night of those asked: before it hardly anything has settled
LIMITS = 3  # a series and night
NEAREST, FURTHEST = 0.3, 3.0  # headroom in spreads of the last week, every doubling as likely
BINS = np.arange(0.3, 1.0, 0.1)
CHUNK = 250  # series at once
KINDS = ("straight lines", "other lines", "other climbs", "all else")
HEAD = ("file", "what", "h", "asked", "came", "model", "paths", "said", "what came of what is said")
LINE = "{:22} {:14} {:>4} {:>6} {:>5} {:>7} {:>7} {:>7}  {}\n"


@dataclass(frozen=True)
class Opinions:
    """N questions: p of the model, of the paths and of both, and what came, each [N, len(HORIZONS)]; kind: str [N]."""

    model: np.ndarray
    paths: np.ndarray
    said: np.ndarray
    came: np.ndarray
    kind: np.ndarray

    @property
    def within(self) -> np.ndarray:
        """The paths' shares, never quite 0 or 1: a few hundred paths cannot tell."""
        return np.clip(self.paths, 1e-3, 1 - 1e-3)


def walk(path: Path, prior: Prior, every: int) -> Iterator[Opinions]:
    """A file's opinions, night by night."""
    grid, metric = _read(path)
    upwards = np.zeros(len(grid.series_id), dtype=bool)
    begin = int(grid.hours[0].astype(np.int64))
    midnights = range(begin + DAY - begin % DAY, begin + grid.values.shape[1] - SETTLING_H, 3 * DAY)
    known = teach(Class(grid, upwards, metric, tuple(midnights), OPTIONS.history_days))
    for night in midnights[FIRST::every]:
        as_of = np.datetime64(night, "h").astype("datetime64[us]").item()
        recent = known.take(np.flatnonzero(known.origin >= night - OPTIONS.learning_days * DAY))
        model = learn_fleet(prior, settled(recent, as_of))
        for start in range(0, len(metric), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(metric)))
            yield from _asked(grid.take(rows), metric[rows], night - begin, model)


def _read(path: Path) -> tuple[Grid, np.ndarray]:
    grid = read_grid(path)
    names = series_ids(pl.read_parquet(path, columns=KEYS).with_columns(pl.col(KEYS).cast(pl.String)))
    metric = dict(names.select("series_id", "metric").iter_rows())
    return grid, np.array([metric[int(series_id)] for series_id in grid.series_id])


def _asked(grid: Grid, metric: np.ndarray, column: int, model: CrossingModel) -> Iterator[Opinions]:
    """Both opinions about some series at one night; nothing where there is no news at risk."""
    before = grid.values[:, max(0, column - DAY * OPTIONS.history_days) : column]
    held = hold(before)
    level, (low, high, highest) = median(held[:, -DAY:]), quantiles(held[:, -7 * DAY :], (0.05, 0.95, 1.0))
    able = np.flatnonzero(np.isfinite(level) & (high > low) & (np.isfinite(before).sum(axis=1) >= FEWEST_HOURS))
    if len(able) == 0:
        return
    grid, before, level, highest = grid.take(able), before[able], level[able], highest[able]
    spread = np.fmax((high - low)[able], 0.01 * np.abs(level))
    row = np.repeat(np.arange(len(able)), LIMITS)
    headroom = NEAREST * (FURTHEST / NEAREST) ** np.random.default_rng(column).random(len(row))
    limit = level[row] + headroom * spread[row]
    tonight = Grid(
        grid.series_id, (grid.hours[0] + np.timedelta64(column, "h")).astype("datetime64[us]").item(), before
    )
    shape = profile(tonight)["shape"].to_numpy().astype(str)
    asked = pl.DataFrame({"row": row, "direction": "up", "lasts_h": LASTS_H, "value": limit})
    found = answer(tonight, asked, model, OPTIONS.history_days, Kinds(shape, metric[able]))
    at = np.flatnonzero((highest[row] < limit) & ~found.crossed & (found.p[:, -1] >= AT_RISK))
    if len(at) == 0:
        return
    drawn, of = np.unique(row[at], return_inverse=True)
    history = look_back(tonight.take(drawn), SETTLING_H, OPTIONS.history_days)
    paths = FLEET.fit(history).paths().take(of)
    theirs = probability(paths, limit[at], LASTS_H, "up", HORIZONS).p
    line, straight = np.isin(shape[row[at]], LINES), found.straight[at]
    came = np.stack([_came(grid.values, column, horizon, row[at], limit[at]) for horizon in HORIZONS], axis=1)
    climbs = np.isin(shape[row[at]], CLIMBS) | (straight > 0.5)
    kind = np.select([line & (straight > 0.5), line, climbs], KINDS[:3], KINDS[3])
    yield Opinions(found.p[at], theirs, pooled(found.p[at], theirs, line, straight), came, kind)


def _came(values: np.ndarray, column: int, horizon: int, row: np.ndarray, limit: np.ndarray) -> np.ndarray:
    ahead = hold(values[:, : column + settling_h(horizon)])[:, column:]
    return outcome(ahead[row], limit, horizon, LASTS_H)


def rows(stem: str, found: Opinions) -> Iterator[tuple[object, ...]]:
    """The table's rows about one file."""
    for kind in KINDS:
        for h, horizon in enumerate(HORIZONS):
            of = np.flatnonzero((found.kind == kind) & np.isfinite(found.came[:, h]))
            if len(of):
                came, said = found.came[of, h], found.said[of, h]
                losses = [f"{log_loss(p[of, h], came).mean():.4f}" for p in (found.model, found.within, found.said)]
                yield stem, kind, horizon, len(of), f"{came.mean():.2f}", *losses, _bins(said, came)


def _bins(said: np.ndarray, came: np.ndarray) -> str:
    inside = [(low, (said >= low) & (said < low + 0.1)) for low in BINS]
    return "  ".join(f"{low:.1f}: {came[of].mean():.2f} of {of.sum()}" for low, of in inside if of.any())


def together(parts: Iterator[Opinions]) -> Opinions | None:
    every = list(parts)
    if not every:
        return None
    return Opinions(*(np.concatenate([getattr(part, one.name) for part in every]) for one in fields(Opinions)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What two opinions say of fleets' own past, and what came.")
    parser.add_argument("--priors", required=True, help="folder of <STEM>.json.gz, or none")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--stems", nargs="+", default=STEMS, metavar="STEM")
    parser.add_argument(
        "--every", type=int, default=3, metavar="N", help="nights, of those three days apart; default: 3"
    )
    given = parser.parse_args(arguments)
    sys.stdout.write(LINE.format(*HEAD))
    for stem in given.stems:
        found = together(walk(given.data / f"metrics_{stem}.parquet", load(given.priors, stem), given.every))
        if found:
            sys.stdout.writelines(LINE.format(*row) for row in rows(stem, found))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
