from datetime import datetime
from pathlib import Path

import pytest

from pipelines.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "site", patience_s=0)
    made.migrate()
    return made


@pytest.fixture
def as_of() -> datetime:
    return datetime(2026, 3, 1)
