"""What a past says about one limit: the predictors of the crossing model.

Belongs here: numbers about a question (a series at a moment, and a limit). Not here: the series alone
(``forecasting.learnt.past``), where limits come from, or what the numbers add up to (``forecasting.learnt.model``).

Whatever depends on the limit is a distance to it or a share of the past that got so far: it can only fall (or only
grow) as the limit rises. The model is held to that (`MONOTONE`), and with it the probability.
"""

from __future__ import annotations

import numpy as np

from features.robust import quantiles
from forecasting.history import DAY
from forecasting.learnt.past import FURTHEST, LINES_H, RISES_D, WEEK, Past, look
from forecasting.learnt.turns import TURNS_D
from forecasting.tables import HORIZONS

RECENT_HALF_LIFE_D = 7.0
DRIFT_HALF_LIFE_D = 14.0
PACES_D = (1, 3, 7)
LOOKED_AHEAD_D = tuple(horizon // DAY for horizon in HORIZONS[1:])
HIGHS_D = (1, 3, 7, 14, 28)
TOUCHED_D = (1, 3, 7, 28)
LONGEST_LOG_DAYS = np.log(FURTHEST)


def predictors(past: Past, row: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """float32 [N, len(NAMES)]: one row a question, NaN where not known.

    Args:
        past: of S series.
        row: [N], which series is asked about. limit: [N], in its own units (negated where the danger lies below); may
            be infinite.
    """
    named = _predictors(past, row, limit)
    return np.stack([named[name] for name in NAMES], axis=1).astype(np.float32)


def _predictors(past: Past, row: np.ndarray, limit: np.ndarray) -> dict[str, np.ndarray]:
    headroom = np.clip((limit - past.level[row]) / past.spread[row], -FURTHEST, FURTHEST)
    facts = {name: values[row] for name, values in past.facts.items()}
    reached = _reached(past, row, headroom)
    went, drifted = _went_so_far(past, row, headroom), _drifted(past, row, headroom)
    touched = _touched(past, row, headroom)
    return facts | {"headroom": headroom} | reached | touched | _projected(facts, headroom) | went | drifted


def _reached(past: Past, row: np.ndarray, headroom: np.ndarray) -> dict[str, np.ndarray]:
    """How near the limit the series has been, how often and when it was beyond."""
    highs = past.highs[row]
    known = ~np.isnan(highs)
    beyond = highs >= headroom[:, None]
    found = {f"high_{days}d": _highest(highs[:, :days]) - headroom for days in HIGHS_D}
    month = np.maximum(known[:, :28].sum(axis=1), 1)
    return found | {
        "high_ever": _highest(highs) - headroom,
        "days_since_beyond": np.where(beyond.any(axis=1), beyond.argmax(axis=1), highs.shape[1]).astype(float),
        "days_beyond_28": beyond[:, :28].sum(axis=1) / month,
        "days_beyond": beyond.sum(axis=1) / np.maximum(known.sum(axis=1), 1),
    }


def _touched(past: Past, row: np.ndarray, headroom: np.ndarray) -> dict[str, np.ndarray]:
    """How often single hours were beyond the limit, and how far: noise that touches a limit may come to stay there."""
    found: dict[str, np.ndarray] = {}
    for days in TOUCHED_D:
        hours = past.hours[:, -DAY * days :]
        known = np.maximum(np.count_nonzero(~np.isnan(hours), axis=1), 1)
        beyond = np.count_nonzero(hours[row] >= headroom[:, None], axis=1)
        found |= {
            f"hours_beyond_{days}d": beyond / known[row],
            f"peak_{days}d": _highest(hours)[row] - headroom,
        }
    return found


def _projected(facts: dict[str, np.ndarray], headroom: np.ndarray) -> dict[str, np.ndarray]:
    """How far beyond the limit each line would be at the end of the longer horizons, and when it would get there."""
    found: dict[str, np.ndarray] = {}
    lines = [(f"{h}h", facts[f"end_{h}h"], facts[f"slope_{h}h"]) for h in LINES_H]
    lines += [(f"climb_{d}d", facts[f"climb_end_{d}d"], facts[f"climb_slope_{d}d"]) for d in RISES_D]
    lines += [(f"turn_{d}d", facts[f"turn_end_{d}d"], facts[f"turn_slope_{d}d"]) for d in TURNS_D]
    for name, end, slope in lines:
        found |= {f"line_{name}_in_{days}d": end + slope * days - headroom for days in LOOKED_AHEAD_D}
        left = np.maximum(headroom - end, 1e-3)
        found[f"line_{name}_days"] = np.where(
            slope > 1e-6, np.log(np.clip(left / np.maximum(slope, 1e-6), 1e-2, FURTHEST)), LONGEST_LOG_DAYS
        )
    for d in TURNS_D:  # a stretch lives on about as long as it has lived
        age = np.log(np.maximum(facts[f"turn_age_{d}d"], 1e-2))
        found[f"line_turn_{d}d_ages_days"] = found[f"line_turn_{d}d_days"] - age
    for days in (7, 14):
        found[f"rise_{days}_in_7d"] = WEEK * facts[f"rise_a_day_{days}"] - headroom
    return found


def _went_so_far(past: Past, row: np.ndarray, headroom: np.ndarray) -> dict[str, np.ndarray]:
    """How often, from the eves of the past, the series rose as far as it would have to now.

    Over all eves, over recent ones, and over those when it stood and moved as tonight (`alike`); and how far it usually
    rose, on any eve and on this weekday's.
    """
    levels = past.levels[row]
    D = levels.shape[1]
    wanted = headroom[:, None]
    recent = 0.5 ** (np.arange(D) / RECENT_HALF_LIFE_D)
    alike = _alikeness(levels)
    weekdays = [day for day in (7, 14, 21, 28) if day < D]
    found: dict[str, np.ndarray] = {}
    for horizon, highest in zip(HORIZONS, past.ahead, strict=True):
        ahead = highest[row]
        rise = ahead - levels
        settled = ~np.isnan(rise)
        far = rise >= wanted
        half, nine = quantiles(rise, (0.5, 0.9))
        found |= {
            f"went_{horizon}h": _share(far, settled, np.ones(D), 0.1),
            f"went_recently_{horizon}h": _share(far, settled, recent, 0.1),
            f"went_alike_{horizon}h": _share(far, settled, alike, 0.1),
            f"usual_rise_{horizon}h": half - headroom,
            f"large_rise_{horizon}h": nine - headroom,
            f"weekday_rise_{horizon}h": _mean(rise[:, weekdays]) - headroom,
            f"weekday_most_{horizon}h": _highest(rise[:, weekdays]) - headroom,
        }
    return found


def _drifted(past: Past, row: np.ndarray, headroom: np.ndarray) -> dict[str, np.ndarray]:
    """How often it would get there if it went on as of late, and erred as it did when that was said on past eves.

    A drift with its own errors, at three paces: the rise of the last day, of three days and of the week. A fall goes on
    as standstill, since the highest of the days ahead is asked about.
    """
    levels = past.levels[row]
    recent = 0.5 ** (np.arange(levels.shape[1]) / DRIFT_HALF_LIFE_D)
    found: dict[str, np.ndarray] = {}
    for days in PACES_D:
        earlier = np.concatenate([levels[:, days:], np.full((len(levels), days), np.nan)], axis=1)
        pace = np.maximum(levels - earlier, 0.0) / days
        tonight = np.nan_to_num(pace[:, :1])
        for horizon, highest in zip(HORIZONS, past.ahead, strict=True):
            missed = highest[row] - levels - pace * (horizon / DAY)
            far = tonight * (horizon / DAY) + missed >= headroom[:, None]
            found[f"drift_{days}d_{horizon}h"] = _share(far, ~np.isnan(missed), recent, 0.1)
    return found


def _alikeness(levels: np.ndarray) -> np.ndarray:
    """[N, D]: 1 for an eve at tonight's level after the same rise over three days, less the further away."""
    earlier = np.concatenate([levels[:, 3:], np.full((len(levels), 3), np.nan)], axis=1)
    rise = levels - earlier
    away = np.square(levels) + np.square(rise - rise[:, :1])
    return np.exp(-np.nan_to_num(away, nan=np.inf) / 2)


def _share(came: np.ndarray, counted: np.ndarray, weight: np.ndarray, doubt: float) -> np.ndarray:
    """The weighted share of what was counted, with one more eve of which `doubt` came."""
    return (((came & counted) * weight).sum(axis=1) + doubt) / ((counted * weight).sum(axis=1) + 1)


def _highest(values: np.ndarray) -> np.ndarray:
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return np.where(np.isfinite(highest), highest, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = np.count_nonzero(known, axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _direction(name: str) -> int:
    """-1: the higher, the less probable is a crossing; 1: the more; 0: nothing is known, and it is so for any limit."""
    if name in {"headroom", "days_since_beyond"} or (name.endswith("_days") and name.startswith("line_")):
        return -1
    rising = (
        "high_",
        "days_beyond",
        "hours_beyond",
        "peak_",
        "line_",
        "usual_rise",
        "large_rise",
        "weekday_",
        "rise_7_in",
        "rise_14_in",
        "drift_",
    )
    return int(name.startswith((*rising, "went_")))


NAMES = tuple(_predictors(look(np.zeros((1, 8 * DAY)), 1), np.zeros(1, dtype=np.int64), np.ones(1)))
"""The predictors in the order of their columns; taken from what is computed, so that there is one list of them."""

MONOTONE = tuple(_direction(name) for name in NAMES)

_WEEKS_HIGH = NAMES.index("high_7d")  # above the limit


def is_news(known: np.ndarray) -> np.ndarray:
    """Bool [N]: whether the limit was not reached in the week before; a higher one was not either.

    Args:
        known: float32 [N, len(NAMES)].
    """
    return ~(known[:, _WEEKS_HIGH] >= 0)
