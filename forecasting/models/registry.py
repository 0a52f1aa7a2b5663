"""All models there are. The conformance suite runs over them.

The night uses `FLEET`; `STRUCTURAL` and `PROPHET` serve where they win (``forecasting.tournament``).
"""

from __future__ import annotations

from forecasting.models.base import Model, PointModel
from forecasting.models.ensemble import Ensemble
from forecasting.models.level_season import LevelSeason, UsualWeek
from forecasting.models.local_trend import LocalTrend
from forecasting.models.naive import Drift, Naive, SeasonalNaive
from forecasting.models.prophet import ProphetModel
from forecasting.models.structural import Structural

# Each member, and how much it is believed before any evidence: the simple ones more.
MEMBERS: tuple[tuple[PointModel, float], ...] = (
    (LevelSeason(), 2.0),
    (UsualWeek(), 1.0),
    (LocalTrend(window_h=24, bins=8), 0.25),
    (LocalTrend(window_h=72, bins=12), 0.5),
    (LocalTrend(window_h=168, bins=14), 1.0),
    (LocalTrend(window_h=336, bins=14), 1.0),
)

FLEET = Ensemble("ensemble", tuple(member for member, _ in MEMBERS), tuple(belief for _, belief in MEMBERS))
STRUCTURAL = Structural()
PROPHET = ProphetModel()

# To be measured against; they serve nobody.
STANDARDS: tuple[PointModel, ...] = (Naive(), SeasonalNaive(), Drift())

MODELS: tuple[Model, ...] = (
    FLEET,
    STRUCTURAL,
    PROPHET,
    *(Ensemble(one.name, (one,), (1.0,)) for one in (*(member for member, _ in MEMBERS), *STANDARDS)),
)
