"""A real VictoriaMetrics on the loopback, in a folder of its own, from Debian's package."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from real_postgres import free_port
from standing import STANDING

PROGRAM = shutil.which("victoria-metrics")
READY_S = 30.0


@dataclass(frozen=True)
class VictoriaMetrics:
    url: str

    def hold(self, series: Iterable[tuple[Mapping[str, str], Mapping[int, float]]]) -> None:
        """Have these series, and no others: labels with the metric's name, and milliseconds since 1970 -> value."""
        self._post("/api/v1/admin/tsdb/delete_series?match[]={__name__!=''}")
        lines = (
            f"{labels['__name__']}{{{matched(labels)}}} {value!r} {at}\n"
            for labels, samples in series
            for at, value in samples.items()
        )
        self._post("/api/v1/import/prometheus", "".join(lines))
        self._post("/internal/force_flush")

    def _post(self, path: str, text: str = "") -> None:
        httpx.post(self.url + path, content=text.encode(), timeout=READY_S, trust_env=False).raise_for_status()


def matched(labels: Mapping[str, str]) -> str:
    """Labels as the exposition format writes them."""
    escaped = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return ",".join(f'{name}="{text.translate(escaped)}"' for name, text in labels.items() if name != "__name__")


@contextmanager
def victoria_metrics() -> Iterator[VictoriaMetrics]:
    """Started, and stopped in the end."""
    assert PROGRAM is not None
    with TemporaryDirectory(prefix="forewarn-victoria-metrics-") as name:
        address = f"127.0.0.1:{free_port()}"
        command = [
            PROGRAM, f"-storageDataPath={Path(name) / 'data'}", f"-httpListenAddr={address}", "-retentionPeriod=10y",
            "-maxLabelValueLen=20000", "-loggerLevel=ERROR",
        ]  # fmt: skip
        with (Path(name) / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                until = time.monotonic() + READY_S
                while not answers(f"http://{address}/health"):
                    assert process.poll() is None, (Path(name) / "log").read_text()[-2000:]
                    assert time.monotonic() < until, f"VictoriaMetrics was not ready in {READY_S} s"
                    time.sleep(0.05)
                yield VictoriaMetrics(f"http://{address}")
            finally:
                process.terminate()
                process.wait(READY_S)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=READY_S, trust_env=False).is_success
    except httpx.TransportError:
        return False


@cache
def shared() -> VictoriaMetrics:
    """One for all tests of a process, stopped at its end."""
    return STANDING.enter_context(victoria_metrics())
