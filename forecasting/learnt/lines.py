"""How plainly a series climbs: in a straight line that never falls back, or by its shape.

Belongs here: that one number, between nothing and all. Not here: what is concluded from it: which trees answer
(``forecasting.learnt.model``), and how far they are believed (``forecasting.learnt.belief``).

It never asks for the limit, so whatever is mixed by it keeps the order of limits.
"""

from __future__ import annotations

import numpy as np

from forecasting.learnt.questions import NAMES
from forecasting.learnt.turns import TURNS_D

CLIMBS = ("trend", "leak_with_resets", "staircase", "counter", "warm_up", "sparse", "")  # "": not looked at
STRAIGHT = 0.8, 0.95  # of the climb that its line explains: from here on a little, from here on all
FELL_BACK = 0.3, 0.1  # of what it rose: up to here a little, up to here all
YOUNGEST_D = 1  # a line of less than a day is none yet

_FITS, _FALLS, _AGES = ([NAMES.index(f"turn_{name}_{days}d") for days in TURNS_D] for name in ("fit", "fell", "age"))


def straightness(known: np.ndarray) -> np.ndarray:
    """float64 [N] in [0, 1]: how plainly a series has followed a rising line since it last turned.

    Args:
        known: float32 [N, len(NAMES)], see ``forecasting.learnt.questions``.
    """
    fits, falls = _share(known[:, _FITS], *STRAIGHT), _share(known[:, _FALLS], *FELL_BACK)
    return (fits * falls * (known[:, _AGES] >= YOUNGEST_D)).max(axis=1)


def plainness(known: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """float64 [N] in [0, 1]: how plainly a series climbs, by its shape or by its line.

    Args:
        known: float32 [N, len(NAMES)]. shape: str [N] (``features.shapes``).
    """
    return np.where(np.isin(shape, CLIMBS), 1.0, straightness(known))


def _share(value: np.ndarray, none: float, all_: float) -> np.ndarray:
    """0 at `none`, 1 at `all_`, and straight in between; 0 where not known."""
    return np.nan_to_num(np.clip((value.astype(np.float64) - none) / (all_ - none), 0.0, 1.0))
