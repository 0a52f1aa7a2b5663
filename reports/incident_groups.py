"""A slice's incidents as arrays, and a period's numbers from them.

Belongs here: which incidents belong to a slice, and which of a slice's to a period. Not here: which numbers a group of
durations has (``reports.incident_measures``), and what follows from them (``reports.incident_trends``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from reports.incident_measures import Durations, Estimate, estimates, median
from reports.incident_options import IncidentOptions
from reports.incident_periods import Period
from reports.statistics import count_interval, gap, share_interval
from reports.working_time import WorkingCalendar

STEM = {"mttr": "resolve", "mtta": "acknowledge"}  # measure -> what its columns in the durations are called after
VARIANTS = {
    "mttr_working": ("resolve", "working_resolve_s"),
    "mttr_no_hold": ("resolve", "no_hold_s"),
    "mtta_working": ("acknowledge", "working_acknowledge_s"),
}
"""Beside calendar time: measure -> which incidents are usable, and the column that says how long they took."""

RATES = {
    "reopened": pl.col("reopen_count") > 0,
    "reassigned": pl.col("reassignment_count") > 0,
    "sla_met": pl.col("sla_met"),
}
"""Shares of the incidents of which the source says it; null where it does not."""


class Slice(NamedTuple):
    """All incidents, or those of one service, severity, ..."""

    dimension: str | None = None
    value: str | None = None

    @property
    def name(self) -> str:
        return "all" if self.dimension is None else f"{self.dimension}={self.value}"

    @property
    def key(self) -> dict[str, str]:
        """As in the contract."""
        return {} if self.dimension is None or self.value is None else {self.dimension: self.value}

    def of(self, counted: pl.DataFrame) -> pl.DataFrame:
        return counted if self.dimension is None else counted.filter(pl.col(self.dimension) == self.value)


def slices(counted: pl.DataFrame, options: IncidentOptions) -> tuple[list[Slice], dict[str, int]]:
    """All, then each dimension's values with enough incidents, the largest first; and how many values had too few.

    A value that all incidents have is no part of them.
    """
    found, left_out = [Slice()], {}
    for dimension in options.slices:
        sizes = (
            counted.filter(pl.col(dimension).is_not_null())
            .group_by(dimension)
            .len("size")
            .sort("size", dimension, descending=[True, False])
        )
        parts = sizes.filter(pl.col("size") < counted.height)
        enough = parts.filter(pl.col("size") >= options.slice_minimum).head(options.slices_per_dimension)
        found += [Slice(dimension, value) for value in enough[dimension].to_list()]
        left_out[dimension] = parts.height - enough.height
    return found, left_out


def with_variants(counted: pl.DataFrame, as_of: datetime, calendar: WorkingCalendar | None) -> pl.DataFrame:
    """Adds to durations in order of creation the columns of `VARIANTS`: seconds of working time, and not on hold.

    So far, while unfinished. Null where it cannot be said: without a calendar, or where the source records no holds.
    """
    spent = pl.coalesce("time_to_resolve_s", "age_s")
    found = counted.with_columns(no_hold_s=(spent - pl.col("on_hold_s")).clip(0))
    working: dict[str, pl.Expr | pl.Series] = dict.fromkeys(STEM.values(), pl.lit(None, pl.Float64))
    if calendar is not None and counted.height:
        clock = calendar.clock(counted["created_at"].item(0), as_of)
        created = counted["created_at"].cast(pl.Datetime("us")).to_physical().to_numpy() / 1e6
        for stem in STEM.values():
            took = counted.select(pl.coalesce(f"time_to_{stem}_s", "age_s")).to_series().to_numpy()
            working[stem] = pl.Series(clock.between(created, created + took))
    return found.with_columns(**{f"working_{stem}_s": values for stem, values in working.items()})


@dataclass(frozen=True)
class Group:
    """A slice's incidents as arrays, in order of creation; times are days from the epoch.

    Attributes:
        created, ended: [n]; infinite where still open. Those before the months shown matter for what is open only.
        measures: mttr, mtta and their variants -> durations of the usable incidents of the months shown.
        rates: the names of `RATES` -> when each incident was created of which it is known, and whether it is so.
    """

    created: np.ndarray
    ended: np.ndarray
    measures: dict[str, Durations]
    rates: dict[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, counted: pl.DataFrame, shown: Period) -> Group:
        """From the durations of a slice with their variants, sorted by creation."""
        over = counted.select(pl.max_horizontal("ended_at", "created_at")).to_series()
        ended = np.where(counted["is_open"].to_numpy(), np.inf, days(over))
        recent = counted.filter(pl.col("created_at") >= shown.start)
        measures = {
            name: _durations(recent, stem, pl.coalesce(f"time_to_{stem}_s", "age_s")) for name, stem in STEM.items()
        }
        measures |= {name: _durations(recent, stem, pl.col(column)) for name, (stem, column) in VARIANTS.items()}
        return cls(
            days(counted["created_at"]), ended, measures, {name: _rate(recent, rate) for name, rate in RATES.items()}
        )

    def within(self, period: Period, options: IncidentOptions) -> dict[str, Estimate]:
        """A period's numbers, by their names in reports.incident_trends."""
        start, end = day(period.start), day(period.end)
        ended = self.ended[rows(self.created, start, end)]
        n, still_open = len(ended), int(np.isinf(ended).sum())
        open_at_end = int(np.searchsorted(self.created, end) - (self.ended < end).sum())
        numbers = {
            "created": Estimate(n, *count_interval(n), n),
            "resolved": Estimate(n - still_open, None, None, n),
            "still_open": Estimate(still_open, None, None, n),
            "open_at_end": Estimate(open_at_end, None, None, open_at_end),
            "mtbf": _gap(n, (end - start) * 86_400),
        }
        for name, (at, holds) in self.rates.items():
            numbers[name] = _share(holds[rows(at, start, end)], options.minimum_n)
        for name, durations in self.measures.items():
            chosen = durations.between(start, end)
            if name in STEM:
                numbers |= {f"{name}_{key}": value for key, value in estimates(chosen, options.minimum_n).items()}
            else:
                numbers[f"{name}_median"] = median(chosen, options.minimum_n)
        return numbers


def _durations(incidents: pl.DataFrame, stem: str, seconds: pl.Expr) -> Durations:
    usable = incidents.filter(pl.col(f"{stem}_excluded").is_null() & seconds.is_not_null())
    return Durations(
        at=days(usable["created_at"]),
        seconds=usable.select(seconds.cast(pl.Float64)).to_series().to_numpy(),
        finished=usable[f"time_to_{stem}_s"].is_not_null().to_numpy(),
    )


def _rate(incidents: pl.DataFrame, holds: pl.Expr) -> tuple[np.ndarray, np.ndarray]:
    known = incidents.select("created_at", holds=holds).drop_nulls("holds")
    return days(known["created_at"]), known["holds"].to_numpy()


def _share(holds: np.ndarray, minimum_n: int) -> Estimate:
    n, hits = len(holds), int(holds.sum())
    interval = share_interval(hits, n)
    if interval is None or n < minimum_n:
        return Estimate(None, None, None, n)
    return Estimate(hits / n, *interval, n)


def _gap(n: int, seconds: float) -> Estimate:
    found = gap(n, seconds)
    return Estimate(None, None, None, n) if found is None else Estimate(*found, n)


def rows(ascending: np.ndarray, start: float, end: float) -> slice:
    """Which of them lie in [start, end)."""
    return slice(*(int(row) for row in np.searchsorted(ascending, [start, end])))


def days(moments: pl.Series) -> np.ndarray:
    """Days from the epoch."""
    return moments.cast(pl.Datetime("us")).to_physical().to_numpy() / 86_400e6


def day(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)
