"""The options of the sources: what forewarn.yaml says under ``sources``. A new type of source adds its model here.

Belongs here: models and their faults. Not here: anything that reads a source.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, SecretStr, Tag, model_validator

from features.names import Name, Zone
from features.options import Options


class MetricFiles(Options):
    """Long-format Parquet or CSV: one sample a row; columns that are not mapped become labels."""

    remote: ClassVar[bool] = False

    name: Name = Field(description="names the source in messages; also its value where the files have no source column")
    type: Literal["files"] = "files"
    paths: list[str] = Field(min_length=1, description="files or globs, relative to the settings file")
    columns: dict[Literal["source", "entity", "metric", "ts", "value", "unit"], str] = Field(
        default_factory=dict, description="canonical name -> column in the files, where they differ"
    )
    time_zone: Zone | None = Field(
        default=None, description="zone of time stamps that carry none; without it they are refused"
    )


class Tls(Options):
    """Paths are relative to the settings file."""

    ca: str | None = Field(default=None, description="PEM file of the authorities to trust instead of the system's")
    certificate: str | None = Field(default=None, description="PEM file of the client's certificate")
    key: str | None = Field(default=None, description="PEM file of its key, where the certificate's does not hold it")


class Access(Options):
    """How a server is reached. Secrets come from the environment: ``bearer: ${TOKEN}``."""

    bearer: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="sent with every request, e.g. a tenant's")
    tls: Tls = Tls()
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60
    concurrency: Annotated[int, Field(ge=1, le=32)] = Field(default=2, description="requests at once")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(default=4, description="of one request, with back-off")

    @model_validator(mode="after")
    def _one_way(self) -> Access:
        if self.bearer is not None and self.username is not None:
            raise ValueError("bearer and username are both given; keep one")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; give both")
        return self


class Prometheus(Options):
    """A server that speaks PromQL: Prometheus, VictoriaMetrics, Mimir, Thanos. Asked for signals that have a query."""

    remote: ClassVar[bool] = True

    name: Name
    type: Literal["prometheus"]
    url: str = Field(pattern=r"^https?://[^\s/@]+(/\S*)?$", description="as far as before /api/v1")
    access: Access = Access()
    matchers: str = Field(default="", description='added to every selector of the presets, e.g. cluster="prod"')
    step_minutes: Literal[1, 2, 5, 10, 15, 30, 60] = Field(default=5, description="of the averages that are fetched")
    history_days: Annotated[int, Field(ge=1, le=400)] = Field(default=90, description="that the first night fetches")
    settles_after_h: Annotated[int, Field(ge=0, le=168)] = Field(
        default=6, description="so long after its end a day may still change, and is asked for again"
    )
    most_series: Annotated[int, Field(ge=1)] = Field(default=50_000, description="of one signal; more are refused")
    fast_path: bool = Field(
        default=True, description="remote read or VictoriaMetrics' export, where the server offers it"
    )


IncidentColumn = Literal[
    "source", "incident_id", "title", "service", "entity", "team", "category", "severity", "priority", "state",
    "started_at", "detected_at", "created_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at",
    "cancelled_at", "updated_at", "reopen_count", "reassignment_count", "is_predicted",
]  # fmt: skip
EventColumn = Literal["source", "incident_id", "event_no", "changed_at", "state", "team", "assignee"]


class IncidentEventFiles(Options):
    """Status changes of the incidents, one a row."""

    paths: list[str] = Field(min_length=1)
    columns: dict[EventColumn, str] = Field(default_factory=dict)


class IncidentFiles(Options):
    """One incident a row, and optionally their status changes."""

    name: Name
    type: Literal["files"] = "files"
    paths: list[str] = Field(min_length=1)
    columns: dict[IncidentColumn, str] = Field(
        default_factory=dict, description="canonical name -> column in the files, where they differ"
    )
    time_zone: Zone | None = None
    events: IncidentEventFiles | None = None


# ------------------------------------------------------------------------------------------------------------- by type


def _type(given: Any) -> str:
    """A source that does not say its type is files."""
    found = given.get("type", "files") if isinstance(given, dict) else getattr(given, "type", "files")
    return str(found)


MetricSource = Annotated[
    Annotated[MetricFiles, Tag("files")] | Annotated[Prometheus, Tag("prometheus")], Discriminator(_type)
]
IncidentSource = IncidentFiles
TYPES = ("files", "prometheus")
"""The tags, which are no part of a key."""
