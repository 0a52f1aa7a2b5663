"""Statistics of skewed, partly unfinished durations, for small numbers: intervals first, points second.

Belongs here: pure functions of numbers. Not here: incidents, periods, slices, words (``reports.incident_trends``).

Every interval is two-sided at 95 %. Where no interval exists at a sample's size the answer is None, never a guess.
"""

from reports.statistics.intervals import (
    ALPHA,
    Interval,
    count_interval,
    mean_interval,
    quantile_interval,
    share_interval,
)
from reports.statistics.survival import Survival
from reports.statistics.trend import Trend, mann_kendall, q_values, theil_sen, trend

__all__ = [
    "ALPHA",
    "Interval",
    "Survival",
    "Trend",
    "count_interval",
    "mann_kendall",
    "mean_interval",
    "q_values",
    "quantile_interval",
    "share_interval",
    "theil_sen",
    "trend",
]
