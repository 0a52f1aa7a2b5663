"""Point models with the errors they made, weighted by how well they did: the model that scores every series.

Two kinds of weight, both per series:

* *Of an origin*, whose errors are laid on tonight's forecast: more if it is recent, and more if the series then stood
  where it stands tonight, moved as it moves, and was as restless. The second is what makes a sawtooth harmless: from
  near its ceiling it has always fallen, and errors from its floor say nothing about that. How near is near is set by
  the twenty nearest origins (a kernel of adaptive width), so that a state never seen before does not rest on one lucky
  neighbour.
* *Of a member*: by the spread of its errors a day, three days and a week ahead, from origins weighted as above (half of
  Gini's mean difference: the CRPS of an ensemble dressed with its own past errors, Gneiting & Raftery, 2007). With
  restraint: simple members start with more, and evidence counts half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.history import DAY, History
from forecasting.models.base import PointModel, errors
from forecasting.paths import Paths

ERROR_HALF_LIFE_DAYS = 28
LOSS_HALF_LIFE_DAYS = 14  # shorter: a fresh leak is believed when lines have been right about its last days
NEIGHBOURS = 20  # three weeks' worth of them, since their stretches overlap
NEAREST, FURTHEST = 0.05, 0.5  # of the spread: closer states are the same, further ones say little
RISE_DAYS = 3  # a state is a level against its usual, how it changed over so many days, and the week's unrest
LEADS = (24, 72, 168)
EVIDENCE = 0.5
DAYS_APART = 3  # origins so far apart count as independent, on average over the leads
PRECISION = 0.003  # of the spread: smaller losses are equally good
FEWEST_TEST_ORIGINS = 7  # a cut is worth testing with so many settled origins before it


@dataclass(frozen=True)
class Ensemble:
    """Members and how much each is believed before any evidence."""

    name: str
    members: tuple[PointModel, ...]
    belief: tuple[float, ...]

    def paths(self, history: History) -> Paths:
        return self.fit(history).paths()

    def fit(self, history: History) -> Fitted:
        forecasts = [member.forecast(history) for member in self.members]
        outcome = history.after()
        return Fitted(history, forecasts, [errors(history, forecast, outcome) for forecast in forecasts], self.belief)


@dataclass(frozen=True)
class Fitted:
    """Forecasts and errors of every member, from which paths follow for as_of and for any past cut.

    A *cut* is a past origin that plays as_of, in days ago; 0 is as_of itself. What is said at a cut rests on hours
    before the cut alone.
    """

    history: History
    forecasts: Sequence[np.ndarray]  # [S, 1 + K, H] each
    errors: Sequence[np.ndarray]  # [S, K, H] each
    belief: tuple[float, ...]

    def paths(self, cut: int = 0) -> Paths:
        """Paths from `cut`. Each row has at least one origin's worth of weight."""
        first = cut + self._settled_days if cut else 1  # tonight, unsettled stretches are completed: models.base.errors
        weights = self._origin_weights(cut, first, ERROR_HALF_LIFE_DAYS)
        values = np.concatenate(
            [f[:, cut, None, :] + e[:, first - 1 :] for f, e in zip(self.forecasts, self.errors, strict=True)], axis=1
        )
        shares = self.member_weights(cut)
        joint = (shares[:, :, None] * weights[:, None, :]).reshape(len(weights), -1)
        present, scale = self.history.present[:, cut], self.history.scale
        return Paths(values, joint.astype(np.float32), present, scale, weights)

    def cuts(self, wanted: Sequence[int]) -> list[int]:
        """Those of `wanted` that leave origins enough to speak from."""
        needed = self._settled_days + FEWEST_TEST_ORIGINS
        return [cut for cut in wanted if cut + needed <= self.history.origins]

    def has(self, cut: int) -> np.ndarray:
        """Whether a series was observed at `cut` and at enough origins before to be tested there; bool [S]."""
        usable = self.history.usable
        before = np.count_nonzero(usable[:, cut + self._settled_days :], axis=1)
        return usable[:, cut] & (before >= FEWEST_TEST_ORIGINS)

    @property
    def _settled_days(self) -> int:
        """How many days before a past cut an origin must lie for its whole stretch to end before the cut."""
        return -(-self.history.horizon_h // DAY)

    def member_weights(self, cut: int = 0) -> np.ndarray:
        """float64 [S, M], each row sums to 1."""
        age = np.arange(1, self.history.origins + 1) - cut
        weight = self._origin_weights(cut, cut + 1, LOSS_HALF_LIFE_DAYS)
        losses = []
        for error in self.errors:
            per_lead = []
            for lead in LEADS:
                settled = (age * DAY >= lead) & (lead <= self.history.horizon_h)
                late = error[:, settled, lead - DAY : lead].mean(axis=2, dtype=np.float64)
                per_lead.append(_spread(late, weight[:, settled[cut:]]))
            losses.append(np.log(PRECISION + np.stack(per_lead)).mean(axis=0))
        loss = np.stack(losses, axis=1)
        worth = _kish(weight)
        logit = -EVIDENCE / DAYS_APART * worth[:, None] * (loss - loss.min(axis=1, keepdims=True)) + np.log(self.belief)
        share = np.exp(logit - logit.max(axis=1, keepdims=True))
        return share / share.sum(axis=1, keepdims=True)

    def _origin_weights(self, cut: int, first: int, half_life: float) -> np.ndarray:
        """float64 [S, n]: of the origins from `first` on; each row sums to 1."""
        age = np.arange(first, self.history.origins + 1) - cut
        weight = self.history.usable[:, first:] * 0.5 ** (age / half_life) * self._alike(cut, first)
        weight[:, 0] += weight.sum(axis=1) == 0  # nothing usable: the newest stretch, however gappy
        return weight / weight.sum(axis=1, keepdims=True)

    def _alike(self, cut: int, first: int) -> np.ndarray:
        """float64 [S, n]: 1 for an origin in the state of the cut, 1/2 for one as far away as the twentieth nearest."""
        level = self.history.present
        earlier = level[:, np.minimum(np.arange(level.shape[1]) + RISE_DAYS, level.shape[1] - 1)]
        states = (level - self.history.usual, level - earlier, self.history.unrest)
        square = sum(np.square(state[:, first:] - state[:, cut, None]) for state in states)
        usable = np.where(self.history.usable[:, first:], np.nan_to_num(square, nan=np.inf), np.inf)
        ordered = np.sort(usable, axis=1)
        seen = np.count_nonzero(np.isfinite(ordered), axis=1)
        reach = np.take_along_axis(ordered, np.clip(seen, 1, NEIGHBOURS)[:, None] - 1, axis=1)
        width = np.clip(reach, NEAREST**2, FURTHEST**2)
        return np.exp2(-usable / width)


def _spread(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[S]: half of Gini's mean difference of weighted values [S, n]; 0 where there are none."""
    if values.shape[1] == 0:
        return np.zeros(len(values))
    apart = np.abs(values[:, :, None] - values[:, None, :])
    total = np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
    weight = weights / total[:, None]
    return 0.5 * ((apart * weight[:, None, :]).sum(axis=2) * weight).sum(axis=1)


def _kish(weights: np.ndarray) -> np.ndarray:
    """[S]: how many equal weights these are worth (Kish, 1965); 0 where all are zero."""
    square = np.square(weights).sum(axis=1)
    return np.where(square > 0, np.square(weights.sum(axis=1)) / np.where(square > 0, square, 1.0), 0.0)
