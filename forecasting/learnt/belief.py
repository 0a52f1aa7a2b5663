"""How far to believe the crossing model: what climbs in a straight line may be called, the rest comes in waves.

Belongs here: how plainly a series climbs, and what of its logits is believed. Not here: the calibration by a fleet's
own past (``forecasting.learnt.calibration``).

On fleets left out, what a prior says of straight climbs comes true as often as it says or more, and of all else less:
bursts and waves of load are other in every fleet, and other next week than in the weeks that taught a fleet's own
layer, however many lessons those held. So twice something is taken away from what does not climb: a fifth of the
prior's logits, and at the end of what lies at the top of the scale. Neither asks for the limit, so both keep the order
of limits.
"""

from __future__ import annotations

import numpy as np

from forecasting.learnt.questions import NAMES
from forecasting.learnt.turns import TURNS_D

CLIMBS = ("trend", "leak_with_resets", "staircase", "counter", "warm_up", "sparse", "")  # "": not looked at
STRAIGHT = 0.8, 0.95  # of the climb that its line explains: from here on a little, from here on all
FELL_BACK = 0.3, 0.1  # of what it rose: up to here a little, up to here all
BELIEF = 0.8  # in what a prior says of all else; 0.75 to 0.85 do as well
USUAL = -2.5  # logits: what that comes down to without belief, 1 in 13
DOUBT = 0.4  # of the logits above `HIGH`; 0.3 to 0.5 do as well
HIGH = -0.5  # logits: 38 %

_FITS, _FALLS, _AGES = ([NAMES.index(f"turn_{name}_{days}d") for days in TURNS_D] for name in ("fit", "fell", "age"))


def plainness(known: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """float64 [N] in [0, 1]: how plainly a series climbs, by its shape or by its line since it last turned.

    Args:
        known: float32 [N, len(NAMES)], see ``forecasting.learnt.questions``. shape: str [N].
    """
    straight = _share(known[:, _FITS], *STRAIGHT) * _share(known[:, _FALLS], *FELL_BACK) * (known[:, _AGES] >= 1)
    return np.where(np.isin(shape, CLIMBS), 1.0, straight.max(axis=1))


def tempered(logits: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """float64 [N, len(HORIZONS)]: what of a prior's logits is believed."""
    belief = BELIEF + (1 - BELIEF) * plain[:, None]
    return USUAL + belief * (logits - USUAL)


def doubted(logits: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """float64 [N, len(HORIZONS)]: what of the model's logits is said."""
    return logits - DOUBT * (1 - plain[:, None]) * np.maximum(logits - HIGH, 0.0)


def _share(value: np.ndarray, none: float, all_: float) -> np.ndarray:
    """0 at `none`, 1 at `all_`, and straight in between; 0 where not known."""
    return np.nan_to_num(np.clip((value.astype(np.float64) - none) / (all_ - none), 0.0, 1.0))
