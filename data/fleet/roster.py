"""The roster: every series of the sample fleet, with its scenario, its shape and the shape's parameters.

Belongs here: reading ``roster.yaml``, where the fleet is written down. Not here: how a shape is computed
(``data.fleet.shapes``), noise, rounding and gaps (``data.fleet.simulation``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("roster.yaml")


@dataclass(frozen=True)
class Row:
    """One series.

    scenario: the story, in a few words; the truth carries it.
    shape, parameters: a function of ``data.fleet.shapes`` and its arguments, in the metric's unit divided by `scale`.
    noise: multiplies the metric's usual noise; 0 makes an unchanging series unchanging to the last bit.
    bursts: (height, minutes, jobs a day) of short jobs on top, noise to any forecaster.
    surprise: what happens after the as-of does not follow from what happened before.
    alive: (first day, last day) on which it is measured.
    daily_at: measured once a day, at this local hour, instead of every few minutes.
    deploys: (weekday, hour) of the deploys that change its `instance` label.
    limit: no more than this is ever used; in the metric's unit divided by `scale`.
    """

    entity: str
    metric: str
    scenario: str
    shape: str
    parameters: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    scale: float = 1.0
    noise: float = 1.0
    bursts: tuple[float, float, float] | None = None
    surprise: bool = False
    alive: tuple[float, float] = (-99.0, 99.0)
    daily_at: float | None = None
    deploys: tuple[int, float] | None = None
    limit: float | None = None

    @property
    def key(self) -> str:
        """Entity, metric and labels: what noise is seeded by, so that a new row changes no other."""
        return "|".join([self.entity, self.metric, *(f"{k}={v}" for k, v in sorted(self.labels.items()))])


@dataclass(frozen=True)
class Gap:
    """Nothing is collected from these entities (globs) for some hours."""

    entities: list[str]
    start_day: float
    hours: float

    def concerns(self, entity: str) -> bool:
        return any(fnmatchcase(entity, glob) for glob in self.entities)


ROW_FIELDS = {f.name for f in fields(Row)} - {"parameters"}


@cache
def roster() -> tuple[Row, ...]:
    """All rows, in the order of the file."""
    return tuple(row for group in _read()["groups"] for row in _group(group))


@cache
def gaps() -> tuple[Gap, ...]:
    return tuple(Gap(**gap) for gap in _read()["gaps"])


@cache
def _read() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _group(group: dict[str, Any]) -> Iterator[Row]:
    for series in group["series"]:
        labels = {name: value.format(entity=series["entity"]) for name, value in group["labels"].items()}
        shared = {"metric": group["metric"], "scale": group.get("scale", 1.0), "labels": labels}
        parameters = {key: value for key, value in series.items() if key not in ROW_FIELDS}
        own = {key: value for key, value in series.items() if key in ROW_FIELDS}
        yield Row(**shared, **own, parameters=parameters)
        if "limit" in series:
            yield _limit(group["limit_metric"], series, shared)


def _limit(metric: str, series: dict[str, Any], shared: dict[str, Any]) -> Row:
    """The constant series that says how much there is. It is the deployment's and not an instance's."""
    labels = {name: value for name, value in shared["labels"].items() if name != "instance"}
    return Row(
        series["entity"], metric, "a configured size", "flat", {"level": series["limit"]}, labels,
        scale=shared["scale"], noise=0.0,
    )  # fmt: skip
