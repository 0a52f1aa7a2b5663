"""A night over every real fleet and incident log that lies in $FOREWARN_DATA."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from small_fleet import environment

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("FOREWARN_DATA", ROOT.parent / "shared" / "data"))
SETTINGS = sorted((ROOT / "tests" / "real").glob("*.yaml"))
GIB = 1 << 30

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"the real fleets are not at {DATA}; name their folder in $FOREWARN_DATA"
    ),
]


@pytest.mark.parametrize("config", SETTINGS, ids=lambda path: path.stem)
def test_a_night_over_a_real_fleet(config: Path, tmp_path: Path):
    command = [sys.executable, "-m", "pipelines.cli", "nightly", "--config", str(config)]
    own = environment() | {"FOREWARN_OUT": str(tmp_path), "FOREWARN_DATA": str(DATA)}
    said = tmp_path / "said.txt"
    with said.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=own) as night:
        _, status, usage = os.wait4(night.pid, 0)
        night.returncode = os.waitstatus_to_exitcode(status)
    assert night.returncode == 0, said.read_text()
    assert usage.ru_maxrss * 1024 < 2 * GIB
    with duckdb.connect(tmp_path / config.stem / "warehouse.duckdb", read_only=True) as con:
        status, counts = con.sql("SELECT status, counts FROM main.runs").fetchall()[0]
        impossible = con.sql(
            "SELECT count(*) FROM forecasting.risks WHERE state <> 'abstained' AND (p IS NULL OR NOT p BETWEEN 0 AND 1)"
        ).fetchall()
        failures = con.sql("FROM forecasting.failures").fetchall()
    assert status == "done" and impossible == [(0,)] and failures == []
    told = json.loads(counts)
    assert told["series"]["with a signal"] > 0 or told["incidents"]["known at the cut"] > 0
