"""Prophet, series by series: for the few whose rhythm may earn its cost (see ``forecasting.tournament``).

Belongs here: its settings, its silence and its determinism. Not here: which series it gets.

Changepoints are allowed up to the end of history (at its defaults a fresh leak looks flat); bounds are kept by clipping
the paths, since logistic growth costs up to ten times as much. Its trend is sampled as usual. Its noise is not: Prophet
draws it anew and normal every hour, which turns rare bursts into restless paths that cross limits never reached; each
path gets a stretch of what the fit left over instead. Prophet draws from NumPy's global generator, which is seeded from
the series and as_of, and put back: paths do not depend on who was forecast before, or in which process.
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

        seen = np.flatnonzero(~np.isnan(values))
        days = (len(values) - seen[0]) / DAY
        hours = np.datetime64(history.grid.as_of, "ns") + np.arange(
            seen[0] - len(values), history.horizon_h
        ) * np.timedelta64(1, "h")
        frame = pd.DataFrame({"ds": hours, "y": np.r_[values[seen[0] :], np.full(history.horizon_h, np.nan)]})
        past, ahead = frame.iloc[: -history.horizon_h], frame.iloc[-history.horizon_h :]
        model = Prophet(
            changepoint_range=1.0,
            daily_seasonality=bool(days >= 2),
            weekly_seasonality=bool(days >= 7 * FEWEST_WEEKS_FOR_WEEKLY),
            yearly_seasonality=False,
            uncertainty_samples=0,
        )
        state = np.random.get_state()  # Prophet draws from the global generator
        np.random.seed(seed)
        try:
            model.fit(past.dropna(), seed=seed)
            fitted = model.predict(frame)
            model.uncertainty_samples = self.samples
            trend = model.predictive_samples(ahead)["trend"]
        finally:
            np.random.set_state(state)
        expected = fitted["yhat"].to_numpy()
        rhythm = (expected - fitted["trend"].to_numpy())[-history.horizon_h :]
        left = np.nan_to_num(past["y"].to_numpy() - expected[: len(past)])
        return (trend.T + rhythm + _stretches(left, self.samples, history.horizon_h)).astype(np.float32)


def _stretches(left: np.ndarray, count: int, hours: int) -> np.ndarray:
    """[count, hours]: stretches of `left` that begin whole days before its end, the newest first, again and again.

    Where it is shorter than one stretch, it is repeated.
    """
    days = len(left) // DAY
    first = min(-(-hours // DAY), days)
    starts = len(left) - DAY * (first + np.arange(count) % (days - first + 1))
    return left[(starts[:, None] + np.arange(hours)) % len(left)]


def _seed(series_id: int, as_of: datetime) -> int:
    digest = hashlib.blake2b(f"{series_id} {as_of.isoformat()}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % 2**31


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the chatter of Prophet and cmdstanpy, whose loggers must be silenced after their import."""
    logging.getLogger("prophet.plot").disabled = True  # it complains at its import that plotly is not there
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
