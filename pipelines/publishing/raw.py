"""The first commit: what was ingested.

Rules
-----
samples     the union of stored and staged; of two values at one second the larger stays, whichever came first. But
            what a server answers replaces what is stored: it was asked again since more may have come, so its
            earlier answer was of less.
late        a sample older than the raw retention is taken only if its hour was never rolled up: an hour that is
            published stays as it is once its samples are gone.
expired     a sample older than the hourly retention is not taken.
incidents   of two versions the one updated later stays. Of two updated together, what a server answers replaces what is
            stored, since other settings or its own tables may tell more of one version; else the greater by content.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.publishing.runs import Run, begin_run, newest_night
from pipelines.publishing.sql import columns, one, parquet
from pipelines.settings import Retention


@dataclass(frozen=True)
class StagedRaw:
    """Parquet files of the first commit; several of a kind when there are several sources.

    answers: those of `samples`, `incidents` and `incident_events` that are what servers answered.
    """

    series: Sequence[Path] = ()
    samples: Sequence[Path] = ()
    incidents: Sequence[Path] = ()
    incident_events: Sequence[Path] = ()
    rejects: Sequence[Path] = ()
    fetched: Sequence[Path] = ()
    answers: Collection[Path] = ()


def publish_raw(con: duckdb.DuckDBPyConnection, staged: StagedRaw, run: Run, retention: Retention) -> dict[str, int]:
    """The first commit: what was ingested.

    Returns:
        How many rows were new, corrected, late, expired...
    """
    counts: dict[str, int] = {}
    if staged.series:
        _publish_series(con, staged.series)
    if staged.samples:
        counts |= _publish_samples(con, staged, run, retention)
    if staged.incidents:
        key = ["source", "incident_id"]
        counts |= _publish_versions(con, "raw.incidents", staged.incidents, key, "updated_at", answers=staged.answers)
    if staged.incident_events:
        key, files = ["source", "incident_id", "event_no"], staged.incident_events
        counts |= _publish_versions(con, "raw.incident_events", files, key, "changed_at", answers=staged.answers)
    if staged.fetched:
        _publish_fetched(con, staged.fetched, run)
    begin_run(con, run, counts)
    publish_rejects(con, staged.rejects, run)
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
        FROM {parquet(files)}
        GROUP BY series_id
    """


def _publish_samples(
    con: duckdb.DuckDBPyConnection, staged: StagedRaw, run: Run, retention: Retention
) -> dict[str, int]:
    files = staged.samples
    raw_cut, hourly_cut = _cuts(con, run.as_of, retention)
    if raw_cut is None and len(files) == 1 and not _has_stored(con, files):
        return _load(con, files, run, hourly_cut)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE staged_samples AS
        SELECT series_id, ts, {"max(value) AS value, bool_or(answered)" if len(files) > 1 else "value, answered"}
               AS answered
        FROM ({_marked(staged)})
        WHERE ts >= $hourly_cut
        {"GROUP BY series_id, ts" if len(files) > 1 else ""}
        """,
        {"hourly_cut": hourly_cut},
    )
    read = one(con, f"SELECT count(*) FROM {parquet(files)}")
    taken = one(con, "SELECT count(*) FROM staged_samples")
    late = _drop_late(con, raw_cut) if raw_cut else 0
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT s.series_id, s.ts, s.value, r.value AS stored
        FROM staged_samples AS s
        LEFT JOIN raw.samples AS r ON r.series_id = s.series_id AND r.ts = s.ts
        WHERE r.value IS NULL OR s.value > r.value OR (s.answered AND s.value < r.value)
        """
    )
    corrected = one(con, "SELECT count(stored) FROM fresh")
    if corrected:
        con.execute(
            "DELETE FROM raw.samples USING fresh"
            " WHERE samples.series_id = fresh.series_id AND samples.ts = fresh.ts AND fresh.stored IS NOT NULL"
        )
    con.execute("INSERT INTO raw.samples SELECT series_id, ts, value FROM fresh ORDER BY ts::DATE, series_id, ts")
    _mark_pending(con, "fresh", run)
    new = one(con, "SELECT count(*) FROM fresh") - corrected
    for table in ("staged_samples", "fresh"):
        con.execute(f"DROP TABLE {table}")
    return {
        "samples_new": new,
        "samples_corrected": corrected,
        "samples_known": taken - late - new - corrected,
        "samples_late": late,
        "samples_expired": read - taken,
    }


def _marked(staged: StagedRaw) -> str:
    """The samples of all files, and whether they were answered by a server."""
    return " UNION ALL ".join(
        f"SELECT series_id, ts, value, {path in staged.answers} AS answered FROM {parquet([path])}"
        for path in staged.samples
    )


def _has_stored(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> bool:
    """Is any sample stored of the series and the span of what is staged?"""
    return one(
        con,
        f"""
        SELECT EXISTS (
            FROM raw.samples SEMI JOIN (SELECT DISTINCT series_id FROM {parquet(files)}) USING (series_id)
            WHERE ts >= (SELECT min(ts) FROM {parquet(files)}) AND ts <= (SELECT max(ts) FROM {parquet(files)})
        )
        """,
    )


def _load(con: duckdb.DuckDBPyConnection, files: Sequence[Path], run: Run, hourly_cut: datetime) -> dict[str, int]:
    """A first load: nothing is stored that it could meet, and a source's file is in order, so it is copied as it is."""
    read = one(con, f"SELECT count(*) FROM {parquet(files)}")
    kept = f"SELECT series_id, ts, value FROM {parquet(files)} WHERE ts >= $hourly_cut"
    new = con.execute(f"INSERT INTO raw.samples {kept}", {"hourly_cut": hourly_cut}).fetchall()[0][0]
    _mark_pending(con, parquet(files), run, hourly_cut)
    return {
        "samples_new": new,
        "samples_corrected": 0,
        "samples_known": 0,
        "samples_late": 0,
        "samples_expired": read - new,
    }


def _mark_pending(con: duckdb.DuckDBPyConnection, samples: str, run: Run, after: datetime = datetime.min) -> None:
    """Put the days of fresh samples on the to-do list, in the name of this run."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT source, day"
        f" FROM (SELECT DISTINCT series_id, ts::DATE AS day FROM {samples} WHERE ts >= $after)"
        " JOIN raw.series USING (series_id)",
        {"after": after},
    )
    con.execute("DELETE FROM raw.pending_days AS p USING touched AS t WHERE p.source = t.source AND p.day = t.day")
    con.execute(
        "INSERT INTO raw.pending_days SELECT source, day, $run_id FROM touched ORDER BY ALL", {"run_id": run.run_id}
    )


def _cuts(con: duckdb.DuckDBPyConnection, as_of: datetime, retention: Retention) -> tuple[datetime | None, datetime]:
    """Before which samples were already purged (None: never), and before which nothing is kept at all."""
    newest = max(as_of, newest_night(con) or as_of)
    return one(con, "SELECT samples_before FROM main.purged"), newest - timedelta(days=retention.hourly_days)


def _drop_late(con: duckdb.DuckDBPyConnection, raw_cut: datetime) -> int:
    before = one(con, "SELECT count(*) FROM staged_samples")
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
    return before - one(con, "SELECT count(*) FROM staged_samples")


def _publish_versions(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Path],
    key: Sequence[str],
    version: str,
    *,
    answers: Collection[Path],
) -> dict[str, int]:
    """Insert what is new; replace what is older than what is staged: by `version`, then by who tells it, then by
    content.
    """
    keys = ", ".join(key)
    same = " AND ".join(f"s.{k} = t.{k}" for k in key)
    names = columns(con, table)
    content = {of: f"struct_pack({', '.join(f'{n} := {of}.{n}' for n in names.split(', '))})::VARCHAR" for of in "st"}
    told = f"s.answered AND {content['s']} <> {content['t']} OR {content['s']} > {content['t']}"
    newer = f"(s.{version} > t.{version} OR (s.{version} = t.{version} AND ({told})))"
    read = " UNION ALL ".join(f"SELECT {names}, {path in answers} AS answered FROM {parquet([path])}" for path in files)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE staged_versions AS
        SELECT s.* FROM ({read}) AS s
        QUALIFY row_number() OVER (
            PARTITION BY {keys} ORDER BY s.{version} DESC, s.answered DESC, {content["s"]} DESC
        ) = 1
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE outdated AS
        SELECT {", ".join(f"t.{k}" for k in key)} FROM {table} AS t JOIN staged_versions AS s ON {same} WHERE {newer}
        """
    )
    new = one(con, f"SELECT count(*) FROM staged_versions ANTI JOIN {table} USING ({keys})")
    con.execute(f"DELETE FROM {table} AS t USING outdated AS s WHERE {same}")
    con.execute(
        f"INSERT INTO {table} SELECT {names} FROM staged_versions ANTI JOIN {table} USING ({keys}) ORDER BY {keys}"
    )
    name = table.removeprefix("raw.")
    return {f"{name}_new": new, f"{name}_changed": one(con, "SELECT count(*) FROM outdated")}


def _publish_fetched(con: duckdb.DuckDBPyConnection, files: Sequence[Path], run: Run) -> None:
    """Remember what was fetched in the very commit that stores it; of one day what reaches further stays."""
    same = "t.source = s.source AND t.query = s.query AND t.day = s.day"
    con.execute(f"CREATE OR REPLACE TEMP TABLE staged_fetched AS FROM {parquet(files)}")
    con.execute(
        f"DELETE FROM raw.fetched AS t USING staged_fetched AS s WHERE {same} AND (s.until >= t.until OR s.complete)"
    )
    con.execute(
        "INSERT INTO raw.fetched BY NAME SELECT *, $run_id AS run_id FROM staged_fetched"
        " ANTI JOIN raw.fetched USING (source, query, day) ORDER BY ALL",
        {"run_id": run.run_id},
    )


def publish_rejects(con: duckdb.DuckDBPyConnection, files: Sequence[Path], run: Run) -> None:
    """What was refused, numbered over all files of the run; that of a source's file replaces what it was."""
    if files:
        con.execute(
            f"DELETE FROM raw.rejects AS r USING {parquet(files)} AS s"
            " WHERE r.run_id = $run_id AND r.source = s.source AND r.file = s.file",
            {"run_id": run.run_id},
        )
        con.execute(
            f"""
            INSERT INTO raw.rejects
            SELECT $run_id, (SELECT coalesce(max(row), 0) FROM raw.rejects WHERE run_id = $run_id)
                       + row_number() OVER (ORDER BY source, file, file_row, reason, detail),
                   source, file, file_row, reason, detail
            FROM {parquet(files)}
            ORDER BY ALL
            """,
            {"run_id": run.run_id},
        )
