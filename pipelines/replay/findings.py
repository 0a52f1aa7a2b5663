"""All that a replay found: what the nights said, what really came, and what a policy would have made of both.

Belongs here: tickets and misses under any policy, and what a reader should know of the range. Not here: how nights are
played and kept (``run``), or what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from features.grid import Grid, to_grid
from features.known_bad import held_nights, hide
from forecasting.learnt.lessons import LASTS_H
from forecasting.settlement import held
from forecasting.tables import HORIZONS
from pipelines import feedback
from pipelines.replay.past import Past
from pipelines.replay.policy import Said, answers, events, rule_policy, tickets
from pipelines.settings import Settings
from pipelines.settling import crossings_seen, settle_seen
from reports.text import one_line
from reports.ticket_misses import misses
from reports.ticket_outcomes import HISTORY_H, outcomes, promises
from reports.ticket_policy import TicketPolicy

MOST_NAMED = 3  # series in a note
A_NIGHT = timedelta(days=1)
SETTLES = timedelta(hours=HORIZONS[-1] + LASTS_H)
"""After the last night, until all of its promises can be held against what came."""


@dataclass(frozen=True)
class Truth:
    """What really came, on the hours up to the end of the last promise.

    measured: every hour; observed: without known-bad hours; held: these with rare readings carried forward.
    limits: that any of the nights named. crossings: in plain sight; hidden: in known-bad hours, or begun there.
    """

    measured: Grid
    observed: Grid
    held: Grid
    limits: pl.DataFrame
    crossings: pl.DataFrame
    hidden: pl.DataFrame


@dataclass(frozen=True)
class Under:
    """Under one policy: tickets with their outcomes, crossings that none foresaw, and the tickets' events."""

    tickets: pl.DataFrame
    missed: pl.DataFrame
    events: pl.DataFrame


@dataclass(frozen=True)
class Findings:
    """All that is said of a range of nights, under any policy."""

    settings: Settings
    past: Past
    nights: list[Said]
    truth: Truth
    questions: pl.DataFrame  # every risk of every night
    feedback: pl.DataFrame  # what the site's ledger has heard of tickets; the same ticket has the same id here

    @staticmethod
    def of(settings: Settings, past: Past, nights: list[Said]) -> Findings:
        limits = pl.concat([said.frame("limits") for said in nights])
        limits = limits.unique(["series_id", "limit_name", "valid_from", "value"], keep="first", maintain_order=True)
        limits = limits.sort("series_id", "limit_name", "valid_from", maintain_order=True)
        until = nights[-1].as_of + SETTLES
        hours = (until - nights[0].as_of) // timedelta(hours=1) + HISTORY_H
        ids = limits["series_id"].unique().sort().to_list()
        grid = to_grid(past.hours(ids, until - timedelta(hours=hours), until), until, hours)
        seen = hide(grid, past.masks)
        plain, hidden = crossings_seen(seen, grid, limits, settings.tickets.policy.quiet_days)
        truth = Truth(grid, seen, held(seen), limits, plain, hidden)
        questions = pl.concat([said.frame("risks") for said in nights])
        return Findings(settings, past, nights, truth, questions, feedback.of_site(settings))

    @property
    def policy(self) -> TicketPolicy:
        return self.settings.tickets.policy

    def settled(self) -> pl.DataFrame:
        return settle_seen(self.questions, self.truth.observed, self.truth.measured, self.truth.limits)

    def under(self, policy: TicketPolicy, rule: str | None = None) -> Under:
        """What a policy would have made of the nights, or of what a rule says in their place."""
        asked = rule_policy(policy) if rule else policy
        told = events(self.nights, self.past.series, asked, rule, self.past.held)
        first, last = self.nights[0].as_of, self.nights[-1].as_of
        # What is open on the last night is held to what it promises then; else only what came true would settle.
        kept_up = last + timedelta(hours=asked.horizon_h)
        promised = promises(told).with_columns(pl.col("closed_at").fill_null(kept_up))
        truth = self.truth
        worked = self.feedback.filter(pl.col("worked_at").is_not_null())
        judged = outcomes(promised, truth.crossings, truth.held, truth.limits, worked, hidden=truth.hidden)
        # Later crossings might have had tickets on nights that were not played.
        due = truth.crossings.filter(pl.col("confirmed_at") >= first, pl.col("crossed_at") < last + A_NIGHT)
        in_window = held_nights(self.past.series, self.past.windows, [said.as_of for said in self.nights])
        missed = misses(due, promised, self._answers(asked, rule), self.past.series, asked, held=in_window)
        return Under(tickets(told).join(judged, on="ticket_id", how="left", maintain_order="left"), missed, told)

    def _answers(self, policy: TicketPolicy, rule: str | None) -> pl.DataFrame:
        return self.questions if rule is None else pl.concat(answers(self.nights, policy, rule))

    def notes(self) -> list[str]:
        """What a reader should know, a line each: nothing to ask, a policy that cannot fire, lost series."""
        told = (self._scored_nothing(), self._never_fires(), self._lost(), self._windows())
        return [note for note in told if note]

    def _scored_nothing(self) -> str | None:
        asked = self.questions.filter(pl.col("horizon_h") == self.policy.horizon_h)
        if (asked["state"] == "scored").any():
            return None
        why = asked["reason"].drop_nulls().value_counts(sort=True)["reason"].head(1).to_list()
        usual = f"; mostly: {why[0]}" if why else "; no series has a signal and a limit that hold for it"
        return f"no night could ask about any series{usual}; correct signals, or take a later range"

    def _never_fires(self) -> str | None:
        """A policy under which no ticket can open on these nights."""
        policy, nights = self.policy, len(self.nights)
        if policy.hold_nights > nights:
            return (
                f"tickets.policy.hold_nights is {policy.hold_nights}, but {nights} nights were played: no ticket can"
                " open; lower it, or play more nights"
            )
        scored = self.questions.filter(pl.col("horizon_h") == policy.horizon_h, pl.col("state") == "scored")
        highest = max(scored["p"].to_list(), default=1.0)
        if highest < policy.open_at:
            return (
                f"tickets.policy.open_at is {policy.open_at:g}, but no night said more than {highest:.2f}: it can"
                " open nothing here; lower it, or try --sweep"
            )
        return None

    def _lost(self) -> str | None:
        """Series that were measured once, and not on the last nights, as long as an open ticket would wait for them."""
        quiet_since = self.nights[-1].as_of - self.policy.silent_nights * A_NIGHT
        seen = self.questions.filter(
            pl.col("horizon_h") == self.policy.horizon_h, pl.col("state").is_in(("scored", "crossed"))
        )
        last = seen.group_by("series_id").agg(pl.col("as_of").max()).filter(pl.col("as_of") <= quiet_since)
        lost = last.join(self.past.series, on="series_id").sort("as_of", "entity", "metric")
        if lost.is_empty():
            return None
        some = [one_line(f"{entity} {metric}", 80) for entity, metric in lost.select("entity", "metric").iter_rows()]
        more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
        return (
            f"{len(some)} series {'was' if len(some) == 1 else 'were'} not measured any more after the night of"
            f" {lost['as_of'][0]:%Y-%m-%d} or later: "
            f"{', '.join(some[:MOST_NAMED])}{more}; what came of them after that is unknown"
        )

    def _windows(self) -> str | None:
        windows = len(self.past.windows)
        return (
            f"{windows} known-bad windows were applied to every night, whenever they were made known"
            if windows
            else None
        )
