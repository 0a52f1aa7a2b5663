"""The options of the sources: what forewarn.yaml says under ``sources``. A new type of source adds a line here.

Belongs here: which types there are. Not here: their models (``metrics``, ``incidents``, ``trackers``, ``pagers``), and
anything that reads a source.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from pipelines.source_options.access import Access, Server, Tls
from pipelines.source_options.incidents import IncidentFiles, IncidentServer
from pipelines.source_options.metrics import MetricFiles, Prometheus, Sql, Zabbix, ZabbixKey
from pipelines.source_options.pagers import Alerts, PagerDuty, StatusPage, ZabbixProblems
from pipelines.source_options.trackers import GitHub, GitLab, Jira, Redmine, ServiceNow

__all__ = [
    "TYPES",
    "Access",
    "Alerts",
    "GitHub",
    "GitLab",
    "IncidentFiles",
    "IncidentServer",
    "IncidentSource",
    "Jira",
    "MetricFiles",
    "MetricSource",
    "PagerDuty",
    "Prometheus",
    "Redmine",
    "Server",
    "ServiceNow",
    "Sql",
    "StatusPage",
    "Tls",
    "Zabbix",
    "ZabbixKey",
    "ZabbixProblems",
]  # fmt: skip


def _type(given: Any) -> str:
    """A source that does not say its type is files."""
    found = given.get("type", "files") if isinstance(given, dict) else getattr(given, "type", "files")
    return str(found)


MetricSource = Annotated[
    Annotated[MetricFiles, Tag("files")]
    | Annotated[Prometheus, Tag("prometheus")]
    | Annotated[Sql, Tag("sql")]
    | Annotated[Zabbix, Tag("zabbix")],
    Discriminator(_type),
]
IncidentSource = Annotated[
    Annotated[IncidentFiles, Tag("files")]
    | Annotated[Alerts, Tag("alerts")]
    | Annotated[GitHub, Tag("github")]
    | Annotated[GitLab, Tag("gitlab")]
    | Annotated[Jira, Tag("jira")]
    | Annotated[Redmine, Tag("redmine")]
    | Annotated[PagerDuty, Tag("pagerduty")]
    | Annotated[ServiceNow, Tag("servicenow")]
    | Annotated[StatusPage, Tag("statuspage")]
    | Annotated[ZabbixProblems, Tag("zabbix")],
    Discriminator(_type),
]
TYPES = (
    "files", "prometheus", "sql", "zabbix", "alerts", "github", "gitlab", "jira", "pagerduty", "redmine", "servicenow",
    "statuspage",
)  # fmt: skip
"""The tags, which are no part of a key."""
