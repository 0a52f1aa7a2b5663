"""One past night, from its hours to its risks, by the very steps of the nightly job.

Belongs here: what a night gets to see, and what of its conclusions is kept. Not here: tickets, which depend on the
nights before (``policy``).

Nights do not depend on one another but for their tickets, so they are played side by side, each in a process.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from features.grid import to_grid
from features.known_bad import hide
from forecasting.batch import metrics
from forecasting.learnt.learning import learn_fleet
from forecasting.learnt.lessons import EMPTY, Lessons, settled
from forecasting.learnt.model import Prior
from forecasting.mapper import Mapper, Serial
from forecasting.school import SETTLING_H, Class, Learnt, gather, teachers, timetable
from forecasting.tables import CALIBRATION
from pipelines import history, steps
from pipelines.maintenance import nights as maintenance
from pipelines.replay.past import Past
from pipelines.replay.rules import alerts
from pipelines.settings import Settings, cut
from pipelines.site import Night, Site

KEPT = ("risks", "profiles", "limits", "forecasts", "failures", "alerts")
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Task:
    """A night to be played.

    known: the lessons that had settled by then. out: where its frames go, `KEPT`.
    """

    settings: Settings
    past: Path
    date: date
    prior: Prior
    known: Lessons
    out: Path


def play(task: Task) -> date:
    """Play one night and keep what it says; whole or not at all."""
    past = Past(task.past)
    working = task.out.with_name(f".{task.out.name}.partial")
    shutil.rmtree(working, ignore_errors=True)
    settings = task.settings.model_copy(
        update={"storage": task.settings.storage.model_copy(update={"root": str(working)})}
    )
    night = Night(Site(settings), task.date, "replay", cut(task.date, settings.zone))
    seen = past.seen(night.as_of).drop("first_hour")
    watched = steps.watched_series(night, seen)
    maintenance.apply(night, seen, past.windows)
    first = night.as_of - timedelta(hours=steps.history_hours(night))
    night.frames.write(history.HISTORY, past.hours(watched["series_id"].to_list(), first, night.as_of))
    limits = steps.resolve_limits(night, watched, past.levels(steps.limit_metrics(night), night.as_of))
    learnt = Learnt(learn_fleet(task.prior, task.known), pl.DataFrame(schema=CALIBRATION))
    scores = steps.score(night, watched, limits, learnt, mapper=Serial())
    said = {
        "risks": scores.risks,
        "profiles": scores.profiles.select("series_id", "level", "shape"),
        "limits": limits.resolved,
        "forecasts": scores.forecasts,
        "failures": scores.failures,
        "alerts": alerts(night, watched, limits.resolved),
    }
    for name, frame in said.items():
        frame.write_parquet(working / f"{name}.parquet", compression="zstd", compression_level=1)
    shutil.rmtree(working / "staging")
    working.replace(task.out)
    return task.date


def lessons(settings: Settings, past: Past, nights: Sequence[date], mapper: Mapper) -> Iterator[tuple[date, Lessons]]:
    """What each night could learn from. A lesson is the same on every night that meets it, so it is made once."""
    options = settings.forecasting
    cuts = {night: cut(night, settings.zone) for night in nights}
    for hour in sorted({as_of.hour for as_of in cuts.values()}):  # origins keep the hour of day of their night's cut
        alike = {night: as_of for night, as_of in cuts.items() if as_of.hour == hour}
        wanted = sorted({origin for as_of in alike.values() for origin in timetable(as_of, options)})
        newest = max(alike.values())
        known = gather(_classes(settings, past, newest, wanted), mapper) if wanted else EMPTY
        for night, as_of in alike.items():
            watched = _watched(settings, past, as_of)
            mine = np.isin(known.series_id, teachers(watched["series_id"], options).to_numpy())
            mine &= np.isin(known.origin, timetable(as_of, options))
            yield night, settled(known.take(np.flatnonzero(mine)), as_of)


def _watched(settings: Settings, past: Past, as_of: datetime) -> pl.DataFrame:
    night = Night(Site(settings), as_of.date(), "replay", as_of)
    return steps.watched_series(night, past.seen(as_of).drop("first_hour"))


def _classes(settings: Settings, past: Past, newest: datetime, origins: Sequence[int]) -> Iterator[Class]:
    """All that ever teach, with all origins; before it was there, a series teaches nothing."""
    options = settings.forecasting
    watched = _watched(settings, past, newest)
    until = EPOCH + timedelta(hours=origins[-1] + SETTLING_H)
    hours = 24 * options.history_days + origins[-1] + SETTLING_H - origins[0]
    down = [signal.name for signal in settings.signals.all if signal.direction == "down"]
    falling = watched.filter(pl.col("signal").is_in(down))["series_id"].to_numpy()
    ids = watched["series_id"].to_list()
    for start in range(0, len(ids), steps.TEACHING_BATCH):
        part = past.hours(ids[start : start + steps.TEACHING_BATCH], until - timedelta(hours=hours), until)
        grid = hide(to_grid(part, until, hours), past.masks)
        falls, metric = np.isin(grid.series_id, falling), metrics(watched, grid.series_id)
        yield Class(grid, falls, metric, tuple(origins), options.history_days)
