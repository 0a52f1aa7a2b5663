"""A ticket's chart: what was measured, where it is going, and when it reaches its limit. Pure.

Belongs here: what is on the picture. Not here: the look that all charts share (``plots``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform

from features.units import format_share, format_value
from reports import plots
from reports.plots import BLUE, INK, RED, SOFT, day, days
from reports.text import format_date, model_in_words, one_line, to_zone
from reports.ticket_events import TicketEvent
from reports.ticket_text import TicketContext, title

WIDTH, HEIGHT = 900, 420  # pixels
DAYS = 14  # of history; more where the series is sampled rarely
LEGEND = ("measured", "reset", "median", "forecast, 5 in 10", "8 in 10", "limit reached, 8 in 10")
QUANTILES = ("q10", "q25", "q50", "q75", "q90")


@dataclass(frozen=True)
class TicketChart:
    """What the chart shows; times are naive UTC.

    title: the message, one line.
    subtitle: which series, one line.
    history: hour, mean; rows at or after `as_of` are left out.
    path: hour, q10, q25, q50, q75, q90; may be empty.
    resets: hours at which the series fell back by itself, a restart or a clean-up.
    path_model: who drew the path.
    """

    title: str
    subtitle: str
    unit: str | None
    zone: ZoneInfo
    as_of: datetime
    history: pl.DataFrame
    path: pl.DataFrame
    limit_name: str
    limit_value: float
    direction: str
    eta_p10: datetime | None = None
    eta_p50: datetime | None = None
    eta_p90: datetime | None = None
    resets: Sequence[datetime] = ()
    path_model: str | None = None


def chart_of(
    event: TicketEvent,
    context: TicketContext,
    history: pl.DataFrame,
    path: pl.DataFrame,
    resets: Sequence[datetime] = (),
) -> TicketChart:
    """The chart of a ticket's newest event; `history`, `path` and `resets` as in ``TicketChart``."""
    labels = ", ".join(f"{key}={value}" for key, value in sorted(context.labels.items()))
    by = f" by {model_in_words(event.model)}" if event.model else ""
    likely = f"{format_share(event.probability)} within {event.horizon_h} h{by}"
    identity = (event.entity, event.metric, labels, likely)
    return TicketChart(
        title=title(event, context),
        subtitle=" · ".join(part for part in identity if part),
        unit=context.unit_of(event),
        zone=context.team_zone,
        as_of=event.as_of,
        history=history,
        path=path,
        limit_name=event.limit_name,
        limit_value=event.limit_value,
        direction=event.direction,
        eta_p10=event.eta_p10,
        eta_p50=event.eta_p50,
        eta_p90=event.eta_p90,
        resets=resets,
        path_model=context.path_model,
    )


def draw(chart: TicketChart) -> bytes:
    """The chart as PNG, 900 x 420 pixels; the same chart gives the same bytes."""
    hours, values, step_h = _observed(chart)
    start = chart.as_of - timedelta(days=DAYS if step_h < 6 else 3 * DAYS)
    end = max([chart.as_of + timedelta(hours=24), *chart.path["hour"].to_list()]) + timedelta(hours=1)
    recent = hours >= np.datetime64(start)
    hours, values = hours[recent], values[recent]
    if len(hours):  # a young series fills the picture too
        start = max(start, hours[0].astype("datetime64[us]").item() - timedelta(hours=6))
    low, high = _range(chart, values)
    factor, suffix = plots.axis_scale(max(abs(low), abs(high)), chart.unit)
    with plots.style():
        figure = plots.new_figure(WIDTH, HEIGHT)
        axes = figure.add_axes((0.085, 0.185, 0.895, 0.625))
        plots.bare(axes)
        plots.local_time_axis(axes, start, end, chart.zone)
        axes.set_ylim(low * factor, high * factor)
        plots.value_axis(axes, suffix)
        _crossing_window(axes, chart, start, end)
        _fan(axes, chart, factor)
        _measured(axes, days(hours), values * factor, step_h)
        _resets(axes, chart, start)
        _limit(axes, chart, factor)
        _as_of(axes, chart)
        _words(figure, axes, chart)
        return plots.to_png(figure)


def _words(figure: Figure, axes: Axes, chart: TicketChart) -> None:
    title = figure.text(0.0125, 0.94, one_line(chart.title, 115), fontsize=12.5, fontweight="bold", va="center")
    title.set_fontsize(min(12.5, 12.5 * 0.975 * WIDTH / title.get_window_extent().width))
    figure.text(0.0125, 0.875, one_line(chart.subtitle, 130), fontsize=9.5, color=SOFT, va="center")
    drawn_by = f"forecast by {model_in_words(chart.path_model)}\n" if chart.path_model and chart.path.height else ""
    figure.text(0.98, 0.015, f"{drawn_by}times in {chart.zone.key}", fontsize=8, color=SOFT, ha="right", va="bottom")
    parts = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda part: LEGEND.index(part[1]))
    figure.legend(
        [handle for handle, _ in parts], [label for _, label in parts], loc="lower left", ncols=6, frameon=False,
        bbox_to_anchor=(0.005, -0.005), fontsize=8.5, handlelength=1.8, columnspacing=1.4, labelcolor=INK,
    )  # fmt: skip


def _observed(chart: TicketChart) -> tuple[np.ndarray, np.ndarray, float]:
    """Hours, values with a NaN put into every gap, and the usual distance of two observed hours."""
    seen = chart.history.filter(pl.col("hour") < chart.as_of).sort("hour")
    hours = seen["hour"].to_numpy().astype("datetime64[s]")
    values = seen["mean"].to_numpy().astype(float)
    if len(hours) < 2:
        return hours, values, 1.0
    apart = np.diff(hours).astype(float) / 3600
    step_h = float(np.median(apart))
    gaps = np.flatnonzero(apart > max(2.5, 2.5 * step_h)) + 1
    return np.insert(hours, gaps, hours[gaps - 1]), np.insert(values, gaps, np.nan), step_h


def _range(chart: TicketChart, values: np.ndarray) -> tuple[float, float]:
    """The values to show: all that was measured, the limit, and of the forecast what helps to see how they relate."""
    core = [chart.limit_value, *values[np.isfinite(values)]]
    low, high = min(core), max(core)
    room = (high - low) or abs(high) or 1.0
    if chart.path.height:
        low = max(min(low, float(chart.path["q10"].min())), low - room)  # type: ignore[arg-type]
        high = min(max(high, float(chart.path["q90"].max())), high + 0.5 * room)  # type: ignore[arg-type]
    below_zero = low < 0
    low, high = low - 0.06 * (high - low or room), high + 0.1 * (high - low or room)
    return (low if below_zero else max(low, 0.0) if low < 0.25 * high else low), high


# -------------------------------------------------------------------------------------------------------------- parts


def _measured(axes: Axes, hours: np.ndarray, values: np.ndarray, step_h: float) -> None:
    rare = step_h >= 3
    dots = "o" if rare else None
    axes.plot(hours, values, color=INK, linewidth=1.3, marker=dots, markersize=3.5, label="measured", zorder=4)
    if rare:
        return
    alone = np.isfinite(values) & ~np.isfinite(np.r_[np.nan, values[:-1]]) & ~np.isfinite(np.r_[values[1:], np.nan])
    axes.plot(hours[alone], values[alone], ".", color=INK, markersize=3, zorder=4)


def _fan(axes: Axes, chart: TicketChart, factor: float) -> None:
    if chart.path.is_empty():
        return
    path = chart.path.sort("hour")
    hours = days(path["hour"].to_numpy())
    q10, q25, q50, q75, q90 = (path[name].to_numpy() * factor for name in QUANTILES)
    axes.fill_between(hours, q10, q90, color=BLUE, alpha=0.16, linewidth=0, label="8 in 10", zorder=2)
    axes.fill_between(hours, q25, q75, color=BLUE, alpha=0.28, linewidth=0, label="forecast, 5 in 10", zorder=2)
    axes.plot(hours, q50, color=BLUE, linewidth=1.8, linestyle=(0, (4, 1.5)), label="median", zorder=3)


def _limit(axes: Axes, chart: TicketChart, factor: float) -> None:
    at = chart.limit_value * factor
    axes.axhline(at, color=RED, linewidth=1.8, zorder=5)
    low, high = axes.get_ylim()
    height = (at - low) / (high - low)
    above = height < 0.1 if chart.direction == "down" else height < 0.92
    _mark(
        axes, f"{one_line(chart.limit_name, 40)}: {format_value(chart.limit_value, chart.unit)}", (0, at),
        axes.get_yaxis_transform(), offset=(4, 3 if above else -3), va="bottom" if above else "top",
    )  # fmt: skip


def _crossing_window(axes: Axes, chart: TicketChart, start: datetime, end: datetime) -> None:
    """When the limit is reached: p10 to p90 shaded, p50 marked."""
    first, middle, last = chart.eta_p10, chart.eta_p50, chart.eta_p90
    if first is not None and last is not None and first < end and last > start:
        axes.axvspan(
            day(max(first, start)), day(min(last, end)), facecolor="#fdf0e6", edgecolor="#f0b98d", hatch="///",
            linewidth=0, zorder=0, label="limit reached, 8 in 10",
        )  # fmt: skip
    if middle is not None and start <= middle <= end:
        axes.axvline(day(middle), color=RED, linewidth=1.2, linestyle=(0, (2, 2)), zorder=3)
        local = to_zone(middle, chart.zone)
        late = (middle - start) / (end - start) > 0.82  # no room to the right
        _mark(
            axes, f"{format_date(local)}, {local:%H:%M}", (day(middle), 0.02), axes.get_xaxis_transform(),
            offset=(-4 if late else 4, 0), ha="right" if late else "left",
        )  # fmt: skip


def _mark(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    within: Transform,
    *,
    offset: tuple[float, float],
    ha: str = "left",
    va: str = "bottom",
) -> None:
    """Bold words beside what they name; `within` says what `at` is measured in."""
    axes.annotate(
        text, xy=at, xycoords=within, xytext=offset, textcoords="offset points", ha=ha, va=va, fontsize=9.5,
        fontweight="bold", color=RED, zorder=6,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8},
    )  # fmt: skip


def _as_of(axes: Axes, chart: TicketChart) -> None:
    local = to_zone(chart.as_of, chart.zone)
    axes.axvline(day(chart.as_of), color=SOFT, linewidth=1, zorder=3)
    axes.annotate(
        f"as of {format_date(local)}, {local:%H:%M}", xy=(day(chart.as_of), 1), xytext=(-4, 2), ha="right", va="bottom",
        xycoords=axes.get_xaxis_transform(), textcoords="offset points", fontsize=8.5, color=SOFT,
    )  # fmt: skip


def _resets(axes: Axes, chart: TicketChart, start: datetime) -> None:
    shown = [day(reset) for reset in chart.resets if start <= reset < chart.as_of]
    if shown:
        axes.plot(
            shown, [0.015] * len(shown), "^", color="white", markeredgecolor=INK, markersize=6, label="reset",
            transform=axes.get_xaxis_transform(), clip_on=False, zorder=5,
        )  # fmt: skip
