"""A batch from values to rows, in one pass: profile, answers, paths, rows. This is what workers run.

Every series is profiled, and every limit answered by the crossing model, which is cheap. Paths cost ten times as much;
they are drawn where there may be a risk, as a second opinion and to show how it may come about.

Belongs here: the order of the steps, and what happens when a series breaks one of them. Not here: the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from features.profiles import SCHEMA as PROFILES
from features.profiles import profile
from forecasting.abstention import FAILED, FEWEST_HOURS, NO_RECENT_DATA, reasons, unscored
from forecasting.assessment import Asked, bounded, forecasts, risks
from forecasting.backtest import CUTS, backtest
from forecasting.batch import Batch, Scored, metrics
from forecasting.history import History, look_back
from forecasting.learnt.answering import Answers, answer
from forecasting.learnt.calibration import Kinds
from forecasting.learnt.model import CrossingModel
from forecasting.models.ensemble import Fitted
from forecasting.models.registry import FLEET, PROPHET, STRUCTURAL
from forecasting.options import ForecastingOptions
from forecasting.paths import Paths
from forecasting.pooling import AT_RISK, Drawn, pool
from forecasting.tables import BACKTESTS, FAILURES, FORECASTS, HORIZONS, RISKS
from forecasting.tournament import candidates, contest, rhythmic, wins

CHUNK = 250  # series at once: their paths take some 100 MB
LONGEST_ERROR = 300  # characters

Result = TypeVar("Result")


def score_batch(batch: Batch, options: ForecastingOptions, model: CrossingModel) -> Scored:
    """Profiles of all series of the batch, and risks of all its limits.

    A series that raises is listed in failures and abstained from; its batch is not lost.
    """
    profiled, failures = _guarded("profile", lambda part: profile(part.grid, part.falling), batch, batch.grid.series_id)
    profiles = pl.concat([PROFILES.to_frame(), *profiled])
    silent = _silent(batch, failures, options)
    able = np.setdiff1d(batch.limits["series_id"].to_numpy(), silent["series_id"].to_numpy())
    parts: list[Scored] = []
    for start in range(0, len(able), CHUNK):
        scored, failed = _guarded(
            "score", lambda part: _score_series(part, profiles, options, model), batch, able[start : start + CHUNK]
        )
        parts += scored
        failures = pl.concat([failures, failed])
    silent = pl.concat([silent, _failed(failures.join(silent, on="series_id", how="anti"))])
    abstained = unscored(batch.limits, silent, batch.missing)
    every = pl.concat([abstained.with_columns(as_of=pl.lit(batch.grid.as_of)).cast(RISKS), *(p.risks for p in parts)])  # pyright: ignore[reportArgumentType]
    entrants = candidates(every, profiles)["series_id"].head(options.prophet_series).to_numpy()
    return Scored(
        profiles=profiles,
        risks=every,
        forecasts=pl.concat([pl.DataFrame(schema=FORECASTS), *(part.forecasts for part in parts)]),
        backtests=pl.concat([pl.DataFrame(schema=BACKTESTS), *(part.backtests for part in parts)]),
        failures=failures,
        entrants=batch.only(entrants) if len(entrants) else None,
    )


def contest_batch(batch: Batch, options: ForecastingOptions, model: CrossingModel) -> Scored:
    """Prophet's backtests on the batch's series; forecasts of those where it wins, and their risks with the facts anew.

    A series that raises keeps what it had, and is listed in failures.
    """
    parts, failures = _guarded("prophet", lambda part: _contest(part, options, model), batch, batch.grid.series_id)
    return Scored(
        profiles=pl.concat([PROFILES.to_frame(), *(part.profiles for part in parts)]),
        risks=pl.concat([pl.DataFrame(schema=RISKS), *(part.risks for part in parts)]),
        forecasts=pl.concat([pl.DataFrame(schema=FORECASTS), *(part.forecasts for part in parts)]),
        backtests=pl.concat([pl.DataFrame(schema=BACKTESTS), *(part.backtests for part in parts)]),
        failures=failures,
    )


def _score_series(batch: Batch, profiles: pl.DataFrame, options: ForecastingOptions, model: CrossingModel) -> Scored:
    asked = _asked(batch, profiles, options)
    limits = asked.about(batch.grid)
    answers = answer(batch.grid, limits, model, options.history_days, _kinds(batch, profiles))
    at_risk = np.unique(limits["row"].to_numpy()[answers.p[:, -1] >= min(AT_RISK, options.report_floor)])
    able = profiles.filter(pl.col("history_h") >= FEWEST_HOURS)["series_id"].to_numpy()
    drawn, tests = _draw(batch.only(np.intersect1d(batch.grid.series_id[at_risk], able)), asked, profiles, options)
    return _told(batch, limits, answers, drawn, asked=asked, tests=tests, model=model)


def _draw(
    batch: Batch, asked: Asked, profiles: pl.DataFrame, options: ForecastingOptions
) -> tuple[list[Drawn], pl.DataFrame]:
    """Paths by the structural model where it wins and by the ensemble else, and all backtests."""
    if len(batch.grid.series_id) == 0:
        return [], pl.DataFrame(schema=BACKTESTS)
    history = _look_back(batch, options)
    fitted = FLEET.fit(history)
    first = _first_round(history, fitted, profiles)
    others = np.setdiff1d(np.arange(len(history.grid.series_id)), first.won)
    drawn = []
    if len(others):
        drawn.append(_drawn(FLEET.name, history.take(others), fitted.paths().take(others), asked))
    if len(first.won):
        drawn.append(_drawn(STRUCTURAL.name, history.take(first.won), first.paths, asked))
    return drawn, first.tests


def _drawn(model: str, history: History, paths: Paths, asked: Asked) -> Drawn:
    shape = [asked.profiles[int(series_id)]["shape"] for series_id in history.grid.series_id]
    return Drawn(model, history, bounded(paths, history, asked), np.array(shape))


def _told(
    batch: Batch, limits: pl.DataFrame, answers: Answers, drawn: Sequence[Drawn], *, asked: Asked, tests: pl.DataFrame,
    model: CrossingModel,
) -> Scored:  # fmt: skip
    """Rows about a batch: answers pooled with the paths, and the paths of what is at risk."""
    for one in drawn:
        answers = pool(answers, limits, one)
    reported = np.unique(limits["row"].to_numpy()[answers.p[:, -1] >= asked.report_floor])
    paths = [pl.DataFrame(schema=FORECASTS)]
    for one in drawn:
        rows = np.flatnonzero(np.isin(one.history.grid.series_id, batch.grid.series_id[reported]))
        paths.append(forecasts(one.model, one.paths.take(rows), one.history.take(rows)))
    shown = pl.concat(paths)
    told = risks(model.name, batch.grid, limits, answers, asked=asked, backtests=_serving(tests, shown))
    return Scored(PROFILES.to_frame(), told, shown, tests, pl.DataFrame(schema=FAILURES))


def _serving(tests: pl.DataFrame, paths: pl.DataFrame) -> pl.DataFrame:
    """The backtests of the models whose paths are shown."""
    return tests.join(paths.select("series_id", "model").unique(), on=["series_id", "model"], how="semi")


@dataclass(frozen=True)
class _Round:
    """The first round: all backtests, the rows where the structural model wins, and its paths of these."""

    tests: pl.DataFrame
    won: np.ndarray
    paths: Paths


def _first_round(history: History, fitted: Fitted, profiles: pl.DataFrame) -> _Round:
    """The ensemble's backtests, and those of the structural model where it may try."""
    cuts = fitted.cuts(CUTS)
    champion = backtest(FLEET.name, history, fitted.paths, cuts, fitted.has)
    entered = np.flatnonzero(np.isin(history.grid.series_id, rhythmic(profiles)["series_id"].to_numpy()))
    part = history.take(entered)
    structural = STRUCTURAL.fit(part)
    challenger = backtest(STRUCTURAL.name, part, structural.paths, cuts, lambda cut: fitted.has(cut)[entered])
    won = np.flatnonzero(np.isin(part.grid.series_id, wins(challenger, champion)))
    return _Round(pl.concat([champion, challenger]), entered[won], structural.paths().take(won))


def _contest(batch: Batch, options: ForecastingOptions, model: CrossingModel) -> Scored:
    history, profiles = _look_back(batch, options), profile(batch.grid, batch.falling)
    fitted = FLEET.fit(history)
    first = _first_round(history, fitted, profiles)
    structural = pl.col("series_id").is_in(pl.Series(history.grid.series_id[first.won]).implode())
    serving = first.tests.filter((pl.col("model") == STRUCTURAL.name) == structural)
    tests = contest(PROPHET, history, fitted)
    winners = batch.only(wins(tests, serving))
    if len(winners.grid.series_id) == 0:
        return Scored(PROFILES.to_frame(), pl.DataFrame(schema=RISKS), pl.DataFrame(schema=FORECASTS), tests,
                      pl.DataFrame(schema=FAILURES))  # fmt: skip
    part = history.take(np.flatnonzero(np.isin(history.grid.series_id, winners.grid.series_id)))
    asked = _asked(winners, profiles, options)
    limits = asked.about(winners.grid)
    answers = answer(winners.grid, limits, model, options.history_days, _kinds(winners, profiles))
    drawn = [_drawn(PROPHET.name, part, PROPHET.paths(part), asked)]
    return _told(winners, limits, answers, drawn, asked=asked, tests=tests, model=model)


def _kinds(batch: Batch, profiles: pl.DataFrame) -> Kinds:
    """Of the grid's series."""
    shape = dict(profiles.select("series_id", "shape").iter_rows())
    shapes = [shape[int(series_id)] for series_id in batch.grid.series_id]
    return Kinds(np.array(shapes, dtype=str), metrics(batch.series, batch.grid.series_id))


def _look_back(batch: Batch, options: ForecastingOptions) -> History:
    longest = max((signal.lasts_hours for signal in batch.signals), default=1)
    return look_back(batch.grid, HORIZONS[-1] + longest - 1, options.history_days)


def _asked(batch: Batch, profiles: pl.DataFrame, options: ForecastingOptions) -> Asked:
    return Asked(
        limits=batch.limits,
        signals={signal.name: signal for signal in batch.signals},
        profiles={row["series_id"]: row for row in profiles.iter_rows(named=True)},
        units=dict(batch.series.select("series_id", "unit").iter_rows()),
        report_floor=options.report_floor,
    )


def _silent(batch: Batch, failures: pl.DataFrame, options: ForecastingOptions) -> pl.DataFrame:
    """series_id, reason: series with a limit that cannot be scored."""
    seen = reasons(batch.grid, options)
    absent = np.setdiff1d(batch.limits["series_id"].to_numpy(), batch.grid.series_id)
    never = pl.DataFrame({"series_id": absent.astype(np.uint64)}).with_columns(pl.lit(NO_RECENT_DATA).alias("reason"))
    failed = _failed(failures)
    return pl.concat([failed, pl.concat([seen, never]).join(failed, on="series_id", how="anti")])


def _failed(failures: pl.DataFrame) -> pl.DataFrame:
    return failures.select(pl.col("series_id").unique(), pl.lit(FAILED).alias("reason"))


def _guarded(
    stage: str, function: Callable[[Batch], Result], batch: Batch, series_id: np.ndarray
) -> tuple[list[Result], pl.DataFrame]:
    """`function` of these series together; where that raises, of each alone, and who raised (forecasting.failures)."""
    try:
        return [function(batch.only(series_id))], pl.DataFrame(schema=FAILURES)
    except Exception:  # whatever it was: the loop below finds out whose it is, and publishes it
        results, failures = [], []
    for one in series_id:
        try:
            results.append(function(batch.only(np.array([one], dtype=np.uint64))))
        except Exception as error:  # published in forecasting.failures, whatever it is
            said = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_ERROR]
            failures.append({"as_of": batch.grid.as_of, "series_id": int(one), "stage": stage, "error": said})
    return results, pl.DataFrame(failures, schema=FAILURES)
