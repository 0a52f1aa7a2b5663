"""The last months against those before them: how the medians changed, and how much of that is the mix.

Belongs here: which two spans are compared, and by which parts a change is taken apart. Not here: how
(``reports.statistics.ratio``, ``reports.statistics.mix``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from reports.incident_groups import STEM, VARIANTS, Group, Slice, day
from reports.incident_measures import Estimate, estimates
from reports.incident_options import Dimension, IncidentOptions
from reports.incident_periods import Period
from reports.statistics import MixShift, Ratio, Strata, Survival, median_ratio, mix_shift

LEAST_DAYS = 7


@dataclass(frozen=True)
class Change:
    """One slice's and measure's medians of the two spans, and their ratio; None below the minimum of incidents."""

    slice: Slice
    measure: str
    before: Estimate
    after: Estimate
    ratio: Ratio | None


@dataclass(frozen=True)
class Changes:
    """What the last days were against those before them.

    Attributes:
        before, after: the two spans, equally long.
        of: slice, measure -> change; of all incidents in working hours and without holds, too.
        mixes: dimension -> how the change of mttr over all incidents splits by it; only where it can be said.
        curves: measure -> the Kaplan-Meier curves of all incidents of either span, where both have enough.
    """

    before: Period
    after: Period
    of: Mapping[tuple[Slice, str], Change]
    mixes: Mapping[Dimension, MixShift]
    curves: Mapping[str, tuple[Survival, Survival]]


def changes(
    groups: Mapping[Slice, Group], counted: pl.DataFrame, as_of: datetime, options: IncidentOptions
) -> Changes | None:
    """Compares the last `compare_days` with as many before them, or the two halves of what there is.

    Args:
        groups: each slice with its incidents; all of them first.
        counted: the durations of all of them, with their dimensions.

    Returns:
        None where the incidents reach back less than two weeks.
    """
    spans = _spans(groups[Slice()], as_of, options)
    if spans is None:
        return None
    found: dict[tuple[Slice, str], Change] = {}
    for each, group in groups.items():
        for measure in STEM if each.dimension else (*STEM, *VARIANTS):
            first, second = (group.measures[measure].between(day(s.start), day(s.end)) for s in spans)
            enough = min(len(first.seconds), len(second.seconds)) >= options.minimum_n
            found[each, measure] = Change(
                each,
                measure,
                *(estimates(part, options.minimum_n)["median"] for part in (first, second)),
                ratio=median_ratio(first.seconds, first.finished, second.seconds, second.finished) if enough else None,
            )
    return Changes(*spans, found, _mixes(counted, spans, options), _curves(groups[Slice()], spans, options))


def _spans(everything: Group, as_of: datetime, options: IncidentOptions) -> tuple[Period, Period] | None:
    shown = everything.measures["mttr"].at
    if not len(shown):
        return None
    days = min(options.compare_days, int((day(as_of) - shown[0]) / 2))
    if days < LEAST_DAYS:
        return None
    middle = as_of - timedelta(days=days)
    name = f"{days} days"
    return Period(name, middle - timedelta(days=days), middle), Period(name, middle, as_of)


def _mixes(counted: pl.DataFrame, spans: tuple[Period, Period], options: IncidentOptions) -> dict[Dimension, MixShift]:
    usable = counted.filter(pl.col("resolve_excluded").is_null())
    found = {}
    for dimension in options.slices:
        numbered = usable.with_columns(stratum=pl.col(dimension).fill_null("").rank("dense").cast(pl.Int64) - 1)
        before, after = (_strata(numbered, span) for span in spans)
        if min(len(before.seconds), len(after.seconds)) < options.minimum_n or numbered["stratum"].n_unique() < 2:
            continue
        split = mix_shift(before, after)
        if split is not None:
            found[dimension] = split
    return found


def _strata(numbered: pl.DataFrame, span: Period) -> Strata:
    inside = numbered.filter((pl.col("created_at") >= span.start) & (pl.col("created_at") < span.end))
    return Strata(
        seconds=inside.select(pl.coalesce("time_to_resolve_s", "age_s")).to_series().to_numpy(),
        finished=inside["time_to_resolve_s"].is_not_null().to_numpy(),
        stratum=inside["stratum"].to_numpy(),
    )


def _curves(
    everything: Group, spans: tuple[Period, Period], options: IncidentOptions
) -> dict[str, tuple[Survival, Survival]]:
    found = {}
    for measure in STEM:
        first, second = (everything.measures[measure].between(day(s.start), day(s.end)) for s in spans)
        if min(int(np.sum(part.finished)) for part in (first, second)) >= options.minimum_n:
            found[measure] = tuple(Survival.fit(part.seconds, part.finished) for part in (first, second))
    return found
