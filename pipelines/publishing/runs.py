"""The record of runs, main.runs: one finished run a night, and what became of the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from pipelines.publishing.sql import one


@dataclass(frozen=True)
class Run:
    """One execution of the nightly job."""

    run_id: str
    as_of: datetime
    started_at: datetime
    versions: Mapping[str, str] = field(default_factory=dict)


def newest_night(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """The newest as_of whose results are published."""
    return one(con, "SELECT max(as_of) FROM main.runs WHERE status IN ('done', 'stale')")


def night_before(con: duckdb.DuckDBPyConnection, as_of: datetime) -> datetime | None:
    """The newest as_of before `as_of` whose results are published."""
    query = "SELECT max(as_of) FROM main.runs WHERE status IN ('done', 'stale') AND as_of < $as_of"
    return con.execute(query, {"as_of": as_of}).fetchall()[0][0]


def begin_run(con: duckdb.DuckDBPyConnection, run: Run, counts: Mapping[str, int]) -> None:
    """Record a run that has begun. It supersedes unfinished runs of its night, not its published results."""
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


def finish_run(con: duckdb.DuckDBPyConnection, run: Run, counts: Mapping[str, object]) -> None:
    """The night's record: one finished run a night; the rejects of a run that it replaces go with it."""
    if not is_known(con, run):
        _take_over(con, run)
    other = "SELECT run_id FROM main.runs WHERE as_of = $as_of AND run_id <> $run_id"
    key = {"as_of": run.as_of, "run_id": run.run_id}
    con.execute(f"DELETE FROM raw.rejects WHERE run_id IN ({other})", key)
    con.execute("DELETE FROM main.runs WHERE as_of = $as_of AND run_id <> $run_id", key)
    con.execute(
        "UPDATE main.runs SET status = 'done', note = NULL, finished_at = $now, counts = $counts"
        " WHERE run_id = $run_id",
        {"run_id": run.run_id, "now": now(), "counts": json.dumps(dict(counts), sort_keys=True, default=str)},
    )


def is_known(con: duckdb.DuckDBPyConnection, run: Run) -> bool:
    return bool(con.execute("SELECT 1 FROM main.runs WHERE run_id = $run_id", {"run_id": run.run_id}).fetchall())


def _take_over(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """A retry from the point of failure has no first commit of its own: it continues its night's unfinished run."""
    key = {"as_of": run.as_of, "run_id": run.run_id}
    unfinished = "SELECT run_id FROM main.runs WHERE as_of = $as_of AND status NOT IN ('done', 'stale')"
    con.execute(f"UPDATE raw.rejects SET run_id = $run_id WHERE run_id IN ({unfinished})", key)
    begin_run(con, run, {})


def record_failure(con: duckdb.DuckDBPyConnection, run: Run, error: str) -> None:
    """Say in main.runs that the run failed; what was published before stays whole."""
    if not is_known(con, run):
        begin_run(con, run, {})
    con.execute(
        "UPDATE main.runs SET status = 'failed', finished_at = $now, note = $error"
        " WHERE run_id = $run_id AND status = 'ingested'",
        {"run_id": run.run_id, "now": now(), "error": error[:1000]},
    )


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
