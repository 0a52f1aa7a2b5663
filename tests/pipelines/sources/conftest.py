"""Staging of small real files, in one call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from standing import STANDING

from features.signals import Signal
from pipelines import sources
from pipelines.settings import Settings, parse
from pipelines.source_options import IncidentFiles, MetricFiles
from pipelines.sources.incident_rows import StagedIncidents
from pipelines.sources.metric_staging import StagedMetrics

AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)

Content = str | bytes | pl.DataFrame


@dataclass(frozen=True)
class Metrics:
    """What was staged, read back."""

    counts: StagedMetrics
    series: pl.DataFrame
    samples: pl.DataFrame
    rejects: pl.DataFrame

    def reasons(self) -> list[tuple[int, str]]:
        return self.rejects.select("file_row", "reason").rows()


@dataclass(frozen=True)
class Incidents:
    counts: StagedIncidents
    incidents: pl.DataFrame
    events: pl.DataFrame
    rejects: pl.DataFrame

    def reasons(self) -> list[tuple[int, str]]:
        return self.rejects.select("file_row", "reason").rows()


@pytest.fixture
def con():
    with duckdb.connect(":memory:") as connection:
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse("", tmp_path)


@pytest.fixture
def put(tmp_path: Path) -> Callable[[Mapping[str, Content]], None]:
    """Write files below the settings' folder, by the type of their content."""

    def put(files: Mapping[str, Content]) -> None:
        for name, content in files.items():
            if isinstance(content, pl.DataFrame):
                content.write_parquet(tmp_path / name)
            else:
                (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return put


@pytest.fixture
def stage(con: duckdb.DuckDBPyConnection, settings: Settings, put: Callable, tmp_path: Path) -> Callable[..., Metrics]:
    """Stage files as the metric source `fleet`."""

    def stage(
        files: Mapping[str, Content], signals: Sequence[Signal] = (), as_of: datetime = AS_OF, **options
    ) -> Metrics:
        put(files)
        source = MetricFiles.model_validate({"name": "fleet", "paths": list(files), **options})
        counts = sources.stage_metrics(
            con, source, settings, signals, as_of=as_of, now=NOW, folder=tmp_path / "staged metrics"
        )
        return Metrics(counts, *(pl.read_parquet(p) for p in (counts.series, counts.samples, counts.rejects)))

    return stage


@pytest.fixture
def stage_incidents(
    con: duckdb.DuckDBPyConnection, settings: Settings, put: Callable, tmp_path: Path
) -> Callable[..., Incidents]:
    """Stage files as the incident source `desk`."""

    def stage(
        files: Mapping[str, Content],
        events: Mapping[str, Content] | None = None,
        event_columns: Mapping[str, str] | None = None,
        **options,
    ) -> Incidents:
        put(files)
        if events:
            put(events)
            options["events"] = {"paths": list(events), "columns": event_columns or {}}
        source = IncidentFiles.model_validate({"name": "desk", "paths": list(files), **options})
        counts = sources.stage_incidents(
            con, source, settings, as_of=AS_OF, now=NOW, folder=tmp_path / "staged incidents"
        )
        return Incidents(
            counts, *(pl.read_parquet(p) for p in (counts.incidents, counts.incident_events, counts.rejects))
        )

    return stage


def pytest_sessionfinish() -> None:
    STANDING.close()
