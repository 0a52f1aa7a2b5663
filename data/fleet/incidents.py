"""Two years of incident records, as a service desk would export them on the as-of, and the truth about their durations.

Belongs here: how many incidents there are, and their records. Not here: how they go (``data.fleet.lives``), and
statistics about them (``features.incidents``, ``reports``).

An incident's life is a list of status changes; its record is what these add up to before the as-of, so the two can
never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl

from data.fleet.clock import AS_OF, clock, rhythm
from data.fleet.lives import DAYS, DESKS, SEVERITIES, SIGMA, Change, life, minutes
from data.fleet.simulation import generator

A_MONTH = 45.0
SOURCE = "servicedesk"


TITLES = {
    "latency": "{entity}: 99th percentile of latency above its objective",
    "errors": "{entity}: error rate above 2 %",
    "capacity": "{entity}: disk or memory nearly exhausted",
    "dependency": "{entity}: time-outs towards a dependency",
    "deploy": "{entity}: regression after a deploy",
    "network": "{entity}: packet loss between zones",
    "data": "{entity}: job finished with wrong or missing rows",
}
# Text that people really paste into titles.
AWKWARD_TITLES = (
    "Customer writes: \"<b>nothing</b> happens when I press 'pay'\", see attachment",
    '=HYPERLINK("https://example.com","export") shows up in the CSV, | and the table breaks',
    "Umlaute in Straßennamen fehlen; @here please look\nsecond line of the mail",
)


@dataclass(frozen=True)
class Record:
    """One incident, as exported; the fields are the canonical columns."""

    source: str
    incident_id: str
    title: str
    service: str
    entity: str
    team: str
    category: str
    severity: str
    priority: str
    state: str
    started_at: str | None
    detected_at: str | None
    created_at: str
    acknowledged_at: str | None
    mitigated_at: str | None
    resolved_at: str | None
    closed_at: str | None
    cancelled_at: str | None
    updated_at: str
    reopen_count: int
    reassignment_count: int
    is_predicted: bool


def simulate(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records and status changes, times as ISO 8601 text with Z, sorted by incident; a few bad records at the end."""
    rng = generator(seed, "incidents")
    records: list[Record] = []
    events: list[dict[str, object]] = []
    for number, created in enumerate(_moments(seed, rng), start=1):
        record, changes = _incident(f"INC{number:07d}", created, rng)
        records.append(record)
        events += [
            {"source": SOURCE, "incident_id": record.incident_id, "event_no": no, "changed_at": _iso(change.at)}
            | {"state": change.state, "team": change.team, "assignee": change.assignee}
            for no, change in enumerate(changes, start=1)
        ]
    records += _bad(records)
    columns = {f.name: [getattr(record, f.name) for record in records] for f in fields(Record)}
    return pl.DataFrame(columns), pl.DataFrame(events)


def services() -> pl.DataFrame:
    """What the times to resolve were drawn from, per service: share, median_then_s, median_now_s, sigma, improves."""
    rows = [
        {"service": d.service, "share": d.share, "median_then_s": 60 * d.median_then, "median_now_s": 60 * d.median_now}
        | {"sigma": SIGMA, "improves": d.median_now < d.median_then}
        for d in DESKS
    ]
    return pl.DataFrame(rows).sort("service")


def _moments(seed: int, rng: np.random.Generator) -> list[datetime]:
    """When incidents are created: more of them by day and on working days, a Poisson process in between."""
    c = clock(seed, -DAYS, 0, step_s=3600)
    pace = 0.12 + rhythm(c, "office") + 0.25 * rhythm(c, "shop")
    counts = rng.poisson(pace / pace.sum() * A_MONTH * DAYS / 30.44)
    seconds = np.repeat(c.ts, counts) + rng.integers(0, 3600, counts.sum())
    return sorted(seconds.astype("datetime64[s]").tolist())


# --------------------------------------------------------------------------------------------------- one incident


def _incident(incident_id: str, created: datetime, rng: np.random.Generator) -> tuple[Record, list[Change]]:
    desk = DESKS[rng.choice(len(DESKS), p=[d.share for d in DESKS])]
    severity = str(rng.choice(list(SEVERITIES), p=[share for share, *_ in SEVERITIES.values()]))
    entity, category = str(rng.choice(desk.entities)), str(rng.choice(list(TITLES)))
    predicted = bool(created > AS_OF - timedelta(days=150) and rng.random() < 0.05)
    changes = [change for change in life(desk, severity, created, rng) if change.at < AS_OF]
    detected = created - timedelta(seconds=int(rng.integers(5, 180)))
    started = detected - minutes(rng, 6, 1.0) if rng.random() < 0.9 else None
    resolved = _resolved(changes)
    seconds = (resolved - created).total_seconds() if resolved else 0.0
    mitigated = created + timedelta(seconds=round(seconds * rng.uniform(0.5, 0.95))) if rng.random() < 0.6 else None
    record = Record(
        source=SOURCE,
        incident_id=incident_id,
        title=_title(entity, category, predicted, rng),
        service=desk.service,
        entity=entity,
        team=changes[-1].team,
        category=category,
        severity=severity,
        priority=SEVERITIES[severity][1],
        state=changes[-1].state,
        started_at=_iso(started),
        detected_at=_iso(detected),
        created_at=_iso(created) or "",
        acknowledged_at=_iso(_acknowledged(changes)),
        mitigated_at=_iso(mitigated if resolved else None),
        resolved_at=_iso(resolved),
        closed_at=_iso(_last(changes, "Closed")),
        cancelled_at=_iso(_last(changes, "Cancelled")),
        updated_at=_iso(changes[-1].at) or "",
        reopen_count=sum(a.state == "Resolved" and b.state == "In Progress" for a, b in pairwise(changes)),
        reassignment_count=sum(a.team != b.team for a, b in pairwise(changes)),
        is_predicted=predicted,
    )
    return record, changes


def _title(entity: str, category: str, predicted: bool, rng: np.random.Generator) -> str:
    if predicted:
        return f"Predicted: {entity} reaches a limit within days"
    if rng.random() < 0.01:
        return str(rng.choice(AWKWARD_TITLES))
    return TITLES[category].format(entity=entity)


def _acknowledged(changes: list[Change]) -> datetime | None:
    """The first time that somebody took it, unless it had been resolved before."""
    first = next((change for change in changes if change.state in ("In Progress", "Resolved")), None)
    return first.at if first and first.state == "In Progress" else None


def _resolved(changes: list[Change]) -> datetime | None:
    """The last resolution, unless it was reopened since."""
    return _last(changes, "Resolved") if changes[-1].state in ("Resolved", "Closed") else None


def _last(changes: list[Change], state: str) -> datetime | None:
    return next((change.at for change in reversed(changes) if change.state == state), None)


def _iso(moment: datetime | None) -> str | None:
    return f"{moment.isoformat()}Z" if moment else None


# ---------------------------------------------------------------------------------------------------- bad records


def _bad(records: list[Record]) -> list[Record]:
    """What a first run shall reject: resolved before created, no time zone, a day-first date, an id seen before."""
    closed = [record for record in records if record.state == "Closed"]
    early, naive, day_first, twice = closed[40], closed[80], closed[120], closed[160]
    return [
        replace(early, incident_id="INC9000001", resolved_at=early.detected_at, closed_at=None, acknowledged_at=None),
        replace(naive, incident_id="INC9000002", created_at=naive.created_at.removesuffix("Z")),
        replace(day_first, incident_id="INC9000003", created_at="13/02/2026 09:12"),
        replace(twice, state="In Progress", resolved_at=None, closed_at=None, updated_at=twice.created_at),
    ]
