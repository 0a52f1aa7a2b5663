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
from dataclasses import dataclass

import numpy as np

from features.robust import NORMAL_MAD, median, standardise, variance

DAY, WEEK = 24, 168

# A rhythm is believed when so many phases of its cycle were seen at least twice.
PHASES_SEEN = 0.9
# The variance of a median over that of a mean, for normal noise.
MEDIAN_COST = np.pi / 2
# Remainders beyond so many robust standard deviations are spikes and tell nothing about rhythm.
SPIKE_SD = 4.0

# A profile is a tooth where nearly all falling fills at most an eighth of the cycle, and most of it climbs. A week is
# looked at in half days, since what climbs through a week may well follow the days.
TOOTH_FALLS = 1 / 8
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
        daily, weekly = self._removable()
        with np.errstate(over="ignore", invalid="ignore"):
            return values - _repeat(daily, values.shape[1]) - _repeat(weekly, values.shape[1])

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


def find_season(values: np.ndarray) -> Season:
    """The daily and weekly rhythm of each series.

    Args:
        values: [S, T] hourly, NaN where not observed; the last column is the hour before as_of.

    Fewer than two cycles with enough observed hours give a profile of zeros and strength 0.
    """
    standard = standardise(values)
    scale = standard.scale[:, None]
    daily, remainder = _cycle(standard.values - _moving_average(standard.values, DAY), DAY)
    undaily = standard.values - _repeat(daily, values.shape[1])
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
    """What the profiles of the older and the newer half of the cycles have in common.

    A pattern whose phase drifts, such as restarts every 25 hours, looks like a rhythm only over a few cycles. With
    fewer than four cycles there are no halves to compare.
    """
    _, period, width = cycles.shape
    observed = ~np.isnan(cycles)
    first = np.argmax(observed.any(axis=1), axis=-1)
    older = np.arange(width) < (first[:, None] + width) / 2
    product = median(np.where(older[:, None], cycles, np.nan)) * median(np.where(older[:, None], np.nan, cycles))
    compared = np.count_nonzero(~np.isnan(product), axis=-1) >= PHASES_SEEN * period
    enough = np.count_nonzero(observed, axis=(1, 2)) >= 4 * period
    return np.where(compared & enough, np.nan_to_num(product).mean(axis=-1), drawn)


def _strength(remainder: np.ndarray, profile: np.ndarray, period: int) -> np.ndarray:
    width = remainder.shape[1]
    observed = np.count_nonzero(~np.isnan(remainder), axis=1)
    cycles = np.maximum(observed / period, 2.0)
    calm = _calm(remainder, profile)
    left_out = variance(calm) * np.square(cycles / (cycles - 1))
    whole = variance(calm + _repeat(profile, width))
    share = 1 - left_out / np.where(whole > 0, whole, 1.0)
    return np.where(whole > 0, np.clip(share, 0.0, 1.0), 0.0)


def _calm(remainder: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """The remainder [S, T] with spikes cut down, but no further than to the height of the profile [S, phases].

    What happens now and then must count against a rhythm of its own size, or any spike would look like one.
    """
    usual = SPIKE_SD * NORMAL_MAD * median(np.abs(remainder))
    limit = np.fmax(usual, np.abs(profile).max(axis=1))[:, None]
    return np.where(limit > 0, np.clip(remainder, -limit, limit), remainder)


def _moving_average(values: np.ndarray, period: int) -> np.ndarray:
    """Centred average over one cycle (half weight at both ends); NaN near the ends and where half is missing."""
    S, T = values.shape
    half = period // 2
    average = np.full((S, T), np.nan)
    if period >= T:
        return average
    observed = ~np.isnan(values)
    total, count = (_running(np.where(observed, values, 0.0), period), _running(observed.astype(float), period))
    inner = total / np.where(count > 0, count, 1.0)
    average[:, half : T - half] = np.where(count >= half, inner, np.nan)
    return average


def _running(values: np.ndarray, period: int) -> np.ndarray:
    """[S, T - period]: sums over period + 1 columns, those at both ends with half weight."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return (sums[:, period:-1] - sums[:, : -period - 1] + sums[:, period + 1 :] - sums[:, 1:-period]) / 2


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

    noon = (np.arange(days.shape[1] * DAY) - (DAY - 1) / 2) / DAY
    before = np.floor(noon).astype(np.int64)
    left, right = (middle[:, np.clip(day, 0, middle.shape[1] - 1)] for day in (before, before + 1))
    return (left + (right - left) * (noon - before))[:, days.shape[1] * DAY - T :]


def _by_cycle(values: np.ndarray, period: int) -> np.ndarray:
    """[S, cycles, period]: columns by cycle and phase, counted from the end."""
    S, T = values.shape
    cycles = max(-(-T // period), 1)
    padded = np.full((S, cycles * period), np.nan)
    padded[:, cycles * period - T :] = values
    return padded.reshape(S, cycles, period)


def _repeat(profile: np.ndarray, width: int) -> np.ndarray:
    return profile[:, np.arange(-width, 0) % profile.shape[1]]
