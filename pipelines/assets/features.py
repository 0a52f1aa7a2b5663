"""Group `features`: hours out of samples, and incidents as they were known on the night."""

import dagster as dg

from features.incidents import as_of_view, durations
from forecasting.school import teachers
from pipelines import checks, history, steps
from pipelines.assets import metadata
from pipelines.assets.ingest import KNOWN_BAD
from pipelines.site import Site

HOURLY = ["features", "hourly"]
HISTORY = ["features", "history"]
INCIDENT_DURATIONS = ["features", "incident_durations"]


@dg.asset(
    key=HOURLY,
    group_name="features",
    kinds={"duckdb", "parquet"},
    deps=[["raw", "samples"], ["raw", "series"]],
    check_specs=checks.specs(checks.HOURLY, HOURLY),
    description="Hours of the days whose samples changed: mean, min, max, last and n.",
)
def hourly(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("roll up hours"):
        with night.warehouse.reader() as con:
            history.roll_up(con, night.frames)
        path = night.frames.path("features.hourly")
        with night.warehouse.scratch() as con:
            results = checks.run(con, checks.HOURLY, HOURLY, {"hourly": [path]})
    measured = [("raw.samples", "value")]
    lineage = dict.fromkeys(("mean", "min", "max", "last", "n"), measured)
    lineage |= {"series_id": [("raw.samples", "series_id")], "hour": [("raw.samples", "ts")]}
    return dg.MaterializeResult(metadata=metadata.table(path, lineage), check_results=results)


@dg.asset(
    key=HISTORY,
    group_name="features",
    kinds={"duckdb", "parquet"},
    deps=[HOURLY, KNOWN_BAD],
    description="What the night is forecast from: the hourly means, before the cut, of every series with a signal."
    " Hours of known-bad windows are hidden when it is read.",
)
def gathered_history(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("gather history"), night.warehouse.reader() as con:
        series = history.series_of(con)
        watched = steps.watched_series(night, series)
        night.frames.write("features.signals", watched)
        history.gather(con, night.frames, watched["series_id"], night.as_of, steps.history_hours(night))
        teaching = teachers(watched["series_id"], night.settings.forecasting)
        history.gather(con, night.frames, teaching, night.as_of, steps.teaching_hours(night), name=history.TEACHERS)
    path = night.frames.path("features.history")
    lineage = {"mean": [("features.hourly", "mean")], "hour": [("features.hourly", "hour")]}
    told = {"series known": len(series), "series with a signal": len(watched), "series that teach": len(teaching)}
    return dg.MaterializeResult(metadata=metadata.table(path, lineage) | metadata.counts(told))


@dg.asset(
    key=INCIDENT_DURATIONS,
    group_name="features",
    kinds={"polars", "parquet"},
    deps=[["raw", "incidents"], ["raw", "incident_events"]],
    description="Incidents as they were known at the cut, and how long they took, or have taken so far.",
)
def incident_durations(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("incident durations"):
        with night.warehouse.reader() as con:
            incidents = con.sql("FROM raw.incidents").pl()
            events = con.sql("FROM raw.incident_events").pl()
        found = durations(as_of_view(incidents, events, night.as_of), night.as_of, events)
        path = night.frames.write("features.incident_durations", found)
    return dg.MaterializeResult(metadata=metadata.table(path))


ASSETS = [hourly, gathered_history, incident_durations]
