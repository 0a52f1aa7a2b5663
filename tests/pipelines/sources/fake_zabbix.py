"""As much of Zabbix's API as the source asks for, over items and values that a test gives."""

import json
from collections.abc import Sequence
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


@dataclass
class FakeZabbix:
    """handed: how many values were given away."""

    items: list[FakeItem] = field(default_factory=list)
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

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))

    @property
    def _groups(self) -> list[str]:
        return list(dict.fromkeys(item.group for item in self.items))

    @property
    def _hosts(self) -> list[str]:
        return list(dict.fromkeys(item.host for item in self.items))

    def _item(self, number: int, item: FakeItem) -> dict[str, str]:
        return {
            "itemid": str(number), "hostid": str(self._hosts.index(item.host)), "key_": item.key, "units": item.units,
            "value_type": item.kind, "delay": item.delay, "history": item.history, "trends": item.trends,
        }  # fmt: skip
