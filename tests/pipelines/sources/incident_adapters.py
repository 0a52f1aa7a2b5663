"""Every kind of incident server, made to serve the same given incidents, for the conformance suite.

A new server adds an adapter: what answers as that server would, with its own ways to filter, order and page.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit

import contracts
import fake_gitlab
import fake_promql
import fake_zabbix
import pytest
import real_postgres
import real_redmine
from fake_gitlab import FakeGitLab
from fake_jira import FakeIssue, FakeJira, Move, adf
from fake_pagerduty import FakePagerDuty
from fake_servicenow import FakeServiceNow
from fake_zabbix import FakeProblem, FakeZabbix
from loopback import Answer, Asked, Loopback, loopback
from pydantic import SecretStr
from real_redmine import Change, Issue

from pipelines.source_options import (
    Access,
    Alerts,
    GitHub,
    GitLab,
    IncidentServer,
    IncidentSource,
    Jira,
    PagerDuty,
    Redmine,
    ServiceNow,
    StatusPage,
    ZabbixProblems,
)
from pipelines.sources.incident_servers import alerts, redmine, zabbix_problems
from pipelines.sources.incident_servers.episodes import Episode

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


def as_json(value: object, **headers: str) -> Answer:
    return Answer(json.dumps(value).encode(), headers={"Content-Type": "application/json", **headers})


def query(asked: Asked) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True))


# --------------------------------------------------------------------------------------------------------------- GitHub


class GitHubAdapter(HttpAdapter):
    model = GitHub
    knows = KNOWABLE
    contract = "github-rest"

    @property
    def source(self) -> IncidentSource:
        return GitHub.model_validate(self.options(type="github", url=self.server.url, repositories=["acme/shop"]))

    def key(self, number: int) -> str:
        return f"acme/shop#{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path == "/repos/acme/shop/issues"

    def answer(self, asked: Asked) -> Answer:
        path, params = urlsplit(asked.path).path, query(asked)
        if self.is_page(asked):
            assert params["labels"] == "incident"
            since = naive(params["since"]) if "since" in params else datetime.min
            seen = sorted((i for i in self.incidents if i.updated >= since), key=lambda i: (i.updated, i.number))
            return self._paged(asked, [self._issue(each) for each in seen])
        number = int(path.split("/")[-2])
        return self._paged(asked, self._timeline(next(i for i in self.incidents if i.number == number)))

    def _paged(self, asked: Asked, listed: list[dict]) -> Answer:
        params = query(asked)
        size, page = int(params.get("per_page", 30)), int(params.get("page", 1))
        last = max(1, -(-len(listed) // size))

        def link(number: int, relation: str) -> str:
            address = f"{self.server.url}{urlsplit(asked.path).path}?{urlencode(params | {'page': number})}"
            return f'<{address}>; rel="{relation}"'

        links = [link(page + 1, "next"), link(last, "last")] if page < last else []
        return as_json(listed[(page - 1) * size : page * size], **({"Link": ", ".join(links)} if links else {}))

    @staticmethod
    def _issue(given: Given) -> dict:
        labels = ["incident", f"severity/{given.severity}", f"service/{given.service}"]
        return {
            "number": given.number,
            "title": given.title,
            "body": given.text or None,
            "user": {"login": "alertbot", "type": "Bot"},
            "labels": [{"name": name} for name in [*labels, *(["forewarn"] if given.marked else [])]],
            "state": "closed" if given.ended else "open",
            "state_reason": "not_planned" if given.cancelled else "completed" if given.resolved else None,
            "created_at": z(given.created),
            "updated_at": z(given.updated),
            "closed_at": z(given.ended),
        }

    @staticmethod
    def _timeline(given: Given) -> list[dict]:
        happened: list[dict] = [{"event": "labeled", "created_at": z(given.created), "label": {"name": "incident"}}]
        if given.acknowledged:
            happened.append({"event": "assigned", "created_at": z(given.acknowledged), "assignee": {"login": "jo"}})
        for resolved, reopened in given.reopened:
            happened.append({"event": "closed", "created_at": z(resolved), "state_reason": None})
            happened.append({"event": "reopened", "created_at": z(reopened)})
        if given.ended:
            reason = "not_planned" if given.cancelled else None
            happened.append({"event": "closed", "created_at": z(given.ended), "state_reason": reason})
        return happened


# --------------------------------------------------------------------------------------------------------------- GitLab


class GitLabAdapter(HttpAdapter):
    model = GitLab
    knows = KNOWABLE

    @property
    def source(self) -> IncidentSource:
        return GitLab.model_validate(self.options(type="gitlab", url=self.server.url, projects=["acme/shop"]))

    def key(self, number: int) -> str:
        return f"acme/shop#{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path.endswith("/issues")

    def answer(self, asked: Asked) -> Answer:
        return FakeGitLab([self._issue(each) for each in self.incidents], self.server.url)(asked)

    @staticmethod
    def _issue(given: Given) -> fake_gitlab.FakeIssue:
        said = [fake_gitlab.Said(given.acknowledged, "assigned to @jo")] if given.acknowledged else []
        states = [each for closed, again in given.reopened for each in ((closed, "closed"), (again, "reopened"))]
        if given.ended:
            states.append((given.ended, "closed"))
        labels = [f"service::{given.service}", *(["forewarn"] if given.marked else [])]
        labels += ["invalid"] if given.cancelled else []
        more = {"title": given.title, "description": given.text or None, "severity": given.severity.upper()}
        return fake_gitlab.FakeIssue(
            given.number, given.created, said, states, labels, updated=given.updated, more=more
        )


# ----------------------------------------------------------------------------------------------------------------- Jira


class JiraAdapter(HttpAdapter):
    model = Jira
    knows = KNOWABLE
    contract = "jira-cloud-v3"
    edition: ClassVar[str] = "cloud"

    @property
    def source(self) -> IncidentSource:
        told = {"type": "jira", "url": self.server.url, "edition": self.edition, "projects": ["OPS"]}
        return Jira.model_validate(self.options(**told))

    def key(self, number: int) -> str:
        return f"OPS-{number}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path.endswith(("/search/jql", "/search"))

    def answer(self, asked: Asked) -> Answer:
        issues = [self._issue(each) for each in self.incidents]
        return FakeJira(issues, cloud=self.edition == "cloud", bearer=True)(asked)

    def _issue(self, given: Given) -> FakeIssue:
        moves = [Move(given.acknowledged, "Work in progress", person="5b10a")] if given.acknowledged else []
        for resolved, reopened in given.reopened:
            moves += [Move(resolved, "Completed", "Done"), Move(reopened, "Open", "")]
        if given.ended:
            moves.append(Move(given.ended, "Closed", "Duplicate" if given.cancelled else "Done"))
        more = {
            "summary": given.title,
            "description": adf(*given.text.split("\n")) if self.edition == "cloud" else given.text,
            "components": [{"name": given.service}],
            "labels": ["forewarn"] if given.marked else [],
            "customfield_10010": {"value": given.severity},
        }
        return FakeIssue(self.key(given.number), given.created, moves, updated=given.updated, more=more)


class JiraDataCenterAdapter(JiraAdapter):
    contract = None
    edition = "data-center"


# -------------------------------------------------------------------------------------------------------------- Redmine


class RedmineAdapter(IncidentAdapter):
    """A real one, which takes its time over every issue: pages are small. An incident's service is its category, its
    severity a custom field.
    """

    model = Redmine
    knows = KNOWABLE
    full = 20

    def __init__(self):
        super().__init__()
        self.open.enter_context(patch.object(redmine, "FULL", self.full))
        self.server = real_redmine.shared()
        self.has_vanished = False

    @staticmethod
    def missing() -> str | None:
        return real_redmine.missing()

    def serve(self, incidents: Sequence[Given]) -> None:
        self.server.clear()
        self.server.custom_field("Severity", "string")
        self.server.custom_field("Origin", "string")
        self.server.add(*map(self._issue, incidents))
        self.has_vanished = False

    def vanish(self) -> None:
        self.has_vanished = True

    @property
    def source(self) -> IncidentSource:
        return Redmine(
            name=NAME,
            type="redmine",
            url=f"http://127.0.0.1:{real_postgres.free_port()}" if self.has_vanished else self.server.url,
            access=Access(headers={"X-Redmine-API-Key": SecretStr(self.server.key)}, attempts=1),
            fields={"service": "category.name", "severity": "custom.Severity"},
        )

    @staticmethod
    def _issue(given: Given) -> Issue:
        changes = []
        if given.acknowledged:
            changes.append(Change(given.acknowledged, {"assignee": "Jo Doe"}))
        for resolved, reopened in given.reopened:
            changes.append(Change(resolved, {"status": "Resolved"}))
            changes.append(Change(reopened, {"status": "In Progress"}))
        if given.ended:
            changes.append(Change(given.ended, {"status": "Rejected" if given.cancelled else "Closed"}))
        if given.updated_at:
            changes.append(Change(given.updated_at, note="by the way"))
        has = {"subject": given.title, "category": given.service, "Severity": given.severity}
        has |= {"Origin": "forewarn"} if given.marked else {}
        return Issue(given.created, has, given.text, changes=tuple(changes), number=given.number)


# --------------------------------------------------------------------------------------------------------------- Zabbix


class ZabbixAdapter(HttpAdapter):
    model = ZabbixProblems
    knows = KNOWABLE - {"reopened", "text"}
    full = zabbix_problems.AT_ONCE

    @property
    def source(self) -> IncidentSource:
        access = {"bearer": fake_zabbix.TOKEN, "attempts": 2}
        return ZabbixProblems.model_validate(
            self.options(type="zabbix", url=f"{self.server.url}/zabbix", access=access, history_days=30)
        )

    def key(self, number: int) -> str:
        return str(number * 10)

    def is_ours(self, asked: Asked) -> bool:
        return True  # the double looks itself

    def is_page(self, asked: Asked) -> bool:
        question = json.loads(asked.body)
        return question["method"] == "event.get" and "eventid_from" in question["params"]

    def answer(self, asked: Asked) -> Answer:
        return FakeZabbix(problems=[self._problem(each) for each in self.incidents], version="7.0.1")(asked)

    @staticmethod
    def _problem(given: Given) -> FakeProblem:
        updates: list[dict] = []
        if given.acknowledged:
            updates.append({"clock": epoch(given.acknowledged), "action": 2, "username": "jo"})
        if given.cancelled:
            updates.append({"clock": epoch(given.cancelled), "action": 256})
        return FakeProblem(
            event=given.number * 10,
            clock=epoch(given.created),
            name=given.title,
            severity=zabbix_problems.SEVERITIES.index(given.severity),
            tags=[("service", given.service), *([("forewarn", "")] if given.marked else [])],
            updates=updates,
            ended=(given.number * 10 + 5, epoch(given.resolved)) if given.resolved else None,
            cause=7 if given.cancelled else 0,
        )


# --------------------------------------------------------------------------------------------------------------- alerts


class AlertsAdapter(HttpAdapter):
    model = Alerts
    knows = frozenset({"service", "severity", "title", "label"})
    full = 5
    cannot: ClassVar[Mapping[str, str]] = {
        "test_a_page_that_fails_keeps_those_before_it_and_the_next_night_goes_on": "its pages are days (test_alerts)"
    }

    @property
    def source(self) -> IncidentSource:
        return Alerts.model_validate(self.options(type="alerts", url=self.server.url, history_days=30))

    def key(self, number: int) -> str:
        given = next(each for each in self.incidents if each.number == number)
        alert = tuple(sorted(self._labels(given).items()))
        return alerts.name_of(Episode(alert, epoch(given.created) * 1000, 0))

    def is_page(self, asked: Asked) -> bool:
        return asked.path == "/api/v1/query_range"

    def answer(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
        if not self.is_page(asked):
            assert asked.path == "/api/v1/query"
            return fake_promql.success({"resultType": "vector", "result": [{"metric": {}, "value": [0, "3"]}]})
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        assert (end - start) / step < 11_000
        series = []
        for given in self.incidents:
            until = epoch(given.resolved) if given.resolved else end + 1
            began = epoch(given.created)
            evaluations = [start + n * step for n in range(round((end - start) / step) + 1)]
            values = [[at, str(began)] for at in evaluations if began <= at < until]
            if values:
                name = {"__name__": "ALERTS_FOR_STATE"}
                series.append({"metric": name | self._labels(given), "values": values})
        return fake_promql.success({"resultType": "matrix", "result": series})

    @staticmethod
    def _labels(given: Given) -> dict[str, str]:
        labels = {"alertname": given.title, "severity": given.severity, "service": given.service}
        return labels | {"instance": f"web-{given.number}:9100"} | ({"forewarn": "yes"} if given.marked else {})


# ---------------------------------------------------------------------------------------------------------- status page


class StatusPageAdapter(HttpAdapter):
    model = StatusPage
    knows = frozenset({"reopened", "service", "title", "text"})
    full = 50
    cannot: ClassVar[Mapping[str, str]] = {
        "test_a_second_night_asks_for_what_changed": "a page tells of its latest 50 incidents (test_statuspage)",
        "test_a_page_that_fails_keeps_those_before_it_and_the_next_night_goes_on": "it has one page (test_statuspage)",
    }

    @property
    def source(self) -> IncidentSource:
        return StatusPage.model_validate(self.options(type="statuspage", url=self.server.url, history_days=60))

    def key(self, number: int) -> str:
        return f"inc{number}"

    def is_page(self, asked: Asked) -> bool:
        return asked.path == "/api/v2/incidents.json"

    def answer(self, asked: Asked) -> Answer:
        newest_first = sorted(self.incidents, key=lambda given: given.created, reverse=True)
        path, params = urlsplit(asked.path).path, query(asked)
        page = {"id": "kctbh9vrtdwd", "name": "Acme", "time_zone": "Etc/UTC"}
        if self.is_page(asked):
            return as_json({"page": page, "incidents": [self._incident(each) for each in newest_first[: self.full]]})
        if path == "/history.json":
            in_order = newest_first if params["page"] == "1" else []
            listed = [{"code": self.key(each.number), "name": each.title, "impact": "minor"} for each in in_order]
            return as_json({"components": [], "months": [{"name": "March", "year": 2026, "incidents": listed}]})
        code = path.removeprefix("/incidents/").removesuffix(".json")
        return as_json(next(self._incident(each) for each in self.incidents if self.key(each.number) == code))

    def _incident(self, given: Given) -> dict:
        said = [(given.created, "investigating", given.text)]
        for resolved, reopened in given.reopened:
            said += [(resolved, "resolved", ""), (reopened, "investigating", "")]
        said += [(given.resolved, "resolved", "")] if given.resolved else []
        updates = [
            {"id": f"u{n}", "status": word, "body": body, "created_at": z(at), "display_at": z(at)}
            for n, (at, word, body) in enumerate(said)
        ]
        return {
            "id": self.key(given.number), "name": given.title, "status": said[-1][1], "impact": "major",
            "created_at": z(given.created), "started_at": z(given.created), "updated_at": z(given.updated),
            "monitoring_at": None, "resolved_at": z(given.resolved), "incident_updates": updates[::-1],
            "components": [{"id": "c1", "name": given.service}],
        }  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- ServiceNow


class ServiceNowAdapter(HttpAdapter):
    model = ServiceNow
    knows = KNOWABLE
    full = 500

    def __init__(self):
        super().__init__()
        self.instance = FakeServiceNow(self.server.url, {"task_sla": [], "metric_instance": []})

    @property
    def source(self) -> IncidentSource:
        return ServiceNow.model_validate(self.options(type="servicenow", url=self.server.url))

    def key(self, number: int) -> str:
        return f"INC{number:07}"

    def is_page(self, asked: Asked) -> bool:
        return urlsplit(asked.path).path == "/api/now/table/incident" and query(asked)["sysparm_limit"] == "500"

    def serve(self, incidents: Sequence[Given]) -> None:
        super().serve(incidents)
        self.instance.tables["incident"] = [self._record(each) for each in incidents]
        self.instance.tables["metric_instance"] = [row for each in incidents for row in self._metrics(each)]

    def answer(self, asked: Asked) -> Answer:
        return self.instance.answer(asked)

    def _record(self, given: Given) -> dict:
        return {
            "sys_id": f"{given.number:032x}",
            "number": self.key(given.number),
            "short_description": given.title,
            "description": given.text,
            "state": self._life(given)[-1][1],
            "priority": ("2", given.severity),
            "business_service": (f"{1:032x}", given.service),
            "opened_at": snow(given.created),
            "sys_created_on": snow(given.created),
            "resolved_at": snow(given.resolved or (given.reopened[-1][0] if given.reopened else None)),
            "closed_at": "",
            "sys_updated_on": snow(given.updated),
            "reopen_count": str(len(given.reopened)),
            "correlation_display": "forewarn" if given.marked else "",
        }

    @staticmethod
    def _life(given: Given) -> list[tuple[datetime, tuple[str, str]]]:
        new, work, done, void = ("1", "Neu"), ("2", "In Arbeit"), ("6", "Gelöst"), ("8", "Abgebrochen")
        life = [(given.created, new)]
        life += [(given.acknowledged, work)] if given.acknowledged else []
        for resolved, reopened in given.reopened:
            life += [(resolved, done), (reopened, work)]
        life += [(given.resolved, done)] if given.resolved else []
        life += [(given.cancelled, void)] if given.cancelled else []
        return life

    def _metrics(self, given: Given) -> list[dict]:
        return [
            {
                "sys_id": f"{given.number:028x}{n:04x}",
                "id": f"{given.number:032x}",
                "definition.field": "incident_state",
                "value": word,
                "field_value": number,
                "start": snow(at),
            }
            for n, (at, (number, word)) in enumerate(self._life(given))
        ]


def snow(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


# ------------------------------------------------------------------------------------------------------------ PagerDuty


class PagerDutyAdapter(HttpAdapter):
    model = PagerDuty
    knows = KNOWABLE
    contract = "pagerduty-rest"
    full = 500

    def __init__(self):
        super().__init__()
        self.account = FakePagerDuty()

    @property
    def source(self) -> IncidentSource:
        return PagerDuty.model_validate(self.options(type="pagerduty", url=self.server.url))

    def key(self, number: int) -> str:
        return f"P{number:06}"

    def is_page(self, asked: Asked) -> bool:
        return self.account.is_page(asked)

    def is_ours(self, asked: Asked) -> bool:
        return asked.headers.get("Authorization") == f"Token token={SECRET}"

    def serve(self, incidents: Sequence[Given]) -> None:
        super().serve(incidents)
        self.account.incidents = {self.key(each.number): self._incident(each) for each in incidents}
        self.account.log = [entry for each in incidents for entry in self._log(each)]

    def answer(self, asked: Asked) -> Answer:
        return self.account.answer(asked)

    def _incident(self, given: Given) -> dict:
        key = self.key(given.number)
        status = "resolved" if given.ended else "acknowledged" if given.acknowledged else "triggered"
        return {
            "id": key,
            "type": "incident",
            "title": given.title,
            "summary": f"[#{given.number}] {given.title}",
            "incident_key": "forewarn:1" if given.marked else None,
            "service": {"id": "PSHOP", "type": "service_reference", "summary": given.service},
            "teams": [],
            "urgency": given.severity,
            "priority": None,
            "status": status,
            "created_at": z(given.created),
            "updated_at": z(given.updated),
            "resolved_at": z(given.ended),
            "last_status_change_at": z(given.updated),
            "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "P1"}} if given.cancelled else None,
            "first_trigger_log_entry": {"id": f"{key}-0", "type": "trigger_log_entry_reference"},
        }

    def _log(self, given: Given) -> list[dict]:
        life = [("trigger", given.created), ("acknowledge", given.acknowledged)]
        for resolved, reopened in given.reopened:
            life += [("resolve", resolved), ("reopen", reopened)]
        life += [("resolve", given.ended), ("annotate", given.updated_at)]
        key = self.key(given.number)
        return [
            {
                "id": f"{key}-{n}",
                "type": f"{kind}_log_entry",
                "created_at": z(at),
                "incident": key,
                "channel": {"type": "api", "details": given.text} if kind == "trigger" else {"type": "website"},
            }
            for n, (kind, at) in enumerate(life)
            if at
        ]


ADAPTERS: tuple[type[IncidentAdapter], ...] = (
    GitHubAdapter,
    GitLabAdapter,
    JiraAdapter,
    JiraDataCenterAdapter,
    RedmineAdapter,
    AlertsAdapter,
    StatusPageAdapter,
    ZabbixAdapter,
    ServiceNowAdapter,
    PagerDutyAdapter,
)


def adapters(where: Callable[[type[IncidentAdapter]], bool] = lambda kind: True) -> list[Any]:
    """As parameters; those that are not installed are skipped, saying so."""
    return [
        pytest.param(
            kind,
            id=kind.__name__.removesuffix("Adapter"),
            marks=[pytest.mark.skip(reason=lacks)] if (lacks := kind.missing()) else [],
        )
        for kind in ADAPTERS
        if where(kind)
    ]


def contract_faults(adapter: HttpAdapter) -> list[str]:
    """What is wrong with what was asked, as the vendor describes its API."""
    assert adapter.contract is not None
    if lacks := contracts.missing(adapter.contract):
        pytest.skip(lacks)
    return sorted({fault for asked in adapter.asked for fault in contracts.faults(adapter.contract, asked)})


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
