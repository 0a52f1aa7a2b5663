"""Checks that warn: what they find, and what they let pass."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from forecasting.tables import CALIBRATION, MODELS
from pipelines import checks
from pipelines.warehouse import Warehouse

AS_OF = datetime(2026, 3, 1)


@pytest.fixture
def check(warehouse: Warehouse, tmp_path: Path):
    """Runs the only rule of an asset over a frame."""

    def run(rules: tuple[checks.Rule, ...], table: str, frame: pl.DataFrame) -> dg.AssetCheckResult:
        path = tmp_path / f"{table}.parquet"
        frame.write_parquet(path)
        with warehouse.scratch() as con:
            (result,) = checks.run(con, rules, ["forecasting", table], {table: [path]})
        return result

    return run


def examined(error: float, questions: int = 200, shape: str = "all", horizon_h: int = 168) -> pl.DataFrame:
    row = dict.fromkeys(CALIBRATION) | {
        "as_of": AS_OF, "shape": shape, "horizon_h": horizon_h, "questions": questions, "calibration_error": error,
    }  # fmt: skip
    return pl.DataFrame([row], schema=CALIBRATION)


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (examined(0.1), True),
        (examined(0.11), False),
        (examined(0.4, questions=199), True),  # by chance alone
        (examined(0.4, shape="trend"), True),
        (examined(0.4, horizon_h=24), True),
        (pl.concat([examined(0.2, shape="trend"), examined(0.2)]), False),
        (pl.DataFrame(schema=CALIBRATION), True),
    ],
)
def test_probabilities_that_are_off_on_the_settled_past_warn(check, frame: pl.DataFrame, passes: bool):
    result = check(checks.CALIBRATION, "calibration", frame)
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.WARN)
    if not passes:
        (first,) = result.metadata["first"].data
        assert first["horizon_h"] == "168" and first["questions"] == "200"


def bands(*rows: tuple[str, int, float | None], horizon_h: int = 168) -> pl.DataFrame:
    """Rows of model, series, coverage_80."""
    told = [(AS_OF, model, "trend", horizon_h, series, 0.2, coverage) for model, series, coverage in rows]
    return pl.DataFrame(told, schema=MODELS, orient="row")


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (bands(("ensemble", 30, 0.8)), True),
        (bands(("ensemble", 30, 0.69)), False),
        (bands(("ensemble", 30, 0.91)), False),
        (bands(("ensemble", 29, 0.5)), True),  # too few to say
        (bands(("ensemble", 29, 0.6), ("prophet", 1, 0.6)), False),
        (bands(("ensemble", 90, 0.8), ("prophet", 10, 0.2)), True),  # by series: 0.74
        (bands(("ensemble", 30, 0.8), ("prophet", 0, 0.1), ("learnt", 900, None)), True),  # served none, has no band
        (bands(("ensemble", 30, 0.5), horizon_h=24), True),
        (bands(), True),
    ],
)
def test_bands_that_hold_too_little_or_too_much_warn(check, frame: pl.DataFrame, passes: bool):
    result = check(checks.MODELS, "models", frame)
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.WARN)


def test_what_makes_tables_unsound_is_no_mere_warning(check):
    result = check(checks.RISKS[:1], "risks", pl.DataFrame({"series_id": [1, 1], "limit_name": "l", "horizon_h": 24}))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)


def settled(p: float, true: int, false: int) -> pl.DataFrame:
    n = true + false
    schema = {"horizon_h": pl.Int32, "p": pl.Float64, "came": pl.Int8}
    return pl.DataFrame({"horizon_h": [168] * n, "p": [p] * n, "came": [1] * true + [0] * false}, schema=schema)


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (settled(0.85, 160, 40), True),
        (settled(0.85, 140, 60), False),
        (settled(0.85, 0, 199), True),  # too few to say
        (pl.concat([settled(0.05, 0, 190), settled(0.95, 0, 10)]), True),  # few of many
        (pl.concat([settled(0.05, 0, 100), settled(1.0, 70, 30)]), False),
        (settled(0.5, 0, 0), True),
    ],
)
def test_promises_that_were_not_kept_lately_warn(check, frame: pl.DataFrame, passes: bool):
    result = check(checks.SETTLED, "settled_lately", frame)
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.WARN)
    if not passes:
        (first,) = result.metadata["first"].data
        assert first == {"horizon_h": "168", "answers": "200", "calibration_error": first["calibration_error"]}
