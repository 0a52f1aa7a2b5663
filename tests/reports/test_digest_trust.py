import polars as pl
import pytest
from calibration_examples import AS_OF, examined, table, usual
from hypothesis import given
from hypothesis import strategies as st

from forecasting.tables import CALIBRATION, MODELS, TOURNAMENT
from reports.digest_trust import MOST_STANDINGS, UNSETTLED, served, standings, trust


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def said(calibration: pl.DataFrame, horizon_h: int = 168, open_at: float = 0.7) -> tuple[str, ...]:
    return tuple(plain(sentence) for sentence in trust(calibration, horizon_h, open_at).sentences)


def test_counts_come_first_and_what_was_answered_stands_beside_what_came():
    assert said(usual()) == (
        "Of 412 questions about the newest settled fortnight that were answered with 70 % or more, 297 came true within"
        " 7 days: 72 %, where 85 % was answered on average.",
        "Of 3 310 that were answered with less than 10 %, 41 did.",
        "What was answered and the share that came true differ by 3 percentage points on average.",
    )


@pytest.mark.parametrize(
    ("bins", "first"),
    [
        ([(0.2, 9, 1)], "Of 9 questions about the newest settled fortnight, none was answered with 70 % or more."),
        (
            [(0.8, 1, 1)],
            "Of 1 question about the newest settled fortnight that was answered with 70 % or more, 1 came true within"
            " 7 days: 100 %, where 80 % was answered on average.",
        ),
    ],
)
def test_one_and_none(bins, first):
    assert said(table(examined(bins)))[0] == first


def test_the_reader_who_acts_at_another_probability_or_horizon_is_told_of_it():
    rows = table(examined([(0.3, 10, 3), (0.35, 10, 5)]), examined([(0.95, 10, 9)], horizon_h=24))
    assert "answered with 30 % or more, 8 came true within 7 days" in said(rows, open_at=0.25)[0]
    assert "answered with 70 % or more, 9 came true within 24 hours" in said(rows, horizon_h=24)[0]


@given(st.integers(1, 9))
def test_bins_at_the_bound_count_although_tenths_are_not_exact(tenth: int):
    bins = [(0.1 * k, 10, 1) for k in range(10)]
    assert f"Of {10 * (10 - tenth)} question" in said(table(examined(bins)), open_at=tenth / 10)[0]


def test_nothing_settled_is_said_and_not_shown():
    found = trust(pl.DataFrame(schema=CALIBRATION), 168, 0.7)
    assert found.sentences == (UNSETTLED,)
    assert not found.overall and not found.by_shape


def test_shapes_follow_by_how_often_they_were_asked_about():
    rows = [examined([(0.5, n, 1)], shape, h) for shape, n in (("all", 12), ("a_b", 4), ("c", 8)) for h in (168, 24)]
    found = trust(table(*rows), 168, 0.7)
    assert [(row.shape, row.horizon_h) for row in found.overall] == [(None, 24), (None, 168)]
    assert [(row.shape, row.horizon_h) for row in found.by_shape] == [("c", 24), ("c", 168), ("a b", 24), ("a b", 168)]


@pytest.mark.parametrize(
    ("bins", "skill"), [([(1.0, 5, 5), (0.0, 5, 0)], 1.0), ([(0.5, 10, 5)], 0.0), ([(0.1, 10, 0)], None)]
)
def test_skill_is_against_always_answering_the_share_that_crossed(bins, skill):
    (row,) = trust(table(examined(bins)), 168, 0.7).overall
    assert row.skill == (None if skill is None else pytest.approx(skill))


def test_what_answered_and_what_drew_are_told_apart():
    rows = [
        (AS_OF, "learnt", "trend", 168, 30, None, None), (AS_OF, "learnt", "flat", 168, 12, None, None),
        (AS_OF, "ensemble", "trend", 168, 7, 0.2, 0.8), (AS_OF, "prophet", "trend", 168, 0, 0.3, 0.6),
        (AS_OF, "ensemble", "trend", 24, 7, 0.1, 0.8),
    ]  # fmt: skip
    found = served(pl.DataFrame(rows, schema=MODELS, orient="row"), 168, ["learnt"])
    assert found.answered == {"learnt": 42}
    assert [(row["model"], row["series"]) for row in found.drew] == [("ensemble", 7)]


def test_standings_are_short_and_those_that_serve_come_first():
    rows = [(AS_OF, "structural", f"shape {n:02}", 20, n, 60, 0.2, 0.25, 0.8) for n in range(20)]
    found = standings(pl.DataFrame(rows, schema=TOURNAMENT, orient="row"))
    assert [row["served"] for row in found.rows] == list(range(19, 19 - MOST_STANDINGS, -1))
    assert found.further == 20 - MOST_STANDINGS
