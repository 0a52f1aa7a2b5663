"""The incident report as files: of a night, or alone by ``forewarn report``, straight from the incident sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from features.incidents import KEY, as_of_view, durations
from pipelines import sources
from pipelines.settings import Settings, SettingsError, cut
from pipelines.site import Site
from pipelines.sources.sql import parquet
from pipelines.warehouse import Warehouse
from reports.incident_page import charts, render
from reports.incident_trends import IncidentTrends, trends

__all__ = ["trends", "write", "write_report"]


def write_report(settings: Settings, night: date, out: Path) -> list[Path]:
    """Read the incident sources and write the report as of a night. Nothing is written but `out` (and a sample fleet).

    Returns:
        The files written, the page first.

    Raises:
        SettingsError: no incident source is named, or `out` cannot be written.
        InputError: a source cannot be read.
    """
    if not settings.sources.incidents:
        raise SettingsError("sources.incidents: none is named, so there is nothing to report on; add one")
    Site(settings).make_sample()
    as_of = cut(night, settings.zone)
    incidents, events = _read(settings, as_of)
    found = trends(durations(as_of_view(incidents, events, as_of), as_of, events), as_of, settings.incidents)
    try:
        return write(found, out)
    except OSError as error:
        raise SettingsError(f"--out {out}: cannot be written ({error.strerror}); name another folder") from error


def _read(settings: Settings, as_of: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The incidents of all sources and their events."""
    now = datetime.now(UTC).replace(tzinfo=None)
    with TemporaryDirectory(prefix="forewarn-") as name:
        folder = Path(name)
        with Warehouse(folder, settings.storage.memory_limit).scratch() as con:
            staged = []
            for source in settings.sources.incidents:
                sources.inspect(source, settings)
                staged.append(
                    sources.stage_incidents(
                        con, source, settings, as_of=as_of, now=now, folder=folder / "sources" / source.name
                    )
                )
            return (
                _newest(con, [each.incidents for each in staged], KEY, "updated_at"),
                _newest(con, [each.incident_events for each in staged], (*KEY, "event_no"), "changed_at"),
            )


def _newest(con: duckdb.DuckDBPyConnection, files: list[Path], key: Sequence[str], version: str) -> pl.DataFrame:
    """One row a key where sources overlap: the newest version, then the greater by content, as a night has it too."""
    keys = ", ".join(key)
    return con.sql(
        f"SELECT s.* FROM {parquet(*files)} AS s"
        f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY s.{version} DESC, s::VARCHAR DESC) = 1"
        f" ORDER BY {keys}"
    ).pl()


def write(found: IncidentTrends, out: Path) -> list[Path]:
    """mttr.html, mttr.json and the charts; the page is written last, so that it never shows what is not there."""
    out.mkdir(parents=True, exist_ok=True)
    contents = {f"{name}.png": png for name, png in charts(found).items()}
    contents["mttr.json"] = (json.dumps(found.mttr, indent=1, allow_nan=False) + "\n").encode()
    contents["mttr.html"] = render(found).encode("utf-8", "replace")
    written = []
    for name, content in contents.items():
        temporary = out / f".{name}.tmp"
        temporary.write_bytes(content)
        written.append(temporary.replace(out / name))
    return written[::-1]
