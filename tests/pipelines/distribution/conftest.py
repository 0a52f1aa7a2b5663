from __future__ import annotations

from pathlib import Path

import pytest
from mail_server import make_certificate

from pipelines.sources import http


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long a client would have waited."""
    waits: list[float] = []
    monkeypatch.setattr(http, "sleep", waits.append)
    return waits
