"""What kind of series this is, in one word, read off its numbers by a list of rules.

Belongs here: the words and the rules. Not here: the numbers (``features.profiles`` gathers them), and what a forecast
makes of the word. The first rule that holds gives the shape:

=================  ======================================================================================
shape              what holds
=================  ======================================================================================
too_short          less than three days of history, or fewer than twelve observed hours
constant           one value throughout
sawtooth           resets again and again, from one ceiling: log rotation, a clean-up by quota
counter            never falls but to about zero, never negative: a total since the last restart
staircase          rare jumps in one direction and hardly a movement in between: queue by queue, partitions
warm_up            a rise since the last drop that flattens: a cache that fills, a heap after a deploy
leak_with_resets   resets from no common height, or from rising ones, and a climb since
trend              a steady line explains most of the last fortnight (or of the time since the last break), and leads
                   further than a random walk as restless would
step               a shift of level within the last fortnight that stayed
sparse             sampled more rarely than every two hours, on the median, and none of the above
seasonal           a daily or weekly rhythm explains half of what a trend leaves
flat               one level, apart from rare spikes
wandering          the level drifts without direction, further than the noise from hour to hour
noisy              what remains: noise about a level
=================  ======================================================================================

Units do not matter: no rule but the counter's, which knows where zero is, changes by a shift, and none by a scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.robust import median, quantiles

TOO_SHORT_H = 72
FEWEST_OBSERVED_H = 12
SPARSE_STEP_H = 2.0
RECENT_H = 336
STRONG_TREND, WEAK_TREND = 0.5, 0.1
TREND_SPREAD = 0.1  # of the series' p95 - p5 must be moved within the window
STRONG_SEASON = 0.5
FLAT_SHARE = 0.8
WANDERING_NOISE = 0.18  # of the p95 - p5; it is 0.3 where nothing but normal noise makes the spread

# Cycles. Shares of the usual fall.
CYCLES = 14  # the last so many count: a fortnight of daily restarts
FEWEST_CYCLES = 3
NEAR_CEILING = 0.25  # below the ceiling (p90 of the peaks) is near it
# Near a ceiling that holds are nearly half of the peaks, and one or two more: those of a weekend may not be.
OFTEN_NEAR, FEW = 0.46, 1.5
CREEPS_UP = 0.1  # from the earlier half of the peaks near it to the later: it is no ceiling
OVERDUE_CYCLES = 3.0  # a sawtooth that has not fallen for so many cycles is one no more


@dataclass(frozen=True)
class Cycles:
    """What the resets of S series have in common, over the last fourteen; NaN where there are too few.

    count: int [S], of all resets.
    peak, drop: [S], medians.
    every_h: [S], the upper quartile of the distances.
    ceiling: [S], the median of the peaks that come near the highest (their p90), so that a few low ones do not count.
    near_ceiling: [S], the share of the peaks that do.
    growth: [S], the rise from the earlier to the later half of these, as a share of the drop.
    """

    count: np.ndarray
    peak: np.ndarray
    drop: np.ndarray
    every_h: np.ndarray
    ceiling: np.ndarray
    near_ceiling: np.ndarray
    growth: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """The numbers that the rules read: arrays [S], times in hours, NaN where unknown."""

    history_h: np.ndarray
    observed_h: np.ndarray
    step_h: np.ndarray
    constant: np.ndarray
    falls_to_zero: np.ndarray  # wherever it falls, and is never negative
    share_at_level: np.ndarray  # of the hours within 2.5 % of the range about the median
    level: np.ndarray
    overall_spread: np.ndarray  # p95 - p5
    noise: np.ndarray
    cycles: Cycles
    since_reset_h: np.ndarray
    since_step_h: np.ndarray
    slope_per_day: np.ndarray
    window_h: np.ndarray
    trend_strength: np.ndarray
    trend_steady: np.ndarray
    trend_beyond_chance: np.ndarray
    season_strength: np.ndarray
    warms_up: np.ndarray
    staircase: np.ndarray


def cycles_of(series: int, row: np.ndarray, hour: np.ndarray, peak: np.ndarray, drop: np.ndarray) -> Cycles:
    """Summaries of resets.

    Args:
        series: S.
        row, hour, peak, drop: [K] of each reset, in order of row and time (see ``features.breaks.falls``).
    """
    count = np.bincount(row, minlength=series)
    first = np.cumsum(count) - count
    rank = np.arange(len(row)) - first[row]
    late = rank >= count[row] - CYCLES
    table = np.full((3, series, CYCLES), np.nan)
    at = (rank - np.maximum(count[row] - CYCLES, 0))[late]
    table[:, row[late], at] = np.stack([hour, peak, drop])[:, late]
    hours, peaks, drops = table

    kept = np.minimum(count, CYCLES)
    usual = median(drops)
    older = np.arange(CYCLES) < kept[:, None] / 2
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        near = peaks >= (quantiles(peaks, (0.9,))[0] - NEAR_CEILING * usual)[:, None]
        high = np.where(near, peaks, np.nan)
        growth = (median(np.where(older, np.nan, high)) - median(np.where(older, high, np.nan))) / usual
    near_ceiling = np.where(kept > 0, near.sum(axis=1) / np.maximum(kept, 1), np.nan)
    every_h = quantiles(np.diff(hours, axis=1), (0.75,))[0]
    return Cycles(count, median(peaks), usual, every_h, median(high), near_ceiling, growth)


def ceiling_holds(cycles: Cycles, level: np.ndarray, since_reset_h: np.ndarray) -> np.ndarray:
    """Whether resets come again and again from the ceiling, and still do: bool [S].

    Args:
        cycles: of S series; level: [S], where they stand; since_reset_h: [S], NaN where there was no reset.
    """
    c = cycles
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        from_one = (c.near_ceiling >= OFTEN_NEAR + FEW / np.minimum(c.count, CYCLES)) & ~(c.growth > CREEPS_UP)
        still_below = level <= c.ceiling + NEAR_CEILING * c.drop
        return (c.count >= FEWEST_CYCLES) & from_one & still_below & ~_is_overdue(c, since_reset_h)


def _is_overdue(cycles: Cycles, since_reset_h: np.ndarray) -> np.ndarray:
    return since_reset_h > OVERDUE_CYCLES * cycles.every_h


def shapes(evidence: Evidence) -> np.ndarray:
    """The shape [S] of each series, a word; the rules and words are the table above."""
    e, c = evidence, evidence.cycles
    with np.errstate(invalid="ignore", over="ignore"):
        rises = e.slope_per_day * e.window_h / 24
        moves = np.abs(rises) >= TREND_SPREAD * e.overall_spread
        rising = (e.trend_strength >= STRONG_TREND) & e.trend_steady & moves
        climbing = e.trend_strength >= WEAK_TREND
        overdue = _is_overdue(c, e.since_reset_h)
        rules = [
            ("too_short", (e.history_h < TOO_SHORT_H) | (e.observed_h < FEWEST_OBSERVED_H)),
            ("constant", e.constant),
            ("sawtooth", ceiling_holds(c, e.level, e.since_reset_h)),
            ("counter", (c.count >= 1) & e.falls_to_zero),
            ("staircase", e.staircase),
            ("warm_up", e.warms_up),
            ("leak_with_resets", (rises > 0) & (((c.count >= 2) & climbing & ~overdue) | ((c.count >= 1) & rising))),
            ("trend", rising & e.trend_beyond_chance),
            ("step", e.since_step_h <= RECENT_H),
            ("sparse", e.step_h > SPARSE_STEP_H),
            ("seasonal", e.season_strength >= STRONG_SEASON),
            ("flat", e.share_at_level >= FLAT_SHARE),
            ("wandering", e.noise < WANDERING_NOISE * e.overall_spread),
        ]
        return np.select([rule for _, rule in rules], [word for word, _ in rules], default="noisy")
