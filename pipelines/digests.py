"""The night's digest: what the page is told, read from the warehouse, and where it is put."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl

from pipelines.history import series_of
from pipelines.site import Night
from reports.digest import HISTORY_H, NightDigest, render, shown
from reports.digest_rows import Night as Told


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
            tickets_at="../../tickets",
        )
    )


def write(html: str, night: Night) -> Path:
    """The page in the night's folder, and as latest.html beside all nights where this is the newest."""
    night.reports.mkdir(parents=True, exist_ok=True)
    path = night.reports / "digest.html"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(html, encoding="utf-8")
    return temporary.replace(path)


def _of_night(con: duckdb.DuckDBPyConnection, table: str, night: Night) -> pl.DataFrame:
    return con.sql(f"FROM {table} WHERE as_of = $as_of ORDER BY ALL", params={"as_of": night.as_of}).pl()


def _hours(con: duckdb.DuckDBPyConnection, night: Night, series_ids: list[int]) -> pl.DataFrame:
    con.register("shown", pl.DataFrame({"series_id": series_ids}, schema={"series_id": pl.UInt64}).to_arrow())
    return con.sql(
        "SELECT series_id, hour, mean FROM features.hourly SEMI JOIN shown USING (series_id)"
        " WHERE hour >= $first AND hour < $as_of ORDER BY ALL",
        params={"first": night.as_of - timedelta(hours=HISTORY_H), "as_of": night.as_of},
    ).pl()
