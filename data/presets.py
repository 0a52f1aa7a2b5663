"""Signal presets: ready-made signals that settings name, so that nobody has to write the well-known ones again.

Belongs here: reading ``data/presets/*.yaml``, one list of signals a file. Not here: which series a signal matches
(``features.signals``), or which presets a fleet uses (its settings).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import yaml

from features.signals import Signal

FOLDER = Path(__file__).parent / "presets"


@cache
def all_presets() -> dict[str, Signal]:
    """Every preset by its name, in the order of the files and of the lists in them.

    Raises:
        ValueError: two presets share a name.
    """
    found: dict[str, Signal] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for fields in yaml.safe_load(path.read_text(encoding="utf-8")):
            signal = Signal.model_validate(fields)
            if signal.name in found:
                raise ValueError(f"{path.name}: a second preset is called {signal.name!r}; give each its own name")
            found[signal.name] = signal
    return found


def load_presets(names: Sequence[str]) -> list[Signal]:
    """The presets of these names, in their order.

    Raises:
        ValueError: a name is unknown; the message lists the nearest ones.
    """
    known = all_presets()
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
            raise ValueError(f"unknown preset {name!r}; did you mean {' or '.join(near)}?")
    return [known[name] for name in names]
