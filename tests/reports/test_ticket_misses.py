"""Every reason by a small example, and that the reasons are those of the policy that opened the tickets."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ticket_examples import fleet, frame, live, night, risk

from forecasting.settlement import CROSSINGS
from reports.ticket_misses import MISSES, misses
from reports.ticket_outcomes import promises
from reports.ticket_policy import TicketPolicy

POLICY = TicketPolicy(quiet_days=0)
ONE = fleet(s1="db-02")


def crossing(at: datetime, series_id: int = 1, *, limit_name: str = "critical", **more) -> dict:
    return {"series_id": series_id, "limit_name": limit_name, "signal": "host.memory", "direction": "up",
            "limit_value": 90.0, "lasts_h": 3, "crossed_at": at, "confirmed_at": at + timedelta(hours=2),
            "news": True} | more  # fmt: skip


def missed(
    came: dict | list[dict], nights: list[list[dict]], series: pl.DataFrame = ONE, policy: TicketPolicy = POLICY
) -> pl.DataFrame:
    tickets = promises(live(nights, series, policy))
    every = frame(*(row for rows in nights for row in rows))
    crossings = pl.DataFrame(came if isinstance(came, list) else [came], schema=CROSSINGS, orient="row")
    return misses(crossings, tickets, every, series, policy)


def reason(came: dict, nights: list[list[dict]], series: pl.DataFrame = ONE, policy: TicketPolicy = POLICY) -> str:
    return missed(came, nights, series, policy)["reason"].item()


def after(n: int, hours: float = 12) -> datetime:
    return night(n) + timedelta(hours=hours)


def test_what_a_ticket_foresaw_is_no_miss():
    assert missed(crossing(after(1)), [[risk(n=0)], [risk(n=1)]]).is_empty()
    assert missed(crossing(after(0, -2)), [[risk(n=0)]]).is_empty()  # it was not complete when the ticket opened
    assert missed(crossing(after(0, -3)), [[risk(n=0)]])["reason"].to_list() == ["not scored: no night"]


def test_a_ticket_about_another_limit_or_series_of_the_same_entity_foresaw_it_too():
    series = fleet(s1="a", s2="a", s3="b")
    nights = [[risk(1), risk(2, 0.1), risk(3, 0.1)]]
    came = [crossing(after(0), 2), crossing(after(0), 1, limit_name="warning"), crossing(after(0), 3)]
    assert missed(came, nights, series)["series_id"].to_list() == [3]


def test_a_miss_is_told_in_full():
    found = missed(crossing(after(2)), [[risk(n=0, p=0.2)], [risk(n=1, p=0.6)], [risk(n=2, p=0.4)]])
    assert dict(found.schema) == MISSES
    told = ("db-02", "mem_used_percent", "host.memory", "up", "critical", 90.0, after(2), "probability too low", 0.6)
    assert found.rows() == [(1, *told)]


def test_a_rhythm_is_nobodys_miss():
    assert missed(crossing(after(0), news=False), [[risk(n=0, p=0.2)]]).is_empty()


def test_not_scored():
    nights = [[risk(n=0, p=None, reason="constant")], [risk(n=1, p=None, reason="too gappy")]]
    found = missed(crossing(after(1)), nights)
    assert found.select("reason", "p").rows() == [("not scored: too gappy", None)]
    assert reason(crossing(after(7, 1)), nights[:1]) == "not scored: no night"
    assert reason(crossing(after(6)), nights[:1]) == "not scored: constant"


def test_an_answer_tells_more_than_an_abstention():
    nights = [[risk(n=0, p=0.3)], [risk(n=1, p=None, reason="too gappy")]]
    assert reason(crossing(after(1)), nights) == "probability too low"


@pytest.mark.parametrize(("last", "expected"), [({"p": 0.1}, "risk gone"), ({"p": None}, "no longer measured")])
def test_withdrawn(last, expected):
    nights = [[risk(n=0)], *([risk(n=n, **last)] for n in (1, 2, 3))]
    assert reason(crossing(after(5)), nights) == f"withdrawn: {expected}"


def test_a_promise_that_was_kept_before_is_not_withdrawn():
    nights = [[risk(n=0)], [risk(n=1, state="crossed")], [risk(n=2, p=0.3)]]
    assert reason(crossing(after(2)), nights) == "probability too low"


def test_held_back_by_hold_nights():
    policy = TicketPolicy(hold_nights=2, quiet_days=0)
    nights = [[risk(n=0)], [], [risk(n=2)], [risk(n=3, p=0.5)], [risk(n=4)]]
    assert reason(crossing(after(4)), nights, policy=policy) == "held back: hold_nights"


def test_held_back_by_the_cap():
    policy = TicketPolicy(max_new_per_night=1, quiet_days=0)
    series = fleet(s1="a", s2="b")
    assert reason(crossing(after(0), 2), [[risk(1), risk(2, 0.8)]], series, policy) == "held back: cap of the night"


def test_held_back_by_the_quiet_days():
    policy = TicketPolicy(quiet_days=7)
    nights = [[risk(n=0, last_beyond_at=night(-6))]]
    assert reason(crossing(after(3)), nights, policy=policy) == "held back: quiet days"


def test_held_back_since_it_was_beyond_on_the_night_before():
    nights = [[risk(n=0, state="crossed")], [risk(n=1)]]
    assert reason(crossing(after(1)), nights) == "held back: crossed"


def test_held_back_by_another_ticket_of_the_same():
    nights = [
        [risk(limit_name="warning", limit=80.0), risk(p=0.8)],
        [risk(limit_name="warning", limit=80.0, n=1), risk(n=1, p=0.1)],
    ]
    # Of the two the critical one was opened, and resolved on the next night, when the warning's own opened.
    came = crossing(night(1) - timedelta(hours=5), limit_name="warning", limit_value=80.0)
    assert missed(came, nights).is_empty()
    lesser = [[risk(limit_name="warning", limit=80.0, n=0)], [risk(n=1), risk(limit_name="warning", limit=80.0, n=1)],
              [risk(n=2, p=0.5), risk(limit_name="warning", limit=80.0, n=2, state="crossed")]]  # fmt: skip
    assert reason(crossing(after(3)), lesser) == "held back: another ticket"


def test_the_limit_moved():
    nights = [[risk(n=0, p=0.1, limit=99.0)]]
    assert reason(crossing(after(0)), nights) == "limit moved"
    assert reason(crossing(after(0), limit_value=98.9), nights) == "probability too low"


def test_already_beyond():
    assert reason(crossing(after(0)), [[risk(n=0, state="crossed")]]) == "already beyond"


def test_tickets_of_others_than_the_policy():
    tickets = promises(live([], ONE, POLICY))
    crossings = pl.DataFrame([crossing(after(0))], schema=CROSSINGS, orient="row")
    assert misses(crossings, tickets, frame(risk(n=0)), ONE, POLICY)["reason"].to_list() == ["no ticket opened"]


@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([1, 2, 20]), st.sampled_from([0, 3]))
def test_reasons_are_those_of_the_policy_that_opened_the_tickets(seed, hold_nights, cap, quiet_days):
    """Whatever the nights say, the policy's own tickets leave no miss unexplained."""
    rng = np.random.default_rng(seed)
    policy = TicketPolicy(hold_nights=hold_nights, max_new_per_night=cap, quiet_days=quiet_days)
    series = fleet(s1="a", s2="a", s3="b", s4="c", s5="d")
    nights = [
        [
            risk(
                s, n=n, p=None if state == "abstained" else rng.uniform(), state=state, reason="too gappy",
                limit_name=limit_name, limit=limit,
                last_beyond_at=night(n - int(rng.integers(1, 9))) if rng.uniform() < 0.3 else None,
            )
            for s in range(1, 6)
            for limit_name, limit in (("warning", 80.0), ("critical", 90.0))
            for state in [str(rng.choice(["scored", "crossed", "abstained"], p=[0.8, 0.1, 0.1]))]
        ]
        for n in range(8)
    ]  # fmt: skip
    came = [
        crossing(after(int(rng.integers(-1, 9)), int(rng.integers(0, 24))), s, limit_name=name, limit_value=value)
        for s in range(1, 6)
        for name, value in (("warning", 80.0), ("critical", 90.0))
    ]
    found = missed(came, nights, series, policy)
    every = pl.DataFrame(came, schema=CROSSINGS, orient="row")
    assert found["reason"].null_count() == 0
    assert "no ticket opened" not in found["reason"].to_list()
    assert found.unique(["series_id", "limit_name", "crossed_at"]).height == found.height <= every.height


def test_a_night_in_a_known_bad_window_held_its_ticket_back():
    came = pl.DataFrame([crossing(after(1))], schema=CROSSINGS, orient="row")
    nights = frame(risk(n=0, p=0.2), risk(n=1))
    held = pl.DataFrame({"as_of": [night(1)], "series_id": [1]}, schema_overrides={
        "as_of": pl.Datetime("us"), "series_id": pl.UInt64})  # fmt: skip
    nothing = promises(live([], ONE, POLICY))
    assert misses(came, nothing, nights, ONE, POLICY, held=held)["reason"].item() == "held back: known-bad window"
