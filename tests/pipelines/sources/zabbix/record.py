"""Record what a real Zabbix answers:

    PYTHONPATH=.:tests/pipelines/sources python tests/pipelines/sources/zabbix/record.py metrics problems

Needs Debian's packages postgresql, zabbix-server-pgsql, zabbix-frontend-php, php-cli and php-pgsql.

What is asked goes through a server of ours that writes down question and answer. Passwords and tokens are left out.
"""

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import problems
from given import AS_OF, GROUP, ITEMS, NOW, source, to_send
from loopback import Answer, Asked, loopback
from played_back import PROBLEMS, RECORDING, SAID_TO_ALL
from real_zabbix import RealZabbix, zabbix

from pipelines import sources
from pipelines.settings import parse

Exchanges = list[dict[str, Any]]


@contextmanager
def listening(server: RealZabbix) -> Iterator[tuple[str, Exchanges]]:
    """An address that passes questions on, and what went through."""
    exchanges: Exchanges = []

    def pass_on(asked: Asked) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - it is http
            f"{server.url}{asked.path}", asked.body, {"Content-Type": "application/json-rpc"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            body = answer.read()
        question = json.loads(asked.body)
        told = json.loads(body)
        if question["method"] in SAID_TO_ALL:
            question["params"] = None
            told["result"] = SAID_TO_ALL[question["method"]]
        exchanges.append({"method": question["method"], "params": question["params"], "result": told["result"]})
        return Answer(body)

    with loopback(pass_on) as between:
        yield between.url, exchanges


def written(exchanges: Exchanges) -> str:
    """One line each, once."""
    seen = {json.dumps(exchange, sort_keys=True): exchange for exchange in exchanges}
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in seen.values())


def metrics() -> None:
    with zabbix() as server:
        server.make(GROUP, ITEMS)
        server.send(to_send())
        server.settle()
        with listening(server) as (url, exchanges), TemporaryDirectory() as folder, duckdb.connect() as con:
            for as_of in (AS_OF, AS_OF + timedelta(days=1)):
                staged = sources.stage_metrics(
                    con, source(url), parse("", Path(folder)), (),
                    as_of=as_of, now=as_of + (NOW - AS_OF), folder=Path(folder) / f"{as_of:%d}",
                )  # fmt: skip
                assert not staged.rejected, staged.rejected
    RECORDING.write_text(written(exchanges))


def problems_of_two_nights() -> None:
    with (
        zabbix() as server,
        listening(server) as (url, exchanges),
        TemporaryDirectory() as name,
        duckdb.connect() as con,
    ):
        night = problems.Nights(con, url, Path(name))
        story = problems.play(server, night, night)
    PROBLEMS.write_text(json.dumps({"story": asdict(story)}) + "\n" + written(exchanges))


KINDS: dict[str, Callable[[], None]] = {"metrics": metrics, "problems": problems_of_two_nights}

if __name__ == "__main__":
    for kind in sys.argv[1:]:
        KINDS[kind]()
