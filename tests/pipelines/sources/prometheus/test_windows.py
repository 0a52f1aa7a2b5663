from datetime import date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.prometheus.answers import Block
from pipelines.sources.prometheus.plan import Request, Windows, divided, milliseconds, stretches
from pipelines.sources.prometheus.windows import STALE, averaged, begun
from pipelines.sources.remembered import Span

STEP = 300_000
AS_OF = datetime(2026, 3, 1, 23)
FIVE_MINUTES = timedelta(minutes=5)


def test_a_night_asks_for_whole_days_up_to_its_cut():
    (stretch,) = stretches([Span(datetime(2026, 2, 27), AS_OF)], FIVE_MINUTES)
    assert stretch == Windows(milliseconds(datetime(2026, 2, 27)), milliseconds(AS_OF), STEP)
    parameters = stretch.parameters
    assert parameters["start"].endswith("99.999") and float(parameters["end"]) < milliseconds(AS_OF) / 1000


def test_stretches_are_in_order_and_no_window_is_unfinished():
    midnight = datetime(2026, 3, 1)
    now, before = (
        Span(midnight, midnight + timedelta(hours=12, minutes=3)),
        Span(midnight - timedelta(days=2), midnight),
    )
    first, last = stretches([now, before], FIVE_MINUTES)
    assert (first.day, len(first)) == (date(2026, 2, 27), 2 * 288)
    assert last.day == date(2026, 3, 1) and last.until == milliseconds(datetime(2026, 3, 1, 12))
    assert stretches([Span(midnight, midnight + timedelta(minutes=3))], FIVE_MINUTES) == []


@given(st.sets(st.text("abc", max_size=2), max_size=9), st.text("abcd", max_size=2))
def test_shares_hold_every_value_once_also_those_that_nobody_knew(known: set[str], value: str):
    def holding(request: Request) -> int:
        pieces = request.shares("l", request.values if request.label else tuple(sorted(known)))
        own = value not in request.others if request.others else value in request.values
        return sum(map(holding, pieces)) if pieces else int(own or request.label is None)

    assert holding(Request(0, Windows(0, STEP, STEP))) == 1


@given(st.integers(0, 900), st.integers(1, 900), st.integers(1, 400))
def test_pieces_are_the_whole_and_no_larger_than_allowed(begin: int, count: int, most: int):
    whole = Windows(begin * STEP, (begin + count) * STEP, STEP)
    pieces = list(divided(whole, most))
    assert [piece.first for piece in pieces[1:]] == [piece.until for piece in pieces[:-1]]
    assert (pieces[0].first, pieces[-1].until) == (whole.first, whole.until)
    assert all(0 < len(piece) <= most for piece in pieces)
    assert sum(len(day) for day in whole.days()) == count and len({day.day for day in whole.days()}) == len(
        list(whole.days())
    )


def test_a_request_is_halved_down_to_one_window_and_one_value():
    request = Request(0, Windows(0, 3 * STEP, STEP))
    assert [len(half.windows) for half in request.halves()] == [1, 2]
    assert Request(0, Windows(0, STEP, STEP)).halves() == ()
    assert [half.values for half in request.shares("a", ("x", "y", "z"))] == [("x",), ("y", "z")]
    assert request.shares("a", ("x",)) == ()


@given(
    st.lists(st.lists(st.tuples(st.integers(-10, 40), st.sampled_from([1.0, 2.5, -3.0, 1e9])), max_size=30), max_size=4)
)
def test_means_are_those_of_each_window_alone(series: list[list[tuple[int, float]]]):
    windows = Windows(0, 6 * STEP, STEP)
    minute = 60_000
    block = block_of([[(at * minute, value) for at, value in dict(each).items()] for each in series])
    found = averaged(block, windows)
    begin = 0
    for each, end in zip(series, found.ends.tolist(), strict=True):
        expected: dict[int, list[float]] = {}
        for at, value in dict(each).items():
            if 0 <= at < 30:
                expected.setdefault(at // 5 * STEP, []).append(value)
        assert found.instants[begin:end].tolist() == sorted(expected)
        means = [np.mean(expected[at]) for at in sorted(expected)]
        np.testing.assert_allclose(found.values[begin:end], means, rtol=1e-12)
        begin = end


def test_stale_markers_are_no_samples_and_an_instant_counts_once():
    stale = np.array([STALE], np.uint64).view(np.float64)[0]
    block = block_of([[(1, 2.0), (2, stale), (1, 2.0), (3, 4.0)], [(1, stale)], [(1, np.nan)]])
    found = averaged(block, Windows(0, STEP, STEP))
    assert found.ends.tolist() == [1, 1, 2]
    assert found.values[0] == 3.0 and np.isnan(found.values[1])


def test_what_was_evaluated_at_an_end_stands_at_its_beginning():
    windows = Windows(STEP, 3 * STEP, STEP)
    block = block_of([[(STEP - 1, 0.0), (2 * STEP - 1, 1.0)], [(3 * STEP - 1, 2.0), (4 * STEP - 1, 3.0)]])
    found = begun(block, windows)
    assert (found.instants.tolist(), found.ends.tolist()) == ([STEP, 2 * STEP], [1, 2])


def block_of(series: list[list[tuple[int, float]]]) -> Block:
    samples = [sample for each in series for sample in each]
    return Block(
        labels=[{"n": str(n)} for n in range(len(series))],
        ends=np.cumsum([len(each) for each in series], dtype=np.int64),
        instants=np.array([at for at, _ in samples], np.int64),
        values=np.array([value for _, value in samples], np.float64),
    )
