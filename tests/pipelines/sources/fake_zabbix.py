"""As much of Zabbix's API as the source asks for, over items and values that a test gives."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopback import Answer, Asked

TOKEN = "t0ken-of-the-s3cr3t-kind"  # noqa: S105
LOGIN = {"username": "reader", "password": "s3cr3t-password"}


@dataclass(frozen=True)
class FakeItem:
    """values: clock, value as text; likewise hourly averages."""

    host: str
    key: str
    values: Sequence[tuple[int, str]] = ()
    averages: Sequence[tuple[int, str]] = ()
    units: str = ""
    kind: str = "0"
    history: str = "90d"
    trends: str = "365d"
    delay: str = "5m"
    group: str = "all of them"


@dataclass(frozen=True)
class FakeProblem:
    """A problem that a trigger raised, and the event that ended it; clocks in seconds since 1970.

    updates: as ``acknowledges`` lists them. cause: the event of which it is a symptom.
    """

    event: int
    clock: int
    name: str = "disk full"
    hosts: Sequence[str] = ("web-1",)
    group: str = "all of them"
    severity: int = 4
    tags: Sequence[tuple[str, str]] = ()
    updates: Sequence[Mapping[str, int | str]] = ()
    ended: tuple[int, int] | None = None
    cause: int = 0

    @property
    def acknowledged(self) -> bool:
        """As the last of the updates that say so left it."""
        said = [bool(int(update["action"]) & 2) for update in self.updates if int(update["action"]) & (2 | 16)]
        return said[-1] if said else False


UNUSUAL = {"countOutput", "eventids", "severities", "groupids", "tags"}
USUAL = {"source", "object", "value", "output", "selectHosts", "selectTags", "sortfield", "sortorder", "limit"}
USUAL |= {"eventid_from", "time_from", "problem_time_from", "problem_time_till"}


@dataclass
class FakeZabbix:
    """handed: how many values were given away."""

    items: list[FakeItem] = field(default_factory=list)
    problems: list[FakeProblem] = field(default_factory=list, kw_only=True)
    version: str = "6.0.14"
    handed: int = 0

    def __call__(self, asked: Asked) -> Answer:
        assert asked.path == "/zabbix/api_jsonrpc.php", asked.path
        question = json.loads(asked.body)
        try:
            told = {"result": self._answer(question, asked.headers)}
        except PermissionError as error:
            told = {"error": {"code": -32602, "message": "Invalid params.", "data": str(error)}}
        return Answer(json.dumps({"jsonrpc": "2.0"} | told | {"id": question["id"]}).encode())

    def _answer(self, question: dict[str, Any], headers: Any) -> Any:
        method, params = question["method"], question["params"]
        if method == "apiinfo.version":
            return self.version
        if method == "user.login":
            user = "username" if self._version >= (5, 4) else "user"
            if params != {user: LOGIN["username"], "password": LOGIN["password"]}:
                raise PermissionError("Login name or password is incorrect.")
            return TOKEN
        by_header = self._version >= (6, 4)
        given = headers.get("Authorization") == f"Bearer {TOKEN}" if by_header else question.get("auth") == TOKEN
        if not given:
            raise PermissionError("Not authorised.")
        match method:
            case "user.logout":
                return True
            case "hostgroup.get":
                return [{"groupid": str(n), "name": name} for n, name in enumerate(self._groups)]
            case "host.get":
                chosen = params.get("groupids", [str(n) for n in range(len(self._groups))])
                hosts = dict.fromkeys(i.host for i in self.items if str(self._groups.index(i.group)) in chosen)
                return [{"hostid": str(self._hosts.index(host)), "host": host} for host in hosts]
            case "event.get":
                return self._events(params)
            case "item.get":
                return [
                    self._item(n, item)
                    for n, item in enumerate(self.items, 1)
                    if str(self._hosts.index(item.host)) in params["hostids"]
                ]
        rows = "values" if method == "history.get" else "averages"
        value = "value" if method == "history.get" else "value_avg"
        found = [
            {"itemid": str(n), "clock": str(clock), value: text}
            for n, item in enumerate(self.items, 1)
            if str(n) in params["itemids"] and params.get("history", int(item.kind)) == int(item.kind)
            for clock, text in getattr(item, rows)
            if params["time_from"] <= clock <= params["time_till"]
        ][: params["limit"]]
        self.handed += len(found)
        return found

    def _events(self, params: dict[str, Any]) -> Any:
        """As the frontend selects, orders and limits them; 7.0 and later refuse a parameter that they do not know."""
        updates = "selectAcknowledges" if self._version >= (7, 0) else "select_acknowledges"
        assert params.keys() <= USUAL | UNUSUAL | {updates}, params
        assert (params["source"], params["object"]) == (0, 0)
        if params["value"] == [0]:
            ends = [problem.ended for problem in self.problems if problem.ended]
            return [{"eventid": str(n), "clock": str(at)} for n, at in ends if str(n) in params["eventids"]]
        assert params["value"] == [1]
        groups = {str(n) for n, name in enumerate(self._groups)} & set(params.get("groupids", []))
        found = [
            problem
            for problem in sorted(self.problems, key=lambda problem: problem.event)
            if problem.event >= int(params.get("eventid_from", 0))
            and problem.clock >= params.get("time_from", 0)
            and ("severities" not in params or problem.severity in params["severities"])
            and ("groupids" not in params or str(self._groups.index(problem.group)) in groups)
            and all((tag["tag"], tag["value"]) in problem.tags for tag in params.get("tags", []))
            and (
                "problem_time_from" not in params
                or (
                    problem.clock <= params["problem_time_till"]
                    and (problem.ended is None or problem.ended[1] >= params["problem_time_from"])
                )
            )
        ]
        if params.get("countOutput"):
            return str(len(found))
        assert (params["sortfield"], params["sortorder"]) == ("eventid", "ASC")
        return [self._problem(problem, params, updates) for problem in found[: params["limit"]]]

    @staticmethod
    def _problem(problem: FakeProblem, params: dict[str, Any], updates: str) -> dict[str, Any]:
        fields = {
            "eventid": str(problem.event), "clock": str(problem.clock), "name": problem.name,
            "severity": str(problem.severity), "acknowledged": str(int(problem.acknowledged)),
            "r_eventid": str(problem.ended[0] if problem.ended else 0), "cause_eventid": str(problem.cause),
        }  # fmt: skip
        numbered = [{"acknowledgeid": str(n), **update} for n, update in enumerate(problem.updates, 1)]
        return {name: fields[name] for name in params["output"]} | {
            "hosts": [{"hostid": str(n), "host": host} for n, host in enumerate(problem.hosts)],
            "tags": [{"tag": tag, "value": value} for tag, value in problem.tags],
            "acknowledges": [
                {name: str(update[name]) for name in params[updates] if name in update} for update in reversed(numbered)
            ],
        }

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))

    @property
    def _groups(self) -> list[str]:
        return list(dict.fromkeys(each.group for each in (*self.items, *self.problems)))

    @property
    def _hosts(self) -> list[str]:
        return list(dict.fromkeys(item.host for item in self.items))

    def _item(self, number: int, item: FakeItem) -> dict[str, str]:
        return {
            "itemid": str(number), "hostid": str(self._hosts.index(item.host)), "key_": item.key, "units": item.units,
            "value_type": item.kind, "delay": item.delay, "history": item.history, "trends": item.trends,
        }  # fmt: skip
