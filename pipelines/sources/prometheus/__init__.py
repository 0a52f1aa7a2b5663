"""A server that speaks PromQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import Prometheus
from pipelines.sources.findings import Finding
from pipelines.sources.metric_staging import StagedMetrics


def inspect(source: Prometheus, settings: Settings) -> list[Path]:
    """Nothing that a night could not begin without."""
    return []


def survey(source: Prometheus, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it."""
    raise NotImplementedError


def stage(
    con: duckdb.DuckDBPyConnection,
    source: Prometheus,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``."""
    raise NotImplementedError
