"""What all tests share: how hard hypothesis tries, and what tests about bytes are called.

`HYPOTHESIS_PROFILE=thorough make test` tries far harder; `steady`, which CI runs, tries the same examples each time, so
that a commit passes or fails and never does both.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("steady", max_examples=15, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=250, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes by their length: gzip writes the time into them, and parallel workers must agree on the tests' names."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
