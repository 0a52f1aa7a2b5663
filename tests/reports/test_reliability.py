import struct

import matplotlib as mpl
import polars as pl
import pytest
from calibration_examples import examined, table, usual
from hypothesis import given
from hypothesis import strategies as st

from reports.reliability import bins_of, draw, points


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_the_same_rows_give_the_same_bytes_whatever_their_order_or_the_users_style():
    first = draw(usual())
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black"}):
        assert draw(usual()[::-1]) == first
    assert size(first) == (900, 480)
    assert len(first) < 100_000, "larger ones are not shown in Dagster"


@pytest.mark.parametrize(
    "rows",
    [
        table(examined([(0.001, 1, 0)], horizon_h=24)),
        table(examined([(0.999, 1, 1)], horizon_h=72), examined([(0.5, 10_000_000, 3)])),
        table(*(examined([((k + 0.5) / 10, 1 + 10 * k, k) for k in range(10)], horizon_h=h) for h in (24, 72, 168))),
    ],
    ids=["one question", "millions", "every tenth"],
)
def test_few_and_many_questions_can_be_drawn(rows: pl.DataFrame):
    assert size(draw(rows)) == (900, 480)


def test_without_a_settled_question_there_is_nothing_to_draw():
    with pytest.raises(ValueError, match=r"forecasting\.calibration has no row of all shapes"):
        draw(table(examined([(0.5, 4, 2)], shape="trend")))


@given(st.integers(1, 5000), st.data())
def test_bars_hold_the_share_and_stay_within_0_and_1(n: int, data):
    came, p = data.draw(st.integers(0, n)), data.draw(st.floats(0, 1))
    (found,) = bins_of(examined([(p, n, came)]))
    assert 0 <= found.lo <= found.share <= found.hi <= 1
    assert found.is_off == (not found.lo <= p <= found.hi)
    assert found.n == n


def test_what_is_far_from_what_came_is_off_only_where_there_is_enough_of_it():
    assert not bins_of(examined([(0.9, 3, 2)]))[0].is_off
    assert bins_of(examined([(0.9, 300, 200)]))[0].is_off


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.0, "less than one percentage point"),
        (0.012, "1 percentage point"),
        (0.016, "2 percentage points"),
        (0.5, "50 percentage points"),
    ],
)
def test_differences_of_shares_are_points_and_not_percent(difference: float, said: str):
    assert points(difference) == said
