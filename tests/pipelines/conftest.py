from datetime import datetime
from pathlib import Path

import pytest
from publisher import Publisher

from pipelines.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "site", patience_s=0)
    made.migrate()
    return made


@pytest.fixture
def publisher(warehouse: Warehouse, tmp_path: Path) -> Publisher:
    return Publisher(warehouse, tmp_path)


@pytest.fixture
def as_of() -> datetime:
    return datetime(2026, 3, 1)
