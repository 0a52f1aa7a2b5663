import pytest
from answer_examples import Answers, lately
from hypothesis import given
from hypothesis import strategies as st

from reports.answers_kept import DRIFT, HEADING, Drift, as_frame, band_sentence, drift, marks
from reports.reliability import draw
from reports.text import plain_spaces

QUIET: Answers = [(0.02, 900, 12), (0.35, 60, 22)]


def found(answers: Answers, limits: int) -> Drift:
    said = drift(lately(answers, limits=limits), 168, 0.7)
    assert said is not None
    return said


def plain(text: str | None) -> str:
    return plain_spaces(text or "")


def test_sure_answers_that_came_too_rarely_are_told_with_numbers_and_interval():
    said = found([*QUIET, (0.85, 120, 48)], limits=24)
    assert said.is_worse and said.warns and not said.is_off
    assert plain(said.warning) == (
        "Worse than promised: Of 120 answers of 70 % or more within 168 h that settled in the last 28 days, about"
        " 24 limits, 40 % came true (95 % interval 23 % to 60 %, each limit counted once), where 85 % was promised on"
        " average."
    )
    assert plain(said.sentences[1]) == "All 1 080 answers were off by 6 percentage points on average."


@pytest.mark.parametrize(
    ("answers", "limits", "worse", "off"),
    [
        ([*QUIET, (0.85, 120, 100)], 24, False, False),
        ([*QUIET, (0.85, 120, 48)], 9, False, False),  # nights of few limits are no evidence
        ([*QUIET, (0.85, 120, 84)], 12, False, False),  # 70 % of 12: chance
        ([*QUIET, (0.75, 120, 120)], 24, False, False),  # more came than promised
        ([(0.02, 150, 60)], 0, False, False),  # too few to say
        ([(0.02, 200, 60)], 0, False, True),  # what nobody was told of
        (QUIET, 0, False, False),
    ],
)  # fmt: skip
def test_a_warning_takes_enough_answers_and_more_than_chance(answers: Answers, limits: int, worse: bool, off: bool):
    said = found(answers, limits)
    assert (said.is_worse, said.is_off, said.warns) == (worse, off, worse or off)
    assert (said.warning is None) == (not said.warns)


def test_what_is_off_without_a_sure_answer_says_by_how_much():
    said = found([(0.02, 400, 100)], limits=0)
    assert plain(said.warning) == "Worse than promised: All 400 answers were off by 23 percentage points on average."
    assert plain(said.sentences[0]).endswith("none was 70 % or more within 168 h.")


def test_before_an_answer_settled_there_is_nothing_to_say():
    assert drift(lately([]), 168, 0.7) is None
    assert drift(lately(QUIET), 72, 0.7) is None
    assert as_frame(None).is_empty() and dict(as_frame(None).schema) == DRIFT
    assert band_sentence(lately([]).band) is None


def test_the_ledger_can_be_drawn_like_the_examination():
    assert draw(marks(lately([*QUIET, (0.85, 120, 48)]).tenths), HEADING).startswith(b"\x89PNG")


def test_the_band_says_what_it_held_and_where_that_is_too_little_to_judge():
    told = plain(band_sentence(lately([], band=(40, 12, 6000, 4500)).band))
    assert told == (
        "The forecasts' 80 % band held 75 % of the 6 000 hours that it spoke of, in 40 forecasts of 12 series at risk."
    )
    assert plain(band_sentence(lately([], band=(2, 1, 300, 150)).band)).endswith("; too few forecasts to judge it.")


@given(st.lists(st.integers(1, 500), min_size=10, max_size=10), st.data())
def test_shares_and_errors_stay_within_bounds(counts: list[int], data):
    answers = [((k + 0.5) / 10, n, data.draw(st.integers(0, n))) for k, n in enumerate(counts)]
    said = found(answers, limits=data.draw(st.integers(1, 50)))
    assert 0 <= said.calibration_error <= 1 and 0 <= said.came <= 1 and said.interval is not None
    assert said.interval.lo - 1e-9 <= said.came <= said.interval.hi + 1e-9
    (row,) = as_frame(said).to_dicts()
    assert row["warns"] == said.warns and row["answers"] == sum(counts)
