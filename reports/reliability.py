"""A reliability diagram: what was answered against what came, one panel a horizon. Pure.

Belongs here: the picture. Not here: what the numbers say in words and tables (``digest_trust``), or how the answers
were examined (``forecasting.school``).

The form is that of Bröcker & Smith (2007), "Increasing the Reliability of Reliability Diagrams": points stand at the
mean probability of their bin and not at its middle, and carry bars that say how far chance alone may move them.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from features.units import format_number, format_share
from reports import plots
from reports.plots import BLUE, FAINT, INK, RED, SOFT
from reports.statistics.counts import share_interval

WIDTH, HEIGHT = 900, 480  # pixels
TENTHS = 10
EVERY_SHAPE = "all"
HEADING = "How far probabilities can be trusted"
ON, OFF = "bar reaches the diagonal", "bar misses the diagonal"


@dataclass(frozen=True)
class Bin:
    """Questions that were answered alike: mean p, the share of them that crossed with its 95 % interval, how many."""

    p: float
    share: float
    lo: float
    hi: float
    n: int

    @property
    def is_off(self) -> bool:
        """Whether p lies outside what chance explains."""
        return not self.lo <= self.p <= self.hi


def bins_of(row: dict) -> list[Bin]:
    """The bins of a row of forecasting.calibration, with Wilson's intervals."""
    found = []
    for one in row["bins"]:
        interval = share_interval(round(one["share"] * one["n"]), one["n"])
        if interval is not None:
            lo, hi = min(interval.lo, one["share"]), max(interval.hi, one["share"])  # they may differ in the last bits
            found.append(Bin(one["p"], one["share"], lo, hi, one["n"]))
    return found


def points(difference: float) -> str:
    """A difference of two shares: '3 percentage points'."""
    text = "less than one" if difference < 0.005 else f"{100 * difference:.0f}"
    return f"{text} percentage point{'' if difference < 0.015 else 's'}"


def draw(calibration: pl.DataFrame, heading: str = HEADING) -> bytes:
    """The diagram of all shapes together as PNG, 900 x 480 pixels; the same rows give the same bytes.

    Args:
        calibration: shape, horizon_h, questions, crossed, brier, climatology_brier, calibration_error and bins, as in
            forecasting.calibration of one night; at least one row of the shape `all`.

    Raises:
        ValueError: there is no such row, so there is nothing to draw.
    """
    rows = calibration.filter(pl.col("shape") == EVERY_SHAPE).sort("horizon_h").to_dicts()
    if not rows:
        raise ValueError("forecasting.calibration has no row of all shapes; a reliability diagram needs one")
    with plots.style():
        figure = plots.new_figure(WIDTH, HEIGHT)
        above, below = figure.subplots(
            2, len(rows), height_ratios=(3, 1), squeeze=False,
            gridspec_kw={"left": 0.085, "right": 0.965, "top": 0.8, "bottom": 0.155, "hspace": 0.12, "wspace": 0.14},
        )  # fmt: skip
        most = max(one.n for row in rows for one in bins_of(row))
        for at, row in enumerate(rows):
            _reliability(above[at], row)
            _histogram(below[at], row, most)
            for axes in (above[at], below[at]):
                axes.tick_params(axis="y", labelleft=at == 0)
        _words(figure, above, below, rows, heading)
        return plots.to_png(figure)


def _reliability(axes: Axes, row: dict) -> None:
    plots.bare(axes)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)
    for off, colour, marker, label in ((False, BLUE, "o", ON), (True, RED, "D", OFF)):
        some = [one for one in bins_of(row) if one.is_off == off]
        reach = [[one.share - one.lo for one in some], [one.hi - one.share for one in some]]
        axes.errorbar(
            [one.p for one in some], [one.share for one in some], yerr=reach, fmt=marker, color=colour, markersize=5.5,
            elinewidth=1.4, capsize=3, label=label, zorder=4,
        )  # fmt: skip
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.tick_params(axis="x", labelbottom=False, length=0)
    _percent(axes)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    questions = f"{format_number(row['questions'], 12)} question{'s' if row['questions'] != 1 else ''}"
    axes.set_title(f"within {row['horizon_h']} h: {questions}", fontsize=10.5, fontweight="bold", loc="left", pad=20)
    axes.annotate(
        f"Brier score {row['brier']:.3f}; of always {format_share(row['crossed'] / row['questions'])}: "
        f"{row['climatology_brier']:.3f}",
        xy=(0, 1), xycoords="axes fraction", xytext=(0, 8), textcoords="offset points", fontsize=8.5, color=SOFT,
    )  # fmt: skip


def _histogram(axes: Axes, row: dict, most: int) -> None:
    """How many questions each tenth holds; logarithmic, since most are answered with a low probability."""
    plots.bare(axes)
    tenth = [min(int(one["p"] * TENTHS), TENTHS - 1) for one in row["bins"]]
    axes.bar([(at + 0.5) / TENTHS for at in tenth], [one["n"] for one in row["bins"]], width=0.085, color=SOFT)
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2 * most)
    axes.yaxis.set_minor_locator(FixedLocator([]))
    powers = [10**power for power in range(8) if 10**power <= most]
    axes.yaxis.set_major_locator(FixedLocator(powers[:: 1 + len(powers) // 5]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda n, _: format_number(n, 12)))
    axes.set_xlim(-0.02, 1.02)
    _percent(axes)


def _percent(axes: Axes) -> None:
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    axes.grid(axis="x", color=FAINT, linewidth=0.8)


def _words(figure: Figure, above: list[Axes], below: list[Axes], rows: list[dict], heading: str) -> None:
    longest = rows[-1]
    figure.text(
        0.0125, 0.955, f"{heading}: off by {points(longest['calibration_error'])} on "
        f"average within {longest['horizon_h']} h", fontsize=12.5, fontweight="bold", va="center",
    )  # fmt: skip
    above[0].set_ylabel("share that crossed", color=SOFT)
    below[0].set_ylabel("questions", color=SOFT)
    figure.supxlabel("probability that was answered", fontsize=9.5, color=SOFT, x=0.525, y=0.065)
    parts: dict[str, Artist] = {}
    for axes in above:
        handles, labels = axes.get_legend_handles_labels()
        parts |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(parts.values()), list(parts), loc="lower left", ncols=2, frameon=False, fontsize=8.5,
        bbox_to_anchor=(0.005, -0.005), labelcolor=INK,
    )  # fmt: skip
    figure.text(
        0.965, 0.015, "bars: 95 %, were all questions independent; questions about one series are not",
        fontsize=8, color=SOFT, ha="right", va="bottom",
    )  # fmt: skip
