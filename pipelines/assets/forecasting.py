"""Group `forecasting`: the limits of every watched series, the probability that it reaches them, and what came."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from forecasting.limits import Limits
from forecasting.mapper import ProcessPool
from forecasting.night import Scores
from forecasting.school import gather, learn, teachers, timetable
from pipelines import checks, history, priors, settling, steps
from pipelines.assets import metadata
from pipelines.assets.features import HISTORY, HOURLY
from pipelines.assets.ingest import KNOWN_BAD
from pipelines.site import Night, Site
from reports import answers_kept
from reports.reliability import draw

LIMITS = ["forecasting", "limits"]
RISKS = ["forecasting", "risks"]
SETTLEMENTS = ["forecasting", "settlements"]
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
    watched = night.frames.read("features.signals")
    with night.progress.stage("resolve limits", len(watched)) as advance:
        with night.warehouse.reader() as con:
            companions = history.latest_levels(con, night.frames, steps.limit_metrics(night), night.as_of)
        found = steps.resolve_limits(night, watched, companions, advance)
    path = night.frames.write("forecasting.limits", found.resolved)
    night.frames.write("forecasting.missing_limits", found.missing)
    reasons = found.missing["reason"].value_counts(sort=True)
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
        known = gather(steps.classes(night, watched, teaching, timetable(night.as_of, options)), pool, advance)
        learnt = learn(priors.load(options.prior, night.settings.folder), known, night.as_of)
    with night.progress.stage("forecast", len(watched)) as advance:
        resolved, missing = (night.frames.read(f"forecasting.{name}") for name in ("limits", "missing_limits"))
        found = steps.score(night, watched, Limits(resolved, missing), learnt, mapper=pool, advance=advance)
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


@dg.asset(
    key=SETTLEMENTS,
    group_name="forecasting",
    kinds={"numpy", "parquet"},
    deps=[RISKS, LIMITS, HOURLY, KNOWN_BAD],
    check_specs=checks.specs(checks.SETTLED, SETTLEMENTS),
    description="Whether what earlier nights asked about came: risks whose horizon ended since the night before.",
)
def settlements(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    watched = night.frames.scan("features.signals").select(pl.len()).collect().item()
    with night.progress.stage("settle risks", watched) as advance:
        settled, crossed = settling.settle_risks(night, advance)
        path = night.frames.write("forecasting.settlements", settled)
        night.frames.write("forecasting.crossings", crossed)
        with night.warehouse.reader() as con:
            lately = settling.lately(con, night)
        policy = night.settings.tickets.policy
        drift = answers_kept.as_frame(answers_kept.drift(lately, policy.horizon_h, policy.open_at))
        frames = {"drift": [night.frames.write("forecasting.drift", drift)]}
        frames["band"] = [night.frames.write("forecasting.band", lately.band)]
        with night.warehouse.scratch() as con:
            results = checks.run(con, checks.SETTLED, SETTLEMENTS, frames)
    came = settled.group_by("as_of", "horizon_h", "outcome").len("risks").sort("as_of", "horizon_h", "outcome")
    lineage = {"p": [("forecasting.risks", "p")], "crossed_at": [("features.hourly", "mean")]}
    told = metadata.table(path, lineage) | {"what came": metadata.rows(came, 50)}
    told |= {"answers lately": metadata.rows(drift), "band lately": metadata.rows(lately.band)}
    return dg.MaterializeResult(metadata=told, check_results=results)


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


ASSETS = [limits, scores, settlements]
