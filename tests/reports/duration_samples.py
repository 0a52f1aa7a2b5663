"""Durations to hold statistics against other implementations on: made up by hypothesis, and real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("FOREWARN_DATA", ROOT.parent / "shared" / "data"))

real = pytest.mark.real
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the real incidents are not at {DATA}; name their folder in $FOREWARN_DATA"
)
DURATIONS = st.lists(st.tuples(st.floats(0, 1e7), st.booleans()), min_size=6, max_size=80).filter(
    lambda rows: any(finished for _, finished in rows)
)


def arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds so far, one at least, and whether finished."""
    return np.round([max(1.0, seconds) for seconds, _ in rows]), np.array([finished for _, finished in rows])


def real_durations(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """So many of the ServiceNow log, as known half-way through it: seconds so far, and whether finished."""
    incidents = pl.read_parquet(DATA / "incidents_uci498_servicenow.parquet", columns=["opened_at", "resolved_at"])
    as_of = pl.datetime(2016, 5, 1, time_zone="UTC")
    seen = incidents.drop_nulls().filter(pl.col("opened_at") < as_of).sample(n, seed=seed)
    finished = pl.col("resolved_at") < as_of
    end = pl.when(finished).then("resolved_at").otherwise(as_of)
    found = seen.select(seconds=(end - pl.col("opened_at")).dt.total_seconds().cast(pl.Float64), finished=finished)
    return found["seconds"].to_numpy(), found["finished"].to_numpy()


def kaplan_meier_median(seconds: np.ndarray, finished: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The first time at which no more than half are left, by statsmodels; infinite where more never finish."""
    curve = SurvfuncRight(seconds, finished.astype(int), freq_weights=weights)
    reached = curve.surv_times[curve.surv_prob <= 0.5 + 1e-9]
    return float(reached[0]) if len(reached) else np.inf
