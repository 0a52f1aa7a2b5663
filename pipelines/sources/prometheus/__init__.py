"""A server that speaks PromQL: Prometheus, VictoriaMetrics, Mimir, Thanos.

A night asks each signal's query, on days that are not complete, for the mean of every window of ``step_minutes``: see
`plan` for which windows these are, `fetching` for how they are asked for, `staging` for the rules.

    questions      what is asked, from the signals          expressions    PromQL as text
    plan           windows, and pieces of them              client         what refusals mean
    fetching       which pieces, and what happens then      asking         one of them
    answers, remote_read (and xor), export                  bytes to samples
    windows        samples to means                         parts          means to files
    staging        files to what is staged                  surveying      what ``forewarn check`` says

Belongs here: the order of these. Not here: any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from data.presets import all_presets
from features.signals import Signal
from pipelines.settings import Settings, cut
from pipelines.source_options import Prometheus
from pipelines.sources.access import tls_context
from pipelines.sources.findings import Finding
from pipelines.sources.metric_staging import StagedMetrics
from pipelines.sources.prometheus.asking import Asking
from pipelines.sources.prometheus.client import Client
from pipelines.sources.prometheus.fetching import Fetching
from pipelines.sources.prometheus.parts import Catalogue
from pipelines.sources.prometheus.plan import stretches
from pipelines.sources.prometheus.questions import questions
from pipelines.sources.prometheus.staging import Night, settle
from pipelines.sources.prometheus.surveying import surveyed
from pipelines.sources.remembered import spans, wanted, whole_history
from pipelines.sources.sql import workspace


def inspect(source: Prometheus, settings: Settings) -> list[Path]:
    """Nothing that a night could not begin without, but that the files of its TLS settings can be used.

    Raises:
        InputError: they cannot.
    """
    tls_context(source.access, settings)
    return []


def survey(source: Prometheus, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it, as of the settings' own night or now."""
    archived = settings.calendar.as_of
    until = cut(archived, settings.zone) if archived else datetime.now(UTC).replace(tzinfo=None)
    with Client(source.url, source.access, settings) as client:
        yield from surveyed(client, source, settings.signals.all, until, list(all_presets().values()))


def stage(
    con: duckdb.DuckDBPyConnection,
    source: Prometheus,
    settings: Settings,
    signals: Sequence[Signal],
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
    fetched: pl.DataFrame | None = None,
) -> StagedMetrics:
    """See ``pipelines.sources.stage_metrics``."""
    asked = questions(source, signals)
    catalogue = Catalogue(source.name, asked, signals)
    history = replace(whole_history(as_of, source.history_days), until=min(as_of, now))
    step = timedelta(minutes=source.step_minutes)
    windows = {
        number: stretches(spans(wanted(fetched, question.digest, history), history), step)
        for number, question in enumerate(asked)
    }
    todo = {number: each for number, each in windows.items() if each}
    with workspace(con, folder) as (own, landing), Client(source.url, source.access, settings) as client:
        found = Fetching(client, Asking(client, source, catalogue, landing), source, catalogue).run(todo)
        night = Night(todo, now, timedelta(hours=source.settles_after_h), client.skew_s or 0)
        return settle(own, found, catalogue, night, server=source.url, folder=folder)
