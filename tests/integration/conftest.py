from pathlib import Path

import pytest
from small_fleet import Fleet, write_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return write_fleet(tmp_path / "site")
