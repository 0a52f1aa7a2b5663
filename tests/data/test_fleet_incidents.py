from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.fleet.clock import AS_OF
from data.fleet.incidents import services
from pipelines.source_options import incidents as options

STAMPS = [
    "started_at", "detected_at", "created_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at",
    "cancelled_at", "updated_at",
]  # fmt: skip
BAD = ["INC9000001", "INC9000002", "INC9000003"]


@pytest.fixture(scope="module")
def exported(written: Path) -> pl.DataFrame:
    return pl.read_csv(written / "incidents" / "incidents.csv", infer_schema=False)


@pytest.fixture(scope="module")
def records(exported: pl.DataFrame) -> pl.DataFrame:
    """The good ones, with times."""
    good = exported.filter(~pl.col("incident_id").is_in(BAD)).unique("incident_id", keep="first", maintain_order=True)
    return good.with_columns(pl.col(STAMPS).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us"))


@pytest.fixture(scope="module")
def events(written: Path) -> pl.DataFrame:
    frame = pl.read_csv(written / "incidents" / "incident_events.csv", infer_schema=False)
    return frame.with_columns(
        pl.col("changed_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us"), pl.col("event_no").cast(pl.Int64)
    )


def test_columns_are_the_canonical_ones(exported: pl.DataFrame, events: pl.DataFrame) -> None:
    # Its desk knows nothing of what may follow: agreements, holds, reviews and roles.
    assert tuple(exported.columns) == options.IncidentColumn.__args__[: exported.width]
    assert tuple(events.columns) == options.EventColumn.__args__


def test_two_years_of_plausible_volume(records: pl.DataFrame) -> None:
    monthly = records.group_by(pl.col("created_at").dt.truncate("1mo")).len().sort("created_at")
    assert len(monthly) == 24
    assert monthly["len"].is_between(30, 60).all()
    by_weekday = records["created_at"].dt.weekday().value_counts().sort("created_at")["count"].to_list()
    assert min(by_weekday[:5]) > 1.3 * max(by_weekday[5:])
    nights = records.filter(pl.col("created_at").dt.hour().is_between(0, 4)).height
    assert nights < 0.15 * records.height


def test_records_are_what_their_status_changes_add_up_to(records: pl.DataFrame, events: pl.DataFrame) -> None:
    last = events.sort("incident_id", "event_no").group_by("incident_id", maintain_order=True).last()
    joined = records.join(last, on="incident_id", suffix="_event")
    assert joined.height == records.height == events["incident_id"].n_unique()
    assert (joined["state"] == joined["state_event"]).all()
    assert (joined["team"] == joined["team_event"]).all()
    assert (joined["updated_at"] == joined["changed_at"]).all()
    for incident, changes in events.partition_by("incident_id", as_dict=True, maintain_order=True).items():
        record = records.filter(pl.col("incident_id") == incident[0]).row(0, named=True)
        assert changes["changed_at"].is_sorted()
        assert changes["event_no"].to_list() == list(range(1, len(changes) + 1))
        states = changes["state"].to_list()
        reopened = sum(pair == ("Resolved", "In Progress") for pair in pairwise(states))
        assert int(record["reopen_count"]) == reopened
        resolutions = changes.filter(pl.col("state") == "Resolved")["changed_at"]
        assert record["resolved_at"] == (resolutions[-1] if states[-1] in ("Resolved", "Closed") else None)


def test_stamps_follow_each_other_and_end_before_the_as_of(records: pl.DataFrame) -> None:
    for earlier, later in (
        ("started_at", "detected_at"), ("detected_at", "created_at"), ("created_at", "acknowledged_at"),
        ("acknowledged_at", "resolved_at"), ("created_at", "mitigated_at"), ("mitigated_at", "resolved_at"),
        ("resolved_at", "closed_at"), ("created_at", "cancelled_at"),
    ):  # fmt: skip
        assert records.filter(pl.col(earlier) > pl.col(later)).is_empty(), (earlier, later)
    assert records.select(pl.max_horizontal(STAMPS).max()).item() < AS_OF


def test_every_kind_of_fate_occurs(records: pl.DataFrame) -> None:
    states = dict(records["state"].value_counts().iter_rows())
    assert {"Closed", "Cancelled", "Resolved", "New", "On Hold", "In Progress"} == set(states)
    closed = records.filter(pl.col("state") == "Closed")
    assert closed["acknowledged_at"].null_count() > 20
    assert closed.filter(pl.col("resolved_at") == pl.col("created_at")).height >= 3, "posted after the fact"
    assert (records["reopen_count"].cast(pl.Int64) > 0).sum() > 20
    assert (records["is_predicted"] == "true").sum() >= 5
    assert records["title"].str.contains("<b>").any()


def test_durations_are_skewed_and_one_service_gets_faster(records: pl.DataFrame) -> None:
    resolved = records.filter(pl.col("resolved_at") > pl.col("created_at"))
    seconds = (resolved["resolved_at"] - resolved["created_at"]).dt.total_seconds().to_numpy()
    assert seconds.mean() > 1.8 * np.median(seconds)
    known = services()
    assert known.filter("improves")["service"].to_list() == ["checkout"]
    checkout = (resolved["service"] == "checkout").to_numpy()
    early = (resolved["created_at"] < datetime(2025, 6, 1)).to_numpy()
    then, now = np.median(seconds[checkout & early]), np.median(seconds[checkout & ~early])
    assert 0.35 < now / then < 0.8
    assert known["share"].to_numpy().sum() == pytest.approx(1)


def test_bad_records_are_few_and_at_the_end(exported: pl.DataFrame) -> None:
    tail = exported.tail(4)
    assert tail["incident_id"].to_list()[:3] == BAD
    early, naive, day_first, twice = tail.iter_rows(named=True)
    assert early["resolved_at"] < early["created_at"]
    assert not naive["created_at"].endswith("Z")
    assert "/" in day_first["created_at"]
    original = exported.filter(pl.col("incident_id") == twice["incident_id"])
    assert original.height == 2
    assert twice["updated_at"] < original["updated_at"][0]
