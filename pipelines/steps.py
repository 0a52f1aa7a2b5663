"""What a night concludes from its hours, step by step: the same steps for Dagster's assets and for a replay.

Belongs here: a step as load, call a pure room, give back. Not here: Dagster, what is staged or published, or what the
rooms make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
import polars as pl

from features.grid import Grid
from features.signals import match
from forecasting.batch import Batch, metrics
from forecasting.limits import Limits, companion_metrics, hours_needed, resolve
from forecasting.mapper import Mapper
from forecasting.night import Scores, score_fleet
from forecasting.school import Class, Learnt
from forecasting.tables import LIMITS, MISSING
from pipelines import history
from pipelines.site import Night
from reports.ticket_events import fold
from reports.ticket_policy import TicketPolicy, decide

TEACHING_BATCH = 250  # series at once: they reach twice as far back as those that are scored

Advance = Callable[[int], None]


def watched_series(night: Night, series: pl.DataFrame) -> pl.DataFrame:
    """The series that a signal is about, with its name; by series_id."""
    return match(series, night.settings.signals.all).join(series, on="series_id").sort("series_id")


def history_hours(night: Night) -> int:
    """How far back a night looks."""
    return max(24 * night.settings.forecasting.history_days, hours_needed(night.settings.signals.all))


def teaching_hours(night: Night) -> int:
    """How far back those look that teach."""
    options = night.settings.forecasting
    return 24 * (options.history_days + options.learning_days)


def limit_metrics(night: Night) -> list[str]:
    """Metrics whose series serve as limits of others."""
    return companion_metrics(night.settings.signals.all)


def resolve_limits(
    night: Night, watched: pl.DataFrame, companions: pl.DataFrame, advance: Advance = lambda series: None
) -> Limits:
    """Which limit holds for which series tonight, by series and limit.

    Args:
        companions: source, entity, metric, labels, level of the series of `limit_metrics`.
    """
    signals = night.settings.signals.all
    resolved, missing = [pl.DataFrame(schema=LIMITS)], [pl.DataFrame(schema=MISSING)]
    for grid in history.grids(night.frames, watched["series_id"].to_list(), night.as_of, history_hours(night)):
        part = watched.filter(_among(grid))
        found = resolve(part, part.select("series_id", "signal"), signals, grid, companions)
        resolved.append(found.resolved)
        missing.append(found.missing)
        advance(len(part))
    return Limits(*(pl.concat(part).sort("series_id", "limit_name") for part in (resolved, missing)))


def classes(night: Night, watched: pl.DataFrame, teaching: pl.Series, origins: Sequence[int]) -> Iterator[Class]:
    """The series that teach, with the moments at which they do."""
    options, signals = night.settings.forecasting, night.settings.signals.all
    down = [signal.name for signal in signals if signal.direction == "down"]
    falling = watched.filter(pl.col("signal").is_in(down))["series_id"].to_numpy()
    for grid in history.grids(
        night.frames,
        teaching.to_list(),
        night.as_of,
        teaching_hours(night),
        name=history.TEACHERS,
        batch=TEACHING_BATCH,
    ):
        falls, metric = np.isin(grid.series_id, falling), metrics(watched, grid.series_id)
        yield Class(grid, falls, metric, tuple(origins), options.history_days)


def score(
    night: Night,
    watched: pl.DataFrame,
    limits: Limits,
    learnt: Learnt,
    *,
    mapper: Mapper,
    advance: Advance = lambda series: None,
) -> Scores:
    """Probabilities, paths and facts of every limit."""
    return score_fleet(
        _batches(night, watched, limits),
        learnt,
        night.settings.forecasting,
        mapper,
        lambda stage, done: advance(done) if stage == "score" else None,
    )


def _batches(night: Night, watched: pl.DataFrame, limits: Limits) -> Iterator[Batch]:
    """The watched series with their limits, as the forecasting room wants them."""
    signals = night.settings.signals.all
    for grid in history.grids(night.frames, watched["series_id"].to_list(), night.as_of, history_hours(night)):
        ours = _among(grid)
        yield Batch(grid, watched.filter(ours), limits.resolved.filter(ours), limits.missing.filter(ours), signals)


def decide_tickets(
    as_of: datetime,
    policy: TicketPolicy,
    risks: pl.DataFrame,
    profiles: pl.DataFrame,
    series: pl.DataFrame,
    *,
    earlier_risks: pl.DataFrame,
    events: pl.DataFrame,
    held: pl.Series | None = None,
) -> pl.DataFrame:
    """A night's ticket events.

    Args:
        risks, profiles: of the night. series: all that is known of any.
        earlier_risks: of the policy's lookback at least. events: of the nights before at least.
        held: series_id of the series in a known-bad window.
    """
    tickets = fold(events, before=as_of)
    return decide(risks, series, profiles, earlier_risks, tickets, policy=policy, as_of=as_of, held=held)


def _among(grid: Grid) -> pl.Expr:
    return pl.col("series_id").is_in(pl.Series(grid.series_id, dtype=pl.UInt64).implode())
