"""Real servers of metrics on loopback, with back-filled history, and a proxy in front of them that fails as it is told.

They are Debian's packages prometheus, prometheus-node-exporter and victoria-metrics; tests skip where these are absent.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

READY_S = 30.0
Samples = Mapping[str, Iterable[tuple[int, float]]]
"""Series as the exposition format writes it -> seconds since 1970, and values."""


def needed(*programs: str) -> None:
    """Skip where a program is absent."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian's package: {program.replace('promtool', 'prometheus')})")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(command: list[str], ready: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it is ready until the block ends."""
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            until = time.monotonic() + READY_S
            while not _answers(ready):
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < until, f"{command[0]} was not ready in {READY_S} s"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - on loopback
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def prometheus(
    folder: Path,
    samples: Samples | None = None,
    *,
    port: int | None = None,
    config: str = "",
    options: Iterable[str] = (),
) -> Iterator[str]:
    """A Prometheus over a folder, which may hold one's data of before; its address."""
    needed("prometheus", "promtool")
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "data", port or free_port()
    (folder / "prometheus.yml").write_text(config or "global: {scrape_interval: 1m}\n")
    if samples is not None:
        (folder / "history.txt").write_text(_open_metrics(samples))
        filled = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics"]
        subprocess.run([*filled, folder / "history.txt", data], check=True, capture_output=True)
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", *options,
    ]  # fmt: skip
    with running(command, f"http://127.0.0.1:{port}/-/ready", folder / "log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def victoria_metrics(folder: Path, samples: Samples) -> Iterator[str]:
    """A VictoriaMetrics that holds samples; its address."""
    needed("victoria-metrics")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        "victoria-metrics", f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=10y", "-loggerLevel=ERROR",
    ]  # fmt: skip
    with running(command, f"{url}/health", folder / "log"):
        lines = (f"{series} {value} {at}000\n" for series, found in samples.items() for at, value in found)
        post(f"{url}/api/v1/import/prometheus", "".join(lines).encode())
        post(f"{url}/internal/force_flush", b"")
        yield url


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """A node_exporter of this machine; its host and port."""
    needed("prometheus-node-exporter")
    folder.mkdir(parents=True, exist_ok=True)
    target = f"127.0.0.1:{free_port()}"
    command = ["prometheus-node-exporter", f"--web.listen-address={target}", "--log.level=error"]
    with running(command, f"http://{target}/metrics", folder / "log"):
        yield target


def post(url: str, body: bytes) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=30) as done:  # noqa: S310
        return done.read()


def _open_metrics(samples: Samples) -> str:
    """The text that promtool back-fills: the samples of a metric together, and an end."""
    lines, told = [], ""
    for series in sorted(samples):
        name = series.partition("{")[0]
        if name != told:
            lines.append(f"# TYPE {name} gauge\n")
            told = name
        lines += [f"{series} {'+Inf' if value == float('inf') else value} {at}\n" for at, value in samples[series]]
    return "".join(lines) + "# EOF\n"


# -------------------------------------------------------------------------------------------------------------- faults


@dataclass
class Asked:
    """One request as it came. answer: what the real server says to it."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    forward: Callable[[], tuple[int, dict[str, str], bytes]]

    @property
    def is_data(self) -> bool:
        """Is it asked for samples, and not only how many there are?"""
        counts = b"count%28" in self.body or b"count_over_time%28" in self.body
        return self.path in ("/api/v1/query_range", "/api/v1/read", "/api/v1/export") and not counts


@dataclass(frozen=True)
class Reply:
    """What is sent back. cut: after how many bytes the connection breaks off; drip: seconds before the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0.0


Fault = Callable[[Asked], Reply | None]
"""None: as the real server says."""


@dataclass
class Proxy:
    """Where it listens, what it does, and what it was asked."""

    url: str
    fault: Fault = lambda asked: None
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def proxy(target: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy in front of a server."""
    host = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(urlsplit(self.path).path, body, dict(self.headers), lambda: self.forward(body))
            through.asked.append(asked)
            reply = through.fault(asked)
            if reply is None:
                status, headers, content = asked.forward()
                reply = Reply(status, content, headers)
            time.sleep(reply.wait)
            try:
                self.send_response_only(reply.status)
                headers = {"Date": self.date_time_string(), "Content-Length": str(len(reply.body)), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_POST = answer  # noqa: N815

        def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            assert host.hostname is not None
            onward = http.client.HTTPConnection(host.hostname, host.port, timeout=60)
            try:
                sent = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                onward.request(self.command, self.path, body, sent)
                got = onward.getresponse()
                kept = ("content-type", "date", "x-server-hostname", "content-encoding")
                return got.status, {k: v for k, v in got.getheaders() if k.lower() in kept}, got.read()
            finally:
                onward.close()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        through = Proxy(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield through
        finally:
            server.shutdown()
            thread.join()


def http_date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
