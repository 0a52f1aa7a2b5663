"""The truth against independent, slow re-computations of it, and against what its name promises."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.fleet import truth
from data.fleet.clock import AS_OF, FUTURE_DAYS, PAST_DAYS
from data.fleet.simulation import Fleet, Series

PER_HOUR = 12
KEYS = ["source", "entity", "metric", "labels"]


@pytest.fixture(scope="module")
def crossings(written: Path) -> pl.DataFrame:
    return pl.read_parquet(written / "truth" / "crossings.parquet")


@pytest.fixture(scope="module")
def by_key(fleet: Fleet) -> dict[tuple[str, ...], Series]:
    return {tuple(truth.identity(series).values()): series for series in fleet.series}


def slow_first_crossing(values: np.ndarray, limit: float, direction: str, lasts_h: int) -> int | None:
    """Hours from the as-of, hour by hour and sample by sample."""
    start = PAST_DAYS * 24
    in_a_row = 0
    for hour in range(start, start + FUTURE_DAYS * 24 + lasts_h - 1):
        mean = sum(values[hour * PER_HOUR : (hour + 1) * PER_HOUR]) / PER_HOUR
        in_a_row = in_a_row + 1 if (mean <= limit if direction == "down" else mean >= limit) else 0
        if in_a_row == lasts_h:
            return hour - start - lasts_h + 1
    return None


def test_future_crossings_are_those_of_the_simulated_course(
    crossings: pl.DataFrame, by_key: dict[tuple[str, ...], Series]
) -> None:
    for row in crossings.iter_rows(named=True):
        series = by_key[tuple(row[key] for key in KEYS)]
        if row["beyond"] or series.row.alive[1] <= 0:
            assert row["crosses_at"] is None
            continue
        hour = slow_first_crossing(series.clean, row["limit"], row["direction"], row["lasts_h"])
        expected = None if hour is None else AS_OF + timedelta(hours=hour)
        assert row["crosses_at"] == expected, row


def test_noise_neither_makes_nor_hides_a_crossing(
    crossings: pl.DataFrame, by_key: dict[tuple[str, ...], Series]
) -> None:
    for row in crossings.filter(~pl.col("beyond")).iter_rows(named=True):
        series = by_key[tuple(row[key] for key in KEYS)]
        if series.row.alive[1] <= 0:
            continue
        noisy = slow_first_crossing(series.values, row["limit"], row["direction"], row["lasts_h"])
        if row["crosses_at"] is None:
            assert noisy is None, row
        else:
            assert noisy is not None, row
            assert abs(AS_OF + timedelta(hours=noisy) - row["crosses_at"]) <= timedelta(hours=30), row


def test_past_crossings_are_those_of_the_written_samples(written: Path, crossings: pl.DataFrame) -> None:
    past = pl.read_parquet(written / "truth" / "past_crossings.parquet")
    limits = crossings.select(*KEYS, "limit_name", "limit", "direction", "lasts_h")
    keys = ["entity", "metric", "mountpoint", "queue", "domain"]
    hourly = (
        pl.scan_parquet(written / "metrics" / "*.parquet")
        .with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col("ts").dt.replace_time_zone(None))
        .filter(pl.col("ts") < AS_OF, pl.col("value").is_finite())
        .group_by(*keys, "ts")
        .agg(pl.col("value").max())  # of two values for one moment the larger counts
        .group_by(*keys, pl.col("ts").dt.truncate("1h").alias("hour"))
        .agg(pl.col("value").mean())
        .sort("hour")
        .collect()
        .partition_by(*keys, as_dict=True)
    )
    found = set()
    for (entity, metric, *values), hours in hourly.items():
        own = {name: value for name, value in zip(keys[2:], values, strict=True) if value is not None}
        candidates = limits.filter(pl.col("entity") == entity, pl.col("metric") == metric)
        for row in candidates.iter_rows(named=True):
            if not own.items() <= json.loads(row["labels"]).items():
                continue
            in_a_row, began = 0, None
            for hour, value in hours.select("hour", "value").iter_rows():
                if not (value <= row["limit"] if row["direction"] == "down" else value >= row["limit"]):
                    in_a_row, began = 0, None
                    continue
                in_a_row += 1
                began = began or hour
                if in_a_row == row["lasts_h"]:
                    found.add((entity, metric, row["labels"], row["limit_name"], began))
    assert found == set(past.select("entity", "metric", "labels", "limit_name", "crosses_at").iter_rows())


def hours_until(crossings: pl.DataFrame, entity: str, metric: str) -> float:
    found = crossings.filter(
        pl.col("entity") == entity, pl.col("metric").str.contains(metric), pl.col("limit_name") == "critical"
    )
    at = found["crosses_at"].drop_nulls()
    return (at.item() - AS_OF).total_seconds() / 3600


@pytest.mark.parametrize(
    ("entity", "metric", "earliest", "latest"),
    [
        ("image-resizer", "memory", 12, 24),
        ("report-builder", "memory", 48, 72),
        ("app-03", "mem_used", 48, 72),
        ("recommendations", "memory", 24, 96),
        ("gateway", "memory", 100, 130),
        ("kafka-02", "disk", 48, 72),
        ("db-02", "disk", 90, 120),
        ("ci-02", "disk", 48, 84),
        ("mail-01", "inode", 140, 168),
        ("search-api", "fds", 72, 110),
        ("payments", "connections", 84, 130),
        ("mailer", "queue", 30, 54),
        ("notifications", "memory", 84, 120),
        ("nas-01", "disk", 200, 290),
    ],
)
def test_what_shall_break_breaks_in_time(
    crossings: pl.DataFrame, entity: str, metric: str, earliest: float, latest: float
) -> None:
    assert earliest <= hours_until(crossings, entity, metric) <= latest


@pytest.mark.parametrize(
    "entity", ["git-01", "log-01", "ci-01", "backup-01", "batch-01", "checkout", "es-01", "kafka-03"]
)
def test_what_looks_alarming_but_is_not_never_crosses(crossings: pl.DataFrame, written: Path, entity: str) -> None:
    assert crossings.filter(pl.col("entity") == entity)["crosses_at"].null_count() > 0
    assert crossings.filter(pl.col("entity") == entity, pl.col("crosses_at").is_not_null()).is_empty()
    past = pl.read_parquet(written / "truth" / "past_crossings.parquet")
    assert past.filter(pl.col("entity") == entity).is_empty()


def test_surprises_are_marked(crossings: pl.DataFrame) -> None:
    surprises = crossings.filter(~pl.col("foreseeable"), pl.col("crosses_at").is_not_null())
    assert set(surprises["entity"]) == {"web-04", "pricing"}


def test_states_that_are_no_crossings(crossings: pl.DataFrame) -> None:
    beyond = set(crossings.filter(pl.col("beyond"))["entity"])
    assert {"ftp-01", "es-02"} <= beyond
    assert "legacy-01" not in beyond, "nobody knows, it is not measured any more"


def test_every_series_has_a_story_and_every_limit_a_truth(
    written: Path, crossings: pl.DataFrame, fleet: Fleet, one: Callable[..., Series]
) -> None:
    stories = pl.read_parquet(written / "truth" / "scenarios.parquet")
    assert stories.select(KEYS).is_unique().all()
    assert stories.height == len(fleet.series)
    disks = crossings.filter(pl.col("metric") == "disk_used_percent")
    assert set(disks["limit_name"]) == {"warning", "critical"}
    fds = crossings.filter(pl.col("entity") == "search-api")
    assert fds["limit"].item() == pytest.approx(0.9 * one("search-api", "process_max_fds").values[0])


def test_runs_are_the_unbroken_stretches_that_last() -> None:
    reached = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1], dtype=bool)
    assert list(truth.runs(reached, 3)) == [(3, 6), (8, 12)]
    assert list(truth.runs(~reached, 3)) == []
