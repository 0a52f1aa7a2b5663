"""Prophet, series by series: for the few whose rhythm may earn its cost (see ``forecasting.tournament``).

Belongs here: its settings, its silence and its determinism. Not here: which series it gets.

Changepoints are allowed up to the end of history (at its defaults a fresh leak looks flat); bounds are kept by clipping
the paths, since logistic growth costs up to ten times as much. Prophet draws from NumPy's global generator, which is
seeded from the series and as_of, and put back: paths do not depend on who was forecast before, or in which process.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from forecasting.history import DAY, History
from forecasting.paths import Paths

SAMPLES = 200
FEWEST_WEEKS_FOR_WEEKLY = 2
OUTLIER = 50.0  # in units of the spread: further out only misleads a least-squares fit


@dataclass(frozen=True)
class ProphetModel:
    """Piecewise-linear trend, daily and weekly rhythm (Taylor & Letham, 2018)."""

    name: str = "prophet"
    samples: int = SAMPLES

    def paths(self, history: History) -> Paths:
        unitless = history.scale.standardise(history.grid.values)
        observed = np.clip(np.where(history.seen, unitless, np.nan), -OUTLIER, OUTLIER)
        ids = history.grid.series_id
        with _quiet():
            drawn = [
                self._draw(values, _seed(int(series_id), history.grid.as_of), history)
                for series_id, values in zip(ids, observed, strict=True)
            ]
        weights = np.full((len(ids), self.samples), 1 / self.samples, dtype=np.float32)
        seen = np.count_nonzero(history.seen.reshape(len(ids), -1, DAY), axis=2)[:, ::-1].astype(np.float64)
        evidence = seen / seen.sum(axis=1, keepdims=True)
        return Paths(np.stack(drawn), weights, history.present[:, 0], history.scale, evidence)

    def _draw(self, values: np.ndarray, seed: int, history: History) -> np.ndarray:
        """float32 [samples, H]."""
        import pandas as pd  # noqa: PLC0415  both cost seconds and are rarely needed
        from prophet import Prophet  # noqa: PLC0415

        hours = history.grid.hours.astype("datetime64[ns]")
        seen = np.flatnonzero(~np.isnan(values))
        days = (len(values) - seen[0]) / DAY
        model = Prophet(
            changepoint_range=1.0,
            daily_seasonality=bool(days >= 2),
            weekly_seasonality=bool(days >= 7 * FEWEST_WEEKS_FOR_WEEKLY),
            yearly_seasonality=False,
            uncertainty_samples=self.samples,
        )
        state = np.random.get_state()  # Prophet draws from the global generator
        np.random.seed(seed)
        try:
            model.fit(pd.DataFrame({"ds": hours[seen], "y": values[seen]}), seed=seed)
            ahead = pd.DataFrame({"ds": hours[-1] + np.arange(1, history.horizon_h + 1) * np.timedelta64(1, "h")})
            drawn = model.predictive_samples(ahead)["yhat"]
        finally:
            np.random.set_state(state)
        return np.ascontiguousarray(drawn.T, dtype=np.float32)


def _seed(series_id: int, as_of: datetime) -> int:
    digest = hashlib.blake2b(f"{series_id} {as_of.isoformat()}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % 2**31


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the chatter of Prophet and cmdstanpy, whose loggers must be silenced after their import."""
    import prophet  # noqa: F401, PLC0415

    loggers = [logging.getLogger(name) for name in ("cmdstanpy", "prophet")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
