"""The rows of a night's digest: which risks, limits, changes and silences are worth a reader's minute. Pure.

Belongs here: choosing and ordering. Not here: the page (``digest`` and its template), small plots (``sparkline``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from features.signals import Signal
from features.units import format_share, format_value
from reports.services import Service, service_of
from reports.text import one_line
from reports.ticket_causes import causes
from reports.ticket_policy import SUBJECT, Subject, TicketPolicy

MOST, LEAST = 40, 5  # rows of the ranking: all at risk up to MOST; on a quiet night the LEAST highest
WORTH_NAMING = 0.05  # probabilities below are nobody's concern
CHANGED = 0.1  # a change of probability since last night that is worth a row
FEW = 8  # rows of the lesser lists
CROWD = 25  # rows of lists that should be short and, in a bad fleet, are not

MEASURED = ["scored", "crossed"]


@dataclass(frozen=True)
class Night:
    """What a digest is told; frames have the columns of their tables.

    risks: tonight's, all horizons. previous_risks: the night before's; empty on the first.
    profiles: tonight's. series: with labels. signals, services: from the settings.
    """

    as_of: datetime
    policy: TicketPolicy
    risks: pl.DataFrame
    previous_risks: pl.DataFrame
    profiles: pl.DataFrame
    series: pl.DataFrame
    signals: Sequence[Signal]
    services: Sequence[Service]

    def at_horizon(self, risks: pl.DataFrame) -> pl.DataFrame:
        return risks.filter(pl.col("horizon_h") == self.policy.horizon_h)


@dataclass(frozen=True)
class Row:
    """One entity's signal and the limit of it that matters most, ready to be shown; nothing in it is escaped."""

    series_id: int
    entity: str
    labels: str
    what: str
    direction: str
    service: str | None
    owner: str | None
    tier: int | None
    limit_name: str
    limit_value: float
    limit: str
    level: str
    headroom: str
    shape: str | None
    model: str
    p: float | None
    p_before: float | None
    by_horizon: tuple[tuple[str, str], ...]
    eta_p10: datetime | None
    eta_p50: datetime | None
    eta_p90: datetime | None
    facts: tuple[str, ...]
    others: int
    also: tuple[str, ...]
    subject: Subject
    is_new: bool  # not beyond its limit last night

    @property
    def plot(self) -> tuple[int, str]:
        """Names its small plot: one series has several where several of its limits are shown."""
        return self.series_id, self.limit_name


@dataclass(frozen=True)
class Chosen:
    """The night's lists of rows, each in the order in which it is shown."""

    ranked: list[Row]
    unranked: int  # further subjects at risk, for which the ranking had no room
    beyond: list[Row]
    unlisted: int  # further subjects beyond a limit
    closest: list[Row]
    changed: list[Row]

    @property
    def shown(self) -> list[int]:
        """The series that appear with a plot."""
        return sorted({row.series_id for rows in (self.ranked, self.beyond, self.closest) for row in rows})


def choose(night: Night) -> Chosen:
    """The night's rows; a subject (entity, signal, direction) appears once in a list, and is not also `closest`."""
    told = _told(night, "scored")
    onward = pl.col("severity").neg()
    due = pl.col("p") >= night.policy.open_at  # then the most severe limit matters, as for a ticket; else the likeliest
    first = pl.when(due).then(onward).otherwise(1)
    scored = (
        told.sort(first, pl.col("p").neg(), onward, "series_id")
        .unique(SUBJECT, keep="first", maintain_order=True)
        .sort(pl.col("p").neg(), "eta_p50", *SUBJECT, nulls_last=True)
    )
    at_risk = scored.filter(pl.col("p") >= night.policy.resolve_below).height
    ranked = scored.head(min(max(at_risk, LEAST), MOST)).filter(pl.col("p") >= WORTH_NAMING)
    crossed = _told(night, "crossed")
    beyond = (
        crossed.sort(onward, *SUBJECT)
        .unique(SUBJECT, keep="first", maintain_order=True)
        .sort(pl.col("is_new").not_(), *SUBJECT)
    )
    closest = (
        scored.join(ranked, on=SUBJECT, how="anti")
        .join(beyond, on=SUBJECT, how="anti")
        .filter(pl.col("swings_away").is_not_null(), pl.col("p") < night.policy.resolve_below)
        .sort("swings_away", *SUBJECT)
        .head(FEW)
    )
    changed = (
        scored.filter((pl.col("p") - pl.col("p_before")).abs() >= CHANGED)
        .sort((pl.col("p") - pl.col("p_before")).abs().neg(), *SUBJECT)
        .head(FEW)
    )
    also = _also(pl.concat([told, crossed]), scored)
    return Chosen(
        ranked=_rows(ranked, also, night),
        unranked=max(0, at_risk - MOST),
        beyond=_rows(beyond.head(CROWD), also, night),
        unlisted=max(0, beyond.height - CROWD),
        closest=_rows(closest, also, night),
        changed=_rows(changed, also, night),
    )


def _told(night: Night, state: str) -> pl.DataFrame:
    """Every cause of tonight in this state with its leader's answers at all horizons, its level, and last night's."""
    key = ["series_id", "signal", "limit_name"]
    risks = night.risks.filter(pl.col("state") == state)
    tonight = causes(risks, night.series, night.policy.horizon_h, night.policy.resolve_below)
    horizons = risks.sort("horizon_h").group_by(key).agg(pl.struct("horizon_h", "p").alias("by_horizon"))
    before = night.at_horizon(night.previous_risks).select(
        *key, pl.col("p").alias("p_before"), (pl.col("state") == "crossed").alias("was_beyond")
    )
    looks = night.profiles.select("series_id", "level", "spread", "noise", pl.col("shape"))
    # How far the limit is in units of the series' own weekly swing: comparable over bytes, percent and counts.
    swing = pl.max_horizontal("spread", "noise", pl.col("limit_value").abs() * 1e-3)
    toward = pl.when(pl.col("direction") == "up").then(1.0).otherwise(-1.0)
    return (
        tonight.join(night.series.select("series_id", "labels"), on="series_id", how="left")
        .join(looks, on="series_id", how="left")
        .join(horizons, on=key, how="left")
        .join(before, on=key, how="left")
        .with_columns(headroom=(pl.col("limit_value") - pl.col("level")) * toward)
        .with_columns(
            swings_away=pl.col("headroom") / swing,
            is_new=~pl.col("was_beyond").fill_null(value=False),
        )
    )


def _also(told: pl.DataFrame, chosen: pl.DataFrame) -> dict[Subject, tuple[str, ...]]:
    """The other limits of a subject that are worth naming beside the chosen one: 'warning 98 %'."""
    found: dict[Subject, tuple[str, ...]] = {}
    others = told.join(chosen, on=["fingerprint", "state"], how="anti").sort(
        pl.col("p").neg(), "limit_name", nulls_last=True
    )
    for row in others.iter_rows(named=True):
        if row["state"] == "crossed" or (row["p"] or 0) >= WORTH_NAMING:
            said = "beyond" if row["state"] == "crossed" else format_share(row["p"])
            subject = (row["entity"], row["signal"], row["direction"])
            found[subject] = (*found.get(subject, ()), f"{one_line(row['limit_name'], 40)} {said}")
    return found


def _rows(frame: pl.DataFrame, also: Mapping[Subject, tuple[str, ...]], night: Night) -> list[Row]:
    signals = {signal.name: signal for signal in night.signals}
    return [_row(row, signals.get(row["signal"]), also, night) for row in frame.iter_rows(named=True)]


def _row(
    row: dict[str, Any],
    signal: Signal | None,
    also: Mapping[Subject, tuple[str, ...]],
    night: Night,
) -> Row:
    unit = (signal.unit if signal else None) or row["unit"]
    service = service_of(row["entity"], night.services)
    subject = (row["entity"], row["signal"], row["direction"])
    return Row(
        series_id=row["series_id"],
        entity=one_line(row["entity"], 80),
        labels=labels_of(row["labels"]),
        what=one_line((signal.title if signal else None) or row["metric"], 80),
        direction=row["direction"],
        service=service.name if service else row["service"],
        owner=service.owner if service else None,
        tier=service.tier if service else None,
        limit_name=one_line(row["limit_name"], 40),
        limit_value=row["limit_value"],
        limit=format_value(row["limit_value"], unit),
        level=format_value(row["level"], unit),
        headroom=format_value(row["headroom"], unit),
        shape=row["shape"],
        model=one_line(row["model"] or "", 40),
        p=row["p"],
        p_before=row["p_before"],
        by_horizon=tuple((_span(each["horizon_h"]), format_share(each["p"])) for each in row["by_horizon"] or ()),
        eta_p10=row["eta_p10"],
        eta_p50=row["eta_p50"],
        eta_p90=row["eta_p90"],
        facts=tuple(one_line(fact, 400) for fact in json.loads(row["facts"] or "[]")),
        others=row["others"],
        also=also.get(subject, ()),
        subject=subject,
        is_new=row["is_new"],
    )


def _span(hours: int) -> str:
    return f"{hours}\u00a0h" if hours <= 24 else f"{hours // 24}\u00a0d"


def labels_of(canonical: str | None) -> str:
    """Identity labels on one line: 'device=sda1, mountpoint=/var'."""
    labels: Mapping[str, str] = json.loads(canonical or "{}")
    return one_line(", ".join(f"{key}={value}" for key, value in sorted(labels.items())), 120)


# ------------------------------------------------------------------------------------------------------ what was silent


@dataclass(frozen=True)
class Group:
    """Things of one kind: how many, and the first few by name."""

    name: str
    count: int
    examples: tuple[str, ...]


def abstentions(night: Night) -> list[Group]:
    """Series that were not scored, by reason; the most frequent first."""
    left_out = night.at_horizon(night.risks).filter(pl.col("state") == "abstained")
    named = left_out.join(night.series.select("series_id", "entity", "metric"), on="series_id", how="left")
    return _groups(named, "reason")


def went_silent(night: Night, held: frozenset[int] = frozenset()) -> list[Group]:
    """Series that last night was measured and tonight was not, by metric; without those in a known-bad window."""
    measured = night.at_horizon(night.previous_risks).filter(pl.col("state").is_in(MEASURED))
    still = night.at_horizon(night.risks).filter(pl.col("state").is_in(MEASURED))
    gone = measured.join(still, on="series_id", how="anti").filter(
        ~pl.col("series_id").is_in(pl.Series(sorted(held), dtype=pl.UInt64).implode())
    )
    return _groups(gone.join(night.series.select("series_id", "entity", "metric"), on="series_id"), "metric")


def failures(night: Night, failed: pl.DataFrame) -> list[Group]:
    """Series whose scoring raised an error, by stage and error."""
    named = failed.join(night.series.select("series_id", "entity", "metric"), on="series_id", how="left")
    return _groups(named.with_columns(what=pl.format("{}: {}", "stage", "error")), "what")


def rejects(refused: pl.DataFrame) -> list[Group]:
    """Refused rows by reason, with where the first of them are."""
    where = pl.col("file").str.split("/").list.last()
    row = pl.when(pl.col("file_row").is_null()).then(pl.lit("")).otherwise(pl.format(", row {}", "file_row"))
    detail = pl.when(pl.col("detail").is_null()).then(pl.lit("")).otherwise(pl.format(": {}", "detail"))
    placed = refused.sort("source", "file", "file_row", "detail", nulls_last=True).with_columns(
        example=pl.concat_str(where, row, detail)
    )
    return grouped(placed, "reason", "example")


def _groups(named: pl.DataFrame, by: str) -> list[Group]:
    each = named.unique(["series_id", by]).with_columns(
        example=pl.format("{} {}", pl.col("entity").fill_null("?"), pl.col("metric").fill_null("?"))
    )
    return grouped(each.sort("example", "series_id"), by, "example")


def grouped(frame: pl.DataFrame, by: str, example: str) -> list[Group]:
    """Rows by the value of one column, the most frequent first, with the first few of another as examples."""
    grouped = (
        frame.group_by(by, maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("count"), pl.col(example).unique(maintain_order=True).head(5))
        .sort(pl.col("count").neg(), by)
    )
    return [
        Group(one_line(name or "no reason given", 200), count, tuple(_clean(examples)))
        for name, count, examples in grouped.iter_rows()
    ]


def _clean(texts: Iterable[str]) -> Iterable[str]:
    return (one_line(text, 160) for text in texts)
