from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ticket_examples import FIRST, fleet, frame, live, night, profiles, risk, story

from reports.ticket_events import EVENTS, fold, histories
from reports.ticket_policy import TicketPolicy, decide

POLICY = TicketPolicy()
ONE = fleet(s1="db-02")


def test_opens_once_and_is_kept_silently():
    nights = [[risk(n=0)], [risk(n=1, p=0.8, eta_h=30)], [risk(n=2, p=0.76, eta_h=10)]]
    assert story(live(nights, ONE, POLICY)) == [(0, "opened", "probability at or above 70 %")]


def test_an_opening_carries_what_the_ticket_needs():
    row = live([[risk(eta_h=48)]], ONE, POLICY).row(0, named=True)
    assert list(row) == list(EVENTS)
    assert row["ticket_id"] == row["fingerprint"] + "-20260601"
    assert (row["event_no"], row["entity"], row["level"], row["shape"]) == (1, "db-02", 80.0, "trend")
    assert row["eta_p50"] == FIRST + timedelta(hours=48)


@pytest.mark.parametrize("p", [0.69, None])
def test_low_or_unknown_risk_opens_nothing(p):
    assert live([[risk(p=p)]], ONE, POLICY).is_empty()


def test_another_horizon_opens_nothing():
    assert live([[risk(horizon_h=24)]], ONE, POLICY).is_empty()


def test_already_crossed_is_no_prediction_nor_on_the_night_after():
    nights = [[risk(n=0, state="crossed")], [risk(n=1, p=0.95)], [risk(n=2, p=0.95)]]
    assert story(live(nights, ONE, POLICY)) == [(2, "opened", "probability at or above 70 %")]


def test_hold_nights_must_agree_in_a_row():
    policy = TicketPolicy(hold_nights=3)
    series = fleet(s1="db-02")
    nights = [[risk(n=0)], [risk(n=1, p=0.6)], [risk(n=2)], [risk(n=3)], [risk(n=4)]]
    assert story(live(nights, series, policy)) == [(4, "opened", "probability at or above 70 % for 3 nights")]


def test_a_night_that_did_not_run_agrees_with_nothing():
    assert live([[risk(n=0)], [], [risk(n=2)]], ONE, TicketPolicy(hold_nights=2)).is_empty()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p": 0.74}, "probability changed"),
        ({"eta_h": 70}, "expected time changed"),
        ({"limit": 92.0}, "limit changed"),
        ({"p": 0.7, "eta_h": 70}, "probability changed; expected time changed"),
        ({"limit": 90.5}, None),
        ({"p": 0.8, "eta_h": 30}, None),
    ],
)
def test_updated_when_it_changes_materially(change, reason):
    events = live([[risk(n=0)], [risk(n=1, **({"eta_h": 24} | change))]], ONE, POLICY)
    assert story(events)[1:] == ([(1, "updated", reason)] if reason else [])


def test_slow_drift_is_measured_against_the_last_event_written():
    nights = [[risk(n=n, p=p)] for n, p in enumerate([0.75, 0.82, 0.89, 0.96])]
    events = live(nights, ONE, TicketPolicy(update_eta_h=999))
    assert story(events)[1:] == [(3, "updated", "probability changed")]


def test_resolved_when_the_crossing_came_and_the_promise_stays_readable():
    events = live([[risk(n=0, eta_h=20)], [risk(n=1, state="crossed")]], ONE, POLICY)
    assert story(events)[1:] == [(1, "resolved", "crossing came")]
    assert events["probability"].to_list() == [0.9, 1.0]
    assert events["eta_p50"][1] == FIRST + timedelta(hours=20)


def test_resolved_when_the_risk_is_gone():
    events = live(
        [[risk(n=0)], [risk(n=1, p=0.35)], [risk(n=2, p=0.34)]], ONE, TicketPolicy(update_p=1, update_eta_h=999)
    )
    assert story(events)[1:] == [(2, "resolved", "risk gone")]


@pytest.mark.parametrize("silence", [[risk(n=1, p=None), risk(n=2, p=None), risk(n=3, p=None)], []])
def test_resolved_only_on_the_third_silent_night(silence):
    nights = [[risk(n=0)], *([row for row in silence if row["as_of"] == night(n)] for n in (1, 2, 3, 4))]
    assert story(live(nights, ONE, POLICY))[1:] == [(3, "resolved", "no longer measured")]


def test_a_night_of_measurement_breaks_the_silence():
    nights = [[risk(n=0)], [], [], [risk(n=3, eta_h=24)], [], []]
    assert len(live(nights, ONE, TicketPolicy(update_eta_h=999))) == 1


def test_one_ticket_for_a_cause_of_several_series():
    events = live(
        [[risk(1, 0.8), risk(2, 0.9), risk(3, 0.4), risk(4, 0.1)]], fleet(s1="a", s2="a", s3="a", s4="a"), POLICY
    )
    assert events.select("series_id", "others").rows() == [(2, 2)]


def test_a_full_disk_does_not_hide_the_one_that_fills():
    series = fleet(s1="a", s2="a")
    nights = [[risk(1, state="crossed"), risk(2, 0.9)], [risk(1, state="crossed", n=1), risk(2, state="crossed", n=1)]]
    events = live(nights, series, POLICY)
    assert story(events) == [(0, "opened", "probability at or above 70 %"), (1, "resolved", "crossing came")]
    assert events["series_id"].to_list() == [2, 2]


def test_another_series_takes_the_lead():
    nights = [[risk(1, 0.9), risk(2, 0.2)], [risk(1, 0.1, n=1), risk(2, 0.9, n=1, eta_h=24)]]
    events = live(nights, fleet(s1="a", s2="a"), POLICY)
    assert story(events)[1:] == [(1, "updated", "another series leads")]
    assert events["series_id"].to_list() == [1, 2]


def test_a_silent_leader_is_not_declared_well_by_its_neighbours():
    nights = [[risk(1, 0.9), risk(2, 0.1)], [risk(1, None, n=1), risk(2, 0.1, n=1)]]
    assert len(live(nights, fleet(s1="a", s2="a"), POLICY)) == 1


def test_of_several_limits_the_most_severe_opens_and_no_other_beside_it():
    both = [risk(limit_name="warning", limit=80.0, p=0.99), risk(p=0.75)]
    events = live([both, [each | {"as_of": night(1)} for each in both]], ONE, TicketPolicy(update_eta_h=999))
    assert events["limit_name"].to_list() == ["critical"]


def test_the_further_limit_follows_when_the_nearer_was_crossed():
    nights = [
        [risk(limit_name="warning", limit=80.0), risk(p=0.5)],
        [risk(limit_name="warning", limit=80.0, n=1, state="crossed"), risk(n=1)],
    ]
    events = live(nights, ONE, POLICY)
    assert sorted(events.select("as_of", "event", "limit_name").rows()) == [
        (night(0), "opened", "warning"),
        (night(1), "opened", "critical"),
        (night(1), "resolved", "warning"),
    ]


def test_severity_follows_the_direction():
    down: dict[str, Any] = {"direction": "down", "signal": "tls.certificate"}
    rows = [risk(limit_name="warning", limit=14.0, **down), risk(limit_name="critical", limit=3.0, p=0.8, **down)]
    assert live([rows], ONE, POLICY)["limit_name"].to_list() == ["critical"]


def test_the_most_probable_open_first_and_the_rest_wait_a_night():
    series = fleet(s1="a", s2="b", s3="c")
    first = [risk(1, 0.8, eta_h=10), risk(2, 0.95), risk(3, 0.8, eta_h=5)]
    events = live([first, [row | {"as_of": night(1)} for row in first]], series, TicketPolicy(max_new_per_night=2))
    opened = events.filter(pl.col("event") == "opened")
    assert sorted(opened.select("as_of", "entity").rows()) == [(night(0), "b"), (night(0), "c"), (night(1), "a")]


def test_nights_around_the_change_of_clocks_do_not_share_a_ticket_id():
    ids = set()
    for cut in (datetime(2026, 3, 29, 0), datetime(2026, 3, 29, 23)):  # London
        risks = frame(risk() | {"as_of": cut})
        none = fold(pl.DataFrame(schema=EVENTS))
        ids |= set(decide(risks, ONE, profiles(ONE), frame(), none, policy=POLICY, as_of=cut)["ticket_id"])
    assert {name[-8:] for name in ids} == {"20260329", "20260330"}


def test_tickets_of_tonight_are_refused_as_open():
    events = live([[risk()]], ONE, POLICY)
    with pytest.raises(ValueError, match="fold the nights before"):
        decide(frame(risk()), ONE, profiles(ONE), frame(), fold(events), policy=POLICY, as_of=FIRST)


def test_a_risk_without_its_series_is_refused():
    with pytest.raises(ValueError, match="series 7 has a risk but no row"):
        live([[risk(7)]], ONE, POLICY)


# ---------------------------------------------------------------------------------------------------------- invariants

FLEET = fleet(s1="a", s2="a", s3="b", s4="c")
policies = st.builds(
    TicketPolicy,
    hold_nights=st.integers(1, 3),
    silent_nights=st.integers(1, 3),
    max_new_per_night=st.integers(1, 2),
    resolve_below=st.sampled_from([0.3, 0.7]),
)


@st.composite
def nights_of_risks(draw) -> list[list[dict]]:
    nights = []
    for n in range(draw(st.integers(2, 5))):
        rows = []
        for series_id in (1, 2, 3, 4):
            for limit_name, limit in (("warning", 80.0), ("critical", 90.0)):
                state = draw(st.sampled_from(["scored", "scored", "scored", "crossed", "abstained", "absent"]))
                p = draw(st.sampled_from([0.05, 0.4, 0.72, 0.9, 0.97]))
                if state != "absent":
                    p = p if state == "scored" else None
                    eta_h = draw(st.sampled_from([5.0, 40.0, 90.0]))
                    rows.append(risk(series_id, p, n=n, state=state, limit_name=limit_name, limit=limit, eta_h=eta_h))
        nights.append(rows)
    return nights


@settings(max_examples=12, deadline=None)
@given(nights_of_risks(), policies, st.integers(0, 9))
def test_tickets_live_one_life_and_never_two_at_once(nights, policy, seed):
    events = live(nights, FLEET, policy)
    assert events.equals(live(nights, FLEET, policy, np.random.default_rng(seed)))

    for history in histories(events).values():
        kinds = [event.event for event in history]
        assert kinds[0] == "opened"
        assert set(kinds[1:-1]) <= {"updated"}
        assert [event.event_no for event in history] == list(range(1, len(history) + 1))
        assert len({event.as_of for event in history}) == len(history)
        assert "resolved" not in kinds[:-1]
        assert len({(e.fingerprint, e.entity, e.signal, e.limit_name) for e in history}) == 1
    for n in range(len(nights)):
        open_tickets = fold(events, before=night(n + 1))
        assert open_tickets.select("entity", "signal", "direction").is_unique().all()
        opened = events.filter(pl.col("as_of") == night(n), pl.col("event") == "opened")
        assert opened.height <= policy.max_new_per_night

    # Running a night again, in the presence of its own and later events, changes nothing.
    n = seed % len(nights)
    risks = frame(*(row for rows in nights for row in rows))
    before = fold(events, before=night(n))
    again = decide(risks, FLEET, profiles(FLEET, n), risks, before, policy=policy, as_of=night(n))
    assert again.equals(events.filter(pl.col("as_of") == night(n)))


def test_a_limit_reached_within_the_quiet_days_is_a_rhythm_and_opens_nothing():
    def opened(days_ago: float | None, quiet_days: int = 7) -> int:
        beyond = None if days_ago is None else night(0) - timedelta(days=days_ago)
        policy = TicketPolicy(quiet_days=quiet_days)
        return len(live([[risk(p=0.95, last_beyond_at=beyond)]], ONE, policy))

    assert [opened(None), opened(8), opened(6.9), opened(0.5)] == [1, 1, 0, 0]
    assert opened(0.5, quiet_days=0) == 1


# --------------------------------------------------------------------------------------------------- known-bad windows


def decided(tonight: list[dict], before: list[dict], held: list[int], series: pl.DataFrame = ONE) -> pl.DataFrame:
    """Tonight's events where windows hold these series; the night before was live."""
    earlier = live([before], series, POLICY)
    tickets = fold(earlier, before=night(1))
    in_window = pl.Series(held, dtype=pl.UInt64)
    return decide(frame(*tonight), series, profiles(series, 1), frame(*before), tickets, policy=POLICY,
                  as_of=night(1), held=in_window)  # fmt: skip


def test_a_series_in_a_known_bad_window_opens_nothing_and_others_do():
    series = fleet(s1="db-02", s2="web-1")
    tonight = [risk(1, n=1), risk(2, n=1)]
    assert decided(tonight, [], [1], series)["entity"].to_list() == ["web-1"]
    assert decided(tonight, [], [], series).height == 2


@pytest.mark.parametrize("tonight", [[], [risk(n=1, p=0.1)], [risk(n=1, p=0.74)], [risk(n=1, state="crossed")]])
def test_an_open_ticket_is_kept_as_it_is_while_a_window_holds(tonight: list[dict]):
    assert decided(tonight, [risk(n=0)], [1]).is_empty()
    both = [*tonight, risk(n=1, limit_name="further", limit=99.0)]
    assert decided(both, [risk(n=0)], [1]).is_empty(), "nor does another limit of the same open one"
