"""Small plots within a page's rows: where a series was, where it goes, and its limit. Inline SVG of a few kB.

Written by hand rather than by matplotlib: a page has dozens, each costs about a millisecond, and they take the page's
own colours in the light and in the dark. Only numbers enter the markup, so there is nothing to escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT, PAD = 220, 48, 3
POINTS = 160  # at most, of what was measured

# For the page that shows sparklines.
STYLE = Markup("""
.spark { display: block; width: 220px; max-width: 100%; height: auto; }
.spark .seen { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-linejoin: round; }
.spark .fan { fill: var(--blue); fill-opacity: .25; }
.spark .mid { fill: none; stroke: var(--blue); stroke-width: 1.3; stroke-dasharray: 3 1.5; }
.spark .limit { stroke: var(--red); stroke-width: 1.3; }
.spark .came { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-opacity: .55; stroke-linejoin: round; }
.spark .now { stroke: var(--soft); stroke-width: .8; stroke-opacity: .6; }
""")


@dataclass(frozen=True)
class Spark:
    """A row's small plot.

    measured: hourly values before the night's cut, oldest first, NaN where none was observed.
    low, middle, high: hourly quantiles from the cut on; may be empty.
    limit: drawn as a line; None where there is none.
    came: hourly values from the cut on, where the cut lies in the past; may be empty.
    """

    measured: np.ndarray
    low: Sequence[float] | np.ndarray = ()
    middle: Sequence[float] | np.ndarray = ()
    high: Sequence[float] | np.ndarray = ()
    limit: float | None = None
    came: np.ndarray = field(default_factory=lambda: np.empty(0))


def sparkline(spark: Spark) -> Markup:
    """The plot as an ``svg`` element; hidden from screen readers, since the row's words say the same."""
    before, after = len(spark.measured), len(spark.middle)
    span = max(before + max(after, len(spark.came)) - 1, 1)
    low, high = _range(spark)

    def x(hour: float) -> float:
        return PAD + hour / span * (WIDTH - 2 * PAD)

    def y(value: float) -> float:
        share = (float(value) - low) / (high - low)
        return PAD + (1 - min(max(share, 0.0), 1.0)) * (HEIGHT - 2 * PAD)

    parts: list[str] = []
    if after:
        every = max(1, after // 42)
        hours = [*range(0, after, every), after - 1]
        upper = [f"{x(before + h):.1f},{y(spark.high[h]):.1f}" for h in hours]
        lower = [f"{x(before + h):.1f},{y(spark.low[h]):.1f}" for h in reversed(hours)]
        middle = [f"{x(before + h):.1f},{y(spark.middle[h]):.1f}" for h in hours]
        parts.append(f'<polygon class="fan" points="{" ".join(upper + lower)}"/>')
        parts.append(f'<polyline class="mid" points="{" ".join(middle)}"/>')
    if after or len(spark.came):
        parts.append(f'<line class="now" x1="{x(before):.1f}" x2="{x(before):.1f}" y1="0" y2="{HEIGHT}"/>')
    if spark.limit is not None:
        at = f"{y(spark.limit):.1f}"
        parts.append(f'<line class="limit" x1="{PAD}" x2="{WIDTH - PAD}" y1="{at}" y2="{at}"/>')
    for stretch in _stretches(spark.measured):
        points = " ".join(f"{x(hour):.1f},{y(value):.1f}" for hour, value in stretch)
        parts.append(f'<polyline class="seen" points="{points}"/>')
    for stretch in _stretches(spark.came):
        points = " ".join(f"{x(before + hour):.1f},{y(value):.1f}" for hour, value in stretch)
        parts.append(f'<polyline class="came" points="{points}"/>')
    drawing = "".join(parts)
    return Markup(f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{drawing}</svg>')  # noqa: S704


def _range(spark: Spark) -> tuple[float, float]:
    """From lowest to highest of what was measured and the limit; of the forecast as much as leaves these readable."""
    known = np.concatenate([spark.measured, spark.came])
    core = known[np.isfinite(known)].astype(float).tolist()
    core += [] if spark.limit is None else [spark.limit]
    if not core:
        return 0.0, 1.0
    low, high = min(core), max(core)
    room = (high - low) or abs(high) or 1.0
    if len(spark.middle):
        low = max(min(low, float(np.min(spark.low))), low - room)
        high = min(max(high, float(np.max(spark.high))), high + 0.5 * room)
    return (low, high) if high > low else (low - 0.5 * room, high + 0.5 * room)


def _stretches(measured: np.ndarray) -> list[list[tuple[float, float]]]:
    """Connected points, thinned to bins of which the lowest and the highest value are kept, so that spikes stay."""
    hours = np.flatnonzero(np.isfinite(measured))
    if not len(hours):
        return []
    usual = float(np.median(np.diff(hours))) if len(hours) > 1 else 1.0
    width = max(1, 2 * len(hours) // POINTS)
    found: list[list[tuple[float, float]]] = []
    for run in np.split(hours, np.flatnonzero(np.diff(hours) > 2.5 * max(usual, 1.0)) + 1):
        kept: list[int] = []
        for start in range(0, len(run), width):
            piece = run[start : start + width]
            kept += sorted({int(piece[measured[piece].argmin()]), int(piece[measured[piece].argmax()])})
        if len(kept) == 1:  # a lone point shows as a dash
            kept = [kept[0], kept[0]]
        found.append([(hour, float(measured[hour])) for hour in kept])
        if kept[0] == kept[-1]:
            found[-1][-1] = (kept[0] + 0.8, float(measured[kept[0]]))
    return found
