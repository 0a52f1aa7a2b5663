"""The two kinds of names that settings may hold, and what is wrong with others."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except Exception as error:  # zoneinfo raises five unrelated types for names it does not like
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin") from error
    return name


def _safe_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ValueError(f"{name!r} must be 1-64 letters, digits, '.', '_' or '-', starting with a letter or digit")
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
Name = Annotated[str, AfterValidator(_safe_name)]
