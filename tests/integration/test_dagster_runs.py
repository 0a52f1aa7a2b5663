"""The job as Dagster runs it, without the forewarn command around it."""

from __future__ import annotations

import dagster as dg
import duckdb
import pytest
from small_fleet import Fleet

from pipelines.build import NIGHTLY, build_defs
from pipelines.settings import load

NIGHT = "2026-03-02"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize(fleet: Fleet) -> dg.ExecuteInProcessResult:
    job = build_defs(load(fleet.config)).resolve_job_def(NIGHTLY)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(partition_key=NIGHT, instance=instance, run_config=QUIET, raise_on_error=False)


def rows(fleet: Fleet, query: str) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        return con.sql(query).fetchall()


def test_a_fresh_root_needs_no_preflight(fleet: Fleet):
    assert materialize(fleet).success
    assert rows(fleet, "SELECT status FROM main.runs") == [("done",)]


@pytest.mark.parametrize("missing", ["metrics", "incidents"])
def test_a_site_of_metrics_or_incidents_alone_has_its_night(fleet: Fleet, missing: str):
    text = fleet.config.read_text()
    start = text.index(f"  {missing}:")
    end = text.index("\n", text.index("    - {name:", start)) + 1
    fleet.config.write_text(text[:start] + text[end:])
    assert materialize(fleet).success
    told = rows(fleet, "SELECT (SELECT count(*) FROM forecasting.risks), (SELECT count(*) FROM raw.incidents)")[0]
    assert (told[0] == 0, told[1] == 0) == (missing == "metrics", missing == "incidents")


def test_two_sources_may_deliver_the_same_series_and_incidents(fleet: Fleet):
    text = fleet.config.read_text()
    text = text.replace("incidents.csv]}", "incidents.csv], columns: {source: service}}\n    - {name: desk2, "
                        "paths: [incidents.csv], columns: {source: service}}")  # fmt: skip
    text = text.replace("metrics/*.csv]}", "metrics/*.csv]}\n    - {name: again, paths: [metrics/leaky.csv]}")
    fleet.config.write_text(text)
    assert materialize(fleet).success
    assert rows(fleet, "SELECT count(*) FROM raw.series") == [(5,)]
    assert rows(fleet, "SELECT count(*) FROM raw.incidents") == [(120,)]
