"""What ``forewarn check`` finds: one line each, with the mend where there is a fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of ``forewarn check``."""

    level: Literal["ok", "note", "fault"]
    text: str
