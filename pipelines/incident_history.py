"""The incidents of all sources, read apart from a night: files whole, servers from where the last night left off.

What nights have stored of a server is taken from the warehouse, and only what changed since is asked for; without a
warehouse, or one that is busy, its whole history is, and likewise of a server whose incidents name their own sources.
Nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from features.incidents import KEY, as_of_view, durations
from pipelines import sources
from pipelines.settings import Settings
from pipelines.site import Site
from pipelines.source_options import IncidentSource
from pipelines.sources.incident_rows import StagedIncidents
from pipelines.sources.sql import parquet, write
from pipelines.warehouse import Warehouse, WarehouseError

TABLES: Mapping[str, tuple[Sequence[str], str]] = {
    "incidents": (KEY, "updated_at"),
    "incident_events": ((*KEY, "event_no"), "changed_at"),
}
"""Table -> its key, and what decides between two versions."""


@dataclass(frozen=True)
class History:
    """durations: as ``features.incidents`` has them. refused, refused_events: reason -> rows of incidents, of events.

    unread: source -> why its server did not tell all that is new. lacking: source -> what it did not tell of incidents.
    """

    durations: pl.DataFrame
    refused: Counter[str]
    refused_events: Counter[str]
    unread: Mapping[str, Sequence[str]]
    lacking: Mapping[str, Sequence[str]]


def read(settings: Settings, as_of: datetime) -> History:
    """Read all incident sources.

    Raises:
        InputError: a source's files cannot be read.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    with TemporaryDirectory(prefix="forewarn-") as name:
        folder = Path(name)
        stored = _stored(settings, folder)
        with Warehouse(folder, settings.storage.memory_limit).scratch() as con:
            staged: dict[str, StagedIncidents] = {}
            for source in settings.sources.incidents:
                sources.inspect(source, settings)
                builds_on = stored is not None and source.remote and not _names_sources(source)
                fetched = stored.fetched.filter(pl.col("source") == source.name) if stored and builds_on else None
                staged[source.name] = sources.stage_incidents(
                    con, source, settings, as_of=as_of, now=now, folder=folder / "sources" / source.name,
                    fetched=fetched,
                )  # fmt: skip
            files = {
                "incidents": [each.incidents for each in staged.values()],
                "incident_events": [each.incident_events for each in staged.values()],
            }
            known = {table: [*files[table], *(stored.files[table] if stored else [])] for table in TABLES}
            answers = [
                path
                for source in settings.sources.incidents
                if source.remote
                for path in (staged[source.name].incidents, staged[source.name].incident_events)
            ]
            newest = [_newest(con, table, known[table], answers, folder / f"{table}.parquet") for table in TABLES]
        # Now that DuckDB has given its memory back.
        incidents, events = pl.read_parquet(newest[0]), pl.scan_parquet(newest[1]).drop("assignee").collect()
    view = as_of_view(incidents, events, as_of)
    del incidents  # a million of them are half a GiB
    return History(
        durations(view, as_of, events),
        sum((Counter(each.counts.rejected) for each in staged.values()), Counter()),
        sum((Counter(each.event_counts.rejected) for each in staged.values()), Counter()),
        {name: each.unfetched for name, each in staged.items() if each.unfetched},
        {name: each.notes for name, each in staged.items() if each.notes},
    )


@dataclass(frozen=True)
class _Stored:
    """What nights have stored of servers. files: table -> Parquet. fetched: the columns of raw.fetched."""

    files: Mapping[str, Sequence[Path]]
    fetched: pl.DataFrame


def _names_sources(source: IncidentSource) -> bool:
    """Whether its incidents may have sources of other names, under which those that are stored are not found."""
    told = source.model_dump(include={"fields", "by_label", "by_tag"})
    return any("source" in columns for columns in told.values())


def _stored(settings: Settings, folder: Path) -> _Stored | None:
    names = [source.name for source in settings.sources.incidents if source.remote]
    warehouse = Site(settings).warehouse
    if not names or not warehouse.path.exists():
        return None
    files = {table: folder / f"stored-{table}.parquet" for table in TABLES}
    try:
        with warehouse.reader() as con:
            for table, path in files.items():
                rows = con.sql(f"FROM raw.{table} WHERE list_contains($names, source)", params={"names": names})
                rows.write_parquet(str(path))
            fetched = con.sql("FROM raw.fetched WHERE list_contains($names, source)", params={"names": names}).pl()
    except (WarehouseError, duckdb.Error):  # busy, or of another schema: then servers are asked for all of it
        return None
    return _Stored({table: [path] for table, path in files.items()}, fetched)


def _newest(
    con: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], answers: Sequence[Path], target: Path
) -> Path:
    """One row a key where sources overlap: the newest version, then what a server answers now, then the greater by
    content, as a night has it too.
    """
    key, version = TABLES[table]
    if len(files) == 1:  # one row a key, and in order, as it was staged
        return files[0]
    keys = ", ".join(f"s.{name}" for name in key)
    read = " UNION ALL ".join(f"SELECT s, {path in answers} AS answered FROM {parquet(path)} AS s" for path in files)
    newest = f"s.{version} DESC, answered DESC, s::VARCHAR DESC"
    write(
        con,
        f"SELECT s.* FROM ({read})"
        f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest}) = 1 ORDER BY {keys}",
        target,
    )
    return target
