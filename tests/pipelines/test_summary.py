"""What the end of a night says of checks that failed without stopping it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from pipelines.nightly import Outcome, warnings_of
from pipelines.settings import parse
from pipelines.summary import show

COUNTS = {"ingested": {"samples_new": 5}, "rejected": {}, "series": {}, "risks": {}, "abstained": {}, "failures": 0,
          "tickets": {}, "ledger": {"missed": 1}, "feedback": {}, "services": {"in_shadow": 2},
          "incidents": {}, "known_bad": {"counts": {"windows": 2}, "faults": {"calendar a.ics": "a.ics: no calendar"}},
          }  # fmt: skip
SPECS = [
    dg.AssetCheckSpec(name, asset="table", description=f"{name} asks this.", blocking=name == "bad")
    for name in ("calm", "odd", "red", "bad")
]


@pytest.fixture(scope="module")
def result() -> dg.ExecuteInProcessResult:
    """A run with a check that passes, one that warns, one that fails and stops nothing, and one that stops the run."""

    @dg.asset(name="table", check_specs=SPECS)
    def asset() -> Iterator[dg.MaterializeResult]:
        rows = {"first": dg.MetadataValue.json([{"horizon_h": "168", "calibration_error": "0.2"}])}
        warns, errs = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
        checked = [
            dg.AssetCheckResult(check_name="calm", passed=True, severity=warns, description="calm asks this."),
            dg.AssetCheckResult(
                check_name="odd", passed=False, severity=warns, metadata=rows, description="odd asks this."
            ),
            dg.AssetCheckResult(
                check_name="red", passed=False, severity=errs, metadata=rows, description="red asks this."
            ),
            dg.AssetCheckResult(check_name="bad", passed=False, severity=errs, description="bad asks this."),
        ]
        yield dg.MaterializeResult(check_results=checked)

    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([asset], instance=instance, raise_on_error=False)


def test_a_warning_says_what_was_asked_and_what_was_found(result: dg.ExecuteInProcessResult):
    assert warnings_of(result) == [
        ("warning: odd", "odd asks this. Not so tonight: horizon_h 168, calibration_error 0.2"),
        ("failed: red", "red asks this. Not so tonight: horizon_h 168, calibration_error 0.2"),
    ]


def test_warnings_stand_in_the_table_that_ends_the_night(tmp_path: Path):
    settings = parse(f"storage: {{root: {tmp_path}}}", tmp_path)
    night = date(2026, 3, 1)
    (tmp_path / "reports" / "2026-03-01").mkdir(parents=True)
    for name in ("digest.html", "reliability.png"):
        (tmp_path / "reports" / "2026-03-01" / name).touch()
    out = io.StringIO()
    warned = [("warning: calibrated", "P lay within 0.10. Not so tonight: calibration_error 0.2")]
    show(
        Console(file=out, width=200),
        settings,
        night,
        Outcome(COUNTS, {"score": 1.0}, [], [("prod", "no answer")], [], [("shop: off", "6 of 12 were right")], warned),
    )
    assert "2 in shadow" in out.getvalue() and "switched shop: off" in out.getvalue()
    assert "not fetched: prod" in out.getvalue() and "no answer" in out.getvalue()
    assert "warning: calibrated" in out.getvalue() and "calibration_error 0.2" in out.getvalue()
    assert "2 windows" in out.getvalue() and "not read: calendar a.ics" in out.getvalue()
    assert "a.ics: no calendar; what was known holds" in out.getvalue()
    assert "reliability.png" in out.getvalue() and "1 missed" in out.getvalue()
