"""Evaluations at which alerts were firing become incidents.

An alert is its labels. Each evaluation at which it fires says since when its condition has held, and keeps saying so
for as long as that is so: an *episode* begins at that moment, and one that begins soon after the last one had ended
(`join`) is the same one, for a server that restarts forgets what it had seen. A *run* is a part of an episode without
longer breaks than that; the episode is resolved at the first evaluation at which it is missing, and reopened by another
run. Nothing depends on where the span that is looked at begins, as long as each episode's own beginning is known.

Belongs here: from instants to episodes, in milliseconds since 1970. Not here: who is asked for them, and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

Alert = tuple[tuple[str, str], ...]
"""Its labels, sorted."""


@dataclass(frozen=True)
class Spell:
    """Evaluations in a row with one answer. began: since when the condition holds, as they say."""

    began: int
    first: int
    last: int


@dataclass
class Run:
    first: int
    last: int


@dataclass
class Episode:
    """began: of its first spell, which names it; latest: of its last one. runs: those that were seen.

    followed: by another episode of its alert. told: what was last told of it: its runs, and whether it was over.
    """

    alert: Alert
    began: int
    latest: int
    runs: list[Run] = field(default_factory=list)
    followed: bool = False
    told: tuple[int, bool] | None = None

    @property
    def last(self) -> int:
        return self.runs[-1].last


def spells(instants: np.ndarray, values: np.ndarray, step: int) -> Iterator[Spell]:
    """The spells of one series.

    Args:
        instants: ascending. values: seconds since 1970; what is no such number is left out.
    """
    sound = np.isfinite(values) & (values > 0) & (values < 1e11)
    instants, began = instants[sound], np.rint(values[sound] * 1000).astype(np.int64)
    breaks = np.flatnonzero((np.diff(instants) > step) | (np.diff(began) != 0)) + 1
    for own in np.split(np.arange(len(instants)), breaks):
        if len(own):
            yield Spell(int(began[own[0]]), int(instants[own[0]]), int(instants[own[-1]]))


class Episodes:
    """What is known while a span is gone through, from its beginning to its end.

    Args:
        first: the first instant of the span. step: between two of them. join: see the module.
        beginning: (alert, when a spell of it began) -> when its episode did, which is asked where the span cannot tell.
    """

    def __init__(self, first: int, step: int, join: int, beginning: Callable[[Alert, int], int]):
        self._first = first
        self._step = step
        self._join = join
        self._beginning = beginning
        self._newest: dict[Alert, Episode] = {}
        self._over: list[Episode] = []

    def add(self, found: Mapping[Alert, Iterable[Spell]]) -> None:
        """The spells of the next piece of the span."""
        for alert, of_alert in found.items():
            for spell in sorted(of_alert, key=lambda spell: (spell.first, spell.began)):
                self._add(alert, spell)

    def _add(self, alert: Alert, spell: Spell) -> None:
        episode = self._newest.get(alert)
        if episode is None or not (spell.began == episode.latest or spell.began - episode.last < self._join):
            if episode is not None:
                episode.followed = True
                self._over.append(episode)
            episode = self._newest[alert] = Episode(alert, self._began(alert, spell), spell.began)
        episode.latest = spell.began
        if episode.runs and spell.first - episode.last < self.patience:
            episode.runs[-1].last = max(episode.last, spell.last)
        else:
            episode.runs.append(Run(spell.first, spell.last))

    def _began(self, alert: Alert, spell: Spell) -> int:
        before_the_span = spell.began - self._join < self._first
        return self._beginning(alert, spell.began) if before_the_span and self._join else spell.began

    @property
    def patience(self) -> int:
        """For so long an alert may be missing until its run is over."""
        return max(self._join, self._step + 1)

    def news(self, now: int) -> Iterator[Episode]:
        """Episodes of which something is known that was not when this was last asked.

        Args:
            now: the last instant that was looked at.
        """
        for episode in (*self._over, *self._newest.values()):
            state = len(episode.runs), self.is_over(episode, now)
            if state != episode.told:
                episode.told = state
                yield episode
        self._over.clear()

    def is_over(self, episode: Episode, now: int) -> bool:
        return episode.followed or now - episode.last >= self.patience

    def seen_to_begin(self, run: Run) -> bool:
        """Or may it have run before the span began?"""
        return run.first - self._first >= self.patience

    def end(self, run: Run) -> int:
        """The first evaluation at which it is missing."""
        return run.last + self._step
