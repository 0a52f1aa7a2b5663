"""Files of incidents, one a row, and optionally of their events, one status change a row.

Rules for rows, in this order; every row of the files is in exactly one of these counts
---------------------------------------------------------------------------------------
rejected    no id; a time, count or flag that cannot be read; no created, started or detected time; created before
            1970; created in the future: at or after as_of, and later than the run began; acknowledged, resolved, closed
            or cancelled before it was created; acknowledged, resolved or cancelled in the future; an id that its own
            file holds twice (the newest version stays).
held back   created at or after as_of, yet not in the future: a later night's. Neither stored nor listed.
superseded  an id that another file holds in a newer or the same version: exports that overlap.
staged      the rest. Stamps after as_of stay: the as-of view takes them away.

For events likewise: rejected (no id, no time, unreadable, before 1970, of the future, an event number twice in a
file), superseded, and unknown: of an incident that is not staged.

Events that their files do not number are numbered by their content, so that one event has one number in every export,
whatever else an export holds; see `_NUMBER_OF_CONTENT`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

import duckdb

from features.incident_states import BEGINNINGS as STATE_BEGINNINGS
from features.incident_states import WORDS
from features.incident_states import Kind as StateKind
from pipelines.settings import Settings
from pipelines.source_options import IncidentFiles
from pipelines.sources import times
from pipelines.sources.columns import Kind, Part
from pipelines.sources.errors import InputError
from pipelines.sources.files import FileReport, inspect_files, readable
from pipelines.sources.findings import Finding
from pipelines.sources.landing import land
from pipelines.sources.records import UNKNOWN, Counts, Recipe, Rule, read, settle, unreadable
from pipelines.sources.rejects import (
    DUPLICATE_EVENT,
    DUPLICATE_ID,
    FUTURE,
    HELD_BACK,
    IMPLAUSIBLE,
    NO_CREATED,
    NO_ID,
    NO_TIME,
    Rejects,
)
from pipelines.sources.sql import literal, parquet, workspace

STAMPS = (
    "started_at", "detected_at", "created_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at",
    "cancelled_at",
)  # fmt: skip
PARTS = {
    "source": Part(Kind.TEXT),
    "incident_id": Part(Kind.TEXT, required=True),
    "title": Part(Kind.TEXT),
    "service": Part(Kind.TEXT),
    "entity": Part(Kind.TEXT),
    "team": Part(Kind.TEXT),
    "category": Part(Kind.TEXT),
    "severity": Part(Kind.TEXT),
    "priority": Part(Kind.TEXT),
    "state": Part(Kind.TEXT),
    **{stamp: Part(Kind.TIME) for stamp in STAMPS},
    "updated_at": Part(Kind.TIME),
    "reopen_count": Part(Kind.COUNT),
    "reassignment_count": Part(Kind.COUNT),
    "is_predicted": Part(Kind.FLAG),
    "is_major": Part(Kind.FLAG),
    "sla_met": Part(Kind.FLAG),
    "on_hold_s": Part(Kind.COUNT),
    "review_at": Part(Kind.TIME),
    "actions_total": Part(Kind.COUNT),
    "actions_done": Part(Kind.COUNT),
    "commander": Part(Kind.TEXT),
    "communications": Part(Kind.TEXT),
    "experts": Part(Kind.TEXT),
}
BEGINNINGS = ("created_at", "started_at", "detected_at")
NOT_BEFORE_CREATED = ("acknowledged_at", "resolved_at", "closed_at", "cancelled_at")
NOT_TO_COME = ("acknowledged_at", "resolved_at", "cancelled_at")  # a closing may be planned
EVENT_PARTS = {
    "source": Part(Kind.TEXT),
    "incident_id": Part(Kind.TEXT, required=True),
    "event_no": Part(Kind.COUNT),
    "changed_at": Part(Kind.TIME, required=True),
    "state": Part(Kind.TEXT),
    "team": Part(Kind.TEXT),
    "assignee": Part(Kind.TEXT),
}


@dataclass(frozen=True)
class StagedIncidents:
    """What one source gave: Parquet files with the columns of raw.incidents, raw.incident_events and raw.rejects.

    incidents: by source, incident_id.
    incident_events: by source, incident_id, event_no; empty where the source has none.
    rejects: source, file, file_row, reason, detail; of both.
    """

    incidents: Path
    incident_events: Path
    rejects: Path
    counts: Counts
    event_counts: Counts

    @property
    def read(self) -> int:
        """Rows of incidents, as `staged`, `superseded` and `held_back`."""
        return self.counts.read

    @property
    def staged(self) -> int:
        return self.counts.staged

    @property
    def superseded(self) -> int:
        return self.counts.superseded

    @property
    def held_back(self) -> int:
        return self.counts.held_back

    @property
    def rejected(self) -> Mapping[str, int]:
        """Reason -> rows of incidents and of events."""
        return Counter(self.counts.rejected) + Counter(self.event_counts.rejected)


def inspect(source: IncidentFiles, settings: Settings) -> list[Path]:
    """Whether the source's files, and those of its events, can be read: which they are.

    Raises:
        InputError: also for a file of incidents without any time at which they began.
    """
    return [report.path for report in _reports(source, settings)]


def survey(source: IncidentFiles, settings: Settings) -> Iterator[Finding]:
    """What ``forewarn check`` says of it."""
    yield readable(_reports(source, settings))


def _reports(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    return [*_inspect_incidents(source, settings), *_inspect_events(source, settings)]


def _inspect_incidents(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    reports = inspect_files(source.paths, {**source.columns}, PARTS, settings)
    for report in reports:
        if report.parts.keys().isdisjoint(BEGINNINGS):
            raise InputError(f"{report.name}: has no column 'created_at'; name the right one as columns.created_at")
    return reports


def _inspect_events(source: IncidentFiles, settings: Settings) -> list[FileReport]:
    if source.events is None:
        return []
    reports = inspect_files(source.events.paths, {**source.events.columns}, EVENT_PARTS, settings)
    unnumbered = [report for report in reports if "event_no" not in report.parts]
    if unnumbered and len(unnumbered) < len(reports):
        raise InputError(f"{unnumbered[0].name}: has no column 'event_no', though other files have; add it")
    return reports


def stage(
    con: duckdb.DuckDBPyConnection,
    source: IncidentFiles,
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    folder: Path,
) -> StagedIncidents:
    """Stage incidents.parquet, incident_events.parquet and rejects.parquet in `folder`.

    Args:
        con: an in-memory connection with its limits set; left as it was found.
        as_of: the night's cut, naive UTC.
        now: when the run began, naive UTC.
        folder: made when missing.

    Raises:
        InputError: the files cannot be used.
    """
    reports, event_reports = _inspect_incidents(source, settings), _inspect_events(source, settings)
    with workspace(con, folder) as (own, landing):
        times.prepare(own, as_of=as_of, now=now)
        rejects = Rejects(own, source.name, [report.name for report in (*reports, *event_reports)])

        read(own, "incident_row", land(own, reports, rejects, landing), PARTS, source.time_zone)
        files = range(len(reports))
        counts = settle(own, _incidents(source), rejects, files, folder / "incidents.parquet")

        batches = land(own, event_reports, rejects, landing, first_no=len(reports))
        read(own, "event_row", batches, EVENT_PARTS, source.time_zone)
        own.execute(
            "CREATE TEMP VIEW incident AS SELECT source, incident_id FROM " + parquet(folder / "incidents.parquet")
        )
        files = range(len(reports), len(reports) + len(event_reports))
        event_counts = settle(own, _EVENTS, rejects, files, folder / "incident_events.parquet")

        rejects.write(folder / "rejects.parquet")
    return StagedIncidents(
        incidents=folder / "incidents.parquet",
        incident_events=folder / "incident_events.parquet",
        rejects=folder / "rejects.parquet",
        counts=counts,
        event_counts=event_counts,
    )


def _rule(condition: str, reason: str, detail: str = "NULL") -> Rule:
    return Rule(condition, literal(reason), detail)


# ----------------------------------------------------------------------------------------------------------- incidents

EARLIEST = "TIMESTAMP '1970-01-01'"
CREATED = f"coalesce({', '.join(BEGINNINGS)})"
PAST_STAMPS = ", ".join(f"CASE WHEN {stamp} <= run_began() THEN {stamp} END" for stamp in STAMPS)
INCIDENT_RULES = (
    _rule("written_incident_id IS NULL", NO_ID),
    *unreadable(PARTS),
    _rule(f"{CREATED} IS NULL", NO_CREATED),
    _rule(f"{CREATED} < {EARLIEST}", IMPLAUSIBLE, f"concat('created ', {CREATED})"),
    _rule(f"{CREATED} >= as_of() AND {CREATED} > run_began()", FUTURE, f"concat('created ', {CREATED})"),
    *(
        _rule(
            f"{stamp} < {CREATED}", f"{stamp.removesuffix('_at')} before created", f"concat({stamp}, ' < ', {CREATED})"
        )
        for stamp in NOT_BEFORE_CREATED
    ),
    _rule(f"{CREATED} >= as_of()", HELD_BACK),
    *(
        _rule(
            f"{stamp} >= as_of() AND {stamp} > run_began()",
            f"{stamp.removesuffix('_at')} in the future",
            f"{stamp}::VARCHAR",
        )
        for stamp in NOT_TO_COME
    ),
)


def _incidents(source: IncidentFiles) -> Recipe:
    columns: dict[str, str] = {}
    for name in PARTS:
        columns[name] = name
        if name in STAMPS:
            columns[f"{name.removesuffix('_at')}_basis"] = f"CASE WHEN {name} IS NOT NULL THEN 'field' END"
    columns |= {
        "source": f"coalesce(source, {literal(source.name)})",
        "created_at": CREATED,
        "created_basis": "CASE WHEN created_at IS NOT NULL THEN 'field' ELSE 'inferred' END",
        "updated_at": f"coalesce(updated_at, greatest({PAST_STAMPS}))",
        "is_predicted": "coalesce(is_predicted, false)",
    }
    return Recipe(
        rows="FROM incident_row",
        rules=INCIDENT_RULES,
        columns=columns,
        key=("source", "incident_id"),
        version="updated_at",
        duplicate=DUPLICATE_ID,
    )


# -------------------------------------------------------------------------------------------------------------- events

STATE_KINDS: tuple[StateKind, ...] = get_args(StateKind)  # in the order of an incident's life


def stage_of_life(state: str) -> str:
    """SQL for how far on in its life an incident is in a state: 1 is new, 6 cancelled, 0 a word that is not known.

    The same as the place of ``features.incident_states.kind_of`` among `STATE_KINDS`, in DuckDB: states are as many as
    hostile files make them, so they are not held in Python.
    """
    plain = rf"trim(regexp_replace(lower({state}), '[_\-/.\s]+', ' ', 'g'))"
    words = (
        f"WHEN {plain} IN ({', '.join(literal(word) for word in WORDS if WORDS[word] == kind)}) THEN {stage}"
        for stage, kind in enumerate(STATE_KINDS, start=1)
    )
    beginnings = (
        f"WHEN starts_with({plain}, {literal(beginning)}) THEN {STATE_KINDS.index(kind) + 1}"
        for beginning, kind in STATE_BEGINNINGS
    )
    return f"CASE {' '.join(words)} {' '.join(beginnings)} ELSE 0 END"


def _fingerprint(*columns: str) -> str:
    """SQL for 28 bits of a hash of texts that may be missing: MD5, since DuckDB's own hash may change with a version.

    The texts are hashed one by one first, so that none can reach into the next.
    """
    texts = ", ".join(f"coalesce(md5({column}::VARCHAR), '-')" for column in columns)
    return f"('0x' || left(md5(concat_ws(' ', {texts})), 7))::INTEGER"


# The stage of life in the 3 upper bits keeps events of one time in order: many trackers log to the minute, and work
# after its resolution would look like a reopening. The 28 lower bits tell an incident's events apart.
# Warehouses keep these numbers: what changes them, a word's kind too, brings events in again beside the old ones.
_NUMBER_OF_CONTENT = (
    f"{stage_of_life('state')} * {1 << 28} + {_fingerprint('epoch_us(changed_at)', 'state', 'team', 'assignee')}"
)

_EVENTS = Recipe(
    # An event without a source is of the incident with its id; the first source in order, should there be several.
    rows="""
        SELECT e.*, i.source AS incident_source
        FROM event_row AS e
        LEFT JOIN (SELECT *, source = min(source) OVER (PARTITION BY incident_id) AS is_first FROM incident) AS i
          ON e.incident_id = i.incident_id AND (e.source = i.source OR (e.source IS NULL AND i.is_first))
    """,
    rules=(
        _rule("written_incident_id IS NULL", NO_ID),
        *unreadable(EVENT_PARTS),
        _rule("changed_at IS NULL", NO_TIME),
        _rule(f"changed_at < {EARLIEST}", IMPLAUSIBLE, "concat('changed ', changed_at)"),
        _rule("changed_at >= as_of() AND changed_at > run_began()", FUTURE, "concat('changed ', changed_at)"),
        _rule("incident_source IS NULL", UNKNOWN),
    ),
    columns={
        "source": "incident_source",
        "incident_id": "incident_id",
        "event_no": f"coalesce(event_no, {_NUMBER_OF_CONTENT})::INTEGER",
        "changed_at": "changed_at",
        "state": "state",
        "team": "team",
        "assignee": "assignee",
    },
    key=("source", "incident_id", "event_no"),
    version="changed_at",
    duplicate=DUPLICATE_EVENT,
)
