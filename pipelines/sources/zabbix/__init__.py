"""Zabbix: history while it keeps it, its hourly averages where it no longer does.

Items become series by what their keys mean (``keys``, ``items``). They are asked for day by day, many at once, in
answers of at most `MOST_ROWS`: an answer that reaches that is asked for again by halves. What Zabbix says is read by
DuckDB as it comes, so that no value becomes an object of its own; one day is held at a time.

An hourly average stands at the beginning of its hour. Whether a day is taken from history is decided by the item's own
period; items of which history then says nothing are looked up among the trends, since the housekeeper may keep less.

An item that is seen for the first time brings its whole history, also of days that were fetched before. So does one
that comes back after a night without it, be it that the settings changed or its host's groups or tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from pathlib import Path

import duckdb
import polars as pl

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import Zabbix
from pipelines.sources.access import tls_context
from pipelines.sources.errors import DISK_FULL, InputError, NotFetchedError, shown
from pipelines.sources.files import FileReport, landed_report
from pipelines.sources.findings import Finding
from pipelines.sources.http import FetchError
from pipelines.sources.metric_rows import PARTS, Unfetched, stage_rows
from pipelines.sources.metric_staging import StagedMetrics
from pipelines.sources.remembered import (
    EVER,
    Span,
    ask,
    counted,
    days_asked,
    question,
    remember,
    spans,
    wanted,
    whole_history,
)
from pipelines.sources.sql import file_name, quoted, registered, workspace, write
from pipelines.sources.zabbix.api import Api
from pipelines.sources.zabbix.items import Item, choose

MOST_ROWS = 50_000
OUT_OF_MEMORY = 500
"""What the frontend answers when PHP gives up."""
MOST_HALVINGS = 4
HOURS_A_DAY = 24
SHOWN = 5
NULL, MOST_BEFORE = re.compile(rb'"result"\s*:\s*null'), 200
HISTORY = ("history.get", "value")
TRENDS = ("trend.get", "value_avg")


def inspect(source: Zabbix, settings: Settings) -> list[Path]:
    """Whether the files of its access can be used; the server is not asked.

    Raises:
        InputError: one line with the mend.
    """
    tls_context(source.access, settings)
    return []


def survey(source: Zabbix, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it: how many items the settings choose, and what they are called here."""
    try:
        with Api(source, settings) as api:
            items = choose(api, source)
    except NotFetchedError as error:
        yield Finding("fault", str(error))
        return
    version = ".".join(map(str, api.version))
    if not items:
        yield Finding("fault", f"{api.name}: Zabbix {version} answers, but the settings choose none of its items")
        return
    hosts = len({item.host for item in items})
    counts = Counter(item.meaning.metric for item in items).most_common()
    told = ", ".join(f"{shown(metric)} {count}" for metric, count in counts[:SHOWN])
    more = f" and {len(counts) - SHOWN} more metrics" if len(counts) > SHOWN else ""
    yield Finding("ok", f"{api.name}: Zabbix {version}, {len(items)} items of {hosts} hosts: {told}{more}")


def stage(
    con: duckdb.DuckDBPyConnection,
    source: Zabbix,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``."""
    asked = question(source.url, [entry.model_dump() for entry in source.metrics], signals=signals)
    history = whole_history(as_of, source.history_days)
    with workspace(con, folder) as (own, landing):
        got = _Fetched()
        try:
            with Api(source, settings) as api:
                items = choose(api, source)
                asking = _Asking(api, own, landing, source.access.concurrency, now)
                _fetch(got, asking, items, asked, history, fetched=fetched)
        except NotFetchedError as error:
            got.unfetched.append(Unfetched(f"{source.name}, {history}", str(error)))
        staged, unusable = stage_rows(
            own,
            source.name,
            got.reports,
            signals,
            time_zone=None,
            as_of=as_of,
            now=now,
            folder=folder,
            dispensable=[report.name for report in got.reports],
            unfetched=got.unfetched,
        )
        days = days_asked(asked, got.whole(unusable), now, source.settles_after_h)
        known = ((query, EVER, now, True) for query in got.known(asked, unusable))
        path = remember(folder, source.name, chain(days, known), counted(own, staged.samples))
    return replace(staged, fetched=path)


@dataclass
class _Fetched:
    """landed, late: the files of a day of all items, and of those that are new; by name.

    items: all that the settings chose, once all that is theirs was asked for. new: those not seen the night before.
    """

    reports: list[FileReport] = field(default_factory=list)
    answered: list[Span] = field(default_factory=list)
    unfetched: list[Unfetched] = field(default_factory=list)
    landed: dict[str, Span] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    items: list[Item] | None = None
    new: set[int] = field(default_factory=set)
    new_are_whole: bool = True

    def whole(self, unusable: Collection[str]) -> list[Span]:
        """What was answered, and could be read."""
        spoiled = {self.landed[name] for name in unusable if name in self.landed}
        return [span for span in self.answered if span not in spoiled]

    def known(self, asked: str, unusable: Collection[str]) -> Iterator[str]:
        """The questions by which items are remembered that lack nothing of the days that are complete by now."""
        if self.items is None:
            return
        yield _of_item(asked)
        whole = self.new_are_whole and self.late.isdisjoint(unusable)
        yield from (_of_item(asked, item) for item in self.items if whole or item.item_id not in self.new)


def _of_item(asked: str, item: Item | None = None) -> str:
    """The question by which an item is remembered; without one, by which it is that a night asked for items at all."""
    return f"{asked} item {item.item_id if item else 'any'}"


def _fetch(
    got: _Fetched, asking: _Asking, items: Sequence[Item], asked: str, history: Span, *, fetched: pl.DataFrame | None
) -> None:
    """Days of which more can come for all items; the others for those that the last night did not have."""
    seen = {} if fetched is None else dict(fetched.filter(day=EVER).select("query", "until").iter_rows())
    last = seen.get(_of_item(asked))
    new = [item for item in items if last is None or seen.get(_of_item(asked, item)) != last]
    todo = wanted(fetched, asked, history)
    name = asking.api.name

    def day(span: Span) -> None:
        reports = asking.day(items, span)
        got.reports.extend(reports)
        got.landed.update((report.name, span) for report in reports)

    def late_day(span: Span) -> None:
        reports = asking.day(new, span, "late-")
        got.reports.extend(reports)
        got.late.update(report.name for report in reports)

    got.answered, got.unfetched = ask(spans(todo, history, 1), day, name)
    done = [day for day in reversed(history.days) if day not in set(todo)] if new else []
    _, late = ask(spans(done, history, 1), late_day, f"{name}, items that are new")
    got.unfetched += late
    got.items, got.new, got.new_are_whole = list(items), {item.item_id for item in new}, not late


@dataclass(frozen=True)
class _Asking:
    """A day of some items, from answers to a file."""

    api: Api
    con: duckdb.DuckDBPyConnection
    folder: Path
    concurrency: int
    now: datetime

    def day(self, items: Sequence[Item], span: Span, prefix: str = "") -> list[FileReport]:
        """The values of a day, as a landed file; none where there are none.

        Raises:
            NotFetchedError: any of them did not come.
        """
        self.con.execute("CREATE OR REPLACE TEMP TABLE answer (item_id BIGINT, clock BIGINT, value DOUBLE)")
        kept = [item for item in items if self._in_history(item, span)]
        self._collect(HISTORY, kept, span)
        with_values = {row[0] for row in self.con.execute("SELECT DISTINCT item_id FROM answer").fetchall()}
        self._collect(TRENDS, [item for item in items if item.item_id not in with_values and item.trends_s != 0], span)
        return self._landed(items, span, prefix)

    def _in_history(self, item: Item, span: Span) -> bool:
        """Whether the whole day is still kept, as far as the item says."""
        return item.history_s is None or span.since >= self.now - timedelta(seconds=item.history_s)

    def _collect(self, what: tuple[str, str], items: Sequence[Item], span: Span) -> None:
        pages = list(_pages(what, items, span))
        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                for paths in pool.map(lambda page: self._answers(what, *page), pages):
                    for path in paths:
                        self._take(what[1], path)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # a server that fails is not asked on
                raise

    def _answers(
        self, what: tuple[str, str], items: Sequence[Item], since: int, until: int, failed: int = 0
    ) -> list[Path]:
        """Answers as files; by halves where one would be too long, or too much for the server."""
        method, value = what
        params = {
            "itemids": [str(item.item_id) for item in items],
            "time_from": since,
            "time_till": until - 1,
            "output": ["itemid", "clock", value],
            "limit": MOST_ROWS,
        }
        if what is HISTORY:
            params["history"] = int(items[0].kind)
        try:
            answer = self.api.ask(method, params)
        except FetchError as error:
            if error.status != OUT_OF_MEMORY or failed == MOST_HALVINGS:
                raise
            answer, failed = None, failed + 1
        if answer is not None and NULL.search(answer[:MOST_BEFORE]):
            raise self.api.odd(method)
        if answer is not None and answer.count(b'"clock"') < MOST_ROWS:
            path = self.folder / f"{method}-{items[0].item_id}-{len(items)}-{since}-{until}.json"
            path.write_bytes(answer)
            return [path]
        return [
            path for half in _halves(items, since, until, self.api.name) for path in self._answers(what, *half, failed)
        ]

    def _take(self, value: str, path: Path) -> None:
        """Read an answer into the table `answer`."""
        columns = f"{{result: 'STRUCT(itemid BIGINT, clock BIGINT, {value} DOUBLE)[]'}}"
        try:
            self.con.execute(
                f"""
                INSERT INTO answer
                SELECT row.itemid, row.clock, row.{value}
                FROM (
                    SELECT unnest(result) AS row
                    FROM read_json(
                        {file_name(path)}, format = 'unstructured', columns = {columns},
                        maximum_object_size = {max(path.stat().st_size + 1, 1 << 20)}
                    )
                )
                """
            )
        except duckdb.Error as error:
            if DISK_FULL in str(error):
                raise
            raise self.api.garbled() from error
        finally:
            path.unlink()

    def _landed(self, items: Sequence[Item], span: Span, prefix: str) -> list[FileReport]:
        labels = sorted({label for item in items for label, _ in item.meaning.labels})
        rows = [_row(item, labels) for item in items]
        types = {"item_id": pl.Int64, "entity": pl.String, "metric": pl.String, "unit": pl.String}
        types |= {"factor": pl.Float64, "plus": pl.Float64} | dict.fromkeys(map(_label, labels), pl.String)
        path = self.folder / f"{prefix}{span.since:%Y%m%d}.parquet"
        named = "".join(f", {quoted(_label(label))} AS {quoted(label)}" for label in labels)
        with registered(self.con, "item", pl.DataFrame(rows, types, orient="row")):
            count = write(
                self.con,
                f"""
                SELECT entity, metric, clock AS ts, value * factor + plus AS value, unit{named}
                FROM answer JOIN item USING (item_id)
                ORDER BY item_id, clock, value
                """,
                path,
            )
        try:
            return [landed_report(self.con, path, f"{self.api.name}, {prefix}{span}", {}, PARTS)] if count else []
        except InputError as error:
            raise NotFetchedError(str(error)) from error


def _label(name: str) -> str:
    """A label's column, which no other one is called."""
    return f"label {name}"


def _row(item: Item, labels: Sequence[str]) -> tuple[object, ...]:
    has = dict(item.meaning.labels)
    meaning = item.meaning
    own = (item.item_id, item.host, meaning.metric, meaning.unit, meaning.factor, meaning.plus)
    return (*own, *(has.get(label) for label in labels))


def _pages(what: tuple[str, str], items: Sequence[Item], span: Span) -> Iterator[tuple[list[Item], int, int]]:
    """What should fit into one answer: items of one kind, and the span in seconds since 1970."""
    since, until = (int(each.replace(tzinfo=UTC).timestamp()) for each in (span.since, span.until))
    for _, group in groupby(sorted(items, key=lambda item: (item.kind, item.item_id)), key=lambda item: item.kind):
        page: list[Item] = []
        rows = 0
        for item in group:
            expected = (until - since) // item.delay_s if what is HISTORY else HOURS_A_DAY
            if page and rows + expected > MOST_ROWS // 2:
                yield page, since, until
                page, rows = [], 0
            page.append(item)
            rows += expected
        if page:
            yield page, since, until


def _halves(items: Sequence[Item], since: int, until: int, name: str) -> list[tuple[Sequence[Item], int, int]]:
    """A question in two: by items, or of one item by time."""
    if len(items) > 1:
        middle = len(items) // 2
        return [(items[:middle], since, until), (items[middle:], since, until)]
    if until - since < 2:
        raise NotFetchedError(f"{name}: item {items[0].item_id} cannot be read; look at its latest data in Zabbix")
    middle = (since + until) // 2
    return [(items, since, middle), (items, middle, until)]
