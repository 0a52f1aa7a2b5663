"""Why: the handful of facts behind a risk, in words and numbers.

Belongs here: sentences for people who have to act on them. Not here: any computation that a forecast rests on; facts
describe the series and its test, they do not decide anything.

Facts hold values, units, dates and metric names. They are plain text: whoever shows them escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from features.signals import Signal
from features.units import format_duration, format_share, format_value
from forecasting.tables import HORIZONS

NOTABLE_SEASON = 0.3  # strength
NOTABLE_TREND = 0.3  # strength
FEWEST_TESTS = 2
FEWEST_EVES = 7


@dataclass(frozen=True)
class Evidence:
    """What is known about one limit of one series tonight.

    limit: a row of forecasting.limits. profile: a row of features.profiles.
    eves, went_so_far: past days whose following week is known, and those after which it went as far as it would have to
        now.
    furthest: the level nearest to the limit (or furthest beyond it) that was ever held as long as a crossing takes, and
        how many hours before as_of; None if it was never observed so long.
    backtests: rows of ``forecasting.tables.BACKTESTS`` of the model that serves.
    """

    as_of: datetime
    signal: Signal
    unit: str | None
    limit: dict[str, Any]
    profile: dict[str, Any]
    crossed: bool
    eves: int
    went_so_far: int
    furthest: tuple[float, int] | None
    backtests: pl.DataFrame

    def value(self, number: float) -> str:
        return format_value(number, self.unit or self.signal.unit)

    def ago(self, hours: float) -> str:
        return f"{self.as_of - timedelta(hours=hours):%Y-%m-%d %H:%M} UTC"


def explain(evidence: Evidence) -> list[str]:
    """The facts, most telling first."""
    facts = [_standing, _growth, _went, _past, _resets, _ceiling, _warm_up, _step, _season, _history, _tested, _limit]
    return [sentence for fact in facts if (sentence := fact(evidence))]


def _standing(e: Evidence) -> str | None:
    level, limit = e.profile["level"], e.limit["value"]
    if level is None:
        return None
    beyond, side = ("above", "below") if e.signal.direction == "up" else ("below", "above")
    distance = e.value(abs(limit - level))
    if e.crossed:
        return f"Already {beyond} the limit of {e.value(limit)} for the last {e.limit['lasts_h']} hours or longer."
    headroom = (limit - level) * (1 if e.signal.direction == "up" else -1)
    if headroom <= 0:
        return f"The last day's median is {e.value(level)}, {distance} {beyond} the limit of {e.value(limit)}."
    return f"The last day's median is {e.value(level)}, {distance} {side} the limit of {e.value(limit)}."


def _growth(e: Evidence) -> str | None:
    slope, strength = e.profile["slope_per_day"], e.profile["trend_strength"]
    if slope is None or slope == 0 or strength is None or strength < NOTABLE_TREND:
        return "It has no steady trend of late."
    since = _since(e)
    word = "rises" if slope > 0 else "falls"
    sentence = f"It {word} by {e.value(abs(slope))} a day{since}"
    sign = 1 if e.signal.direction == "up" else -1
    level = e.profile["level"]
    if level is not None and not e.crossed and slope * sign > 0 and (headroom := (e.limit["value"] - level) * sign) > 0:
        return f"{sentence}; at that rate alone the limit is {format_duration(headroom / abs(slope) * 86400)} away."
    return f"{sentence}."


def _since(e: Evidence) -> str:
    """Since when the slope holds: the last break within the fortnight that the slope is measured over."""
    breaks = {"reset": e.profile["hours_since_reset"], "step": e.profile["hours_since_step"]}
    known = {word: hours for word, hours in breaks.items() if hours is not None and hours <= 336}
    if not known:
        return " over the last two weeks" if e.profile["history_h"] >= 336 else ""
    word = min(known, key=lambda name: known[name])
    return f" since the last {word} on {e.ago(known[word])}"


def _went(e: Evidence) -> str | None:
    if e.crossed or e.eves < FEWEST_EVES:
        return None
    word = "rose" if e.signal.direction == "up" else "fell"
    of_them = f"of the last {e.eves} days whose following week is known"
    if e.went_so_far == 0:
        return f"After none {of_them} it {word} as far within a week as it would have to now."
    return f"It {word} as far within a week as it would have to now after {e.went_so_far} {of_them}."


def _past(e: Evidence) -> str | None:
    if e.furthest is None or e.crossed:
        return None
    value, hours = e.furthest
    sign = 1 if e.signal.direction == "up" else -1
    word, lasts = ("highest", e.limit["lasts_h"]) if sign > 0 else ("lowest", e.limit["lasts_h"])
    reached = (value - e.limit["value"]) * sign >= 0
    held = f"The {word} level that it held for {lasts} h so far was {e.value(value)}, on {e.ago(hours)}"
    return f"{held}: it has been beyond the limit before." if reached else f"{held}."


def _resets(e: Evidence) -> str | None:
    count, hours = e.profile["resets"], e.profile["hours_since_reset"]
    if not count or hours is None:
        return None
    peak, drop = e.profile["reset_peak"], e.profile["reset_drop"]
    usual = f", usually from {e.value(peak)} by {e.value(drop)}" if peak is not None and drop is not None else ""
    times = "once" if count == 1 else f"{count} times"
    return f"It was reset (a restart or clean-up) {times}{usual}; last on {e.ago(hours)}."


def _ceiling(e: Evidence) -> str | None:
    ceiling, share = e.profile["ceiling"], e.profile["ceiling_share"]
    if ceiling is None or share is None:
        return None
    return f"{format_share(share)} of its last climbs ended near {e.value(ceiling)}, as if cleaned up from there."


def _warm_up(e: Evidence) -> str | None:
    plateau = e.profile["warm_up_to"]
    return None if plateau is None else f"Its rise flattens as after a restart or deploy, towards {e.value(plateau)}."


def _step(e: Evidence) -> str | None:
    count, hours = e.profile["steps"], e.profile["hours_since_step"]
    if not count or hours is None:
        return None
    return f"Its level shifted {'once' if count == 1 else f'{count} times'}, last on {e.ago(hours)}."


def _season(e: Evidence) -> str | None:
    parts = [
        f"{format_share(e.profile[key])} of its movement is a {word} rhythm"
        for key, word in (("daily_strength", "daily"), ("weekly_strength", "weekly"))
        if (e.profile[key] or 0) >= NOTABLE_SEASON
    ]
    return f"{'; '.join(parts)}." if parts else None


def _history(e: Evidence) -> str:
    hours, seen = e.profile["history_h"], e.profile["observed_h"]
    step = e.profile["step_h"] or 1
    missing = max(0.0, 1 - seen * max(step, 1.0) / max(hours, 1))
    gaps = f", {format_share(missing)} of it missing" if missing >= 0.01 else ""
    return f"The forecast rests on {format_duration(3600 * hours)} of history{gaps}."


def _tested(e: Evidence) -> str | None:
    week = e.backtests.filter(horizon_h=HORIZONS[-1])
    if len(week) < FEWEST_TESTS:
        return "It has too little history to have been tested on its own past."
    inside = week["inside_80"].mean()
    share = format_share(inside if isinstance(inside, float) else None)
    return f"Tested on {len(week)} past weeks of this series, the 80 % band of the forecast held {share} of the hours."


def _limit(e: Evidence) -> str:
    return f"The limit '{e.limit['limit_name']}': {e.limit['basis']}."
