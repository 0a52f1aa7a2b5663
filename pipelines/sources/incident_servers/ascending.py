"""Pages in the order of change, of records that change while they are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from pipelines.sources.errors import NotFetchedError

R = TypeVar("R")


def ascending(
    since: datetime,
    ask: Callable[[datetime, int], Sequence[R]],
    *,
    changed: Callable[[R], datetime],
    key: Callable[[R], Hashable],
    full: int,
    more: Callable[[Sequence[R]], bool] | None = None,
) -> Iterator[list[R]]:
    """Pages of what changed at or after a moment, each asked for from the moment at which the one before it ended.

    To go on by number, as servers offer, would pass over records: one that changes meanwhile moves to the end, and all
    behind it move up by one, from the page to come to the one that was read. Only where a whole page changed at one
    moment is the next one asked for by its number.

    Args:
        ask: (since, number of the page; the first is 1) -> records in the order of their change.
        changed: of a record, naive UTC, at the server's own resolution. key: what names it.
        full: how many records a page has, unless it is the last.
        more: whether another page follows one, for servers that say so: those that leave out of a page what the account
            may not see have pages that are not full, or empty, in between. By default, whether it is full.

    Raises:
        NotFetchedError: a full page comes again under the next number; it would for ever.
    """
    page, known = 1, set[tuple[Hashable, datetime]]()
    before: list[tuple[Hashable, datetime]] = []
    while True:
        records = ask(since, page)
        versions = [(key(record), changed(record)) for record in records]
        if page > 1 and len(versions) >= full and versions == before:
            raise NotFetchedError("answers one page again and again; is url right, and does nothing stand in between?")
        before = versions
        yield [record for record, version in zip(records, versions, strict=True) if version not in known]
        known = set(versions) if page == 1 else known | set(versions)
        if not (more(records) if more else len(records) >= full):
            return
        last = versions[-1][1] if versions else since
        since, page = (last, 1) if last > since else (since, page + 1)
