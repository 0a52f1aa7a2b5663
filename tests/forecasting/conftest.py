"""Series with a known nature, and batches made of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import resources

import numpy as np
import polars as pl
import pytest

from features.grid import Grid
from features.signals import Signal
from forecasting.batch import Batch
from forecasting.learnt.model import parse, unlearnt
from forecasting.school import Learnt
from forecasting.tables import CALIBRATION, LIMITS, MISSING

AS_OF = datetime(2026, 3, 2)

MakeGrid = Callable[..., Grid]
MakeBatch = Callable[..., Batch]


@pytest.fixture
def make_grid() -> MakeGrid:
    """Rows of values to a grid; ids count from 1."""

    def make(*rows: np.ndarray) -> Grid:
        values = np.stack([np.asarray(row, dtype=float) for row in rows])
        return Grid(np.arange(1, len(rows) + 1, dtype=np.uint64), AS_OF, values)

    return make


@pytest.fixture
def make_batch(make_grid: MakeGrid) -> MakeBatch:
    """Rows of values and one limit for each to a batch."""

    def make(rows: list[np.ndarray], limits: list[float], direction: str = "up", **options: float) -> Batch:
        signal = Signal.model_validate(
            {
                "name": "s",
                "metric": "*",
                "direction": direction,
                "limits": [{"name": "critical", "value": 1}],
                **options,
            }
        )
        grid = make_grid(*rows)
        limit = pl.DataFrame(
            [
                {"series_id": int(series_id), "limit_name": "critical", "valid_from": AS_OF, "signal": "s",
                 "direction": direction, "value": value, "lasts_h": signal.lasts_hours, "basis": "set in the settings"}
                for series_id, value in zip(grid.series_id, limits, strict=True)
            ],
            schema=LIMITS,
        )  # fmt: skip
        series = pl.DataFrame(
            {"series_id": grid.series_id, "metric": ["m"] * len(rows), "unit": ["percent"] * len(rows)}
        )
        return Batch(grid, series, limit, pl.DataFrame(schema=MISSING), (signal,))

    return make


@pytest.fixture(scope="session")
def untaught() -> Learnt:
    """The prior that ships, in a fleet without a past."""
    shipped = parse(resources.files("data").joinpath("prior", "prior.json.gz").read_bytes())
    return Learnt(unlearnt(shipped), pl.DataFrame(schema=CALIBRATION))


@pytest.fixture
def hours() -> np.ndarray:
    return np.arange(60 * 24)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260302)


@pytest.fixture
def mixed(hours: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Flat, seasonal, a leak, a sawtooth, a random walk, with gaps, rarely sampled, with a spike."""
    noise = rng.normal(0, 1, (8, len(hours)))
    daily = np.sin(hours * 2 * np.pi / 24)
    gappy = 40 + noise[5]
    gappy[300:340] = gappy[700:710] = np.nan
    rare = np.where(hours % 24 == 7, 30 + hours * 0.01 + noise[6], np.nan)
    spike = 20 + noise[7]
    spike[-100] = 1e6
    return [
        50 + noise[0],
        50 + 8 * daily + noise[1],
        20 + 0.02 * hours + 0.5 * noise[2],
        30 + 0.2 * (hours % 200) + 0.5 * noise[3],
        50 + 0.3 * np.cumsum(noise[4]),
        gappy,
        rare,
        spike,
    ]
