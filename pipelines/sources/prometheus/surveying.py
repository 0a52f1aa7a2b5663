"""What ``forewarn check`` says of a server: who it is, whether it lets us in, and which signals have data there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from features.signals import Signal
from pipelines.source_options import Prometheus
from pipelines.sources.errors import shown
from pipelines.sources.findings import Finding
from pipelines.sources.http import FetchError
from pipelines.sources.prometheus.asking import Asking, TooManySeriesError, Way
from pipelines.sources.prometheus.client import UNFIT, Client, DownError, NotOfferedError
from pipelines.sources.prometheus.expressions import matchers
from pipelines.sources.prometheus.parts import Catalogue
from pipelines.sources.prometheus.plan import Windows, milliseconds
from pipelines.sources.prometheus.questions import Question, questions
from pipelines.sources.prometheus.staging import MOST_SKEW_S, server_clock

A_DAY_MS = 86_400_000
NAMES_TOLD = 12


def surveyed(
    client: Client, source: Prometheus, signals: Sequence[Signal], until: datetime, presets: Sequence[Signal] = ()
) -> Iterator[Finding]:
    """All findings; one fault where the server cannot be asked at all.

    Args:
        until: naive UTC; the day before is looked at.
        presets: all that there are; which of the others have data here is told.
    """
    try:
        yield _greeting(client, source)
    except FetchError as error:
        yield Finding("fault", str(error))
        return
    if abs(client.skew_s or 0) > MOST_SKEW_S:
        way = "ahead of" if (client.skew_s or 0) > 0 else "behind"
        yield Finding("note", f"{server_clock(client.skew_s or 0)} {way} ours; correct one of them")
    asked = questions(source, signals)
    asking = Asking(client, source, Catalogue(source.name, asked, signals), Path())
    step = source.step_minutes * 60_000
    end = milliseconds(until) // step * step
    day = Windows(end - A_DAY_MS, end, step)
    if not asked:
        yield Finding("fault", "no signal has a query, so nothing is asked; add presets, or queries to your own")
    try:
        yield from _answers(asking, source, asked, day)
        yield from _fast_path(client, asking, source, asked, day)
        yield from _others(asking, _not_asked(source, asked, signals, presets), day)
    except DownError as error:
        yield Finding("fault", str(error))


def _greeting(client: Client, source: Prometheus) -> Finding:
    client.json("/api/v1/query", len, {"query": "1"})
    try:
        told = client.json("/api/v1/status/buildinfo", dict[str, Any])
    except NotOfferedError:
        told = {}
    kind = "VictoriaMetrics" if client.is_victoria_metrics else shown(str(told.get("application") or "Prometheus"))
    version = "" if client.is_victoria_metrics else shown(str(told.get("version", "")))
    return Finding("ok", f"{' '.join(filter(None, (kind, version)))} answers at {source.url}")


def _answers(asking: Asking, source: Prometheus, asked: Sequence[Question], day: Windows) -> Iterator[Finding]:
    """Which questions have an answer, and how many series."""
    without = []
    for question in asked:
        try:
            series = asking.count(f"count({question.over_a_day})", [day])
            if series > source.most_series:
                raise TooManySeriesError(f"{series:,.0f}", source)
        except DownError:
            raise
        except FetchError as error:
            yield Finding("fault", f"signal {question.name}: {error}")
            continue
        if not series:
            without.append(question.name)
            continue
        yield Finding("ok", f"signal {question.name}: {series:,.0f} series")
        if not question.gap_true:
            yield Finding(
                "note",
                f"signal {question.name}: its query carries values into gaps; write avg_over_time(...[$step]) around"
                " its selectors",
            )
    if without:
        more = f" and {len(without) - NAMES_TOLD} more" if len(without) > NAMES_TOLD else ""
        told = ", ".join(without[:NAMES_TOLD])
        yield Finding("note", f"no series in the last day for: {told}{more}; leave them out, or correct matchers")


def _fast_path(
    client: Client, asking: Asking, source: Prometheus, asked: Sequence[Question], day: Windows
) -> Iterator[Finding]:
    simple = next((each for each in asked if each.selector and matchers(each.selector) is not None), None)
    if not source.fast_path or simple is None:
        return
    way = Way.EXPORT if client.is_victoria_metrics else Way.REMOTE_READ
    why = asking.offers(way, simple, Windows(day.until - day.step, day.until, day.step))
    yield Finding("ok", f"fast path: {way.value}" if why is None else f"no fast path, so by query: {why}")


def _not_asked(
    source: Prometheus, asked: Sequence[Question], signals: Sequence[Signal], presets: Sequence[Signal]
) -> list[Question]:
    """The usage of every preset that is no signal, unless one asks the same under a name of its own."""
    taken, expressions = {signal.name for signal in signals}, {question.expression for question in asked}
    others = questions(source, [preset for preset in presets if preset.name not in taken])
    return [each for each in others if each.name == each.signal and each.expression not in expressions]


def _others(asking: Asking, others: Sequence[Question], day: Windows) -> Iterator[Finding]:
    """Which presets have data here that nobody asked for, in one line."""
    found, refused, whole = [], 0, bool(others)
    for question in others:
        try:
            series = asking.count(f"count({question.over_a_day})", [day])
        except DownError:
            raise
        except FetchError as error:
            if error.status not in UNFIT:
                yield Finding("note", f"presets that are not asked for: not all could be counted: {error}")
                whole = False
                break
            refused += 1
            continue
        if series:
            found.append(f"{question.name} ({series:,.0f})")
    more = f"; {refused} could not be counted, for the server refuses their queries" if refused else ""
    if found:
        told = f"presets with series here that are not asked for: {', '.join(found)}; add them to signals.presets"
        yield Finding("note", told + more)
    elif whole:
        yield Finding("ok", f"no preset has series here that is not asked for{more}")
