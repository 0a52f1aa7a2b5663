"""How far to believe the crossing model: what climbs in a straight line may be called, the rest comes in waves.

Belongs here: what of its logits is believed. Not here: how plainly a series climbs (``forecasting.learnt.lines``), or
the calibration by a fleet's own past (``forecasting.learnt.calibration``).

On fleets left out, what a prior says of straight climbs comes true as often as it says or more, and of all else less:
bursts and waves of load are other in every fleet, and other next week than in the weeks that taught a fleet's own
layer, however many lessons those held. So twice something is taken away from what does not climb: a fifth of the
prior's logits, and at the end of what lies at the top of the scale, where the limit was not reached in the week before.
What was reached is a rhythm, and comes as often as it is said. A further limit is never less doubted, so both keep the
order of limits.
"""

from __future__ import annotations

import numpy as np

BELIEF = 0.8  # in what a prior says of all else; 0.75 to 0.85 do as well
USUAL = -2.5  # logits: what that comes down to without belief, 1 in 13
DOUBT = 0.8  # of the logits above `HIGH`, of news; 0.6 to 0.9 do nearly as well
HIGH = -0.5  # logits: 38 %


def tempered(logits: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """float64 [N, len(HORIZONS)]: what of a prior's logits is believed."""
    belief = BELIEF + (1 - BELIEF) * plain[:, None]
    return USUAL + belief * (logits - USUAL)


def doubted(logits: np.ndarray, plain: np.ndarray, news: np.ndarray) -> np.ndarray:
    """float64 [N, len(HORIZONS)]: what of the model's logits is said.

    Args:
        news: bool [N] (``forecasting.learnt.questions.is_news``).
    """
    doubt = DOUBT * (1 - plain) * news
    return logits - doubt[:, None] * np.maximum(logits - HIGH, 0.0)
