"""AutoETS and AutoARIMA in an environment of their own: made on first use, kept under ``.cache``, or done without.

Belongs here: the environment, and the round trip of cases to it. Not here: the models (``statsforecast_worker``).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from peers import Answers, Case

HERE = Path(__file__).parent
LOCK = HERE / "peers.lock"
WORKER = HERE / "statsforecast_worker.py"
CACHE = HERE / ".cache"
NAMES = ("autoets", "autoarima", "mstl_autoarima")


class UnavailableError(Exception):
    """The environment could not be made; says why."""


def environment() -> Path:
    """The Python of the peers' environment, made if it is not there yet.

    Raises:
        UnavailableError: no network, or no wheel for this machine.
    """
    lock = hashlib.blake2b(LOCK.read_bytes(), digest_size=5).hexdigest()
    folder = CACHE / f"peers-{sys.version_info.major}.{sys.version_info.minor}-{lock}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.is_file():
        return python
    sys.stderr.write("making the peers' environment (statsforecast), once ...\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [str(python), *install]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    ready.touch()
    return python


@dataclass(frozen=True)
class Statsforecast:
    """One of its models, over many cases at once."""

    name: str
    processes: int = 2

    @property
    def source(self) -> bytes:
        """What its answers depend on, besides the case."""
        return WORKER.read_bytes() + LOCK.read_bytes() + (HERE / "persistence.py").read_bytes()

    def answer_all(self, cases: Sequence[Case]) -> list[Answers]:
        """The cases' answers, in order.

        Raises:
            UnavailableError: see `environment`.
        """
        python = environment()
        shares = [cases[first :: self.processes] for first in range(self.processes)]
        with tempfile.TemporaryDirectory() as folder:
            started = [self._start(python, share, Path(folder) / str(k)) for k, share in enumerate(shares) if share]
            found = [_finish(share, *one) for share, one in zip([s for s in shares if s], started, strict=True)]
        ordered: list[Answers | None] = [None] * len(cases)
        for first, answers in enumerate(found):
            ordered[first :: self.processes] = answers
        return [one for one in ordered if one is not None]

    def _start(self, python: Path, cases: Sequence[Case], stem: Path) -> tuple[subprocess.Popen[bytes], Path]:
        histories = [case.filled for case in cases]
        given, answers = stem.with_suffix(".in.npz"), stem.with_suffix(".out.npz")
        np.savez(
            given,
            values=np.concatenate(histories),
            ends=np.cumsum([len(history) for history in histories]),
            limits=np.concatenate([case.limits for case in cases]),
            limit_ends=np.cumsum([len(case.limits) for case in cases]),
            seeds=np.array([case.seed for case in cases]),
        )
        # Of our environment it takes only the place where programs are: no PYTHONPATH, one thread.
        own = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen([str(python), str(WORKER), self.name, str(given), str(answers)], env=own), answers


def _finish(cases: Sequence[Case], process: subprocess.Popen[bytes], path: Path) -> list[Answers]:
    if process.wait():
        raise UnavailableError(f"the worker ended with {process.returncode}; what it said stands above")
    with np.load(path) as found:
        p, seconds, error = found["p"], found["seconds"], str(found["error"])
    if error:
        sys.stderr.write(f"statsforecast abstains on {int(np.isnan(p[:, 0]).sum())} questions, first: {error}\n")
    parts = np.split(p, np.cumsum([len(case.limits) for case in cases])[:-1])
    return [Answers(part, float(took)) for part, took in zip(parts, seconds, strict=True)]
