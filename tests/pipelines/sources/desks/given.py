"""Incidents as a test gives them, and what serves them: the base of every adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from loopback import Answer, Asked, Loopback, loopback

from pipelines.source_options import (
    IncidentServer,
    IncidentSource,
)

NAME = "desk"
SECRET = "s3cr3t-t0ken"  # noqa: S105 - the token of every double
SERVICE, SEVERITY = "shop", "high"


@dataclass(frozen=True)
class Given:
    """An incident; times naive UTC, on full seconds. A server that lacks a part leaves it out.

    acknowledged: by somebody who was assigned. resolved: the last time. reopened: (resolved, reopened) before that.
    updated: by default, the last of its times. marked: whether it carries the label of predictions.
    """

    number: int
    created: datetime
    acknowledged: datetime | None = None
    resolved: datetime | None = None
    cancelled: datetime | None = None
    reopened: tuple[tuple[datetime, datetime], ...] = ()
    updated_at: datetime | None = None
    title: str = "disk full"
    text: str = ""
    service: str = SERVICE
    severity: str = SEVERITY
    marked: bool = False

    @property
    def updated(self) -> datetime:
        times = [self.created, self.acknowledged, self.resolved, self.cancelled, *(b for _, b in self.reopened)]
        return self.updated_at or max(time for time in times if time)

    @property
    def ended(self) -> datetime | None:
        return self.resolved or self.cancelled


class IncidentAdapter(ABC):
    """A server over incidents. To be closed.

    model: its settings model, as in ``pipelines.sources.INCIDENTS``.
    knows: which parts of `Given` come through, of ``KNOWABLE``.
    cannot: test -> what its server lacks, so that the test asks nothing of it.
    full: incidents a page.
    contract: the vendor's description of its API, see ``contracts``; None: there is none.
    """

    model: type[IncidentServer]
    knows: ClassVar[frozenset[str]]
    cannot: ClassVar[Mapping[str, str]] = {}
    full: ClassVar[int] = 100
    contract: ClassVar[str | None] = None

    def __init__(self):
        self.open = ExitStack()

    @staticmethod
    def missing() -> str | None:
        """What is not installed here that it needs."""
        return None

    @abstractmethod
    def serve(self, incidents: Sequence[Given]) -> None:
        """Have these incidents, and no others."""

    @abstractmethod
    def vanish(self) -> None:
        """Be out of reach, until `serve` is called again."""

    @property
    @abstractmethod
    def source(self) -> IncidentSource:
        """The settings by which they are read."""

    def key(self, number: int) -> str:
        """The incident_id of a given number."""
        return str(number)

    def close(self) -> None:
        self.open.close()


KNOWABLE = frozenset({"acknowledged", "cancelled", "reopened", "service", "severity", "title", "label", "text"})


@dataclass
class Behaviour:
    """How a double misbehaves. fails_on: the page of incidents, counted from 1, and those after it.

    refusals: questions that are answered with 429 at first.
    """

    fails_on: int | None = None
    refusals: int = 0
    gone: bool = False
    pages: int = field(default=0)


class HttpAdapter(IncidentAdapter):
    """A double on the loopback: a subclass answers, this looks at the secret and misbehaves as a test wants."""

    def __init__(self):
        super().__init__()
        self.incidents: list[Given] = []
        self.behaviour = Behaviour()
        self.server: Loopback = self.open.enter_context(loopback(self._answer))

    def serve(self, incidents: Sequence[Given]) -> None:
        self.incidents = list(incidents)
        self.behaviour = Behaviour()

    def vanish(self) -> None:
        self.behaviour.gone = True

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked

    @abstractmethod
    def answer(self, asked: Asked) -> Answer:
        """As the vendor does."""

    @abstractmethod
    def is_page(self, asked: Asked) -> bool:
        """Whether a question is for a page of incidents."""

    def is_ours(self, asked: Asked) -> bool:
        """Whether the right secret is sent."""
        return SECRET in asked.headers.get("Authorization", "")

    def _answer(self, asked: Asked) -> Answer:
        if self.behaviour.gone:
            return Answer(b"<h1>503</h1>", status=503)
        if not self.is_ours(asked):
            return Answer(b"{}", status=401)
        if self.behaviour.refusals:
            self.behaviour.refusals -= 1
            return Answer(b"{}", status=429, headers={"Retry-After": "0"})
        if self.is_page(asked):
            self.behaviour.pages += 1
            if self.behaviour.fails_on and self.behaviour.pages >= self.behaviour.fails_on:
                return Answer(b"{}", status=500)
        return self.answer(asked)

    def options(self, **more: Any) -> dict[str, Any]:
        """What all of them are told: one attempt more than a passing refusal needs."""
        return {"name": NAME, "access": {"bearer": SECRET, "attempts": 2}, **more}


def z(at: datetime | None) -> str | None:
    return None if at is None else f"{at.isoformat()}Z"


def epoch(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


def naive(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=None)


def query(asked: Asked) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True))
