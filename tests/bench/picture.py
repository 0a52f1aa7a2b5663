"""The plot: restraint, skill and speed of everybody, on the same questions.

Belongs here: drawing. Not here: figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

LABELS = {
    "forewarn": "Forewarn",
    "climatology": "climatology",
    "seasonal_naive": "seasonal naive",
    "predict_linear_6h": "predict_linear 6 h",
    "predict_linear_24h": "predict_linear 24 h",
    "predict_linear_7d": "predict_linear 7 d",
    "drift": "drift",
    "prophet": "Prophet",
    "autoets": "AutoETS",
    "autoarima": "AutoARIMA",
    "mstl_autoarima": "MSTL + AutoARIMA",
}
OURS, THEIRS = "#c2410c", "#475569"
WORST_SKILL = -1.5  # further down is only told as a number


def draw(accuracy: dict[str, Any], throughput: dict[str, Any] | None, path: Path) -> None:
    """Write the picture of the sample, on which everybody was asked the same."""
    told = accuracy["sampled"]
    names = sorted(told, key=lambda name: (name == "forewarn", told[name]["measures"]["skill_168h"] or 0))
    panels = [_false, _creeps, _skill, _precision] + ([_speed] if throughput else [])
    figure, axes = plt.subplots(1, len(panels), figsize=(3.1 * len(panels), 4.6), sharey=True, layout="constrained")
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, told, names, throughput)
        axis.grid(axis="x", color="#e2e8f0", linewidth=0.7)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(names)), [LABELS[name] for name in names])
    for label, name in zip(axes[0].get_yticklabels(), names, strict=True):
        label.set_color(_colour(name))
        label.set_fontweight("bold" if name == "forewarn" else "normal")
    drawn = accuracy["sample"]
    figure.suptitle(
        f"The same {drawn['questions']} questions about real machines, and all {accuracy['creeps']} creeps; "
        "bars: 90 % intervals over series and weeks",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _false(axis: Axes, told: dict[str, Any], names: list[str], _: Any) -> None:
    _dots(axis, told, names, "false_tickets")
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(left=-0.1)
    axis.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    axis.axvline(1, color="#94a3b8", linestyle=":", linewidth=1)
    axis.set_title("false tickets per\n100 series-weeks (fewer)", fontsize=9)


def _creeps(axis: Axes, told: dict[str, Any], names: list[str], _: Any) -> None:
    _dots(axis, told, names, "creeps_48h")
    axis.set_xlim(-0.03, 1.03)
    axis.set_title("creeps caught\n48 h ahead (more)", fontsize=9)


def _skill(axis: Axes, told: dict[str, Any], names: list[str], _: Any) -> None:
    _dots(axis, told, names, "skill_168h", lowest=WORST_SKILL)
    axis.set_xlim(WORST_SKILL - 0.1, 0.6)
    axis.axvline(0, color="#94a3b8", linestyle=":", linewidth=1)
    axis.set_title("Brier skill at 168 h\n(0: climatology; more)", fontsize=9)


def _precision(axis: Axes, told: dict[str, Any], names: list[str], _: Any) -> None:
    _dots(axis, told, names, "ap_168h")
    axis.set_xlim(-0.03, 1.03)
    axis.set_title("average precision\nat 168 h (more)", fontsize=9)


def _speed(axis: Axes, _: Any, names: list[str], throughput: Any) -> None:
    for row, name in enumerate(names):
        if name in throughput["paired"]:
            axis.plot(throughput["paired"][name]["series_per_s"], row, "o", color=_colour(name), markersize=5)
    axis.set_xscale("log")
    axis.set_title("series per second\nand core (more)", fontsize=9)


def _dots(axis: Axes, told: dict[str, Any], names: list[str], measure: str, lowest: float = float("-inf")) -> None:
    for row, name in enumerate(names):
        value = told[name]["measures"].get(measure)
        if value is None:
            continue
        low, high = told[name]["intervals"].get(measure, (value, value))
        if value < lowest:
            axis.annotate(f"← {value:.1f}", (lowest, row), va="center", fontsize=8, color=_colour(name))
            continue
        axis.plot([max(low, lowest), high], [row, row], color=_colour(name), linewidth=2, alpha=0.45)
        axis.plot(value, row, "o", color=_colour(name), markersize=5)


def _colour(name: str) -> str:
    return OURS if name == "forewarn" else THEIRS
