"""Statistics of skewed, partly unfinished durations, for small numbers: intervals first, points second.

Belongs here: pure functions of numbers. Not here: incidents, periods, slices, words (``reports.incident_trends``).

Every interval is two-sided at 95 %. Where no interval exists at a sample's size the answer is None, never a guess.
How often each really holds is measured: docs/statistics.md.
"""

from reports.statistics.counts import Gap, RateChange, count_interval, dispersion, gap, rate_change, share_interval
from reports.statistics.coverage import mean_coverage
from reports.statistics.fdr import q_values
from reports.statistics.intervals import ALPHA, Interval, mean_interval, quantile_interval
from reports.statistics.mix import Effect, MixShift, Strata, mix_shift
from reports.statistics.ratio import Ratio, median_ratio
from reports.statistics.survival import Survival
from reports.statistics.trend import LEAST_BLOCKS, LEAST_PER_BLOCK, Trend, mann_kendall, theil_sen, trend
from reports.statistics.xmr import Xmr, xmr

__all__ = [
    "ALPHA", "LEAST_BLOCKS", "LEAST_PER_BLOCK", "Effect", "Gap", "Interval", "MixShift", "RateChange", "Ratio",
    "Strata", "Survival", "Trend", "Xmr", "count_interval", "dispersion", "gap", "mann_kendall", "mean_coverage",
    "mean_interval", "median_ratio", "mix_shift", "q_values", "quantile_interval", "rate_change", "share_interval",
    "theil_sen", "trend", "xmr",
]  # fmt: skip
