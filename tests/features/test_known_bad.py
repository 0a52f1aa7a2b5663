from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from features.grid import Grid
from features.known_bad import Window, from_frame, held, hide, masks, merged, to_frame, whole_hours

AS_OF = datetime(2026, 3, 2)
HOURS = 60
moments = st.integers(-90 * 60, 30 * 60).map(lambda minutes: AS_OF + timedelta(minutes=minutes))
spans = st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair)))
globs = st.sampled_from([(), ("a*",), ("b",), ("*",), ("none",)])
windows = st.builds(
    lambda span, entities, services: Window("settings", span[0], span[1], entities, services, why="x"),
    spans, globs, globs,
)  # fmt: skip
SERIES = pl.DataFrame(
    {"series_id": [1, 2, 3], "entity": ["a1", "b", "b"], "service": [None, "a-shop", "b"], "metric": ["m", "m", "n"]},
    schema_overrides={"series_id": pl.UInt64},
)


@given(st.lists(spans, max_size=12))
def test_merging_keeps_every_moment_and_leaves_no_overlap(given_spans: list[tuple[datetime, datetime]]):
    found = merged(given_spans)
    assert all(first[1] < then[0] for first, then in pairwise(found))
    for minute in range(-90 * 60, 30 * 60, 7):
        moment = AS_OF + timedelta(minutes=minute)
        assert any(a <= moment < b for a, b in found) == any(a <= moment < b for a, b in given_spans)
    assert merged(found) == found


@given(st.lists(windows, max_size=6))
def test_exactly_the_hours_that_a_window_touches_are_hidden(known: list[Window]):
    grid = Grid(SERIES["series_id"].to_numpy(), AS_OF, np.ones((3, HOURS)))
    hidden = np.isnan(hide(grid, masks(SERIES, known)).values)
    for row, (entity, service) in enumerate(SERIES.select("entity", "service").iter_rows()):
        ours = [w for w in known if _about(w.entities, entity) and _about(w.services, service)]
        for column, hour in enumerate(grid.hours.astype("datetime64[us]").tolist()):
            touched = any(w.starts_at < hour + timedelta(hours=1) and w.ends_at > hour for w in ours
                          if w.starts_at < w.ends_at)  # fmt: skip
            assert hidden[row, column] == touched
    assert not np.isnan(grid.values).any(), "what was measured stays"


def _about(wanted: tuple[str, ...], name: str | None) -> bool:
    return not wanted or (name is not None and any(glob == "*" or name.startswith(glob.rstrip("*")) for glob in wanted))


@given(st.lists(windows, max_size=6))
def test_windows_come_back_from_a_frame(known: list[Window]):
    assert from_frame(to_frame(known)) == known


def test_a_window_that_ends_as_it_begins_hides_nothing():
    moment = AS_OF - timedelta(minutes=90)
    assert masks(SERIES, [Window("settings", moment, moment)]).series.is_empty()


def test_a_window_holds_from_its_first_moment_to_before_its_last():
    window = Window("settings", AS_OF - timedelta(hours=1), AS_OF, ("*",), why="patching")
    assert held(SERIES, [window], AS_OF).is_empty()
    longer = Window("calendar x", AS_OF, AS_OF + timedelta(hours=5), ("b",), metrics=("n",), why="restore")
    found = held(SERIES, [window, longer, Window("s", AS_OF, AS_OF + timedelta(hours=1))], AS_OF)
    assert found.select("series_id", "why").rows() == [(1, ""), (2, ""), (3, "restore")]


def test_hours_are_hidden_whole():
    start, end = AS_OF + timedelta(minutes=30), AS_OF + timedelta(minutes=61)
    assert whole_hours((start, end)) == (AS_OF, AS_OF + timedelta(hours=2))
    assert whole_hours((AS_OF, AS_OF + timedelta(hours=1))) == (AS_OF, AS_OF + timedelta(hours=1))


def test_nothing_hidden_costs_nothing():
    grid = Grid(SERIES["series_id"].to_numpy(), AS_OF, np.ones((3, HOURS)))
    assert hide(grid, masks(SERIES, [])) is grid
    assert hide(grid, masks(SERIES.clear(), [Window("s", AS_OF, AS_OF + timedelta(hours=1))])) is grid
