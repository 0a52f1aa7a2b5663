"""One night's scoring: batches of series in, the rows of this room's tables out.

Belongs here: the two rounds (the ensemble for all, Prophet for a few) and how their answers are put together. Not here:
what happens to a batch (``forecasting.scoring``), models, files.

What is said about a series depends on that series alone: not on its batch, and not on anything at or after as_of. One
thing is the fleet's: which few series may try Prophet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from features.profiles import SCHEMA as PROFILES
from forecasting.abstention import ABSTAINED
from forecasting.batch import Batch, Scored
from forecasting.mapper import Mapper
from forecasting.models.registry import FLEET
from forecasting.options import ForecastingOptions
from forecasting.school import Learnt
from forecasting.scoring import contest_batch, score_batch
from forecasting.tables import BACKTESTS, FAILURES, FORECASTS, HORIZONS, MODELS, RISKS
from forecasting.tournament import candidates, standings

CONTEST_CHUNK = 4  # series a task: Prophet takes a second for each

Progress = Callable[[str, int], None]
"""Called with a stage (score, prophet) and how many series have just been finished in it."""


@dataclass(frozen=True)
class Scores:
    """What a night says; each frame has exactly the columns of its table, sorted by its key.

    A series that could not be scored is in failures, and abstained from with the reason 'failed'.
    """

    profiles: pl.DataFrame
    risks: pl.DataFrame
    forecasts: pl.DataFrame
    models: pl.DataFrame
    tournament: pl.DataFrame
    calibration: pl.DataFrame
    failures: pl.DataFrame


def score_fleet(
    batches: Iterable[Batch],
    learnt: Learnt,
    options: ForecastingOptions,
    mapper: Mapper,
    progress: Progress = lambda stage, done: None,
) -> Scores:
    """Profile every series, and score every one that has a limit.

    Args:
        batches: of one as_of; taken as they are needed.
        learnt: tonight's crossing model, and how well it would have answered lately (``forecasting.school``).
        mapper: who does the work (``forecasting.mapper``).
    """
    first: list[Scored] = []
    for scored in mapper.map(partial(score_batch, options=options, model=learnt.model), batches):
        first.append(scored)
        progress("score", len(scored.profiles))
    second: list[Scored] = []
    for scored in mapper.map(
        partial(contest_batch, options=options, model=learnt.model), _draw(first, options.prophet_series)
    ):
        second.append(scored)
        progress("prophet", scored.backtests["series_id"].n_unique())
    return _together([EMPTY, *first], second, learnt)


EMPTY = Scored(
    profiles=PROFILES.to_frame(),
    risks=pl.DataFrame(schema=RISKS),
    forecasts=pl.DataFrame(schema=FORECASTS),
    backtests=pl.DataFrame(schema=BACKTESTS),
    failures=pl.DataFrame(schema=FAILURES),
)
"""What is said about no series: a site may have incidents alone."""


def _draw(scored: Sequence[Scored], places: int) -> list[Batch]:
    """The fleet's best candidates for Prophet, a few to a batch, in order of their ids."""
    ranked = [candidates(one.risks, one.profiles) for one in scored if one.entrants is not None]
    if not ranked:
        return []
    best = pl.concat(ranked).sort("merit", "series_id", descending=[True, False])["series_id"].head(places)
    batches = [one.entrants.only(best.to_numpy()) for one in scored if one.entrants is not None]
    singles = [
        batch.only(batch.grid.series_id[start : start + CONTEST_CHUNK])
        for batch in batches
        for start in range(0, len(batch.grid.series_id), CONTEST_CHUNK)
    ]
    return sorted(singles, key=lambda batch: int(batch.grid.series_id[0]))


def _together(first: Sequence[Scored], second: Sequence[Scored], learnt: Learnt) -> Scores:
    profiles = pl.concat([one.profiles for one in first]).sort("series_id")
    risks, forecasts = (
        _replaced([getattr(one, name) for one in first], [getattr(one, name) for one in second])
        for name in ("risks", "forecasts")
    )
    backtests = pl.concat([one.backtests for one in (*first, *second)])
    return Scores(
        profiles=profiles,
        risks=risks.sort("series_id", "limit_name", "horizon_h"),
        forecasts=forecasts.sort("series_id", "hour"),
        models=_models(risks, forecasts, profiles, backtests),
        tournament=standings(forecasts, profiles, backtests, FLEET.name),
        calibration=learnt.calibration,
        failures=pl.concat([one.failures for one in (*first, *second)]).sort("series_id", "stage"),
    )


def _replaced(before: Sequence[pl.DataFrame], after: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All rows, those of a series in `after` in the place of its rows in `before`."""
    newer = pl.concat([before[0].clear(), *after])
    return pl.concat([pl.concat(before).join(newer.select("series_id").unique(), on="series_id", how="anti"), newer])


def _models(
    risks: pl.DataFrame, forecasts: pl.DataFrame, profiles: pl.DataFrame, backtests: pl.DataFrame
) -> pl.DataFrame:
    """forecasting.models: what answered for, or drew the paths of, how many series, and how those did on their past."""
    shape = profiles.select("as_of", "series_id", "shape")
    keys = ["as_of", "model", "shape", "horizon_h"]
    whose = ["as_of", "series_id", "model"]
    answered = risks.filter(pl.col("state") != ABSTAINED).select(*whose, "horizon_h")
    horizons = pl.DataFrame({"horizon_h": HORIZONS}, schema={"horizon_h": pl.Int32})
    drawn = forecasts.select(whose).unique().join(horizons, how="cross")
    served = (
        pl.concat([answered, drawn])
        .join(shape, on=["as_of", "series_id"])
        .group_by(keys)
        .agg(pl.col("series_id").n_unique().alias("series"))
    )
    tested = (
        backtests.join(shape, on="series_id")
        .sort("series_id", "days_ago")  # sums in a fixed order
        .group_by(keys, maintain_order=True)
        .agg(pl.col("pinball").mean(), pl.col("inside_80").mean().alias("coverage_80"))
    )
    both = served.join(tested, on=keys, how="full", coalesce=True).with_columns(pl.col("series").fill_null(0))
    return both.select(list(MODELS)).cast(pl.Schema(MODELS)).sort(keys)  # pyright: ignore[reportArgumentType]
