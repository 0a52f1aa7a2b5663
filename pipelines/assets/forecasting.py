"""Group `forecasting`: the limits of every watched series, and the probability that it reaches them."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from features.grid import Grid
from forecasting.batch import Batch, metrics
from forecasting.limits import companion_metrics, resolve
from forecasting.mapper import ProcessPool
from forecasting.night import Scores, score_fleet
from forecasting.school import Class, gather, learn, teachers, timetable
from forecasting.tables import LIMITS as LIMIT_COLUMNS
from forecasting.tables import MISSING
from pipelines import checks, history, priors
from pipelines.assets import metadata
from pipelines.assets.features import HISTORY, history_hours
from pipelines.site import Night, Site
from reports.reliability import draw

LIMITS = ["forecasting", "limits"]
RISKS = ["forecasting", "risks"]
TEACHING_BATCH = 250  # series at once: they reach twice as far back as those that are scored
CHECKED = {
    "forecasting.risks": checks.RISKS,
    "forecasting.models": checks.MODELS,
    "forecasting.calibration": checks.CALIBRATION,
}


@dg.asset(
    key=LIMITS,
    group_name="forecasting",
    kinds={"polars", "parquet"},
    deps=[HISTORY],
    description="Which limit holds for which series tonight, and how it came about.",
)
def limits(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    signals = night.settings.signals.all
    watched = night.frames.read("features.signals")
    with night.progress.stage("resolve limits", len(watched)) as advance:
        with night.warehouse.reader() as con:
            companions = history.latest_levels(con, night.frames, companion_metrics(signals), night.as_of)
        resolved, missing = [pl.DataFrame(schema=LIMIT_COLUMNS)], [pl.DataFrame(schema=MISSING)]
        ids = watched["series_id"].to_list()
        for grid in history.grids(night.frames, ids, night.as_of, history_hours(night)):
            part = watched.filter(_among(grid))
            found = resolve(part, part.select("series_id", "signal"), signals, grid, companions)
            resolved.append(found.resolved)
            missing.append(found.missing)
            advance(len(part))
    path = night.frames.write("forecasting.limits", pl.concat(resolved).sort("series_id", "limit_name"))
    night.frames.write("forecasting.missing_limits", pl.concat(missing).sort("series_id", "limit_name"))
    reasons = pl.concat(missing)["reason"].value_counts(sort=True)
    return dg.MaterializeResult(metadata=metadata.table(path) | {"without a limit": metadata.rows(reasons)})


@dg.multi_asset(
    specs=[
        dg.AssetSpec(["features", "profiles"], group_name="features", deps=[HISTORY], kinds={"numpy"},
                     description="What kind of series each one is tonight: shape, trend, seasons, resets, steps."),
        dg.AssetSpec(RISKS, group_name="forecasting", deps=[HISTORY, LIMITS], kinds={"numpy", "prophet"},
                     description="P(the limit is reached within 24, 72, 168 h), when, by which model and why."),
        dg.AssetSpec(["forecasting", "forecasts"], group_name="forecasting", deps=[HISTORY], kinds={"numpy"},
                     description="Quantile paths of the series at risk."),
        dg.AssetSpec(["forecasting", "models"], group_name="forecasting", deps=[HISTORY], kinds={"numpy"},
                     description="Which model served which shapes, and how good it was on their own past."),
        dg.AssetSpec(["forecasting", "calibration"], group_name="forecasting", deps=[HISTORY], kinds={"numpy"},
                     description="How tonight's way of answering would have answered the newest settled fortnight."),
        dg.AssetSpec(["forecasting", "tournament"], group_name="forecasting", deps=[HISTORY], kinds={"numpy"},
                     description="How the challengers did against the ensemble, by shape."),
        dg.AssetSpec(["forecasting", "failures"], group_name="forecasting", deps=[HISTORY], kinds={"numpy"},
                     description="Series that could not be scored, and why."),
    ],
    check_specs=[spec for table, rules in CHECKED.items() for spec in checks.specs(rules, table.split("."))],
)  # fmt: skip
def scores(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> Iterator[dg.MaterializeResult]:
    night = site.night(context)
    watched = night.frames.read("features.signals")
    options = night.settings.forecasting
    pool = ProcessPool(options.workers)
    teaching = teachers(watched["series_id"], options)
    with night.progress.stage("learn from the settled past", len(teaching)) as advance:
        known = gather(classes(night, watched, teaching), pool, advance)
        learnt = learn(priors.load(options.prior, night.settings.folder), known, night.as_of)
    with night.progress.stage("forecast", len(watched)) as advance:
        found = score_fleet(
            batches(night, watched),
            learnt,
            options,
            pool,
            lambda stage, done: advance(done) if stage == "score" else None,
        )
    paths = _write(night, found)
    told = _told(found, watched)
    with night.warehouse.scratch() as con:
        checked = {
            table: checks.run(con, rules, table.split("."), {table.split(".")[1]: [paths[table]]})
            for table, rules in CHECKED.items()
        }
    for table, path in paths.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata=metadata.table(path, LINEAGE.get(table)) | told.get(table, {}),
            check_results=checked.get(table, []),
        )


LINEAGE = {
    "features.profiles": {
        name: [("features.hourly", "mean")] for name in ("shape", "level", "slope_per_day", "resets")
    },
    "forecasting.risks": {
        "p": [("features.hourly", "mean"), ("forecasting.limits", "value")],
        "eta_p50": [("features.hourly", "mean"), ("forecasting.limits", "value")],
        "limit_value": [("forecasting.limits", "value")],
    },
    "forecasting.forecasts": {"q50": [("features.hourly", "mean")]},
}


def batches(night: Night, watched: pl.DataFrame) -> Iterator[Batch]:
    """The watched series with their limits, as the forecasting room wants them."""
    resolved, missing = night.frames.read("forecasting.limits"), night.frames.read("forecasting.missing_limits")
    signals = night.settings.signals.all
    ids = watched["series_id"].to_list()
    for grid in history.grids(night.frames, ids, night.as_of, history_hours(night)):
        ours = _among(grid)
        yield Batch(grid, watched.filter(ours), resolved.filter(ours), missing.filter(ours), signals)


def classes(night: Night, watched: pl.DataFrame, teaching: pl.Series) -> Iterator[Class]:
    """The series that teach, with the moments at which they do."""
    options, signals = night.settings.forecasting, night.settings.signals.all
    origins = timetable(night.as_of, options)
    down = [signal.name for signal in signals if signal.direction == "down"]
    falling = watched.filter(pl.col("signal").is_in(down))["series_id"].to_numpy()
    hours = 24 * (options.history_days + options.learning_days)
    for grid in history.grids(
        night.frames, teaching.to_list(), night.as_of, hours, name=history.TEACHERS, batch=TEACHING_BATCH
    ):
        falls, metric = np.isin(grid.series_id, falling), metrics(watched, grid.series_id)
        yield Class(grid, falls, metric, origins, options.history_days)


def _among(grid: Grid) -> pl.Expr:
    return pl.col("series_id").is_in(pl.Series(grid.series_id, dtype=pl.UInt64).implode())


def _write(night: Night, found: Scores) -> dict[str, Path]:
    frames = {
        "features.profiles": found.profiles,
        "forecasting.risks": found.risks,
        "forecasting.forecasts": found.forecasts,
        "forecasting.models": found.models,
        "forecasting.calibration": found.calibration,
        "forecasting.tournament": found.tournament,
        "forecasting.failures": found.failures,
    }
    return {table: night.frames.write(table, frame) for table, frame in frames.items()}


def _told(found: Scores, watched: pl.DataFrame) -> dict[str, dict[str, dg.MetadataValue]]:
    """What an SRE sees of some of the tables, besides their rows and columns."""
    told = {
        "forecasting.risks": {"most probable": metadata.rows(_most_probable(found.risks, watched))},
        "forecasting.models": {"what served": metadata.rows(found.models.drop("as_of"), 50)},
        "forecasting.calibration": {"how far to trust": metadata.rows(found.calibration.drop("as_of", "bins"), 50)},
        "forecasting.tournament": {"standings": metadata.rows(found.tournament.drop("as_of"), 50)},
    }
    if not found.calibration.is_empty():
        told["forecasting.calibration"]["reliability"] = metadata.chart(draw(found.calibration), "reliability")
    return told


def _most_probable(risks: pl.DataFrame, watched: pl.DataFrame) -> pl.DataFrame:
    longest = risks.filter((pl.col("horizon_h") == pl.col("horizon_h").max()) & (pl.col("state") == "scored"))
    named = longest.join(watched.select("series_id", "entity", "metric"), on="series_id")
    return named.sort("p", "series_id", descending=[True, False]).select(
        "entity", "metric", "limit_name", "limit_value", "p", "eta_p50", "model"
    )


ASSETS = [limits, scores]
