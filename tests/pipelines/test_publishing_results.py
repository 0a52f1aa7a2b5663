"""The second commit, and what it does to other nights."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from publisher import AS_OF, HOUR, KEEP, Publisher, run_of

from forecasting.tables import CALIBRATION, TOURNAMENT
from pipelines.publishing.raw import StagedRaw, publish_raw
from pipelines.publishing.runs import record_failure


def test_a_day_that_changes_while_a_night_is_computed_stays_pending(publisher: Publisher):
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF))
    with publisher.warehouse.reader() as con:
        read = publisher.file(con.sql("FROM raw.pending_days").pl())
    publisher.ingest([(1, AS_OF - 2 * HOUR, 1.0)], run_of(AS_OF + timedelta(days=1)))
    publisher.conclude(run_of(AS_OF), rolled_days=read)
    assert len(publisher.rows("FROM raw.pending_days")) == 1


def test_purging_an_older_night_again_keeps_what_newer_nights_need(publisher: Publisher):
    older = AS_OF - timedelta(days=30)
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF))
    publisher.ingest([(1, older - timedelta(days=5), 1.0)], run_of(older))
    publisher.conclude(run_of(older))
    assert publisher.rows("SELECT count(*) FROM raw.samples") == [(2,)]


def event(night: datetime, event_no: int = 1, probability: float = 0.9) -> pl.DataFrame:
    row = {
        "ticket_id": "aaaaaaaaaa-20260301", "as_of": night, "event_no": event_no, "event": "opened", "reason": "r",
        "fingerprint": "aaaaaaaaaa", "entity": "e", "signal": "s", "limit_name": "l", "direction": "up",
        "series_id": 1, "source": "src", "metric": "m", "unit": None, "service": None,
        "limit_value": 1.0, "level": 1.0, "horizon_h": 168,
        "probability": probability, "eta_p10": None, "eta_p50": None, "eta_p90": None, "model": "m", "shape": "s",
        "facts": "[]", "others": 0,
    }  # fmt: skip
    return pl.DataFrame([row])


def test_running_a_night_again_with_other_tickets_makes_later_nights_stale(publisher: Publisher):
    later = AS_OF + timedelta(days=1)
    for night in (AS_OF, later):
        publisher.ingest([(1, night - HOUR, 1.0)], run_of(night))
        publisher.conclude(run_of(night), ticket_events=event(night))
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF, "same"))
    assert publisher.conclude(run_of(AS_OF, "same"), ticket_events=event(AS_OF)) == []
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF, "other"))
    assert publisher.conclude(run_of(AS_OF, "other"), ticket_events=event(AS_OF, probability=0.8)) == [later]
    assert publisher.rows("SELECT as_of, status FROM main.runs ORDER BY as_of") == [(AS_OF, "done"), (later, "stale")]
    assert len(publisher.rows("FROM reports.ticket_events")) == 2


def calibration(night: datetime, questions: int = 10) -> pl.DataFrame:
    row = {"as_of": night, "model": "learnt", "shape": "all", "horizon_h": 168, "prior": "none", "lessons": 20,
           "learnt_from": night, "learnt_until": night, "questions": questions, "crossed": 3, "mean_p": 0.3,
           "brier": 0.1, "climatology_brier": 0.2, "calibration_error": 0.05,
           "bins": [{"p": 0.05, "share": 0.0, "n": 7}, {"p": 0.9, "share": 1.0, "n": 3}]}  # fmt: skip
    return pl.DataFrame([row], schema=CALIBRATION)


def test_calibration_and_tournament_are_replaced_with_their_night_and_kept(publisher: Publisher):
    def standing(night: datetime, served: int) -> pl.DataFrame:
        return pl.DataFrame(
            [(night, "prophet", "seasonal", 4, served, 12, 0.2, 0.3, 0.8)], schema=TOURNAMENT, orient="row"
        )

    later = AS_OF + timedelta(days=300)  # long after whatever is purged
    for night, questions in ((AS_OF, 10), (AS_OF, 11), (later, 12)):
        publisher.ingest([(1, night - HOUR, 1.0)], run_of(night))
        publisher.conclude(
            run_of(night), calibration=calibration(night, questions), tournament=standing(night, questions)
        )
    told = publisher.rows(
        "SELECT as_of, questions, list_sum(list_transform(bins, lambda b: b.n)) FROM forecasting.calibration"
    )
    assert sorted(told) == [(AS_OF, 11, 10), (later, 12, 10)]
    assert sorted(publisher.rows("SELECT as_of, served FROM forecasting.tournament")) == [(AS_OF, 11), (later, 12)]


def profile(night: datetime, **more) -> pl.DataFrame:
    row = {"as_of": night, "series_id": 1, "shape": "trend", "history_h": 48, "observed_h": 48, "longest_gap_h": 0,
           "resets": 0, "steps": 0, "is_integer": False}  # fmt: skip
    return pl.DataFrame([row | more])


def test_a_frame_need_not_have_columns_that_may_be_null_but_must_have_the_others(publisher: Publisher):
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run_of(AS_OF))
    publisher.conclude(run_of(AS_OF), profiles=profile(AS_OF))
    assert publisher.rows("SELECT shape, ceiling FROM features.profiles") == [("trend", None)]
    publisher.conclude(run_of(AS_OF), profiles=profile(AS_OF, ceiling=80.0).select(pl.all().reverse()))
    assert publisher.rows("SELECT shape, ceiling FROM features.profiles") == [("trend", 80.0)]
    with pytest.raises(duckdb.ConstraintException, match="shape"):
        publisher.conclude(run_of(AS_OF), profiles=profile(AS_OF).drop("shape"))
    with pytest.raises(duckdb.BinderException, match="sealing"):
        publisher.conclude(run_of(AS_OF), profiles=profile(AS_OF, sealing=80.0))


def risk(night: datetime, state: str, p: float) -> pl.DataFrame:
    row = {"as_of": night, "series_id": 1, "limit_name": "l", "horizon_h": 168, "signal": "s", "direction": "up",
           "limit_value": 9.0, "state": state, "p": p, "eta_p10": None, "eta_p50": None, "eta_p90": None,
           "last_beyond_at": None, "model": "m", "reason": None, "facts": None}  # fmt: skip
    return pl.DataFrame([row])


def test_other_risks_alone_make_later_nights_stale_too(publisher: Publisher):
    later = AS_OF + timedelta(days=1)
    for night in (AS_OF, later):
        publisher.ingest([(1, night - HOUR, 1.0)], run_of(night))
        publisher.conclude(run_of(night), risks=risk(night, "crossed", 1.0))
    assert publisher.conclude(run_of(AS_OF), risks=risk(AS_OF, "crossed", 1.0)) == []
    assert publisher.conclude(run_of(AS_OF), risks=risk(AS_OF, "scored", 0.4)) == [later]


def test_a_retry_from_the_point_of_failure_continues_the_nights_record(publisher: Publisher):
    schema = {"source": pl.String, "file": pl.String, "file_row": pl.Int64, "reason": pl.String, "detail": pl.String}
    rejects = publisher.file(pl.DataFrame([("s", "f.csv", 3, "NaN", "nan")], schema=schema, orient="row"))
    with publisher.warehouse.writer() as con:
        publish_raw(con, StagedRaw(rejects=[rejects]), run_of(AS_OF, "first"), KEEP)
        record_failure(con, run_of(AS_OF, "first"), "it broke")
    publisher.conclude(run_of(AS_OF, "retry"))  # it has no first commit of its own
    assert publisher.rows("SELECT run_id, status FROM main.runs") == [(f"retry-{AS_OF:%Y%m%d}", "done")]
    assert publisher.rows("SELECT run_id FROM raw.rejects") == [(f"retry-{AS_OF:%Y%m%d}",)]


def test_a_failed_run_leaves_the_published_night_whole(publisher: Publisher):
    run = run_of(AS_OF)
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], run)
    publisher.conclude(run, ticket_events=event(AS_OF))
    again = replace(run, run_id="again")
    publisher.ingest([(1, AS_OF - HOUR, 1.0)], again)
    with publisher.warehouse.writer() as con:
        record_failure(con, again, "it broke")
    assert publisher.rows("SELECT run_id, status, note FROM main.runs ORDER BY ALL") == [
        ("again", "failed", "it broke"),
        (run.run_id, "done", None),
    ]
    assert len(publisher.rows("FROM reports.ticket_events")) == 1


def test_rejects_belong_to_the_last_run_of_a_night(publisher: Publisher, tmp_path: Path):
    schema = {"source": pl.String, "file": pl.String, "file_row": pl.Int64, "reason": pl.String, "detail": pl.String}
    rejects = publisher.file(pl.DataFrame([("s", "f.csv", 3, "NaN", "nan")], schema=schema, orient="row"))
    for name in ("first", "second", "third"):
        with publisher.warehouse.writer() as con:
            publish_raw(con, StagedRaw(rejects=[rejects]), run_of(AS_OF, name), KEEP)
        if name != "first":  # the first run of the night dies before its results
            publisher.conclude(run_of(AS_OF, name))
    assert publisher.rows("SELECT run_id, row, reason FROM raw.rejects") == [(f"third-{AS_OF:%Y%m%d}", 1, "NaN")]


def test_a_limit_is_told_once_until_it_changes(publisher: Publisher):
    def limit(night: datetime, value: float) -> pl.DataFrame:
        row = {"series_id": 1, "limit_name": "l", "valid_from": night, "signal": "s", "direction": "up", "value": value}
        return pl.DataFrame([row | {"lasts_h": 3, "basis": "said"}])

    for day, value in enumerate([90.0, 90.0, 95.0, 95.0, 90.0]):
        night = AS_OF + timedelta(days=day)
        publisher.ingest([(1, night - HOUR, 1.0)], run_of(night))
        publisher.conclude(run_of(night), limits=limit(night, value))
    assert publisher.rows("SELECT day(valid_from), value FROM forecasting.limits ORDER BY 1") == [
        (1, 90.0),
        (3, 95.0),
        (5, 90.0),
    ]


def outcome(ticket_id: str, told: str, night: datetime) -> pl.DataFrame:
    row = {"ticket_id": ticket_id, "outcome": told, "crossed_at": None, "lead_hours": None, "why": "w"}
    return pl.DataFrame([row | {"settled_as_of": night}])


def test_what_a_night_settles_goes_before_what_it_or_a_later_one_had_settled(publisher: Publisher):
    later = AS_OF + timedelta(days=1)
    both = pl.concat([outcome(name, "averted", later) for name in "ab"])
    publisher.conclude(run_of(later), ticket_outcomes=both)
    publisher.conclude(run_of(AS_OF), ticket_outcomes=outcome("c", "unknown", AS_OF))
    publisher.conclude(run_of(AS_OF), ticket_outcomes=outcome("a", "came_true", AS_OF))
    assert publisher.rows("SELECT ticket_id, outcome, settled_as_of FROM reports.ticket_outcomes ORDER BY ALL") == [
        ("a", "came_true", AS_OF),
        ("b", "averted", later),
    ]


def opinion(by: str, useful: bool, given_at: datetime, ticket_id: str = "a") -> pl.DataFrame:
    row = {"ticket_id": ticket_id, "given_by": by, "useful": useful, "worked_at": None, "note": None}
    return pl.DataFrame([row | {"given_at": given_at}])


def test_an_opinion_is_replaced_by_the_same_persons_and_never_lost(publisher: Publisher):
    said, later = AS_OF - HOUR, AS_OF + timedelta(days=1)
    publisher.conclude(run_of(AS_OF), feedback=pl.concat([opinion("kim", True, said), opinion("lea", True, said)]))
    publisher.conclude(run_of(AS_OF), feedback=opinion("kim", False, said))  # corrected; the other line is gone
    publisher.conclude(run_of(later), feedback=opinion("lea", False, AS_OF))
    publisher.conclude(run_of(AS_OF), feedback=pl.concat([opinion("kim", False, said), opinion("lea", True, said)]))
    assert publisher.rows("SELECT given_by, useful, given_at FROM reports.feedback ORDER BY ALL") == [
        ("kim", False, said),
        ("lea", False, AS_OF),
    ]


def test_what_is_refused_after_the_first_commit_is_listed_behind_it_and_once(publisher: Publisher, tmp_path: Path):
    schema = {"source": pl.String, "file": pl.String, "file_row": pl.Int64, "reason": pl.String, "detail": pl.String}
    first, second = (
        publisher.file(pl.DataFrame([(name, "f.csv", 7, "why", "what")], schema=schema, orient="row"))
        for name in ("desk", "feedback")
    )
    with publisher.warehouse.writer() as con:
        publish_raw(con, StagedRaw(rejects=[first]), run_of(AS_OF), KEEP)
    for _again in range(2):
        publisher.conclude(run_of(AS_OF), rejects=[second])
    assert publisher.rows("SELECT row, source FROM raw.rejects ORDER BY row") == [(1, "desk"), (2, "feedback")]
