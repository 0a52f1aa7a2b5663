"""One sample fleet for all tests of this room: simulated once, written once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data import sample_fleet
from data.fleet.simulation import Fleet, Series, simulate


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return simulate(sample_fleet.SEED)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "fleet"
    sample_fleet.generate(folder)
    return folder


@pytest.fixture(scope="session")
def one(fleet: Fleet) -> Callable[..., Series]:
    """The series of an entity and a metric, and of some labels where that is not enough."""

    def find(entity: str, metric: str, **labels: str) -> Series:
        found = [
            s
            for s in fleet.series
            if (s.row.entity, s.row.metric) == (entity, metric) and labels.items() <= s.row.labels.items()
        ]
        assert len(found) == 1, (entity, metric, labels)
        return found[0]

    return find
