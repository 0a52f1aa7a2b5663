"""A real Zabbix on the loopback from Debian's packages: PostgreSQL, server, and the frontend that answers the API.

Its host group, hosts and items are made here, so that what it answers is ours to commit.
"""

import gzip
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import real_postgres
from real_postgres import PASSWORD, free_port, postgres

SERVER = Path("/usr/sbin/zabbix_server")
FRONTEND = Path("/usr/share/zabbix")
SCHEMA = Path("/usr/share/zabbix-server-pgsql")
INSTALLED = real_postgres.INSTALLED and SERVER.exists() and FRONTEND.exists() and bool(shutil.which("php"))
USER, USER_PASSWORD = "Admin", "zabbix"  # as every new Zabbix has them
TRAPPER, FLOAT, UNSIGNED = 2, 0, 3


@dataclass(frozen=True)
class Item:
    host: str
    key: str
    units: str = ""
    value_type: int = FLOAT
    history: str = "365d"


@dataclass(frozen=True)
class RealZabbix:
    """url: of the frontend. database: port of its PostgreSQL."""

    url: str
    trapper_port: int
    database: real_postgres.Postgres

    def call(self, method: str, params: Any, auth: str | None = None) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1, "auth": auth}).encode()
        asked = urllib.request.Request(  # noqa: S310 - it is http
            f"{self.url}/api_jsonrpc.php", body, {"Content-Type": "application/json-rpc"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            told = json.load(answer)
        assert "error" not in told, told
        return told["result"]

    def login(self) -> str:
        return self.call("user.login", {"username": USER, "password": USER_PASSWORD})

    def make(self, group: str, items: Sequence[Item]) -> dict[tuple[str, str], str]:
        """Hosts with trapper items; (host, key) -> itemid."""
        auth = self.login()
        group_id = self.call("hostgroup.create", {"name": group}, auth)["groupids"][0]
        made = {}
        for host in dict.fromkeys(item.host for item in items):
            fields = {"host": host, "name": f"{host}, as people call it", "groups": [{"groupid": group_id}]}
            host_id = self.call("host.create", fields, auth)["hostids"][0]
            for item in (each for each in items if each.host == host):
                fields = {"hostid": host_id, "key_": item.key, "name": item.key, "type": TRAPPER, "units": item.units}
                fields |= {"value_type": item.value_type, "history": item.history, "trends": "365d"}
                fields |= {"tags": [{"tag": "watched", "value": "yes"}]}
                made[host, item.key] = self.call("item.create", fields, auth)["itemids"][0]
        return made

    def send(self, values: Sequence[tuple[str, str, int, float | str]]) -> None:
        """Give trapper items their values: host, key, clock, value. Waits until the server knows the items."""
        rows = [{"host": host, "key": key, "clock": clock, "value": str(value)} for host, key, clock, value in values]
        body = json.dumps({"request": "sender data", "data": rows}).encode()
        deadline = time.monotonic() + 120
        while True:
            with socket.create_connection(("127.0.0.1", self.trapper_port), timeout=30) as server:
                server.sendall(b"ZBXD\x01" + struct.pack("<Q", len(body)) + body)
                answer = b"".join(iter(lambda: server.recv(65536), b""))
            if b"failed: 0" in answer:
                return
            assert time.monotonic() < deadline, answer
            time.sleep(1)

    def settle(self) -> None:
        """Wait until what was sent is stored: the values, and averages of the hours before the last."""
        past = "WHERE clock < extract(epoch FROM now()) - 86400"
        counts = f"SELECT (SELECT count(*) FROM history {past}), (SELECT count(*) FROM trends {past})"
        deadline = time.monotonic() + 90
        before, found = "", self.database.run(counts, "zabbix")
        while found != before or found.startswith("0|"):
            assert time.monotonic() < deadline, found
            time.sleep(3)
            before, found = found, self.database.run(counts, "zabbix")


@contextmanager
def zabbix() -> Iterator[RealZabbix]:
    """Started, and stopped in the end."""
    with postgres() as database, TemporaryDirectory(prefix="forewarn-zabbix-") as name:
        folder = Path(name)
        database.run("CREATE DATABASE zabbix")
        for script in ("schema", "images", "data"):
            database.run(
                b"BEGIN;" + gzip.decompress((SCHEMA / f"{script}.sql.gz").read_bytes()) + b";COMMIT;", "zabbix"
            )
        api, trapper = free_port(), free_port()
        _configure(folder, database.port, trapper)
        frontend = folder / "frontend"
        shutil.copytree(FRONTEND, frontend, symlinks=False)
        place = frontend / "include" / "classes" / "core" / "CConfigFile.php"
        place.write_text(place.read_text().replace("/etc/zabbix/zabbix.conf.php", str(folder / "frontend.php")))
        (folder / "frontend.php").write_text(_frontend(database.port))
        log = (folder / "log").open("w")
        php = ["php", "-d", "max_execution_time=300", "-d", "memory_limit=128M", "-d", "post_max_size=16M"]
        processes = [
            subprocess.Popen([SERVER, "-f", "-c", folder / "server.conf"], stdout=log, stderr=log),
            subprocess.Popen(
                [*php, "-S", f"127.0.0.1:{api}", "-t", frontend],
                stdout=log, stderr=log, env=os.environ | {"PHP_CLI_SERVER_WORKERS": "2"}, start_new_session=True,
            ),
        ]  # fmt: skip
        try:
            found = RealZabbix(f"http://127.0.0.1:{api}", trapper, database)
            _await(found)
            yield found
        finally:
            os.killpg(processes[1].pid, 15)
            processes[0].terminate()
            for process in processes:
                process.wait(timeout=60)
            log.close()


def _configure(folder: Path, database: int, trapper: int) -> None:
    lines = {
        "DBHost": "127.0.0.1", "DBPort": database, "DBName": "zabbix", "DBUser": "postgres", "DBPassword": PASSWORD,
        "ListenIP": "127.0.0.1", "ListenPort": trapper, "SourceIP": "127.0.0.1", "AllowRoot": 1,
        "LogType": "console", "PidFile": folder / "server.pid", "SocketDir": folder, "CacheUpdateFrequency": 1,
        "HousekeepingFrequency": 0, "StartPollers": 1, "StartPreprocessors": 1, "StartTrappers": 2, "StartDBSyncers": 1,
        "StartPingers": 0, "StartDiscoverers": 0, "StartHTTPPollers": 0, "StartAlerters": 1, "StartEscalators": 1,
    }  # fmt: skip
    (folder / "server.conf").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


def _frontend(database: int) -> str:
    fields = {"TYPE": "POSTGRESQL", "SERVER": "127.0.0.1", "PORT": str(database), "DATABASE": "zabbix"}
    fields |= {"USER": "postgres", "PASSWORD": PASSWORD, "SCHEMA": ""}
    lines = "".join(f"$DB['{key}'] = '{value}';\n" for key, value in fields.items())
    return f"<?php\n{lines}$DB['ENCRYPTION'] = false;\n$DB['DOUBLE_IEEE754'] = true;\n"


def _await(server: RealZabbix) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            server.login()
            socket.create_connection(("127.0.0.1", server.trapper_port), timeout=1).close()
        except (OSError, AssertionError, ValueError):
            assert time.monotonic() < deadline, "Zabbix did not start"
            time.sleep(0.5)
        else:
            return
