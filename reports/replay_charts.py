"""A replay's pictures for its page: precision against tickets, the nights, lead times, reliability. Pure.

Belongs here: what is drawn and how. Not here: the numbers (``replay_summary``), the page around them (``replay_page``),
how a drawing becomes markup (``svg``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from features.units import format_number, format_share
from reports import svg
from reports.reliability import OFF, ON, Bin
from reports.replay_summary import (
    AVERTED,
    CAME_TRUE,
    ENOUGH,
    FALSE_ALARM,
    OPEN,
    OUTCOMES,
    TENTHS,
    UNKNOWN,
    frontier,
    settled,
)  # fmt: skip
from reports.svg import BLUE, DPI, GREEN, INK, LINE, ORANGE, PURPLE, RED, SKY, SOFT, Picture
from reports.text import MONTHS, to_zone

WIDE, HALF, PHONE, TALL_PHONE = (8.6, 3.3), (4.2, 3.3), (3.7, 3.3), (3.7, 4.1)  # inches
MOST_BARS = {WIDE: 130, PHONE: 65}  # nights one by one, else by the week
LOG_TICKS = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
MARKERS = ("^", "s", "D", "v", "P", "X")  # of baselines

IN_WORDS = {
    CAME_TRUE: "came true", AVERTED: "averted", FALSE_ALARM: "false alarm", UNKNOWN: "unknown", OPEN: "not over yet",
}  # fmt: skip
COLOURS = {CAME_TRUE: GREEN, AVERTED: SKY, FALSE_ALARM: RED, UNKNOWN: SOFT, OPEN: LINE}
MISSED = "crossing without a ticket"

Size = tuple[float, float]
Draw = Callable[[Figure, Size], None]


def pictures(
    summary: Mapping[str, Any],
    tickets: pl.DataFrame,
    nights: pl.DataFrame,
    misses: pl.DataFrame,
    *,
    sweep: pl.DataFrame | None,
    zone: ZoneInfo,
) -> dict[str, Picture]:
    """The pictures by name: policies, timeline, lead, reliability; what has nothing to show is left out.

    Args:
        summary: from ``replay_summary.summarise`` over the other frames.
        sweep: the policies that were tried, as in ``replay_summary.frontier``; None where only one was.
        zone: of the dates on the axis.
    """
    found = {}
    shares = [each["precision"] for each in (summary, *summary["baselines"].values())]
    shares += [] if sweep is None else sweep["precision"].to_list()
    if any(share is not None for share in shares):
        found["policies"] = _picture(
            "policies",
            "Precision against tickets a week",
            "Up: more of the tickets came true or were averted. To the right: more tickets, each further step as many "
            f"times more. The bar is the chosen policy's 95 % interval. Hollow: fewer than {ENOUGH} tickets, "
            "too few to say.",
            lambda figure, size: _draw_policies(figure, size, summary, sweep),
            WIDE,
            TALL_PHONE,
        )
    if nights.height and (tickets.height or misses.height):
        found["timeline"] = _picture(
            "timeline",
            "Night by night",
            "Up: tickets opened, by what became of them. Down: real crossings that no ticket foresaw. Long replays "
            "are drawn by the week.",
            lambda figure, size: _draw_timeline(figure, size, tickets, nights, misses, zone=zone),
            WIDE,
        )
    if summary["lead_hours_median"] is not None:
        found["lead"] = _picture(
            "lead",
            "How far ahead",
            "Tickets that came true, by hours from opening to the crossing.",
            lambda figure, size: _draw_lead(figure, size, tickets, summary),
            HALF,
        )
    if summary["reliability"]:
        found["reliability"] = _picture(
            "reliability",
            "Does 80 % mean 80 %?",
            "What was answered, every night for every series, against the share that came true; bars: 95 %, were "
            "all questions independent, which those about one series are not. Below: how many questions.",
            lambda figure, size: _draw_reliability(figure, size, summary["reliability"]),
            HALF,
        )
    return found


def _picture(name: str, title: str, caption: str, draw: Draw, desk: Size, phone: Size = PHONE) -> Picture:  # noqa: PLR0917
    return Picture(title, caption, _svg(draw, desk, name), _svg(draw, phone, name))


def _svg(draw: Draw, size: Size, name: str) -> Markup:
    with svg.style(f"replay {name} {size}"):
        figure = Figure(figsize=size, dpi=DPI)
        figure.patch.set_alpha(0)
        draw(figure, size)
        return svg.to_svg(figure)


# ------------------------------------------------------------------------------------------------------------ policies


def _draw_policies(figure: Figure, size: Size, summary: Mapping[str, Any], sweep: pl.DataFrame | None) -> None:
    (axes,) = _panels(figure, size, (1,), left=0.62, top=0.62 if size == WIDE else 1.35, bottom=0.48)
    rivals = [
        (figures, {"marker": marker, "color": ORANGE, "markersize": 7.5, "label": baseline_in_words(name)})
        for marker, (name, figures) in zip(cycle(MARKERS), summary["baselines"].items(), strict=False)
    ]
    ours = (summary, {"marker": "o", "color": GREEN, "markersize": 10, "label": "Forewarn, the chosen policy"})
    shown = [] if sweep is None else _draw_sweep(axes, sweep, summary["nights"])
    for figures, look in (*rivals, ours):
        if figures["precision"] is None:
            continue
        face = look["color"] if settled(figures) >= ENOUGH else "none"
        axes.plot(
            figures["tickets_per_week"], figures["precision"], linestyle="", markerfacecolor=face, zorder=6,
            clip_on=False, **look,  # all and none right lie on the frame's edge
        )  # fmt: skip
        shown.append(figures["tickets_per_week"])
    if summary["precision"] is not None:
        ends = summary["precision_interval"]
        axes.vlines(summary["tickets_per_week"], ends["lo"], ends["hi"], color=GREEN, linewidth=2, zorder=5)
    low, high = min(shown) / 1.8, max(shown) * 1.8
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [tick for tick in LOG_TICKS if low <= tick <= high]
    at_most = 9 if size == WIDE else 5
    ticks = ticks[:: -(-len(ticks) // at_most)]
    axes.set_xticks(ticks, [format_number(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("tickets a week", color=SOFT)
    _shares_upward(axes)
    _legend(figure, axes, columns=3 if size == WIDE else 1)


def _draw_sweep(axes: Axes, sweep: pl.DataFrame, nights: int) -> list[float]:
    """The policies tried and the line of those worth choosing from; returns the tickets a week that were drawn."""
    tried = sweep.filter(pl.col("precision").is_not_null(), pl.col("tickets_per_week") > 0)
    tried = tried.sort("tickets_per_week", "precision", "recall", nulls_last=True)
    is_few = pl.col("tickets_per_week") * nights / 7 < ENOUGH - 0.5
    for some, face, label in (
        (tried.filter(~is_few), SKY, "policies tried"),
        (tried.filter(is_few), "none", f"tried, below {ENOUGH} tickets"),
    ):
        if some.height:
            at = some["tickets_per_week"].to_numpy(), some["precision"].to_numpy()
            axes.plot(*at, "o", color=SKY, markerfacecolor=face, markersize=4, alpha=0.8, label=label, zorder=2)
    line = frontier(tried)
    if line.height > 1:
        at = line["tickets_per_week"].to_numpy(), line["precision"].to_numpy()
        axes.plot(*at, "-", color=BLUE, linewidth=1.6, label="no better one tried", zorder=3)
    return tried["tickets_per_week"].to_list()


def baseline_in_words(name: str) -> str:
    """'predict_linear_24h' as 'predict_linear over 24 h'; another name stays."""
    rule, _, window = name.rpartition("_")
    is_window = window[:-1].isdigit() and window[-1:] in ("h", "d")
    return f"{rule} over {window[:-1]} {window[-1]}" if rule and is_window else name


# ------------------------------------------------------------------------------------------------------------ timeline


def _draw_timeline(
    figure: Figure, size: Size, tickets: pl.DataFrame, nights: pl.DataFrame, misses: pl.DataFrame, *, zone: ZoneInfo
) -> None:
    (axes,) = _panels(figure, size, (1,), left=0.45, top=0.4 if size == WIDE else 0.8, bottom=0.3)
    first, last = _bounds(nights)
    span = round((last - first) / timedelta(days=1)) + 1
    step = 1 if span <= MOST_BARS[size] else 7
    bars = -(-span // step)

    def heights(times: pl.Series) -> np.ndarray:
        nth = [min(max(round((moment - first) / timedelta(days=1)) // step, 0), bars - 1) for moment in times]
        return np.bincount(np.array(nth, dtype=int), minlength=bars).astype(float)

    at, below = np.arange(bars) * step + (step - 1) / 2, np.zeros(bars)
    for name in OUTCOMES:
        opened = heights(tickets.filter(pl.col("outcome").fill_null(OPEN) == name)["opened_at"])
        if (some := opened > 0).any():
            edge = {"edgecolor": SOFT, "linewidth": 0.6} if name == OPEN else {}
            axes.bar(
                at[some],
                opened[some],
                0.8 * step,
                bottom=below[some],
                color=COLOURS[name],
                label=IN_WORDS[name],
                **edge,
            )
        below += opened
    unforeseen = heights(misses["crossed_at"])
    if unforeseen.any():
        axes.bar(at, -unforeseen, 0.8 * step, color=PURPLE, label=MISSED)
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.set_ylim(-1.1 * max(unforeseen.max(), 0.1), 1.1 * max(below.max(), 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: format_number(abs(count), 12)))
    axes.set_xlim(-0.8, span - 0.2)
    _label_dates(axes, first, span, zone, 9 if size == WIDE else 4)
    _legend(figure, axes, columns=6 if size == WIDE else 2)


def _bounds(nights: pl.DataFrame) -> tuple[datetime, datetime]:
    ordered = nights["as_of"].sort()
    return ordered[0], ordered[-1]


def _label_dates(axes: Axes, first: datetime, span: int, zone: ZoneInfo, at_most: int) -> None:
    every = next(n for n in (1, 2, 7, 14, 28, 56, 91, 182, 364, 10**6) if span / n <= at_most)
    nth = range(0, span, every)
    local = [to_zone(first + timedelta(days=n), zone) for n in nth]
    axes.set_xticks(list(nth), [f"{moment.day} {MONTHS[moment.month - 1]}" for moment in local])


# ----------------------------------------------------------------------------------------------- lead and reliability


def _draw_lead(figure: Figure, size: Size, tickets: pl.DataFrame, summary: Mapping[str, Any]) -> None:
    (axes,) = _panels(figure, size, (1,), left=0.45, top=0.45, bottom=0.48)
    lead = tickets.filter(pl.col("outcome") == CAME_TRUE)["lead_hours"].drop_nulls().to_numpy()
    longest = float(lead.max())
    width = next(hours for hours in (4, 12, 24, 48, 168, 10**6) if longest / hours <= 16)
    edges = np.arange(0, longest + width + 1e-9, width)
    axes.hist(lead, edges.tolist(), color=GREEN, rwidth=0.9)
    for hours, words, dash in (
        (summary["lead_hours_median"], "half more than", "-"),
        (summary["lead_hours_p10"], "9 in 10 more than", ":"),
    ):
        label = f"{words} {format_number(round(hours), 12)} h"
        axes.axvline(hours, color=INK, linewidth=1.6, linestyle=dash, label=label)
    _legend(figure, axes, columns=2)
    axes.set_xlim(0, edges[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(edges[:: max(1, len(edges) // 6)])))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("hours ahead", color=SOFT)


def _draw_reliability(figure: Figure, size: Size, reliability: Sequence[Mapping[str, Any]]) -> None:
    above, below = _panels(figure, size, (3, 1), left=0.62, top=0.4, bottom=0.48)
    bins = [Bin(one["p"], one["share"], one["lo"], one["hi"], one["n"]) for one in reliability]
    above.plot([0, 1], [0, 1], color=SOFT, linewidth=1.2, linestyle=(0, (4, 2)))
    for is_off, colour, marker, label in ((False, BLUE, "o", ON), (True, RED, "D", OFF)):
        some = [one for one in bins if one.is_off == is_off]
        if some:
            reach = [[one.share - one.lo for one in some], [one.hi - one.share for one in some]]
            above.errorbar(
                [one.p for one in some], [one.share for one in some], yerr=reach, fmt=marker, color=colour,
                markersize=5, elinewidth=1.3, capsize=2.5, label=label,
            )  # fmt: skip
    _shares_upward(above)
    above.set_ylabel("share that came true", color=SOFT)
    tenths = [(min(int(one.p * TENTHS), TENTHS - 1) + 0.5) / TENTHS for one in bins]
    most = max(one.n for one in bins)
    below.bar(tenths, [one.n for one in bins], 0.085, color=SOFT)
    below.set_yscale("log")
    below.set_ylim(0.7, 2 * most)
    below.yaxis.set_minor_locator(NullLocator())
    below.set_yticks([1, 10 ** int(np.log10(most))] if most >= 10 else [1])
    below.yaxis.set_major_formatter(FuncFormatter(lambda n, _: format_number(n, 12)))
    below.set_xlim(-0.02, 1.02)
    below.set_xticks([0, 0.25, 0.5, 0.75, 1])
    below.xaxis.set_major_formatter(FuncFormatter(_as_share))
    below.set_xlabel("probability that was answered", color=SOFT)
    _legend(figure, above, columns=2)


# --------------------------------------------------------------------------------------------------------------- frame


def _panels(
    figure: Figure, size: Size, rows: tuple[int, ...], *, left: float, top: float, bottom: float
) -> Sequence[Axes]:
    """Bare axes below each other, these inches away from the edges."""
    width, height = size
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0].tolist()
    figure.subplots_adjust(
        left=left / width, right=1 - 0.15 / width, top=1 - top / height, bottom=bottom / height, hspace=0.18
    )
    for axes in panels:
        axes.patch.set_alpha(0)
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=SOFT, length=0)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(LINE)
    return panels


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False,
        fontsize=8.5, labelcolor=INK, handlelength=1.4, columnspacing=1.2, borderaxespad=0.1,
    )  # fmt: skip


def _shares_upward(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(_as_share))


def _as_share(share: float, _: float) -> str:
    return format_share(share)
