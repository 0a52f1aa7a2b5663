"""A site: the settings together with what they name. A night: one run of the job at one site.

The resource that every asset is given, so that an asset is only: load, call a pure function, store, describe.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from hashlib import blake2b
from importlib import metadata
from pathlib import Path

import dagster as dg

from pipelines.frames import Frames
from pipelines.progress import Silent, StageProgress
from pipelines.publishing.runs import Run
from pipelines.settings import Settings, cut, is_sample
from pipelines.sources.errors import InputError
from pipelines.warehouse import Warehouse, migrations

PARTITION = "dagster/partition"
TOLD_VERSIONS = ("forewarn", "dagster", "duckdb", "polars", "numpy", "scipy", "prophet")


@dataclass(frozen=True)
class Site:
    """One team's Forewarn."""

    settings: Settings
    progress: StageProgress = field(default_factory=Silent)

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.settings.root, self.settings.storage.memory_limit)

    def night(self, context: dg.AssetExecutionContext) -> Night:
        """The night that an asset is materialized for."""
        return self.night_of_run(context.instance, context.run.run_id)

    def night_of_run(self, instance: dg.DagsterInstance, run_id: str) -> Night:
        """The night that a Dagster run is about: its partition, begun when the run was created."""
        record = instance.get_run_record_by_id(run_id)
        if record is None:
            raise LookupError(f"Dagster knows no run {run_id}")
        started_at = record.create_timestamp.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        return Night(self, date.fromisoformat(record.dagster_run.tags[PARTITION]), run_id, started_at)

    def make_sample(self) -> None:
        """The sample fleet, where these are its settings and it is not there yet."""
        if is_sample(self.settings):
            from data.sample_fleet import generate  # noqa: PLC0415 - only the sample needs the generator

            try:
                generate(self.settings.root / "fleet")
            except FileExistsError as error:
                raise InputError(str(error)) from error


@dataclass(frozen=True)
class Night:
    """One run of the nightly job."""

    site: Site
    date: date
    run_id: str
    started_at: datetime

    @property
    def settings(self) -> Settings:
        return self.site.settings

    @property
    def warehouse(self) -> Warehouse:
        return self.site.warehouse

    @property
    def progress(self) -> StageProgress:
        return self.site.progress

    @cached_property
    def as_of(self) -> datetime:
        return cut(self.date, self.settings.zone)

    @cached_property
    def frames(self) -> Frames:
        return Frames(self.settings.root, self.as_of)

    @property
    def reports(self) -> Path:
        """Where this night's pages go."""
        return self.settings.report_folder(self.date)

    @property
    def run(self) -> Run:
        return Run(self.run_id, self.as_of, self.started_at, versions(self.settings))


def versions(settings: Settings) -> dict[str, str]:
    """What served: Python, the packages that decide the numbers, the schema, and a digest of the settings."""
    digest = blake2b(settings.model_dump_json().encode(), digest_size=8).hexdigest()
    told = {"python": platform.python_version(), "schema": str(max(migrations())), "settings": digest}
    return told | {name: metadata.version(name) for name in TOLD_VERSIONS}
