"""A real PostgreSQL on the loopback, in a folder of its own, from Debian's packages."""

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from standing import STANDING

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
PASSWORD = "s3cr3t/und@geheim"  # noqa: S105 - of a server that lives for the length of a test
INSTALLED = BIN is not None and (BIN / "initdb").exists() and (BIN / "postgres").exists()


@dataclass(frozen=True)
class Postgres:
    port: int

    def run(self, sql: bytes | str, database: str = "postgres") -> str:
        """Run a script as the superuser."""
        assert BIN is not None
        command = [
            BIN / "psql",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        script = sql.encode() if isinstance(sql, str) else sql
        own = os.environ | {"PGPASSWORD": PASSWORD}
        done = subprocess.run(
            [*command, "-U", "postgres", "-d", database], input=script, env=own, capture_output=True, check=False
        )
        assert not done.returncode, done.stderr.decode()
        return done.stdout.decode()


def free_port() -> int:
    """Below 32768, as Zabbix wants it."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with socket.socket() as bound:
            try:
                bound.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Started, and stopped in the end."""
    assert BIN is not None
    as_postgres = []
    with TemporaryDirectory(prefix="forewarn-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        data, port = folder / "data", free_port()
        make = [BIN / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
        run = [*as_postgres, *make, f"--pwfile={folder / 'password'}"]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
        control = [*as_postgres, BIN / "pg_ctl", "-D", data, "-w", "-s"]
        subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], cwd=folder, check=True)
        try:
            yield Postgres(port)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, check=True)


@cache
def shared() -> Postgres:
    """One for all tests of a process, stopped at its end."""
    return STANDING.enter_context(postgres())
