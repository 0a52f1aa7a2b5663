"""What all charts share: colours, a figure without global state, axes of local time and of values with their unit.

Belongs here: the look and the craft. Not here: what a chart shows (``ticket_chart``, ``sparkline``, ``incident_*``).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib import style as styles
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from features.units import BINARY, BYTES, PERCENT, RATIO, SECONDS, UNITLESS, format_number
from reports.text import format_date, one_line, to_zone

# Okabe and Ito's palette: told apart by the colour-blind, and of different lightness for print in grey.
INK, SOFT, FAINT = "#1b2330", "#5b6675", "#dde2e9"
BLUE, SKY, ORANGE, RED, GREEN, PURPLE = "#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#009e73", "#cc79a7"

DPI = 100

# On top of matplotlib's defaults; a '$' in a name is no formula.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.parse_math": False,
    "text.usetex": False,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "hatch.linewidth": 0.6,
    "path.simplify": True,
    "svg.hashsalt": "forewarn",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw within this: the same bytes whatever the user's own matplotlib settings."""
    with styles.context(["default", STYLE]), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, which is no fault of the night's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def new_figure(width: int, height: int) -> Figure:
    """An empty white figure of this many pixels."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """The picture, without a date or the software's version: the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def bare(axes: Axes) -> None:
    """Only what carries meaning: no box, faint horizontal lines."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


# --------------------------------------------------------------------------------------------------------------- axes


def axis_scale(largest: float, unit: str | None) -> tuple[float, str]:
    """(factor, suffix) that make an axis readable: 8.1e9 bytes are drawn as 7.5 with ' GiB' behind each number."""
    key = (unit or "").strip().lower()
    kind, _, per = key.partition("/")
    rate = f"/{per}" if per else ""
    size = abs(largest)
    if key in PERCENT:
        return 1.0, " %"
    if key in RATIO:
        return 100.0, " %"
    if kind in BYTES:
        power = min(int(np.log2(max(size * BYTES[kind], 1.0)) // 10), len(BINARY) - 1)
        return BYTES[kind] / 1024.0**power, f" {BINARY[power]}{rate}"
    if key in SECONDS:
        seconds = size * SECONDS[key]
        steps = ((2 * 86400, 86400, "d"), (2 * 3600, 3600, "h"), (120, 60, "min"), (1, 1, "s"), (0, 1e-3, "ms"))
        per_unit, name = next((per, name) for least, per, name in steps if seconds >= least)
        return SECONDS[key] / per_unit, f" {name}"
    return 1.0, "" if key in UNITLESS else f" {one_line(unit or '', 12)}"


def value_axis(axes: Axes, suffix: str, ticks: int = 6) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{format_number(value, 4)}{suffix}"))


def day(moment: datetime) -> float:
    """A moment's place on a time axis: days since the epoch."""
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)


def days(moments: np.ndarray) -> np.ndarray:
    """Likewise for datetime64 [N]."""
    return (moments - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")


def local_midnights(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The local midnights between two moments, all naive UTC."""
    first = to_zone(start, zone).date() + timedelta(days=1)
    dates = (first + timedelta(days=n) for n in range((end - start).days + 2))
    midnights = (datetime.combine(date, time(), zone).astimezone(UTC).replace(tzinfo=None) for date in dates)
    return [midnight for midnight in midnights if midnight <= end]


def local_time_axis(axes: Axes, start: datetime, end: datetime, zone: ZoneInfo, labels: int = 9) -> None:
    """A day a tick in the local zone, every few of them labelled with weekday and date."""
    midnights = local_midnights(start, end, zone)
    every = next(n for n in (1, 2, 3, 7, 14, 28, 91, 366, 10**6) if len(midnights) / n <= labels)
    axes.set_xlim(day(start), day(end))
    # One line of marks: as minor ticks, each with a label of its own, they would take a fifth of the whole drawing.
    marks = [day(midnight) for midnight in midnights]
    axes.plot(
        marks, [0] * len(marks), "|", color=SOFT, ms=5, mew=0.8, clip_on=False, transform=axes.get_xaxis_transform()
    )
    edge = end - 0.03 * (end - start)  # a label further right would be cut
    labelled = [midnight for midnight in midnights[::every] if midnight < edge]
    axes.set_xticks([day(midnight) for midnight in labelled], [format_date(to_zone(each, zone)) for each in labelled])
