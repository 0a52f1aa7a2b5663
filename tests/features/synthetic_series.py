"""Synthetic series of each kind, hourly, from a seed."""

from datetime import datetime

import numpy as np

from features.grid import Grid

AS_OF = datetime(2026, 6, 1)
HOURS = 60 * 24
T = np.arange(-HOURS, 0)  # hours counted from as_of, as everywhere


def tooth(lengths: list[int], per_hour: float) -> np.ndarray:
    """Climbs of these lengths, the last of them ending at as_of, each back to zero at once."""
    climbs = np.concatenate([np.arange(n) * per_hour for n in lengths])
    return climbs[-HOURS:]


def cycles(every: int, height: float) -> np.ndarray:
    return tooth([every] * (HOURS // every + 1), height / every)


def kinds(seed: int) -> dict[str, np.ndarray]:
    """Series by the name of what they are; what comes before ':' is the shape they should be given."""
    rng = np.random.default_rng(seed)
    noise = lambda sd: rng.normal(0, sd, HOURS)  # noqa: E731
    rhythm = np.sin(2 * np.pi * T / 24)
    weekend = (T // 24) % 7 < 2
    hour = T % 24
    irregular = [*rng.integers(60, 300, 20).tolist(), 100]
    gappy = rng.random(HOURS) < 0.3
    spikes = np.zeros(HOURS)
    for start in rng.choice(HOURS - 10, 12, replace=False):
        spikes[start : start + rng.integers(1, 4)] = rng.uniform(10, 40)
    disk = 40 + cycles(168, 20) + noise(0.2)
    return {
        "constant": np.full(HOURS, 3.3),
        "noisy": 40 + noise(1),
        "noisy: with spikes": 30 + noise(1) + spikes,
        "flat: but for spikes": 30 + spikes,
        "wandering": 40 + 3 * np.sin(T / 30 + seed) + 2 * np.sin(T / 12 + seed) + noise(0.2),
        "seasonal: daily": 50 + 10 * rhythm + noise(2),
        "seasonal: with gaps": np.where(gappy, np.nan, 50 + 10 * rhythm + noise(2)),
        "seasonal: weekly": 50 + 10 * weekend + noise(1),
        "seasonal: nightly batch": 20 + 40 * (hour < 5) + noise(1),
        "seasonal: office": 20 + np.where(weekend | (hour > 9), 0, 3.0 * hour) + noise(1),
        "seasonal: long batch": 20 + 30 * (hour < 18) + noise(1),
        "trend": 50 + 0.02 * np.arange(HOURS) + noise(0.5),
        "trend: with rhythm": 50 + 0.05 * np.arange(HOURS) + 5 * rhythm + noise(0.5),
        "trend: down": 50 - 0.02 * np.arange(HOURS) + noise(0.5),
        "trend: young": 50 + np.maximum(0, T + 120) * 0.2 + noise(0.5),
        "sawtooth: daily": 50 + cycles(24, 20) + noise(0.5),
        "sawtooth: every 36 h": 50 + cycles(36, 20) + noise(0.5),
        "sawtooth: with rhythm": 50 + cycles(24, 20) + 3 * rhythm + noise(0.5),
        "sawtooth: with gaps": np.where(gappy, np.nan, 50 + cycles(24, 20) + noise(0.5)),
        "sawtooth: weekly clean-up": disk,
        "leak_with_resets: daily restarts": 50 + cycles(24, 20) + 0.05 * np.arange(HOURS) + noise(0.5),
        "leak_with_resets: irregular": 50 + tooth(irregular, 0.2) + noise(0.4),
        "leak_with_resets: one clean-up": 30 + tooth([HOURS - 300, 300], 0.03) + noise(0.1),
        "counter": tooth([500, 300, 900, 200], 100.0),
        "step: up": 50 + 10 * (T >= -200) + noise(1),
        "step: down under a rhythm": 50 - 10 * (T >= -200) + 3 * rhythm + noise(1),
        "trend: every six hours": np.where(T % 6 == 0, 50 + 0.02 * np.arange(HOURS) + noise(0.5), np.nan),
        "trend: a certificate, daily": np.where(T % 24 == 5, 30 - T / 24, np.nan),
        "warm_up: after a deploy": 80 - 30 * np.exp(-np.where(T < -60, np.inf, T + 60) / 25) + noise(0.4),
        "warm_up: a cache since it began": np.where(T < -500, np.nan, 80 - 60 * np.exp(-(T + 500) / 200) + noise(0.8)),
        "staircase": 20 + 5 * np.searchsorted([100, 260, 500, 640, 900, 1180, 1300], np.arange(HOURS)) + noise(0.3),
        "sawtooth: every six hours": 50 + cycles(6, 20) + noise(0.3),
        "sawtooth: every ten days": 50 + cycles(240, 20) + noise(0.3),
        "sparse": np.where(T % 6 == 0, 50 + noise(0.5), np.nan),
        "too_short": np.where(T >= -50, 40 + noise(1), np.nan),
    }


def grid_of(rows: list[np.ndarray]) -> Grid:
    return Grid(np.arange(len(rows), dtype=np.uint64), AS_OF, np.array(rows))
