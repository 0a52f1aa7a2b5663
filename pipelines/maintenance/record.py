"""Which windows a night knows: what the sources tell, held against the record of the nights before.

The record, ``raw.known_bad``, keeps with every window the first night that knew it and the first that no longer did. So
a night that is run again knows what it knew: a silence or a window that was made later changes nothing about it. Only
the newest night reads the sources; an older one, run again or for the first time, goes by the record.

Of a source that could not be read, what was known stays. An Alertmanager forgets what is over, so windows of the past
stay though it tells of them no more; one that it forgets before its end is taken to have ended by then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl

from features.known_bad import TIME, WINDOWS, Window, from_frame, to_frame
from pipelines.maintenance.reading import Told

KNOWN = WINDOWS | {"first_known": TIME}
TABLE = "raw.known_bad"
"""The table, and the frame of a night's windows with the columns of ``KNOWN``."""


def recorded(con: duckdb.DuckDBPyConnection, as_of: datetime) -> pl.DataFrame:
    """The windows that were known on a night, by the record: the columns of ``KNOWN``."""
    return _select(con, "first_known <= $as_of AND (dropped IS NULL OR dropped > $as_of)", as_of)


def recorded_before(con: duckdb.DuckDBPyConnection, as_of: datetime) -> pl.DataFrame:
    """The windows that were known before a night, by the record; what this very night recorded is not in it."""
    return _select(con, "first_known < $as_of AND (dropped IS NULL OR dropped >= $as_of)", as_of)


def _select(con: duckdb.DuckDBPyConnection, known: str, as_of: datetime) -> pl.DataFrame:
    columns = ", ".join(KNOWN)
    found = con.sql(f"SELECT {columns} FROM {TABLE} WHERE {known} ORDER BY ALL", params={"as_of": as_of}).pl()
    return found.cast(pl.Schema(KNOWN))  # pyright: ignore[reportArgumentType]


def known(before: pl.DataFrame, told: Sequence[Told], as_of: datetime) -> pl.DataFrame:
    """The windows that the newest night knows.

    Args:
        before: ``recorded_before`` the night.
        told: what each of the settings' sources tells; sources that it lacks are no longer asked, and drop out.

    Returns:
        The columns of ``KNOWN``, in a fixed order.
    """
    first_known = dict(zip(from_frame(before), before["first_known"], strict=True))
    windows = [window for one in told for window in _of_source(one, list(first_known), as_of)]
    once = list(dict.fromkeys(windows))
    since = pl.Series("first_known", [first_known.get(window, as_of) for window in once], dtype=TIME)
    return to_frame(once).with_columns(since).sort("source", "starts_at", "ends_at", "told_as", "why")


def _of_source(told: Told, before: Sequence[Window], as_of: datetime) -> list[Window]:
    ours = [window for window in before if window.source == told.source]
    if told.fault is not None:
        return ours
    if not told.forgets:
        return told.windows
    named = {window.told_as for window in told.windows}
    kept = []
    for window in ours:
        if window.told_as in told.later or (window.told_as not in named and window.ends_at <= as_of):
            kept.append(window)
        elif window.told_as not in named and window.starts_at < as_of:
            kept.append(dataclasses.replace(window, ends_at=as_of))
    return [*told.windows, *kept]


def publish(con: duckdb.DuckDBPyConnection, frame: str, as_of: datetime) -> None:
    """Bring the record up to a night's windows.

    Args:
        frame: a relation with the columns of ``KNOWN``: what ``known`` gave.
    """
    later = "SELECT count(*) FROM main.runs WHERE as_of > $as_of AND status IN ('done', 'stale')"
    if con.execute(later, {"as_of": as_of}).fetchall()[0][0]:
        return  # an older night: it went by the record
    night = {"as_of": as_of}
    con.execute(f"DELETE FROM {TABLE} WHERE first_known >= $as_of", night)
    con.execute(f"UPDATE {TABLE} SET dropped = NULL WHERE dropped >= $as_of", night)
    same = " AND ".join(f"t.{name} = s.{name}" for name in KNOWN)
    con.execute(
        f"UPDATE {TABLE} AS t SET dropped = $as_of"
        f" WHERE dropped IS NULL AND NOT EXISTS (SELECT 1 FROM {frame} AS s WHERE {same})",
        night,
    )
    con.execute(f"INSERT INTO {TABLE} BY NAME FROM {frame} WHERE first_known = $as_of ORDER BY ALL", night)
