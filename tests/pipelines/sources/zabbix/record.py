"""Record what a real Zabbix answers:

    PYTHONPATH=.:tests/pipelines/sources python tests/pipelines/sources/zabbix/record.py

Needs Debian's packages postgresql, zabbix-server-pgsql, zabbix-frontend-php, php-cli and php-pgsql.

What is asked goes through a server of ours that writes down question and answer. Passwords and tokens are left out.
"""

import json
import urllib.request
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from given import AS_OF, GROUP, ITEMS, NOW, source, to_send
from loopback import Answer, Asked, loopback
from played_back import RECORDING, SAID_TO_ALL
from real_zabbix import zabbix

from pipelines import sources
from pipelines.settings import parse


def main() -> None:
    exchanges: list[dict[str, Any]] = []
    with zabbix() as server:
        server.make(GROUP, ITEMS)
        server.send(to_send())
        server.settle()

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

        with loopback(pass_on) as between, TemporaryDirectory() as folder, duckdb.connect() as con:
            for as_of in (AS_OF, AS_OF + timedelta(days=1)):
                staged = sources.stage_metrics(
                    con, source(between.url), parse("", Path(folder)), (),
                    as_of=as_of, now=as_of + (NOW - AS_OF), folder=Path(folder) / f"{as_of:%d}",
                )  # fmt: skip
                assert not staged.rejected, staged.rejected
    seen = {json.dumps(exchange, sort_keys=True): exchange for exchange in exchanges}
    RECORDING.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in seen.values()))


if __name__ == "__main__":
    main()
