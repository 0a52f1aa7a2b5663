"""What leaves the house of an incident report."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from incident_examples import AS_OF, year
from letter_examples import HOSTILE
from letter_examples import letter as made_up

from reports.incident_letter import Letter, LetterError, letter
from reports.incident_options import IncidentOptions
from reports.incident_trends import Beside, IncidentTrends, trends

NIGHT = date(2026, 6, 1)


@pytest.fixture(scope="module")
def found() -> IncidentTrends:
    durations = pl.concat([
        year(400, -0.25, seed=1, title=HOSTILE, service=HOSTILE),
        year(200, 0.0, seed=2, title="disk full", service="db"),
    ])  # fmt: skip
    goal = {"measure": "mttr", "change": -0.3, "from": "2026-01-01", "by": "2026-08-31"}
    return trends(durations, AS_OF, IncidentOptions.model_validate({"goals": [goal]}))


def test_the_subject_says_the_verdicts_in_words_and_nothing_of_incidents(found: IncidentTrends) -> None:
    told = letter(found, NIGHT)
    verdicts = ", ".join(f"{each.name.lower()} {each.verdict}" for each in told.verdicts)
    goal = told.goals[0].verdict
    assert told.subject == f"Incidents as of 1 Jun 2026: {verdicts}; goals: 1 {goal}"
    assert told.subject.isascii() and told.subject.isprintable()


def test_every_verdict_comes_with_its_definition_and_what_it_rests_on(found: IncidentTrends) -> None:
    resolve, acknowledge = letter(found, NIGHT).verdicts
    assert resolve.measured.startswith("Measured from ") and " of 600 incidents" in resolve.measured
    assert resolve.start == "created" and resolve.end.startswith("resolved")
    assert acknowledge.end.startswith("acknowledged") and "24 x 7" in acknowledge.clock


def test_names_from_incidents_are_one_plain_line(found: IncidentTrends) -> None:
    told = letter(found, NIGHT)
    assert told.parts and told.problems
    for line in (*told.parts, *told.problems):
        assert line.name.isprintable() and line.said.replace("\u00a0", " ").isprintable()


def test_no_incidents_are_said_too() -> None:
    told = letter(trends(year(0), AS_OF), NIGHT)
    assert told.subject.endswith("time to resolve too few to say, time to acknowledge too few to say")
    assert told.verdicts[0].measured == "Measured from 0 of 0 incidents."


def test_what_was_not_read_is_said_before_anything_else() -> None:
    beside = Beside(unread={"desk": ["desk: answers 503", "and more"]})
    told = letter(trends(year(0), AS_OF, beside=beside), NIGHT)
    assert told.subject.endswith(" (incomplete)")
    assert told.warnings == (
        "desk was not read to the end, so what is new there is missing: desk: answers 503 (and 1 more)",
    )


@pytest.mark.parametrize("text", ["disk full", HOSTILE])
def test_a_letter_is_read_back_as_it_was_written(text: str) -> None:
    assert Letter.from_json(made_up(text).to_json()) == made_up(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"night": 1}', "null", '{"goals": [[]], "parts": [], "problems": []}']
)
def test_what_is_no_letter_is_refused(text: str) -> None:
    with pytest.raises(LetterError, match="write the report again"):
        Letter.from_json(text)
