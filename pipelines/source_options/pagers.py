"""The options of pagers, monitors and status pages: PagerDuty, Zabbix's problems, Prometheus' alerts.

Belongs here: models and their faults. Not here: what all of them share (``incidents``), and asking them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pipelines.source_options.access import Access, Server
from pipelines.source_options.incidents import IncidentColumn, IncidentServer

Severity = Literal["not classified", "information", "warning", "average", "high", "disaster"]
"""Zabbix's own words, the least first."""


class ZabbixProblems(IncidentServer):
    """Problems of a Zabbix server: triggers that went off, with who acknowledged them and when they recovered."""

    type: Literal["zabbix"]
    url: Server = Field(description="of its frontend, before /api_jsonrpc.php")
    access: Access = Field(default=Access(), description="bearer: an API token; or a user's username and password")
    groups: list[str] = Field(default_factory=list, description="globs of host groups; default: all")
    hosts: list[str] = Field(default_factory=list, description="globs of hosts' technical names; default: all")
    tags: dict[str, str] = Field(default_factory=dict, description="tag -> value; a problem must have all of them")
    least_severity: Severity = Field(
        default="warning", description="a problem counts that had at least this severity at any time"
    )
    by_tag: dict[IncidentColumn, str] = Field(
        default={"service": "service", "team": "team", "category": "scope"},
        description="canonical name -> the problem's tag whose value it is",
    )


def _divides_a_day(seconds: int) -> int:
    if 86_400 % seconds:
        raise ValueError(f"{seconds} s do not divide a day; take 15, 30, 60 or another that does")
    return seconds


class Alerts(IncidentServer):
    """Episodes of firing alerts, as Prometheus and its kin record them: ALERTS and ALERTS_FOR_STATE."""

    type: Literal["alerts"]
    url: Server = Field(description="as far as before /api/v1")
    history_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=90, description="that the first night fetches")
    matchers: str = Field(
        default='alertname!~"Watchdog|InfoInhibitor|DeadMansSwitch"',
        description="of the alerts that are incidents; those that fire all the time are none",
    )
    step_seconds: Annotated[int, Field(ge=1, le=300), AfterValidator(_divides_a_day)] = Field(
        default=60, description="how closely is looked; best the interval at which the rules are evaluated"
    )
    join_minutes: Annotated[int, Field(ge=0, le=30)] = Field(
        default=5, description="an alert that fires again within this time is the same incident"
    )
    by_label: dict[IncidentColumn, list[str]] = Field(
        default={
            "severity": ["severity"],
            "service": ["service", "job"],
            "team": ["team"],
            "entity": ["instance", "node", "host", "pod"],
        },
        description="canonical name -> labels; the first one that an alert has gives the value",
    )
    without_labels: list[str] = Field(
        default=["replica", "prometheus_replica", "__replica__"],
        description="labels that tell the servers of a pair apart, not their alerts",
    )


class StatusPage(IncidentServer):
    """A public status page: Atlassian Statuspage, or one that answers in its layout."""

    type: Literal["statuspage"]
    url: Server | None = Field(default=None, description="of the page, before /api/v2")
    paths: list[str] = Field(
        default_factory=list,
        description="saved answers of /api/v2/incidents.json, or globs, relative to the settings file",
    )

    @model_validator(mode="after")
    def _something(self) -> StatusPage:
        if self.url is None and not self.paths:
            raise ValueError("give url, the page's address, or paths of saved answers")
        return self


class PagerDuty(IncidentServer):
    """Incidents of a PagerDuty account."""

    type: Literal["pagerduty"]
    url: Server = Field(
        default="https://api.pagerduty.com", description="of its API; https://api.eu.pagerduty.com in the EU"
    )
    teams: list[str] = Field(default_factory=list, description="ids of teams, such as PQ9K7I8; none: all")
    services: list[str] = Field(default_factory=list, description="globs of services' names; none: all")
