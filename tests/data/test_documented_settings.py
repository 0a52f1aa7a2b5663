"""Settings that the documentation shows are settings."""

import re
from pathlib import Path

import pytest

from pipelines.settings import parse

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("page", ["signals.md", "maintenance.md", "distribution.md"])
def test_what_the_documentation_shows_can_be_copied(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AM_TOKEN", "secret")
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    monkeypatch.setenv("CHAT_WEBHOOK", "https://hooks.example.com/secret")
    monkeypatch.setenv("SIGNING_KEY", "secret")
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        assert parse(block, DOCS)
