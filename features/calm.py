"""Series freed of unit, rhythm and gaps: what breaks and stairs are looked for in.

Belongs here: how restless a series is from sample to sample, and what counts as sudden beside that. Not here: what is
made of what is sudden (``features.breaks``, ``features.stairs``).

Everything is measured in samples, not hours, so that gaps and rare sampling change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import EXTREME, Standard, standardise
from features.samples import Samples
from features.seasonality import Season, find_season

NORMAL_Q90 = 1.2816  # the 90th percentile of a standard normal
TINY = 1e-9  # of a standardised series: float noise
STAIR = 0.25  # of a staircase's usual stair up is its noise, so that stairs are no noise and none stands out


@dataclass(frozen=True)
class Calm:
    """S series standardised (p95 - p5 is 1), without their rhythm and their gaps.

    samples: the values, packed.
    change: [S, P], from the sample before; 0 for the first, NaN after the last.
    drift: [S], the median change. noise: [S], its sd, deaf to a tenth of jumps.
    rhythm: [S], the range of the daily rhythm that was taken away.
    """

    samples: Samples
    change: np.ndarray
    drift: np.ndarray
    noise: np.ndarray
    rhythm: np.ndarray

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        season: Season | None = None,
        standard: Standard | None = None,
        samples: Samples | None = None,
    ) -> Calm:
        """Values [S, T], hourly, NaN where not observed; what else is known of them already need not be found again."""
        standard = standard if standard is not None else standardise(values)
        season = season if season is not None else find_season(values, standard)
        samples = samples if samples is not None else Samples.of(np.where(np.isfinite(values), values, np.nan))
        with np.errstate(over="ignore", invalid="ignore"):
            rhythm = season.removed_range / standard.scale
            calm = (season.remove(values) - standard.centre[:, None]) / standard.scale[:, None]
        samples = samples.pack(np.clip(calm, -EXTREME, EXTREME))
        change = np.diff(samples.packed, axis=1, prepend=samples.packed[:, :1])
        drift, noise = _restlessness(change, samples.count)
        return cls(samples, change, drift, noise, rhythm)

    def gradual(self, rows: np.ndarray, most: float) -> np.ndarray:
        """[len(rows), P]: the series as it would be had it never changed by more than `most` sds.

        Spikes cancel out, a jump hardly shows, and what is left is how far the series crept.
        """
        limit = (np.abs(self.drift) + most * self.noise)[rows, None]
        return np.cumsum(np.clip(self.change[rows], -limit, limit), axis=1)


def _restlessness(change: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and sd of changes [S, P]: the sd of those upwards, so that a tooth's falls do not count, however many."""
    S, P = change.shape
    if P == 0:
        return np.full(S, np.nan), np.full(S, TINY)
    ordered = np.sort(change, axis=1)
    every, last = np.arange(S), np.maximum(count - 1, 0)
    drift = (ordered[every, last // 2] + ordered[every, (last + 1) // 2]) / 2
    usual = (ordered[every, np.rint(0.9 * last).astype(np.int64)] - drift) / NORMAL_Q90
    rising = np.count_nonzero(change > (drift + TINY)[:, None], axis=1)
    stair = STAIR * (ordered[every, last - rising // 2] - drift)
    return drift, np.fmax(np.fmax(usual, np.where(rising > 0, stair, 0.0)), TINY)
