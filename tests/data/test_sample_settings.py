"""The settings that users copy, and their agreement with the fleet that they describe."""

import pytest

from data.fleet import truth
from data.fleet.clock import AS_OF, HOLIDAYS, ZONE
from data.fleet.lives import DESKS
from data.fleet.roster import roster
from pipelines import settings
from pipelines.settings import SAMPLE, Settings
from pipelines.source_options import MetricFiles
from reports.services import service_of


@pytest.fixture(scope="module")
def sample() -> Settings:
    return settings.load(SAMPLE)


def test_it_is_the_sample_that_runs_by_default(sample: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOREWARN_CONFIG", raising=False)
    assert settings.is_sample(settings.load())
    assert sample.root == (SAMPLE.parent.parent / "run").resolve()


def test_its_home_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREWARN_HOME", "/srv/forewarn")
    moved = settings.load(SAMPLE)
    assert str(moved.root) == "/srv/forewarn"
    (files,) = moved.sources.metrics
    assert isinstance(files, MetricFiles) and files.paths == ["/srv/forewarn/fleet/metrics/*.parquet"]


def test_it_ends_when_the_fleet_ends(sample: Settings) -> None:
    assert sample.calendar.as_of is not None
    assert sample.zone == ZONE
    assert settings.cut(sample.calendar.as_of, sample.zone) == AS_OF
    assert set(sample.calendar.holidays) == set(HOLIDAYS.tolist())


def test_every_entity_has_a_service_and_every_service_an_owner(sample: Settings) -> None:
    for row in roster():
        assert service_of(row.entity, sample.services), row.entity
    names = {service.name for service in sample.services}
    for service in sample.services:
        assert service.owner
        assert service.tier
        assert service.runbook
        assert service.runbook.startswith("https://runbooks.example.com/")
        assert set(service.depends_on) <= names


def test_incidents_and_settings_know_the_same_services(sample: Settings) -> None:
    by_name = {service.name: service for service in sample.services}
    for desk in DESKS:
        assert by_name[desk.service].owner == desk.team
        for entity in desk.entities:
            found = service_of(entity, sample.services)
            assert found is not None
            assert found.name == desk.service


def test_the_truth_is_about_the_limits_of_these_settings(sample: Settings) -> None:
    assert list(truth.sample_signals()) == sample.signals.all


def test_every_signal_watches_something(sample: Settings) -> None:
    for signal in sample.signals.all:
        assert any(signal.matches(row.entity, row.metric, row.labels) for row in roster()), signal.name
