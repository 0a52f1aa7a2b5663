"""The lives of incidents: who works on them, and the status changes from their creation to their closing.

Belongs here: chances and durations. Not here: what a record says about a life (``data.fleet.incidents``).

Times to resolve are log-normal. One service (checkout) gets steadily faster over the two years; the others stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np

from data.fleet.clock import AS_OF, ZONE

DAYS = 730
SIGMA = 1.0  # of the logarithm of the time to resolve, within one service and severity


@dataclass(frozen=True)
class Desk:
    """How a service's incidents go: its share of all, and the median minutes to resolve two years ago and now."""

    service: str
    team: str
    entities: tuple[str, ...]
    share: float
    median_then: float
    median_now: float


DESKS = (
    Desk("checkout", "team-checkout", ("checkout", "payments", "pricing"), 0.28, 165, 60),
    Desk("web", "team-web", ("web-01", "web-02", "web-03", "app-01", "app-02", "gateway"), 0.16, 62, 62),
    Desk("catalog", "team-catalog", ("catalog", "search-api", "inventory"), 0.14, 95, 95),
    Desk("storage", "team-data", ("db-01", "db-02", "db-03", "cache-01"), 0.11, 170, 170),
    Desk("messaging", "team-platform", ("kafka-01", "kafka-02", "mailer", "orders"), 0.10, 120, 120),
    Desk("internal", "team-platform", ("ci-01", "git-01", "backup-01", "vpn-01"), 0.10, 290, 290),
    Desk("identity", "team-platform", ("auth",), 0.06, 85, 85),
    Desk("search", "team-data", ("es-01", "es-02"), 0.05, 140, 140),
)
PEOPLE = {
    "team-checkout": ("a.yilmaz", "c.weber", "j.novak"),
    "team-web": ("l.fischer", "m.okafor", "s.rossi"),
    "team-catalog": ("d.keller", "p.santos"),
    "team-data": ("e.lindqvist", "h.tanaka"),
    "team-platform": ("b.schulz", "f.moreau", "k.adeyemi", "t.novotny"),
}
# severity: (share, priority, median minutes to acknowledge, factor of the time to resolve)
SEVERITIES = {
    "critical": (0.06, "P1", 3.0, 0.65),
    "high": (0.19, "P2", 6.0, 0.8),
    "medium": (0.45, "P3", 16.0, 1.0),
    "low": (0.30, "P4", 40.0, 1.6),
}


@dataclass(frozen=True)
class Change:
    """One status change: naive UTC, to the second."""

    at: datetime
    state: str
    team: str
    assignee: str | None = None


def life(desk: Desk, severity: str, created: datetime, rng: np.random.Generator) -> Iterator[Change]:
    """The status changes of one incident in order of time, its future included."""
    person = str(rng.choice(PEOPLE[desk.team]))
    yield Change(created, "New", desk.team)
    if rng.random() < 0.04:
        yield Change(created + minutes(rng, 25, 1.0), "Cancelled", desk.team, person)
        return
    if rng.random() < 0.008:  # written down when it was over
        yield Change(created, "Resolved", desk.team, person)
        yield Change(created + timedelta(hours=72), "Closed", desk.team, person)
        return
    taken = _taken(severity, created, rng)
    resolved = taken + minutes(rng, _median_minutes(desk, severity, created), SIGMA)
    last = Change(created, "New", desk.team, person)
    if rng.random() >= 0.07:  # else nobody pressed the button
        for last in _work(desk.team, person, taken, resolved, rng):
            yield last
    if rng.random() < 0.004:  # forgotten
        yield Change(resolved, "On Hold", last.team, last.assignee)
        return
    yield Change(resolved, "Resolved", last.team, last.assignee)
    while rng.random() < 0.06:
        reopened = resolved + minutes(rng, 540, 1.0)
        resolved = reopened + minutes(rng, 0.6 * _median_minutes(desk, severity, created), SIGMA)
        yield Change(reopened, "In Progress", last.team, last.assignee)
        yield Change(resolved, "Resolved", last.team, last.assignee)
    closed = timedelta(hours=72) if rng.random() < 0.7 else timedelta(minutes=int(rng.integers(20, 4000)))
    yield Change(resolved + closed, "Closed", last.team, last.assignee)


def minutes(rng: np.random.Generator, median: float, sigma: float) -> timedelta:
    """A log-normal duration of this median, at least one minute, on full seconds."""
    return timedelta(seconds=max(60, round(60 * median * float(np.exp(sigma * rng.standard_normal())))))


def _work(team: str, person: str, taken: datetime, resolved: datetime, rng: np.random.Generator) -> Iterator[Change]:
    """In progress, perhaps with another team, perhaps on hold for a while."""
    yield Change(taken, "In Progress", team, person)
    share = (resolved - taken) / 10
    if rng.random() < 0.25:
        team = str(rng.choice([other for other in PEOPLE if other != team]))
        person = str(rng.choice(PEOPLE[team]))
        yield Change(_full_second(taken + share * rng.uniform(1, 4)), "In Progress", team, person)
    if rng.random() < 0.08:
        yield Change(_full_second(taken + share * 5), "On Hold", team, person)
        yield Change(_full_second(taken + share * rng.uniform(6, 9)), "In Progress", team, person)


def _taken(severity: str, created: datetime, rng: np.random.Generator) -> datetime:
    """When somebody begins to work on it; what is not urgent often waits for the morning of a working day."""
    local = created.replace(tzinfo=UTC).astimezone(ZONE)
    at_work = local.weekday() < 5 and 8 <= local.hour < 18
    patient = severity in ("medium", "low") and rng.random() < 0.6
    if patient and not at_work:
        day = local.date() + timedelta(days=0 if local.hour < 8 else 1)
        while day.weekday() >= 5:
            day += timedelta(days=1)
        morning = datetime.combine(day, time(8), ZONE).astimezone(UTC).replace(tzinfo=None)
        return morning + minutes(rng, 35, 0.6)
    return created + minutes(rng, SEVERITIES[severity][2], 0.8)


def _median_minutes(desk: Desk, severity: str, created: datetime) -> float:
    """From `median_then` two years before the as-of to `median_now`, on a straight line of its logarithm."""
    passed = 1 - (AS_OF - created) / timedelta(days=DAYS)
    return SEVERITIES[severity][3] * desk.median_then * (desk.median_now / desk.median_then) ** passed


def _full_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
