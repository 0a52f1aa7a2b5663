"""The metric files: a fleet's observed past as long-format Arrow tables, one a month, and a few faults in the last.

Belongs here: time stamps, labels and columns as a collector writes them, and the bad rows that the first run shall
show how it rejects. Not here: writing to disk (``data.sample_fleet``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pyarrow as pa

from data.fleet.clock import AS_OF, Clock
from data.fleet.simulation import Fleet, Series

SOURCE = "fleet"
LABELS = ("job", "instance", "mountpoint", "area", "pool", "queue", "domain")
SCHEMA = pa.schema(
    [
        ("source", pa.dictionary(pa.int16(), pa.string())),
        ("entity", pa.dictionary(pa.int16(), pa.string())),
        ("metric", pa.dictionary(pa.int16(), pa.string())),
        ("ts", pa.timestamp("ms", tz="UTC")),
        ("value", pa.float64()),
        ("unit", pa.dictionary(pa.int16(), pa.string())),
        *((label, pa.dictionary(pa.int16(), pa.string())) for label in LABELS),
    ]
)


def tables(fleet: Fleet, until: datetime = AS_OF) -> dict[str, pa.Table]:
    """Month ("2026-04") -> its samples, series by series in order of time, the last one with faults at its end.

    Only what was observed before `until`, naive UTC, is in them.
    """
    parts: dict[str, list[pa.Table]] = {}
    months = fleet.clock.ts.astype("datetime64[M]")
    past = fleet.clock.ts < np.datetime64(until, "s")
    for month in np.unique(months[past]):
        inside = past & (months == month)
        parts[str(month)] = [
            part for series in fleet.series for part in _rows(series, fleet.clock, inside & ~_late(fleet, series))
        ]
    parts[max(parts)].extend(_faults(fleet))
    return {month: pa.concat_tables(rows).unify_dictionaries().combine_chunks() for month, rows in parts.items()}


def _rows(series: Series, c: Clock, inside: np.ndarray) -> list[pa.Table]:
    """One table for each instance that the series had in the meantime."""
    found = []
    for labels, since, until in _lives(series, c):
        at = np.flatnonzero(inside & series.observed & (c.day >= since) & (c.day < until))
        ts = c.ts[at] + _scrape_offset(series.row.entity)
        found.append(table(series, labels, ts, series.values[at]))
    return found


def _lives(series: Series, c: Clock) -> list[tuple[dict[str, str], float, float]]:
    """(labels, first day, last day): a deploy gives the instance a new name, as in Kubernetes."""
    row = series.row
    if row.deploys is None:
        return [(row.labels, -np.inf, np.inf)]
    weekday, hour = row.deploys
    edges = [-np.inf, *c.moments(hour, weekday), np.inf]
    return [
        (row.labels | {"instance": _pod_name(row.entity, number)}, since, until)
        for number, (since, until) in enumerate(pairwise(edges))
    ]


def _pod_name(entity: str, number: int) -> str:
    digest = blake2b(f"{entity} {number}".encode(), digest_size=8).hexdigest()
    return f"{entity}-{digest[:10]}-{digest[10:15]}"


def _scrape_offset(entity: str) -> np.timedelta64:
    """Collectors spread their scrapes: each entity has its second within the first minute."""
    return np.timedelta64(blake2b(entity.encode(), digest_size=1).digest()[0] % 60, "s")


def table(series: Series, labels: dict[str, str], ts: np.ndarray, values: np.ndarray) -> pa.Table:
    """Samples of one series with one set of labels."""
    n = len(ts)
    texts = {"source": SOURCE, "entity": series.row.entity, "metric": series.row.metric, "unit": series.metric.unit}
    columns = [
        pa.array(ts.astype("datetime64[ms]"), type=field.type)
        if field.name == "ts"
        else pa.array(values)
        if field.name == "value"
        else _same((texts | labels).get(field.name), n)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _same(text: str | None, n: int) -> pa.DictionaryArray:
    codes = pa.array(np.zeros(n, dtype=np.int16), mask=np.full(n, text is None))
    return pa.DictionaryArray.from_arrays(codes, pa.array([] if text is None else [text], pa.string()))


# ---------------------------------------------------------------------------------------------------------- faults
#
# What real collectors get wrong; none of it may change a result.

LATE = ("git-01", "mem_used_percent")  # an hour of it arrives after everything else


def _late(fleet: Fleet, series: Series) -> np.ndarray:
    """Which of the samples are written last, out of order."""
    is_late = (series.row.entity, series.row.metric) == LATE
    return _hour(fleet.clock, -5) if is_late else np.zeros(len(fleet.clock.ts), dtype=bool)


def _faults(fleet: Fleet) -> list[pa.Table]:
    """Values that are no numbers, a clock decades ahead, samples sent twice, a smaller second value, the late hour."""
    by_name = {(series.row.entity, series.row.metric): series for series in fleet.series}
    ci, vpn = by_name["ci-01", "cpu_used_percent"], by_name["vpn-01", "mem_used_percent"]
    web, late = by_name["web-03", "mem_used_percent"], by_name[LATE]
    end, future = np.datetime64(AS_OF, "s"), np.datetime64("2099-01-01T00:00:00", "s")
    c = fleet.clock
    return [
        table(ci, ci.row.labels, end - np.array([7001, 3301, 3001]), np.array([np.nan, np.inf, -np.inf])),
        table(vpn, vpn.row.labels, future + np.array([0, 300]), np.array([31.0, 31.1])),
        *_rows(web, c, _hour(c, -6)),
        *_rows(replace(vpn, values=vpn.values - 0.5), c, _hour(c, -30)),
        *_rows(late, c, _late(fleet, late)),
    ]


def _hour(c: Clock, hour: int) -> np.ndarray:
    """The samples of one hour, counted from the as-of."""
    return (c.day >= hour / 24 - 1e-9) & (c.day < (hour + 1) / 24 - 1e-9)
