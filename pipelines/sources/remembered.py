"""What a night asks a server for, and what is remembered of it: questions and UTC days (``metric_staging.FETCHED``).

A day is asked for until nothing more can come: it is over and *settled*, for late samples arrive. Another question, be
it by one label that is identity now, is asked anew for the whole history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.metric_rows import Unfetched
from pipelines.sources.metric_staging import FETCHED
from pipelines.sources.sql import parquet

DAY = timedelta(days=1)
EVER = date(1970, 1, 1)
"""The day under which is remembered what is of no one day."""


@dataclass(frozen=True)
class Span:
    """From a UTC midnight to another one or to the night's cut; naive UTC."""

    since: datetime
    until: datetime

    @property
    def days(self) -> list[date]:
        count = -((self.since - self.until) // DAY)  # rounded up
        return [self.since.date() + n * DAY for n in range(count)]

    def __str__(self) -> str:
        first, last = self.days[0], self.days[-1]
        return f"{first}" if first == last else f"{first} to {last}"


def question(*parts: object, signals: Sequence[Signal]) -> str:
    """A digest of what is asked, and of what decides which series an answer is of; it gives no secret away."""
    identity = [(s.metric, s.entity, s.labels, s.identity, [limit.model_dump() for limit in s.limits]) for s in signals]
    return blake2b(json.dumps([parts, identity], default=str).encode(), digest_size=12).hexdigest()


def whole_history(as_of: datetime, history_days: int) -> Span:
    """The days that a first night asks for."""
    return Span(datetime.combine((as_of - history_days * DAY).date(), time()), as_of)


def wanted(fetched: pl.DataFrame | None, asked: str, history: Span) -> list[date]:
    """The days of which more can come, the newest first: should something fail midway, they are what matters most."""
    done: set[date] = set()
    if fetched is not None:
        done = set(fetched.filter(pl.col("query") == asked, "complete")["day"])
    return [day for day in reversed(history.days) if day not in done]


def spans(days: Iterable[date], history: Span, most_days: int | None = None) -> list[Span]:
    """Days that follow each other, newest first, in spans of at most so many."""
    runs: list[list[date]] = []
    for day in days:
        if runs and runs[-1][-1] - day == DAY and len(runs[-1]) != most_days:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [
        Span(datetime.combine(run[-1], time()), min(datetime.combine(run[0], time()) + DAY, history.until))
        for run in runs
    ]


def ask(todo: Sequence[Span], fetch: Callable[[Span], None], name: str) -> tuple[list[Span], list[Unfetched]]:
    """Fetch span by span. What fails is left out; who fails twice in a row for the same reason is not asked on.

    Args:
        fetch: raises NotFetchedError.
        name: of the server, for people.

    Returns:
        What was answered, and what was not.
    """
    answered: list[Span] = []
    failed: list[tuple[Span, str]] = []
    for before, span in zip([None, *todo], todo, strict=False):
        try:
            fetch(span)
        except NotFetchedError as error:
            failed.append((span, str(error)))
            if before and failed[-2:-1] == [(before, str(error))]:
                failed[-2:] = [(Span(todo[-1].since, before.until), str(error))]
                break
        else:
            answered.append(span)
    return answered, [Unfetched(f"{name}, {span}", why) for span, why in failed]


def is_settled(day: date, until: datetime, now: datetime, settles_after: timedelta) -> bool:
    """Whether nothing more can come of a day that was asked for up to `until`."""
    end = datetime.combine(day, time()) + DAY
    return until >= end and now >= end + settles_after


Asked = tuple[str, date, datetime, bool]
"""A question, a day, up to when it was asked for, and whether nothing more can come."""


def remember(folder: Path, source: str, asked: Iterable[Asked], counts: pl.DataFrame) -> Path:
    """Write fetched.parquet.

    Args:
        counts: day, series, samples; and query, where not every question was answered by all of them.
    """
    rows = pl.DataFrame(
        list(asked), {name: FETCHED[name] for name in ("query", "day", "until", "complete")}, orient="row"
    )
    path = folder / "fetched.parquet"
    keys = [name for name in ("query", "day") if name in counts.columns]
    rows.with_columns(source=pl.lit(source)).join(counts, on=keys, how="left").with_columns(
        pl.col("series", "samples").fill_null(0)
    ).select(pl.col(name).cast(kind) for name, kind in FETCHED.items()).sort("query", "day").write_parquet(path)
    return path


def counted(con: duckdb.DuckDBPyConnection, samples: Path) -> pl.DataFrame:
    """How much was staged of each day, for `remember`."""
    return con.sql(
        f"SELECT ts::DATE AS day, count(DISTINCT series_id) AS series, count(*) AS samples"
        f" FROM {parquet(samples)} GROUP BY ALL"
    ).pl()


def days_asked(asked: str, answered: Iterable[Span], now: datetime, settles_after_h: int) -> Iterator[Asked]:
    """The rows by which spans are remembered that came whole."""
    for span in answered:
        for day in span.days:
            end = datetime.combine(day, time()) + DAY
            settled = is_settled(day, span.until, now, timedelta(hours=settles_after_h))
            yield asked, day, min(span.until, end), settled
