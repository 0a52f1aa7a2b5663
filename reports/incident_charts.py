"""The incident report's pictures: the same drawing as PNG for files and as SVG for the page.

Belongs here: what is drawn and how. Not here: the numbers (``reports.incident_trends``) or the page around them.

Equal numbers give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from features.units import format_duration
from reports import svg
from reports.incident_behaviour import Behaviour
from reports.incident_changes import Changes
from reports.incident_periods import ALL
from reports.incident_trends import IncidentTrends
from reports.statistics import Survival
from reports.svg import BLUE, DESK, DPI, GREEN, INK, LINE, ORANGE, PHONE, RED, SKY, SOFT, Picture
from reports.text import MONTHS

MARGINS = {"left": 0.72, "right": 0.45, "top": 0.12, "bottom": 0.45}  # inches
MOST_STEPS = 250  # of a curve that is drawn
MINUTE, HOUR, DAY = 60, 3600, 86400
COARSE = (1, 10, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 180 * DAY, 730 * DAY)
FINE = (
    *(1, 2, 5, 10, 30),
    *(count * MINUTE for count in (1, 2, 5, 10, 30)),
    *(count * HOUR for count in (1, 2, 6, 12)),
    *(count * DAY for count in (1, 2, 4, 7, 14, 30, 90, 180, 365, 730)),
)


@dataclass(frozen=True)
class _Months:
    """The slice *all*, month by month; arrays are [m], NaN where withheld."""

    names: list[str]
    is_whole: np.ndarray
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, trends: IncidentTrends) -> _Months:
        of_all = trends.table.filter(
            (pl.col("slice") == ALL) & pl.col("period").is_in([month.name for month in trends.periods["month"]])
        )
        names = of_all["period"].unique().sort().to_list()
        columns = {}
        for (measure,), rows in of_all.sort("period").group_by(["measure"], maintain_order=True):
            for end in ("value", "lo", "hi"):
                columns[f"{measure}_{end}"] = rows[end].cast(pl.Float64).fill_null(np.nan).to_numpy()
        last_is_cut = (trends.as_of.day, trends.as_of.hour) != (1, 0)
        is_whole = np.array([not (last_is_cut and name == f"{trends.as_of:%Y-%m}") for name in names])
        return cls(names, is_whole, columns)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]


class _Subject(NamedTuple):
    title: str
    caption: str
    rows: tuple[int, ...]  # relative heights of the panels
    draw: Callable[[list[Axes], float], None]  # the panels, and how wide the drawing is in inches


def charts(trends: IncidentTrends) -> dict[str, bytes]:
    """PNGs by name (mttr, mtta, curve, behaviour, shares, open); what there are too few incidents for is left out."""
    return {name: _png(subject) for name, subject in _subjects(trends).items()}


def inline_charts(trends: IncidentTrends) -> dict[str, Picture]:
    """The same for the page."""
    return {
        name: Picture(subject.title, subject.caption, _svg(subject, DESK, name), _svg(subject, PHONE, name))
        for name, subject in _subjects(trends).items()
    }


def _subjects(trends: IncidentTrends) -> dict[str, _Subject]:
    months = _Months.of(trends)
    if not months.names:
        return {}
    subjects = {}
    for measure, title, verb in (("mttr", "Time to resolve", "resolved"), ("mtta", "Time to acknowledge", "taken up")):
        if np.isfinite(months[f"{measure}_median_value"]).any():
            subjects[measure] = _Subject(
                f"{title}: monthly median",
                f"By month of creation: half of the incidents took longer to be {verb}. Bars: 95 % interval, with an "
                "arrow where incidents still open leave its upper end unknown. Hollow: a month not over yet. No dot: "
                "too few incidents to say. Below: incidents created, on top those still open.",
                (5, 2),
                partial(_draw_medians, months, measure=measure),
            )
    if trends.changes is not None and "mttr" in trends.changes.curves:
        subjects["curve"] = _curve(trends.changes)
    if "mttr" in trends.behaviour:
        subjects["behaviour"] = _behaviour(trends.behaviour["mttr"])
    if np.isfinite(months["mttr_share_24h_value"]).any():
        subjects["shares"] = _Subject(
            "Share resolved within an hour, four hours, a day",
            "By month of creation, incidents still open included. Bands: 95 % interval.",
            (1,),
            partial(_draw_shares, months),
        )
    subjects["open"] = _Subject(
        "Open incidents at the end of each month", "Whenever they were created.", (1,), partial(_draw_open, months)
    )
    return subjects


def _curve(changes: Changes) -> _Subject:
    return _Subject(
        "How long incidents stay unresolved",
        f"Share not yet resolved after so long (Kaplan-Meier, open incidents included), for incidents created in the "
        f"last {changes.after.name} (solid) and in the {changes.before.name} before (dashed). Where a curve crosses "
        "50 % is its median. Bands: 95 % at each time.",
        (1,),
        partial(_draw_curves, changes.curves["mttr"]),
    )


def _behaviour(found: Behaviour) -> _Subject:
    odd = found.outstanding
    told = f"Beyond the usual: {', '.join(odd)}." if odd else "None is."
    return _Subject(
        f"Does a {found.grain} stand out?",
        f"Medians of whole {found.grain}s on the usual come and go of this very process (XmR chart): a {found.grain} "
        f"outside the dashed limits, or eight in a row on one side of the middle, is more than chance. {told} Below: "
        "by what factor successive ones differ.",
        (5, 2),
        partial(_draw_behaviour, found),
    )


# --------------------------------------------------------------------------------------------------------- drawings


def _draw_medians(months: _Months, axes: list[Axes], width: float, measure: str) -> None:
    top, bottom = axes
    median, lo, hi = (months[f"{measure}_median_{end}"] for end in ("value", "lo", "hi"))
    at, shown = np.arange(len(median)), np.isfinite(median)
    floor, ceiling = _log_limits(median, lo, hi)
    ends = np.clip(np.stack([lo, np.where(np.isfinite(hi), hi, ceiling)]), floor, ceiling)
    top.vlines(at[shown], ends[0][shown], ends[1][shown], color=SKY, linewidth=4, alpha=0.75)
    unbounded = shown & ~np.isfinite(hi)
    top.plot(at[unbounded], np.full(unbounded.sum(), ceiling), "^", color=SKY, markersize=6, clip_on=False)
    height = np.clip(median, floor, ceiling)
    top.plot(at, height, color=BLUE, linewidth=1.2)
    for whole, face in ((True, BLUE), (False, "none")):
        chosen = shown & (months.is_whole == whole)
        top.plot(at[chosen], height[chosen], "o", color=BLUE, markerfacecolor=face, markersize=5.5)
    top.set_yscale("log")
    top.set_ylim(floor, ceiling)
    _label_durations(top.yaxis, floor, ceiling, at_most=7)
    _draw_volume(months, bottom)
    _label_months(bottom, months.names, int(width * 1.4))


def _label_durations(axis: Axis, floor: float, ceiling: float, at_most: int) -> None:
    """Marks such as 10 min, 1 h, 1 d on a logarithmic axis."""
    fine, coarse = ([tick for tick in ticks if floor <= tick <= ceiling] for ticks in (FINE, COARSE))
    ticks = fine if len(fine) <= at_most else coarse[:: -(-len(coarse) // at_most)]
    axis.set_ticks(ticks, [format_duration(tick).replace("\u00a0", " ") for tick in ticks], minor=False)
    axis.set_minor_locator(NullLocator())


def _log_limits(*values: np.ndarray) -> tuple[float, float]:
    """At least from one tick to the next, so that the axis always says how long."""
    finite = np.concatenate(values)
    finite = finite[np.isfinite(finite) & (finite > 0)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (MINUTE, HOUR)
    floor = max((tick for tick in FINE if tick <= low / 1.3), default=low / 2)
    ceiling = min((tick for tick in FINE if tick >= high * 1.3), default=high * 2)
    return floor, ceiling


def _draw_volume(months: _Months, axes: Axes) -> None:
    created, still_open = months["created_value"], months["still_open_value"]
    at = np.arange(len(created))
    axes.bar(at, created - still_open, color=SKY, width=0.72)
    axes.bar(at, still_open, bottom=created - still_open, color=ORANGE, width=0.72)
    axes.set_ylim(0, max(1.0, created.max() * 1.15))
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    axes.yaxis.set_major_formatter(_thousands)
    axes.set_title("created, on top those still open", loc="left", color=SOFT, fontsize=8, pad=3)


def _draw_shares(months: _Months, axes: list[Axes], width: float) -> None:
    (only,) = axes
    lines = (("1h", "1 h", GREEN, ":", "s"), ("4h", "4 h", ORANGE, "--", "^"), ("24h", "24 h", BLUE, "-", "o"))
    at = np.arange(len(months.names))
    for key, label, colour, dash, marker in lines:
        share, lo, hi = (100 * months[f"mttr_share_{key}_{end}"] for end in ("value", "lo", "hi"))
        if not np.isfinite(share).any():
            continue
        only.fill_between(at, lo, hi, color=colour, alpha=0.16, linewidth=0)
        only.plot(at, share, dash, marker=marker, color=colour, markersize=4.5, linewidth=1.4)
        last = int(np.flatnonzero(np.isfinite(share))[-1])
        only.annotate(label, (last, share[last]), xytext=(7, 0), textcoords="offset points", color=colour, va="center")
    only.set_ylim(0, 100)
    only.yaxis.set_major_formatter(_percent)
    _label_months(only, months.names, int(width * 1.4))


def _draw_open(months: _Months, axes: list[Axes], width: float) -> None:
    (only,) = axes
    backlog = months["open_at_end_value"]
    only.bar(np.arange(len(backlog)), backlog, color=ORANGE, width=0.72)
    only.set_ylim(0, max(1.0, backlog.max() * 1.12))
    only.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    only.yaxis.set_major_formatter(_thousands)
    _label_months(only, months.names, int(width * 1.4))


def _draw_curves(curves: tuple[Survival, Survival], axes: list[Axes], width: float) -> None:
    (only,) = axes
    times = np.concatenate([curve.times for curve in curves])
    floor = max(float(np.quantile(times, 0.01)), MINUTE)
    ceiling = max(float(times.max()), 2 * floor)
    for curve, colour, dash, label in zip(curves, (SOFT, BLUE), ("--", "-"), ("before", "now"), strict=True):
        steps = np.unique(np.linspace(0, len(curve.times) - 1, MOST_STEPS).astype(int))
        at = np.concatenate([[floor / 10], np.maximum(curve.times[steps], floor / 10)])
        left, lower, upper = (np.concatenate([[1.0], ends[steps]]) for ends in (curve.survival, *curve.band()))
        only.fill_between(at, 100 * lower, 100 * upper, step="post", color=colour, alpha=0.16, linewidth=0)
        only.step(at, 100 * left, dash, where="post", color=colour, linewidth=1.5, label=label)
    only.axhline(50, color=SOFT, linewidth=0.8, linestyle=":")
    only.set_xscale("log")
    only.set_xlim(floor, ceiling)
    _label_durations(only.xaxis, floor, ceiling, at_most=int(1.3 * width))
    only.set_ylim(0, 100)
    only.yaxis.set_major_formatter(_percent)
    only.legend(loc="upper right", frameon=False, labelcolor=SOFT, handlelength=2.6)


def _draw_behaviour(found: Behaviour, axes: list[Axes], width: float) -> None:
    top, bottom = axes
    chart, at = found.chart, np.arange(len(found.names))
    medians, odd = np.exp(chart.values), chart.outside | chart.in_run
    floor, ceiling = _log_limits(medians, np.exp([chart.lower, chart.upper]))
    top.plot(at, medians, color=BLUE, linewidth=1.2)
    top.plot(at[~odd], medians[~odd], "o", color=BLUE, markersize=5)
    top.plot(at[odd], medians[odd], "D", color=RED, markersize=7)
    top.axhline(np.exp(chart.centre), color=SOFT, linewidth=1)
    for limit in (chart.lower, chart.upper):
        top.axhline(np.exp(limit), color=SOFT, linewidth=1.2, linestyle="--")
    top.set_yscale("log")
    top.set_ylim(floor, ceiling)
    _label_durations(top.yaxis, floor, ceiling, at_most=7)
    bottom.plot(at[1:], chart.ranges, "-o", color=SKY, markersize=4, linewidth=1.2)
    bottom.axhline(chart.range_upper, color=SOFT, linewidth=1.2, linestyle="--")
    bottom.set_ylim(0, 1.1 * max(chart.range_upper, float(chart.ranges.max()), 0.05))
    factors = [factor for factor in (1, 1.5, 2, 3, 5, 10, 30, 100) if np.log(factor) <= bottom.get_ylim()[1]]
    bottom.set_yticks([float(np.log(factor)) for factor in factors[:: -(-len(factors) // 3)]],
                      [f"{factor:g}-fold" for factor in factors[:: -(-len(factors) // 3)]])  # fmt: skip
    if found.grain == "month":
        _label_months(bottom, found.names, int(width * 1.4))
    else:
        shown = at[:: -(-len(at) // int(width))]
        bottom.set_xticks(shown, ["\n".join(str(found.names[k]).split("-")) for k in shown])
        bottom.set_xlim(-0.7, len(at) - 0.3)


def _percent(value: float, _: float) -> str:
    return f"{value:.0f} %"


def _thousands(value: float, _: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


# --------------------------------------------------------------------------------------------------- frame and bytes


def _figure(subject: _Subject, size: tuple[float, float], title: str | None) -> Figure:
    width, height = size
    heading = 0.0 if title is None else 0.35
    figure = Figure(figsize=(width, height + heading), dpi=DPI)
    figure.subplots_adjust(
        left=MARGINS["left"] / width,
        right=1 - MARGINS["right"] / width,
        top=1 - (MARGINS["top"] + heading) / (height + heading),
        bottom=MARGINS["bottom"] / (height + heading),
        hspace=0.3,
    )
    figure.patch.set_alpha(0 if title is None else 1)
    axes = figure.subplots(len(subject.rows), 1, sharex=True, squeeze=False, height_ratios=subject.rows)[:, 0].tolist()
    subject.draw(axes, width)
    for each in axes:
        each.patch.set_alpha(0)
        each.grid(axis="y", color=LINE, linewidth=0.8)
        each.set_axisbelow(True)
        each.tick_params(colors=SOFT, length=0)
        for side, spine in each.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(LINE)
    if title is not None:
        figure.suptitle(title, x=0.01, y=0.98, ha="left", color=INK, fontsize=11, fontweight="bold")
    return figure


def _label_months(axes: Axes, names: Sequence[str], at_most: int) -> None:
    """At most so many, counted from the newest; the year where it begins and at the first."""
    step = -(-len(names) // at_most)
    at = list(range(len(names) - 1, -1, -step))[::-1]
    years = [names[i][:4] for i in at]
    labels = [
        f"{MONTHS[int(names[i][5:]) - 1]}" + (f"\n{year}" if k == 0 or years[k - 1] != year else "")
        for k, (i, year) in enumerate(zip(at, years, strict=True))
    ]
    axes.set_xticks(at, labels)
    axes.set_xlim(-0.7, len(names) - 0.3)


def _png(subject: _Subject) -> bytes:
    with svg.style("png"):
        figure = _figure(subject, DESK, subject.title)
        figure.patch.set_facecolor("white")
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    return out.getvalue()


def _svg(subject: _Subject, size: tuple[float, float], name: str) -> Markup:
    with svg.style(f"{name} {size}"):
        return svg.to_svg(_figure(subject, size, None))
