"""Examined nights to test with: rows of forecasting.calibration as the forecasting room hands them over."""

from datetime import datetime
from typing import Any

import polars as pl

from forecasting.tables import CALIBRATION, HORIZONS

AS_OF = datetime(2026, 6, 1, 22)
Bins = list[tuple[float, int, int]]  # answered, how many, of these came true


def examined(bins: Bins, shape: str = "all", horizon_h: int = 168, **more: Any) -> dict[str, Any]:
    """One row whose marks follow from its bins, as if each were answered with its mean p."""
    n, came = sum(n for _, n, _ in bins), sum(came for _, _, came in bins)
    share = came / n
    return {
        "as_of": AS_OF, "model": "learnt", "shape": shape, "horizon_h": horizon_h, "prior": "prior-0123abcd",
        "lessons": 12_000, "learnt_from": datetime(2026, 3, 30, 22), "learnt_until": datetime(2026, 5, 24, 22),
        "questions": n, "crossed": came, "mean_p": sum(p * n for p, n, _ in bins) / n,
        "brier": sum(came * (1 - p) ** 2 + (n - came) * p**2 for p, n, came in bins) / n,
        "climatology_brier": share * (1 - share),
        "calibration_error": sum(abs(p * n - came) for p, n, came in bins) / n,
        "bins": [{"p": p, "share": came / n, "n": n} for p, n, came in bins],
    } | more  # fmt: skip


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=CALIBRATION).sort("shape", "horizon_h")


USUAL: Bins = [(0.03, 3310, 41), (0.25, 200, 60), (0.55, 90, 47), (0.75, 212, 140), (0.95, 200, 157)]


def usual(bins: Bins = USUAL) -> pl.DataFrame:
    """A night whose answers of 70 % and more were too sure: 412 of them, 297 of which came true."""
    return table(*(examined(bins, shape, horizon) for shape in ("all", "trend") for horizon in HORIZONS))
