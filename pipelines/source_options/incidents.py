"""The options of the sources of incidents. A new type of source adds its model here.

Belongs here: models and their faults. Not here: anything that reads a source.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from features.incident_states import Kind
from features.names import Name, Zone
from features.options import Options
from pipelines.source_options.access import Access, Server

IncidentColumn = Literal[
    "source", "incident_id", "title", "service", "entity", "team", "category", "severity", "priority", "state",
    "started_at", "detected_at", "created_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at",
    "cancelled_at", "updated_at", "reopen_count", "reassignment_count", "is_predicted",
    "is_major", "sla_met", "on_hold_s", "review_at", "actions_total", "actions_done", "commander", "communications",
    "experts",
]  # fmt: skip
EventColumn = Literal["source", "incident_id", "event_no", "changed_at", "state", "team", "assignee"]


class IncidentEventFiles(Options):
    """Status changes of the incidents, one a row."""

    paths: list[str] = Field(min_length=1)
    columns: dict[EventColumn, str] = Field(default_factory=dict)


class IncidentFiles(Options):
    """One incident a row, and optionally their status changes."""

    remote: ClassVar[bool] = False

    name: Name
    type: Literal["files"] = "files"
    paths: list[str] = Field(min_length=1)
    columns: dict[IncidentColumn, str] = Field(
        default_factory=dict, description="canonical name -> column in the files, where they differ"
    )
    time_zone: Zone | None = None
    events: IncidentEventFiles | None = None


class IncidentServer(Options):
    """What all trackers and pagers have in common that are asked over a network."""

    remote: ClassVar[bool] = True

    name: Name
    access: Access = Access()
    history_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=400, description="that the first night fetches")
    fields: dict[IncidentColumn, str] = Field(
        default_factory=dict,
        description="canonical name -> where the server's record has it, by steps: fields.customfield_10042.value",
    )
    predicted: list[str] = Field(
        default=["forewarn", "forewarn-*", "forewarn:*"],
        description="globs of labels that mark predicted risks, which are no incidents; the line that ends a ticket"
        " marks them as well",
    )


def _repository(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", text):
        raise ValueError(f"{text!r} is no repository; write it as owner/name")
    return text


Repository = Annotated[str, AfterValidator(_repository)]


class GitHub(IncidentServer):
    """Issues of GitHub's repositories."""

    type: Literal["github"]
    url: Server = Field(default="https://api.github.com", description="of its API; an own one ends in /api/v3")
    repositories: list[Repository] = Field(min_length=1, description="owner/name")
    labels: list[str] = Field(default=["incident"], description="an incident has all of them; none: every issue")
    by_label: dict[IncidentColumn, str] = Field(
        default={"severity": "severity/*", "service": "service/*", "team": "team/*"},
        description="canonical name -> glob of labels; what stands at the * is the value",
    )


def _project(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,100}", text):
        raise ValueError(f"{text!r} is no project's identifier; it is what its address ends with, such as web-shop")
    return text


Project = Annotated[str, AfterValidator(_project)]


class Redmine(IncidentServer):
    """Issues of a Redmine."""

    type: Literal["redmine"]
    url: Server
    projects: list[Project] = Field(
        default_factory=list, description="identifiers, each with its subprojects; none: every project that we may see"
    )
    trackers: list[str] = Field(default=["Incident"], description="of which issues are incidents; none: of any")
    states: dict[str, Kind] = Field(
        default_factory=dict, description="status -> what it means, where its name does not say so in English"
    )
