"""The incident report as files: of a night, or alone by ``forewarn report``, straight from the incident sources."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from features.incidents import as_of_view, durations
from pipelines import sources
from pipelines.frames import Frames
from pipelines.settings import Settings, SettingsError, cut
from pipelines.warehouse import Warehouse
from reports.incident_page import charts, render
from reports.incident_trends import IncidentTrends, trends

__all__ = ["trends", "write", "write_report"]


def write_report(settings: Settings, night: date, out: Path) -> list[Path]:
    """Read the incident sources and write the report as of a night.

    Returns:
        The files written, the page first.

    Raises:
        SettingsError: no incident source is named.
        InputError: a source cannot be read.
    """
    if not settings.sources.incidents:
        raise SettingsError("sources.incidents: none is named, so there is nothing to report on; add one")
    as_of = cut(night, settings.zone)
    now = datetime.now(UTC).replace(tzinfo=None)
    incidents, events = [], []
    with Warehouse(settings.root, settings.storage.memory_limit).scratch() as con:
        for source in settings.sources.incidents:
            sources.inspect(source, settings)
            folder = Frames(settings.root, as_of).folder / "report" / source.name
            folder.mkdir(parents=True, exist_ok=True)
            staged = sources.stage_incidents(con, source, settings, as_of=as_of, now=now, folder=folder)
            incidents.append(pl.read_parquet(staged.incidents))
            events.append(pl.read_parquet(staged.incident_events))
    known = as_of_view(pl.concat(incidents), pl.concat(events), as_of)
    return write(trends(durations(known, as_of), as_of, settings.incidents), out)


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
