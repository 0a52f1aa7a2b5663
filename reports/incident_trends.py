"""Are we getting better at incidents? Monthly numbers and verdicts from durations.

Belongs here: which incidents are counted where (periods, slices), the verdicts, and the contract of ``mttr.json``.
Not here: the statistics (``reports.incident_measures``, ``reports.statistics``), why an incident is left out
(``features.incidents``), and what is drawn or written (``reports.incident_page``).

Months are calendar months in UTC, and an incident belongs to the month in which it was *created*: sorting by resolution
would hide what is still open. Predictions and cancelled incidents are counted nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from features.incidents import CANCELLED, PREDICTED
from reports.incident_definitions import MTTA, MTTR, TERMS
from reports.incident_measures import Durations, Estimate, estimates
from reports.incident_options import IncidentOptions
from reports.statistics import ALPHA, Trend, count_interval, q_values, trend

IMPROVING, WORSENING, NO_CHANGE, TOO_FEW = "improving", "worsening", "no detectable change", "too few to say"
EARLIER = "created before the months shown"
STEM = {"mttr": "resolve", "mtta": "acknowledge"}  # measure -> what its columns in the durations are called after
TABLE = {
    "as_of": pl.Datetime("us"), "period": pl.String, "slice": pl.String, "measure": pl.String,
    "n": pl.Int32, "value": pl.Float64, "lo": pl.Float64, "hi": pl.Float64,
}  # fmt: skip


class Period(NamedTuple):
    """A calendar month in UTC, cut at the night, or all months shown: start included, end not."""

    name: str
    start: datetime
    end: datetime


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


@dataclass(frozen=True)
class IncidentTrends:
    """The night's incident statistics.

    Attributes:
        as_of: naive UTC.
        options: what they were made with.
        table: the columns of reports.incident_trends, ordered by its key.
        mttr: the contract of ``mttr.json``, ready for ``json.dumps``.
        left_out: dimension -> how many of its values got no numbers of their own, having too few incidents.
    """

    as_of: datetime
    options: IncidentOptions
    table: pl.DataFrame
    mttr: dict[str, Any]
    left_out: dict[str, int]


def trends(durations: pl.DataFrame, as_of: datetime, options: IncidentOptions | None = None) -> IncidentTrends:
    """Monthly statistics and trends.

    Args:
        durations: from ``features.incidents.durations`` of the same `as_of`.
        as_of: naive UTC.
    """
    options = options or IncidentOptions()
    counted = durations.filter(~_no_incident()).sort("created_at", "source", "incident_id")
    months = _months(counted["created_at"], as_of, options.months)
    shown = Period("all", months[0].start if months else as_of, as_of)
    slices, left_out = _slices(counted.filter(pl.col("created_at") >= shown.start), options)
    groups = {each: _Group.of(each.of(counted), shown) for each in slices}
    cells = [(each, month, group.within(month, options)) for each, group in groups.items() for month in months]
    overall = [(each, shown, group.within(shown, options)) for each, group in groups.items()]
    tested = _test(groups, as_of, options)
    usable = {measure: _usable(durations, measure, shown.start) for measure in STEM}
    return IncidentTrends(
        as_of=as_of,
        options=options,
        table=_table(as_of, cells + overall, tested),
        mttr={
            "as_of": _iso(as_of),
            "definitions": {"mttr": MTTR, "mtta": {**MTTA, "usable": usable["mtta"]}, **TERMS},
            "usable": usable["mttr"],
            "periods": [_contract(*cell) for cell in cells],
            "trends": [test.contract for test in tested],
            "goals": [],
            "problems": [],
        },
        left_out=left_out,
    )


# ----------------------------------------------------------------------------------------- periods, slices, usable


def _no_incident() -> pl.Expr:
    return pl.col("resolve_excluded").is_in([PREDICTED, CANCELLED]).fill_null(False)


def _months(created: pl.Series, as_of: datetime, at_most: int) -> list[Period]:
    """From the first incident's month to the night's, none left out between; the newest `at_most`."""
    if created.is_empty():
        return []
    months, start = [], _month_start(created.item(0))
    while start < as_of:
        following = _month_start(start + timedelta(days=32))
        months.append(Period(f"{start:%Y-%m}", start, min(following, as_of)))
        start = following
    return months[-at_most:]


def _month_start(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _slices(counted: pl.DataFrame, options: IncidentOptions) -> tuple[list[Slice], dict[str, int]]:
    """All, then each dimension's values with enough incidents, the largest first."""
    slices, left_out = [Slice()], {}
    for dimension in options.slices:
        sizes = (
            counted.filter(pl.col(dimension).is_not_null())
            .group_by(dimension)
            .len("size")
            .sort("size", dimension, descending=[True, False])
        )
        enough = sizes.filter(pl.col("size") >= options.slice_minimum).head(options.slices_per_dimension)
        slices += [Slice(dimension, value) for value in enough[dimension].to_list()]
        left_out[dimension] = sizes.height - enough.height
    return slices, left_out


def _usable(durations: pl.DataFrame, measure: str, first: datetime) -> dict[str, Any]:
    """Of all incidents of the night's view, how many a measure rests on, and why the others are left out."""
    earlier = pl.when(pl.col("created_at") < first).then(pl.lit(EARLIER))
    reasons = durations.select(reason=pl.coalesce(f"{STEM[measure]}_excluded", earlier))["reason"].drop_nulls()
    counts = sorted(reasons.value_counts().rows(), key=lambda row: (-row[1], row[0]))
    return {"total": durations.height, "used": durations.height - len(reasons), "excluded": dict(counts)}


# --------------------------------------------------------------------------------------------- one slice's numbers


@dataclass(frozen=True)
class _Group:
    """A slice's incidents as arrays, in order of creation; times are days from the epoch.

    Attributes:
        created, ended: [n]; infinite where still open. Those before the months shown matter for what is open only.
        measures: mttr, mtta -> durations of the usable incidents of the months shown.
    """

    created: np.ndarray
    ended: np.ndarray
    measures: dict[str, Durations]

    @classmethod
    def of(cls, counted: pl.DataFrame, shown: Period) -> _Group:
        over = counted.select(pl.max_horizontal("ended_at", "created_at")).to_series()
        ended = np.where(counted["is_open"].to_numpy(), np.inf, _days(over))
        recent = counted.filter(pl.col("created_at") >= shown.start)
        return cls(_days(counted["created_at"]), ended, {name: _durations(recent, stem) for name, stem in STEM.items()})

    def within(self, period: Period, options: IncidentOptions) -> dict[str, Estimate]:
        """A period's numbers, by their names in reports.incident_trends."""
        start, end = _day(period.start), _day(period.end)
        ended = self.ended[_rows(self.created, start, end)]
        n, still_open = len(ended), int(np.isinf(ended).sum())
        open_at_end = int((self.created < end).sum() - (self.ended < end).sum())
        numbers = {
            "created": Estimate(n, *count_interval(n), n),
            "resolved": Estimate(n - still_open, None, None, n),
            "still_open": Estimate(still_open, None, None, n),
            "open_at_end": Estimate(open_at_end, None, None, open_at_end),
        }
        for name, durations in self.measures.items():
            chosen = durations.take(_rows(durations.at, start, end))
            numbers |= {f"{name}_{key}": value for key, value in estimates(chosen, options.minimum_n).items()}
        return numbers


def _durations(incidents: pl.DataFrame, stem: str) -> Durations:
    usable = incidents.filter(pl.col(f"{stem}_excluded").is_null())
    took = usable[f"time_to_{stem}_s"]
    return Durations(
        at=_days(usable["created_at"]),
        seconds=took.fill_null(usable["age_s"]).to_numpy(),
        finished=took.is_not_null().to_numpy(),
    )


def _rows(ascending: np.ndarray, start: float, end: float) -> slice:
    return slice(*(int(row) for row in np.searchsorted(ascending, [start, end])))


def _days(moments: pl.Series) -> np.ndarray:
    return moments.cast(pl.Datetime("us")).to_physical().to_numpy() / 86_400e6


def _day(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)


# ---------------------------------------------------------------------------------------------------------- trends


class _Tested(NamedTuple):
    """One slice's trend of one measure over the last months; `trend` is None where there are too few incidents."""

    slice: Slice
    measure: str
    n: int
    trend: Trend | None
    q_value: float | None

    @property
    def verdict(self) -> str:
        if self.trend is None or self.q_value is None:
            return TOO_FEW
        if self.q_value > ALPHA:
            return NO_CHANGE
        return IMPROVING if self.trend.slope < 0 else WORSENING

    @property
    def contract(self) -> dict[str, Any]:
        found = self.trend
        numbers = (None,) * 5 if found is None else found
        slope, lo, hi, p_value, smallest = (_plain(number) for number in numbers)
        return {
            "slice": self.slice.key, "measure": self.measure, "n": self.n,
            "slope_log_per_30d": slope, "lo": lo, "hi": hi, "p_value": p_value, "q_value": _plain(self.q_value),
            "verdict": self.verdict, "smallest_detectable": smallest,
        }  # fmt: skip


def _test(groups: dict[Slice, _Group], as_of: datetime, options: IncidentOptions) -> list[_Tested]:
    """Every slice's and measure's trend, the false-discovery rate held over all of them."""
    since = _day(_months_before(as_of, options.trend_months))
    found: list[tuple[Slice, str, int, Trend | None]] = []
    for each, group in groups.items():
        for measure, durations in group.measures.items():
            recent = durations.take(_rows(durations.at, since, np.inf))
            found.append((each, measure, len(recent.at), trend(recent.at / 30, recent.seconds, recent.finished)))
    q = iter(q_values(np.array([result.p_value for *_, result in found if result is not None])))
    return [_Tested(*row, None if row[3] is None else float(next(q))) for row in found]


def _months_before(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return _month_start(moment.replace(year=years, month=month + 1, day=1))


# -------------------------------------------------------------------------------------------------- what is handed on


Cell = tuple[Slice, Period, dict[str, Estimate]]


def _table(as_of: datetime, cells: list[Cell], tested: list[_Tested]) -> pl.DataFrame:
    rows = [
        (as_of, period.name, each.name, measure, number.n, number.value, number.lo, number.hi)
        for each, period, numbers in cells
        for measure, number in numbers.items()
    ]
    for test in tested:
        slope, lo, hi = (None, None, None) if test.trend is None else test.trend[:3]
        rows.append((as_of, "all", test.slice.name, f"{test.measure}_slope_log_per_30d", test.n, slope, lo, hi))
    return pl.DataFrame(rows, schema=TABLE, orient="row").sort("period", "slice", "measure")


def _contract(each: Slice, period: Period, numbers: dict[str, Estimate]) -> dict[str, Any]:
    return {
        "start": _iso(period.start),
        "end": _iso(period.end),
        "slice": each.key,
        **{name: numbers[name].value for name in ("created", "resolved", "open_at_end")},
        **{measure: _measure(numbers, measure) for measure in STEM},
    }


def _measure(numbers: dict[str, Estimate], measure: str) -> dict[str, float | None]:
    def of(name: str) -> Estimate:
        return numbers[f"{measure}_{name}"]

    mean, median = of("mean"), of("median")
    ends = {
        "mean": mean.value, "mean_lo": mean.lo, "mean_hi": mean.hi,
        "median": median.value, "median_lo": median.lo, "median_hi": median.hi,
    }  # fmt: skip
    others = {name: of(name).value for name in ("p75", "p90", "km_median", "share_1h", "share_4h", "share_24h")}
    return {name: _plain(value) for name, value in (ends | others).items()}


def _plain(number: float | None) -> float | None:
    """Seconds to the millisecond and small numbers to what they are worth."""
    return None if number is None else round(number, 3 if abs(number) >= 10 else 6)


def _iso(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"
