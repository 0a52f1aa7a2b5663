"""Every outcome by a small example, and what must not change it."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ticket_examples import fleet, live, night, risk

from features.grid import Grid
from forecasting.settlement import crossings, held, parted
from forecasting.tables import LIMITS
from reports.ticket_outcomes import OUTCOMES, TICKETS, WORKED, outcomes, promises
from reports.ticket_policy import TicketPolicy

START = datetime(2026, 3, 1)
OPENED = 40 * 24  # hours from START
WINDOW = 168
RNG = np.random.default_rng(7)
NOISE = RNG.normal(0, 0.3, 80 * 24)
HOURS = np.arange(80 * 24)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def leak(per_hour: float = 0.05, start: float = 20.0) -> np.ndarray:
    """Rises through the 40 days before the opening; reaches 68 then, by default."""
    return start + per_hour * HOURS + NOISE


def ticket(ticket_id: str = "a", series_id: int = 1, *, closed: int | None = OPENED + 24, **more) -> dict:
    return {
        "ticket_id": ticket_id, "series_id": series_id, "signal": "s", "limit_name": "critical", "direction": "up",
        "limit_value": 90.0, "opened_at": at(OPENED), "horizon_h": WINDOW,
        "closed_at": None if closed is None else at(closed), "close_reason": None if closed is None else "elsewhere",
    } | more  # fmt: skip


def limit(value: float = 90.0, since: int = 0, series_id: int = 1, **more) -> dict:
    return {"series_id": series_id, "limit_name": "critical", "valid_from": at(since), "signal": "s", "direction": "up",
            "value": value, "lasts_h": 3, "basis": "set in the settings"} | more  # fmt: skip


def judged(
    values: np.ndarray | list[np.ndarray],
    *tickets: dict,
    limits: list[dict] | None = None,
    worked: dict[str, int] | None = None,
    until: int = OPENED + WINDOW + 24,
) -> pl.DataFrame:
    rows = np.atleast_2d(np.array(values))[:, :until]
    grid = Grid(np.arange(1, len(rows) + 1, dtype=np.uint64), at(rows.shape[1]), rows)
    held_limits = pl.DataFrame(
        limits or [limit(series_id=s) for s in range(1, len(rows) + 1)], schema=LIMITS, orient="row"
    )
    when = pl.DataFrame([(name, at(hour)) for name, hour in (worked or {}).items()], schema=WORKED, orient="row")
    given_tickets = pl.DataFrame(list(tickets) or [ticket()], schema=TICKETS, orient="row")
    return outcomes(given_tickets, crossings(grid, held_limits, 7), held(grid), held_limits, when)


def outcome(*args, **more) -> str | None:
    return judged(*args, **more)["outcome"].item()


def why(*args, **more) -> str:
    return judged(*args, **more)["why"].item()


# ---------------------------------------------------------------------------------------------------------- came true


def test_came_true_with_its_lead():
    values = leak()
    values[OPENED + 51 :] = 95
    found = judged(values)
    assert dict(found.schema) == OUTCOMES
    told = ("a", "came_true", at(OPENED + 51), 51.0, "It reached its limit on 2026-04-12 03:00 UTC.")
    assert found.rows() == [told]


def test_came_true_is_known_at_once():
    values = leak()
    values[OPENED + 51 :] = 95
    assert outcome(values, ticket(closed=None), until=OPENED + 54) == "came_true"
    assert outcome(values, ticket(closed=None), until=OPENED + 53) is None


@pytest.mark.parametrize(("closed", "expected"), [(OPENED + 200, "came_true"), (OPENED + 24, "false_alarm")])
def test_the_window_lasts_as_long_as_the_ticket_stays_open(closed, expected):
    values = leak()
    values[OPENED + 180 :] = 95
    assert outcome(values, ticket(closed=closed), until=OPENED + 300) == expected


def test_a_crossing_that_was_not_complete_at_the_opening_is_not_late():
    values = leak()
    values[OPENED - 2 :] = 95
    assert judged(values)["lead_hours"].to_list() == [-2.0]
    values[OPENED - 3 :] = 95
    assert outcome(values) != "came_true"


def test_downwards():
    values = 100 - leak()
    values[OPENED + 51 :] = 5
    down = {"direction": "down", "limit_value": 10.0}
    limits = [limit(10.0, direction="down")]
    assert outcome(values, ticket(**down), limits=limits) == "came_true"
    values[OPENED + 51 :] = 100 - leak(0.05, -20)[OPENED + 51 :]
    assert outcome(values, ticket(**down), limits=limits) == "averted"


def test_a_renewal_from_its_own_past_is_no_excuse():
    renewed = limit(95.0, OPENED + 48, basis="98th percentile of 28 days before 2026-04-12")
    values = leak()
    assert outcome(values, limits=[limit(), renewed]) == "false_alarm"
    values[OPENED + 60 :] = 92
    found = judged(values, limits=[limit(), renewed])
    assert found["outcome"].item() == "came_true"
    assert found["why"].item().startswith("It reached 90, which the ticket named, on 2026-04-12 12:00 UTC")


def test_what_the_night_saw_beyond_its_limit_came_true_even_if_the_limit_is_told_otherwise_now():
    closed = ticket(close_reason="crossing came")
    assert outcome(leak(), closed, limits=[limit(99.0)]) == "came_true"


# ------------------------------------------------------------------------------------------------------------ averted


def test_averted_by_a_reset():
    values = leak()
    values[OPENED + 60 :] -= 50
    assert outcome(values) == "averted"
    assert "reset on 2026-04-12 12:00 UTC" in why(values)


def test_a_reset_before_the_opening_or_after_the_window_averts_nothing():
    for hour in (OPENED - 5, OPENED + WINDOW):
        values = leak()
        values[hour:] -= 15
        assert outcome(values) == "false_alarm", hour


def test_a_reset_that_lands_nearer_to_the_limit_than_the_opening_averts_nothing():
    values = leak()
    values[OPENED:] += np.minimum(0.2 * np.arange(len(values) - OPENED), 12)
    for fall, expected in ((12, "false_alarm"), (20, "averted")):
        fallen = values.copy()
        fallen[OPENED + 100 :] -= fall
        assert outcome(fallen) == expected


def test_a_reset_after_the_risk_was_gone_averts_nothing():
    values = leak()
    values[OPENED + 60 :] -= 50
    assert outcome(values, ticket(closed=OPENED + 48, close_reason="risk gone")) == "false_alarm"
    assert outcome(values, ticket(closed=OPENED + 72, close_reason="risk gone")) == "averted"


def tooth(every: int, phase: int = 0, height: float = 50.0) -> np.ndarray:
    return 20 + height / every * ((HOURS - OPENED + phase) % every) + NOISE


@pytest.mark.parametrize(("every", "phase"), [(72, 30), (168, 100), (240, 100)])
def test_a_tooth_that_falls_as_it_always_did_is_a_false_alarm(every, phase):
    values = tooth(every, phase)
    assert outcome(values) == "false_alarm"
    assert "is its habit" in why(values)


def test_a_reset_long_before_it_was_due_is_no_habit():
    values = tooth(240, 100)
    early = OPENED + 40
    values[early:] = 20 + 50 / 240 * (np.arange(len(values) - early) % 240)
    assert outcome(values) == "averted"


def test_a_habit_that_was_given_up_is_none():
    values = tooth(72)
    calm = OPENED - 20 * 24
    values[calm:] = 20 + 0.1 * np.arange(len(values) - calm) + NOISE[calm:]
    values[OPENED + 60 :] -= 45
    assert outcome(values) == "averted"


@pytest.mark.parametrize(("to", "expected"), [(120.0, "averted"), (90.5, "false_alarm"), (85.0, "false_alarm")])
def test_averted_by_moving_the_limit_away(to, expected):
    resized = limit(to, OPENED + 48, basis="90 % of disk_size, median of the last 24 hours")
    assert outcome(leak(), limits=[limit(), resized]) == expected


def test_a_limit_moved_after_the_window_averts_nothing():
    assert outcome(leak(), limits=[limit(), limit(120.0, OPENED + WINDOW)]) == "false_alarm"


def test_a_resize_counts_though_the_old_limit_is_passed():
    values = leak()
    values[OPENED + 60 :] = 95
    assert outcome(values, limits=[limit(), limit(180.0, OPENED + 48)]) == "averted"


@pytest.mark.parametrize(("hour", "expected"), [(30, "averted"), (-1, "false_alarm"), (WINDOW, "false_alarm")])
def test_averted_by_work(hour, expected):
    assert outcome(leak(), worked={"a": OPENED + hour}) == expected


def test_a_crossing_is_a_crossing_whatever_was_done():
    values = leak()
    values[OPENED + 100 : OPENED + 110] = 95
    values[OPENED + 110 :] -= 50
    assert outcome(values, worked={"a": OPENED + 20}) == "came_true"


# -------------------------------------------------------------------------------------------- false, unknown, not yet


def test_a_false_alarm_says_so():
    assert why(leak()) == "No crossing came until 2026-04-17 00:00 UTC, and nothing prevented one."


def test_unknown_where_under_half_was_observed():
    values = leak()
    values[OPENED : OPENED + 85] = np.nan
    assert outcome(values, worked={"a": OPENED + 20}) == "unknown"
    assert "only 83 of the window's 168 hours" in why(values)
    values[OPENED + 84] = 70
    assert outcome(values) == "false_alarm"


def test_unknown_where_nothing_was_observed_in_the_last_quarter():
    values = leak()
    values[OPENED + WINDOW - 42 : OPENED + WINDOW + 42] = np.nan
    assert outcome(values) == "unknown"
    assert "nothing was observed in the window's last 42 h" in why(values)
    values[OPENED + WINDOW - 42] = 70
    assert outcome(values) == "false_alarm"


def test_a_series_that_is_gone_is_unknown():
    assert outcome(leak(), ticket(series_id=2), limits=[limit(series_id=2)]) == "unknown"


def test_not_yet_while_the_window_lasts_or_the_ticket_is_open():
    ends = OPENED + WINDOW + 2
    assert outcome(leak(), until=ends - 1) is None
    assert outcome(leak(), until=ends) == "false_alarm"
    assert outcome(leak(), ticket(closed=None), until=ends + 99) is None


def test_a_ticket_without_limit_is_said():
    with pytest.raises(ValueError, match=r"ticket a is about limit 'other' of series 1, which has none; give all rows"):
        judged(leak(), ticket(limit_name="other"))


def test_no_tickets_no_outcomes():
    nothing = pl.DataFrame(schema=TICKETS)
    grid = Grid(np.zeros(0, np.uint64), START, np.zeros((0, 0)))
    limits = pl.DataFrame(schema=LIMITS)
    assert dict(outcomes(nothing, crossings(grid, limits, 7), grid, limits).schema) == OUTCOMES


@given(st.integers(0, 2**32), st.integers(OPENED + 1, OPENED + 400), st.integers(0, 300))
def test_an_outcome_is_for_ever_and_depends_on_nobody_else(seed, closed, later):
    """Whatever comes later, and whichever tickets are judged with it."""
    rng = np.random.default_rng(seed)
    values = tooth(int(rng.integers(60, 900)), int(rng.integers(0, 900)), rng.uniform(40, 72))
    values[rng.random(len(values)) < rng.choice([0.0, 0.3, 0.6])] = np.nan
    settles = max(OPENED + WINDOW, closed) + 2
    mine = ticket(closed=closed)
    once = judged(values, mine, until=settles)
    assert once["outcome"].item() is not None
    other = np.where(np.arange(len(values)) < settles, values, rng.uniform(0, 200, len(values)))
    assert judged(other, mine, until=settles + later).equals(once)
    company = judged([other, leak()], mine, ticket("b", 2, closed=None), until=settles + later)
    assert company.filter(ticket_id="a").equals(once)


# ----------------------------------------------------------------------------------------------------------- promises


def test_promises_tell_a_tickets_life_and_all_who_led_it():
    nights = [
        [risk(1, 0.9), risk(2, 0.2)],
        [risk(1, 0.1, n=1), risk(2, 0.9, n=1, limit=88.0)],
        [risk(1, 0.1, n=2), risk(2, 0.1, n=2)],
    ]
    found = promises(live(nights, fleet(s1="a", s2="a"), TicketPolicy()))
    assert dict(found.schema) == TICKETS
    assert found["series_id"].to_list() == [1, 2]
    assert found["limit_value"].to_list() == [90.0, 88.0]
    life = ["opened_at", "closed_at", "close_reason", "horizon_h"]
    assert found.select(life).unique().rows() == [(night(0), night(2), "risk gone", 168)]
    still = promises(live(nights[:1], fleet(s1="a", s2="a"), TicketPolicy()))
    assert still.select("closed_at", "close_reason").rows() == [(None, None)]


def test_a_ticket_comes_true_by_any_series_that_led_it():
    values = leak()
    values[OPENED + 51 :] = 95
    found = judged([leak(), values], ticket(), ticket(series_id=2))
    assert found.select("outcome", "lead_hours").rows() == [("came_true", 51.0)]


# --------------------------------------------------------------------------------------------------- known-bad windows


@pytest.mark.parametrize("reason", ["elsewhere", "crossing came"])
@pytest.mark.parametrize("lasts", [10, 600])
def test_a_crossing_in_a_known_bad_window_makes_a_ticket_unknown(reason: str, lasts: int):
    values = leak(0.0, 60.0)
    values[OPENED + 50 : OPENED + 50 + lasts] = 95
    until = OPENED + WINDOW + 24
    seen = values.copy()
    seen[OPENED + 48 : OPENED + 70] = np.nan
    measured, visible = (Grid(np.array([1], dtype=np.uint64), at(until), row[None, :until]) for row in (values, seen))
    held_limits = pl.DataFrame([limit()], schema=LIMITS, orient="row")
    plain, hidden = parted(crossings(visible, held_limits, 0), crossings(measured, held_limits, 0))
    tickets = pl.DataFrame([ticket(closed=OPENED + 96, close_reason=reason)], schema=TICKETS, orient="row")
    found = outcomes(tickets, plain, held(visible), held_limits, hidden=hidden)
    assert found.select("outcome", "why").rows() == [
        ("unknown", "It reached its limit on 2026-04-12 02:00 UTC, in a known-bad window.")
    ]
