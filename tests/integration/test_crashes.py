"""Killed (SIGKILL) anywhere and run again: the same end state as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_fleet import Fleet, environment, write_fleet

DIE = """
import os, signal, sys
from importlib import import_module
target, config = sys.argv[1:]
module, _, name = target.partition(":")
owner = import_module(module)
*path, last = name.split(".")
for part in path:
    owner = getattr(owner, part)
setattr(owner, last, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
sys.argv = ["forewarn", "nightly", "--config", config]
from pipelines.cli import main
main()
"""

POINTS = [
    "pipelines.checks:run",  # staged, not checked
    "pipelines.publishing.raw:publish_rejects",  # within the first commit
    "pipelines.history:roll_up",  # after the first commit
    "pipelines.steps:score_fleet",
    "pipelines.settling:outcomes",
    "pipelines.publishing.results:_purge",  # within the second commit
    "pipelines.assets.reports:publish",  # after the second commit, no intent yet
    "pipelines.trackers.outbox:Outbox.publish",  # the intent is written, the tracker not called
    "pipelines.trackers.outbox:Outbox._index",  # the ticket is out, its key not recorded
    "pipelines.digests:write",
    "pipelines.warehouse:Warehouse.snapshot",
]


def state(fleet: Fleet) -> tuple[dict, dict[str, bytes]]:
    tickets = {path.name: path.read_bytes() for path in sorted((fleet.run / "tickets").iterdir())}
    tables = fleet.contents()
    del tables["main.runs"]  # its counts tell what a run found new
    return tables, tickets


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict, dict[str, bytes]]:
    fleet = write_fleet(tmp_path_factory.mktemp("undisturbed") / "site")
    assert fleet.nightly().code == 0
    return state(fleet)


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_run_again(point: str, tmp_path: Path, undisturbed):
    fleet = write_fleet(tmp_path / "site")
    command = [sys.executable, "-c", DIE, point, str(fleet.config)]
    died = subprocess.run(command, capture_output=True, timeout=240, env=environment(), check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    again = fleet.nightly()
    assert again.code == 0, again.err
    assert state(fleet) == undisturbed
