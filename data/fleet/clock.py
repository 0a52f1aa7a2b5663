"""The fleet's time: UTC samples with the local calendar that people and their load follow.

Belongs here: time stamps, local hours and weekdays, moments such as "every Tuesday at ten", and rhythms of load.
Not here: what a series does with them (``data.fleet.shapes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

ZONE = ZoneInfo("Europe/Berlin")
HOLIDAYS = np.array(["2026-04-03", "2026-04-06", "2026-05-01", "2026-05-14", "2026-05-25"], dtype="datetime64[D]")
AS_OF = datetime(2026, 6, 1, tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)
PAST_DAYS = 60
FUTURE_DAYS = 14
STEP_S = 300
PER_HOUR = 3600 // STEP_S
PER_DAY = 24 * PER_HOUR


@dataclass(frozen=True)
class Clock:
    """Equidistant moments, all arrays [n].

    ts: datetime64[s], UTC.
    day: days since AS_OF, negative in the past.
    hour: local time of day, in [0, 24).
    weekday: local, 0 is Monday.
    holiday: whether it is a public holiday.
    traffic: how busy the days are, around 1; no day is like the one before.
    """

    ts: np.ndarray
    day: np.ndarray
    hour: np.ndarray
    weekday: np.ndarray
    holiday: np.ndarray
    traffic: np.ndarray

    @property
    def step(self) -> float:
        """Days from one moment to the next."""
        return float(self.day[1] - self.day[0])

    def moments(self, hour: float, weekday: int | None = None) -> np.ndarray:
        """The days (as in `day`) on which local time passes `hour`, on every day or one day of the week."""
        midnight = np.diff(self.hour) < 0
        passed = self.hour >= hour
        at = np.flatnonzero(passed[1:] & (~passed[:-1] | midnight)) + 1
        return self.day[at if weekday is None else at[self.weekday[at] == weekday]]


def clock(seed: int, first_day: float, last_day: float, step_s: int = STEP_S) -> Clock:
    """Moments from `first_day` up to but not at `last_day`, in days since AS_OF, every `step_s` seconds."""
    seconds = np.arange(round(first_day * 86400), round(last_day * 86400), step_s)
    ts = np.datetime64(AS_OF, "s") + seconds
    # Offsets change on full hours only, so asking the zone once an hour is exact and fast.
    hours, inverse = np.unique(ts.astype("datetime64[h]"), return_inverse=True)
    offsets = np.array([_offset_s(h) for h in hours.astype("datetime64[s]").tolist()])
    local = ts + offsets[inverse]
    day = local.astype("datetime64[D]")
    hour = (local - day).astype(np.int64) / 3600
    weekday = (day.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return Clock(ts, seconds / 86400, hour, weekday, np.isin(day, HOLIDAYS), _traffic(seed, seconds / 86400))


def _traffic(seed: int, day: np.ndarray) -> np.ndarray:
    """A factor for each day, joined smoothly from noon to noon."""
    noons = np.arange(np.floor(day[0]) - 0.5, day[-1] + 1.5)
    factors = np.exp(0.09 * np.random.default_rng([seed, 1]).standard_normal(len(noons)))
    return np.interp(day, noons, factors)


def _offset_s(naive_utc: datetime) -> int:
    offset = naive_utc.replace(tzinfo=UTC).astimezone(ZONE).utcoffset()
    return int(offset.total_seconds()) if offset else 0


# ------------------------------------------------------------------------------------------------------ rhythms of load


def rhythm(c: Clock, kind: str) -> np.ndarray:
    """Load between about 0 and 1, [n].

    office: people at work, Monday to Friday, with a lunch dip; weekends and holidays at a fifth.
    shop: customers, with a small peak at noon and a large one in the evening; weekends and holidays somewhat busier.
    even: the same load at all hours.

    All of them are scaled by the day's traffic.
    """
    match kind:
        case "office":
            day = _bell(c.hour, 10.3, 2.0) + 0.9 * _bell(c.hour, 15.0, 2.3) + 0.08 * _bell(c.hour, 20, 2.5)
            resting = (c.weekday >= 5) | c.holiday
            return c.traffic * day * np.where(resting, 0.2, np.where(c.weekday == 4, 0.85, 1.0))
        case "shop":
            day = 0.08 + 0.5 * _bell(c.hour, 12.2, 2.6) + 0.85 * _bell(c.hour, 20.2, 2.4) + 0.3 * _bell(c.hour, 16, 3)
            return c.traffic * day * np.where((c.weekday == 6) | c.holiday, 1.12, np.where(c.weekday == 5, 1.05, 1.0))
        case "even":
            return 0.5 * c.traffic
    raise ValueError(f"unknown rhythm {kind!r}")


def _bell(hour: np.ndarray, centre: float, width: float) -> np.ndarray:
    distance = (hour - centre + 12) % 24 - 12
    return np.exp(-0.5 * (distance / width) ** 2)
