"""Everything that Dagster sees, put together in one place; tests swap the parts.

Explicit, not discovered: the same call works under ``dg dev``, ``workspace.yaml``, in process and from a wheel.
"""

from __future__ import annotations

import os

import dagster as dg

from pipelines.assets import features, forecasting, ingest, reports, tickets
from pipelines.progress import StageProgress
from pipelines.publishing.runs import record_failure
from pipelines.settings import Settings, load
from pipelines.site import Site

NIGHTLY = "nightly"


def build_defs(settings: Settings | None = None, progress: StageProgress | None = None) -> dg.Definitions:
    """The code location of one site.

    Args:
        settings: default: those of ``$FOREWARN_CONFIG``, else the sample fleet's.
        progress: shows the stages of a run; default: nothing, Dagster has its own view.
    """
    settings = settings or load()
    site = Site(settings, progress) if progress else Site(settings)
    nights = dg.DailyPartitionsDefinition(
        start_date=settings.calendar.first_night.isoformat(),
        timezone=settings.calendar.time_zone,
        end_offset=1,  # the partition of today, not of yesterday, is cut at today's midnight
    )
    assets = [
        asset.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=nights))
        for module in (ingest, features, forecasting, tickets, reports)
        for asset in module.ASSETS
    ]
    # In one process: starting a step process costs seconds (imports), a whole small run costs less.
    job = dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        executor_def=dg.in_process_executor,
        hooks={note_failure},
        description="One night: ingest, roll up, forecast, write tickets and reports.",
    )
    schedule = dg.build_schedule_from_partitioned_job(
        job,
        hour_of_day=settings.calendar.nightly_at.hour,
        minute_of_hour=settings.calendar.nightly_at.minute,
        # off unless this environment says otherwise, so that a laptop does not publish beside production
        default_status=dg.DefaultScheduleStatus.RUNNING
        if os.environ.get("FOREWARN_SCHEDULE") == "on"
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule], resources={"site": site})


@dg.failure_hook(required_resource_keys={"site"})
def note_failure(context: dg.HookContext) -> None:
    """Say in main.runs that, and why, a run failed."""
    night = context.resources.site.night_of_run(context.instance, context.run_id)
    with night.warehouse.writer() as con:
        record_failure(con, night.run, f"{type(context.op_exception).__name__}: {context.op_exception}")
