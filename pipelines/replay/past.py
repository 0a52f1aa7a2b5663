"""A site's hours, read once for a whole replay, and what could be seen of them on a night.

Belongs here: from sources (and the site's own warehouse, where there is one) to one file of hours, and its slices.
Not here: what a night concludes from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl

from features.known_bad import Masks, Window, from_frame, held, masks, to_frame
from pipelines import history, sources
from pipelines.assets.ingest import name_services
from pipelines.maintenance import reading, record
from pipelines.maintenance.options import Silences
from pipelines.publishing.raw import StagedRaw, publish_raw
from pipelines.publishing.results import replace_by_key
from pipelines.publishing.sql import columns
from pipelines.settings import Settings
from pipelines.site import Night, Site
from pipelines.sources.errors import InputError
from pipelines.sources.rejects import UNREAD
from pipelines.warehouse import Warehouse, quoted

COMPANION = timedelta(hours=24)


@dataclass(frozen=True)
class Past:
    """The hours of a site, in a folder.

    folder: holds hours.parquet (series_id, hour, mean; by series and hour), series.parquet (raw.series, and each
        series' first_hour), unread.parquet (source, detail: what of the sources could not be fetched) and
        windows.parquet (``features.known_bad.WINDOWS``).
    """

    folder: Path

    @cached_property
    def unread(self) -> list[str]:
        """What of the sources could not be fetched, a line each."""
        return [
            f"not fetched: {source}: {why}" for source, why in pl.read_parquet(self.folder / "unread.parquet").rows()
        ]

    @cached_property
    def series(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "series.parquet")

    @cached_property
    def windows(self) -> list[Window]:
        """Known-bad windows, as they are known now: a replay asks what the policy would say with them."""
        return from_frame(pl.read_parquet(self.folder / "windows.parquet"))

    @cached_property
    def masks(self) -> Masks:
        """The hours that they hide."""
        return masks(self.series, self.windows)

    def held(self, as_of: datetime) -> pl.Series:
        """series_id of the series that a window holds on a night."""
        return held(self.series, self.windows, as_of)["series_id"]

    @property
    def first_hour(self) -> datetime | None:
        return min(self.series["first_hour"].to_list(), default=None)

    @cached_property
    def last_hour(self) -> datetime | None:
        return pl.scan_parquet(self.folder / "hours.parquet", glob=False).select(pl.col("hour").max()).collect().item()

    def seen(self, as_of: datetime) -> pl.DataFrame:
        """The series that had a sample by then."""
        return self.series.filter(pl.col("first_hour") < as_of)

    def hours(self, series_id: Sequence[int], first: datetime, until: datetime) -> pl.DataFrame:
        """series_id, hour, mean of a window, in ascending order."""
        own = pl.col("series_id").is_in(pl.Series(series_id, dtype=pl.UInt64).implode())
        window = (pl.col("hour") >= first) & (pl.col("hour") < until)
        return pl.scan_parquet(self.folder / "hours.parquet", glob=False).filter(own & window).collect()

    def levels(self, metrics: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """The series that serve as limits of others, as ``history.latest_levels`` gives them."""
        own = self.seen(as_of).filter(pl.col("metric").is_in(list(metrics)))
        recent = self.hours(own["series_id"].to_list(), as_of - COMPANION, as_of)
        level = recent.group_by("series_id").agg(pl.col("mean").median().alias("level"))
        keys = ["source", "entity", "metric", "labels"]
        return own.join(level, on="series_id").select(*keys, "level").sort(keys)


def gather(settings: Settings, last: date, folder: Path, *, until: datetime) -> Past:
    """Read a site's hours before `until` into `folder`; they come from its sources and from its own warehouse, which
    may reach further back. Neither is changed.

    Args:
        last: the newest night that will be asked about.

    Raises:
        InputError: a source's files are missing or unusable.
    """
    site = Site(settings.model_copy(update={"storage": settings.storage.model_copy(update={"root": str(folder)})}))
    night = Night(site, last, "replay", until)
    site.warehouse.migrate()
    with site.warehouse.writer() as con:
        _adopt(con, Warehouse(settings.root))
    _ingest(night, until).write_parquet(folder / "unread.parquet")
    with site.warehouse.reader() as con:
        hours = f"SELECT series_id, hour, mean FROM features.hourly WHERE hour < {quoted(until.isoformat())}::TIMESTAMP"
        series = "FROM raw.series JOIN (SELECT series_id, min(hour) AS first_hour FROM features.hourly GROUP BY ALL)"
        for name, query in (("hours", f"{hours} ORDER BY ALL"), ("series", f"{series} USING (series_id) ORDER BY ALL")):
            con.execute(f"COPY ({query}) TO {quoted(folder / f'{name}.parquet')} (FORMAT parquet, COMPRESSION zstd)")
        windows = to_frame(dict.fromkeys([*_told(settings, until), *_silenced(settings, con, until)]))
        windows.write_parquet(folder / "windows.parquet")
    return Past(folder)


def _told(settings: Settings, until: datetime) -> Iterator[Window]:
    """The windows of the settings and of their calendars."""
    for told in reading.read(settings, until, ask=False):
        if told.fault is not None:
            raise InputError(told.fault)
        yield from told.windows


def _silenced(settings: Settings, con: duckdb.DuckDBPyConnection, until: datetime) -> Iterator[Window]:
    """The windows that the site's nights had from Alertmanagers, which themselves forget."""
    asked = {one.source for one in settings.maintenance if isinstance(one, Silences)}
    yield from (window for window in from_frame(record.recorded(con, until)) if window.source in asked)


def _adopt(con: duckdb.DuckDBPyConnection, own: Warehouse) -> None:
    """What the site's readers see of its past, where there is any."""
    if not own.snapshot_path.is_file():
        return
    con.execute(f"ATTACH {quoted(own.snapshot_path)} AS own (READ_ONLY)")
    for table in ("raw.series", "features.hourly", *_windows_table(con)):
        con.execute(f"INSERT INTO {table} SELECT {columns(con, table)} FROM own.{table}")


def _windows_table(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The record of known-bad windows, where the site's readers' copy is new enough to have one."""
    query = "SELECT 1 FROM duckdb_tables() WHERE database_name = 'own' AND table_name = 'known_bad'"
    return [record.TABLE] if con.execute(query).fetchall() else []


def _ingest(night: Night, until: datetime) -> pl.DataFrame:
    """The sources' samples before `until`, as hours.

    Returns:
        What could not be fetched: source, detail.
    """
    settings, staged, unread, answers = night.settings, [], [], []
    with night.warehouse.scratch() as con:
        for source in settings.sources.metrics:
            folder = night.frames.folder / source.name
            folder.mkdir(parents=True, exist_ok=True)
            found = sources.stage_metrics(
                con, source, settings, settings.signals.all, as_of=until, now=until, folder=folder
            )
            name_services(night, found.series)
            staged.append(folder)
            answers += [folder / "samples.parquet"] if source.remote else []
            refused = pl.read_parquet(found.rejects).filter(pl.col("reason").is_in(UNREAD))
            unread.append(refused.select("source", "detail"))
    series, samples = ([folder / f"{name}.parquet" for folder in staged] for name in ("series", "samples"))
    raw = StagedRaw(series, samples, answers=answers)
    with night.warehouse.writer() as con:
        publish_raw(con, raw, night.run, settings.storage.retention)
    with night.warehouse.reader() as con:
        history.roll_up(con, night.frames)
    with night.warehouse.writer() as con:
        replace_by_key(con, "features.hourly", night.frames.path("features.hourly"), ["series_id", "hour"])
    return pl.concat(unread) if unread else pl.DataFrame(schema={"source": pl.String, "detail": pl.String})
