"""The settings under `maintenance`: windows, calendar files, an Alertmanager's silences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from features.known_bad import Span, Window
from features.options import Options
from pipelines.source_options import Access, Server


def _moment(value: object) -> object:
    """What YAML or a person writes as a time; a date alone is its midnight."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{value!r} is no time; write it as 2026-05-31T22:00, or with a zone: +02:00, Z") from error


Moment = Annotated[datetime, BeforeValidator(_moment)]
Globs = Annotated[list[Annotated[str, Field(min_length=1)]], Field(default_factory=list)]


class Scope(Options):
    """What a window is about: all kinds that are named must match, one of each is enough."""

    entities: Globs = Field(default_factory=list, description="globs")
    services: Globs = Field(default_factory=list, description="names of services, or globs")
    metrics: Globs = Field(default_factory=list, description="globs")

    @model_validator(mode="after")
    def _about_something(self) -> Scope:
        if not (self.entities or self.services or self.metrics):
            raise ValueError("names nothing; add entities, services or metrics (entities: ['*'] is everything)")
        return self

    def window(self, source: str, span: Span, why: str) -> Window:
        """A window of this scope."""
        scope = (tuple(kind) for kind in (self.entities, self.services, self.metrics))
        return Window(source, *span, *scope, why=why)


class PlannedWindow(Scope):
    """One window. Times without a zone are of calendar.time_zone; a date alone is its midnight."""

    starts: Moment = Field(alias="from")
    until: Moment = Field(description="the first moment that is no longer in it")
    why: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> PlannedWindow:
        if (self.starts.tzinfo is None) != (self.until.tzinfo is None):
            raise ValueError("one of from and until has a zone, the other has none; write them alike")
        if self.until <= self.starts:
            raise ValueError(f"until {self.until.isoformat()} is not after from {self.starts.isoformat()}; swap them")
        return self

    def span(self, zone: ZoneInfo) -> Span:
        """Naive UTC."""
        return to_utc(self.starts, zone), to_utc(self.until, zone)


class CalendarFile(Scope):
    """The events of an iCalendar file, recurring ones too."""

    ical: str = Field(min_length=1, description="a file, relative to the settings file")
    summary: str = Field(default="*", description="a glob; only events whose summary matches are windows")


class Silences(Options):
    """The silences of an Alertmanager that are about hosts or services, not about a single alert."""

    alertmanager: Server = Field(description="its address, as people open it")
    entity_labels: list[str] = Field(
        default=["instance", "node", "host"], description="labels whose values name entities; ports are dropped"
    )
    service_labels: list[str] = Field(default=["service"], description="labels whose values name services")
    besides: list[str] = Field(
        default_factory=list,
        description="labels that a silence may name besides, such as alertname; a silence that names another one is"
        " about single alerts, and no window",
    )
    access: Access = Access()

    @property
    def source(self) -> str:
        return f"alertmanager {self.alertmanager}"


Kind = Literal["PlannedWindow", "CalendarFile", "Silences"]


def _kind(value: Any) -> Kind:
    told = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    return "CalendarFile" if "ical" in told else "Silences" if "alertmanager" in told else "PlannedWindow"


Maintenance = Annotated[
    Annotated[PlannedWindow, Tag("PlannedWindow")]
    | Annotated[CalendarFile, Tag("CalendarFile")]
    | Annotated[Silences, Tag("Silences")],
    Discriminator(_kind),
]


def to_utc(moment: datetime, zone: ZoneInfo) -> datetime:
    """Naive UTC; a moment without a zone is of `zone`."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).replace(tzinfo=None)
