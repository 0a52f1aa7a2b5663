"""The options of incident files, and what the options of all servers of incidents share.

Belongs here: models and their faults. Not here: any one server's (``trackers``, ``pagers``), and reading.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from features.names import Name, Zone
from features.options import Options
from pipelines.source_options.access import Access

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
    """What all trackers and pagers have in common that are asked over a network.

    parts: the options that list what is asked for apart, such as repositories: one more asks nothing anew of others.
    """

    remote: ClassVar[bool] = True
    parts: ClassVar[frozenset[str]] = frozenset()

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
