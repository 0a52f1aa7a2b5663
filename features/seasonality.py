"""Daily and weekly rhythm of many series at once, and how strong it is.

Belongs here: additive profiles by hour of day and hour of week. Not here: what they mean for a forecast, and local time
(a rhythm is measured on the UTC grid, counted from its end).

The decomposition is STL's in kind, made robust and cheap: the level of one cycle around each hour is taken away, the
median of each phase over the cycles is the profile, and the profile is shrunk towards zero by what chance alone would
have drawn (positive-part James-Stein) and by what the two halves of the history do not agree on. The daily profile
comes first; the weekly one describes what it leaves. Strength follows Wang, Smith & Hyndman (2006),
1 - var(remainder) / var(remainder + season), with the remainder taken as if each cycle had been left out of its own
profile, so that a rhythm seen twice does not look certain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from features.robust import NORMAL_MAD, Standard, median, standardise, variance

DAY, WEEK = 24, 168

# A rhythm is believed when so many phases of its cycle were seen at least twice.
PHASES_SEEN = 0.9
# The variance of a median over that of a mean, for normal noise.
MEDIAN_COST = np.pi / 2
# Remainders beyond so many robust standard deviations are spikes and tell nothing about rhythm.
SPIKE_SD = 4.0

# A profile is a tooth where nearly all falling fills at most a seventh of the cycle (four hours of a day, which may
# hold four short teeth), and most of it climbs. A week is looked at in half days, since what climbs through a week may
# well follow the days.
TOOTH_FALLS = 1 / 7
TOOTH_FALL_SHARE = 0.85
TOOTH_CLIMBS = 0.7
HALF_DAY = 12
# A rhythm weaker than this is left in the series: taking it away would do more harm than it does.
TRUSTED = 0.3


@dataclass(frozen=True)
class Season:
    """The rhythm of S series, in their own units.

    daily: [S, 24], weekly: [S, 168], what is added in each phase; phase 0 is the hour that begins at as_of, the last
        column of the grid has phase -1. The weekly profile comes on top of the daily one. All zero where unknown.
    daily_strength, weekly_strength: [S], 0..1.
    remainder: [S, T], what the daily average and the daily profile leave over; NaN where not observed and within half a
        day of either end.
    daily_tooth, weekly_tooth: bool [S], whether the profile climbs all through and falls at once: a restart or clean-up
        by the clock, which is a reset and not a rhythm to be taken away.
    """

    daily: np.ndarray
    weekly: np.ndarray
    daily_strength: np.ndarray
    weekly_strength: np.ndarray
    remainder: np.ndarray
    daily_tooth: np.ndarray
    weekly_tooth: np.ndarray

    def at(self, offsets: np.ndarray) -> np.ndarray:
        """[S, len(offsets)]: daily plus weekly at hours counted from as_of (0 the hour after the cut, -1 the last)."""
        with np.errstate(over="ignore"):
            return self.daily[:, offsets % DAY] + self.weekly[:, offsets % WEEK]

    def remove(self, values: np.ndarray) -> np.ndarray:
        """The values [S, T] without their rhythm; a tooth stays, since it is no rhythm, and so does a weak one."""
        removed = values.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            for profile in self._removable():
                rows = np.flatnonzero(profile.any(axis=1))
                removed[rows] -= _repeat(profile[rows], values.shape[1])
        return removed

    @property
    def removed_range(self) -> np.ndarray:
        """[S]: highest less lowest phase of the daily profile that ``remove`` takes away."""
        daily, _ = self._removable()
        with np.errstate(over="ignore"):
            return daily.max(axis=1) - daily.min(axis=1)

    def _removable(self) -> tuple[np.ndarray, np.ndarray]:
        daily = ~self.daily_tooth & (self.daily_strength >= TRUSTED)
        weekly = ~self.weekly_tooth & (self.weekly_strength >= TRUSTED)
        return np.where(daily[:, None], self.daily, 0.0), np.where(weekly[:, None], self.weekly, 0.0)


def find_season(values: np.ndarray, standard: Standard | None = None) -> Season:
    """The daily and weekly rhythm of each series.

    Args:
        values: [S, T] hourly, NaN where not observed; the last column is the hour before as_of.
        standard: the same values standardised, where they are already.

    Fewer than two cycles with enough observed hours give a profile of zeros and strength 0; so does a constant series,
    which also leaves nothing over.
    """
    standard = standard if standard is not None else standardise(values)
    moving = np.flatnonzero(standard.moves)
    found = _find_moving(standard.values[moving], standard.scale[moving, None])
    if len(moving) == len(values):
        return found
    columns = {}
    for field in fields(Season):
        part = getattr(found, field.name)
        fill = np.nan if field.name == "remainder" else 0
        columns[field.name] = np.full((len(values), *part.shape[1:]), fill, dtype=part.dtype)
        columns[field.name][moving] = part
    return Season(**columns)


def _find_moving(values: np.ndarray, scale: np.ndarray) -> Season:
    """The rhythm of standardised series, none of them constant, in units of `scale` [S, 1]."""
    daily, remainder = _cycle(values - _moving_average(values, DAY), DAY)
    undaily = values - _repeat(daily, values.shape[1])
    weekly, slow = _cycle(undaily - _weekly_level(undaily), WEEK)
    daily_strength, weekly_strength = _strength(remainder, daily, DAY), _strength(slow, weekly, WEEK)
    half_days = weekly.reshape(-1, WEEK // HALF_DAY, HALF_DAY).mean(axis=2)
    with np.errstate(over="ignore"):
        return Season(
            daily=np.nan_to_num(daily * scale),
            weekly=np.nan_to_num(weekly * scale),
            daily_strength=daily_strength,
            weekly_strength=weekly_strength,
            remainder=remainder * scale,
            daily_tooth=(daily_strength >= TRUSTED) & _is_tooth(daily),
            weekly_tooth=(weekly_strength >= TRUSTED) & _is_tooth(half_days),
        )


def _is_tooth(profile: np.ndarray) -> np.ndarray:
    """Whether profiles [S, phases] climb through most of the cycle and fall within a few phases of it."""
    phases = profile.shape[1]
    change = np.roll(profile, -1, axis=1) - profile
    rise = np.where(change > 0, change, 0.0).sum(axis=1)
    falls = np.sort(np.where(change < 0, -change, 0.0), axis=1)[:, ::-1]
    steep = falls[:, : math.ceil(TOOTH_FALLS * phases)].sum(axis=1) >= TOOTH_FALL_SHARE * rise
    climbing = np.count_nonzero(change > 0.25 * rise[:, None] / phases, axis=1) >= TOOTH_CLIMBS * phases
    return (rise > 0) & steep & climbing


def _cycle(detrended: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """The shrunk profile [S, period] of a cycle, and what it leaves over [S, T]."""
    cycles = np.ascontiguousarray(_by_cycle(detrended, period).swapaxes(1, 2))
    count = np.count_nonzero(~np.isnan(cycles), axis=-1)
    known = np.count_nonzero(count >= 2, axis=-1) >= PHASES_SEEN * period
    raw = np.where((count >= 2) & known[:, None], median(cycles), 0.0)
    raw = np.where(count >= 2, raw - raw.mean(axis=-1, keepdims=True), 0.0)

    seen = np.maximum(count.sum(axis=-1) / period, 1.0)
    by_chance = (
        MEDIAN_COST * variance(_calm(detrended - _repeat(raw, detrended.shape[1]), raw)) / np.maximum(seen - 1, 1.0)
    )
    drawn = np.square(raw).mean(axis=-1)
    agreed = np.maximum(drawn - by_chance, 0.0)
    likely = np.flatnonzero(agreed > 0)
    agreed[likely] = np.clip(_agreement(cycles[likely], drawn[likely]), 0.0, agreed[likely])
    profile = raw * (agreed / np.where(drawn > 0, drawn, 1.0))[:, None]
    return profile, detrended - _repeat(profile, detrended.shape[1])


def _agreement(cycles: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """What the profiles of one half of the cycles and the other have in common: older and newer, odd and even.

    A pattern whose phase drifts, such as restarts every 25 hours, looks like a rhythm only over a few cycles; one that
    comes every other cycle is another half the time. With fewer than four cycles there are no halves to compare.
    """
    _, period, width = cycles.shape
    observed = ~np.isnan(cycles)
    first = np.argmax(observed.any(axis=1), axis=-1)
    older = np.arange(width) < (first[:, None] + width) / 2
    odd = np.broadcast_to(np.arange(width) % 2 == 1, older.shape)
    enough = np.count_nonzero(observed, axis=(1, 2)) >= 4 * period
    agreed = drawn.copy()
    for half in (older, odd):
        rows = np.flatnonzero(enough & (agreed > 0))
        one = half[rows, None]
        product = median(np.where(one, cycles[rows], np.nan)) * median(np.where(one, np.nan, cycles[rows]))
        compared = np.count_nonzero(~np.isnan(product), axis=-1) >= PHASES_SEEN * period
        common = np.nan_to_num(product).mean(axis=-1)
        agreed[rows] = np.where(compared, np.minimum(common, agreed[rows]), agreed[rows])
    return agreed


def _strength(remainder: np.ndarray, profile: np.ndarray, period: int) -> np.ndarray:
    strength = np.zeros(len(profile))
    rhythmic = np.flatnonzero(profile.any(axis=1))
    remainder, profile = remainder[rhythmic], profile[rhythmic]
    observed = np.count_nonzero(~np.isnan(remainder), axis=1)
    cycles = np.maximum(observed / period, 2.0)
    calm = _calm(remainder, profile)
    left_out = variance(calm) * np.square(cycles / (cycles - 1))
    whole = variance(calm + _repeat(profile, remainder.shape[1]))
    share = 1 - left_out / np.where(whole > 0, whole, 1.0)
    strength[rhythmic] = np.where(whole > 0, np.clip(share, 0.0, 1.0), 0.0)
    return strength


def _calm(remainder: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """The remainder [S, T] with spikes cut down, but no further than to the height of the profile [S, phases].

    What happens now and then must count against a rhythm of its own size, or any spike would look like one.
    """
    usual = SPIKE_SD * NORMAL_MAD * median(np.abs(remainder))
    limit = np.fmax(usual, np.abs(profile).max(axis=1))[:, None]
    limit[~(limit > 0)] = np.inf
    return np.clip(remainder, -limit, limit)


def _moving_average(values: np.ndarray, period: int) -> np.ndarray:
    """Centred average over one cycle (half weight at both ends); NaN near the ends and where half is missing."""
    S, T = values.shape
    half = period // 2
    average = np.full((S, T), np.nan)
    if period >= T:
        return average
    observed = ~np.isnan(values)
    filled = values.copy()
    filled[~observed] = 0.0
    total, count = _running(filled, period), _running(observed, period)
    count[count < half] = np.nan
    np.divide(total, count, out=average[:, half : T - half])
    return average


def _running(values: np.ndarray, period: int) -> np.ndarray:
    """[S, T - period]: sums over period + 1 columns, those at both ends with half weight."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int32 if values.dtype == bool else np.float64)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    whole = sums[:, period:] - sums[:, :-period]
    return (whole[:, :-1] + whole[:, 1:]) / 2


def _weekly_level(values: np.ndarray) -> np.ndarray:
    """The median of seven days' medians around each hour; NaN within half a week of the ends or where days are missing.

    Each weekday counts once, so no weekly rhythm is left in it; and unlike an average it follows a step at once.
    """
    T = values.shape[1]
    days = _by_cycle(values, DAY)
    level = np.where(np.count_nonzero(~np.isnan(days), axis=2) >= DAY / 2, median(days), np.nan)
    padded = np.pad(level, ((0, 0), (3, 3)), constant_values=np.nan)
    weeks = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=1)
    middle = np.where(np.count_nonzero(~np.isnan(weeks), axis=2) >= 5, median(weeks), np.nan)
    middle[:, :3] = middle[:, max(middle.shape[1] - 3, 0) :] = np.nan

    return _between_noons(middle)[:, days.shape[1] * DAY - T :]


def _between_noons(days: np.ndarray) -> np.ndarray:
    """Values [S, days] of noons as hourly ones in between; flat before the first noon and after the last."""
    beside = np.pad(days, ((0, 0), (1, 1)), mode="edge")[:, :, None]
    since = ((np.arange(DAY) - (DAY - 1) / 2) / DAY) % 1
    morning, evening = since[: DAY // 2], since[DAY // 2 :]
    hours = np.empty((*days.shape, DAY))
    hours[:, :, : DAY // 2] = beside[:, :-2] + (beside[:, 1:-1] - beside[:, :-2]) * morning
    hours[:, :, DAY // 2 :] = beside[:, 1:-1] + (beside[:, 2:] - beside[:, 1:-1]) * evening
    return hours.reshape(len(days), days.shape[1] * DAY)


def _by_cycle(values: np.ndarray, period: int) -> np.ndarray:
    """[S, cycles, period]: columns by cycle and phase, counted from the end."""
    S, T = values.shape
    cycles = max(-(-T // period), 1)
    padded = np.full((S, cycles * period), np.nan)
    padded[:, cycles * period - T :] = values
    return padded.reshape(S, cycles, period)


def _repeat(profile: np.ndarray, width: int) -> np.ndarray:
    return profile[:, np.arange(-width, 0) % profile.shape[1]]
