"""Signals: which series a promise is about, and which limits they must not reach.

Belongs here: the options of a signal and the matching of series to signals. Not here: the value that a limit has for a
series on a night (``forecasting.limits``), or where series come from (``pipelines.sources``).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from features import promql
from features.names import Name
from features.options import Options

Direction = Literal["up", "down"]

INSTANCE = "instance"
"""The label whose value is an address; its port is no part of a name."""


def _askable(text: str) -> str:
    if wrong := promql.fault(text):
        raise ValueError(f"no usable PromQL: {wrong}")
    return text


PromQL = Annotated[str, AfterValidator(_askable)]


class Query(Options):
    """How a signal's series are had from a server that speaks PromQL (``features.promql`` has the placeholders)."""

    usage: PromQL = Field(description="PromQL of what is in use; may hold $step and $matchers")
    entity: list[str] = Field(
        default=[INSTANCE],
        min_length=1,
        description="labels whose values, joined by '/', name the entity; the port of an instance is dropped",
    )


def entity_of(names: Sequence[str], labels: Mapping[str, str]) -> str:
    """The values of these labels, joined by '/', an instance's without its port; empty where there are none."""
    found = [(name, labels[name]) for name in names if labels.get(name)]
    return "/".join(without_port(value) if name == INSTANCE else value for name, value in found)


def without_port(address: str) -> str:
    """A host, or an address of the web, without its port: db-1:9100 -> db-1, [::1]:9100 -> ::1.

    A port may change without its being another machine. Brackets go with it, since they are no part of an address, and
    mean something else in a glob.
    """
    if bracketed := re.fullmatch(r"\[([^\[\]]*:[^\[\]]*)\](?::\d{1,5})?", address):
        return bracketed[1]
    if _is_v6(address):
        return address
    return re.sub(r"(?<=[^:/]):\d{1,5}(?=/|$)", "", address, count=1)


def _is_v6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


class ConstantLimit(Options):
    """A limit that somebody set."""

    name: Name
    value: Annotated[float, Field(allow_inf_nan=False)]


class SeriesLimit(Options):
    """A limit that is a series of its own, such as the size of a disk: same source, entity and identity labels."""

    name: Name
    metric: str
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    query: PromQL | None = Field(
        default=None, description="PromQL of the limit's series, with the same labels as the signal's own query"
    )


class PastLimit(Options):
    """A limit read off the series' own past: a quantile of `days` before a renewal day, and a margin beyond it.

    It is renewed every `renew_days`, on days counted from the epoch and never nightly, so that it does not creep along
    with a leak.
    """

    name: Name
    quantile: Annotated[float, Field(ge=0, le=1)]
    days: Annotated[int, Field(ge=7, le=400)] = 28
    margin: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.1, description="share of the past's p95 - p5, added beyond"
    )
    renew_days: Annotated[int, Field(ge=1, le=400)] = 28


Limit = ConstantLimit | SeriesLimit | PastLimit


class Signal(Options):
    """Which series a promise is about, and which limits they must not reach."""

    name: Name
    metric: str = Field(description="the metric's name, or a glob")
    entity: str = Field(default="*", description="a glob")
    labels: dict[str, str] = Field(default_factory=dict, description="label -> glob; all must match")
    identity: list[str] | None = Field(
        default=None, description="labels that tell one series from another; the rest may churn. Default: all of them"
    )
    title: str | None = Field(default=None, description="what people call it, e.g. 'memory in use'")
    unit: str | None = None
    direction: Direction = "up"
    lasts_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=3,
        description="consecutive observed hours beyond the limit that make a crossing, like `for:` in an alerting rule",
    )
    minimum: float | None = Field(default=None, description="the metric cannot fall below this")
    maximum: float | None = Field(default=None, description="the metric cannot rise above this")
    limits: list[Limit] = Field(min_length=1)
    query: Query | None = Field(
        default=None, description="how a server that speaks PromQL is asked for the series; they are stored as `metric`"
    )
    advice: str | None = Field(default=None, description="what to do, for the ticket")

    @model_validator(mode="after")
    def _limits_named_once(self) -> Signal:
        names = [limit.name for limit in self.limits]
        if len(set(names)) < len(names):
            raise ValueError(f"signal {self.name!r} has two limits of one name; give each its own")
        return self

    @model_validator(mode="after")
    def _matched_by_identity(self) -> Signal:
        churning = sorted(self.labels.keys() - (self.labels.keys() if self.identity is None else set(self.identity)))
        if churning:
            raise ValueError(
                f"signal {self.name!r} matches on the label {churning[0]!r}, which is not kept; add it to identity"
            )
        return self

    @model_validator(mode="after")
    def _stored_by_name(self) -> Signal:
        held = [limit for limit in self.limits if isinstance(limit, SeriesLimit)]
        if self.query is None:
            if asked := [limit.name for limit in held if limit.query]:
                raise ValueError(
                    f"limit {asked[0]!r} of signal {self.name!r} has a query, the signal has none; add query.usage"
                )
            return self
        for key, metric in (("metric", self.metric), *((f"metric of limit {one.name!r}", one.metric) for one in held)):
            if set(metric) & set("*?["):
                raise ValueError(
                    f"signal {self.name!r} has a query, so its series are stored under its {key}, which is the pattern"
                    f" {metric!r}; name one metric without * ? ["
                )
        if unasked := [limit.name for limit in held if not limit.query]:
            raise ValueError(
                f"signal {self.name!r} has a query, its limit {unasked[0]!r} is a series without one; add query to it"
            )
        return self

    def matches(self, entity: str, metric: str, labels: dict[str, str]) -> bool:
        return (
            fnmatchcase(metric, self.metric)
            and fnmatchcase(entity, self.entity)
            and all(key in labels and fnmatchcase(labels[key], glob) for key, glob in self.labels.items())
        )


def match(series: pl.DataFrame, signals: Sequence[Signal]) -> pl.DataFrame:
    """Every series with the first signal that it matches.

    Args:
        series: series_id, entity, metric, labels (JSON object).
        signals: in order of precedence.

    Returns:
        series_id, signal (its name); series without a signal are left out.
    """
    rows: list[tuple[int, str]] = []
    for series_id, entity, metric, labels in series.select("series_id", "entity", "metric", "labels").iter_rows():
        parsed = json.loads(labels)
        found = next((s.name for s in signals if s.matches(entity, metric, parsed)), None)
        if found is not None:
            rows.append((series_id, found))
    return pl.DataFrame(rows, schema={"series_id": pl.UInt64, "signal": pl.String}, orient="row")
