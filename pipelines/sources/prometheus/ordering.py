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
    """The finite samples of some parts by day, series and time.

    Args:
        series: the series_id of each combination. known: whether it has one.
    """
    read = pl.concat([pl.read_parquet(part.path) for part in parts], rechunk=True)
    combination, value = read["combination"].to_numpy(), read["value"].to_numpy()
    instant = read["instant"].to_physical().to_numpy()
    kept = np.isfinite(value) & known[combination]
    if not kept.all():
        combination, value, instant = combination[kept], value[kept], instant[kept]
    if not len(value):
        return
    day = instant // A_DAY_MS
    begins = np.ones(len(value), bool)
    begins[1:] = (combination[1:] != combination[:-1]) | (day[1:] != day[:-1]) | (instant[1:] <= instant[:-1])
    runs = np.flatnonzero(begins)
    order = np.lexsort((instant[runs], series[combination[runs]], day[runs]))
    lengths = np.diff(runs, append=len(value))[order]
    runs = runs[order]
    place = np.repeat(runs - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(len(value))
    columns = np.repeat(series[combination[runs]], lengths), instant[place] * 1000, value[place]
    yield pa.table([column(*each) for each in zip(columns, SAMPLES, strict=True)], schema=SAMPLES)
