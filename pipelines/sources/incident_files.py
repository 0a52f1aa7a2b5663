"""Files of incidents, one a row, and optionally of their events, one status change a row.

Belongs here: which files, and whether they have what is needed. Not here: what rows mean (``incident_rows``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.source_options import IncidentFiles
from pipelines.sources import times
from pipelines.sources.errors import InputError
from pipelines.sources.files import FileReport, inspect_files, readable
from pipelines.sources.findings import Finding
from pipelines.sources.incident_rows import BEGINNINGS, EVENT_PARTS, PARTS, Rows, StagedIncidents, stage_rows
from pipelines.sources.landing import land
from pipelines.sources.rejects import Rejects
from pipelines.sources.sql import workspace


def inspect(source: IncidentFiles, settings: Settings) -> list[Path]:
    """Whether the source's files, and those of its events, can be read: which they are.

    Raises:
        InputError: also for a file of incidents without any time at which they began.
    """
    return [report.path for report in _reports(source, settings)]


def survey(source: IncidentFiles, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it."""
    yield readable(_reports(source, settings))


def _reports(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    return [*_inspect_incidents(source, settings), *_inspect_events(source, settings)]


def _inspect_incidents(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    reports = inspect_files(source.paths, {**source.columns}, PARTS, settings)
    for report in reports:
        if report.parts.keys().isdisjoint(BEGINNINGS):
            raise InputError(f"{report.name}: has no column 'created_at'; name the right one as columns.created_at")
    return reports


def _inspect_events(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    if source.events is None:
        return []
    reports = inspect_files(source.events.paths, {**source.events.columns}, EVENT_PARTS, settings)
    unnumbered = [report for report in reports if "event_no" not in report.parts]
    if unnumbered and len(unnumbered) < len(reports):
        raise InputError(f"{unnumbered[0].name}: has no column 'event_no', though other files have; add it")
    return reports


def stage(
    con: duckdb.DuckDBPyConnection,
    source: IncidentFiles,
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedIncidents:
    """Stage incidents.parquet, incident_events.parquet and rejects.parquet in `folder`.

    Args:
        con: an in-memory connection with its limits set; left as it was found.
        as_of: the night's cut, naive UTC.
        now: when the run began, naive UTC.
        folder: made when missing.
        fetched: of no use to files.

    Raises:
        InputError: the files cannot be used.
    """
    reports, event_reports = _inspect_incidents(source, settings), _inspect_events(source, settings)
    with workspace(con, folder) as (own, landing):
        times.prepare(own, as_of=as_of, now=now)
        rejects = Rejects(own, source.name, [report.name for report in (*reports, *event_reports)])
        incidents = land(own, reports, rejects, landing)
        events = land(own, event_reports, rejects, landing, first_no=len(reports))
        return stage_rows(
            own,
            source.name,
            Rows(incidents, range(len(reports))),
            Rows(events, range(len(reports), len(reports) + len(event_reports))),
            rejects=rejects,
            folder=folder,
            time_zone=source.time_zone,
        )
