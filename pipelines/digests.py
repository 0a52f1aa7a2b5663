"""The night's digest: what the page is told, read from the warehouse, and where it is put."""

from __future__ import annotations

import os
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote

import duckdb
import polars as pl

from pipelines.history import series_of
from pipelines.site import Night
from reports.digest import HISTORY_H, NightDigest, render, shown
from reports.digest_rows import Night as Told

LATEST = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Forewarn: the latest night</title>
<meta http-equiv="refresh" content="0; url={address}">
<p><a href="{address}">The latest night</a></p>
</html>
"""


def page(con: duckdb.DuckDBPyConnection, night: Night) -> str:
    """The page of a published night."""
    told = Told(
        as_of=night.as_of,
        policy=night.settings.tickets.policy,
        risks=_of_night(con, "forecasting.risks", night),
        previous_risks=con.sql(
            "FROM forecasting.risks WHERE as_of = (SELECT max(as_of) FROM forecasting.risks WHERE as_of < $as_of)",
            params={"as_of": night.as_of},
        ).pl(),
        profiles=_of_night(con, "features.profiles", night),
        series=series_of(con),
        signals=night.settings.signals.all,
        services=night.settings.services,
    )
    return render(
        NightDigest(
            night=told,
            zone=night.settings.zone,
            events=con.sql("FROM reports.ticket_events WHERE as_of <= $as_of", params={"as_of": night.as_of}).pl(),
            hourly=_hours(con, night, shown(told)),
            forecasts=_of_night(con, "forecasting.forecasts", night),
            failures=_of_night(con, "forecasting.failures", night),
            rejects=con.sql("FROM raw.rejects WHERE run_id = $run_id", params={"run_id": night.run_id}).pl(),
            models=_of_night(con, "forecasting.models", night),
            seconds=night.progress.seconds,
            tickets_at=_tickets_at(night),
        )
    )


def write(html: str, night: Night) -> Path:
    """The page in the night's folder; and where no later night has one, latest.html beside the folders leads to it."""
    night.reports.mkdir(parents=True, exist_ok=True)
    path = _put(html, night.reports / "digest.html")
    if path == max(night.reports.parent.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/digest.html")):
        address = escape(f"{quote(night.reports.name)}/{path.name}")
        _put(LATEST.format(address=address), night.reports.parent / "latest.html")
    return path


def _put(html: str, path: Path) -> Path:
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(html, encoding="utf-8")
    return temporary.replace(path)


def _tickets_at(night: Night) -> str | None:
    """The address of the ticket files, seen from the night's page."""
    folder = night.settings.tickets_folder
    return quote(os.fsencode(os.path.relpath(folder, night.reports))) if folder else None


def _of_night(con: duckdb.DuckDBPyConnection, table: str, night: Night) -> pl.DataFrame:
    return con.sql(f"FROM {table} WHERE as_of = $as_of ORDER BY ALL", params={"as_of": night.as_of}).pl()


def _hours(con: duckdb.DuckDBPyConnection, night: Night, series_ids: list[int]) -> pl.DataFrame:
    con.register("shown", pl.DataFrame({"series_id": series_ids}, schema={"series_id": pl.UInt64}).to_arrow())
    return con.sql(
        "SELECT series_id, hour, mean FROM features.hourly SEMI JOIN shown USING (series_id)"
        " WHERE hour >= $first AND hour < $as_of ORDER BY ALL",
        params={"first": night.as_of - timedelta(hours=HISTORY_H), "as_of": night.as_of},
    ).pl()
