"""The second commit: what was concluded.

Results of a night replace that night's rows whole, so a re-run leaves no trace of the run before; hours and limits are
replaced by their keys. What a night settles about earlier ones replaces what it settled when it ran before. What people
say replaces what they had said before that night; their lines may go, what was heard stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.maintenance import record as known_bad
from pipelines.publishing.raw import publish_rejects
from pipelines.publishing.runs import Run, finish_run, newest_night
from pipelines.publishing.sql import columns, parquet
from pipelines.settings import Retention

NIGHTLY_TABLES = (
    "features.profiles",
    "forecasting.forecasts",
    "forecasting.risks",
    "forecasting.models",
    "forecasting.calibration",
    "forecasting.tournament",
    "forecasting.failures",
    "reports.ticket_events",
    "reports.service_modes",
    "reports.incident_trends",
)
"""Tables whose rows belong to one night; staged frames carry the same names."""

SETTLED_TABLES = {
    "forecasting.settlements": ("as_of", "series_id", "limit_name", "horizon_h"),
    "reports.ticket_outcomes": ("ticket_id",),
    "reports.misses": ("series_id", "limit_name", "crossed_at"),
}
"""Tables whose rows are made once, by the night settled_as_of, with their keys; staged frames carry the same names."""


@dataclass(frozen=True)
class StagedResults:
    """Parquet files of the second commit."""

    hourly: Path
    rolled_days: Path
    limits: Path
    nightly: Mapping[str, Path]
    """Table -> frame, for each of NIGHTLY_TABLES."""
    settled: Mapping[str, Path]
    """Table -> frame, for each of SETTLED_TABLES."""
    feedback: Path
    known_bad: Path
    rejects: Sequence[Path] = ()
    """Rows that were refused after the first commit."""


def publish_results(
    con: duckdb.DuckDBPyConnection,
    staged: StagedResults,
    run: Run,
    retention: Retention,
    counts: Mapping[str, object],
) -> list[datetime]:
    """The second commit: what was concluded.

    Returns:
        Later nights that this one made stale: their tickets were folded from what this night said before.
    """
    replace_by_key(con, "features.hourly", staged.hourly, ["series_id", "hour"])
    _publish_limits(con, staged.limits, run.as_of)
    con.execute(
        "DELETE FROM raw.pending_days AS p USING"
        f" {parquet([staged.rolled_days])} AS r"
        " WHERE p.source = r.source AND p.day = r.day AND p.changed_by = r.changed_by"
    )
    differs = _differs(con, staged, run.as_of)
    for table in NIGHTLY_TABLES:
        con.execute(f"DELETE FROM {table} WHERE as_of = $as_of", {"as_of": run.as_of})
        # By name: columns may stand in any order; one that the table lacks is an error.
        con.execute(f"INSERT INTO {table} BY NAME FROM {parquet([staged.nightly[table]])} ORDER BY ALL")
    for table, key in SETTLED_TABLES.items():
        _publish_settled(con, table, key, staged.settled[table], run.as_of)
    _publish_feedback(con, staged.feedback, run.as_of)
    known_bad.publish(con, parquet([staged.known_bad]), run.as_of)
    stale = _mark_stale(con, run.as_of) if differs else []
    newest = newest_night(con)
    if newest is None or run.as_of >= newest:
        _purge(con, run.as_of, retention)
    finish_run(con, run, counts)
    publish_rejects(con, staged.rejects, run)
    return stale


def _publish_settled(
    con: duckdb.DuckDBPyConnection, table: str, key: Sequence[str], frame: Path, as_of: datetime
) -> None:
    """Replace what the night settled; what a later night had settled in its place, before this one ran, makes way."""
    fresh = parquet([frame])
    same = " AND ".join(f"t.{k} = s.{k}" for k in key)
    con.execute(f"DELETE FROM {table} WHERE settled_as_of = $as_of", {"as_of": as_of})
    con.execute(
        f"DELETE FROM {table} AS t USING (SELECT {', '.join(key)} FROM {fresh}) AS s"
        f" WHERE t.settled_as_of > $as_of AND {same}",
        {"as_of": as_of},
    )
    con.execute(f"INSERT INTO {table} BY NAME FROM {fresh} ORDER BY ALL")


def _publish_feedback(con: duckdb.DuckDBPyConnection, frame: Path, as_of: datetime) -> None:
    """Replace what somebody had said of a ticket before the cut; what a later night heard since stays."""
    fresh = parquet([frame])
    con.execute(
        f"""
        DELETE FROM reports.feedback AS t USING {fresh} AS s
        WHERE t.ticket_id = s.ticket_id AND t.given_by = s.given_by
            AND (t.given_at < $as_of OR t.given_at = s.given_at)
        """,
        {"as_of": as_of},
    )
    con.execute(
        f"INSERT INTO reports.feedback BY NAME FROM {fresh} ANTI JOIN reports.feedback USING (ticket_id, given_by)"
        " ORDER BY ALL"
    )


def _publish_limits(con: duckdb.DuckDBPyConnection, frame: Path, as_of: datetime) -> None:
    """A limit gets a new row only when it changes; a change whose day is not known otherwise is dated to this night."""
    con.execute("DELETE FROM forecasting.limits WHERE valid_from = $as_of", {"as_of": as_of})
    con.execute(
        f"INSERT INTO forecasting.limits {changed_limits(con, frame)} ORDER BY series_id, limit_name", {"as_of": as_of}
    )


def changed_limits(con: duckdb.DuckDBPyConnection, frame: Path) -> str:
    """The rows that a night adds to forecasting.limits, as a query with the parameter ``$as_of``.

    Args:
        frame: the limits that hold on that night.
    """
    return f"""
        SELECT s.* REPLACE (CASE WHEN s.valid_from <= t.valid_from THEN $as_of ELSE s.valid_from END AS valid_from)
        FROM (SELECT {columns(con, "forecasting.limits")} FROM {parquet([frame])}) AS s
        LEFT JOIN (
            FROM forecasting.limits
            WHERE valid_from < $as_of
            QUALIFY row_number() OVER (PARTITION BY series_id, limit_name ORDER BY valid_from DESC) = 1
        ) AS t ON s.series_id = t.series_id AND s.limit_name = t.limit_name
        WHERE (t.value, t.signal, t.direction, t.lasts_h) IS DISTINCT FROM (s.value, s.signal, s.direction, s.lasts_h)
    """


def _differs(con: duckdb.DuckDBPyConnection, staged: StagedResults, as_of: datetime) -> bool:
    """Whether a later night would decide otherwise: by this night's ticket events, or by its risks."""
    read_later = {
        "reports.ticket_events": columns(con, "reports.ticket_events"),
        "forecasting.risks": "series_id, limit_name, horizon_h, state, p",
    }
    for table, told in read_later.items():
        stored = f"SELECT {told} FROM {table} WHERE as_of = $as_of"
        fresh = f"SELECT {told} FROM {parquet([staged.nightly[table]])}"
        query = f"SELECT count(*) FROM (({stored} EXCEPT {fresh}) UNION ALL ({fresh} EXCEPT {stored}))"
        if con.execute(query, {"as_of": as_of}).fetchall()[0][0]:
            return True
    return False


def _mark_stale(con: duckdb.DuckDBPyConnection, as_of: datetime) -> list[datetime]:
    con.execute(
        "UPDATE main.runs SET status = 'stale', note = $note WHERE as_of > $as_of AND status IN ('done', 'stale')",
        {"as_of": as_of, "note": f"the night of {as_of:%Y-%m-%d %H:%M} UTC was run again with another outcome"},
    )
    later = "SELECT DISTINCT as_of FROM main.runs WHERE as_of > $as_of AND status = 'stale' ORDER BY as_of"
    return [row[0] for row in con.execute(later, {"as_of": as_of}).fetchall()]


def _purge(con: duckdb.DuckDBPyConnection, as_of: datetime, retention: Retention) -> None:
    for table, column, days in (
        ("raw.samples", "ts", retention.raw_days),
        ("features.hourly", "hour", retention.hourly_days),
        ("forecasting.forecasts", "as_of", retention.forecast_days),
        ("raw.known_bad", "ends_at", retention.hourly_days),
    ):
        con.execute(f"DELETE FROM {table} WHERE {column} < $cut", {"cut": as_of - timedelta(days=days)})
    con.execute(
        "UPDATE main.purged SET samples_before = greatest(samples_before, $cut)",
        {"cut": as_of - timedelta(days=retention.raw_days)},
    )
    con.execute(
        "DELETE FROM raw.rejects WHERE run_id IN (SELECT run_id FROM main.runs WHERE as_of < $cut)",
        {"cut": as_of - timedelta(days=retention.raw_days)},
    )


def replace_by_key(con: duckdb.DuckDBPyConnection, table: str, frame: Path, key: Sequence[str]) -> None:
    fresh = parquet([frame])
    same = " AND ".join(f"t.{k} = s.{k}" for k in key)
    con.execute(f"DELETE FROM {table} AS t USING (SELECT {', '.join(key)} FROM {fresh}) AS s WHERE {same}")
    con.execute(f"INSERT INTO {table} SELECT {columns(con, table)} FROM {fresh} ORDER BY {', '.join(key)}")
