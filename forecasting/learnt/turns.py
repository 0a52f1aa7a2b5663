"""Where a series last turned, and how it has gone on since: the line after a restart, a release, the onset of a leak.

Belongs here: the last straight stretch of a window, and what lies before it. Not here: lines through fixed windows
(``forecasting.learnt.past``), or what a stretch means for a limit (``forecasting.learnt.questions``).

A window is cut in two where two least-squares lines, each of its own, leave the least (a regression with one unknown
change: Quandt, 1958). So a leak that began on Tuesday shows its slope since Tuesday, not one that the calm before it
has flattened, and a restart in between costs no more than the cut. Sums that run backwards from now give all cuts at
once.
"""

from __future__ import annotations

import numpy as np

BLOCK_H = 3  # hours that are taken together
DAY_BLOCKS = 24 // BLOCK_H
TURNS_D = (7, 28)  # windows
FEWEST = 4  # blocks on either side of a cut
FURTHEST = 1e3
LEAST = 1e-3  # in units of the spread: noise below it is none
AT_ONE_MOMENT, AT_ONE_LEVEL = 1e-9, 1e-12  # sums of squares that are rounding errors: days, units of the spread


def turns(standard: np.ndarray) -> dict[str, np.ndarray]:
    """Facts about the last turn within each of `TURNS_D`, [S] each; NaN where not known.

    Args:
        standard: float32 [S, T], from the level in units of the spread, the newest hour last; T is whole days.

    The stretch since the turn: its age in days, the rise a day, end and signed share explained of its line, the noise
    around it (log), how much steeper its older half was, and how far it ever fell back, as a share of what it rose.
    Before the turn: slope and noise (log), and the jump from there. `turn_rise` tells the rise in units of that noise
    (log), `turn_gain` how much better two lines are than one.
    """
    found: dict[str, np.ndarray] = {}
    blocks = _blocks(standard)
    for days in TURNS_D:
        found |= {f"turn_{name}_{days}d": value for name, value in _turn(blocks[:, : days * DAY_BLOCKS]).items()}
    return found


def _blocks(standard: np.ndarray) -> np.ndarray:
    """float64 [S, N], means of `BLOCK_H` hours over the longest window, the newest first."""
    hours = standard[:, -24 * TURNS_D[-1] :]
    parts = hours[:, ::-1].reshape(len(hours), -1, BLOCK_H)
    known = ~np.isnan(parts)
    count = np.count_nonzero(known, axis=2)
    total = np.where(known, parts, 0.0).sum(axis=2, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _turn(y: np.ndarray) -> dict[str, np.ndarray]:
    """The facts of one window [S, N], the newest block first."""
    sums = _sums(y)
    cut = _cut(sums)
    all_, since, half = sums[:, :, -1], _until(sums, cut), _until(sums, cut // 2)
    before = all_ - since
    slope, end, share, noise = _line(since)
    slope_before, end_before, _, noise_before = _line(before)
    newest, *_ = _line(half)
    oldest, *_ = _line(since - half)
    age = (cut + 1) / DAY_BLOCKS
    rise = slope * age
    jump = end - slope * age - end_before + slope_before * age
    earlier = {
        "before_slope": slope_before,
        "before_noise": np.log(noise_before + LEAST),
        "jump": np.clip(jump, -FURTHEST, FURTHEST),
        "rise": np.sign(rise) * np.log1p(np.abs(rise) / (noise_before + LEAST)),
        "gain": 1 - (_left(since) + _left(before)) / np.maximum(_left(all_), LEAST * LEAST),
    }
    return {
        "age": age,
        "slope": slope,
        "end": end,
        "fit": share * np.sign(slope),
        "noise": np.log(noise + LEAST),
        "bend": np.clip(oldest - newest, -FURTHEST, FURTHEST),
        "fell": np.minimum(_fall(y, cut) / np.maximum(np.abs(rise), LEAST), FURTHEST),
    } | {name: np.where(before[0] >= FEWEST, value, np.nan) for name, value in earlier.items()}


def _sums(y: np.ndarray) -> np.ndarray:
    """[6, S, N]: what lines through the newest 1, 2, ... blocks need: the sums of 1, x, x^2, y, xy and y^2.

    x is in days from now, and negative.
    """
    known = ~np.isnan(y)
    filled = np.where(known, y, 0.0)
    at = np.where(known, -(np.arange(y.shape[1]) + 0.5) / DAY_BLOCKS, 0.0)
    return np.cumsum(np.stack([known.astype(float), at, at * at, filled, at * filled, filled * filled]), axis=2)


def _cut(sums: np.ndarray) -> np.ndarray:
    """[S]: the last block, counted back from now, of the stretch since the turn; the oldest where there is no cut."""
    older = sums[:, :, -1:] - sums
    able = (sums[0] >= FEWEST) & (older[0] >= FEWEST)
    left = np.where(able, _left(sums) + _left(older), np.inf)
    return np.where(able.any(axis=1), left.argmin(axis=1), sums.shape[2] - 1)


def _until(sums: np.ndarray, block: np.ndarray) -> np.ndarray:
    """[6, S]: the sums from now back to a block [S]."""
    at = np.broadcast_to(block[None, :, None], (*sums.shape[:2], 1))
    return np.take_along_axis(sums, at, axis=2)[:, :, 0]


def _left(sums: np.ndarray) -> np.ndarray:
    """What a line through the points of these sums leaves: the sum of squared residuals."""
    n, sx, sxx, sy, sxy, syy = sums
    n = np.maximum(n, 1)
    xx, xy, yy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
    explained = np.where(xx > AT_ONE_MOMENT, xy * xy / np.where(xx > AT_ONE_MOMENT, xx, 1.0), 0.0)
    return np.maximum(yy - explained, 0.0)


def _line(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rise a day, value at as_of, share explained and residual sd."""
    n, sx, sxx, sy, sxy, syy = sums
    count = np.maximum(n, 1)
    xx, xy, yy = sxx - sx * sx / count, sxy - sx * sy / count, syy - sy * sy / count
    slope = np.where(xx > AT_ONE_MOMENT, xy / np.where(xx > AT_ONE_MOMENT, xx, 1.0), 0.0)
    end = sy / count - slope * sx / count
    share = np.where(yy > AT_ONE_LEVEL, np.clip(slope * xy / np.where(yy > AT_ONE_LEVEL, yy, 1.0), 0, 1), 0.0)
    noise = np.sqrt(np.maximum(yy - slope * xy, 0.0) / np.maximum(n - 2, 1))
    return slope, end, share, noise


def _fall(y: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """[S]: how far it fell from its highest so far, at most, since the cut."""
    inside = ~np.isnan(y) & (np.arange(y.shape[1]) <= cut[:, None])
    forward = np.where(inside, y, -np.inf)[:, ::-1]
    highest = np.maximum.accumulate(forward, axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(inside[:, ::-1], highest - forward, 0.0).max(axis=1)
