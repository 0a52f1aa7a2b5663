"""From the lessons of many fleets to a prior: what each lesson counts for.

Belongs here: the mixture. Not here: where lessons come from (``data.prior.fleets``, ``data.prior.measured``), or how
trees are grown (``forecasting.learnt.learning``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from data.prior.measured import Measured
from forecasting.learnt.learning import learn_prior
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import Prior

MANY = 6000  # lessons of one file; with more, each counts for less


def build(simulated: Lessons, climbs: Lessons, measured: Mapping[Measured, Lessons]) -> Prior:
    """A prior from simulated fleets and measured ones; the same for the same lessons in the same order.

    Args:
        climbs: further simulated lessons, about straight climbs alone.
    """
    weight = np.concatenate([np.ones(len(simulated)), *map(_weight, measured.values())])
    about = _about(simulated, climbs, measured)
    return learn_prior(_joined([simulated, *measured.values()]), weight, _joined([climbs, *measured.values()]), about)


def _weight(lessons: Lessons) -> np.ndarray:
    """float64 [N]: a file's lessons grow in weight with the root of their number, so that no file drowns the others."""
    return np.full(len(lessons), min(1.0, np.sqrt(MANY / max(len(lessons), 1))))


def _joined(parts: list[Lessons]) -> Lessons:
    return Lessons(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Lessons)))


def _about(simulated: Lessons, climbs: Lessons, measured: Mapping[Measured, Lessons]) -> str:
    told = [f"simulated fleets ({len(simulated)} lessons, {len(climbs)} about straight climbs)"]
    return "; ".join(told + [f"{one.stem} ({len(lessons)}, {one.licence})" for one, lessons in measured.items()])
