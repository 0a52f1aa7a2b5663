"""Long-format metric files: one sample a row. How rows are judged says ``metric_rows``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import MetricFiles
from pipelines.sources.files import FileReport, inspect_files, readable
from pipelines.sources.findings import Finding
from pipelines.sources.metric_rows import PARTS, stage_rows
from pipelines.sources.metric_staging import StagedMetrics


def inspect(source: MetricFiles, settings: Settings) -> list[FileReport]:
    """Whether the source's files can be read; see `files.inspect_files`."""
    return inspect_files(source.paths, {**source.columns}, PARTS, settings)


def survey(source: MetricFiles, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it."""
    yield readable(inspect(source, settings))


def stage(
    con: duckdb.DuckDBPyConnection,
    source: MetricFiles,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``.

    Args:
        fetched: plays no part: files are read whole.
    """
    reports = inspect(source, settings)
    staged, _ = stage_rows(
        con, source.name, reports, signals, time_zone=source.time_zone, as_of=as_of, now=now, folder=folder
    )
    return staged
