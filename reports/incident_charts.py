"""The incident report's pictures: the same drawing as PNG for files and as SVG for the page.

Belongs here: what is drawn and how. Not here: the numbers (``reports.incident_trends``) or the page around them.

Equal numbers give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from features.units import format_duration
from reports import svg
from reports.incident_trends import IncidentTrends
from reports.svg import BLUE, DESK, DPI, GREEN, INK, LINE, ORANGE, PHONE, SKY, SOFT, Picture
from reports.text import MONTHS

MARGINS = {"left": 0.72, "right": 0.45, "top": 0.12, "bottom": 0.45}  # inches
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
        of_all = trends.table.filter((pl.col("slice") == "all") & (pl.col("period") != "all"))
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
    draw: Callable[[_Months, list[Axes]], None]


def charts(trends: IncidentTrends) -> dict[str, bytes]:
    """PNGs by name (mttr, mtta, shares, open); what no month has enough incidents for is left out."""
    months = _Months.of(trends)
    return {name: _png(subject, months) for name, subject in _subjects(months).items()}


def inline_charts(trends: IncidentTrends) -> dict[str, Picture]:
    """The same for the page."""
    months = _Months.of(trends)
    return {
        name: Picture(
            subject.title, subject.caption, _svg(subject, months, DESK, name), _svg(subject, months, PHONE, name)
        )
        for name, subject in _subjects(months).items()
    }


def _subjects(months: _Months) -> dict[str, _Subject]:
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
                lambda months, axes, measure=measure: _draw_medians(months, axes, measure),
            )
    if np.isfinite(months["mttr_share_24h_value"]).any():
        subjects["shares"] = _Subject(
            "Share resolved within an hour, four hours, a day",
            "By month of creation, incidents still open included. Bands: 95 % interval.",
            (1,),
            _draw_shares,
        )
    subjects["open"] = _Subject(
        "Open incidents at the end of each month", "Whenever they were created.", (1,), _draw_open
    )
    return subjects


# --------------------------------------------------------------------------------------------------------- drawings


def _draw_medians(months: _Months, axes: list[Axes], measure: str) -> None:
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
    fine, coarse = ([tick for tick in ticks if floor <= tick <= ceiling] for ticks in (FINE, COARSE))
    ticks = fine if len(fine) <= 7 else coarse
    top.set_yticks(ticks, [format_duration(tick).replace("\u00a0", " ") for tick in ticks], minor=False)
    top.yaxis.set_minor_locator(NullLocator())
    _draw_volume(months, bottom)


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


def _draw_shares(months: _Months, axes: list[Axes]) -> None:
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
    only.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")


def _draw_open(months: _Months, axes: list[Axes]) -> None:
    (only,) = axes
    backlog = months["open_at_end_value"]
    only.bar(np.arange(len(backlog)), backlog, color=ORANGE, width=0.72)
    only.set_ylim(0, max(1.0, backlog.max() * 1.12))
    only.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    only.yaxis.set_major_formatter(_thousands)


def _thousands(value: float, _: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


# --------------------------------------------------------------------------------------------------- frame and bytes


def _figure(subject: _Subject, months: _Months, size: tuple[float, float], title: str | None) -> Figure:
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
    subject.draw(months, axes)
    for each in axes:
        each.patch.set_alpha(0)
        each.grid(axis="y", color=LINE, linewidth=0.8)
        each.set_axisbelow(True)
        each.tick_params(colors=SOFT, length=0)
        for side, spine in each.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(LINE)
    _label_months(axes[-1], months.names, int(width * 1.4))
    if title is not None:
        figure.suptitle(title, x=0.01, y=0.98, ha="left", color=INK, fontsize=11, fontweight="bold")
    return figure


def _label_months(axes: Axes, names: list[str], at_most: int) -> None:
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


def _png(subject: _Subject, months: _Months) -> bytes:
    with svg.style("png"):
        figure = _figure(subject, months, DESK, subject.title)
        figure.patch.set_facecolor("white")
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    return out.getvalue()


def _svg(subject: _Subject, months: _Months, size: tuple[float, float], name: str) -> Markup:
    with svg.style(f"{name} {size}"):
        return svg.to_svg(_figure(subject, months, size, None))
