from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipelines.build import build_defs
from pipelines.settings import parse

ROOT = Path(__file__).parent.parent.parent
BERLIN = "calendar: {time_zone: Europe/Berlin, nightly_at: '02:30', first_night: 2026-01-01}"


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(parse(BERLIN, Path("nowhere")))


def test_the_code_location_loads_without_touching_the_site(defs: dg.Definitions):
    dg.Definitions.validate_loadable(defs)
    assert not Path("nowhere").exists()


def test_every_asset_belongs_to_a_room_and_is_described(defs: dg.Definitions):
    for spec in defs.resolve_all_asset_specs():
        assert spec.group_name in {"ingest", "features", "forecasting", "reports"}
        assert spec.description, spec.key


def test_lineage_runs_from_samples_to_tickets(defs: dg.Definitions):
    graph = defs.resolve_asset_graph()
    found, todo = set(), [dg.AssetKey(["reports", "tickets"])]
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += graph.get(key).parent_keys
    assert {
        dg.AssetKey(["staged", "metrics"]),
        dg.AssetKey(["raw", "samples"]),
        dg.AssetKey(["forecasting", "risks"]),
    } <= found


def test_unsound_tables_stop_the_run_and_untrustworthy_ones_warn(defs: dg.Definitions):
    graph = defs.resolve_asset_graph()
    blocking: dict[bool, set[str]] = {True: set(), False: set()}
    for key in graph.asset_check_keys:
        blocking[graph.get_check_spec(key).blocking].add(key.asset_key.to_user_string())
    assert blocking[True] == {
        "staged/metrics", "staged/incidents", "features/hourly", "forecasting/risks", "reports/ticket_events",
    }  # fmt: skip
    assert blocking[False] == {"forecasting/calibration", "forecasting/models", "forecasting/settlements"}


@pytest.mark.parametrize(
    ("tick", "night"),
    [
        (datetime(2026, 6, 1, 0, 30), "2026-06-01"),  # 02:30 in Berlin, in summer
        (datetime(2026, 3, 29, 1, 30), "2026-03-29"),  # that day 02:30 does not exist in Berlin
        (datetime(2026, 10, 25, 1, 30), "2026-10-25"),
    ],
)
def test_the_schedule_runs_the_night_that_has_just_begun(defs: dg.Definitions, tick: datetime, night: str):
    schedule = defs.resolve_schedule_def("nightly_schedule")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance,
            scheduled_execution_time=tick.replace(tzinfo=UTC),
            repository_def=defs.get_repository_def(),
        )
        requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests or []] == [night]


def test_the_schedule_is_off_unless_the_environment_says_on(monkeypatch):
    settings = parse(BERLIN, Path("nowhere"))
    assert build_defs(settings).resolve_schedule_def("nightly_schedule").default_status.value == "STOPPED"
    monkeypatch.setenv("FOREWARN_SCHEDULE", "on")
    assert build_defs(settings).resolve_schedule_def("nightly_schedule").default_status.value == "RUNNING"


def test_whatever_writes_the_warehouse_waits_in_one_pool(defs: dg.Definitions):
    writers = {
        definition.node_def.name
        for definition in defs.assets or []
        if isinstance(definition, dg.AssetsDefinition) and "warehouse" in definition.op.pools
    }
    assert writers == {"published_raw", "main__runs", "reports__tickets", "reports__distribution", "main__snapshot"}


def test_the_instance_template_is_quiet_and_serial():
    template = yaml.safe_load((ROOT / "pipelines" / "deploy" / "dagster.yaml").read_text())
    assert template["telemetry"] == {"enabled": False}
    assert template["concurrency"]["pools"]["default_limit"] == 1


def test_workspace_names_the_same_definitions():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace["load_from"][0]["python_module"]["module_name"] == "pipelines.definitions"
