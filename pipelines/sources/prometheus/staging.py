"""From parts to what every metric source leaves behind, and what is remembered of it.

Belongs here: rules for single values and for series of one identity; which days are complete. Not here: HTTP.

Rules
-----
rejected    a value that is NaN or infinite; a series without any of the labels that make its entity.
conflicts   two series of one answer that are one by identity: where both have a value the larger is kept, and one
            reject names the two.
complete    a day that was asked for to its end, every piece of it was answered without a warning, and it has settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from pipelines.sources.errors import shown
from pipelines.sources.metric_staging import IDENTITY, SERIES, StagedMetrics
from pipelines.sources.prometheus import ordering
from pipelines.sources.prometheus.fetching import Fetched
from pipelines.sources.prometheus.parts import Catalogue, Part
from pipelines.sources.prometheus.plan import Windows, instant
from pipelines.sources.rejects import (
    CLOCK,
    INFINITE,
    NAN,
    NO_ENTITY,
    NOT_FETCHED,
    ONE_IDENTITY,
    PARTIAL,
    TOO_MANY,
    Rejects,
)
from pipelines.sources.remembered import Asked, is_settled, remember
from pipelines.sources.sql import parquet, registered, replacing, write

LONGEST_LABELS = 120
REMARKS_TOLD = 5
MOST_SKEW_S = 120
ROWS_IN_A_GROUP = 122_880

EMPTY = "(SELECT NULL::BIGINT AS combination, NULL::TIMESTAMP AS instant, NULL::DOUBLE AS value WHERE false)"
DAILY = """
    CREATE OR REPLACE TEMP TABLE daily AS
    SELECT combination, instant::DATE AS day, count(*) AS samples, count(*) FILTER (WHERE isfinite(value)) AS good
    FROM part
    GROUP BY ALL
"""
DAYS = """
    SELECT query, day, count(*) AS series, sum(samples)::BIGINT AS samples
    FROM daily JOIN identified USING (combination) JOIN asked USING (question)
    GROUP BY ALL
"""
NAMELESS = f"""
    SELECT question AS file_no, row_number() OVER (PARTITION BY question ORDER BY told) AS file_row,
           '{NO_ENTITY}' AS reason, told AS detail
    FROM identified SEMI JOIN daily USING (combination)
    WHERE series_id IS NULL
"""
UNUSABLE = f"""
    SELECT question AS file_no, row_number() OVER (PARTITION BY question ORDER BY told, instant) AS file_row,
           if(isinf(value), '{INFINITE}', '{NAN}') AS reason, strftime(instant, '%Y-%m-%dT%H:%MZ ') || told AS detail
    FROM part JOIN identified USING (combination)
    WHERE NOT isfinite(value)
"""
CLASH = """
    -- Series of one identity, where both have a value. Churning labels make many series one, but one after the other.
    CREATE OR REPLACE TEMP TABLE clash AS
    SELECT series_id, instant, min(question) AS question, count(*) AS n, count(DISTINCT value) AS values,
           min(told) AS one, max(told) AS other
    FROM part JOIN identified USING (combination)
    WHERE isfinite(value)
      AND series_id IN (
          SELECT series_id FROM identified SEMI JOIN daily USING (combination) GROUP BY ALL HAVING count(*) > 1
      )
    GROUP BY ALL
    HAVING count(*) > 1
"""
CLASHES = f"""
    SELECT question AS file_no, row_number() OVER (PARTITION BY question ORDER BY one, other) AS file_row,
           '{ONE_IDENTITY}' AS reason,
           one || ' and ' || other || ' are one series by identity; of ' || windows || ' windows the larger value is'
               || ' kept; add a label that tells them apart to the signal''s identity, or narrow its query' AS detail
    FROM (
        SELECT min(question) AS question, count(*) AS windows, arg_min(one, instant) AS one,
               arg_min(other, instant) AS other
        FROM clash
        WHERE values > 1
        GROUP BY series_id
    )
"""
SAMPLES = """
    SELECT series_id, instant::TIMESTAMP_S AS ts, value
    FROM part JOIN identified USING (combination)
    WHERE isfinite(value) AND series_id IS NOT NULL
"""
SAMPLES_OF_CLASHES = f"""
    SELECT * FROM ({SAMPLES}) ANTI JOIN clash USING (series_id)
    UNION ALL
    SELECT series_id, ts, max(value) AS value FROM ({SAMPLES}) SEMI JOIN clash USING (series_id) GROUP BY ALL
"""
IN_ORDER = "SELECT * FROM ({samples}) ORDER BY ts::DATE, series_id, ts"


@dataclass(frozen=True)
class Night:
    """What was asked for. wanted: windows of each question, by its number. skew_s: of the server's clock."""

    wanted: Mapping[int, Sequence[Windows]]
    now: datetime
    settles_after: timedelta
    skew_s: float


def settle(
    con: duckdb.DuckDBPyConnection, fetched: Fetched, catalogue: Catalogue, night: Night, *, server: str, folder: Path
) -> StagedMetrics:
    """Write series.parquet, samples.parquet, rejects.parquet and fetched.parquet.

    Args:
        server: as rejects name it where they are of no single question.
    """
    rejects = Rejects(con, catalogue.source, [*(question.name for question in catalogue.questions), server])
    for number, reason, lines in _faults(fetched, catalogue, night):
        rejects.add(number, reason, list(enumerate(lines, 1)))
    with registered(con, "identities", _identified(catalogue)):
        con.execute("CREATE OR REPLACE TEMP TABLE identified AS FROM identities")
    parts = parquet(*(part.path for part in fetched.parts)) if fetched.parts else EMPTY
    con.execute(f"CREATE OR REPLACE TEMP VIEW part AS FROM {parts}")
    con.execute(DAILY)
    con.execute(CLASH)
    unusable = con.execute("SELECT count(*) FROM daily WHERE good < samples").fetchall()[0][0]
    for refused in (NAMELESS, *([UNUSABLE] if unusable else []), CLASHES):
        rejects.add_from(refused)
    rejects.write(folder / "rejects.parquet")
    read, clashing, duplicates, conflicts = con.execute(
        """
        SELECT coalesce((SELECT sum(samples) FROM daily), 0)::BIGINT,
               count(*), coalesce(sum(n - values), 0)::BIGINT, coalesce(sum(values - 1), 0)::BIGINT
        FROM clash
        """
    ).fetchall()[0]
    stretches = None if clashing else ordering.stretches(fetched.parts)
    if stretches is None:
        samples = IN_ORDER.format(samples=SAMPLES_OF_CLASHES if clashing else SAMPLES)
        staged = write(con, samples, folder / "samples.parquet")
    else:
        staged = _write_in_order(stretches, catalogue, folder / "samples.parquet")
    write(con, SERIES.format(sampled="FROM daily WHERE good > 0"), folder / "series.parquet")
    with registered(con, "asked", _digests(catalogue)):
        counts = con.sql(DAYS).pl()
    return StagedMetrics(
        series=folder / "series.parquet",
        samples=folder / "samples.parquet",
        rejects=folder / "rejects.parquet",
        read=read,
        staged=staged,
        duplicates=duplicates,
        conflicts=conflicts,
        held_back=0,
        rejected=rejects.counts(),
        fetched=remember(folder, catalogue.source, _asked(fetched, catalogue, night), counts),
        asked={f"answers_by_{way.value.replace(' ', '_')}": n for way, n in sorted(fetched.ways.items(), key=str)},
    )


def _write_in_order(stretches: Sequence[Sequence[Part]], catalogue: Catalogue, path: Path) -> int:
    """What `IN_ORDER` selects of `SAMPLES`, without a sort; the number of samples."""
    ids = [row[1] for row in catalogue.rows]
    series = np.array([key or 0 for key in ids], np.uint64)
    known = np.array([key is not None for key in ids], bool)
    staged = 0
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, ordering.SAMPLES, compression="zstd", use_dictionary=False) as writer,
    ):
        for stretch in stretches:
            for table in ordering.ordered(stretch, series, known):
                writer.write_table(table, row_group_size=ROWS_IN_A_GROUP)
                staged += table.num_rows
    return staged


def _identified(catalogue: Catalogue) -> pl.DataFrame:
    """`IDENTITY`, and besides: which question a series answers, and how it is told of."""
    return pl.DataFrame(catalogue.rows, IDENTITY, orient="row").with_columns(
        pl.Series("question", catalogue.asked_by, pl.Int32),
        pl.Series("told", [told(labels) for labels in catalogue.labels], pl.String),
    )


def told(labels: Mapping[str, str]) -> str:
    """Labels in a line."""
    text = shown(", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())))
    return "{" + (text if len(text) <= LONGEST_LABELS else text[: LONGEST_LABELS - 1] + "…") + "}"


# --------------------------------------------------------------------------------------------------------- what failed


def _faults(fetched: Fetched, catalogue: Catalogue, night: Night) -> Iterator[tuple[int, str, list[str]]]:
    """What is refused of the server and of whole questions: number, reason, lines."""
    server = len(catalogue.questions)
    if fetched.down is not None:
        left = {failure.question for failure in fetched.failures if failure.said == fetched.down}
        yield server, NOT_FETCHED, [f"{fetched.down} ({len(left)} of {server} questions are left open)"]
    if abs(night.skew_s) > MOST_SKEW_S:
        way = "ahead of" if night.skew_s > 0 else "behind"
        line = f"{server_clock(night.skew_s)} {way} ours; correct one of them, or the newest windows are missing or odd"
        yield server, CLOCK, [line]
    for number in range(server):
        said: dict[str, dict[str, list[Windows | None]]] = {NOT_FETCHED: {}, TOO_MANY: {}, PARTIAL: {}}
        for failure in fetched.failures:
            if failure.question == number and failure.said != fetched.down:
                said[TOO_MANY if failure.refused else NOT_FETCHED].setdefault(failure.said, []).append(failure.windows)
        for part in fetched.parts:
            for remark in part.remarks if part.question == number else ():
                said[PARTIAL].setdefault(shown(remark), []).append(part.windows)
        for reason, lines in said.items():
            if lines:
                yield number, reason, [f"{_span(windows)}{line}" for line, windows in [*lines.items()][:REMARKS_TOLD]]


def server_clock(skew_s: float) -> str:
    """'the server's clock is 7 min'."""
    amount = abs(skew_s)
    return f"the server's clock is {amount / 60:,.0f} min" if amount >= 120 else f"the server's clock is {amount:.0f} s"


def _span(windows: Sequence[Windows | None]) -> str:
    """'2026-02-01 to 2026-02-03: ', or nothing where a fault is of no particular time."""
    known = [each for each in windows if each is not None]
    if not known:
        return ""
    first, last = (f"{instant(ms):%Y-%m-%d}" for ms in (min(w.first for w in known), max(w.until for w in known) - 1))
    return f"{first}: " if first == last else f"{first} to {last}: "


# -------------------------------------------------------------------------------------------------- what is remembered


def _digests(catalogue: Catalogue) -> pl.DataFrame:
    """By which each question is remembered."""
    return pl.DataFrame(
        [(number, question.digest) for number, question in enumerate(catalogue.questions)],
        {"question": pl.Int32, "query": pl.String},
        orient="row",
    )


def _asked(fetched: Fetched, catalogue: Catalogue, night: Night) -> Iterator[Asked]:
    """The days of which no piece is missing."""
    missing: set[tuple[int, date | None]] = set()
    for failure in fetched.failures:
        missing.update((failure.question, day) for day in (_dates(failure.windows) if failure.windows else [None]))
    doubted = {(part.question, day) for part in fetched.parts if part.remarks for day in _dates(part.windows)}
    now = night.now + min(timedelta(0), timedelta(seconds=night.skew_s))
    for number, stretches in night.wanted.items():
        for windows in (day for stretch in stretches for day in stretch.days()):
            key = number, windows.day
            if key in missing or (number, None) in missing:
                continue
            until = instant(windows.until)
            complete = key not in doubted and is_settled(windows.day, until, now, night.settles_after)
            yield catalogue.questions[number].digest, windows.day, until, complete


def _dates(windows: Windows) -> list[date]:
    return [day.day for day in windows.days()]
