"""Metrics and incidents come in. A new type of source is a module, a settings model
(``pipelines.source_options``), and a line here.

Belongs here: reading, judging row by row, and staging as Parquet. Not here: Dagster, and the warehouse, which
takes what is staged.

Sources that are files must be there, or the night does not begin. Sources that are asked over a network may fail in any
way while the night goes on: what could not be fetched is a reject with the reason ``rejects.NOT_FETCHED``, and the run
ends with exit code 1 when all else is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import (
    Alerts,
    GitHub,
    GitLab,
    IncidentFiles,
    IncidentSource,
    Jira,
    MetricFiles,
    MetricSource,
    PagerDuty,
    Prometheus,
    Redmine,
    ServiceNow,
    Sql,
    StatusPage,
    Zabbix,
    ZabbixProblems,
)
from pipelines.sources import incident_files, metric_files, prometheus, sql_query, zabbix
from pipelines.sources.findings import Finding
from pipelines.sources.incident_rows import StagedIncidents
from pipelines.sources.incident_servers import Served
from pipelines.sources.incident_servers.alerts import AlertEpisodes
from pipelines.sources.incident_servers.github import GitHubIssues
from pipelines.sources.incident_servers.gitlab import GitLabIssues
from pipelines.sources.incident_servers.jira import JiraIssues
from pipelines.sources.incident_servers.pagerduty import PagerDutyIncidents
from pipelines.sources.incident_servers.redmine import RedmineIssues
from pipelines.sources.incident_servers.servicenow import ServiceNowRecords
from pipelines.sources.incident_servers.statuspage import StatusPageIncidents
from pipelines.sources.incident_servers.zabbix_problems import ZabbixIncidents
from pipelines.sources.metric_staging import StagedMetrics


class Module(Protocol):
    """What every source's module has."""

    def inspect(self, source: Any, settings: Settings) -> list[Path]:
        """Whether a night may begin with it: cheap, without reading rows or asking a server.

        Returns:
            The files of this machine that it is read from.
        """
        ...

    def survey(self, source: Any, settings: Settings) -> Iterator[Finding]:
        """What ``forewarn check`` says of it; servers are asked."""
        ...


class MetricModule(Module, Protocol):
    """What a metric source's module has besides."""

    def stage(
        self,
        con: duckdb.DuckDBPyConnection,
        source: Any,
        settings: Settings,
        signals: Sequence[Signal],
        *,
        as_of: datetime,
        now: datetime,
        folder: Path,
        fetched: pl.DataFrame | None,
    ) -> StagedMetrics:
        """See `stage_metrics`."""
        ...


class IncidentModule(Module, Protocol):
    """What an incident source's module has besides."""

    def stage(
        self,
        con: duckdb.DuckDBPyConnection,
        source: Any,
        settings: Settings,
        *,
        as_of: datetime,
        now: datetime,
        folder: Path,
        fetched: pl.DataFrame | None,
    ) -> StagedIncidents:
        """See `stage_incidents`."""
        ...


METRICS: dict[type, MetricModule] = {
    MetricFiles: metric_files,
    Prometheus: prometheus,
    Sql: sql_query,
    Zabbix: zabbix,
}
INCIDENTS: dict[type, IncidentModule] = {
    IncidentFiles: incident_files,
    Alerts: Served(AlertEpisodes),
    GitHub: Served(GitHubIssues),
    GitLab: Served(GitLabIssues),
    Jira: Served(JiraIssues),
    Redmine: Served(RedmineIssues),
    StatusPage: Served(StatusPageIncidents),
    ZabbixProblems: Served(ZabbixIncidents),
    PagerDuty: Served(PagerDutyIncidents),
    ServiceNow: Served(ServiceNowRecords),
}
"""Settings model -> module."""


def inspect(source: MetricSource | IncidentSource, settings: Settings) -> list[Path]:
    """Whether a source can be read, before a run begins and without reading its rows.

    Returns:
        The files of this machine that it is read from.

    Raises:
        InputError: one line that names the file, the column and the mend.
    """
    return _module(source).inspect(source, settings)


def survey(source: MetricSource | IncidentSource, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of a source.

    Raises:
        InputError: its files are unusable.
    """
    return _module(source).survey(source, settings)


def _module(source: MetricSource | IncidentSource) -> Module:
    found: Module | None = METRICS.get(type(source))
    return found if found is not None else INCIDENTS[type(source)]


def stage_metrics(
    con: duckdb.DuckDBPyConnection,
    source: MetricSource,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """Stage series.parquet, samples.parquet and rejects.parquet of a metric source in `folder`.

    Args:
        con: an in-memory connection with its limits set; it is left as it was.
        signals: decide which labels are identity.
        as_of: the night's cut, naive UTC.
        now: when the run began, naive UTC.
        fetched: the columns of ``metric_staging.FETCHED``: what earlier runs fetched from this source; None: nothing.

    Raises:
        InputError: the source's files cannot be used. Servers raise nothing: what they did not give is a reject.
    """
    module = METRICS[type(source)]
    return module.stage(con, source, settings, signals, as_of=as_of, now=now, folder=folder, fetched=fetched)


def stage_incidents(
    con: duckdb.DuckDBPyConnection,
    source: IncidentSource,
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedIncidents:
    """Stage incidents.parquet, incident_events.parquet and rejects.parquet of an incident source in `folder`.

    Args:
        con, as_of, now, fetched: as `stage_metrics` has them.

    Raises:
        InputError: the source's files cannot be used. Servers raise nothing: what they did not give is a reject.
    """
    module = INCIDENTS[type(source)]
    return module.stage(con, source, settings, as_of=as_of, now=now, folder=folder, fetched=fetched)
