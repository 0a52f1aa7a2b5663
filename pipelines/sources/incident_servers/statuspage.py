"""Status pages: Atlassian Statuspage, and those that answer in its layout (incident.io and others).

============  ==========================================================================================================
started       started_at
created       created_at
acknowledged  not told: who posts knows already. What stands in is the first update of work after the posting itself
mitigated     monitoring_at, else the first update that says so (changelog)
resolved      resolved_at, else the last update that says so (changelog)
severity      impact: none, minor, major, critical
service       the first component that was affected, else the page's name; the entity names all components
review        when the post-mortem was published
============  ==========================================================================================================

A page tells of its latest 50 incidents. What is older is looked up in its history, three months at a time and then one
by one; a page without a history says so once (``Page.notes``). Scheduled maintenance is no incident.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from features.incident_states import kind_of
from pipelines.settings import Settings
from pipelines.source_options import StatusPage
from pipelines.sources.errors import NotFetchedError, shown
from pipelines.sources.http import FetchError, UnreachableError
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.pages import Asked, Page, Row, finished
from pipelines.sources.incident_servers.reading import moment, records, told

LATEST, HISTORY = "/api/v2/incidents.json", "/history.json"
MONTHS_A_PAGE = 3
GONE = 404
OPENING = timedelta(minutes=1)
A_NIGHT = timedelta(days=2)
MAINTENANCE = ("scheduled", "in_progress", "verifying", "completed")
CODE = re.compile(r"[A-Za-z0-9_-]+")

Record = Mapping[str, Any]


class StatusPageIncidents(Asked):
    """See ``pages.Asked``; its parts are the page itself, without a name, and saved answers by their paths."""

    def __init__(self, source: StatusPage, settings: Settings):
        self._source = source
        self._settings = settings
        self._site = _Site(JsonApi(source.url, source.access, settings)) if source.url is not None else None
        parts = [*([""] if self._site else []), *source.paths]
        super().__init__(source.url or "saved answers", self._site.api if self._site else ExitStack(), parts)

    def survey(self) -> str:
        """What the page tells of, and the files."""
        found = [self._site.latest()] if self._site else []
        found += [answer for path in self._source.paths for answer in saved(path, self._settings)]
        created = [at for answer in found for at in _creations(_incidents(answer))]
        oldest = f", the oldest of {min(created):%Y-%m-%d}" if created else ""
        return f"{self.name}: {len(created)} incidents{oldest}"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """The latest, and where these do not reach back to `since`, those before them."""
        if part or self._site is None:
            for answer in saved(part, self._settings):
                yield self._page(_incidents(answer), told(answer, "page.name"))
            return
        answer = self._site.latest()
        latest, name = _incidents(answer), told(answer, "page.name")
        oldest = min(_creations(latest), default=until)
        yield self._page(_changed(latest, since), name)
        if oldest <= since or not (latest or until - since > A_NIGHT):
            return
        months = (until.year - since.year) * 12 + until.month - since.month + 1
        try:
            for older in self._site.history({_id(each) for each in latest}, months):
                yield self._page(_changed(older, since), name)
        except _NoHistoryError:
            told_of = f"of {len(latest)} incidents, the oldest of {oldest:%Y-%m-%d}," if latest else "of none"
            missing = f"{self.name}: tells {told_of} and has no history to ask; others since {since:%Y-%m-%d} may be"
            yield Page(notes=[f"{missing} missing (answers that were saved can be given as paths)"])

    def _page(self, found: Iterable[Record], name: str | None) -> Page:
        ours = [each for each in found if not _is_maintenance(each)]
        rows = [incident(each, name, self._source) for each in ours]
        return Page(rows, [row for each in ours for row in events(each)])


class _NoHistoryError(Exception):
    """The page has none, or none that is laid out as Statuspage's."""


class _Site:
    """What a page can be asked for."""

    def __init__(self, api: JsonApi):
        self.api = api

    def latest(self) -> Record:
        answer = self.api.get(LATEST).value
        if not isinstance(answer, Mapping) or not isinstance(answer.get("incidents"), list):
            raise self.api.odd("incidents of a status page")
        return answer

    def history(self, known: set[str | None], months: int) -> Iterator[list[Record]]:
        """The incidents of so many months that are not known, some months at a time, the latest first.

        Raises:
            _NoHistoryError: see there.
        """
        for number in range(1, -(-months // MONTHS_A_PAGE) + 1):
            codes = [code for code in self._codes(number) if code not in known]
            known.update(codes)
            yield [each for each in self.api.together(self._one, codes) if each is not None]

    def _codes(self, number: int) -> list[str]:
        try:
            answer = self.api.get(HISTORY, {"page": number}).value
        except FetchError as error:
            if number > 1 or error.passing or isinstance(error, UnreachableError):
                raise
            raise _NoHistoryError from error
        if not isinstance(answer, Mapping) or not isinstance(answer.get("months"), list):
            raise _NoHistoryError
        found = [each for month in records(answer, "months") for each in records(month, "incidents")]
        codes = (told(each, "code") or "" for each in found if told(each, "impact") != "maintenance")
        return list(dict.fromkeys(code for code in codes if CODE.fullmatch(code)))

    def _one(self, code: str) -> Record | None:
        """None where it was withdrawn meanwhile."""
        try:
            answer = self.api.get(f"/incidents/{code}.json").value
        except FetchError as error:
            if error.status == GONE:
                return None
            raise
        found = answer.get("incident", answer) if isinstance(answer, Mapping) else None
        return {**found, "id": code} if isinstance(found, Mapping) else None  # its own id may be another's


def saved(pattern: str, settings: Settings) -> Iterator[Record]:
    """The answers in files.

    Raises:
        NotFetchedError: there is no such file, or it is no such answer.
    """
    path = settings.path(pattern)
    matches = [path] if path.exists() else [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not matches:
        raise NotFetchedError(f"{shown(pattern)}: matches no file; correct the source's paths")
    for match in matches:
        try:
            answer = json.loads(match.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise NotFetchedError(f"{shown(match.name)}: is no readable JSON; save {LATEST} again") from error
        listed = answer.get("incidents") if isinstance(answer, Mapping) else answer
        if not isinstance(listed, list):
            raise NotFetchedError(f"{shown(match.name)}: holds no incidents; save the answer of {LATEST}")
        yield {**answer, "incidents": listed} if isinstance(answer, Mapping) else {"incidents": listed}


def _incidents(answer: object) -> list[Any]:
    return [each for each in records(answer, "incidents") if _id(each)]


def _changed(found: Iterable[Record], since: datetime) -> list[Record]:
    """Also those of which that is not told."""
    return [each for each in found if (moment(told(each, "updated_at")) or since) >= since]


def _creations(found: Iterable[Record]) -> list[datetime]:
    return [at for each in found if (at := moment(told(each, "created_at"))) is not None]


def _id(found: Record) -> str | None:
    return told(found, "id")


def _is_maintenance(found: Record) -> bool:
    by_word = told(found, "impact") == "maintenance" or told(found, "status") in MAINTENANCE
    return by_word or told(found, "scheduled_for") is not None


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(found: Record, page: str | None, source: StatusPage) -> Row:
    """An incident of a page as a row."""
    components = [name for each in records(found, "components") if (name := told(each, "name"))]
    updates = _updates(found)
    mitigated_at, monitored_at = told(found, "monitoring_at"), _said(updates, "monitoring")[:1]
    resolved_at, done_at = told(found, "resolved_at"), _said(updates, "resolved")[-1:]
    is_over = kind_of(told(found, "status") or "") in ("resolved", "closed")
    done_at = done_at if is_over else []
    reviewed_at = [told(found, "postmortem_published_at"), *_said(updates, "postmortem")]
    row: Row = {
        "incident_id": _id(found),
        "title": told(found, "name"),
        "service": next(iter(components), page),
        "entity": ", ".join(components) or None,
        "severity": told(found, "impact"),
        "state": told(found, "status"),
        "started_at": told(found, "started_at"),
        "created_at": told(found, "created_at"),
        "mitigated_at": next(iter([mitigated_at] if mitigated_at else monitored_at), None),
        "mitigated_basis": None if mitigated_at else "changelog",
        "resolved_at": next(iter([resolved_at] if resolved_at else done_at), None),
        "resolved_basis": None if resolved_at else "changelog",
        "review_at": next((at for at in reviewed_at if at), None),
        "updated_at": told(found, "updated_at"),
    }
    text = "\n".join(told(update, "body") or "" for _, _, update in updates)
    return finished(row, found, source, labels=components, text=text)


def events(found: Record) -> list[Row]:
    """That it was posted, and every word of an update since; the update that it was posted with says no more."""
    key, created_at = _id(found), moment(told(found, "created_at"))
    rows: list[Row] = [{"incident_id": key, "changed_at": told(found, "created_at"), "state": "open"}]
    for number, (at, text, update) in enumerate(_updates(found)):
        state = told(update, "status")
        is_opening = number == 0 and created_at is not None and at <= created_at + OPENING
        if not (is_opening and kind_of(state or "") == "active"):
            rows.append({"incident_id": key, "changed_at": text, "state": state})
    return rows


def _updates(found: Record) -> list[tuple[datetime, str, Record]]:
    """When each update was made, as a time and as it is written, and the update; the oldest first."""
    newest_first = records(found, "incident_updates")
    texts = ((told(each, "display_at") or told(each, "created_at"), each) for each in reversed(newest_first))
    dated = ((at, text, each) for text, each in texts if text is not None and (at := moment(text)) is not None)
    return sorted(dated, key=lambda update: update[0])


def _said(updates: Sequence[tuple[datetime, str, Record]], word: str) -> list[str]:
    return [text for _, text, update in updates if told(update, "status") == word]
