"""From sample paths to the share of them that cross a limit: the benchmark's definition, for peers that draw paths.

NumPy only: the statsforecast worker runs this in an environment of its own.
"""

from __future__ import annotations

import numpy as np

HORIZONS = (24, 72, 168)
PERSIST = 3  # consecutive hours at or above the limit make a crossing
AHEAD = HORIZONS[-1] + PERSIST - 1  # hours: a crossing that begins in the horizon may be confirmed just after it


def crossing_shares(paths: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """float64 [L, 3]: the share of paths [N, AHEAD] that begin a crossing of each limit [L] within each horizon."""
    if paths.shape[1] != AHEAD:
        raise ValueError(f"paths must be {AHEAD} hours long, not {paths.shape[1]}")
    held = np.minimum(np.minimum(paths[:, :-2], paths[:, 1:-1]), paths[:, 2:])
    highest = np.stack([held[:, :hours].max(axis=1) for hours in HORIZONS])
    return (highest[None] >= limits[:, None, None]).mean(axis=2)
