"""``forewarn score``: P(the limit is reached), and when, for any series, moment and limit of a task file.

Belongs here: from files to a file. Not here: how a question is answered (``answers``), or how files are read
(``sources.metric_hours``, ``sources.tasks``).

All series of one source are one fleet; what it learns on a night it learns from its own past alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.console import Console

from forecasting.abstention import ABSTAINED, CROSSED
from forecasting.learnt.model import Prior
from forecasting.mapper import ProcessPool
from forecasting.options import ForecastingOptions
from forecasting.tables import HORIZONS
from pipelines.answers import ANSWERS, Answering, Fleet
from pipelines.progress import Bars, StageProgress
from pipelines.sources import metric_hours, tasks
from pipelines.sources.errors import InputError, shown
from pipelines.sources.identity import series_id
from pipelines.sources.metric_hours import KEYS, Hours

P = [f"p_{horizon}h" for horizon in HORIZONS]
ETA = ["eta_p10", "eta_p50", "eta_p90"]


@dataclass(frozen=True)
class Scored:
    """What was asked, and how it was answered.

    abstained: reason -> tasks, the most frequent first.
    unusable: rows of the metric files that hold no sample.
    """

    tasks: int
    abstained: dict[str, int]
    unusable: int


def run(metrics: Sequence[Path], asked: Path, out: Path, *, prior: Prior, workers: int, console: Console) -> Scored:
    """Answer a task file.

    Raises:
        InputError: a file cannot be used; then nothing is written.
    """
    with ExitStack() as stack:
        temporary = stack.enter_context(replaced(out, (*metrics, asked)))
        con = stack.enter_context(metric_hours.session())
        bars = stack.enter_context(Bars(console))
        with bars.stage("read"):
            read = tasks.read(con, asked)
            hours = stack.enter_context(metric_hours.read(con, metrics))
        answered = _answer(read.asked, hours, prior, workers, bars)
        given = read.given.drop([*P, *ETA, "model", "reason"], strict=False)
        pl.concat([given, answered], how="horizontal").write_parquet(temporary)
    reasons = answered["reason"].drop_nulls().value_counts().sort("count", "reason", descending=[True, False])
    return Scored(len(answered), dict(reasons.iter_rows()), hours.unusable)


def summary(found: Scored, out: Path) -> list[str]:
    """What was done, in a few lines."""
    silent = sum(found.abstained.values())
    lines = [f"{found.tasks - silent:,} of {found.tasks:,} tasks answered: {shown(str(out))}"]
    lines += [f"{count:>9,} abstained: {reason}" for reason, count in found.abstained.items()]
    if found.unusable:
        lines.append(f"{found.unusable:>9,} rows of the metrics left out: no name, readable time or finite value")
    return lines


def _answer(asked: pl.DataFrame, hours: Hours, prior: Prior, workers: int, progress: StageProgress) -> pl.DataFrame:
    """One row a task, in order: p_*, eta_*, model, reason."""
    numbered, questions = _questions(asked, hours.series)
    # Nobody reads facts or paths here, and Prophet's few places would make an answer depend on who else is asked about.
    options = ForecastingOptions(report_floor=1.0, prophet_series=0, workers=workers)
    found = [pl.DataFrame(schema=ANSWERS)]
    with progress.stage("answer", len(questions)) as advance, ProcessPool(workers).standing() as mapper:
        for (source,), own in questions.group_by("source", maintain_order=True):
            fleet = Fleet(hours.series.filter(pl.col("source") == source), hours.of)
            found.append(Answering(fleet, prior, options, mapper).answer(own, advance))
    return _told(numbered.join(pl.concat(found), on="question", how="left", maintain_order="left"))


def _questions(asked: pl.DataFrame, series: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tasks with the number of the question that each asks, or why it asks none; and every question once."""
    names = asked.select(KEYS).drop_nulls().unique()
    ids = pl.Series(
        "series_id",
        [series_id(source, entity, metric, {}) for source, entity, metric in names.iter_rows()],
        dtype=pl.UInt64,
    )
    known = names.with_columns(ids).join(series.select("series_id", "first_hour"), on="series_id")
    placed = asked.join(known, on=KEYS, how="left", maintain_order="left")
    unseen = pl.col("first_hour").is_null() | (pl.col("first_hour") >= pl.col("as_of"))
    why = pl.coalesce("reason", pl.when(unseen).then(pl.lit(tasks.UNSEEN)))
    key = ["source", "series_id", "as_of", "limit"]
    answerable = placed.with_columns(why.alias("abstained")).drop("reason")
    distinct = answerable.filter(pl.col("abstained").is_null()).select(key).unique().sort(key)
    questions = distinct.with_row_index("question")
    return answerable.join(questions, on=key, how="left", maintain_order="left"), questions


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """Answers as people read them: UTC, never before the moment that was asked about, and who gave them."""
    silent = pl.col("abstained").is_not_null() | (pl.col("state") == ABSTAINED)
    eta = [
        pl.when(pl.col(name).is_not_null())
        .then(pl.max_horizontal(name, "moment"))
        .dt.replace_time_zone("UTC")
        .alias(name)
        for name in ETA
    ]
    model = pl.when(silent).then(None).when(pl.col("state") == CROSSED).then(pl.lit(CROSSED)).otherwise("model")
    return found.select(*P, *eta, model.alias("model"), pl.coalesce("abstained", "reason").alias("reason"))


@contextmanager
def replaced(out: Path, inputs: Sequence[Path]) -> Iterator[Path]:
    """A temporary file that takes the place of `out` when all went well.

    Raises:
        InputError: `out` cannot be written, or is one of the inputs.
    """
    name = shown(str(out))
    if out.is_dir():
        raise InputError(f"--out {name}: is a folder; name a file")
    if out.exists() and any(path.exists() and path.samefile(out) for path in inputs):
        raise InputError(f"--out {name}: is one of the files that are read; name another one")
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.touch()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise InputError(f"--out {name}: cannot be written ({why}); name another file") from error
    try:
        yield temporary
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
