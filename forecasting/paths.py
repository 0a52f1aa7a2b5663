"""Sample paths: what every model gives, and quantiles of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecasting.history import DAY, Scale

WIDENED, MOST_WIDENED = 1.5, 1.2  # see `widened`
ROUNDING = 1e-6  # of weights that should sum to a share


@dataclass(frozen=True)
class Paths:
    """N weighted futures of S series over the H hours from as_of. Column h is the hour that begins h hours after as_of.

    values: float32 [S, N, H], unit-free (see `scale`), finite.
    weights: float32 [S, N], each row sums to 1.
    level: float64 [S], unit-free, where the series stands at as_of.
    scale: how to get back to the series' own units.
    evidence: float64 [S, K], how much the paths rest on the stretch of the past that began k + 1 days before as_of;
        each row sums to 1.
    """

    values: np.ndarray
    weights: np.ndarray
    level: np.ndarray
    scale: Scale
    evidence: np.ndarray

    def take(self, rows: np.ndarray) -> Paths:
        return Paths(
            self.values[rows], self.weights[rows], self.level[rows], self.scale.take(rows), self.evidence[rows]
        )

    def worth(self, hours: int) -> np.ndarray:
        """float64 [S]: how many independent futures of so many hours the paths are worth; at least 1.

        Stretches that overlap are correlated by the share of the hours that they have in common, so the variance of
        their weighted mean is that of n independent ones (the variance of overlapping sums: Hansen & Hodrick, 1980).
        """
        K = self.evidence.shape[1]
        variance = np.square(self.evidence).sum(axis=1)
        for apart in range(1, min(K, -(-hours // DAY))):
            common = 1 - apart * DAY / hours
            variance = variance + 2 * common * (self.evidence[:, apart:] * self.evidence[:, :-apart]).sum(axis=1)
        return np.maximum(1.0, 1 / variance)

    def within(self, minimum: np.ndarray, maximum: np.ndarray) -> Paths:
        """The same paths kept between bounds [S] in the series' own units; infinite where there are none."""
        low, high = (_unitless(bound, self.scale) for bound in (minimum, maximum))
        return replace(self, values=np.clip(self.values, low, high))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of weighted samples: the least value that has the share of the weight at or below it.

    There is no interpolation (type 1 of Hyndman & Fan, 1996): between a common value and one of hardly any weight it
    would invent what no path said.

    Args:
        values: [S, N, H]. weights: [S, N], sums to 1. shares: [S, Q, H] (or H of 1) in [0, 1], ascending along Q.

    Returns:
        [S, Q, H], never decreasing along Q.
    """
    order = np.argsort(values, axis=1, kind="stable")
    weight = np.take_along_axis(np.broadcast_to(weights[:, :, None], values.shape), order, axis=1)
    below = np.cumsum(weight, axis=1, dtype=np.float64)
    last = values.shape[1] - 1
    at = [(below < shares[:, q, None, :] - ROUNDING).sum(axis=1) for q in range(shares.shape[1])]
    chosen = np.take_along_axis(order, np.minimum(np.stack(at, axis=1), last), axis=1)
    return np.take_along_axis(values, chosen, axis=1).astype(np.float64)


def widened(shares: tuple[float, ...], worth: np.ndarray) -> np.ndarray:
    """[S, Q, H]: where quantiles must be read off `worth` [S, H] samples for a new value to be below them as promised.

    Few samples are sure to miss the tails, so both sides of the median are widened by 1 + 1.5 / n^2, to `MOST_WIDENED`
    at most. The law was measured: over held-out weeks of real fleets and of simulated series alike, bands read off six
    or more independent pasts hold what they promise as they are, those off two or three hold a tenth less. The
    correction of split conformal prediction, (n + 1) / n (Lei et al., 2018), is that of interpolated quantiles of as
    many different values; here it made bands of 80 % hold up to 89. ``tests/bench/coverage.py`` measures it anew.
    """
    share = np.asarray(shares)[None, :, None]
    return 0.5 + (share - 0.5) * np.minimum(1 + WIDENED / np.square(worth), MOST_WIDENED)[:, None, :]


def _unitless(bound: np.ndarray, scale: Scale) -> np.ndarray:
    return scale.standardise(bound).astype(np.float32)[:, None, None]
