"""On which nights a report is sent, and which one a destination has yet to get. Pure.

Belongs here: the choice of a night. Not here: whether it arrived (``pipelines.distribution``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from reports.receivers import DueOn

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PATIENCE = timedelta(days=7)
"""For so long a report that did not arrive is tried again; what is older is news no more."""


def is_due(night: date, nights: Collection[DueOn]) -> bool:
    """Whether a night's report is one that is sent."""
    return "every" in nights or DAYS[night.weekday()] in nights or ("first" in nights and night.day == 1)


def next_due(after: date, nights: Collection[DueOn]) -> date:
    """The next night whose report is sent."""
    night = after + timedelta(days=1)
    while not is_due(night, nights):
        night += timedelta(days=1)
    return night


def outstanding(tonight: date, nights: Collection[DueOn], tried: Mapping[date, bool]) -> date | None:
    """The night whose report a destination has yet to get: the newest one that was due and did not arrive.

    Only the newest: it tells all that the ones before had to tell, so nobody gets two at once after a pause.

    Args:
        tried: night -> whether its report has arrived.
    """
    candidates = {night for night in tried if tonight - PATIENCE < night <= tonight}
    if is_due(tonight, nights):
        candidates.add(tonight)
    newest = max(candidates, default=None)
    return None if newest is None or tried.get(newest, False) else newest
