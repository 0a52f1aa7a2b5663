from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import incidents as subject
from features.incidents import as_of_view, durations

DAY = datetime(2026, 5, 1)
STAMPS = ("started", "detected", "created", "acknowledged", "mitigated", "resolved", "closed", "cancelled")
TEXTS = ("source", "incident_id", "title", "service", "entity", "team", "category", "severity", "priority", "state")
SCHEMA = (
    dict.fromkeys(TEXTS, pl.String)
    | {name: kind for s in STAMPS for name, kind in ((f"{s}_at", pl.Datetime("us")), (f"{s}_basis", pl.String))}
    | {"updated_at": pl.Datetime("us"), "reopen_count": pl.Int32, "reassignment_count": pl.Int32}
    | {"is_predicted": pl.Boolean, "is_major": pl.Boolean, "sla_met": pl.Boolean, "on_hold_s": pl.Int32}
    | {"review_at": pl.Datetime("us"), "actions_total": pl.Int32, "actions_done": pl.Int32}
    | dict.fromkeys(("commander", "communications", "experts"), pl.String)
)
EVENTS = {
    "source": pl.String, "incident_id": pl.String, "event_no": pl.Int32, "changed_at": pl.Datetime("us"),
    "state": pl.String, "team": pl.String, "assignee": pl.String,
}  # fmt: skip


def hour(h: float) -> datetime:
    return DAY + timedelta(hours=h)


def incident(name: str = "a", created: float = 0, **given: Any) -> dict[str, Any]:
    """An incident; stamps by their stem in hours."""
    stamps = {stem: hour(given.pop(stem)) for stem in STAMPS if stem in given} | {"created": hour(created)}
    row: dict[str, Any] = dict.fromkeys(SCHEMA)
    for stem, moment in stamps.items():
        row |= {f"{stem}_at": moment, f"{stem}_basis": "field"}
    updated = given.pop("updated", None)
    row |= {"source": "s", "incident_id": name, "is_predicted": False}
    row["updated_at"] = max(stamps.values()) if updated is None else hour(updated)
    return row | given


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def log(*steps: tuple[float, str | None], name: str = "a", teams: tuple[str | None, ...] = ()) -> pl.DataFrame:
    rows = [
        ("s", name, number, hour(at), state, teams[number] if teams else None, None)
        for number, (at, state) in enumerate(steps)
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def view(rows: dict[str, Any], events: pl.DataFrame, at: float) -> dict[str, Any]:
    (row,) = as_of_view(frame(rows), events, hour(at)).iter_rows(named=True)
    return row


REOPENED = log((0, "New"), (1, "Active"), (5, "Resolved"), (8, "Active"), (12, "Resolved"), (20, "Closed"))
TWICE = incident(acknowledged=1, resolved=12, closed=20, state="Closed", reopen_count=1)


@pytest.mark.parametrize(
    ("at", "state", "resolved", "basis", "reopened"),
    [
        (0.5, "New", None, None, 0),
        (3, "Active", None, None, 0),
        (6, "Resolved", 5, "changelog", 0),
        (8, "Resolved", 5, "changelog", 0),  # the reopening at 8 is not before 8
        (10, "Active", None, None, 1),
        (13, "Resolved", 12, "field", 1),
        (30, "Closed", 12, "field", 1),
    ],
)
def test_a_reopened_incident_counts_as_its_events_say(
    at: float, state: str, resolved: float | None, basis: str | None, reopened: int
) -> None:
    seen = view(TWICE, REOPENED, at)
    assert seen["state"] == state
    assert seen["resolved_at"] == (None if resolved is None else hour(resolved))
    assert (seen["resolved_basis"], seen["reopen_count"]) == (basis, reopened)


def test_later_incidents_and_stamps_are_taken_away_with_their_basis() -> None:
    rows = frame(incident("a", acknowledged=2, resolved=30, closed=40), incident("b", created=24))
    seen = as_of_view(rows, log().clear(), hour(24))
    assert seen["incident_id"].to_list() == ["a"]
    row = seen.row(0, named=True)
    assert row["acknowledged_at"] == hour(2)
    assert (row["resolved_at"], row["resolved_basis"], row["closed_at"], row["closed_basis"]) == (None,) * 4
    assert row["state"] == "acknowledged"
    assert row["updated_at"] == hour(2)


def test_without_events_an_unchanged_record_is_believed() -> None:
    assert view(incident(resolved=3, state="Done"), log(), 24)["state"] == "Done"
    assert view(incident(resolved=3, state="Done", updated=30), log(), 24)["state"] == "resolved"


def test_counts_of_a_record_changed_later_are_not_known() -> None:
    assert view(incident(reopen_count=2, updated=3), log(), 24)["reopen_count"] == 2
    assert view(incident(reopen_count=2, updated=30), log(), 24)["reopen_count"] is None


def test_a_stamp_later_than_the_log_stands() -> None:
    seen = view(incident(resolved=9, state="Resolved"), log((1, "Active")), 24)
    assert (seen["resolved_at"], seen["resolved_basis"], seen["state"]) == (hour(9), "field", "Resolved")


def test_closing_without_resolving_first_is_the_resolution() -> None:
    seen = view(incident(closed=6, state="Closed"), log((1, "Active"), (6, "Closed"), (7, "Closed")), 24)
    assert (seen["resolved_at"], seen["resolved_basis"]) == (hour(6), "changelog")


def test_work_begun_stands_in_for_an_acknowledgement() -> None:
    seen = view(incident(), log((0, "New"), (2, "In Progress"), (3, "On Hold")), 24)
    assert (seen["acknowledged_at"], seen["acknowledged_basis"]) == (hour(2), "changelog")


def test_cancelling_is_read_from_the_events() -> None:
    seen = view(incident(), log((0, "New"), (2, "Cancelled")), 24)
    assert (seen["cancelled_at"], seen["cancelled_basis"], seen["state"]) == (hour(2), "changelog", "Cancelled")
    assert view(incident(cancelled=2), log((0, "New"), (2, "Cancelled"), (3, "Active")), 24)["cancelled_at"] is None


def test_unknown_words_and_events_without_a_state_change_nothing() -> None:
    seen = view(incident(), log((0, "New"), (4, "Resolved"), (5, "-100"), (6, None)), 24)
    assert (seen["resolved_at"], seen["state"]) == (hour(4), "-100")


def test_team_and_reassignments_are_those_of_the_night() -> None:
    steps = log((0, "New"), (1, "Active"), (2, "Active"), (9, "Active"), teams=("?", "db", "web", "net"))
    seen = view(incident(team="net", reassignment_count=2), steps, 5)
    assert (seen["team"], seen["reassignment_count"]) == ("web", 1)
    assert view(incident(team=" ? "), log(), 5)["team"] is None


@st.composite
def histories(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    words = st.sampled_from(["New", "Active", "On Hold", "Resolved", "Closed", "Cancelled", "?!", None])
    hours = st.integers(0, 40)
    rows, logs = [], [log()]
    for name in "abc"[: draw(st.integers(1, 3))]:
        stems = draw(st.sets(st.sampled_from(["acknowledged", "resolved", "closed", "cancelled"])))
        given_stamps = {stem: draw(hours) for stem in sorted(stems)}
        rows.append(incident(name, created=draw(hours), **given_stamps, state=draw(words), updated=draw(hours)))
        steps = draw(st.lists(st.tuples(hours, words), max_size=6))
        teams = tuple(draw(st.sampled_from(["db", "web", None])) for _ in steps)
        logs.append(log(*steps, name=name, teams=teams))
    return frame(*rows), pl.concat(logs)


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(1, 39), st.integers(0, 1_000_000))
def test_nothing_later_has_any_influence(history: tuple[pl.DataFrame, pl.DataFrame], at: int, noise: int) -> None:
    rows, events = history
    as_of = hour(at)
    other = as_of + timedelta(seconds=noise)
    stamps = [f"{stem}_at" for stem in STAMPS] + ["updated_at"]
    changed = rows.with_columns(
        pl.when(pl.col("updated_at") >= as_of).then(pl.lit("Closed")).otherwise("state").alias("state"),
        *(pl.when(pl.col(name) >= as_of).then(pl.lit(other)).otherwise(name).alias(name) for name in stamps),
    )
    fewer = events.filter(pl.col("changed_at") < as_of).sample(fraction=1.0, shuffle=True, seed=noise)
    seen = as_of_view(rows, events, as_of)
    assert seen.equals(as_of_view(changed, fewer, as_of))
    assert seen.equals(as_of_view(seen, events, as_of)), "a view is its own view"
    assert all(seen.filter(pl.col(stamp) >= as_of).is_empty() for stamp in stamps)
    assert all((seen[f"{s}_at"].is_null() == seen[f"{s}_basis"].is_null()).all() for s in STAMPS)


# ------------------------------------------------------------------------------------------------------- durations


def took(row: dict[str, Any], at: float = 24) -> dict[str, Any]:
    """The durations of one incident beside one that is acknowledged, so that its source does record that."""
    seen = as_of_view(frame(row, incident("z", acknowledged=1, resolved=2)), log().clear(), hour(at))
    return durations(seen, hour(at)).row(by_predicate=pl.col("incident_id") == row["incident_id"], named=True)


def test_durations_run_from_creation_in_seconds() -> None:
    row = took(incident(created=1, acknowledged=1.5, resolved=4, state="Resolved"))
    assert (row["time_to_acknowledge_s"], row["time_to_resolve_s"]) == (1800.0, 10800.0)
    assert (row["acknowledge_excluded"], row["resolve_excluded"]) == (None, None)
    assert (row["is_open"], row["ended_at"], row["age_s"]) == (False, hour(4), 23 * 3600)


def test_an_open_incident_is_censored_at_its_age() -> None:
    row = took(incident(created=4, state="New"))
    assert (row["is_open"], row["age_s"], row["ended_at"]) == (True, 20 * 3600, None)
    assert (row["time_to_resolve_s"], row["resolve_excluded"]) == (None, None)
    assert (row["time_to_acknowledge_s"], row["acknowledge_excluded"]) == (None, None)


@pytest.mark.parametrize(
    ("row", "resolve", "acknowledge"),
    [
        (incident(resolved=2, is_predicted=True), subject.PREDICTED, subject.PREDICTED),
        (incident(cancelled=2), subject.CANCELLED, subject.CANCELLED),
        (incident(state="Duplicate"), subject.CANCELLED, subject.CANCELLED),
        (incident(acknowledged=0, resolved=0), subject.AFTER_THE_FACT, subject.AFTER_THE_FACT),
        (incident(created=3, resolved=2), subject.RESOLVED_EARLY, subject.NO_ACKNOWLEDGEMENT),
        (incident(acknowledged=1, state="Done"), subject.NO_RESOLVED_TIME, None),
        (incident(acknowledged=1, closed=3), subject.NO_RESOLVED_TIME, None),
        (incident(acknowledged=1, resolved=3, state="Open"), subject.CONTRADICTION, None),
        (incident(resolved=2), None, subject.NO_ACKNOWLEDGEMENT),
        (incident(state="In Progress"), None, subject.NO_ACKNOWLEDGEMENT),
        (incident(created=3, acknowledged=2, resolved=5), None, subject.ACKNOWLEDGED_EARLY),
        (incident(acknowledged=5, resolved=4), None, subject.ACKNOWLEDGED_LATE),
    ],
)
def test_what_is_left_out_says_why(row: dict[str, Any], resolve: str | None, acknowledge: str | None) -> None:
    found = took(row)
    assert (found["resolve_excluded"], found["acknowledge_excluded"]) == (resolve, acknowledge)
    if resolve:
        assert found["time_to_resolve_s"] is None
    if acknowledge:
        assert found["time_to_acknowledge_s"] is None


def test_a_source_without_any_acknowledgement_is_left_out_as_a_whole() -> None:
    seen = as_of_view(frame(incident("a", resolved=2), incident("b", state="New")), log(), hour(24))
    reasons = durations(seen, hour(24))["acknowledge_excluded"].unique().to_list()
    assert reasons == [subject.NO_ACKNOWLEDGEMENTS]


def test_no_incidents_at_all() -> None:
    seen = as_of_view(frame(), log(), hour(24))
    assert seen.is_empty()
    assert durations(seen, hour(24)).is_empty()


def lasted(rows: pl.DataFrame, events: pl.DataFrame, at: float) -> pl.DataFrame:
    return durations(as_of_view(rows, events, hour(at)), hour(at), events)


HELD = log((0, "New"), (1, "Active"), (2, "On Hold"), (5, "Active"), (6, "Awaiting Vendor"), (9, "Resolved"))


@pytest.mark.parametrize(("at", "hours"), [(1.5, None), (2.5, 0.5), (4, 2), (5.5, 3), (7, 4), (20, 6)])
def test_time_on_hold_is_what_the_events_say_until_then(at: float, hours: float | None) -> None:
    found = lasted(frame(incident(resolved=9)), HELD, at)
    assert found["on_hold_s"].to_list() == [None if hours is None else 3600 * hours]


def test_time_on_hold_is_nought_where_the_source_records_it_and_unknown_elsewhere() -> None:
    rows = frame(
        incident("a", resolved=9), incident("b", resolved=3), incident("c", resolved=3, source="t", on_hold_s=60)
    )
    events = pl.concat([HELD, log((0, "New"), (3, "Resolved"), name="b")])
    assert lasted(rows, events, 20)["on_hold_s"].to_list() == [6 * 3600, 0, 60]
    assert durations(as_of_view(rows, events, hour(20)), hour(20))["on_hold_s"].to_list() == [None, None, 60]


@pytest.mark.parametrize(
    ("given", "major"),
    [
        ({"severity": "1 - High"}, True),
        ({"severity": "2"}, False),
        ({"severity": "10"}, False),
        ({"priority": "P1"}, True),
        ({"severity": "minor", "priority": "SEV-1"}, True),
        ({"severity": "critical"}, True),
        ({"severity": "critical", "is_major": False}, False),
        ({}, None),
    ],
)
def test_which_incidents_are_major(given: dict[str, Any], major: bool | None) -> None:
    assert lasted(frame(incident(**given)), log(), 9)["is_major"].to_list() == [major]


def test_what_no_incident_of_a_source_has_is_not_recorded_there() -> None:
    rows = frame(
        incident("a", commander="x", resolved=1, review_at=hour(5)), incident("b", resolved=1),
        incident("c", resolved=1, source="t"),
    )  # fmt: skip
    found = lasted(rows, log(), 9)
    assert found["commander"].to_list() == [True, False, None]
    assert found["reviewed"].to_list() == [True, False, None]
    assert found["experts"].to_list() == [None] * 3
    assert lasted(rows, log(), 4)["reviewed"].to_list() == [None] * 3  # the review was still to come
    assert "x" not in str(found.rows())


def test_agreements_and_actions_are_believed_of_records_that_have_not_changed_since() -> None:
    row = incident(resolved=1, updated=6, sla_met=True, actions_total=3, actions_done=2)
    assert lasted(frame(row), log(), 9).select("sla_met", "actions_total", "actions_done").row(0) == (True, 3, 2)
    assert lasted(frame(row), log(), 5).select("sla_met", "actions_total", "actions_done").row(0) == (None,) * 3


def test_what_is_odd_about_an_incident_is_flagged() -> None:
    swept = [incident(f"s{k}", created=k / 10, resolved=8) for k in range(10)]
    late = incident("late", resolved=2, closed=3, updated=5)
    found = lasted(frame(*swept, late), log(), 9).sort("incident_id")
    assert found["resolved_in_bulk"].to_list() == [False] + [True] * 10
    assert found["changed_after_close"].to_list() == [True] + [False] * 10
