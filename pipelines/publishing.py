"""The two commits of a night: what was ingested, then what was concluded. Each is one transaction on an open writer.

Belongs here: the SQL that changes the warehouse, and the rules that make it idempotent. Not here: what is computed
(the pure rooms), or how the file is opened (``pipelines.warehouse``).

Rules
-----
samples     the union of stored and staged; of two values at one second the larger stays, whichever came first.
late        a sample older than the raw retention is taken only if its hour was never rolled up: an hour that is
            published stays as it is once its samples are gone.
expired     a sample older than the hourly retention is not taken.
incidents   of two versions the one updated later stays; of two updated together, the greater by content.
nights      results of a night replace that night's rows whole, so a re-run leaves no trace of the run before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.settings import Retention
from pipelines.warehouse import quoted

NIGHTLY_TABLES = (
    "features.profiles",
    "forecasting.forecasts",
    "forecasting.risks",
    "forecasting.models",
    "forecasting.failures",
    "reports.ticket_events",
    "reports.incident_trends",
)
"""Tables whose rows belong to one night; staged frames carry the same names."""


@dataclass(frozen=True)
class Run:
    """One execution of the nightly job."""

    run_id: str
    as_of: datetime
    started_at: datetime
    versions: Mapping[str, str] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------- the first commit


@dataclass(frozen=True)
class StagedRaw:
    """Parquet files of the first commit; several of a kind when there are several sources."""

    series: Sequence[Path] = ()
    samples: Sequence[Path] = ()
    incidents: Sequence[Path] = ()
    incident_events: Sequence[Path] = ()
    rejects: Sequence[Path] = ()


def publish_raw(con: duckdb.DuckDBPyConnection, staged: StagedRaw, run: Run, retention: Retention) -> dict[str, int]:
    """The first commit: what was ingested.

    Returns:
        How many rows were new, corrected, late, expired...
    """
    counts: dict[str, int] = {}
    if staged.series:
        _publish_series(con, staged.series)
    if staged.samples:
        counts |= _publish_samples(con, staged.samples, run.as_of, retention)
    if staged.incidents:
        counts |= _publish_versions(con, "raw.incidents", staged.incidents, ["source", "incident_id"], "updated_at")
    if staged.incident_events:
        key = ["source", "incident_id", "event_no"]
        counts |= _publish_versions(con, "raw.incident_events", staged.incident_events, key, "changed_at")
    _begin_run(con, run, counts)
    _publish_rejects(con, staged.rejects, run)
    return counts


def _publish_series(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE staged_series AS {_distinct_series(files)}")
    con.execute(
        """
        INSERT INTO raw.series
        SELECT series_id, source, entity, metric, labels, unit, service
        FROM staged_series ANTI JOIN raw.series USING (series_id)
        ORDER BY series_id
        """
    )
    con.execute(
        """
        UPDATE raw.series
        SET unit = coalesce(s.unit, series.unit), service = s.service
        FROM staged_series AS s
        WHERE series.series_id = s.series_id
          AND (series.unit IS DISTINCT FROM coalesce(s.unit, series.unit) OR series.service IS DISTINCT FROM s.service)
        """
    )


def _distinct_series(files: Sequence[Path]) -> str:
    """One row a series, should two sources deliver the same one: the first unit in order stays."""
    return f"""
        SELECT series_id, any_value(source) AS source, any_value(entity) AS entity, any_value(metric) AS metric,
               any_value(labels) AS labels, min(unit) AS unit, min(service) AS service
        FROM {_parquet(files)}
        GROUP BY series_id
    """


def _publish_samples(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path], as_of: datetime, retention: Retention
) -> dict[str, int]:
    raw_cut, hourly_cut = _cuts(con, as_of, retention)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE staged_samples AS
        SELECT series_id, ts, {"max(value) AS value" if len(files) > 1 else "value"}
        FROM {_parquet(files)}
        WHERE ts >= $hourly_cut
        {"GROUP BY ALL" if len(files) > 1 else ""}
        """,
        {"hourly_cut": hourly_cut},
    )
    read = _one(con, f"SELECT count(*) FROM {_parquet(files)}")
    taken = _one(con, "SELECT count(*) FROM staged_samples")
    late = _drop_late(con, raw_cut) if raw_cut else 0
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT s.series_id, s.ts, s.value, r.value AS stored
        FROM staged_samples AS s
        LEFT JOIN raw.samples AS r ON r.series_id = s.series_id AND r.ts = s.ts
        WHERE r.value IS NULL OR s.value > r.value
        """
    )
    corrected = _one(con, "SELECT count(stored) FROM fresh")
    if corrected:
        con.execute(
            "DELETE FROM raw.samples USING fresh"
            " WHERE samples.series_id = fresh.series_id AND samples.ts = fresh.ts AND fresh.stored IS NOT NULL"
        )
    con.execute("INSERT INTO raw.samples SELECT series_id, ts, value FROM fresh ORDER BY ts::DATE, series_id, ts")
    con.execute(
        """
        INSERT INTO raw.pending_days
        SELECT DISTINCT source, ts::DATE AS day FROM fresh JOIN raw.series USING (series_id)
        EXCEPT SELECT source, day FROM raw.pending_days
        ORDER BY ALL
        """
    )
    new = _one(con, "SELECT count(*) FROM fresh") - corrected
    for table in ("staged_samples", "fresh"):
        con.execute(f"DROP TABLE {table}")
    return {
        "samples_new": new,
        "samples_corrected": corrected,
        "samples_known": taken - late - new - corrected,
        "samples_late": late,
        "samples_expired": read - taken,
    }


def _cuts(con: duckdb.DuckDBPyConnection, as_of: datetime, retention: Retention) -> tuple[datetime | None, datetime]:
    """Before which samples were already purged (None: never), and before which nothing is kept at all."""
    purged = newest_night(con)
    newest = max(as_of, purged) if purged else as_of
    return (
        purged - timedelta(days=retention.raw_days) if purged else None,
        newest - timedelta(days=retention.hourly_days),
    )


def newest_night(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """The newest as_of whose results are published."""
    return _one(con, "SELECT max(as_of) FROM main.runs WHERE status IN ('done', 'stale')")


def _drop_late(con: duckdb.DuckDBPyConnection, raw_cut: datetime) -> int:
    before = _one(con, "SELECT count(*) FROM staged_samples")
    con.execute(
        """
        DELETE FROM staged_samples
        USING features.hourly AS h
        WHERE staged_samples.ts < $raw_cut
          AND h.hour < $raw_cut
          AND h.series_id = staged_samples.series_id
          AND h.hour = date_trunc('hour', staged_samples.ts)
        """,
        {"raw_cut": raw_cut},
    )
    return before - _one(con, "SELECT count(*) FROM staged_samples")


def _publish_versions(
    con: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], key: Sequence[str], version: str
) -> dict[str, int]:
    """Insert what is new; replace what is older than what is staged, by `version` and then by content."""
    keys = ", ".join(key)
    same = " AND ".join(f"s.{k} = t.{k}" for k in key)
    newer = f"(s.{version} > t.{version} OR (s.{version} = t.{version} AND s::VARCHAR > t::VARCHAR))"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE staged_versions AS
        SELECT s.* FROM (SELECT {_columns(con, table)} FROM {_parquet(files)}) AS s
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY s.{version} DESC, s::VARCHAR DESC) = 1
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE outdated AS
        SELECT {", ".join(f"t.{k}" for k in key)} FROM {table} AS t JOIN staged_versions AS s ON {same} WHERE {newer}
        """
    )
    new = _one(con, f"SELECT count(*) FROM staged_versions ANTI JOIN {table} USING ({keys})")
    con.execute(f"DELETE FROM {table} AS t USING outdated AS s WHERE {same}")
    con.execute(f"INSERT INTO {table} SELECT * FROM staged_versions ANTI JOIN {table} USING ({keys}) ORDER BY {keys}")
    name = table.removeprefix("raw.")
    return {f"{name}_new": new, f"{name}_changed": _one(con, "SELECT count(*) FROM outdated")}


def _publish_rejects(con: duckdb.DuckDBPyConnection, files: Sequence[Path], run: Run) -> None:
    """What was refused, numbered over all files of the run."""
    if files:
        con.execute(
            f"""
            INSERT INTO raw.rejects
            SELECT $run_id, row_number() OVER (ORDER BY source, file, file_row, reason, detail),
                   source, file, file_row, reason, detail
            FROM {_parquet(files)}
            ORDER BY ALL
            """,
            {"run_id": run.run_id},
        )


def _begin_run(con: duckdb.DuckDBPyConnection, run: Run, counts: Mapping[str, int]) -> None:
    """Record the run. It supersedes unfinished runs of its night; the night's published results are not touched."""
    superseded = "run_id = $run_id OR (as_of = $as_of AND status NOT IN ('done', 'stale'))"
    key = {"run_id": run.run_id, "as_of": run.as_of}
    con.execute(f"DELETE FROM raw.rejects WHERE run_id IN (SELECT run_id FROM main.runs WHERE {superseded})", key)
    con.execute(f"DELETE FROM main.runs WHERE {superseded}", key)
    con.execute(
        "INSERT INTO main.runs (run_id, as_of, started_at, status, versions, counts)"
        " VALUES ($run_id, $as_of, $started_at, 'ingested', $versions, $counts)",
        {
            "run_id": run.run_id,
            "as_of": run.as_of,
            "started_at": run.started_at,
            "versions": json.dumps(dict(run.versions), sort_keys=True),
            "counts": json.dumps(dict(counts), sort_keys=True),
        },
    )


# ------------------------------------------------------------------------------------------------ the second commit


@dataclass(frozen=True)
class StagedResults:
    """Parquet files of the second commit."""

    hourly: Path
    rolled_days: Path
    limits: Path
    nightly: Mapping[str, Path]
    """Table -> frame, for each of NIGHTLY_TABLES."""


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
    _replace_by_key(con, "features.hourly", staged.hourly, ["series_id", "hour"])
    _publish_limits(con, staged.limits)
    con.execute(
        "DELETE FROM raw.pending_days AS p USING"
        f" {_parquet([staged.rolled_days])} AS r WHERE p.source = r.source AND p.day = r.day"
    )
    differs = _differs(con, staged.nightly["reports.ticket_events"], run.as_of)
    for table in NIGHTLY_TABLES:
        con.execute(f"DELETE FROM {table} WHERE as_of = $as_of", {"as_of": run.as_of})
        con.execute(
            f"INSERT INTO {table} SELECT {_columns(con, table)} FROM {_parquet([staged.nightly[table]])} ORDER BY ALL"
        )
    stale = _mark_stale(con, run.as_of) if differs else []
    newest = newest_night(con)
    if newest is None or run.as_of >= newest:
        _purge(con, run.as_of, retention)
    _finish_run(con, run, counts)
    return stale


def _publish_limits(con: duckdb.DuckDBPyConnection, frame: Path) -> None:
    """A limit gets a new row only when it changes: what already holds since earlier is not said again every night."""
    fresh = f"(SELECT {_columns(con, 'forecasting.limits')} FROM {_parquet([frame])})"
    con.execute(
        f"""
        DELETE FROM forecasting.limits AS t USING {fresh} AS s
        WHERE t.series_id = s.series_id AND t.limit_name = s.limit_name AND t.valid_from = s.valid_from
        """
    )
    con.execute(
        f"""
        INSERT INTO forecasting.limits
        SELECT s.*
        FROM {fresh} AS s
        ASOF LEFT JOIN forecasting.limits AS t
          ON s.series_id = t.series_id AND s.limit_name = t.limit_name AND s.valid_from >= t.valid_from
        WHERE (t.value, t.signal, t.direction, t.lasts_h) IS DISTINCT FROM (s.value, s.signal, s.direction, s.lasts_h)
        ORDER BY s.series_id, s.limit_name, s.valid_from
        """
    )


def _differs(con: duckdb.DuckDBPyConnection, frame: Path, as_of: datetime) -> bool:
    columns = _columns(con, "reports.ticket_events")
    stored = f"SELECT {columns} FROM reports.ticket_events WHERE as_of = $as_of"
    fresh = f"SELECT {columns} FROM {_parquet([frame])}"
    query = f"SELECT count(*) FROM (({stored} EXCEPT {fresh}) UNION ALL ({fresh} EXCEPT {stored}))"
    return con.execute(query, {"as_of": as_of}).fetchall()[0][0] > 0


def _mark_stale(con: duckdb.DuckDBPyConnection, as_of: datetime) -> list[datetime]:
    con.execute(
        "UPDATE main.runs SET status = 'stale', note = $note WHERE as_of > $as_of AND status IN ('done', 'stale')",
        {"as_of": as_of, "note": f"the night of {as_of:%Y-%m-%d %H:%M} UTC was run again with other tickets"},
    )
    later = "SELECT DISTINCT as_of FROM main.runs WHERE as_of > $as_of AND status = 'stale' ORDER BY as_of"
    return [row[0] for row in con.execute(later, {"as_of": as_of}).fetchall()]


def _purge(con: duckdb.DuckDBPyConnection, as_of: datetime, retention: Retention) -> None:
    for table, column, days in (
        ("raw.samples", "ts", retention.raw_days),
        ("features.hourly", "hour", retention.hourly_days),
        ("forecasting.forecasts", "as_of", retention.forecast_days),
    ):
        con.execute(f"DELETE FROM {table} WHERE {column} < $cut", {"cut": as_of - timedelta(days=days)})
    con.execute(
        "DELETE FROM raw.rejects WHERE run_id IN (SELECT run_id FROM main.runs WHERE as_of < $cut)",
        {"cut": as_of - timedelta(days=retention.raw_days)},
    )


def _finish_run(con: duckdb.DuckDBPyConnection, run: Run, counts: Mapping[str, object]) -> None:
    """The night's record: one finished run a night; the rejects of a run that it replaces go with it."""
    other = "SELECT run_id FROM main.runs WHERE as_of = $as_of AND run_id <> $run_id"
    key = {"as_of": run.as_of, "run_id": run.run_id}
    con.execute(f"DELETE FROM raw.rejects WHERE run_id IN ({other})", key)
    con.execute("DELETE FROM main.runs WHERE as_of = $as_of AND run_id <> $run_id", key)
    con.execute(
        "UPDATE main.runs SET status = 'done', note = NULL, finished_at = $now, counts = $counts"
        " WHERE run_id = $run_id",
        {"run_id": run.run_id, "now": _now(), "counts": json.dumps(dict(counts), sort_keys=True, default=str)},
    )


def record_failure(con: duckdb.DuckDBPyConnection, run: Run, error: str) -> None:
    """Say in main.runs that the run failed; what was published before stays whole."""
    if not con.execute("SELECT 1 FROM main.runs WHERE run_id = $run_id", {"run_id": run.run_id}).fetchall():
        _begin_run(con, run, {})
    con.execute(
        "UPDATE main.runs SET status = 'failed', finished_at = $now, note = $error"
        " WHERE run_id = $run_id AND status = 'ingested'",
        {"run_id": run.run_id, "now": _now(), "error": error[:1000]},
    )


# ---------------------------------------------------------------------------------------------------------- helpers


def _replace_by_key(con: duckdb.DuckDBPyConnection, table: str, frame: Path, key: Sequence[str]) -> None:
    fresh = _parquet([frame])
    same = " AND ".join(f"t.{k} = s.{k}" for k in key)
    con.execute(f"DELETE FROM {table} AS t USING (SELECT {', '.join(key)} FROM {fresh}) AS s WHERE {same}")
    con.execute(f"INSERT INTO {table} SELECT {_columns(con, table)} FROM {fresh} ORDER BY {', '.join(key)}")


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> str:
    schema, name = table.split(".")
    rows = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = $schema AND table_name = $name"
        " AND database_name = current_database() ORDER BY column_index",
        {"schema": schema, "name": name},
    ).fetchall()
    return ", ".join(f'"{row[0]}"' for row in rows)


def _parquet(files: Iterable[Path]) -> str:
    return f"read_parquet([{', '.join(quoted(file) for file in files)}])"


def _one(con: duckdb.DuckDBPyConnection, query: str):
    return con.execute(query).fetchall()[0][0]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
