"""How well priors answer about fleets that they never saw, by lessons: virtual limits of each file's own past.

    python -m data.prior --data DIR --leave-one-out --out-dir PRIORS
    python tests/bench/prior.py --priors PRIORS [--against PRIORS2] [--data DIR] [--stems STEM ...]

For each file and horizon: lessons, the share that crossed, and how much lower log loss and Brier score are than those of
that very share (which knows the file's future: 0 is a good answer, 100 % a perfect one). With --against, what the first
priors gain over the second, in thousandths of log loss, with its standard error over series. `none` stands for no prior.

Belongs here: comparing priors by lessons, before any fleet adds what it knows itself. Not here: the benchmark's own
questions (``accuracy.py``), by which no prior is chosen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from questions import DATA, ROOT, STEMS

sys.path.insert(0, str(ROOT))

from data.prior.measured import MeasuredError, measured_lessons
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import NO_PRIOR, Prior, PriorError, parse, unlearnt
from forecasting.tables import HORIZONS

EXTRA = ("llm_software_aging_1min",)
LINE = "{:24s} {:>4} {:>7} {:>7} {:>9} {:>9} {:>9} {:>15}\n"


@dataclass(frozen=True)
class Marks:
    """Losses of one horizon's questions [N]: of the answers, and of the share that crossed; and whose they are."""

    crossed: np.ndarray
    series_id: np.ndarray
    p: np.ndarray

    @property
    def log_loss(self) -> np.ndarray:
        return log_loss(self.p, self.crossed)

    @property
    def log_skill(self) -> float:
        return 1 - self.log_loss.mean() / log_loss(np.full(len(self.p), self.crossed.mean()), self.crossed).mean()

    @property
    def brier_skill(self) -> float:
        return 1 - np.square(self.p - self.crossed).mean() / self.crossed.var()


def log_loss(p: np.ndarray, crossed: np.ndarray) -> np.ndarray:
    """float64 [N], in nats."""
    return -np.log(np.where(crossed > 0, p, 1 - p))


def marks(prior: Prior, lessons: Lessons) -> list[Marks]:
    """What a prior says of lessons, one a horizon, of those that settled."""
    p = unlearnt(prior).probabilities(lessons.predictors)
    known = np.isfinite(lessons.crossed)
    return [
        Marks(lessons.crossed[k, h].astype(np.float64), lessons.series_id[k], p[k, h])
        for h in range(len(HORIZONS))
        for k in [known[:, h]]
    ]


def gain(ours: Marks, theirs: Marks) -> tuple[float, float]:
    """How much less log loss, and its standard error where the questions of a series go together."""
    less = theirs.log_loss - ours.log_loss
    series, row = np.unique(ours.series_id, return_inverse=True)
    away = np.bincount(row, less - less.mean())
    n = len(series)
    return float(less.mean()), float(np.sqrt(np.square(away).sum() * n / max(n - 1, 1)) / len(less))


def load(folder: str, stem: str) -> Prior:
    """
    Raises:
        SystemExit: there is no such prior.
    """
    if folder == "none":
        return NO_PRIOR
    path = Path(folder) / f"{stem}.json.gz"
    try:
        return parse(path.read_bytes())
    except (OSError, PriorError) as error:
        sys.exit(f"{path}: {error}")


def compare(stem: str, lessons: Lessons, ours: Prior, theirs: Prior | None) -> list[str]:
    """The lines of one file."""
    lines = []
    against = marks(theirs, lessons) if theirs else [None] * len(HORIZONS)
    for horizon, one, other in zip(HORIZONS, marks(ours, lessons), against, strict=True):
        told = "{:+.1f} ± {:.1f}".format(*(1e3 * x for x in gain(one, other))) if other else ""
        lines.append(
            LINE.format(
                stem,
                horizon,
                len(one.p),
                f"{one.crossed.mean():.3f}",
                f"{one.log_loss.mean():.4f}",
                f"{one.log_skill:.1%}",
                f"{one.brier_skill:.1%}",
                told,
            )  # fmt: skip
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How well priors answer about fleets that they never saw.")
    parser.add_argument("--priors", required=True, help="folder of <STEM>.json.gz, or none")
    parser.add_argument("--against", help="another such folder, or none")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--stems", nargs="+", default=[*STEMS, *EXTRA], metavar="STEM")
    given = parser.parse_args(arguments)
    sys.stdout.write(LINE.format("file", "h", "lessons", "share", "log loss", "skill", "Brier sk.", "gain / 1000"))
    for stem in given.stems:
        ours, theirs = load(given.priors, stem), load(given.against, stem) if given.against else None
        try:
            lessons = measured_lessons(given.data / f"metrics_{stem}.parquet")
        except MeasuredError as error:
            sys.exit(str(error))
        sys.stdout.writelines(compare(stem, lessons, ours, theirs))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
