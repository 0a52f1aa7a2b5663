"""PromQL as text: what is filled into a preset's expression before a server is asked."""

from __future__ import annotations

import re


def expanded(promql: str, step: str, matchers: str) -> str:
    """An expression with `$step` (such as 5m) and `$matchers` (such as cluster="prod", or nothing) filled in."""
    filled = promql.replace("$step", step).replace("$matchers", matchers)
    return filled if matchers else re.sub(r",\s*(?=})", "", re.sub(r"{\s*,\s*", "{", filled))
