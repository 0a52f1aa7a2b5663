"""The first commit: what was ingested."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publisher import AS_OF, HOUR, KEEP, Publisher, run_of

from pipelines.publishing.raw import StagedRaw, publish_raw
from pipelines.settings import Retention
from pipelines.warehouse import Warehouse


def test_ingesting_the_same_again_changes_nothing(publisher: Publisher):
    samples = [(1, AS_OF - n * HOUR / 4, float(n)) for n in range(1, 50)]
    publisher.ingest(samples, run_of(AS_OF))
    before = publisher.rows("FROM raw.samples")
    counts = publisher.ingest(samples, run_of(AS_OF, "again"))
    assert publisher.rows("FROM raw.samples") == before
    assert counts["samples_new"] == 0 and counts["samples_known"] == len(samples)


def test_of_two_values_the_larger_stays_whichever_came_first(publisher: Publisher):
    at = AS_OF - HOUR
    publisher.ingest([(1, at, 5.0)], run_of(AS_OF))
    assert publisher.ingest([(1, at, 4.0)], run_of(AS_OF))["samples_corrected"] == 0
    assert publisher.ingest([(1, at, 9.0)], run_of(AS_OF))["samples_corrected"] == 1
    assert publisher.rows("SELECT value FROM raw.samples") == [(9.0,)]


def test_what_a_server_answers_later_replaces_what_it_answered_of_less(publisher: Publisher):
    at = AS_OF - HOUR
    publisher.ingest([(1, at, 100.0), (1, at - HOUR, 7.0)], run_of(AS_OF), answered=True)
    publisher.conclude(run_of(AS_OF))
    counts = publisher.ingest([(1, at, 5.0)], run_of(AS_OF, "again"), answered=True)
    assert (counts["samples_corrected"], counts["samples_known"]) == (1, 0)
    assert publisher.ingest([(1, at, 5.0)], run_of(AS_OF, "again"), answered=True)["samples_known"] == 1
    publisher.conclude(run_of(AS_OF, "again"))
    assert publisher.rows("SELECT value FROM raw.samples ORDER BY ts") == [(7.0,), (5.0,)]
    assert publisher.rows("SELECT mean FROM features.hourly ORDER BY hour") == [(7.0,), (5.0,)]


def test_a_file_beside_an_answer_is_still_a_file(publisher: Publisher):
    at = AS_OF - HOUR
    publisher.ingest([(1, at, 9.0), (2, at, 9.0)], run_of(AS_OF))
    ids = pl.Series("series_id", [1], pl.UInt64)
    read, answered = (
        publisher.file(pl.DataFrame({"series_id": ids + n, "ts": [at], "value": [4.0]}).cast({"series_id": pl.UInt64}))
        for n in range(2)
    )
    with publisher.warehouse.writer() as con:
        counts = publish_raw(con, StagedRaw(samples=[read, answered], answers=[answered]), run_of(AS_OF), KEEP)
    assert counts["samples_corrected"] == 1
    assert publisher.rows("SELECT series_id, value FROM raw.samples ORDER BY 1") == [(1, 9.0), (2, 4.0)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 30), st.floats(-10, 10)), min_size=1, max_size=30), st.data()
)
def test_the_order_of_arrival_does_not_matter(tmp_path_factory, rows, data):
    samples = list({(i, h): (i, AS_OF - h * HOUR, v) for i, h, v in rows}.values())
    split = data.draw(st.integers(0, len(samples)))
    found = []
    for parts in ((samples,), (samples[split:], samples[:split]), (samples, samples[:split])):
        folder = tmp_path_factory.mktemp("w")
        warehouse = Warehouse(folder, patience_s=0)
        warehouse.migrate()
        publisher = Publisher(warehouse, folder)
        for part in parts:
            if part:
                publisher.ingest(part, run_of(AS_OF))
        publisher.conclude(run_of(AS_OF))
        found.append(
            (publisher.rows("FROM raw.samples ORDER BY ALL"), publisher.rows("FROM features.hourly ORDER BY ALL"))
        )
    assert found[0] == found[1] == found[2]


def test_days_stay_pending_until_their_hours_are_published(publisher: Publisher):
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF))
    assert len(publisher.rows("FROM raw.pending_days")) == 1
    publisher.conclude(run_of(AS_OF))
    assert publisher.rows("FROM raw.pending_days") == []
    assert publisher.rows("SELECT mean, n FROM features.hourly") == [(1.0, 1)]


def test_a_late_sample_of_a_kept_day_is_rolled_up_again(publisher: Publisher):
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    publisher.ingest([(1, AS_OF - HOUR / 2, 3.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    assert publisher.rows("SELECT mean, n FROM features.hourly ORDER BY hour") == [(2.0, 2)]


def test_purged_hours_stay_and_their_samples_are_late(publisher: Publisher):
    old = AS_OF - timedelta(days=20)
    publisher.ingest([(1, old, 1.0), (1, AS_OF - HOUR, 2.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    assert publisher.rows("SELECT value FROM raw.samples") == [(2.0,)]
    counts = publisher.ingest([(1, old, 7.0), (2, old, 4.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    assert counts["samples_late"] == 1 and counts["samples_new"] == 1
    assert publisher.rows("SELECT series_id, mean FROM features.hourly WHERE hour < '2026-02-20' ORDER BY 1") == [
        (1, 1.0),
        (2, 4.0),
    ]


def test_expired_samples_are_counted_and_not_taken(publisher: Publisher):
    counts = publisher.ingest([(1, AS_OF - timedelta(days=41), 1.0), (1, AS_OF - HOUR, 2.0)], run_of(AS_OF))
    assert counts["samples_expired"] == 1
    assert publisher.rows("SELECT count(*) FROM raw.samples") == [(1,)]


def test_what_was_purged_stays_purged_whatever_the_settings_say_now(publisher: Publisher, monkeypatch):
    old = AS_OF - timedelta(days=20)
    publisher.ingest([(1, old, 10.0), (1, old + HOUR / 2, 20.0), (1, AS_OF - HOUR, 2.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    monkeypatch.setattr(sys.modules[__name__], "KEEP", Retention(raw_days=39, hourly_days=40))
    assert publisher.ingest([(1, old + HOUR / 4, 99.0)], run_of(AS_OF))["samples_late"] == 1
    publisher.conclude(run_of(AS_OF))
    assert publisher.rows("SELECT mean, n FROM features.hourly ORDER BY hour")[0] == (15.0, 2)


def incidents(warehouse: Warehouse, **changes) -> pl.DataFrame:
    with warehouse.reader() as con:
        empty = con.sql("FROM raw.incidents LIMIT 0").pl()
    row = dict.fromkeys(empty.columns) | {
        "source": "s", "incident_id": "INC1", "created_at": AS_OF, "created_basis": "field", "updated_at": AS_OF,
        "is_predicted": False, "title": "a", **changes,
    }  # fmt: skip
    return pl.DataFrame([row], schema=empty.schema)


def test_of_two_versions_of_an_incident_the_later_stays(publisher: Publisher):
    def ingest(**changes) -> dict[str, int]:
        staged = StagedRaw(incidents=[publisher.file(incidents(publisher.warehouse, **changes))])
        with publisher.warehouse.writer() as con:
            return publish_raw(con, staged, run_of(AS_OF), KEEP)

    assert ingest()["incidents_new"] == 1
    assert ingest() == {"incidents_new": 0, "incidents_changed": 0}
    assert ingest(title="b", updated_at=AS_OF + HOUR)["incidents_changed"] == 1
    assert ingest(title="old", updated_at=AS_OF)["incidents_changed"] == 0
    assert publisher.rows("SELECT title FROM raw.incidents") == [("b",)]


def test_of_two_versions_updated_together_what_a_server_answers_stays(publisher: Publisher):
    def ingest(title: str, *, answered: bool = True) -> tuple[int, str]:
        file = publisher.file(incidents(publisher.warehouse, title=title))
        staged = StagedRaw(incidents=[file], answers=[file] if answered else [])
        with publisher.warehouse.writer() as con:
            counts = publish_raw(con, staged, run_of(AS_OF), KEEP)
        return counts["incidents_changed"], publisher.rows("SELECT title FROM raw.incidents")[0][0]

    assert ingest("b") == (0, "b")
    assert ingest("a") == (1, "a")
    assert ingest("a") == (0, "a")
    assert ingest("c", answered=False) == (1, "c")
    assert ingest("b", answered=False) == (0, "c")


def test_a_first_load_is_what_two_loads_of_it_come_to(warehouse: Warehouse, tmp_path: Path):
    samples = [(n, AS_OF - day * timedelta(days=1), float(n)) for day in range(45, 0, -1) for n in (1, 2)]
    at_once = Publisher(warehouse, tmp_path)
    counts = at_once.ingest(samples, run_of(AS_OF))
    assert (counts["samples_new"], counts["samples_expired"]) == (80, 10)
    again = Publisher(Warehouse(tmp_path / "again"), tmp_path)
    again.warehouse.migrate()
    again.ingest(samples[:50], run_of(AS_OF))
    counts = again.ingest(samples, run_of(AS_OF))
    assert (counts["samples_new"], counts["samples_known"]) == (40, 40)
    for query in ("FROM raw.samples ORDER BY ALL", "SELECT source, day FROM raw.pending_days ORDER BY ALL"):
        assert at_once.rows(query) == again.rows(query)
