"""How well priors answer about fleets that they never saw, by lessons: virtual limits of each file's own past.

    python -m data.prior --data DIR --leave-one-out --out-dir PRIORS
    python tests/bench/prior.py --priors PRIORS [--against PRIORS2] [--data DIR] [--stems STEM ...]

For each file and horizon: lessons, the share that crossed, log loss, and how much lower log loss and Brier score are
than those of that very share, which knows the file's future (0 % is no skill, 100 % knows all). Once for all lessons,
and once for *news*: limits that were not reached in the week before, as tickets are about. With --against, what the
first priors gain over the second in thousandths of log loss, with its standard error over series. The folder `none`
stands for no prior.

Belongs here: comparing priors by lessons, before any fleet adds what it knows itself. Not here: the benchmark's own
questions (``accuracy.py``), by which no prior is chosen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from questions import DATA, ROOT, STEMS

sys.path.insert(0, str(ROOT))

from data.prior.measured import MeasuredError, measured_lessons
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import NO_PRIOR, Prior, PriorError, parse, unlearnt
from forecasting.learnt.questions import is_news
from forecasting.tables import HORIZONS

EXTRA = ("llm_software_aging_1min",)
HEAD = ("file", "asked", "h", "lessons", "share", "log loss", "skill", "Brier skill", "gain / 1000")
LINE = "{:24} {:>5} {:>4} {:>7} {:>6} {:>9} {:>8} {:>12} {:>15}\n"


@dataclass(frozen=True)
class Answered:
    """N settled questions of one horizon: what came (0 or 1), the probability, and whose question it was."""

    crossed: np.ndarray
    p: np.ndarray
    series_id: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """float64 [N], log loss in nats."""
        return log_loss(self.p, self.crossed)

    @property
    def log_skill(self) -> float:
        return 1 - self.losses.mean() / log_loss(np.full(len(self.p), self.crossed.mean()), self.crossed).mean()

    @property
    def brier_skill(self) -> float:
        return 1 - np.square(self.p - self.crossed).mean() / self.crossed.var()

    def gain(self, other: Answered) -> tuple[float, float]:
        """How much less log loss than another's answers, and its standard error: a series' questions go together."""
        less = other.losses - self.losses
        series, row = np.unique(self.series_id, return_inverse=True)
        away = np.bincount(row, less - less.mean())
        correction = len(series) / max(len(series) - 1, 1)
        return float(less.mean()), float(np.sqrt(np.square(away).sum() * correction) / len(less))


def log_loss(p: np.ndarray, crossed: np.ndarray) -> np.ndarray:
    return -np.log(np.where(crossed > 0, p, 1 - p))


def answers(prior: Prior, lessons: Lessons) -> list[Answered]:
    """What a prior says of lessons, horizon by horizon."""
    p = unlearnt(prior).probabilities(lessons.predictors, lessons.kinds)
    settled = np.isfinite(lessons.crossed)
    return [
        Answered(lessons.crossed[known, h].astype(np.float64), p[known, h], lessons.series_id[known])
        for h, known in enumerate(settled.T)
    ]


def news(lessons: Lessons) -> Lessons:
    return lessons.take(np.flatnonzero(is_news(lessons.predictors)))


def rows(stem: str, lessons: Lessons, ours: Prior, theirs: Prior | None) -> Iterator[tuple[object, ...]]:
    """The table's rows about one file."""
    for asked, part in (("all", lessons), ("news", news(lessons))):
        others = answers(theirs, part) if theirs else [None] * len(HORIZONS)
        for horizon, one, other in zip(HORIZONS, answers(ours, part), others, strict=True):
            gained = "{:+.1f} ± {:.1f}".format(*(1000 * part for part in one.gain(other))) if other else ""
            skills = f"{one.log_skill:.1%}", f"{one.brier_skill:.1%}"
            measured = f"{one.crossed.mean():.3f}", f"{one.losses.mean():.4f}", *skills, gained
            yield stem, asked, horizon, len(one.p), *measured


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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How well priors answer about fleets that they never saw.")
    parser.add_argument("--priors", required=True, help="folder of <STEM>.json.gz, or none")
    parser.add_argument("--against", help="another such folder, or none")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--stems", nargs="+", default=[*STEMS, *EXTRA], metavar="STEM")
    given = parser.parse_args(arguments)
    sys.stdout.write(LINE.format(*HEAD))
    for stem in given.stems:
        ours, theirs = load(given.priors, stem), load(given.against, stem) if given.against else None
        try:
            lessons = measured_lessons(given.data / f"metrics_{stem}.parquet")
        except MeasuredError as error:
            sys.exit(str(error))
        sys.stdout.writelines(LINE.format(*row) for row in rows(stem, lessons, ours, theirs))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
