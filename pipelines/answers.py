"""Answers about one fleet on many nights, each as the nightly run of that night would give it.

Belongs here: which nights are taken together, and what they share. Not here: how a night learns and answers
(``forecasting.school``, ``forecasting.night``), or files.

A lesson is the same on every night that meets it, so it is made once; nights that may learn from the very same lessons
share a model. Which questions are put decides what is computed, never what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import polars as pl

from features.grid import Grid, to_grid
from features.signals import ConstantLimit, Signal
from forecasting.abstention import FAILED
from forecasting.batch import Batch, metrics
from forecasting.learnt.learning import learn_fleet
from forecasting.learnt.lessons import EMPTY, Lessons, settled, together
from forecasting.learnt.model import CrossingModel, Prior
from forecasting.mapper import Mapper, Serial
from forecasting.night import score_fleet
from forecasting.options import ForecastingOptions
from forecasting.school import SETTLING_H, Class, Learnt, gather, teachers, timetable
from forecasting.tables import CALIBRATION, HORIZONS, LIMITS, MISSING

CHUNK = 250  # series at once
TERM = timedelta(days=60)  # nights whose lessons lie in memory together
EPOCH = datetime(1970, 1, 1)
HOUR = timedelta(hours=1)
ASKED = Signal(name="asked", metric="*", limits=[ConstantLimit(name="asked", value=0)])

TIME = pl.Datetime("us")
ANSWERS = {
    "question": pl.UInt32,
    **{f"p_{horizon}h": pl.Float64 for horizon in HORIZONS},
    "eta_p10": TIME,
    "eta_p50": TIME,
    "eta_p90": TIME,
    "state": pl.String,
    "model": pl.String,
    "reason": pl.String,
}

Load = Callable[[Sequence[int]], pl.DataFrame]
"""series_id, hour, mean of some series, given in ascending order."""


@dataclass(frozen=True)
class Fleet:
    """What can be asked about.

    series: series_id, metric, first_hour (naive UTC): every series, asked about or not.
    """

    series: pl.DataFrame
    load: Load

    def seen(self, as_of: datetime) -> pl.Series:
        """The series that have a past at as_of."""
        return self.series.filter(pl.col("first_hour") < as_of)["series_id"]

    def chunks(self, series_id: np.ndarray) -> Iterator[pl.DataFrame]:
        """The hours of some series, in ascending order, some series at a time."""
        for start in range(0, len(series_id), CHUNK):
            yield self.load(series_id[start : start + CHUNK].tolist())


@dataclass(frozen=True)
class Answering:
    """How a fleet's questions are answered.

    prior: what is known before the fleet has a past. mapper: who does the work.
    """

    fleet: Fleet
    prior: Prior
    options: ForecastingOptions
    mapper: Mapper

    def answer(self, questions: pl.DataFrame, progress: Callable[[int], None] = lambda questions: None) -> pl.DataFrame:
        """An answer to every question, by its number; the columns of `ANSWERS`.

        Args:
            questions: question (its number), series_id, as_of (naive UTC, on a full hour), limit (finite).
            progress: is told how many more are answered.
        """
        found = [pl.DataFrame(schema=ANSWERS)]
        for _, alike in questions.group_by(pl.col("as_of").dt.hour(), maintain_order=True):
            known = EMPTY  # origins keep as_of's hour of the day, so other hours share none
            for nights in _terms(alike["as_of"].unique().sort().to_list()):
                known = self._lessons(nights, known)
                models = self._models(nights, known)
                own = alike.filter(pl.col("as_of").is_in(nights))
                for part in self.mapper.map(partial(_answer, options=self.options), self._sittings(own, models)):
                    found.append(part)
                    progress(len(part))
        return pl.concat(found).sort("question")

    def _lessons(self, nights: Sequence[datetime], known: Lessons) -> Lessons:
        """The lessons of all nights of a term; those of `known` that are still wanted are not made again.

        What was made stays complete: a series that joins the teachers later was not there before, so it taught nothing.
        """
        wanted = sorted({origin for night in nights for origin in timetable(night, self.options)})
        done = set(known.origin.tolist())
        new = tuple(at for at in wanted if at not in done and self.fleet.seen(_moment(at)).len())
        kept = known.take(np.flatnonzero(np.isin(known.origin, wanted)))
        return together([kept, gather(self._classes(nights, new), self.mapper)]) if new else kept

    def _classes(self, nights: Sequence[datetime], origins: tuple[int, ...]) -> Iterator[Class]:
        teaching = np.unique(np.concatenate([self._teachers(night) for night in nights]))
        until = _moment(origins[-1] + SETTLING_H)
        hours = 24 * self.options.history_days + origins[-1] + SETTLING_H - origins[0]
        for part in self.fleet.chunks(teaching):
            grid = to_grid(part, until, hours)
            falling = np.zeros(len(grid.series_id), dtype=bool)
            yield Class(grid, falling, metrics(self.fleet.series, grid.series_id), origins, self.options.history_days)

    def _teachers(self, night: datetime) -> np.ndarray:
        return teachers(self.fleet.seen(night), self.options).to_numpy()

    def _models(self, nights: Sequence[datetime], known: Lessons) -> list[tuple[CrossingModel, list[datetime]]]:
        """The nights that may learn from the same lessons, with what they learn from them."""
        rows: dict[tuple[bytes, bytes], np.ndarray] = {}
        sharing: dict[tuple[bytes, bytes], list[datetime]] = {}
        for night in nights:
            may = np.isin(known.origin, timetable(night, self.options))
            may &= np.isin(known.series_id, self._teachers(night))
            taught = settled(known.take(np.flatnonzero(may)), night)
            key = (np.packbits(may).tobytes(), np.packbits(np.isfinite(taught.crossed)).tobytes())
            rows[key] = np.flatnonzero(may)
            sharing.setdefault(key, []).append(night)
        lessons = (settled(known.take(rows[key]), nights[0]) for key, nights in sharing.items())
        return list(zip(self.mapper.map(partial(learn_fleet, self.prior), lessons), sharing.values(), strict=True))

    def _sittings(
        self, questions: pl.DataFrame, models: Sequence[tuple[CrossingModel, list[datetime]]]
    ) -> Iterator[_Sitting]:
        for model, nights in models:
            for night in nights:
                own = questions.filter(pl.col("as_of") == night)
                for hours in self.fleet.chunks(own["series_id"].unique().sort().to_numpy()):
                    grid = to_grid(hours, night, 24 * self.options.history_days)
                    ours = own.filter(pl.col("series_id").is_in(hours["series_id"].unique().implode()))
                    yield _Sitting(_batch(grid, ours, self.fleet.series), model)


def _terms(nights: Sequence[datetime]) -> Iterator[list[datetime]]:
    """Ascending nights in stretches that begin within `TERM`."""
    term: list[datetime] = []
    for night in nights:
        if term and night - term[0] >= TERM:
            yield term
            term = []
        term.append(night)
    yield term


@dataclass(frozen=True)
class _Sitting:
    """Some series on a night, and what the night has learnt."""

    batch: Batch
    model: CrossingModel


def _batch(grid: Grid, questions: pl.DataFrame, fleet: pl.DataFrame) -> Batch:
    """The questions about a grid's series, each as a limit of its series.

    Args:
        fleet: series_id, metric.
    """
    limits = questions.select(
        "series_id",
        pl.col("question").cast(pl.String).alias("limit_name"),
        pl.lit(grid.as_of, TIME).alias("valid_from"),
        pl.lit(ASKED.name).alias("signal"),
        pl.lit(ASKED.direction).alias("direction"),
        pl.col("limit").alias("value"),
        pl.lit(ASKED.lasts_hours, pl.Int32).alias("lasts_h"),
        pl.lit("asked").alias("basis"),
    )
    series = pl.DataFrame({"series_id": grid.series_id}).with_columns(
        pl.Series("metric", metrics(fleet, grid.series_id)), pl.lit(None, pl.String).alias("unit")
    )
    return Batch(grid, series, limits.select(list(LIMITS)), pl.DataFrame(schema=MISSING), (ASKED,))


def _answer(sitting: _Sitting, options: ForecastingOptions) -> pl.DataFrame:
    """What the night says, one row a question."""
    learnt = Learnt(sitting.model, pl.DataFrame(schema=CALIBRATION))
    scores = score_fleet([sitting.batch], learnt, options, Serial())
    failed = scores.failures.group_by("series_id").agg(pl.col("error").first())
    why = pl.when(pl.col("reason") == FAILED).then(pl.format("{} ({})", "reason", "error")).otherwise("reason")
    risks = scores.risks.join(failed, on="series_id", how="left").with_columns(why.alias("reason"))
    p = [pl.col("p").get(at).alias(f"p_{horizon}h") for at, horizon in enumerate(HORIZONS)]
    rest = [pl.col(name).first() for name in ("eta_p10", "eta_p50", "eta_p90", "state", "model", "reason")]
    once = risks.sort("limit_name", "horizon_h").group_by("limit_name", maintain_order=True).agg(*p, *rest)
    return once.with_columns(pl.col("limit_name").cast(pl.UInt32).alias("question")).select(list(ANSWERS))


def _moment(hours: int) -> datetime:
    return EPOCH + hours * HOUR
