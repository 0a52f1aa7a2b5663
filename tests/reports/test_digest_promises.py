from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.digest_promises import Promises
from reports.digest_promises import promises as told
from reports.feedback import FEEDBACK, Usefulness
from reports.ticket_events import EVENTS
from reports.ticket_misses import MISSES
from reports.ticket_outcomes import OUTCOMES

NIGHT = datetime(2026, 6, 1)
SETTLED = {"settled_as_of": pl.Datetime("us")}
NO_MISSES = pl.DataFrame(schema=MISSES | SETTLED)
SILENCE = pl.DataFrame(schema=FEEDBACK)


def promises(outcomes, misses, events, as_of, feedback: pl.DataFrame = SILENCE) -> Promises:
    return told(outcomes, misses, events, feedback, as_of)


def opinion(ticket_id: str, useful: bool, note: str | None = None, *, by: str = "lea", days: float = 1) -> tuple:
    return ticket_id, by, useful, None, note, NIGHT - timedelta(days=days)


def heard(*opinions: tuple) -> pl.DataFrame:
    return pl.DataFrame(opinions, schema=FEEDBACK, orient="row")


def ledger(*tickets: tuple[str, float | None], shape: str = "trend") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes, and the events that opened and closed their tickets; the first was settled tonight."""
    outcomes = [
        (f"t{n:02}", outcome, None, lead, "why", NIGHT - timedelta(days=n)) for n, (outcome, lead) in enumerate(tickets)
    ]
    usual = {name: "x" if dtype == pl.String else None for name, dtype in EVENTS.items()}
    events = [
        usual | {"ticket_id": f"t{n:02}", "as_of": NIGHT - timedelta(days=30 - no), "event": event, "shape": told}
        for n in range(len(tickets))
        for no, (event, told) in enumerate([("opened", shape), ("updated", "other"), ("resolved", "other")])
    ]
    return pl.DataFrame(outcomes, schema=OUTCOMES | SETTLED, orient="row"), pl.DataFrame(events, schema=EVENTS)


def missed(*reasons: str) -> pl.DataFrame:
    rows = [
        (n, f"host-{n}", "mem", "s", "up", "critical", 9.0, NIGHT - timedelta(days=n + 1), reason, None, NIGHT)
        for n, reason in enumerate(reasons)
    ]
    return pl.DataFrame(rows, schema=MISSES | SETTLED, orient="row")


def said(*tickets: tuple[str, float | None], misses: pl.DataFrame = NO_MISSES) -> str:
    outcomes, events = ledger(*tickets)
    return " ".join(promises(outcomes, misses, events, NIGHT).sentences).replace("\u00a0", " ")


def test_counts_come_first_then_the_share_with_its_interval_and_how_long_before():
    tickets = [("came_true", lead) for lead in (10.0, 51.0, 90.0)] * 2 + [("averted", None)] * 2
    tickets += [("false_alarm", None)] * 2 + [("unknown", None)]
    assert said(*tickets, misses=missed("a", "b")) == (
        "Of 10 tickets that settled in the last 90 days, 6 came true, 2 were averted and 2 were false alarms: 80 % were"
        " right (95 % interval 49 % to 94 %). Of those that came true, half were opened 51 h or more before. Of 1 more"
        " it cannot be known, since too little was measured. 2 crossings came that no ticket foresaw."
    )


@pytest.mark.parametrize(
    ("tickets", "sentences"),
    [
        (
            [("came_true", 3.0)],
            "Of 1 ticket that settled in the last 90 days, 1 came true, none were averted and none were false alarms;"
            " too few to say how often tickets are right. Of those that came true, half were opened 3 h or more"
            " before.",
        ),
        (
            [("unknown", None)],
            "No ticket with a known outcome has settled in the last 90 days. Of 1 it cannot be known, since too little"
            " was measured.",
        ),
        ([], "No ticket has settled in the last 90 days."),
    ],
)
def test_of_few_no_share_is_said(tickets, sentences: str):
    assert said(*tickets, misses=missed("a")) == f"{sentences} 1 crossing came that no ticket foresaw."


def test_before_anything_settled_there_is_nothing_to_say():
    outcomes, events = ledger()
    assert promises(outcomes, NO_MISSES, events, NIGHT).sentences == ()


def test_what_settled_tonight_is_named_and_misses_are_grouped_newest_first():
    outcomes, events = ledger(("false_alarm", None), ("came_true", 1.0))
    found = promises(outcomes, missed("late", "early", "late"), events, NIGHT)
    assert [(ticket.ticket_id, ticket.outcome) for ticket in found.tonight] == [("t00", "false_alarm")]
    assert [(group.name, group.count, group.examples) for group in found.missed] == [
        ("late", 2, ("host-0 mem", "host-2 mem")), ("early", 1, ("host-1 mem",)),
    ]  # fmt: skip


def test_classes_are_told_apart_by_how_they_were_opened_and_few_have_no_share():
    many, few = ledger(*[("came_true", 5.0)] * 10), ledger(("averted", None), shape="steps_up")
    outcomes = pl.concat([many[0], few[0].with_columns(ticket_id=pl.lit("u"))])
    events = pl.concat([many[1], few[1].with_columns(ticket_id=pl.lit("u"))])
    feedback = heard(opinion("t00", True), opinion("t01", False), opinion("u", True))
    classes = promises(outcomes, NO_MISSES, events, NIGHT, feedback).classes
    assert list(classes) == ["shape", "signal", "service", "model"]
    assert [(row.name, row.share, row.lead_hours_median, row.useful) for row in classes["shape"]] == [
        ("trend", 1.0, 5.0, Usefulness(2, 1)), ("steps up", None, None, Usefulness(1, 1)),
    ]  # fmt: skip
    (model,) = classes["model"]  # one alone says whose figures these are
    assert (model.name, model.share, model.lead_hours_median, model.useful) == ("x", 1.0, 5.0, Usefulness(3, 2))


def test_what_readers_say_stands_beside_what_became_of_the_ticket():
    outcomes, events = ledger(("false_alarm", None), ("came_true", 9.0), ("came_true", 8.0), ("averted", None))
    still = events.filter(pl.col("ticket_id") == "t03")
    outcomes = outcomes.filter(pl.col("ticket_id") != "t03")
    feedback = heard(
        opinion("t00", False, "woke us\nfor nothing"), opinion("t00", True, by="kim", days=2),
        opinion("t01", True, days=3), opinion("t03", True, "on it", days=2), opinion("t02", True, days=91),
    )  # fmt: skip
    found = promises(outcomes, NO_MISSES, events, NIGHT, feedback)
    assert [(one.ticket_id, one.outcome, one.heard) for one in found.tonight] == [
        ("t00", "false_alarm", "Useful? 1 yes, 1 no: “woke us for nothing”")
    ]
    assert [(one.ticket_id, one.outcome, one.heard) for one in found.heard] == [
        ("t03", None, "Useful? 1 yes: “on it”"), ("t01", "came_true", "Useful? 1 yes"),
    ]  # fmt: skip
    assert "Readers spoke of all of them, and found 2 useful." in found.sentences
    found = promises(outcomes.clear(), NO_MISSES, still, NIGHT, feedback)
    assert found.sentences[0] == "No ticket has settled in the last 90 days." and len(found.heard) == 1


@given(st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(seed: int):
    outcomes, events = ledger(*[("came_true", 4.0), ("averted", None), ("false_alarm", None)] * 5)
    misses = missed("a", "b", "a")
    feedback = heard(*(opinion(f"t{n:02}", n % 2 == 0, str(n), by=by) for n in range(9) for by in ("kim", "lea")))
    one, two, three, four = (
        frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (outcomes, misses, events, feedback)
    )
    assert told(one, two, three, four, NIGHT) == told(outcomes, misses, events, feedback, NIGHT)
