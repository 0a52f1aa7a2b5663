"""Which services' tickets leave the house: proof before publishing, service by service. Pure.

Belongs here: modes, the bar that a service must clear, and the rule that holds its record against that bar. Not here:
where a record comes from (``pipelines.piloting``), what becomes of a single ticket (``ticket_outcomes``).

A service is in one of three modes. In **shadow**, the default, its tickets are decided, written aside and settled like
any other, and no tracker hears of them. **Live**, they are published. In **pilot** its own record decides, every night
anew:

* The *ledger* goes first: what became of its tickets lately, published or not. It **fails** when it has tickets enough
  and too few of them were right, when it has not, but is so bad that the bar lies beyond the upper end of its 95 %
  interval, or when its tickets are too many. It **meets** the bar when it has tickets and nights enough and is none of
  that.
* Where the ledger cannot say, the newest *replay* of past nights does, by the same rule.
* Where neither can, nothing is published.

Nothing is remembered but records, so that a night that is run again decides the same. A service that its ledger has
switched off is not switched on again by its replay: the ledger keeps failing until it is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from features.options import Options
from features.units import format_share
from reports.statistics import share_interval

SHADOW, PILOT, LIVE = "shadow", "pilot", "live"
Mode = Literal["shadow", "pilot", "live"]
LEDGER, REPLAY = "ledger", "replay"
MEETS, FAILS, CANNOT_SAY = "meets", "fails", "cannot say"

LEAST_NIGHTS = 14
"""Of fewer nights a record says nothing of how many tickets a week are to come: one bad night would be a bad week."""

MODES = pl.Schema(
    {
        "service": pl.String,
        "mode": pl.String,
        "published": pl.Boolean,
        "changed": pl.Boolean,
        "record": pl.String,
        "nights": pl.Int32,
        "tickets": pl.Int32,
        "settled": pl.Int32,
        "kept": pl.Int32,
        "reason": pl.String,
    }
)


class PublishWhen(Options):
    """The bar that a service's record must clear before its tickets are published."""

    precision: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.8, description="least share of settled tickets that came true or were averted"
    )
    tickets_per_week: Annotated[float, Field(gt=0)] = Field(default=5, description="at most so many of the service")
    settled: Annotated[int, Field(ge=1)] = Field(
        default=10, description="settled tickets without which a record says too little"
    )


@dataclass(frozen=True)
class Terms:
    """What the settings say of a service."""

    mode: Mode
    bar: PublishWhen


@dataclass(frozen=True)
class Record:
    """What became of a service's tickets: of those opened on `nights` nights, and of those settled on them."""

    nights: int = 0
    tickets: int = 0
    settled: int = 0
    kept: int = 0

    @property
    def tickets_per_week(self) -> float:
        return 7 * self.tickets / self.nights if self.nights else 0.0

    @property
    def sentence(self) -> str:
        """'11 of 14 settled tickets were right (79 %, 95 % interval 52 % to 92 %), 2.1 a week opened in 60 nights'."""
        nights = f"{self.nights} night{'' if self.nights == 1 else 's'}"
        if not self.tickets:
            return f"no ticket in {nights}"
        is_long = self.nights >= LEAST_NIGHTS
        rate = (
            f"{self.tickets_per_week:.1f} a week opened in {nights}"
            if is_long
            else f"{self.tickets} opened in {nights}"
        )
        interval = share_interval(self.kept, self.settled)
        if interval is None:
            return f"none has settled of {rate}"
        share = f"{format_share(self.kept / self.settled)}, 95\u00a0% interval"
        share += f" {format_share(interval.lo)} to {format_share(interval.hi)}"
        return f"{self.kept} of {self.settled} settled tickets were right ({share}), {rate}"


def verdict(record: Record, bar: PublishWhen) -> str:
    """Whether a record `MEETS` a bar, `FAILS` it, or `CANNOT_SAY`."""
    interval = share_interval(record.kept, record.settled)
    hopeless = interval is not None and interval.hi < bar.precision
    many, long = record.tickets_per_week > bar.tickets_per_week, record.nights >= LEAST_NIGHTS
    if hopeless or (many and long):
        return FAILS
    if record.settled < bar.settled or not long:
        return CANNOT_SAY
    return MEETS if record.kept >= bar.precision * record.settled else FAILS


def proofs(terms: Mapping[str | None, Terms], replay: Mapping[str | None, Record], nights: int) -> list[dict[str, Any]]:
    """What a replay says of each service beside its bar, for ``summary.json``; null stands for what no service owns.

    Of services that never had a ticket the verdict is `CANNOT_SAY`.
    """
    return [
        {
            "service": service,
            "mode": one.mode,
            **asdict(record),
            "tickets_per_week": record.tickets_per_week,
            "publish_when": one.bar.model_dump(mode="json"),
            "verdict": verdict(record, one.bar),
            "reason": record.sentence,
        }
        for service, one in sorted(terms.items(), key=_place)
        for record in [replay.get(service, Record(nights))]
    ]


def decide(
    terms: Mapping[str | None, Terms],
    ledger: Mapping[str | None, Record],
    replay: Mapping[str | None, Record],
    before: Mapping[str | None, bool],
) -> pl.DataFrame:
    """Which services are published tonight.

    Args:
        terms: service -> its terms; None stands for entities that no service owns.
        ledger: service -> what its ledger says; of those without a ticket nothing.
        replay: service -> what the newest replay under tonight's settings says.
        before: service -> whether it was published on the night before; new ones are missing.

    Returns:
        The columns of `MODES`, one row a service, by name; None last.
    """
    rows = []
    for service, one in sorted(terms.items(), key=_place):
        published, source, record, reason = _decide(one, ledger.get(service), replay.get(service))
        changed = published != before.get(service, published)
        rows.append((service, one.mode, published, changed, source, *astuple(record), reason))
    return pl.DataFrame(rows, schema=MODES, orient="row")


def _place(named: tuple[str | None, Terms]) -> tuple[bool, str]:
    service, _ = named
    return service is None, service or ""


def _decide(terms: Terms, ledger: Record | None, replay: Record | None) -> tuple[bool, str | None, Record, str]:
    """Published or not, which record speaks, that record, and why in words."""
    source, record, found = _judged(terms.bar, ledger, replay)
    told = f"its {source}: {record.sentence}" if source else "no ticket is on record"
    if terms.mode != PILOT:
        return terms.mode == LIVE, source, record, f"{terms.mode} by the settings; {told}"
    if source is None:
        return False, None, record, f"{told}; run forewarn replay over past nights, or wait for its ledger"
    bar = f"the bar is {format_share(terms.bar.precision)} right and {terms.bar.tickets_per_week:g} a week"
    if found == CANNOT_SAY:
        bar += f", over {LEAST_NIGHTS} nights and {terms.bar.settled} settled tickets or more"
    words = {MEETS: "meets the bar", FAILS: "does not meet the bar", CANNOT_SAY: "too few to say"}[found]
    return found == MEETS, source, record, f"{words} by {told}; {bar}"


def _judged(bar: PublishWhen, ledger: Record | None, replay: Record | None) -> tuple[str | None, Record, str]:
    """The record that speaks, and what it says: the ledger's where it can say, else the replay's where there is one."""
    found = [
        (name, one, verdict(one, bar)) for name, one in ((LEDGER, ledger), (REPLAY, replay)) if one and one.tickets
    ]
    said = [each for each in found if each[2] != CANNOT_SAY]
    return next(iter(said or found[::-1]), (None, Record(), CANNOT_SAY))
