"""Which months, or weeks, stand out from the usual come and go: process behaviour charts of the medians.

Belongs here: which periods make the chart. Not here: its limits (``reports.statistics.xmr``), or how it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from reports.incident_periods import ALL, Period
from reports.statistics import Xmr, xmr


@dataclass(frozen=True)
class Behaviour:
    """One measure over successive periods, on a process behaviour chart.

    Attributes:
        names: of the periods that have a median, in order.
        grain: month or week.
        chart: over the logarithms of their medians.
    """

    names: Sequence[str]
    grain: str
    chart: Xmr

    @property
    def outstanding(self) -> list[str]:
        """The periods that chance alone would hardly bring."""
        return [name for name, odd in zip(self.names, self.chart.outside | self.chart.in_run, strict=True) if odd]


def behaviour(
    table: pl.DataFrame, months: Sequence[Period], weeks: Sequence[Period], as_of: datetime, measure: str
) -> Behaviour | None:
    """By month, or by week where fewer than eight whole months have a median; None where those are too few as well.

    Args:
        table: the columns of reports.incident_trends.
    """
    medians = table.filter(
        (pl.col("slice") == ALL) & (pl.col("measure") == f"{measure}_median") & (pl.col("value") > 0)
    )
    known = dict(medians.select("period", "value").rows())
    for grain, periods in (("month", months), ("week", weeks)):
        whole = periods[:-1] if periods and _is_cut(periods[-1], as_of, grain) else periods
        names = [period.name for period in whole if period.name in known]
        chart = xmr(np.log([known[name] for name in names]))
        if chart is not None:
            return Behaviour(names, grain, chart)
    return None


def _is_cut(period: Period, as_of: datetime, grain: str) -> bool:
    """Whether the night ends it before its time."""
    ends_with_night = as_of.hour == 0 and (as_of.day == 1 if grain == "month" else as_of.weekday() == 0)
    return period.end == as_of and not ends_with_night
