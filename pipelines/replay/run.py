"""``forewarn replay``: what past nights would have said, which tickets they would have opened, and what came of it.

Belongs here: the order of the steps, what is kept for a second try, and what is written. Not here: any of the steps.

The folder holds what was asked for and, under ``work``, the hours and one folder a night. A night that is there is not
played again, as long as settings, sources, prior and version are the same; a replay that was killed goes on where it
was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from features.grid import Grid, to_grid
from features.known_bad import held_nights, hide
from forecasting.learnt.lessons import LASTS_H
from forecasting.mapper import Mapper, ProcessPool
from forecasting.settlement import held
from forecasting.tables import HORIZONS
from pipelines import feedback, piloting, priors
from pipelines.errors import RunFailedError
from pipelines.maintenance.options import CalendarFile
from pipelines.progress import Advance, Bars
from pipelines.replay import nights as played
from pipelines.replay.charts import draw_all
from pipelines.replay.past import Past, gather
from pipelines.replay.policy import Said, answers, events, rule_policy, tally, tickets
from pipelines.replay.rules import RULES
from pipelines.settings import Settings, cut
from pipelines.settling import crossings_seen, settle_seen
from pipelines.site import Site, versions
from pipelines.source_options import MetricFiles, MetricSource
from pipelines.sources import inspect
from pipelines.sources.errors import InputError
from reports.digest_modes import NOBODYS
from reports.feedback import opinions
from reports.pilot import CANNOT_SAY, FAILS, MEETS, PILOT, Record, proofs
from reports.replay_page import page
from reports.replay_summary import summarise
from reports.text import one_line
from reports.ticket_misses import misses
from reports.ticket_outcomes import HISTORY_H, outcomes, promises
from reports.ticket_policy import TicketPolicy

WORK = "work"
A_NIGHT = timedelta(days=1)
MOST_NAMED = 3  # series in a note
SETTLES = timedelta(hours=HORIZONS[-1] + LASTS_H)
NO_PART_IN_ANSWERS = {
    "tickets": True,
    "storage": True,
    "incidents": True,
    "services": {"__all__": {"mode", "publish_when"}},
}
SWEEP = {"open_at": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "hold_nights": (1, 2, 3), "horizon_h": (72, 168)}


@dataclass(frozen=True)
class Replayed:
    """What a replay found. notes: what could not be done, and why, a line each."""

    summary: dict[str, Any]
    notes: list[str]


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


def run(settings: Settings, first: date, last: date, out: Path, *, sweep: bool = False, console: Console) -> Replayed:
    """Play the nights from `first` to `last` and write tickets.parquet, nights.parquet, summary.json and replay.html.

    Raises:
        InputError: the range is empty or holds no data, or a source cannot be used.
    """
    if last < first:
        raise InputError(f"--from {first} lies after --to {last}; swap them")
    work = out / WORK
    with Bars(console) as bars, ProcessPool(settings.forecasting.workers).standing() as pool:
        with bars.stage("read the past"):
            past = _past(settings, last, work)
        wanted, notes = _range(settings, past, first, last)
        notes += past.unread
        folder = work / "nights"
        _play(settings, past, wanted, folder, bars=bars, pool=pool)
        nights = [Said(cut(night, settings.zone), folder / night.isoformat()) for night in wanted]
        with bars.stage("settle"):
            found = Findings.of(settings, past, nights)
        notes += found.notes()
        tried = _sweep(found, bars, pool) if sweep else None
        with bars.stage("write", 2 + len(RULES)) as advance:
            summary, records = _write(found, out, notes, tried, advance)
    if piloting.in_pilot(settings):
        piloting.record_replay(settings, records, nights[0].as_of, nights[-1].as_of, len(nights))
    return Replayed(summary, notes)


def _past(settings: Settings, last: date, work: Path) -> Past:
    """The hours up to the end of the last promise, read anew for another end; for other inputs all is made anew.

    What servers hold may change, and so may what is still to be measured of the last promises: both are read anew.
    """
    Site(settings).make_sample()
    until = cut(last, settings.zone) + SETTLES
    inputs, reach = _inputs(settings), last.isoformat()
    if not _noted(work / "inputs", inputs):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    if not _noted(work / "reach", reach):
        shutil.rmtree(work / "past", ignore_errors=True)
        gather(settings, last, work / "past", until=until)
    past = Past(work / "past")
    lasting = until <= datetime.now(UTC).replace(tzinfo=None) and not any(map(_is_remote, settings.sources.metrics))
    # What a server did not give is asked for again by the next replay, which then plays its nights anew.
    (work / "inputs").write_text("" if past.unread else inputs, encoding="utf-8")
    (work / "reach").write_text(reach if lasting and not past.unread else "", encoding="utf-8")
    return past


def _noted(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def _inputs(settings: Settings) -> str:
    """Changes with everything that a night's answers depend on; ticket policy is none of it."""
    files = [path for source in settings.sources.metrics for path in inspect(source, settings)]
    calendars = [one for one in settings.maintenance if isinstance(one, CalendarFile)]
    told = {
        "settings": settings.model_dump(mode="json", exclude=NO_PART_IN_ANSWERS),
        "versions": {name: one for name, one in versions(settings).items() if name != "settings"},
        "prior": priors.load(settings.forecasting.prior, settings.folder).name,
        "calendars": [_content(settings.path(one.ical)) for one in calendars],
        "files": [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files],
    }
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()


def _is_remote(source: MetricSource) -> bool:
    return source.remote or (isinstance(source, MetricFiles) and bool(source.addresses))


def _content(path: Path) -> str:
    return blake2b(path.read_bytes()).hexdigest() if path.is_file() else ""


def _range(settings: Settings, past: Past, first: date, last: date) -> tuple[list[date], list[str]]:
    """The nights that have anything to go by, and what is said about the others.

    Raises:
        InputError: none has.
    """
    nights = [first + timedelta(days=day) for day in range((last - first).days + 1)]
    began, ended = past.first_hour, past.last_hour
    if began is None and past.unread:
        raise RunFailedError(past.unread[0])
    if began is None or ended is None:
        raise InputError("the sources hold no sample of a time before --to; correct sources.metrics or the range")
    with_data = [night for night in nights if began < cut(night, settings.zone) <= ended + timedelta(days=1)]
    span = f"data reach from {began:%Y-%m-%d} to {ended:%Y-%m-%d}"
    if not with_data:
        raise InputError(f"--from {first} --to {last}: no night of it has data; {span}")
    notes = []
    if left_out := len(nights) - len(with_data):
        notes.append(f"{left_out} nights of the range have no data and were left out; {span}")
    return with_data, notes


def _play(settings: Settings, past: Past, wanted: Sequence[date], folder: Path, *, bars: Bars, pool: Mapper) -> None:
    folder.mkdir(exist_ok=True)
    missing = [night for night in wanted if not (folder / night.isoformat()).is_dir()]
    if not missing:
        return
    prior = priors.load(settings.forecasting.prior, settings.folder)
    with bars.stage("learn from the settled past"):
        known = list(played.lessons(settings, past, missing, pool))
    with bars.stage("play nights", len(missing)) as advance:
        tasks = (
            played.Task(settings, past.folder, night, prior, lessons, folder / night.isoformat())
            for night, lessons in known
        )
        for _ in pool.map(played.play, tasks):
            advance(1)


# ----------------------------------------------------------------------------------------------------- what came of it


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


def _write(
    found: Findings, out: Path, notes: Sequence[str], tried: pl.DataFrame | None, advance: Advance
) -> tuple[dict[str, Any], dict[str | None, Record]]:
    """Write everything; give back the summary, and each service's record."""
    policy = found.policy
    ours = found.under(policy)
    opened = ours.tickets.join(opinions(found.feedback), on="ticket_id", how="left", maintain_order="left")
    advance(1)
    baselines: dict[str, tuple[pl.DataFrame, pl.DataFrame]] = {}
    for rule in RULES:
        theirs = found.under(policy, rule)
        baselines[rule] = theirs.tickets, theirs.missed
        advance(1)
    nights = tally(found.nights, ours.events, policy.horizon_h)
    series = found.questions["series_id"].n_unique()
    summary = summarise(ours.tickets, nights, ours.missed, found.settled(), baselines, series=series, policy=policy)
    records = piloting.records(ours.tickets, len(nights))
    summary["services"] = proofs(found.settings.terms, records, len(nights))
    summary["notes"] = list(notes)
    charts = draw_all(opened, found.nights, found.past)
    html = page(summary, opened, nights, ours.missed, charts, zone=found.settings.zone, sweep=tried)
    frames = {"tickets": opened, "nights": nights, "missed": ours.missed} | ({} if tried is None else {"sweep": tried})
    for name, frame in frames.items():
        frame.write_parquet(out / f"{name}.parquet")
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (out / "replay.html").write_text(html, encoding="utf-8")
    return summary, records


@dataclass(frozen=True)
class _Tries:
    """Policies to try on the same nights, in one process."""

    found: Findings
    policies: Sequence[TicketPolicy]


def _sweep(found: Findings, bars: Bars, pool: Mapper) -> pl.DataFrame:
    """Every policy of `SWEEP`, all else as in the settings: how many tickets, how right, how much of what came."""
    policies = list(_policies(found.policy))
    together = len(SWEEP["open_at"])
    rows: list[dict[str, Any]] = []
    with bars.stage("try policies", len(policies)) as advance:
        tries = (_Tries(found, policies[at : at + together]) for at in range(0, len(policies), together))
        for some in pool.map(_try, tries):
            rows += some
            advance(len(some))
    return pl.DataFrame(rows, schema_overrides={"precision": pl.Float64, "recall": pl.Float64})


def _try(tries: _Tries) -> list[dict[str, Any]]:
    """What came of some policies, in order."""
    found, nights = tries.found, len(tries.found.nights)
    rows = []
    for policy in tries.policies:
        under = found.under(policy)
        outcome = under.tickets["outcome"]
        true, averted, wrong = (int((outcome == name).sum()) for name in ("came_true", "averted", "false_alarm"))
        settled = true + averted + wrong
        rows.append(
            {
                "open_at": policy.open_at,
                "horizon_h": policy.horizon_h,
                "hold_nights": policy.hold_nights,
                "tickets_per_week": 7 * len(under.tickets) / nights,
                "precision": (true + averted) / settled if settled else None,
                "recall": true / (true + len(under.missed)) if true + len(under.missed) else None,
                "chosen": policy == found.policy,
            }
        )
    return rows


def _policies(chosen: TicketPolicy) -> Iterator[TicketPolicy]:
    yield chosen
    for horizon in SWEEP["horizon_h"]:
        for hold in SWEEP["hold_nights"]:
            for at in SWEEP["open_at"]:
                below = min(chosen.resolve_below, at / 2)
                tried = chosen.model_copy(
                    update={"open_at": at, "hold_nights": hold, "horizon_h": horizon, "resolve_below": below}
                )
                if tried != chosen:
                    yield tried


def quicker(settings: Settings) -> Settings:
    """Without Prophet: its paths are a second opinion about a few series, and cost more than all the rest."""
    return settings.model_copy(update={"forecasting": settings.forecasting.model_copy(update={"prophet_series": 0})})


def told(found: Replayed, out: Path) -> list[str]:
    """What was found, in a few lines."""
    summary = found.summary
    lines = [f"{summary['nights']} nights of {summary['series']} series: {summary['tickets']} tickets", *found.notes]
    rivals = {"Forewarn": summary} | summary["baselines"]
    for name, one in rivals.items():
        precision, recall = (_percent(one[key]) for key in ("precision", "recall"))
        lead = "-" if one["lead_hours_median"] is None else f"{one['lead_hours_median']:.0f} h"
        lines.append(
            f"{name:<20} {one['tickets']:>5} tickets, precision {precision}, recall {recall}, median lead {lead}"
        )
    lines += [_proof(one) for one in summary["services"] if one["mode"] == PILOT]
    return [*lines, str(out / "replay.html")]


def _proof(service: Mapping[str, Any]) -> str:
    """What follows for a service in pilot."""
    follows = {
        MEETS: "meets its bar; published from the next night on, unless its ledger says otherwise",
        FAILS: "does not meet its bar; it stays in shadow unless its ledger says otherwise",
        CANNOT_SAY: "too few to say; its ledger decides",
    }
    return f"pilot {service['service'] or NOBODYS}: {service['reason']}: {follows[service['verdict']]}"


def _percent(share: float | None) -> str:
    return "  -" if share is None else f"{100 * share:3.0f} %"
