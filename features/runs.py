"""Runs: consecutive observed hours at or beyond a limit.

Belongs here: where a run begins, where it counts as lasting and where it ends. Not here: which limit is meant, and what
a run is called: a crossing, a kept promise (``forecasting.settlement``, ``reports.ticket_outcomes``).

An hour that was not observed neither ends a run nor adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Runs:
    """K runs, in order of row and time; each field is an array [K].

    row: which series. first, last: the columns of its first and last hour. hours: how many observed hours it has.
    confirmed: the column of the hour with which it has lasted; -1 where it never did.
    unended: whether no observed hour follows it.
    """

    row: np.ndarray
    first: np.ndarray
    last: np.ndarray
    hours: np.ndarray
    confirmed: np.ndarray
    unended: np.ndarray

    @property
    def lasting(self) -> Runs:
        return self.take(self.confirmed >= 0)

    def take(self, which: np.ndarray) -> Runs:
        return Runs(*(getattr(self, name)[which] for name in Runs.__dataclass_fields__))


def find_runs(beyond: np.ndarray, seen: np.ndarray, lasts_h: np.ndarray | int) -> Runs:
    """All runs, short ones too.

    Args:
        beyond: bool [S, T], observed and at or beyond the limit. seen: bool [S, T], observed.
        lasts_h: int, broadcast to [S, T]: how many hours a run that begins in that hour must have to last.
    """
    row, column = np.nonzero(beyond)
    within = np.cumsum(seen & ~beyond, axis=1, dtype=np.int32)  # so many observed hours within the limit came before
    ended = within[row, column]
    begins = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(ended) != 0)][: len(row)])
    hours = np.diff(np.r_[begins, len(row)])
    needed = np.broadcast_to(lasts_h, beyond.shape)[row[begins], column[begins]]
    lasts = hours >= needed
    confirmed = np.full(len(begins), -1, dtype=np.int64)
    confirmed[lasts] = column[(begins + needed - 1)[lasts]]
    return Runs(
        row=row[begins],
        first=column[begins],
        last=column[begins + hours - 1],
        hours=hours,
        confirmed=confirmed,
        unended=ended[begins] == within[row[begins], -1] if len(begins) else np.zeros(0, dtype=bool),
    )


def at_or_beyond(values: np.ndarray, limit: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Where values [S, T] are at or beyond limits that broadcast to them; `sign` is -1 where danger lies below.

    NaN, of a value or a limit, is not beyond.
    """
    return sign * values >= sign * limit
