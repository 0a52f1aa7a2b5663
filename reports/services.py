"""Services: who owns an entity, how much it matters, and where its runbook is."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from features.names import Name, Zone
from features.options import Options
from reports.pilot import Mode, PublishWhen


class Service(Options):
    """Who owns what."""

    name: Name
    entities: list[str] = Field(min_length=1, description="globs")
    owner: str | None = None
    tier: Annotated[int, Field(ge=1, le=5)] | None = None
    runbook: str | None = None
    time_zone: Zone | None = None
    depends_on: list[Name] = Field(default_factory=list)
    mode: Mode | None = Field(default=None, description="default: tickets.mode")
    publish_when: PublishWhen | None = Field(default=None, description="default: tickets.publish_when")


def service_of(entity: str, services: Sequence[Service]) -> Service | None:
    """The first service that owns the entity."""
    return next((s for s in services if any(fnmatchcase(entity, glob) for glob in s.entities)), None)
