"""What a night knows of known-bad windows, and what they hide of its series: as frames for the stages after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from features.known_bad import Window, from_frame, held, masks
from pipelines import history
from pipelines.maintenance import reading, record
from pipelines.publishing.runs import newest_night
from pipelines.site import Night

HELD = "reports.held_series"
"""Frame: the series that a window holds at the cut, with the columns of ``features.known_bad.HELD``."""


@dataclass(frozen=True)
class Learnt:
    """What a night learnt: the columns of ``record.KNOWN``, the series held tonight, and why sources could not be read.

    counts: what the run's table says.
    """

    windows: pl.DataFrame
    held: pl.DataFrame
    faults: dict[str, str]

    @property
    def counts(self) -> dict[str, Any]:
        by_source = Counter(self.windows["source"].to_list())
        told = {"windows": len(self.windows), "series_held_tonight": len(self.held)}
        return {"counts": told, "by_source": dict(sorted(by_source.items())), "faults": self.faults}


def learn(night: Night) -> Learnt:
    """Read the sources, or the record where this is not the newest night; writes ``record.TABLE``, `HELD` and the
    masks that ``history.grids`` applies.
    """
    with night.warehouse.reader() as con:
        series = history.series_of(con)
        newest = newest_night(con)
        if newest is not None and night.as_of < newest:
            told: list[reading.Told] = []
            known = record.recorded(con, night.as_of)
        else:
            told = reading.read(night.settings, night.as_of)
            known = record.known(record.recorded_before(con, night.as_of), told, night.as_of)
    windows = from_frame(known)
    found = Learnt(known, held(series, windows, night.as_of), {one.source: one.fault for one in told if one.fault})
    night.frames.write(record.TABLE, known)
    apply(night, series, windows)
    return found


def apply(night: Night, series: pl.DataFrame, windows: Sequence[Window]) -> None:
    """Write what windows hide and hold on a night.

    Args:
        series: series_id, entity, service, metric.
    """
    history.write_masks(night.frames, masks(series, [window for window in windows if window.starts_at < night.as_of]))
    night.frames.write(HELD, held(series, windows, night.as_of))
