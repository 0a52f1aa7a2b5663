"""Incidents one a row, and their status changes one a row, wherever they come from: what is staged of them.

Rules for rows, in this order; every row that was read is in exactly one of these counts
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

Belongs here: the parts, the rules, and what is staged. Not here: how rows come in (``incident_files``,
``incident_servers``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import duckdb

from features.incident_states import BEGINNINGS as STATE_BEGINNINGS
from features.incident_states import WORDS
from features.incident_states import Kind as StateKind
from pipelines.sources.columns import Kind, Part
from pipelines.sources.landing import Batch
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
    NOT_FETCHED,
    PARTIAL,
    Rejects,
)
from pipelines.sources.sql import literal, parquet

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
BASES = {f"{stamp.removesuffix('_at')}_basis": Part(Kind.TEXT) for stamp in STAMPS}
"""How a source knows of a stamp, where it says so: ``changelog``, ``sla``, ``inferred``; else it is a ``field``."""
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
    unfetched: why it was not fetched whole; empty where it was, or is files.
    notes: what its incidents lack, though the night counts as whole.
    fetched: the columns of ``metric_staging.FETCHED``; None where nothing is remembered.
    """

    incidents: Path
    incident_events: Path
    rejects: Path
    counts: Counts
    event_counts: Counts
    unfetched: Sequence[str] = ()
    notes: Sequence[str] = ()
    fetched: Path | None = None

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
        """Reason -> rows of incidents and of events, and how often a server did not answer."""
        said = Counter({NOT_FETCHED: len(self.unfetched), PARTIAL: len(self.notes)})
        return Counter(self.counts.rejected) + Counter(self.event_counts.rejected) + said


@dataclass(frozen=True)
class Rows:
    """What came in of one kind. files: the numbers of all files, also of those without a sound row."""

    batches: Sequence[Batch]
    files: range


def stage_rows(
    con: duckdb.DuckDBPyConnection,
    source: str,
    incidents: Rows,
    events: Rows,
    *,
    rejects: Rejects,
    folder: Path,
    time_zone: str | None,
    is_server: bool = False,
) -> StagedIncidents:
    """Stage incidents.parquet, incident_events.parquet and rejects.parquet in `folder`.

    Args:
        con: a session with the macros of ``times``.
        source: its name, and that of incidents which name none.
        rejects: of these files; what it holds is written as well.
        time_zone: of times that carry none.
        is_server: whether the rows say how they know their stamps, and their times may be of several time zones.

    Raises:
        InputError: a file is damaged, or mixes time zones in a column.
    """
    parts = PARTS | BASES if is_server else PARTS
    read(con, "incident_row", incidents.batches, parts, time_zone, many_hands=is_server)
    recipe = _incidents(source, told_bases=is_server)
    counts = settle(con, recipe, rejects, incidents.files, folder / "incidents.parquet")

    read(con, "event_row", events.batches, EVENT_PARTS, time_zone, many_hands=is_server)
    staged = parquet(folder / "incidents.parquet")
    con.execute(f"CREATE TEMP VIEW incident AS SELECT source, incident_id FROM {staged}")
    event_counts = settle(con, _EVENTS, rejects, events.files, folder / "incident_events.parquet")

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


def _incidents(source: str, *, told_bases: bool) -> Recipe:
    columns: dict[str, str] = {}
    for name in PARTS:
        columns[name] = name
        if name in STAMPS:
            basis = f"{name.removesuffix('_at')}_basis"
            known = f"coalesce({basis}, 'field')" if told_bases else "'field'"
            columns[basis] = f"CASE WHEN {name} IS NOT NULL THEN {known} END"
    columns |= {
        "source": f"coalesce(source, {literal(source)})",
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
