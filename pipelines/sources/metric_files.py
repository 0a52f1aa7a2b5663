"""Long-format metric files: one sample a row. How rows are judged says ``metric_rows``.

Files on this machine must be there. Those at an http(s) address are fetched into the night's folder and then read like
the others; one that cannot be fetched, or turns out unusable, is a reject, and the night goes on without it. One that
has not changed since a night that took all of its rows, by its ``ETag`` or ``Last-Modified``, is not fetched again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import httpx
import polars as pl

from features.signals import Signal
from pipelines.settings import Settings
from pipelines.source_options import MetricFiles
from pipelines.sources.access import address, tls_context
from pipelines.sources.errors import InputError, NotFetchedError, shown
from pipelines.sources.files import FileReport, inspect_file, inspect_files, readable
from pipelines.sources.findings import Finding
from pipelines.sources.http import Client
from pipelines.sources.metric_rows import PARTS, Unfetched, stage_rows
from pipelines.sources.metric_staging import StagedMetrics
from pipelines.sources.rejects import FUTURE
from pipelines.sources.remembered import counted, question, remember
from pipelines.sources.sql import workspace

VERSION = ("ETag", "Last-Modified")


def inspect(source: MetricFiles, settings: Settings) -> list[Path]:
    """Whether the files on this machine can be read, and the others be asked for: the former.

    Raises:
        InputError: one line with the mend.
    """
    if source.addresses:
        tls_context(source.access, settings)
    return [report.path for report in _local(source, settings)]


def _local(source: MetricFiles, settings: Settings) -> list[FileReport]:
    return inspect_files(source.local_paths, {**source.columns}, PARTS, settings)


def survey(source: MetricFiles, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it."""
    if source.local_paths:
        yield readable(_local(source, settings))
    if not source.addresses:
        return
    with Client(source.access, settings) as client:
        for url in source.addresses:
            try:
                headers = client.headers(url)
            except NotFetchedError as error:
                yield Finding("fault", str(error))
            else:
                yield Finding("ok", f"{address(url)}: {_told(headers)}")


def stage(
    con: duckdb.DuckDBPyConnection,
    source: MetricFiles,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``.

    Args:
        fetched: plays a part for addresses alone; other files are read whole.
    """
    local = _local(source, settings)
    with workspace(con, folder) as (own, landing):
        download = _Download(own, source, signals, _known(fetched, as_of), landing)
        if source.addresses:
            with Client(source.access, settings) as client:
                for url in source.addresses:
                    download.take(client, url)
        staged, unusable = stage_rows(
            own,
            source.name,
            [*local, *download.reports],
            signals,
            time_zone=source.time_zone,
            as_of=as_of,
            now=now,
            folder=folder,
            dispensable=download.versions,
            unfetched=download.unfetched,
        )
        if not source.addresses:
            return staged
        whole = not staged.held_back and FUTURE not in staged.rejected
        path = remember(
            folder,
            source.name,
            [
                (version, as_of.date(), as_of, whole)
                for name, version in download.versions.items()
                if version and name not in unusable
            ],
            counted(own, staged.samples),
        )
    return replace(staged, fetched=path)


@dataclass
class _Download:
    """Files at addresses, one after the other.

    versions: name -> the question by which a file's content is remembered; None where its server does not say when it
        changes.
    """

    con: duckdb.DuckDBPyConnection
    source: MetricFiles
    signals: Sequence[Signal]
    known: frozenset[str]
    folder: Path
    reports: list[FileReport] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    unfetched: list[Unfetched] = field(default_factory=list)

    def take(self, client: Client, url: str) -> None:
        """Fetch a file, unless it is known."""
        number = len(self.versions) + len(self.unfetched) + 1
        name = address(url)
        if name in self.versions:  # but for their queries, which are not shown, the addresses are the same
            name = f"{name} ({number})"
        path = self.folder / f"download-{number}"
        try:
            headers = client.download(url, path, lambda headers: self._version(url, headers) in self.known)
            if headers is None:
                return
            self.reports.append(inspect_file(self.con, path, name, {**self.source.columns}, PARTS))
            self.versions[name] = self._version(url, headers)
        except (NotFetchedError, InputError) as error:
            self.unfetched.append(Unfetched(name, str(error)))

    def _version(self, url: str, headers: httpx.Headers) -> str | None:
        version = [headers.get(name) for name in VERSION]
        if version == [None, None]:
            return None
        return question(url, version, self.source.columns, self.source.time_zone, signals=self.signals)


def _known(fetched: pl.DataFrame | None, as_of: datetime) -> frozenset[str]:
    """The contents of which all that this night may see was taken."""
    if fetched is None:
        return frozenset()
    return frozenset(fetched.filter(pl.col("complete") | (pl.col("until") >= as_of))["query"])


def _told(headers: httpx.Headers) -> str:
    size = headers.get("Content-Length", "")
    told = f"{int(size):,} bytes" if size.isdigit() else "there"
    changed = headers.get("Last-Modified")
    return f"{told}, changed {shown(changed)}" if changed else told
