"""Parts put in order by moving whole days of series: each is in order already, so nothing is compared sample by sample.

Belongs here: order. Not here: series of one identity; they have samples to compare, which SQL does (``staging``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.prometheus.parts import Part, column

MOST_AT_ONCE = 3_000_000
SAMPLES = pa.schema([("series_id", pa.uint64()), ("ts", pa.timestamp("us")), ("value", pa.float64())])
A_DAY_MS = 86_400_000


def stretches(parts: Sequence[Part]) -> list[list[Part]] | None:
    """Parts of overlapping times together, by time; None where some are too many to be held at once."""
    found: list[list[Part]] = []
    until = None
    for part in sorted(parts, key=lambda part: (part.windows.first, part.question)):
        if until is not None and part.windows.first < until:
            found[-1].append(part)
            until = max(until, part.windows.until)
        else:
            found.append([part])
            until = part.windows.until
    sizes = (sum(pq.read_metadata(part.path).num_rows for part in stretch) for stretch in found)
    return found if all(size <= MOST_AT_ONCE for size in sizes) else None


def ordered(parts: Sequence[Part], series: np.ndarray, known: np.ndarray) -> Iterator[pa.Table]:
    """The finite samples of some parts by day, series and time, a day at a time.

    Args:
        series: the series_id of each combination. known: whether it has one.
    """
    combination, instant, value = (np.concatenate(each) for each in zip(*map(_columns, parts), strict=True))
    kept = np.isfinite(value) & known[combination]
    if not kept.all():
        combination, instant, value = combination[kept], instant[kept], value[kept]
    day = instant // A_DAY_MS
    begins = np.ones(len(value), bool)
    begins[1:] = (combination[1:] != combination[:-1]) | (day[1:] != day[:-1]) | (instant[1:] <= instant[:-1])
    begin = np.flatnonzero(begins)
    length = np.diff(begin, append=len(value))
    day = day[begin]
    order = np.lexsort((instant[begin], series[combination[begin]], day))
    for runs in np.split(order, np.flatnonzero(np.diff(day[order])) + 1):
        if len(runs):
            before = np.concatenate([[0], np.cumsum(length[runs])[:-1]])
            place = np.repeat(begin[runs] - before, length[runs]) + np.arange(length[runs].sum())
            columns = np.repeat(series[combination[begin[runs]]], length[runs]), instant[place] * 1000, value[place]
            yield pa.table([column(*each) for each in zip(columns, SAMPLES, strict=True)], schema=SAMPLES)


def _columns(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Combination, instant in milliseconds, and value."""
    read = pl.read_parquet(part.path)
    return read["combination"].to_numpy(), read["instant"].to_physical().to_numpy(), read["value"].to_numpy()
