"""One table and one plot out of what was measured.

    python tests/bench/table.py DIR

Reads accuracy.json, throughput.json and sample_truth.json of DIR, as far as they are there; writes DIR/benchmark.md and
DIR/benchmark.png, and prints the table.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import picture

NAMES = {
    "forewarn": "**Forewarn**",
    "climatology": "climatology (knows the future's average)",
    "seasonal_naive": "seasonal naive with its own errors",
    "predict_linear_6h": "`predict_linear` over 6 h",
    "predict_linear_24h": "`predict_linear` over 24 h",
    "predict_linear_7d": "`predict_linear` over 7 d",
    "drift": "drift, bootstrapped increments",
    "prophet": "Prophet at its defaults",
    "autoets": "AutoETS(24)",
    "autoarima": "AutoARIMA, no season",
    "mstl_autoarima": "MSTL(24) + AutoARIMA",
}
MEASURES = {
    "creeps_48h": "creeps caught 48 h ahead",
    "creeps_48h_at_bar": "the same within 1 false ticket",
    "false_tickets": "false tickets",
    "precision": "ticket precision",
    "calibration_168h": "calibration error 168 h",
    "skill_72h": "skill 72 h",
    "skill_168h": "skill 168 h",
    "ap_72h": "AP 72 h",
    "ap_168h": "AP 168 h",
}
ON_ALL_ONLY = "creeps_48h_at_bar"  # a sample has too few series-weeks to find the bar
NOTE = (
    "In brackets the 90 % interval of a bootstrap over series and weeks. False tickets are told per 100 series-weeks. "
    "A ticket is a first answer with p_168h >= 0.7. Skill and average precision (AP) are macro averages over fleets."
)


def tables(found: dict[str, Any]) -> str:
    """Markdown."""
    parts = []
    if accuracy := found.get("accuracy"):
        parts += _accuracy(accuracy, found.get("throughput"))
    if throughput := found.get("throughput"):
        parts += _speed(throughput)
    if sample_truth := found.get("sample_truth"):
        parts += _truth(sample_truth)
    return "\n".join(parts)


def _accuracy(accuracy: dict[str, Any], throughput: dict[str, Any] | None) -> list[str]:
    drawn = accuracy["sample"]
    own = accuracy["everywhere"].get("forewarn", {})
    lines = [
        f"All {accuracy['questions']:,} questions, {accuracy['creeps']} creeps; whoever is quick enough:",
        "",
        *_rows(accuracy["everywhere"], list(MEASURES), None, accuracy["questions"]),
        "",
        f"A sample of {drawn['questions']} of them ({drawn['nights']} series-nights, as many from each of "
        f"{', '.join(drawn['fleets'])}) and all {drawn['creep_nights']} nights of the creeps; everybody:",
        "",
        *_rows(accuracy["sampled"], [one for one in MEASURES if one != ON_ALL_ONLY], throughput, drawn["questions"]),
        "",
        NOTE,
        "",
    ]
    if own.get("eta_inside") is not None:
        lines += [f"Of the crossings that came, {own['eta_inside']:.2f} fell inside Forewarn's [eta_p10, eta_p90].", ""]
    return lines


def _rows(told: dict[str, Any], shown: list[str], throughput: dict[str, Any] | None, questions: int) -> list[str]:
    speed = ["series/s/core"] if throughput else []
    head = ["forecaster", "answered", *(MEASURES[one] for one in shown), *speed]
    lines = [_line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
    for name, one in sorted(told.items(), key=lambda item: list(NAMES).index(item[0])):
        cells = [NAMES[name], f"{100 * one['answered'] / questions:.1f} %"]
        cells += [_cell(one, measure) for measure in shown]
        if throughput:
            rate = throughput["paired"].get(name, {}).get("series_per_s")
            cells.append("-" if rate is None else _rate(rate))
        lines.append(_line(cells))
    return lines


def _cell(one: dict[str, Any], measure: str) -> str:
    value, interval = one["measures"].get(measure), one["intervals"].get(measure)
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" ({interval[0]:.2f}, {interval[1]:.2f})" if interval else "")


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"


def _speed(throughput: dict[str, Any]) -> list[str]:
    lines = [
        "Speed in CPU seconds of one thread, 90 days of hours with 2 % gaps, timed in turn within each round:",
        "",
        _line(["forecaster", "series/s/core", "Forewarn is faster by", "(least to most)", "timed on series"]),
        _line(["---", "---:", "---:", "---:", "---:"]),
    ]
    for name, one in throughput["paired"].items():
        ratios = one["ours_times_faster"]
        span = f"{_times(min(ratios))} to {_times(max(ratios))}"
        lines.append(
            _line([NAMES[name], _rate(one["series_per_s"]), _times(statistics.median(ratios)), span, one["timed_on"]])
        )
    lines += [
        "",
        f"Whole fleets over {throughput['workers']} processes, from hours to answers, wall seconds by stage:",
        "",
        _line(["series", "learning", "scoring", "Prophet's contest", "all", "CPU s", "peak memory GiB"]),
        _line(["---:"] * 7),
    ]
    for one in throughput["fleets"]:
        peak = "-" if one["peak_gib"] is None else f"{one['peak_gib']:.2f}"
        stages = [one[f"{stage}_seconds"] for stage in ("learning", "scoring", "contest")]
        cells = [f"{seconds:,.0f}" for seconds in (*stages, sum(stages), one["cpu_seconds"])]
        lines.append(_line([f"{one['series']:,}", *cells, peak]))
    return [*lines, ""]


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.2g} x"


def _truth(sample_truth: dict[str, Any]) -> list[str]:
    lines = [
        f"The sample fleet's own truth, seeds: {sample_truth['seeds']}.",
        "",
        _line(
            [
                "forecaster",
                "creeps",
                "foreseen 48 h ahead",
                "quiet lines",
                "wrongly raised",
                "sawtooth / spikes / steps",
            ]
        ),
        _line(["---"] + ["---:"] * 5),
    ]
    for name, one in sample_truth.items():
        if name == "seeds":
            continue
        kinds = " / ".join(f"{one['wrongly_raised_by_kind'][kind]:.2f}" for kind in ("sawtooth", "spikes", "steps"))
        shares = [f"{one['foreseen']:.3f}", one["quiet_lines"], f"{one['wrongly_raised']:.3f}"]
        lines.append(_line([NAMES[name], one["creeps"], *shares, kinds]))
    return [*lines, ""]


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for name in ("accuracy", "throughput", "sample_truth")
        if (path := folder / f"{name}.json").is_file()
    }
    text = tables(found)
    (folder / "benchmark.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    if "accuracy" in found:
        picture.draw(found["accuracy"], found.get("throughput"), folder / "benchmark.png")


if __name__ == "__main__":
    main()
