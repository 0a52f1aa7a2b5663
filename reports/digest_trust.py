"""How far the night's probabilities can be trusted, in words and rows. Pure.

Belongs here: what the examination on the fleet's own settled past says, and how the contest for the paths stands. Not
here: the picture of it (``reliability``), the page (``digest`` and its template).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

import polars as pl

from features.units import format_number, format_share
from reports.reliability import EVERY_SHAPE, TENTHS, points

UNSETTLED = "Not known yet on this fleet: no question about its own past has settled that could be held against them."
MOST_STANDINGS = 12


@dataclass(frozen=True)
class Marks:
    """How answers about one shape (None: all) did within one horizon.

    skill: 1 - brier / climatology_brier; None where always the same answer would have been perfect.
    """

    shape: str | None
    horizon_h: int
    questions: int
    crossed: int
    brier: float
    climatology_brier: float
    skill: float | None
    calibration_error: float


@dataclass(frozen=True)
class Trust:
    """What the page says about its probabilities.

    sentences: in the order in which they matter.
    overall, by_shape: one row a horizon; a shape with the most questions comes first.
    lessons, learnt_from, learnt_until: what tonight's model learnt from; None where it learnt from nothing.
    """

    sentences: tuple[str, ...]
    overall: tuple[Marks, ...] = ()
    by_shape: tuple[Marks, ...] = ()
    lessons: int = 0
    learnt_from: datetime | None = None
    learnt_until: datetime | None = None


def trust(calibration: pl.DataFrame, horizon_h: int, open_at: float) -> Trust:
    """What one night's rows of forecasting.calibration say to a reader who acts at `open_at` within `horizon_h`."""
    together = calibration.filter(pl.col("shape") == EVERY_SHAPE).sort("horizon_h").to_dicts()
    if not together:
        return Trust((UNSETTLED,))
    asked = next((row for row in together if row["horizon_h"] == horizon_h), together[-1])
    shapes = calibration.filter(pl.col("shape") != EVERY_SHAPE)
    most = pl.col("questions").max().over("shape").neg()
    return Trust(
        sentences=_sentences(asked, open_at),
        overall=tuple(_marks(row) for row in together),
        by_shape=tuple(_marks(row) for row in shapes.sort(most, "shape", "horizon_h").to_dicts()),
        lessons=asked["lessons"],
        learnt_from=asked["learnt_from"],
        learnt_until=asked["learnt_until"],
    )


def _marks(row: Mapping[str, Any]) -> Marks:
    always = row["climatology_brier"]
    return Marks(
        shape=None if row["shape"] == EVERY_SHAPE else row["shape"].replace("_", " "),
        horizon_h=row["horizon_h"],
        questions=row["questions"],
        crossed=row["crossed"],
        brier=row["brier"],
        climatology_brier=always,
        skill=1 - row["brier"] / always if always > 0 else None,
        calibration_error=row["calibration_error"],
    )


def _sentences(row: Mapping[str, Any], open_at: float) -> tuple[str, ...]:
    """What came of high answers, of low ones, and how far off all of them were; counts first."""
    bound = ceil(round(open_at * TENTHS, 9)) / TENTHS  # bins are tenths
    high = [one for one in row["bins"] if one["p"] >= bound]
    low = [one for one in row["bins"] if one["p"] < 1 / TENTHS]
    within = f"within {row['horizon_h'] // 24} days" if row["horizon_h"] > 24 else f"within {row['horizon_h']} hours"
    said = f"answered with {format_share(bound)} or more"
    first = f"Of {_asked(row['questions'])}, none was {said}."
    if high:
        n, came = _count(high)
        answered = sum(one["n"] * one["p"] for one in high) / n
        first = (
            f"Of {_asked(n)} that {_were(n)} {said}, {_number(came)} came true {within}: "
            f"{format_share(came / n)}, where {format_share(answered)} was answered on average."
        )
    found = [first]
    if low:
        n, came = _count(low)
        found.append(
            f"Of {_number(n)} that {_were(n)} answered with less than {format_share(1 / TENTHS)}, "
            f"{_number(came) if came else 'none'} did."
        )
    error = points(row["calibration_error"])
    found.append(f"What was answered and the share that came true differ by {error} on average.")
    return tuple(found)


def _count(bins: list[dict[str, Any]]) -> tuple[int, int]:
    """How many questions, and how many of them came true."""
    return sum(one["n"] for one in bins), sum(round(one["share"] * one["n"]) for one in bins)


def _asked(n: int) -> str:
    return f"{_number(n)} question{'' if n == 1 else 's'} about the newest settled fortnight"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _number(n: int) -> str:
    return format_number(n, 12)


# ---------------------------------------------------------------------------------------------------------- the contest


@dataclass(frozen=True)
class Standings:
    """The tournament's rows, those that serve most first, and how many more there are."""

    rows: tuple[dict[str, Any], ...]
    further: int


def standings(tournament: pl.DataFrame) -> Standings:
    """The rows of forecasting.tournament that are worth showing."""
    ordered = tournament.sort(pl.col("served").neg(), pl.col("entered").neg(), "model", "shape")
    return Standings(tuple(ordered.head(MOST_STANDINGS).to_dicts()), max(0, ordered.height - MOST_STANDINGS))


@dataclass(frozen=True)
class Served:
    """Who answered, and who drew paths.

    answered: model -> series that it gave a probability to. drew: rows of forecasting.models.
    """

    answered: dict[str, int]
    drew: tuple[dict[str, Any], ...]


def served(models: pl.DataFrame, horizon_h: int, answering: Collection[str]) -> Served:
    """What served at a horizon, the most used first; a challenger that drew nothing is left to the standings.

    Args:
        models: the columns of forecasting.models, of one night.
        answering: the models that tonight's probabilities are by; they have no row of their own unless they drew paths.
    """
    rows = models.filter(pl.col("horizon_h") == horizon_h).sort(pl.col("series").neg(), "model", "shape")
    answers = pl.col("model").is_in(list(answering)) & pl.col("pinball").is_null()
    by_model = rows.filter(answers).group_by("model").agg(pl.col("series").sum()).sort("model")
    return Served(dict(by_model.iter_rows()), tuple(rows.filter(~answers, pl.col("series") > 0).to_dicts()))
