"""The options of trackers and desks: GitHub, GitLab, Jira, Redmine, ServiceNow.

Belongs here: models and their faults. Not here: what all of them share (``incidents``), and asking them.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from features.incident_states import Kind
from pipelines.source_options.access import Server
from pipelines.source_options.incidents import IncidentColumn, IncidentServer


def _shaped(pattern: str, fault: str) -> AfterValidator:
    """A text of a shape. fault: what is said of another text, behind it."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} {fault}")
        return text

    return AfterValidator(check)


Repository = Annotated[str, _shaped(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", "is no repository; write it as owner/name")]


class GitHub(IncidentServer):
    """Issues of GitHub's repositories."""

    parts: ClassVar[frozenset[str]] = frozenset({"repositories"})

    type: Literal["github"]
    url: Server = Field(default="https://api.github.com", description="of its API; an own one ends in /api/v3")
    repositories: list[Repository] = Field(min_length=1, description="owner/name")
    labels: list[str] = Field(default=["incident"], description="an incident has all of them; none: every issue")
    by_label: dict[IncidentColumn, str] = Field(
        default={"severity": "severity/*", "service": "service/*", "team": "team/*"},
        description="canonical name -> glob of labels; what stands at the * is the value",
    )


GitLabPath = Annotated[
    str,
    _shaped(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", "is no path; write it as group/project, or as a number in quotes"),
]


class GitLab(IncidentServer):
    """Incidents of GitLab's projects and groups."""

    parts: ClassVar[frozenset[str]] = frozenset({"projects", "groups"})

    type: Literal["gitlab"]
    url: Server = Field(default="https://gitlab.com", description="of the server, without /api/v4")
    projects: list[GitLabPath] = Field(default_factory=list, description="paths, group/project, or ids")
    groups: list[GitLabPath] = Field(
        default_factory=list, description="paths or ids; all their projects, and those of the groups in them"
    )
    issue_type: Literal["incident", "issue"] | None = Field(default="incident", description="null: every type")
    labels: list[str] = Field(default_factory=list, description="an incident has all of them")
    by_label: dict[IncidentColumn, str] = Field(
        default={"severity": "severity::*", "priority": "priority::*", "service": "service::*", "team": "team::*"},
        description="canonical name -> glob of labels; what stands at the * is the value",
    )
    cancelled: list[str] = Field(
        default=["duplicate", "invalid", "false alarm", "false-alarm", "false positive", "false-positive"],
        description="globs of labels that say of a closed issue that there was no incident",
    )

    @model_validator(mode="after")
    def _somewhere(self) -> GitLab:
        if not self.projects and not self.groups:
            raise ValueError("names no projects and no groups; name one")
        return self


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line with something in it; correct it")
    return text.strip()


Line = Annotated[str, AfterValidator(_line)]
"""A name as people write it."""


def _jql(text: str) -> str:
    if re.search(r"\border\s+by\b", re.sub(r"'(\\.|[^'\\])*'|\"(\\.|[^\"\\])*\"", "", text), re.IGNORECASE):
        raise ValueError("must not say ORDER BY, for the order is that of change; leave it out")
    return text


class Jira(IncidentServer):
    """Issues of Jira and of Jira Service Management."""

    parts: ClassVar[frozenset[str]] = frozenset({"projects"})

    type: Literal["jira"]
    url: Server = Field(description="of the site: https://example.atlassian.net")
    edition: Literal["cloud", "data-center"] | None = Field(
        default=None, description="by default, cloud at atlassian.net and api.atlassian.com, and data-center elsewhere"
    )
    projects: list[Line] = Field(default_factory=list, description="keys; none: all that the account can see")
    issue_types: list[Line] = Field(
        default=["Incident", "[System] Incident"], description="names; a site needs to have one of them only; none: all"
    )
    jql: Annotated[Line, AfterValidator(_jql)] | None = Field(
        default=None, description="what chooses the issues instead of projects and issue_types; without ORDER BY"
    )
    cancelled: list[Line] = Field(
        default=[
            "Duplicate", "Won't Do", "Won't Fix", "Cannot Reproduce", "Not a Bug", "Invalid", "Rejected", "Declined",
            "Canceled", "Cancelled", "False Alarm", "False Positive",
        ],
        description="names of resolutions that say that there was no incident",
    )  # fmt: skip
    response_sla: Line = Field(
        default="Time to first response", description="of Jira Service Management: where it ends, somebody took it up"
    )
    resolution_sla: Line = Field(
        default="Time to resolution", description="of Jira Service Management: tells whether it was done in time"
    )
    by_label: dict[IncidentColumn, str] = Field(
        default={"service": "service:*", "team": "team:*"},
        description="canonical name -> glob of labels; what stands at the * is the value",
    )

    @model_validator(mode="after")
    def _chosen_once(self) -> Jira:
        if self.jql is None and not self.projects and not self.issue_types:
            raise ValueError("chooses every issue of the site; name projects, issue_types or jql")
        if self.jql is not None and self.model_fields_set & {"projects", "issue_types"}:
            raise ValueError("jql stands instead of projects and issue_types; keep one")
        return self

    @property
    def is_cloud(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        known = host == "api.atlassian.com" or host.endswith((".atlassian.net", ".jira.com"))
        return self.edition == "cloud" or (self.edition is None and known)


Project = Annotated[
    str, _shaped(r"[a-z0-9_-]{1,100}", "is no project's identifier; it is what its address ends with, such as web-shop")
]


class Redmine(IncidentServer):
    """Issues of a Redmine."""

    parts: ClassVar[frozenset[str]] = frozenset({"projects"})

    type: Literal["redmine"]
    url: Server
    projects: list[Project] = Field(
        default_factory=list, description="identifiers, each with its subprojects; none: every project that we may see"
    )
    trackers: list[str] = Field(default=["Incident"], description="of which issues are incidents; none: of any")
    states: dict[str, Kind] = Field(
        default_factory=dict, description="status -> what it means, where its name does not say so in English"
    )


Table = Annotated[str, _shaped(r"[a-z][a-z0-9_]*", "is no table; write its name as ServiceNow does, such as incident")]


def _encoded_query(text: str) -> str:
    if re.search(r"(\^|^)(NQ|ORDERBY)", text):
        raise ValueError("a query must hold no ^NQ and no ORDERBY, for times and order are added to it; leave them out")
    return text.strip("^ ").removesuffix("^EQ").strip("^ ")  # a copied one may say where it ends


class ServiceNow(IncidentServer):
    """Records of a ServiceNow instance."""

    type: Literal["servicenow"]
    url: Server = Field(description="of the instance: https://acme.service-now.com")
    table: Table = Field(default="incident", description="that holds the incidents")
    query: Annotated[str, AfterValidator(_encoded_query)] = Field(
        default="", description="encoded query that chooses among them: active=true^priority<=2"
    )
