"""Alerts as Prometheus itself records them, in ALERTS and ALERTS_FOR_STATE; so do Thanos, Mimir and vmalert.

============  ==========================================================================================================
created       the value of ALERTS_FOR_STATE: since when the rule's condition holds, so that its ``for`` is part of it
started       the same
acknowledged  not recorded
resolved      the first evaluation at which the alert fires no more (inferred)
severity etc  labels, as the settings say; the title is the alert's name
============  ==========================================================================================================

An incident is an episode of firing (``episodes``), under the name of the alert, a digest of its labels, and when it
began; so a later night finds it under the same name. An alert that only was pending is none. Alertmanager is not asked:
it knows what fires now, under another beginning, and forgets it; its silences are about who is told, not about what is.

A series that ends is marked by the server, so that the end of an episode is known as closely as one looks. Where marks
are missing (back-filled series), an episode ends up to five minutes late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np

from features.signals import entity_of
from pipelines.settings import Settings
from pipelines.source_options import Alerts
from pipelines.sources.errors import NotFetchedError, shown
from pipelines.sources.http import FetchError
from pipelines.sources.identity import canonical_json
from pipelines.sources.incident_servers.episodes import Alert, Episode, Episodes, Spell, spells
from pipelines.sources.incident_servers.pages import Asked, Page, Row, finished
from pipelines.sources.incident_servers.reading import stamp
from pipelines.sources.prometheus.answers import Block, Envelope, blocks
from pipelines.sources.prometheus.asking import form
from pipelines.sources.prometheus.client import Client, TooMuchError
from pipelines.sources.prometheus.plan import Windows, divided, instant, milliseconds, most_windows, seconds
from pipelines.sources.prometheus.questions import NAME

FIRING_AT_ONCE = 500
"""So many alerts are expected to fire in one answer; more make it larger."""

Found = dict[Alert, list[Spell]]


class AlertEpisodes(Asked):
    """See ``pages.Asked``; it has no parts."""

    def __init__(self, source: Alerts, settings: Settings):
        self._source = source
        self._step, self._join = source.step_seconds * 1000, source.join_minutes * 60_000
        self._lasting = cache(self._lasting_until)  # alerts often begin together
        connection = ExitStack()
        self._client = connection.enter_context(Client(source.url, source.access, settings))
        super().__init__(source.url, connection)

    def survey(self) -> str:
        """Three numbers."""
        firing = self._number(f"count({self._expression})")
        names = self._number(f"count(count by (alertname) (last_over_time(ALERTS{self._firing}[1d])))")
        lasting = self._number(f"count(last_over_time(ALERTS_FOR_STATE{{{self._matchers}}}[1d]))")
        if names and not lasting:
            raise NotFetchedError(
                f"{self.name}: records ALERTS, but no ALERTS_FOR_STATE, without which it is not known when an alert"
                " began; ask the server that evaluates the rules"
            )
        return f"{self.name}: alerts that fire now: {firing}; names of alerts that fired in the last day: {names}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """Day by day, or in smaller pieces."""
        del part
        step = self._step
        first, end = -(-milliseconds(since) // step) * step, (milliseconds(until) // step + 1) * step
        known = Episodes(first, step, self._join, self._beginning)
        for planned in divided(Windows(first, end, step), most_windows(FIRING_AT_ONCE)):
            for windows, found in self._answered(planned):
                known.add(found)
                last = windows.until - step
                news = list(known.news(last))
                rows = [incident(episode, known, last, self._source) for episode in news]
                happened = [row for episode in news for row in events(episode, known, last)]
                yield Page(rows, happened, through=instant(max(first, last - known.patience)))

    def _answered(self, windows: Windows) -> Iterator[tuple[Windows, Found]]:
        """By halves where it is too much for the server."""
        try:
            found = self._spells(windows)
        except TooMuchError:
            halves = windows.halves()
            if halves is None:
                raise
            for half in halves:
                yield from self._answered(half)
        else:
            yield windows, found

    def _spells(self, windows: Windows) -> Found:
        """Of the alerts that fire at the beginnings of windows.

        Raises:
            FetchError: there is no answer, or a partial one, which would look like the ends of alerts.
        """

        def read(body: Iterable[bytes]) -> Found:
            found: Found = {}
            for block in blocks(body):
                if isinstance(block, Envelope) and block.remarks:
                    raise FetchError(f"{self.name}: answers in part only: {shown(block.remarks[0])}")
                if isinstance(block, Block):
                    self._take(block, found)
            return found

        span = {"start": seconds(windows.first), "end": seconds(windows.until - self._step)}
        parameters = span | {"step": seconds(self._step)}
        return self._client.read("/api/v1/query_range", read, data=form(self._expression, parameters))

    def _take(self, block: Block, found: Found) -> None:
        starts = np.concatenate([[0], block.ends[:-1]])
        left_out = {NAME, *self._source.without_labels}
        for labels, start, end in zip(block.labels, starts, block.ends, strict=True):
            alert = tuple(sorted((name, value) for name, value in labels.items() if name not in left_out))
            own = spells(block.instants[start:end], block.values[start:end], self._step)
            found.setdefault(alert, []).extend(own)

    def _beginning(self, alert: Alert, began: int) -> int:
        """When the episode of a spell began, which may have been joined to another, and that to another again."""
        while (before := self._lasting(began).get(alert, began)) < began:
            began = before
        return began

    def _lasting_until(self, moment: int) -> Mapping[Alert, int]:
        """When those alerts had begun that fired not longer ago than would join them to what begins at a moment."""
        first = (moment - self._join) // self._step * self._step + self._step
        until = moment // self._step * self._step + self._step
        if first >= until:
            return {}
        found = self._spells(Windows(first, until, self._step))
        return {alert: min(spell.began for spell in own) for alert, own in found.items() if own}

    @property
    def _matchers(self) -> str:
        return self._source.matchers.strip().removeprefix("{").removesuffix("}").strip(" \t\n,")

    @property
    def _firing(self) -> str:
        return '{alertstate="firing"' + (f",{self._matchers}" if self._matchers else "") + "}"

    @property
    def _expression(self) -> str:
        """Has a value where an alert fires: since when, in seconds since 1970."""
        return f"ALERTS_FOR_STATE{{{self._matchers}}} and ignoring(alertstate) ALERTS{self._firing}"

    def _number(self, expression: str) -> int:
        """The value of an expression without labels, now; 0 where it has none."""

        def read(data: Any) -> int:
            return round(float(data["result"][0]["value"][1])) if data["result"] else 0

        return self._client.json("/api/v1/query", read, {"query": expression})


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(episode: Episode, known: Episodes, now: int, source: Alerts) -> Row:
    """An episode as a row."""
    labels, is_over = dict(episode.alert), known.is_over(episode, now)
    last = episode.runs[-1]
    row: Row = {
        "incident_id": name_of(episode),
        "title": labels.get("alertname"),
        "state": "resolved" if is_over else "firing",
        "started_at": _text(episode.began),
        "created_at": _text(episode.began),
        "resolved_at": _text(known.end(last)) if is_over else None,
        "resolved_basis": "inferred" if is_over else None,
        "updated_at": _text(known.end(last) if is_over else last.last),
    }
    for part, names in source.by_label.items():
        name = next((name for name in names if labels.get(name)), None)
        if name is not None:
            row[part] = entity_of([name], labels) if part == "entity" else labels[name]
    marks = [mark for name, value in episode.alert for mark in (name, value, f"{name}:{value}")]
    return finished(row, labels, source, labels=marks)


def events(episode: Episode, known: Episodes, now: int) -> list[Row]:
    """When it began, and the beginnings and ends of its runs as far as they were seen."""
    happened = [(episode.began, "open")]
    for run in episode.runs:
        if known.seen_to_begin(run):
            happened.append((run.first, "firing"))
        if run is not episode.runs[-1] or known.is_over(episode, now):
            happened.append((known.end(run), "resolved"))
    return [{"incident_id": name_of(episode), "changed_at": _text(at), "state": state} for at, state in happened]


def name_of(episode: Episode) -> str:
    """By which every night knows it."""
    labels = dict(episode.alert)
    digest = blake2b(canonical_json(labels).encode("utf-8", "replace"), digest_size=5).hexdigest()
    return f"{labels.get('alertname', 'alert')}-{digest}-{_text(episode.began)}"


def _text(ms: int) -> str:
    return stamp(instant(ms))
