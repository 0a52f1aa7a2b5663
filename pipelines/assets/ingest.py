"""Group `ingest`: what the sources hold becomes staged frames and, after their checks, the first commit."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from pipelines import checks, sources
from pipelines.assets import metadata
from pipelines.maintenance import nights, record
from pipelines.publishing.raw import StagedRaw, publish_raw
from pipelines.site import Night, Site
from pipelines.sources.metric_staging import FETCHED
from reports.services import service_of

METRICS = ["staged", "metrics"]
INCIDENTS = ["staged", "incidents"]
KNOWN_BAD = ["raw", "known_bad"]
RAW_TABLES = {
    "series": "One row a time series.",
    "samples": "One row a measured value; kept for storage.retention.raw_days.",
    "incidents": "One row an incident, in its newest version.",
    "incident_events": "One row a status change.",
    "rejects": "Rows that were refused: file, row, reason.",
}


@dg.asset(
    key=METRICS,
    group_name="ingest",
    kinds={"duckdb", "parquet"},
    check_specs=checks.specs(checks.METRICS, METRICS),
    description="Series and samples as the metric sources hold them, after the rules for single rows.",
)
def staged_metrics(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    site.make_sample()
    configured = night.settings.sources.metrics
    counts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    remembered = fetched_before(night)
    with night.progress.stage("read metrics", len(configured)) as advance, night.warehouse.scratch() as con:
        for source in configured:
            staged = sources.stage_metrics(
                con,
                source,
                night.settings,
                night.settings.signals.all,
                as_of=night.as_of,
                now=night.started_at,
                folder=folder_of(night, "metrics", source.name),
                fetched=remembered.filter(pl.col("source") == source.name),
            )
            name_services(night, staged.series)
            counts.update(
                rows_read=staged.read,
                samples_staged=staged.staged,
                duplicates=staged.duplicates,
                conflicts=staged.conflicts,
                samples_held_back=staged.held_back,
                **staged.asked,
            )
            rejected.update(staged.rejected)
            advance(1)
        frames = {name: staged_files(night, "metrics", name) for name in ("series", "samples")}
        results = checks.run(con, checks.METRICS, METRICS, frames, night.as_of)
    night.frames.note("staged.metrics", {"counts": counts, "rejected": rejected})
    return dg.MaterializeResult(
        metadata=metadata.counts(counts) | {"rejected": metadata.tally(rejected, "reason")}, check_results=results
    )


@dg.asset(
    key=INCIDENTS,
    group_name="ingest",
    kinds={"duckdb", "parquet"},
    check_specs=checks.specs(checks.INCIDENTS, INCIDENTS),
    description="Incidents and their status changes as the incident sources hold them.",
)
def staged_incidents(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    site.make_sample()
    configured = night.settings.sources.incidents
    counts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    of_incidents: Counter[str] = Counter()
    of_events: Counter[str] = Counter()
    unread: dict[str, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    remembered = fetched_before(night)
    with night.progress.stage("read incidents", len(configured)) as advance, night.warehouse.scratch() as con:
        for source in configured:
            staged = sources.stage_incidents(
                con,
                source,
                night.settings,
                as_of=night.as_of,
                now=night.started_at,
                folder=folder_of(night, "incidents", source.name),
                fetched=remembered.filter(pl.col("source") == source.name),
            )
            counts.update(
                incidents_read=staged.read,
                incidents_staged=staged.staged,
                incidents_superseded=staged.superseded,
                incidents_held_back=staged.held_back,
                events_of_unknown_incidents=staged.event_counts.unknown,
            )
            rejected.update(staged.rejected)
            of_incidents.update(staged.counts.rejected)
            of_events.update(staged.event_counts.rejected)
            unread |= {source.name: list(staged.unfetched)} if staged.unfetched else {}
            lacking |= {source.name: list(staged.notes)} if staged.notes else {}
            advance(1)
        frames = {name: staged_files(night, "incidents", name) for name in ("incidents", "incident_events")}
        results = checks.run(con, checks.INCIDENTS, INCIDENTS, frames, night.as_of)
    refused = {"incidents": of_incidents, "events": of_events}
    told = {"counts": counts, "rejected": rejected, "refused": refused, "unread": unread, "lacking": lacking}
    night.frames.note("staged.incidents", told)
    return dg.MaterializeResult(
        metadata=metadata.counts(counts) | {"rejected": metadata.tally(rejected, "reason")}, check_results=results
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(["raw", table], group_name="ingest", deps=[METRICS, INCIDENTS], kinds={"duckdb"}, description=told)
        for table, told in RAW_TABLES.items()
    ],
    pool="warehouse",
)
def published_raw(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> Iterator[dg.MaterializeResult]:
    """The first commit: a forecast that fails later keeps what was fetched."""
    night = site.night(context)
    staged = StagedRaw(
        series=staged_files(night, "metrics", "series"),
        samples=staged_files(night, "metrics", "samples"),
        incidents=staged_files(night, "incidents", "incidents"),
        incident_events=staged_files(night, "incidents", "incident_events"),
        rejects=staged_files(night, "metrics", "rejects") + staged_files(night, "incidents", "rejects"),
        fetched=[
            path for kind in ("metrics", "incidents") for path in staged_files(night, kind, "fetched") if path.exists()
        ],
        answers=[
            folder_of(night, kind, source.name) / f"{name}.parquet"
            for kind, name in (("metrics", "samples"), ("incidents", "incidents"), ("incidents", "incident_events"))
            for source in (night.settings.sources.metrics if kind == "metrics" else night.settings.sources.incidents)
            if source.remote
        ],
    )
    with night.progress.stage("commit what came in"), night.warehouse.writer() as con:
        counts = publish_raw(con, staged, night.run, night.settings.storage.retention)
    night.frames.note("published.raw", counts)
    with night.warehouse.reader() as con:
        told = {table: metadata.relation(con.sql(f"FROM raw.{table}")) for table in RAW_TABLES}
        refused = con.sql(
            "SELECT file, file_row, reason, detail FROM raw.rejects WHERE run_id = $run_id ORDER BY row LIMIT 50",
            params={"run_id": night.run_id},
        ).pl()
    told["rejects"] |= {"refused tonight": metadata.rows(refused, 50)}
    for table, of_table in told.items():
        changed = {name: number for name, number in counts.items() if name.startswith(f"{table}_")}
        yield dg.MaterializeResult(asset_key=["raw", table], metadata=of_table | metadata.counts(changed))


@dg.asset(
    key=KNOWN_BAD,
    group_name="ingest",
    kinds={"polars", "parquet"},
    deps=[["raw", "series"]],
    description="Maintenance and known-bad windows as this night knows them: kept out of learning, scores and tickets.",
)
def known_bad(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("read maintenance"):
        found = nights.learn(night)
    night.frames.note("raw.known_bad", found.counts)
    told = metadata.table(night.frames.path(record.TABLE)) | metadata.counts(found.counts["counts"])
    told |= {f"not read: {source}": dg.MetadataValue.text(fault) for source, fault in found.faults.items()}
    return dg.MaterializeResult(metadata=told | {"held tonight": metadata.rows(found.held, 50)})


def folder_of(night: Night, kind: str, source: str) -> Path:
    """Where a source's staged files lie."""
    folder = night.frames.folder / "sources" / kind / source
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetched_before(night: Night) -> pl.DataFrame:
    """What earlier runs fetched over a network: the columns of ``metric_staging.FETCHED``."""
    night.warehouse.migrate()  # a run that Dagster started has had no preflight
    with night.warehouse.reader() as con:
        return con.sql(f"SELECT {', '.join(FETCHED)} FROM raw.fetched ORDER BY ALL").pl().cast(dict(FETCHED))


def staged_files(night: Night, kind: str, name: str) -> list[Path]:
    """One staged file of each source of a kind."""
    configured = night.settings.sources.metrics if kind == "metrics" else night.settings.sources.incidents
    return [folder_of(night, kind, source.name) / f"{name}.parquet" for source in configured]


def name_services(night: Night, path: Path) -> None:
    """Give staged series the service that owns their entity."""
    series = pl.read_parquet(path)
    owners = {entity: service_of(entity, night.settings.services) for entity in series["entity"].unique()}
    names = [owner.name if (owner := owners[entity]) else None for entity in series["entity"]]
    temporary = path.with_suffix(".tmp")
    series.with_columns(pl.Series("service", names, dtype=pl.String)).write_parquet(temporary)
    temporary.replace(path)


ASSETS = [staged_metrics, staged_incidents, published_raw, known_bad]
