"""Zabbix: problems, which its triggers raise.

============  ==========================================================================================================
created       the problem event's clock
acknowledged  the first update of the problem that acknowledges it (changelog)
resolved      the clock of the event that ended it, be it the trigger's recovery, a correlation or a hand
cancelled     when it was ranked as a symptom of another problem (changelog; Zabbix 6.4 and later)
entity        the host's technical name, as in metrics; the first by name, where a trigger looks at several
severity      Zabbix's words for 0 to 5; disasters are major incidents
service etc   the problem's tags, as the settings say
============  ==========================================================================================================

Asked for is what has been a problem at any time since: it began since, or it began before and did not end before. So
whatever happens to a problem as long as it lasts, its end included, is told by the next night, however old it is. What
is said of a problem that had ended long before (a late acknowledgement) is not.

A proxy that was cut off hands in events late, with the times at which they happened. So a night asks `LATE` further
back than it must.

Suppression by a maintenance period is forgotten by Zabbix when that ends, so that problems that began in one cannot be
told apart later; they count. Suppression by hand is on record, and time on hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from pipelines.settings import Settings
from pipelines.source_options import ZabbixProblems
from pipelines.source_options.pagers import Severity
from pipelines.sources.access import address
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.incident_servers.pages import Asked, Page, Row, finished
from pipelines.sources.incident_servers.reading import records, stamp, told
from pipelines.sources.zabbix.api import Api
from pipelines.sources.zabbix.keys import glob

AT_ONCE = 1000
LATE = timedelta(days=1)
SURVEYED = timedelta(days=30)
SEVERITIES: tuple[str, ...] = get_args(Severity)
TRIGGER = {"source": 0, "object": 0}
RECOVERY, PROBLEM = 0, 1
EQUAL = "1"
MOST_DIGITS = 20
"""Of Zabbix's ids, which have 64 bits."""
RENAMED = (7, 0)  # before: select_acknowledges
USERNAME = (5, 4)
SUPPRESSED_BY_HAND = (6, 2)
SYMPTOMS = (6, 4)

# The bits of what an update of a problem does.
ACKNOWLEDGE, SEVERITY, UNACKNOWLEDGE, SUPPRESS, UNSUPPRESS, TO_CAUSE, TO_SYMPTOM = 2, 8, 16, 32, 64, 128, 256

Record = Mapping[str, Any]


class ZabbixIncidents(Asked):
    """See ``pages.Asked``; it has no parts."""

    def __init__(self, source: ZabbixProblems, settings: Settings):
        self._source = source
        self._settings = settings
        self._session = ExitStack()  # who we are is asked only when something else is
        super().__init__(address(source.url), self._session)

    def survey(self) -> str:
        """One question for a number."""
        api = self._opened()
        since = datetime.now(UTC).replace(tzinfo=None) - SURVEYED
        severities = list(range(SEVERITIES.index(self._source.least_severity), len(SEVERITIES)))
        params = TRIGGER | self._chosen(api) | {"value": [PROBLEM], "severities": severities, "countOutput": True}
        count = api.call("event.get", params | {"time_from": _clock(since)})
        version = ".".join(map(str, api.version))
        return f"{self.name}: Zabbix {version}, {count} problems in the last {SURVEYED.days} days"

    def pages(self, part: str, since: datetime, until: datetime) -> Iterator[Page]:
        """Those that began before, of which any may have changed; then those that began since."""
        del part
        api = self._opened()
        chosen = self._chosen(api)
        start = _clock(since - LATE)
        for problems in _events(api, chosen | {"problem_time_from": start, "problem_time_till": start - 1}):
            yield self._page(api, problems, until)
        for problems in _events(api, chosen | {"time_from": start}):
            yield self._page(api, problems, until, through=_moment(told(problems[-1], "clock")))

    def _opened(self) -> Api:
        return self._session.enter_context(Api(self._source, self._settings))

    def _chosen(self, api: Api) -> dict[str, Any]:
        """What the settings choose, as far as Zabbix can be asked for it and the answer stays the same for ever: a
        problem's severity may change, and one that was told must be told again.
        """
        params: dict[str, Any] = {}
        if self._source.groups:
            groups = records(api.call("hostgroup.get", {"output": ["groupid", "name"]}))
            ours = (told(each, "groupid") for each in groups if _any_of(self._source.groups, told(each, "name")))
            params["groupids"] = [each for each in ours if each is not None]
            if not params["groupids"]:
                raise NotFetchedError(f"{self.name}: groups match none of its host groups; correct them")
        if self._source.tags:
            tags = [{"tag": tag, "value": value, "operator": EQUAL} for tag, value in self._source.tags.items()]
            params["tags"] = tags
        return params

    def _page(self, api: Api, problems: Sequence[Record], until: datetime, through: datetime | None = None) -> Page:
        ours = [problem for problem in problems if self._is_ours(problem)]
        ends = _ends(api, ours)
        ended = [(problem, ends.get(told(problem, "r_eventid") or "")) for problem in ours]
        rows = [incident(problem, end, self._source) for problem, end in ended]
        happened = [row for problem, end in ended for row in events(problem, end, until)]
        return Page(rows, happened, through=through)

    def _is_ours(self, problem: Record) -> bool:
        grave = max(_severities(problem)) >= SEVERITIES.index(self._source.least_severity)
        hosts = self._source.hosts
        return grave and (not hosts or any(_any_of(hosts, host) for host in _hosts(problem)))


def _events(api: Api, params: Mapping[str, Any]) -> Iterator[list[Record]]:
    """Problems with all that is known of them, page by page, in the order in which Zabbix came to know them."""
    acknowledges = ["acknowledgeid", "clock", "action", "old_severity", "new_severity"]
    acknowledges += ["username"] if api.version >= USERNAME else []
    acknowledges += ["suppress_until"] if api.version >= SUPPRESSED_BY_HAND else []
    output = ["eventid", "clock", "name", "severity", "acknowledged", "r_eventid"]
    asked = TRIGGER | {
        **params,
        "value": [PROBLEM],
        "output": [*output, *(["cause_eventid"] if api.version >= SYMPTOMS else [])],
        "selectHosts": ["host"],
        "selectTags": ["tag", "value"],
        "selectAcknowledges" if api.version >= RENAMED else "select_acknowledges": acknowledges,
        "sortfield": "eventid",
        "sortorder": "ASC",
        "limit": AT_ONCE,
    }
    after = 0
    while True:
        found = _answered(api, asked | {"eventid_from": str(after + 1)})
        last = max((_number(event.get("eventid")) for event in found), default=after)
        if found and last <= after:
            raise api.odd("event.get")
        if sound := [event for event in found if _moment(told(event, "clock")) and _number(event.get("eventid"))]:
            yield sound
        if len(found) < AT_ONCE:
            return
        after = last


def _ends(api: Api, problems: Sequence[Record]) -> dict[str, datetime]:
    """When the events that ended problems were, by their ids."""
    ids = sorted({end for problem in problems if (end := told(problem, "r_eventid") or "0") != "0"})
    if not ids:
        return {}
    params = TRIGGER | {"eventids": ids, "value": [RECOVERY], "output": ["eventid", "clock"]}
    found = ((told(event, "eventid") or "", _moment(told(event, "clock"))) for event in _answered(api, params))
    return {event_id: at for event_id, at in found if at is not None}


def _answered(api: Api, params: Mapping[str, Any]) -> list[Any]:
    answer = api.call("event.get", params)
    if not isinstance(answer, list):
        raise api.odd("event.get")
    return records(answer)


# ---------------------------------------------------------------------------------------------------------------- rows


def incident(problem: Record, ended_at: datetime | None, source: ZabbixProblems) -> Row:
    """A problem as a row."""
    tags = [(told(tag, "tag") or "", told(tag, "value") or "") for tag in records(problem, "tags")]
    updates = _updates(problem)
    acknowledged_at = min((at for at, action, _ in updates if action & ACKNOWLEDGE), default=None)
    demoted_at = max((at for at, action, _ in updates if action & TO_SYMPTOM), default=None)
    is_symptom, severity = _is_symptom(problem), _number(problem.get("severity"))
    began = _moment(told(problem, "clock"))
    times = [at for at in (began, ended_at, *(at for at, _, _ in updates)) if at is not None]
    known = timedelta(microseconds=len(times))  # an end that comes in late may be older than what was known before
    row: Row = {
        "incident_id": told(problem, "eventid"),
        "title": told(problem, "name"),
        "entity": min(_hosts(problem), default=None),
        "severity": SEVERITIES[severity] if severity < len(SEVERITIES) else None,
        "is_major": str(severity == len(SEVERITIES) - 1).lower(),
        "state": _state(problem),
        "created_at": _text(began),
        "acknowledged_at": _text(acknowledged_at),
        "acknowledged_basis": "changelog" if acknowledged_at else None,
        "resolved_at": None if is_symptom else _text(ended_at),
        "cancelled_at": _text(demoted_at or began) if is_symptom else None,
        "cancelled_basis": ("changelog" if demoted_at else "inferred") if is_symptom else None,
        "updated_at": f"{(max(times) + known).isoformat()}Z" if times else None,
    }
    row |= {part: value for part, tag in source.by_tag.items() if (value := dict(reversed(tags)).get(tag))}
    labels = [label for tag, value in tags for label in (tag, f"{tag}:{value}")]
    return finished(row, problem, source, labels=labels, text=told(problem, "name") or "")


def events(problem: Record, ended_at: datetime | None, until: datetime) -> list[Row]:
    """A problem's changes of state; the first is that it began.

    Args:
        until: now; what is planned for later has not happened.
    """
    key = told(problem, "eventid")
    rows: list[Row] = []
    if ended_at is None and _state(problem) == "resolved":
        return rows  # Zabbix no longer has the event that ended it; a log without an end would say that it lasts

    over = "merged" if _is_symptom(problem) else "resolved"

    def happened(at: datetime | None, state: str, assignee: str | None = None) -> None:
        if at is not None:  # once it has ended, nothing brings a problem back, though its end may come in late
            state = over if ended_at is not None and at > ended_at else state
            rows.append({"incident_id": key, "changed_at": _text(at), "state": state, "assignee": assignee})

    happened(_moment(told(problem, "clock")), "problem")
    awake, wakes_at = "problem", None
    for at, action, update in _updates(problem):
        if wakes_at is not None and wakes_at <= at:
            happened(wakes_at, awake)
            wakes_at = None
        if action & (ACKNOWLEDGE | UNACKNOWLEDGE):
            awake = "acknowledged" if action & ACKNOWLEDGE else "problem"
            happened(at, awake, told(update, "username") if action & ACKNOWLEDGE else None)
        if action & SUPPRESS:
            happened(at, "suppressed")
            wakes_at = _moment(told(update, "suppress_until"))
        if action & UNSUPPRESS:
            happened(at, awake)
            wakes_at = None
        if action & (TO_CAUSE | TO_SYMPTOM):
            happened(at, "merged" if action & TO_SYMPTOM else awake)
    if wakes_at is not None and wakes_at <= until:
        happened(wakes_at, awake)
    if not _is_symptom(problem):
        happened(ended_at, "resolved")
    return rows


def _state(problem: Record) -> str:
    if _is_symptom(problem):
        return "merged"
    if (told(problem, "r_eventid") or "0") != "0":
        return "resolved"
    return "acknowledged" if told(problem, "acknowledged") == "1" else "problem"


def _is_symptom(problem: Record) -> bool:
    return (told(problem, "cause_eventid") or "0") != "0"


def _updates(problem: Record) -> list[tuple[datetime, int, Record]]:
    """When each update of a problem was made, and what it did; the oldest first."""
    updates = sorted(records(problem, "acknowledges"), key=lambda each: _number(each.get("acknowledgeid")))
    found = ((_moment(told(each, "clock")), _number(each.get("action")), each) for each in updates)
    return sorted(((at, action, each) for at, action, each in found if at is not None), key=lambda each: each[0])


def _severities(problem: Record) -> list[int]:
    """All that it has had."""
    changes = [update for _, action, update in _updates(problem) if action & SEVERITY]
    changed = [_number(change.get(name)) for change in changes for name in ("old_severity", "new_severity")]
    return [_number(problem.get("severity")), *changed]


def _hosts(problem: Record) -> list[str]:
    return [host for each in records(problem, "hosts") if (host := told(each, "host"))]


def _any_of(globs: Sequence[str], name: str | None) -> bool:
    return name is not None and any(glob(each).fullmatch(name) for each in globs)


# --------------------------------------------------------------------------------------------------- numbers and times


def _number(value: object) -> int:
    """0 where it is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0


def _moment(clock: str | None) -> datetime | None:
    """Seconds since 1970 as naive UTC; None where they are none, or 0."""
    try:
        return datetime.fromtimestamp(_number(clock), UTC).replace(tzinfo=None) if _number(clock) else None
    except (ValueError, OverflowError, OSError):
        return None


def _text(at: datetime | None) -> str | None:
    return stamp(at) if at else None


def _clock(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())
