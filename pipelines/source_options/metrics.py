"""The options of the sources of metrics. A new type of source adds its model here.

Belongs here: models and their faults. Not here: anything that reads a source.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, SecretStr, model_validator

from features.names import Name, Zone
from features.options import Options
from pipelines.source_options.access import Access, Server

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


MetricColumn = Literal["source", "entity", "metric", "ts", "value", "unit"]


class MetricFiles(Options):
    """Long-format Parquet or CSV: one sample a row; columns that are not mapped become labels."""

    remote: ClassVar[bool] = False

    name: Name = Field(description="names the source in messages; also its value where the files have no source column")
    type: Literal["files"] = "files"
    paths: list[str] = Field(
        min_length=1, description="files or globs, relative to the settings file; or http(s) addresses of single files"
    )
    columns: dict[MetricColumn, str] = Field(
        default_factory=dict, description="canonical name -> column in the files, where they differ"
    )
    time_zone: Zone | None = Field(
        default=None, description="zone of time stamps that carry none; without it they are refused"
    )
    access: Access = Field(default=Access(), description="how addresses among the paths are reached")

    @model_validator(mode="after")
    def _fetched_over_http(self) -> MetricFiles:
        for path in self.addresses:
            scheme, _, rest = path.partition("://")
            shown = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
            if scheme not in ("http", "https"):
                raise ValueError(
                    f"{shown} cannot be fetched: only http and https are spoken here; give an https address of the file"
                    " (a presigned one will do), or copy or mount it and give its path"
                )
            if "@" in rest.partition("/")[0]:
                raise ValueError(f"{shown}: has a user or password in it; put them under access")
            if "*" in rest.partition("?")[0]:
                raise ValueError(f"{shown}: an address cannot hold *, for a server lists no files; name each file")
        return self

    @property
    def addresses(self) -> list[str]:
        """The paths that are fetched over a network."""
        return [path for path in self.paths if ADDRESS.match(path)]

    @property
    def local_paths(self) -> list[str]:
        """The others."""
        return [path for path in self.paths if not ADDRESS.match(path)]


class Prometheus(Options):
    """A server that speaks PromQL: Prometheus, VictoriaMetrics, Mimir, Thanos. Asked for signals that have a query."""

    remote: ClassVar[bool] = True

    name: Name
    type: Literal["prometheus"]
    url: Server = Field(description="as far as before /api/v1")
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


class Sql(Options):
    """A query, over any database that SQLAlchemy speaks to, or over what DuckDB reads by itself."""

    remote: ClassVar[bool] = True

    name: Name
    type: Literal["sql"]
    url: SecretStr | None = Field(
        default=None, description="as SQLAlchemy writes it: postgresql+psycopg://reader@db.example.com/app"
    )
    password: SecretStr | None = Field(default=None, description="of the url's user, as it is; in url it is encoded")
    duckdb: str | None = Field(
        default=None, description="a DuckDB file, relative to the settings file; or :memory:, to query files"
    )
    sqlite: str | None = Field(default=None, description="an SQLite file, relative to the settings file")
    query: str = Field(
        description="one SELECT of entity, metric, ts, value and, if need be, source, unit and labels, of the samples"
        " with :since <= ts < :until"
    )
    columns: dict[MetricColumn, str] = Field(
        default_factory=dict, description="canonical name -> column of the query, where they differ"
    )
    times: Literal["timestamp", "epoch", "text"] | None = Field(
        default=None,
        description="what :since and :until are: a timestamp of the database, seconds since 1970, or text such as"
        " 2026-05-31T13:00:00Z. Default: timestamp; for SQLite, text",
    )
    time_zone: Zone | None = Field(
        default=None, description="zone of times that carry none; without it they are refused"
    )
    history_days: Annotated[int, Field(ge=1, le=400)] = Field(default=90, description="that the first night fetches")
    settles_after_h: Annotated[int, Field(ge=0, le=168)] = Field(
        default=6, description="so long after its end a day may still change, and is asked for again"
    )
    days_at_once: Annotated[int, Field(ge=1, le=400)] = Field(default=7, description="that one query is asked for")
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=300, description="of one query; PostgreSQL is told"
    )

    @model_validator(mode="after")
    def _one_database(self) -> Sql:
        if sum(each is not None for each in (self.url, self.duckdb, self.sqlite)) != 1:
            raise ValueError("name one database: url, duckdb or sqlite")
        if missing := [bind for bind in (":since", ":until") if not re.search(rf"(?<![:\w]){bind}\b", self.query)]:
            raise ValueError(
                f"query: does not use {missing[0]}; add WHERE ts >= :since AND ts < :until, so that a night fetches"
                " only what is new"
            )
        return self


class ZabbixKey(Options):
    """What an item's key means."""

    key: str = Field(description='as in "vfs.fs.size[*,pused]"; a parameter * is any, a key without brackets has none')
    metric: str = Field(min_length=1, description="what its series are called here")
    labels: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="label -> the number of the parameter that it is; the first is 1"
    )
    unit: str | None = Field(default=None, description="default: the item's")
    factor: float = Field(default=1, description="a value is multiplied by this, and then ...")
    plus: float = Field(default=0, description="... raised by this: free percent become used ones by -1 and 100")

    @model_validator(mode="after")
    def _labels_beside_columns(self) -> ZabbixKey:
        if taken := {label.lower() for label in self.labels} & set(get_args(MetricColumn)):
            raise ValueError(f"a label cannot be called {sorted(taken)[0]!r}; give it another name")
        return self


class Zabbix(Options):
    """A Zabbix server's history, and its hourly trends where history is no longer kept."""

    remote: ClassVar[bool] = True

    name: Name
    type: Literal["zabbix"]
    url: Server = Field(description="of its frontend, before /api_jsonrpc.php")
    access: Access = Field(default=Access(), description="bearer: an API token; or a user's username and password")
    groups: list[str] = Field(default_factory=list, description="globs of host groups; default: all")
    hosts: list[str] = Field(default_factory=list, description="globs of hosts' technical names; default: all")
    keys: list[str] = Field(
        default_factory=list,
        description="globs of item keys; only * and ? are special. Default: those with a known meaning, see metrics",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="tag -> value; an item must have all of them")
    metrics: list[ZabbixKey] = Field(
        default_factory=list, description="what keys mean, before what data/zabbix_keys.yaml says"
    )
    history_days: Annotated[int, Field(ge=1, le=400)] = Field(default=90, description="that the first night fetches")
    settles_after_h: Annotated[int, Field(ge=0, le=168)] = Field(
        default=6, description="so long after its end a day may still change, and is asked for again"
    )
    most_items: Annotated[int, Field(ge=1)] = Field(default=50_000, description="more are refused")
