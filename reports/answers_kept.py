"""Whether what the nights answered came, as often as they said: the ledger's own reliability, and a warning. Pure.

Belongs here: the marks of answers that have settled, the rule by which the last weeks are worse than promised, and
their words. Not here: the examination on questions of the past (``digest_trust``), what became of tickets
(``digest_promises``), the picture (``reliability``).

A limit is asked about every night, so its nights are no independent evidence. The interval that decides whether sure
answers came too rarely counts every limit once: it warns late rather than often.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from features.units import format_number, format_share
from reports.reliability import EVERY_SHAPE, points
from reports.statistics import Interval, share_interval

HEADING = "What past nights answered"
DRIFT_DAYS = 28
"""Of settled answers that say whether the last weeks are worse than promised."""
FEWEST_ANSWERS, MOST_ERROR = 200, 0.10
FEWEST_LIMITS = 10
FEWEST_PATHS, LEAST_HELD, MOST_HELD = 30, 0.70, 0.90

TENTHS = {
    "horizon_h": pl.Int32,
    "n": pl.Int64,  # answers within one tenth of the probability whose outcome is known
    "p": pl.Float64,  # their mean
    "came": pl.Int64,
    "squared_error": pl.Float64,  # summed
}
SURE = {  # one row: the answers for the policy's horizon at or above the probability that opens a ticket
    "n": pl.Int64,
    "limits": pl.Int64,  # different limits of different series
    "p": pl.Float64,
    "came": pl.Int64,
}
BAND = {  # one row: hours that forecasts of past nights spoke of, as they were measured
    "paths": pl.Int64,  # forecasts of one series on one night
    "series": pl.Int64,
    "hours": pl.Int64,
    "held": pl.Int64,  # of the hours, within the forecast's 80 % band
}
DRIFT = {
    "horizon_h": pl.Int32,
    "answers": pl.Int64,
    "calibration_error": pl.Float64,
    "sure": pl.Int64,
    "limits": pl.Int64,
    "promised": pl.Float64,
    "came": pl.Float64,
    "lo": pl.Float64,
    "hi": pl.Float64,
    "warns": pl.Boolean,
}


@dataclass(frozen=True)
class Lately:
    """What has settled lately.

    tenths: the columns of ``TENTHS``, of all horizons. sure: of ``SURE``. band: of ``BAND``.
    """

    tenths: pl.DataFrame
    sure: pl.DataFrame
    band: pl.DataFrame


@dataclass(frozen=True)
class Drift:
    """How the answers of the last `DRIFT_DAYS` at one horizon compare with what came.

    sure: of the answers, those that open tickets; about so many limits; promised on average, came: their shares.
    interval: of the share that came, each limit counted once; None where there was no such answer.
    """

    horizon_h: int
    open_at: float
    answers: int
    calibration_error: float
    sure: int
    limits: int
    promised: float
    came: float
    interval: Interval | None

    @property
    def is_off(self) -> bool:
        """Whether all answers together are further off than can be acted on."""
        return self.answers >= FEWEST_ANSWERS and self.calibration_error > MOST_ERROR

    @property
    def is_worse(self) -> bool:
        """Whether sure answers came more rarely than promised, by more than chance explains."""
        return self.interval is not None and self.limits >= FEWEST_LIMITS and self.interval.hi < self.promised

    @property
    def warns(self) -> bool:
        return self.is_off or self.is_worse

    @property
    def sentences(self) -> tuple[str, ...]:
        """Counts first, then how far off all of them are."""
        days, sure = f"the last {DRIFT_DAYS} days", f"{format_share(self.open_at)} or more within {self.horizon_h} h"
        found = [f"Of the answers that settled in {days}, none was {sure}."]
        if self.interval is not None:
            few = "" if self.limits >= FEWEST_LIMITS else "; too few limits to say more"
            found = [
                f"Of {_number(self.sure)} answers of {sure} that settled in {days}, about {_number(self.limits)} "
                f"limit{'' if self.limits == 1 else 's'}, {format_share(self.came)} came true (95\u00a0% interval "
                f"{format_share(self.interval.lo)} to {format_share(self.interval.hi)}, each limit counted once), "
                f"where {format_share(self.promised)} was promised on average{few}."
            ]
        found.append(f"All {_number(self.answers)} answers were off by {points(self.calibration_error)} on average.")
        return tuple(found)

    @property
    def warning(self) -> str | None:
        """The same for who reads nothing else on the page."""
        if not self.warns:
            return None
        return f"Worse than promised: {self.sentences[0 if self.is_worse else -1]}"


def drift(lately: Lately, horizon_h: int, open_at: float) -> Drift | None:
    """None where no answer for that horizon has settled."""
    rows = marks(lately.tenths).filter(pl.col("horizon_h") == horizon_h).to_dicts()
    if not rows:
        return None
    sure = lately.sure.row(0, named=True)
    share = sure["came"] / sure["n"] if sure["n"] else 0.0
    return Drift(
        horizon_h=horizon_h,
        open_at=open_at,
        answers=rows[0]["questions"],
        calibration_error=rows[0]["calibration_error"],
        sure=sure["n"],
        limits=sure["limits"],
        promised=sure["p"] or 0.0,
        came=share,
        interval=share_interval(share * sure["limits"], sure["limits"]),
    )


def as_frame(found: Drift | None) -> pl.DataFrame:
    """The columns of ``DRIFT``: one row, none where there is nothing to compare."""
    if found is None:
        return pl.DataFrame(schema=DRIFT)
    ends = (None, None) if found.interval is None else (found.interval.lo, found.interval.hi)
    row = (found.horizon_h, found.answers, found.calibration_error, found.sure, found.limits, found.promised)
    return pl.DataFrame([(*row, found.came, *ends, found.warns)], schema=DRIFT, orient="row")


def marks(tenths: pl.DataFrame) -> pl.DataFrame:
    """Each horizon's marks, in the columns of forecasting.calibration that ``reliability.draw`` needs."""
    ordered = tenths.sort("horizon_h", "p")
    n, came = pl.col("n").sum(), pl.col("came").sum()
    share = came / n
    return (
        ordered.group_by("horizon_h", maintain_order=True)
        .agg(
            pl.lit(EVERY_SHAPE).alias("shape"),
            questions=n,
            crossed=came,
            brier=pl.col("squared_error").sum() / n,
            climatology_brier=share * (1 - share),
            calibration_error=(pl.col("n") * pl.col("p") - pl.col("came")).abs().sum() / n,
            bins=pl.struct("p", (pl.col("came") / pl.col("n")).alias("share"), "n"),
        )
        .sort("horizon_h")
    )


def band_sentence(band: pl.DataFrame) -> str | None:
    """What the forecasts' band held; None where no forecast has settled."""
    row = band.row(0, named=True)
    if not row["hours"]:
        return None
    told = f"The forecasts' 80\u00a0% band held {format_share(row['held'] / row['hours'])} of the "
    told += f"{_number(row['hours'])} hours that it spoke of, in {_number(row['paths'])} forecasts of "
    told += f"{_number(row['series'])} series at risk"
    few = row["paths"] < FEWEST_PATHS
    return f"{told}; too few forecasts to judge it." if few else f"{told}."


def _number(n: int) -> str:
    return format_number(n, 12)
