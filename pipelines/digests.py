"""The night's digest: what the page is told, read from the warehouse, and where it is put."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote

import duckdb
import polars as pl

from features.known_bad import from_frame
from pipelines import feedback, settling
from pipelines.history import series_of
from pipelines.maintenance import record
from pipelines.settings import SHADOW
from pipelines.site import Night
from reports import answers_kept
from reports.digest import HISTORY_H, NightDigest, render, shown
from reports.digest_promises import DAYS
from reports.digest_rows import Night as Told
from reports.reliability import draw

LATEST = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Forewarn: the latest night</title>
<meta http-equiv="refresh" content="0; url={address}">
<p><a href="{address}">The latest night</a></p>
</html>
"""


@dataclass(frozen=True)
class Page:
    """A digest, and pictures as PNG, which it also carries within.

    reliability: of its probabilities on the fleet's own past. kept: of what past nights answered.
    """

    html: str
    reliability: bytes | None = None
    kept: bytes | None = None


def page(con: duckdb.DuckDBPyConnection, night: Night) -> Page:
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
    calibration = _of_night(con, "forecasting.calibration", night)
    reliability = None if calibration.is_empty() else draw(calibration)
    lately = settling.lately(con, night)
    kept = None if lately.tenths.is_empty() else draw(answers_kept.marks(lately.tenths), answers_kept.HEADING)
    html = render(
        NightDigest(
            night=told,
            zone=night.settings.zone,
            events=con.sql("FROM reports.ticket_events WHERE as_of <= $as_of", params={"as_of": night.as_of}).pl(),
            hourly=_hours(con, night, shown(told)),
            forecasts=_of_night(con, "forecasting.forecasts", night),
            failures=_of_night(con, "forecasting.failures", night),
            rejects=con.sql("FROM raw.rejects WHERE run_id = $run_id", params={"run_id": night.run_id}).pl(),
            models=_of_night(con, "forecasting.models", night),
            calibration=calibration,
            tournament=_of_night(con, "forecasting.tournament", night),
            outcomes=_settled(con, "reports.ticket_outcomes", night),
            misses=_settled(con, "reports.misses", night),
            modes=_of_night(con, "reports.service_modes", night),
            feedback=feedback.known(con, night),
            lately=lately,
            reliability=reliability,
            kept=kept,
            seconds=night.progress.seconds,
            tickets_at=_address(night.settings.tickets_folder, night),
            shadow_at=_address(night.settings.shadow_folder, night),
            shadowed=_shadowed(con),
            windows=from_frame(record.recorded(con, night.as_of)),
            unread=night.frames.noted(record.TABLE)["faults"],
        )
    )
    return Page(html, reliability, kept)


def write(page: Page, night: Night) -> Path:
    """The page in the night's folder, its pictures beside it; where no later night has a page, latest.html leads to it.

    Returns:
        Where the page is.
    """
    night.reports.mkdir(parents=True, exist_ok=True)
    for name, png in (("reliability", page.reliability), ("kept", page.kept)):
        picture = night.reports / f"{name}.png"
        if png is None:
            picture.unlink(missing_ok=True)  # of an earlier run of the night
        else:
            _put(png, picture)
    path = _put(page.html.encode(), night.reports / "digest.html")
    if path == max(night.reports.parent.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/digest.html")):
        address = escape(f"{quote(night.reports.name)}/{path.name}")
        _put(LATEST.format(address=address).encode(), night.reports.parent / "latest.html")
    return path


def _put(content: bytes, path: Path) -> Path:
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    return temporary.replace(path)


def _address(folder: Path | None, night: Night) -> str | None:
    """The address of a folder of ticket files, seen from the night's page."""
    return quote(os.fsencode(os.path.relpath(folder, night.reports))) if folder else None


def _shadowed(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The tickets that no tracker was told of."""
    told = con.execute(
        "SELECT ticket_id FROM reports.publications GROUP BY ticket_id HAVING bool_and(tracker = $shadow)",
        {"shadow": SHADOW},
    ).fetchall()
    return frozenset(ticket_id for (ticket_id,) in told)


def _of_night(con: duckdb.DuckDBPyConnection, table: str, night: Night) -> pl.DataFrame:
    return con.sql(f"FROM {table} WHERE as_of = $as_of ORDER BY ALL", params={"as_of": night.as_of}).pl()


def _settled(con: duckdb.DuckDBPyConnection, table: str, night: Night) -> pl.DataFrame:
    """What has settled lately, as far as the page looks back."""
    return con.sql(
        f"FROM {table} WHERE settled_as_of > $first AND settled_as_of <= $as_of ORDER BY ALL",
        params={"first": night.as_of - timedelta(days=DAYS), "as_of": night.as_of},
    ).pl()


def _hours(con: duckdb.DuckDBPyConnection, night: Night, series_ids: list[int]) -> pl.DataFrame:
    con.register("shown", pl.DataFrame({"series_id": series_ids}, schema={"series_id": pl.UInt64}).to_arrow())
    return con.sql(
        "SELECT series_id, hour, mean FROM features.hourly SEMI JOIN shown USING (series_id)"
        " WHERE hour >= $first AND hour < $as_of ORDER BY ALL",
        params={"first": night.as_of - timedelta(hours=HISTORY_H), "as_of": night.as_of},
    ).pl()
