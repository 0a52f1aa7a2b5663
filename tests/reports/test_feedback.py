from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.feedback import (
    ENTRIES,
    FEEDBACK,
    OPINIONS,
    Usefulness,
    beside_outcomes,
    guarded,
    hear,
    in_words,
    opinions,
    spoken,
    usefulness,
)  # fmt: skip

NIGHT = datetime(2026, 6, 10)
DAY = timedelta(days=1)
OPENED = pl.DataFrame(
    {"ticket_id": ["a", "b", "tonight", "later"], "opened_at": [NIGHT - 9 * DAY, NIGHT - 2 * DAY, NIGHT, NIGHT + DAY]},
    schema={"ticket_id": pl.String, "opened_at": pl.Datetime("us")},
)


def entries(*lines: dict) -> pl.DataFrame:
    usual = dict.fromkeys(ENTRIES) | {"ticket_id": "a", "useful": True}
    return pl.DataFrame([usual | {"file_row": no} | line for no, line in enumerate(lines, 1)], schema=ENTRIES)


def heard(*lines: dict) -> list[dict]:
    return hear(entries(*lines), OPENED, NIGHT).feedback.to_dicts()


def test_a_bare_yes_is_somebodys_and_was_given_when_the_ticket_opened():
    assert heard({}) == [
        {"ticket_id": "a", "given_by": "somebody", "useful": True, "worked_at": None, "note": None,
         "given_at": NIGHT - 9 * DAY}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "stands"),
    [
        ((None, None), 2),  # the order of the file
        ((3, 1), 2),  # the newest, days before the night
        ((1, 3), 1),
        ((1, None), 2),  # given when the one before it was
        ((None, 1), 2),
        ((2, 2), 2),
    ],
)
def test_the_newest_opinion_of_a_person_stands(days: tuple[int | None, ...], stands: int):
    lines = [
        {"by": "lea", "note": str(no), "given_at": None if ago is None else NIGHT - ago * DAY}
        for no, ago in enumerate(days, 1)
    ]
    assert [row["note"] for row in heard(*lines, {"by": "kim", "note": "k"})] == ["k", str(stands)]


def test_what_was_said_at_the_cut_or_later_or_of_a_later_ticket_waits_for_its_night():
    lines = [
        {"by": "lea", "useful": False, "given_at": NIGHT - DAY},
        {"by": "lea", "given_at": NIGHT},
        {"by": "lea"},  # as late as the line before it
        {"ticket_id": "later"},
        {"ticket_id": "tonight"},  # in an archive the night may be run again
        {"ticket_id": "b", "worked_at": NIGHT},
    ]
    found = hear(entries(*lines), OPENED, NIGHT)
    assert found.held_back == 3 and found.unknown.is_empty()
    told = [(row["ticket_id"], row["useful"], row["worked_at"]) for row in found.feedback.to_dicts()]
    assert told == [("a", False, None), ("b", True, None), ("tonight", True, None)]
    assert hear(entries(*lines), OPENED, NIGHT + DAY).feedback.height == 4


def test_lines_about_no_ticket_are_told_apart():
    found = hear(entries({"ticket_id": "nope"}, {"ticket_id": " a "}, {"ticket_id": "A"}), OPENED, NIGHT)
    assert found.unknown["file_row"].to_list() == [1, 3] and found.feedback["ticket_id"].to_list() == ["a"]


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-x", "@all", "\ttab", "plain", "'quoted'", "it's", ""])
def test_a_cell_is_no_formula_and_is_read_as_it_was_written(text: str):
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    (row,) = heard({"note": cell})
    assert row["note"] == (text.strip() or None) or text.startswith("\t")


def test_opinions_are_counted_and_the_newest_note_is_kept():
    feedback = pl.DataFrame(
        [
            ("b", "kim", False, None, "old", NIGHT - 3 * DAY),
            ("b", "lea", True, None, "new", NIGHT - 2 * DAY),
            ("b", "sam", True, None, None, NIGHT - DAY),
            ("a", "kim", False, None, None, NIGHT),
        ],
        schema=FEEDBACK,
        orient="row",
    )
    assert opinions(feedback).rows() == [("a", 0, 1, None), ("b", 2, 1, "new")]
    nothing = opinions(pl.DataFrame(schema=FEEDBACK))
    assert nothing.is_empty() and dict(nothing.schema) == OPINIONS


def test_a_ticket_was_useful_if_more_say_yes_than_no():
    assert usefulness([(2, 1), (1, 1), (0, 1), (None, None), (0, 0)]) == Usefulness(3, 1)
    assert usefulness([(None, None)]) is None
    assert [in_words(2, 1), in_words(1, 0), in_words(0, 3)] == ["2 yes, 1 no", "1 yes", "3 no"]


def test_opinions_are_counted_by_what_became_of_their_tickets():
    said = [("a", "kim", True), ("a", "lea", True), ("a", "sam", False), ("b", "kim", False), ("c", "kim", True)]
    feedback = pl.DataFrame([(*one, None, None, NIGHT) for one in said], schema=FEEDBACK, orient="row")
    outcomes = pl.DataFrame({"ticket_id": ["a", "b", "z"], "outcome": ["came_true", "false_alarm", "unknown"]})
    assert beside_outcomes(feedback, outcomes) == {
        "not_useful_and_false_alarm": 1, "useful_and_came_true": 1, "useful_and_open": 1,
    }  # fmt: skip
    assert beside_outcomes(feedback.clear(), outcomes) == {}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ((None, None, None), None),
        ((0, 0, "x"), None),
        ((2, 0, None), "Useful? 2 yes"),
        ((1, 2, " woke us\r\n\x07twice \u202e"), "Useful? 1 yes, 2 no: “woke us twice”"),
        ((0, 1, "x" * 300), f"Useful? 1 no: “{'x' * 199}…”"),
    ],
)
def test_what_is_said_of_a_ticket_is_one_harmless_line(said: tuple, shown: str | None):
    assert spoken(*said) == shown


moments = st.none() | st.integers(-12, 3).map(lambda hours: NIGHT + timedelta(hours=hours))
line = st.fixed_dictionaries(
    {"ticket_id": st.sampled_from(["a", "b", "nope", "later"]), "useful": st.booleans(),
     "by": st.sampled_from([None, "lea", " lea ", "kim", ""]), "given_at": moments, "worked_at": moments}
)  # fmt: skip


@given(st.lists(line, max_size=12))
def test_nothing_of_the_cut_or_later_is_heard_and_everybody_speaks_once(lines: list[dict]):
    found = hear(entries(*lines), OPENED, NIGHT)
    feedback = found.feedback
    assert dict(feedback.schema) == FEEDBACK
    assert feedback.select("ticket_id", "given_by").is_unique().all()
    assert feedback.filter((pl.col("given_at") >= NIGHT) | (pl.col("worked_at") >= NIGHT)).is_empty()
    known = [each for each in lines if each["ticket_id"] in ("a", "b")]
    before = [each for each in known if each["given_at"] is not None and each["given_at"] >= NIGHT]
    assert feedback.is_empty() if len(before) == len(known) else True
    assert found.unknown.height == sum(each["ticket_id"] == "nope" for each in lines)
