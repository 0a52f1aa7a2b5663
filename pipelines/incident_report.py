"""The incident report as files: of a night, or alone by ``forewarn report``, straight from the incident sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb
import polars as pl

from pipelines import incident_history
from pipelines.distribution.parcels import LETTER
from pipelines.settings import Settings, SettingsError, cut
from pipelines.site import Site
from pipelines.sources.sql import parquet
from pipelines.warehouse import WarehouseError
from reports.incident_charts import charts
from reports.incident_letter import letter
from reports.incident_options import IncidentOptions
from reports.incident_page import render
from reports.incident_periods import months_before
from reports.incident_summary import summary_markdown
from reports.incident_trends import Beside, IncidentTrends, trends
from reports.ticket_events import RESOLVED
from reports.working_time import WorkingCalendar

__all__ = ["Beside", "IncidentTrends", "calendar", "known_tickets", "trends", "write", "write_report"]


def write_report(settings: Settings, night: date, out: Path) -> tuple[list[Path], Mapping[str, Sequence[str]]]:
    """Read the incident sources and write the report as of a night. Nothing is written but `out` (and a sample fleet).

    Returns:
        The files written, the page first; and of sources whose servers did not tell all that is new, why.

    Raises:
        SettingsError: no incident source is named, or `out` cannot be written.
        InputError: a source cannot be read.
    """
    if not settings.sources.incidents:
        raise SettingsError("sources.incidents: none is named, so there is nothing to report on; add one")
    Site(settings).make_sample()
    as_of = cut(night, settings.zone)
    history = incident_history.read(settings, as_of)
    refused = history.refused, history.refused_events
    beside = Beside(
        calendar(settings), *refused, *_foreseen(settings, as_of), unread=history.unread, lacking=history.lacking
    )
    found = trends(history.durations, as_of, settings.incidents, beside)
    try:
        return write(found, out, night), history.unread
    except OSError as error:
        raise SettingsError(f"--out {out}: cannot be written ({error.strerror}); name another folder") from error


def calendar(settings: Settings) -> WorkingCalendar:
    """When people work, as the settings say."""
    return WorkingCalendar(settings.zone, settings.calendar.working_hours, frozenset(settings.calendar.holidays))


def _foreseen(settings: Settings, as_of: datetime) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """Open predictions and settled promises before a night, where there is a warehouse that holds them."""
    if not (warehouse := Site(settings).warehouse).path.exists():
        return None, None
    try:
        with warehouse.reader() as con:
            return known_tickets(con, as_of, settings.incidents)
    except (WarehouseError, duckdb.Error):  # busy, or of another schema: the report stands without them
        return None, None


def known_tickets(
    con: duckdb.DuckDBPyConnection, as_of: datetime, options: IncidentOptions, tonight: Path | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tickets open on a night (``problems.RISKS``), and those settled in the months that verdicts are about
    (``averted.PROMISES``).

    Args:
        tonight: the night's own ticket events, where they are not published yet; what is of an earlier run of it.
    """
    published = f"FROM reports.ticket_events WHERE as_of {'<' if tonight else '<='} $as_of"
    own = f" UNION ALL BY NAME FROM {parquet(tonight)}" if tonight else ""
    risks = con.sql(
        f"""
        SELECT ticket_id, entity, signal, probability, eta_p50
        FROM (SELECT *, row_number() OVER (PARTITION BY ticket_id ORDER BY as_of DESC, event_no DESC) AS newest
              FROM ({published}{own}))
        WHERE newest = 1 AND event <> $resolved
        ORDER BY ticket_id
        """,
        params={"as_of": as_of, "resolved": RESOLVED},
    ).pl()
    promises = con.sql(
        """
        SELECT ticket_id, any_value(entity) AS entity, any_value(service) AS service, any_value(outcome) AS outcome
        FROM reports.ticket_outcomes JOIN reports.ticket_events USING (ticket_id)
        WHERE settled_as_of <= $as_of AND settled_as_of >= $since
        GROUP BY ticket_id
        ORDER BY ticket_id
        """,
        params={"as_of": as_of, "since": months_before(as_of, options.trend_months)},
    ).pl()
    return risks, promises


def write(found: IncidentTrends, out: Path, night: date) -> list[Path]:
    """mttr.html, mttr.json, mttr.md, the letter that may be sent, and the charts.

    The page is written last: it never shows what is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    contents = {f"{name}.png": png for name, png in charts(found).items()}
    contents["mttr.json"] = (json.dumps(found.mttr, indent=1, allow_nan=False) + "\n").encode()
    contents["mttr.md"] = summary_markdown(found).encode("utf-8", "replace")
    contents[LETTER] = letter(found, night).to_json().encode()
    contents["mttr.html"] = render(found).encode("utf-8", "replace")
    written = []
    for name, content in contents.items():
        temporary = out / f".{name}.tmp"
        temporary.write_bytes(content)
        written.append(temporary.replace(out / name))
    return written[::-1]
