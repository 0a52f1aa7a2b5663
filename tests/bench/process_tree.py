"""What a process and its children cost: CPU seconds of this one, peak memory of a command.

The standard library only: the statsforecast worker uses it in an environment of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PROC = Path("/proc")
EVERY_S = 0.1


def cpu_seconds() -> float:
    """Of this process and of the children that it has waited for: other people's load does not count."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run(command: Sequence[str], env: dict[str, str]) -> tuple[str, float | None]:
    """What the command printed, and the highest sum of resident memory of its processes in GiB (None without /proc).

    Pages that processes share count once for each, so the sum errs on the high side.

    Raises:
        subprocess.CalledProcessError: it failed; what it said stands on stderr.
    """
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(EVERY_S)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed, peak / (1 << 30) if PROC.is_dir() else None


def resident(root: int) -> int:
    """Bytes of a process and of all that descend from it, now."""
    parents: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(after_name[1])
    return sum(_own(pid) for pid in parents if _descends(pid, root, parents))


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != root:
        pid = parents[pid]
    return pid == root


def _own(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0
