"""forewarn.yaml -> typed settings.

Belongs here: the shape of the settings, their defaults, and messages that name the key and the mend.
Does not belong here: anything that reads a source, opens the warehouse or knows about Dagster.

Any string may hold ``${NAME}`` or ``${NAME:-default}``: it is filled from the environment, which is the only place
where secrets live. Paths are relative to the folder of the settings file.
"""

from __future__ import annotations

import glob
import json
import os
import re
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import Field, ValidationError, model_validator

from data.presets import load_presets
from features.names import Name, Zone
from features.options import Options
from features.signals import Signal
from forecasting.options import ForecastingOptions
from pipelines.distribution.options import Distribution
from pipelines.maintenance.options import Maintenance
from pipelines.source_options import TYPES, IncidentSource, MetricSource
from reports.incident_options import IncidentOptions
from reports.pilot import Mode, PublishWhen, Terms
from reports.services import Service
from reports.ticket_policy import TicketPolicy
from reports.working_time import WorkingHours

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample" / "forewarn.yaml"
ENVIRONMENT = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


KINDS = (
    "ConstantLimit", "SeriesLimit", "PastLimit", "PlannedWindow", "CalendarFile", "Silences", "Email", "Webhook",
)  # fmt: skip
"""What pydantic names in a fault's place, and no settings file does."""


class SettingsError(Exception):
    """The settings are unusable; the message is one line that names the key and the mend."""


# ---------------------------------------------------------------------------------------------------------- sources


class Sources(Options):
    metrics: list[MetricSource] = Field(default_factory=list)
    incidents: list[IncidentSource] = Field(default_factory=list)

    @model_validator(mode="after")
    def _named_once(self) -> Sources:
        for kind in (self.metrics, self.incidents):
            names = [source.name for source in kind]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"two sources are called {sorted(twice)[0]!r}; give each its own name")
        return self


# ------------------------------------------------------------------------------------------- signals and the rest


class Signals(Options):
    """What is watched. Own signals come first: the first that matches a series speaks for it."""

    presets: list[str] = Field(default_factory=list, description="names of presets, see data/presets")
    own: list[Signal] = Field(default_factory=list)

    @model_validator(mode="after")
    def _named_once(self) -> Signals:
        names = [signal.name for signal in self.all]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two signals are called {twice[0]!r}; give each its own name")
        return self

    @property
    def all(self) -> list[Signal]:
        return [*self.own, *load_presets(self.presets)]


class Outbox(Options):
    """The embedded tracker: a folder of Markdown files."""

    type: Literal["outbox"] = "outbox"
    name: Name = "outbox"
    folder: str | None = Field(default=None, description="default: tickets/ under the storage root")


SHADOW = "shadow"
"""The name of the outbox beside the trackers, in ledger and file system: what would have been published."""


class Tickets(Options):
    mode: Mode = Field(
        default="shadow",
        description="shadow: tickets are written aside, no tracker hears of them; pilot: published where the record"
        " meets publish_when; live: published. A service may have its own",
    )
    publish_when: PublishWhen = PublishWhen()
    policy: TicketPolicy = TicketPolicy()
    trackers: list[Outbox] = Field(default_factory=lambda: [Outbox()])
    feedback: str | None = Field(
        default=None, description="CSV of what readers say of tickets; default: feedback.csv under the storage root"
    )

    @model_validator(mode="after")
    def _named_once(self) -> Tickets:
        names = [tracker.name for tracker in self.trackers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two trackers are called {twice[0]!r}; give each its own name")
        if SHADOW in names:
            raise ValueError(f"a tracker is called {SHADOW!r}, as is what was not published; give it another name")
        return self


class Calendar(Options):
    time_zone: Zone = Field(default="UTC", description="the schedule's zone; a night is cut at its midnight")
    nightly_at: time = time(2, 30)
    working_hours: WorkingHours = WorkingHours()
    holidays: list[date] = Field(default_factory=list)
    first_night: date = Field(
        default=date(2024, 1, 1), description="the first partition; data before it may still be history"
    )
    as_of: date | None = Field(
        default=None, description="the night to run when none is named; for archives. Default: today"
    )


class Retention(Options):
    raw_days: Annotated[int, Field(ge=8)] = 35
    hourly_days: Annotated[int, Field(ge=35)] = 400
    forecast_days: Annotated[int, Field(ge=1)] = 90


class Storage(Options):
    root: str = Field(
        default="run", description="folder of the warehouse and all other output, relative to the settings file"
    )
    memory_limit: str = Field(
        default="1GiB", pattern=r"^\d+(\.\d+)?\s?(MiB|GiB|MB|GB)$", description="of DuckDB; it spills beyond"
    )
    retention: Retention = Retention()


class Settings(Options):
    """The whole of forewarn.yaml."""

    version: Literal[1] = 1
    sources: Sources = Sources()
    signals: Signals = Signals()
    services: list[Service] = Field(default_factory=list)
    tickets: Tickets = Tickets()
    maintenance: list[Maintenance] = Field(
        default_factory=list,
        description="known-bad windows, calendar files, Alertmanagers: hours that teach nothing, nights without ticket",
    )
    calendar: Calendar = Calendar()
    storage: Storage = Storage()
    forecasting: ForecastingOptions = ForecastingOptions()
    incidents: IncidentOptions = IncidentOptions()
    distribution: Distribution = Field(
        default_factory=list,
        description="who gets the incident report by mail or webhook, and on which nights; it is written in any case",
    )

    _folder: Path = Path()

    @property
    def folder(self) -> Path:
        """What relative paths are relative to."""
        return self._folder

    def path(self, relative: str) -> Path:
        return (self._folder / Path(relative).expanduser()).resolve()

    @property
    def root(self) -> Path:
        return self.path(self.storage.root)

    def folder_of(self, outbox: Outbox) -> Path:
        """Where an outbox puts its files."""
        return self.path(outbox.folder) if outbox.folder else self.root / "tickets"

    @property
    def tickets_folder(self) -> Path | None:
        """Where people find tickets as files: the folder of the first outbox, if there is one."""
        return next((self.folder_of(tracker) for tracker in self.tickets.trackers), None)

    @property
    def shadow_folder(self) -> Path:
        """Where the tickets are that no tracker hears of."""
        return self.root / SHADOW

    @property
    def feedback_file(self) -> Path:
        """Where people say whether tickets were useful."""
        return self.path(self.tickets.feedback) if self.tickets.feedback else self.root / "feedback.csv"

    @property
    def today(self) -> date:
        """The night that is run when none is named: an archive's own, else today's in the schedule's zone."""
        return self.calendar.as_of or datetime.now(self.zone).date()

    def report_folder(self, night: date) -> Path:
        """Where a night's pages stand."""
        return self.root / "reports" / night.isoformat()

    @property
    def terms(self) -> dict[str | None, Terms]:
        """On which terms each service's tickets are published; None: of entities that no service owns."""
        ours = self.tickets
        named = {
            service.name: Terms(service.mode or ours.mode, service.publish_when or ours.publish_when)
            for service in self.services
        }
        return {**named, None: Terms(ours.mode, ours.publish_when)}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.calendar.time_zone)


# ---------------------------------------------------------------------------------------------------------- loading


def _fill(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {k: _fill(v, f"{key}.{k}" if key else str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, f"{key}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def from_environment(match: re.Match[str]) -> str:
        found = os.environ.get(match["name"], match["default"])
        if found is None:
            raise SettingsError(f"{key}: the environment variable {match['name']} is not set; set it or give a default")
        return found

    return ENVIRONMENT.sub(from_environment, value)


def _explain(error: ValidationError) -> str:
    """The first fault in one line: its key as written in the file, what is wrong, and how many more there are."""
    first, *more = error.errors(include_url=False)
    key = ""
    for part in first["loc"]:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part not in (*KINDS, *TYPES):
            key += f".{part}" if key else str(part)
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        said = "unknown key; remove it or correct its spelling"
    rest = f" (and {len(more)} more)" if more else ""
    return f"{key or 'settings'}: {said}{rest}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Yaml(yaml.SafeLoader):
    """Safe YAML in which a value that is not of its kind, such as the date 2024-13-45, is a fault with a line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # PyYAML lets out whatever int, date and re raise
            kind = node.tag.rpartition(":")[2]
            said = f"{str(node.value)[:40]!r} is no {kind} ({error}); correct it, or quote it if it is text"
            raise yaml.constructor.ConstructorError(problem=said, problem_mark=node.start_mark) from error


def _explain_yaml(error: yaml.YAMLError, text: str) -> str:
    """Where and what: ' line 3: not valid YAML: ...'."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f" line {line}: not valid YAML: the character {chr(error.character)!r} is not allowed; remove it"
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark else ""
    return f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}"


def parse(text: str, folder: Path, name: str = "settings") -> Settings:
    """Read settings from YAML text.

    Raises:
        SettingsError: one line that names file, key and mend.
    """
    try:
        content = yaml.load(text, _Yaml) or {}  # noqa: S506 - it is a SafeLoader
        if not isinstance(content, dict):
            raise SettingsError("expected a mapping with keys such as sources and signals")
        settings = Settings.model_validate(_fill(content, ""))
    except yaml.YAMLError as error:
        raise SettingsError(_one_line(name + _explain_yaml(error, text))) from error
    except RecursionError as error:
        raise SettingsError(f"{name}: nested too deeply, or an alias within its own anchor; write it out") from error
    except ValidationError as error:
        raise SettingsError(_one_line(f"{name}: {_explain(error)}")) from error
    except SettingsError as error:
        raise SettingsError(_one_line(f"{name}: {error}")) from error
    settings._folder = folder
    if glob.has_magic(str(settings.root)):  # DuckDB, Polars and Dagster would read the path as a pattern
        raise SettingsError(f"{name}: storage.root: {settings.root} holds one of * ? [; name a folder without them")
    return settings


def load(path: Path | None = None) -> Settings:
    """Settings from `path`, else ``$FOREWARN_CONFIG``, else the sample fleet's."""
    named = path or (Path(os.environ["FOREWARN_CONFIG"]) if os.environ.get("FOREWARN_CONFIG") else SAMPLE)
    try:
        text = named.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{named}: cannot be read ({error.strerror}); name a settings file with --config"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{named}: is not UTF-8 text; save it as UTF-8") from error
    return parse(text, named.resolve().parent, str(named))


def is_sample(settings: Settings) -> bool:
    return settings.folder == SAMPLE.parent


# ------------------------------------------------------------------------------------------------------------ as_of


def cut(night: date, zone: ZoneInfo) -> datetime:
    """The night's cut: midnight in the schedule's zone, floored to the UTC hour. Naive UTC."""
    midnight = datetime.combine(night, time(), zone)
    return midnight.astimezone(ZoneInfo("UTC")).replace(minute=0, second=0, microsecond=0, tzinfo=None)


def night_of(text: str | None, settings: Settings, today: date | None = None, option: str = "--as-of") -> date:
    """The night named by an option: a date, or the exact time of its cut; else the settings' own; else today.

    Raises:
        SettingsError: not a date, or a time that is not a night's cut.
    """
    today = today or datetime.now(settings.zone).date()
    if text is None:
        return _allowed(settings.calendar.as_of or today, settings, today, option)
    try:
        return _allowed(date.fromisoformat(text), settings, today, option)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: not a date; write it as 2026-05-31") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("UTC"))
    utc = moment.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    local = moment.astimezone(settings.zone).date()
    for night in (local, local + timedelta(days=1)):
        if cut(night, settings.zone) == utc:
            return _allowed(night, settings, today, option)
    raise SettingsError(
        f"{option} {text!r}: a night is cut at midnight in {settings.calendar.time_zone}; name the date alone: {local}"
    )


def _allowed(night: date, settings: Settings, today: date, option: str) -> date:
    if night < settings.calendar.first_night:
        raise SettingsError(
            f"{option} {night}: lies before calendar.first_night ({settings.calendar.first_night}); move that back"
        )
    if night > today:
        raise SettingsError(f"{option} {night}: lies in the future; the newest night is {today}")
    return night


def json_schema() -> str:
    """The settings' JSON schema, as committed in data/settings.schema.json for editors to complete and check by."""
    return json.dumps(Settings.model_json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
