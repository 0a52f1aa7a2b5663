"""Checks that warn: what they find, and what they let pass."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from forecasting.tables import CALIBRATION, MODELS
from pipelines import checks
from pipelines.nightly import warnings_of
from pipelines.warehouse import Warehouse
from reports.answers_kept import BAND as HELD
from reports.answers_kept import DRIFT

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
def test_bands_that_hold_too_little_or_too_much_fail_and_stop_nothing(check, frame: pl.DataFrame, passes: bool):
    result = check(checks.MODELS, "models", frame)
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.ERROR)
    assert [spec.blocking for spec in checks.specs(checks.MODELS, ["forecasting", "models"])] == [False]


def test_what_makes_tables_unsound_is_no_mere_warning(check):
    result = check(checks.RISKS[:1], "risks", pl.DataFrame({"series_id": [1, 1], "limit_name": "l", "horizon_h": 24}))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)


KEPT, BAND = checks.SETTLED
SURE = (168, 400, 0.04, 40, 20)  # horizon, answers, their error, sure ones, limits


@pytest.mark.parametrize("warns", [True, False])
def test_promises_that_were_not_kept_lately_warn(check, warns: bool):
    frame = pl.DataFrame([(*SURE, 0.8, 0.4, 0.2, 0.6, warns)], schema=DRIFT, orient="row")
    result = check((KEPT,), "drift", frame)
    assert (result.passed, result.severity) == (not warns, dg.AssetCheckSeverity.WARN)
    if warns:
        (first,) = result.metadata["first"].data
        assert first["promised"] == "0.8" and (first["lo"], first["hi"]) == ("0.2", "0.6")
    assert check((KEPT,), "drift", frame.clear()).passed


@pytest.mark.parametrize(
    ("row", "passes"),
    [
        ((30, 10, 1000, 800), True),
        ((30, 10, 1000, 699), False),
        ((30, 10, 1000, 901), False),
        ((29, 10, 1000, 100), True),  # too few to say
        ((0, 0, 0, 0), True),
    ],
)
def test_bands_of_past_nights_that_held_too_little_or_too_much_fail(check, row: tuple[int, ...], passes: bool):
    result = check((BAND,), "band", pl.DataFrame([row], schema=HELD, orient="row"))
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.ERROR)


def test_a_band_that_failed_stands_as_failed_and_the_run_goes_on(check):
    failed = check(checks.MODELS, "models", bands(("ensemble", 30, 0.5)))

    @dg.asset(key=["forecasting", "models"], check_specs=checks.specs(checks.MODELS, ["forecasting", "models"]))
    def models():
        yield dg.MaterializeResult(check_results=[failed])

    @dg.asset(deps=[models])
    def later() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([models, later], instance=instance)
    assert run.success and run.asset_materializations_for_node("later")
    ((name, why),) = warnings_of(run)
    assert name == "failed: band_holds" and "Not so tonight: coverage_80 0.5, series 30" in why
