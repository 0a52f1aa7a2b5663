"""Metrics and incidents come in. A new type of source is a module, a settings model, and a line here.

Belongs here: reading, judging row by row, and staging as Parquet. Not here: Dagster, and the warehouse, which
takes what is staged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from features.signals import Signal
from pipelines.settings import IncidentFiles, MetricFiles, Settings
from pipelines.sources import incident_files, metric_files
from pipelines.sources.files import FileReport
from pipelines.sources.incident_files import StagedIncidents
from pipelines.sources.metric_files import StagedMetrics

METRICS = {MetricFiles: metric_files}
INCIDENTS = {IncidentFiles: incident_files}
"""Settings model -> module with `inspect` and `stage`."""


def inspect(source: MetricFiles | IncidentFiles, settings: Settings) -> list[FileReport]:
    """Whether a source can be read, before a run begins and without reading its rows.

    Raises:
        InputError: one line that names the file, the column and the mend.
    """
    return (METRICS | INCIDENTS)[type(source)].inspect(source, settings)


def stage_metrics(
    con: duckdb.DuckDBPyConnection,
    source: MetricFiles,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
) -> StagedMetrics:
    """Stage series.parquet, samples.parquet and rejects.parquet of a metric source in `folder`.

    Args:
        con: an in-memory connection with its limits set; it is left as it was.
        signals: decide which labels are identity.
        as_of: the night's cut, naive UTC.
        now: when the run began, naive UTC.

    Raises:
        InputError: the source cannot be used.
    """
    return METRICS[type(source)].stage(con, source, settings, signals, as_of=as_of, now=now, folder=folder)


def stage_incidents(
    con: duckdb.DuckDBPyConnection,
    source: IncidentFiles,
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
) -> StagedIncidents:
    """Stage incidents.parquet, incident_events.parquet and rejects.parquet of an incident source in `folder`.

    Raises:
        InputError: the source cannot be used.
    """
    return INCIDENTS[type(source)].stage(con, source, settings, as_of=as_of, now=now, folder=folder)
