"""The sample fleet's own truth: what became of every ticket is held against the course that the generator drew.

The fleet lives on for two weeks after the sample's as-of, so what tickets promised can be seen to its end. Held are the
tickets of the default policy, of one that opens them light-heartedly, and of `predict_linear` in their place, which is
wrong often enough to test every kind of false alarm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from data.fleet import samples, truth
from data.fleet.clock import AS_OF, PER_HOUR
from data.fleet.simulation import Fleet, simulate
from data.sample_fleet import SEED
from pipelines.replay import run as replaying
from pipelines.replay.findings import Findings
from pipelines.replay.past import Past
from pipelines.replay.policy import Said
from pipelines.replay.rules import RULES
from pipelines.settings import SAMPLE, cut, parse
from reports.ticket_outcomes import AVERTED, CAME_TRUE, FALSE_ALARM, UNKNOWN

NIGHTS = [date(2026, 5, 18) + timedelta(days=day) for day in range(15)]  # up to the sample's as-of
END = AS_OF + timedelta(days=14)
HOUR = timedelta(hours=1)
WAYS = ["forewarn", "light-hearted", *RULES]


class Sample(NamedTuple):
    """The replayed nights, and the truth.

    under: way of asking -> its tickets with labels, and what it missed. stories: identity -> parameters, as in the
    roster. crossings: as the samples show them. observed: identity -> hours that were.
    """

    under: dict[str, tuple[pl.DataFrame, pl.DataFrame]]
    stories: dict[tuple[str, ...], dict[str, Any]]
    crossings: pl.DataFrame
    observed: dict[tuple[str, ...], np.ndarray]
    first_hour: datetime


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    fleet = simulate(SEED)
    (folder / "fleet" / "metrics").mkdir(parents=True)
    for month, table in samples.tables(fleet, END).items():
        pq.write_table(table, folder / "fleet" / "metrics" / f"{month}.parquet")
    settings = parse(SAMPLE.read_text().replace("${FOREWARN_HOME:-../run}", str(folder)), folder)
    settings = replaying.quicker(settings)
    replaying.run(settings, NIGHTS[0], NIGHTS[-1], folder / "out", console=Console(quiet=True))
    work = folder / "out" / replaying.WORK
    nights = [Said(cut(night, settings.zone), work / "nights" / night.isoformat()) for night in NIGHTS]
    found = Findings.of(settings, Past(work / "past"), nights)
    light = found.policy.model_copy(update={"open_at": 0.2, "resolve_below": 0.1})
    under = {"forewarn": found.under(found.policy), "light-hearted": found.under(light)}
    under |= {rule: found.under(found.policy, rule) for rule in RULES}
    labels = found.past.series.select("series_id", "labels")
    told = {way: (one.tickets.join(labels, on="series_id"), one.missed) for way, one in under.items()}
    return Sample(told, stories(fleet), truth.past_crossings(fleet, END), observed(fleet), start(fleet))


def stories(fleet: Fleet) -> dict[tuple[str, ...], dict[str, Any]]:
    told = truth.scenarios(fleet)
    keys = told.select("entity", "metric", "labels").iter_rows()
    return dict(zip(keys, map(json.loads, told["parameters"]), strict=True))


def observed(fleet: Fleet) -> dict[tuple[str, ...], np.ndarray]:
    hours = {}
    for series in fleet.series:
        who = truth.identity(series)
        seen = series.observed.reshape(-1, PER_HOUR).any(axis=1)
        hours[who["entity"], who["metric"], who["labels"]] = seen
    return hours


def start(fleet: Fleet) -> datetime:
    return fleet.clock.ts[0].astype("datetime64[us]").item()


def expected(sample: Sample, ticket: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """What became of a ticket, from the truth alone: its outcome, and when it crossed."""
    who = ticket["entity"], ticket["metric"], ticket["labels"]
    opened = ticket["opened_at"]
    kept_up = ticket["closed_at"] or AS_OF + 168 * HOUR  # open on the last night: held to what it promises then
    ends = max(opened + 168 * HOUR, kept_up)
    own = sample.crossings.filter(
        pl.col("entity") == who[0], pl.col("metric") == who[1], pl.col("labels") == who[2],
        pl.col("limit_name") == ticket["limit_name"], pl.col("crosses_at") < ends,
        pl.col("crosses_at") + pl.duration(hours=pl.col("lasts_h") - 1) >= opened,
    )  # fmt: skip
    if len(own):
        return CAME_TRUE, min(own["crosses_at"])
    since, until = (round((moment - sample.first_hour) / HOUR) for moment in (opened, ends))
    seen = sample.observed[who][since:until]
    if 2 * seen.sum() < len(seen) or not seen[-len(seen) // 4 :].any():
        return UNKNOWN, None
    mended = sample.stories[who].get("mended_day")  # the one thing that is done from outside in these weeks
    acts_until = kept_up if ticket["close_reason"] == "risk gone" else ends
    if mended is not None and opened <= AS_OF + timedelta(days=mended) < acts_until:
        return AVERTED, None
    return FALSE_ALARM, None


@pytest.mark.parametrize("way", WAYS)
def test_what_became_of_every_ticket_is_what_the_generator_drew(sample: Sample, way: str):
    tickets, _ = sample.under[way]
    told = ["entity", "metric", "limit_name", "opened_at"]
    found = [(*(row[name] for name in told), row["outcome"], row["crossed_at"]) for row in tickets.to_dicts()]
    assert found == [(*(row[name] for name in told), *expected(sample, row)) for row in tickets.to_dicts()]
    came = tickets.filter(pl.col("outcome") == CAME_TRUE)
    assert came["lead_hours"].to_list() == ((came["crossed_at"] - came["opened_at"]) / HOUR).to_list()


def test_the_nights_hold_tickets_of_every_settled_kind(sample: Sample):
    kinds = {way: set(tickets["outcome"]) for way, (tickets, _) in sample.under.items()}
    assert kinds["forewarn"] == {CAME_TRUE, AVERTED}
    assert kinds["light-hearted"] >= {CAME_TRUE, FALSE_ALARM} and kinds["predict_linear_24h"] >= {AVERTED, FALSE_ALARM}
    assert sum(len(tickets) for tickets, _ in sample.under.values()) > 150


def test_every_crossing_that_was_news_had_a_ticket_or_is_counted_as_missed(sample: Sample):
    first, until = AS_OF - timedelta(days=len(NIGHTS) - 1), AS_OF + timedelta(days=1)
    tickets, missed = sample.under["forewarn"]
    foreseen = set(tickets.select("entity", "metric", "limit_name").iter_rows())
    counted = set(missed.select("entity", "metric", "limit_name").iter_rows())
    seen: dict[tuple[str, ...], datetime] = {}
    for row in sample.crossings.sort("crosses_at").to_dicts():
        who = row["entity"], row["metric"], row["labels"], row["limit_name"]
        is_news = who not in seen or row["crosses_at"] - seen[who] > timedelta(days=14)
        seen[who] = row["back_at"] or END
        if is_news and first <= row["crosses_at"] < until:
            assert (row["entity"], row["metric"], row["limit_name"]) in foreseen | counted
