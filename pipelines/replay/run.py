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

from forecasting.mapper import Mapper, ProcessPool
from pipelines import piloting, priors
from pipelines.errors import RunFailedError
from pipelines.maintenance.options import CalendarFile
from pipelines.progress import Advance, Bars
from pipelines.replay import nights as played
from pipelines.replay.charts import draw_all
from pipelines.replay.findings import SETTLES, Findings
from pipelines.replay.past import Past, gather
from pipelines.replay.policy import Said, tally
from pipelines.replay.rules import RULES
from pipelines.settings import Settings, cut
from pipelines.site import Site, versions
from pipelines.source_options import MetricFiles, MetricSource
from pipelines.sources import inspect
from pipelines.sources.errors import InputError
from reports.digest_modes import NOBODYS
from reports.feedback import opinions
from reports.pilot import CANNOT_SAY, FAILS, MEETS, PILOT, Record, proofs
from reports.replay_page import page
from reports.replay_summary import summarise
from reports.ticket_policy import TicketPolicy

WORK = "work"
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
