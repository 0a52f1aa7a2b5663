"""The night's digest: one page that is worth reading with a coffee, also on a night without a ticket. Pure.

Belongs here: what the page is told and how its parts come together. Not here: which rows it shows (``digest_rows``),
what it says of its own reliability (``digest_trust``), of promises kept (``digest_promises``) and of answers that came
(``answers_kept``), its markup (``templates/digest.html.j2``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from markupsafe import Markup

from features.known_bad import Window
from reports import (
    answers_kept,
    digest_modes,
    digest_promises,
    digest_rows,
    digest_trust,
    digest_windows,
    sparkline,
)
from reports.answers_kept import Lately
from reports.digest_rows import Chosen, Night, Row
from reports.feedback import opinions, spoken
from reports.html import environment
from reports.sparkline import Spark
from reports.text import format_date, to_zone
from reports.ticket_events import EVENTS, RESOLVED, TicketEvent, histories
from reports.ticket_policy import Subject
from reports.ticket_text import TicketContext, title

HISTORY_H = 14 * 24  # of a small plot
ORDER = ("opened", "updated", "resolved", "kept")


@dataclass(frozen=True)
class NightDigest:
    """What the page is told; frames have the columns of their tables, times are naive UTC.

    night: risks, profiles, series and settings of the night.
    events: all ticket events up to and including tonight's.
    hourly: series_id, hour, mean of the last 14 days; of the series in ``shown(night)`` at least.
    forecasts, failures, models, calibration, tournament: tonight's. rejects: this run's.
    modes: tonight's reports.service_modes.
    outcomes, misses: of tickets and crossings that settled tonight or within ``digest_promises.DAYS`` before.
    feedback: all that readers have said of tickets by then, in the columns of reports.feedback.
    lately: the answers and forecasts that settled in the last weeks.
    reliability: the picture of `calibration` as PNG; None where nothing has settled.
    kept: the picture of the answers in `lately`, likewise.
    seconds: stage -> seconds that it took; left out of the page where empty.
    tickets_at, shadow_at: addresses of the folders of ticket files, published ones and those in shadow, seen from the
        page; None links nothing.
    shadowed: ids of tickets that no tracker was told of.
    windows: known-bad windows, of any time, as the night knows them.
    unread: sources of such windows that could not be read -> why.
    """

    night: Night
    zone: ZoneInfo
    events: pl.DataFrame
    hourly: pl.DataFrame
    forecasts: pl.DataFrame
    failures: pl.DataFrame
    rejects: pl.DataFrame
    models: pl.DataFrame
    calibration: pl.DataFrame
    tournament: pl.DataFrame
    outcomes: pl.DataFrame
    misses: pl.DataFrame
    modes: pl.DataFrame
    feedback: pl.DataFrame
    lately: Lately
    reliability: bytes | None = None
    kept: bytes | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    tickets_at: str | None = None
    shadow_at: str | None = None
    shadowed: frozenset[str] = frozenset()
    windows: Sequence[Window] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TicketLine:
    """A ticket on one line: what happened to it tonight (opened, updated, resolved, kept), why, and what it says.

    heard: what readers say of it; None where nobody spoke.
    """

    happened: str
    reason: str
    title: str
    event: TicketEvent
    opened: datetime
    href: str | None
    in_shadow: bool = False
    heard: str | None = None


def shown(night: Night) -> list[int]:
    """The series whose hours the page plots, so that a caller need not load those of the whole fleet."""
    return digest_rows.choose(night).shown


def render(digest: NightDigest) -> str:
    """The page, self-contained."""
    night = digest.night
    chosen = digest_rows.choose(night)
    tickets = _tickets(digest)
    local = to_zone(night.as_of, digest.zone)
    counts = _counts(digest, tickets)
    windows = digest_windows.windows_of(night, digest.windows)
    drift = answers_kept.drift(digest.lately, night.policy.horizon_h, night.policy.open_at)
    return (
        environment()
        .get_template("digest.html.j2")
        .render(
            heading=f"Night of {format_date(local)} {local.year}",
            lead=lead(counts),
            counts=counts,
            as_of=night.as_of,
            zone=digest.zone,
            policy=night.policy,
            tickets=tickets,
            ticket_of={_subject(line.event): line for line in tickets if line.happened != RESOLVED},
            services=digest_modes.service_modes(digest.modes),
            chosen=chosen,
            sparks=_sparks(digest, chosen),
            spark_style=sparkline.STYLE,
            windows=windows,
            unread=digest.unread,
            silent=digest_rows.went_silent(night, windows.held),
            abstained=digest_rows.abstentions(night),
            failures=digest_rows.failures(night, digest.failures),
            rejects=digest_rows.rejects(digest.rejects),
            trust=digest_trust.trust(digest.calibration, night.policy.horizon_h, night.policy.open_at),
            reliability=digest.reliability,
            promises=digest_promises.promises(
                digest.outcomes, digest.misses, digest.events, digest.feedback, night.as_of
            ),
            drift=drift,
            band=answers_kept.band_sentence(digest.lately.band),
            kept=digest.kept,
            drawn_by=dict(digest.forecasts.select("series_id", "model").unique().iter_rows()),
            served=digest_trust.served(
                digest.models, night.policy.horizon_h, night.risks["model"].drop_nulls().unique()
            ),
            standings=digest_trust.standings(digest.tournament),
            seconds=sorted(digest.seconds.items(), key=lambda stage: -stage[1]),
        )
    )


# ------------------------------------------------------------------------------------------------------------- counts


def _counts(digest: NightDigest, tickets: list[TicketLine]) -> dict[str, int]:
    night = digest.night
    states = night.at_horizon(night.risks).group_by("series_id").agg(pl.col("state").unique())
    scored = states.filter(pl.col("state").list.contains("scored"))
    crossed = states.filter(pl.col("state").list.contains("crossed"))
    measured = states.filter(pl.col("state").list.contains("scored") | pl.col("state").list.contains("crossed"))
    happened = [line.happened for line in tickets]
    return {
        **{kind: happened.count(kind) for kind in ORDER},
        "open": sum(kind != RESOLVED for kind in happened),
        "series": states.height,
        "scored": scored.height,
        "beyond": crossed.height,
        "abstained": states.height - measured.height,
        "failed": digest.failures["series_id"].n_unique(),
        "rejected": digest.rejects.height,
    }


def lead(counts: Mapping[str, int]) -> str:
    """The night in a few words: '3 tickets opened, 1 updated, 1 resolved; 5 are open. 212 of 240 series scored ...'."""
    opened = counts["opened"]
    changes = ["no ticket opened" if not opened else f"{opened} ticket{'s' if opened > 1 else ''} opened"]
    changes += [f"{counts[kind]} {kind}" for kind in ("updated", "resolved") if counts[kind]]
    tickets = ", ".join(changes)
    still = f"{counts['open']} {'is' if counts['open'] == 1 else 'are'} open" if counts["open"] else "none is open"
    rest = [f"{counts['beyond']} already beyond a limit"] if counts["beyond"] else []
    rest += [f"{counts['abstained']} abstained from"] if counts["abstained"] else []
    rest += [f"{counts['failed']} failed"] if counts["failed"] else []
    series = ", ".join([f"{counts['scored']} of {counts['series']} series scored", *rest])
    return f"{tickets[0].upper()}{tickets[1:]}; {still}. {series}."


# ------------------------------------------------------------------------------------------------------------ tickets


def _tickets(digest: NightDigest) -> list[TicketLine]:
    """What happened to tickets tonight, then those that were kept as they are."""
    night = digest.night
    measured = night.at_horizon(night.risks).filter(pl.col("state").is_in(digest_rows.MEASURED))
    known = set(measured.select("series_id", "signal", "limit_name").iter_rows())
    labels = dict(night.series.select("series_id", "labels").iter_rows())
    signals = {signal.name: signal for signal in night.signals}
    heard = {ticket_id: spoken(*said) for ticket_id, *said in opinions(digest.feedback).iter_rows()}
    lines: list[TicketLine] = []
    seen = digest.events.filter(pl.col("as_of") <= night.as_of).select(list(EVENTS))
    for history in histories(seen).values():
        event = history[-1]
        happened, reason = event.event, event.reason
        if event.as_of < night.as_of:
            if event.event == RESOLVED:
                continue
            is_known = (event.series_id, event.signal, event.limit_name) in known
            happened, reason = "kept", "nothing changed materially" if is_known else "not measured tonight"
        told = json.loads(labels.get(event.series_id) or "{}")
        words = title(event, TicketContext(digest.zone, signals.get(event.signal), told))
        in_shadow = event.ticket_id in digest.shadowed
        folder = digest.shadow_at if in_shadow else digest.tickets_at
        href = None if folder is None else f"{folder.rstrip('/')}/{event.ticket_id}.md"
        said = heard.get(event.ticket_id)
        lines.append(TicketLine(happened, reason, words, event, history[0].as_of, href, in_shadow, said))
    return sorted(lines, key=_place)


def _place(line: TicketLine) -> tuple[int, float, str]:
    return ORDER.index(line.happened), -line.event.probability, line.event.ticket_id


def _subject(event: TicketEvent) -> Subject:
    return event.entity, event.signal, event.direction


# -------------------------------------------------------------------------------------------------------------- plots


def _sparks(digest: NightDigest, chosen: Chosen) -> dict[tuple[int, str], Markup]:
    """A small plot for every row that shows one, by ``Row.plot``."""
    since = digest.night.as_of - timedelta(hours=HISTORY_H)
    wanted = pl.col("series_id").is_in(pl.Series(chosen.shown, dtype=pl.UInt64).implode())
    recent = digest.hourly.filter(wanted, pl.col("hour") >= since, pl.col("hour") < digest.night.as_of)
    hours = {key[0]: part for key, part in recent.partition_by("series_id", as_dict=True).items()}
    ahead = digest.forecasts.filter(wanted).sort("hour")
    paths = {key[0]: part for key, part in ahead.partition_by("series_id", as_dict=True).items()}
    return {
        row.plot: sparkline.sparkline(_spark(row, hours.get(row.series_id), paths.get(row.series_id), since))
        for row in (*chosen.ranked, *chosen.beyond, *chosen.closest)
    }


def _spark(row: Row, hours: pl.DataFrame | None, path: pl.DataFrame | None, since: datetime) -> Spark:
    measured = np.full(HISTORY_H, np.nan)
    if hours is not None:
        at = (hours["hour"].to_numpy().astype("datetime64[h]") - np.datetime64(since, "h")).astype(int)
        measured[at] = hours["mean"].to_numpy()
    if path is None:
        return Spark(measured, limit=row.limit_value)
    low, middle, high = (path[name].to_numpy() for name in ("q10", "q50", "q90"))
    return Spark(measured, low, middle, high, row.limit_value)
