"""The crossing model: what it reads, what it learns from, and what it may never do."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.grid import Grid
from forecasting.learnt import learning
from forecasting.learnt.calibration import (
    Kinds,
    unknown,
)
from forecasting.learnt.learning import learn_fleet, learn_prior
from forecasting.learnt.lessons import (
    EVERY_DAYS,
    LASTS_H,
    Lessons,
    lessons,
    origins,
    outcome,
    settled,
    settling_h,
    together,
)
from forecasting.learnt.lines import straightness
from forecasting.learnt.model import NO_PRIOR, CrossingModel, Prior, PriorError, Trees, dump, parse, unlearnt
from forecasting.learnt.past import look
from forecasting.learnt.questions import MONOTONE, NAMES, predictors
from forecasting.options import ForecastingOptions
from forecasting.school import EXAMINED_DAYS, SETTLING_H, examine, timetable
from forecasting.tables import HORIZONS

AS_OF = datetime(2026, 3, 2)


def fleet(rng: np.random.Generator, series: int = 12, days: int = 60) -> np.ndarray:
    hours = np.arange(days * 24)
    noise = rng.normal(0, 1, (series, len(hours)))
    values = 50 + np.cumsum(noise, axis=1) * rng.uniform(0, 0.3, (series, 1)) + noise
    values += 5 * np.sin(hours * 2 * np.pi / 24) * rng.uniform(0, 1, (series, 1))
    values[rng.random(values.shape) < 0.02] = np.nan
    return values


def grid_of(values: np.ndarray, as_of: datetime = AS_OF) -> Grid:
    return Grid(np.arange(1, len(values) + 1, dtype=np.uint64) * np.uint64(7919), as_of, values)


def taught(rng: np.random.Generator, values: np.ndarray | None = None) -> Lessons:
    grid = grid_of(fleet(rng) if values is None else values)
    rising = np.zeros(len(grid.series_id), dtype=bool)
    metric = np.where(np.arange(len(rising)) % 2, "cpu", "disk")
    return together(lessons(grid, rising, at, 30, metric=metric) for at in origins(AS_OF, 45))


@pytest.fixture
def trees(rng, monkeypatch) -> CrossingModel:
    """A small model with trees of its own."""
    monkeypatch.setattr(learning, "FEWEST_FOR_TREES", 50)
    monkeypatch.setattr(learning, "LESSONS_A_TREE", 20)
    monkeypatch.setitem(learning.OWN_PARAMETERS, "min_data_in_leaf", 5)
    known = taught(rng)
    return learn_fleet(learn_prior(known, np.ones(len(known)), known, "a test", trees=10, lines=10), known)


# ---------------------------------------------------------------------------------------------------- predictors


def test_predictors_do_not_know_units(rng):
    values = fleet(rng, 6)
    past, scaled = look(values, 3), look(1e6 * values + 3e7, 3)
    row = np.arange(6)
    one = predictors(past, row, past.level + past.spread)
    two = predictors(scaled, row, scaled.level + scaled.spread)
    free = [name not in {"level_to_spread"} for name in NAMES]  # it asks how large the level is
    np.testing.assert_allclose(one[:, free], two[:, free], rtol=2e-3, atol=2e-3)


def test_predictors_of_a_series_are_the_same_in_company(rng):
    values = fleet(rng, 9)
    row = np.array([0, 4, 8, 4])
    limit = np.array([50.0, 60.0, np.inf, 52.0])
    together_ = predictors(look(values, 3), row, limit)
    for at in range(4):
        alone = predictors(look(values[row[at]][None], 3), np.zeros(1, int), limit[at : at + 1])
        assert alone.tobytes() == together_[at].tobytes()


@given(seed=st.integers(0, 2**16), near=st.floats(-2, 6), further=st.floats(0, 6))
def test_predictors_keep_the_order_of_limits(seed, near, further):
    values = fleet(np.random.default_rng(seed), 3, 30)
    past, row = look(values, 3), np.arange(3)
    low = predictors(past, row, past.level + near * past.spread)
    high = predictors(past, row, past.level + (near + further) * past.spread)
    down = np.array(MONOTONE) == 1
    up = np.array(MONOTONE) == -1
    with np.errstate(invalid="ignore"):
        assert not (high[:, down] > low[:, down] + 1e-5).any()
        assert not (high[:, up] < low[:, up] - 1e-5).any()


@pytest.mark.parametrize("kind", ["nothing", "one sample", "constant", "huge", "infinite", "an hour", "ten years"])
def test_strange_pasts_give_numbers_or_nothing(kind):
    values = np.full((1, 24 * 30), np.nan)
    if kind == "one sample":
        values[0, -1] = 5.0
    elif kind == "constant":
        values[:] = -7.0
    elif kind == "huge":
        values[0] = np.where(np.arange(values.shape[1]) % 2, 1.7e308, -1.7e308)
    elif kind == "infinite":
        values[0] = np.where(np.arange(values.shape[1]) % 5, 1.0, np.inf)
    elif kind == "an hour":
        values = np.ones((1, 1))
    elif kind == "ten years":
        values = np.sin(np.arange(24 * 3650.0))[None]
    past = look(values, 3)
    found = predictors(past, np.zeros(3, int), np.array([1.0, np.inf, -1e300]))
    assert not np.isinf(found).any()
    p = unlearnt(NO_PRIOR).probabilities(found, unknown(len(found)))
    assert ((p > 0) & (p < 1)).all()


# ------------------------------------------------------------------------------------------------------- lessons


def brute_force(ahead: np.ndarray, limit: float, horizon: int, lasts_h: int) -> float:
    observed = np.flatnonzero(~np.isnan(ahead))
    began = [
        observed[i] for i in range(len(observed) - lasts_h + 1) if (ahead[observed[i : i + lasts_h]] >= limit).all()
    ]
    known = 2 * np.isfinite(ahead[:horizon]).sum() >= horizon
    return float(min(began, default=10**9) < horizon) if known else np.nan


@given(
    seed=st.integers(0, 2**16),
    gaps=st.floats(0, 0.7),
    limit=st.floats(-1, 2),
    horizon=st.sampled_from(HORIZONS),
    lasts=st.integers(1, 5),
)
def test_an_outcome_is_what_a_crossing_means(seed, gaps, limit, horizon, lasts):
    rng = np.random.default_rng(seed)
    ahead = np.repeat(rng.normal(0, 1, 60), 3)[: horizon + lasts - 1]
    ahead[rng.random(len(ahead)) < gaps] = np.nan
    found = outcome(ahead[None], np.array([limit]), horizon, lasts)
    np.testing.assert_array_equal(found, brute_force(ahead, limit, horizon, lasts))


def test_origins_have_settled_and_lie_on_a_calendar():
    found = origins(AS_OF, 63)
    now = int(np.datetime64(AS_OF, "h").astype(int))
    assert now - 24 * EVERY_DAYS < max(found) + settling_h(HORIZONS[0]) <= now
    assert min(found) >= now - 63 * 24
    assert {at % 24 for at in found} == {now % 24}
    assert set(np.diff(found)) == {24 * EVERY_DAYS}
    assert set(found) & set(origins(AS_OF + timedelta(days=7), 63))  # another night meets the same lessons
    assert origins(AS_OF, 0) == []


def test_a_lesson_knows_nothing_of_its_origin_s_future(rng):
    values, at = fleet(rng), origins(AS_OF, 40)[-5]  # all of it has settled, two days ago too
    column = values.shape[1] - (int(np.datetime64(AS_OF, "h").astype(int)) - at)
    altered = values.copy()
    altered[:, column:] = rng.normal(500, 99, altered[:, column:].shape)
    rising = np.zeros(len(values), dtype=bool)
    one, two = (lessons(grid_of(v), rising, at, 30, metric=np.full(len(v), "m")) for v in (values, altered))
    assert one.predictors.tobytes() == two.predictors.tobytes()
    assert one.shape.tolist() == two.shape.tolist()
    assert not np.array_equal(one.crossed, two.crossed)
    later = values.copy()
    later[:, column + SETTLING_H :] = np.nan
    three = lessons(grid_of(later), rising, at, 30)
    assert one.predictors.tobytes() == three.predictors.tobytes()
    assert one.crossed.tobytes() == three.crossed.tobytes()


def test_a_lesson_is_the_same_on_every_night_and_in_any_company(rng):
    values, at = fleet(rng), origins(AS_OF, 40)[-5]  # all of it has settled, two days ago too
    rising = np.zeros(len(values), dtype=bool)
    tonight = lessons(grid_of(values), rising, at, 30)
    earlier = lessons(grid_of(values[:, :-48], AS_OF - timedelta(days=2)), rising, at, 30)
    assert tonight.predictors.tobytes() == earlier.predictors.tobytes()
    halves = [lessons(grid_of(values).take(rows), rising[rows], at, 30) for rows in (np.arange(5, 12), np.arange(5))]
    assert together(halves).predictors.tobytes() == together([tonight]).predictors.tobytes()


@given(night=st.integers(0, 12 * 24))
def test_an_outcome_is_known_once_its_own_horizon_has_settled(lessons_of_a_session, night):
    as_of = AS_OF - timedelta(hours=night)
    now = int(np.datetime64(as_of, "h").astype(int))
    told, every = settled(lessons_of_a_session, as_of), lessons_of_a_session
    for at, horizon in enumerate(HORIZONS):
        by_then = every.origin + horizon + LASTS_H - 1 <= now
        known = told.take(np.flatnonzero(np.isfinite(told.crossed[:, at])))
        before = every.take(np.flatnonzero(by_then & np.isfinite(every.crossed[:, at])))
        assert known.predictors.tobytes() == before.predictors.tobytes()
        assert known.crossed[:, at].tobytes() == before.crossed[:, at].tobytes()


@pytest.fixture(scope="module")
def lessons_of_a_session() -> Lessons:
    return taught(np.random.default_rng(4))


def test_an_outcome_is_read_from_the_hours_until_it_settled_alone(rng):
    """As of a night that cannot know more: whatever came later, and however it was read, it is the same."""
    values, at = fleet(rng), origins(AS_OF, 40)[-6]
    values[:6, :] = np.where(np.arange(values.shape[1]) % 9 == 0, values[:6], np.nan)  # read every nine hours
    column = values.shape[1] - (int(np.datetime64(AS_OF, "h").astype(int)) - at)
    rising = np.zeros(len(values), dtype=bool)
    whole = lessons(grid_of(values), rising, at, 30)
    for h, horizon in enumerate(HORIZONS):
        end = column + settling_h(horizon)
        later = values.copy()
        later[:, end:] = rng.normal(500, 99, later[:, end:].shape)
        cut = grid_of(values[:, :end], AS_OF - timedelta(hours=values.shape[1] - end))
        for told in (lessons(grid_of(later), rising, at, 30), lessons(cut, rising, at, 30)):
            np.testing.assert_array_equal(told.crossed[:, : h + 1], whole.crossed[:, : h + 1])
        assert np.isnan(lessons(cut, rising, at, 30).crossed[:, h + 1 :]).all()


def test_what_falls_teaches_upside_down(rng):
    values, at = fleet(rng), origins(AS_OF, 40)[-5]  # all of it has settled, two days ago too
    up = lessons(grid_of(values), np.zeros(len(values), dtype=bool), at, 30)
    down = lessons(grid_of(-values), np.ones(len(values), dtype=bool), at, 30)
    np.testing.assert_array_equal(up.predictors, down.predictors)
    np.testing.assert_array_equal(up.crossed, down.crossed)


# ---------------------------------------------------------------------------------------------- model and learning


@given(seed=st.integers(0, 2**16))
def test_a_higher_limit_is_never_more_probable(trees_of_a_session, seed):
    rng = np.random.default_rng(seed)
    past = look(fleet(rng, 4, 30), 3)
    row = np.repeat(np.arange(4), 8)
    headroom = np.tile(np.sort(rng.uniform(-1, 5, 8)), 4)
    asked = predictors(past, row, past.level[row] + headroom * past.spread[row])
    p = trees_of_a_session.probabilities(asked, Kinds(np.full(32, "noisy"), np.full(32, "disk")))
    assert (np.diff(p.reshape(4, 8, 3), axis=1) <= 1e-12).all()
    assert (np.diff(p, axis=1) >= 0).all()


@pytest.fixture(scope="module")
def trees_of_a_session() -> CrossingModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "FEWEST_FOR_TREES", 50)
        patch.setattr(learning, "LESSONS_A_TREE", 20)
        patch.setitem(learning.OWN_PARAMETERS, "min_data_in_leaf", 5)
        known = taught(np.random.default_rng(3))
        model = learn_fleet(learn_prior(known, np.ones(len(known)), known, "a test", trees=10, lines=10), known)
    assert model.own is not None
    return model


def test_learning_twice_gives_the_same_model(rng, monkeypatch):
    monkeypatch.setattr(learning, "FEWEST_FOR_TREES", 50)
    known = taught(rng)
    priors = [learn_prior(known, np.ones(len(known)), known, "a test", trees=5, lines=5) for _ in range(2)]
    assert priors[0] == priors[1]
    assert priors[0].name == priors[1].name
    one, two = (learn_fleet(prior, known) for prior in priors)
    assert one.own == two.own
    assert (
        one.probabilities(known.predictors, known.kinds).tobytes()
        == two.probabilities(known.predictors, known.kinds).tobytes()
    )


def test_without_a_past_the_prior_answers(rng):
    known = taught(rng)
    prior = learn_prior(known, np.ones(len(known)), known, "a test", trees=5, lines=5)
    young = learn_fleet(prior, known.take(np.zeros(0, dtype=int)))
    one, two = (model.probabilities(known.predictors, known.kinds) for model in (young, unlearnt(prior)))
    assert one.tobytes() == two.tobytes()


def test_a_fleet_s_own_past_corrects_a_prior_that_is_too_sure(rng):
    known = taught(rng, fleet(rng, 60))
    half = np.where(rng.random(known.crossed.shape) < 0.5, 1.0, 0.0).astype(np.float32)
    nearly = replace(known, crossed=np.where(np.arange(len(known))[:, None] % 20 == 0, 0, np.ones_like(known.crossed)))
    prior = learn_prior(nearly, np.ones(len(known)), nearly, "nearly always", trees=20, lines=20)
    truth = replace(known, crossed=half, shape=np.full(len(known), "trend"))  # of which nothing is doubted
    before = unlearnt(prior).probabilities(known.predictors, truth.kinds)[:, -1].mean()
    after = learn_fleet(prior, truth).probabilities(known.predictors, truth.kinds)[:, -1].mean()
    assert before > 0.7
    assert abs(after - 0.5) < abs(before - 0.5) / 2


def test_what_is_newly_known_teaches_its_own_horizon_alone(rng):
    known = taught(rng, fleet(rng, 60))
    newest = known.origin > known.origin.max() - 7 * 24
    fresh = known.crossed.copy()
    fresh[newest, 1:] = np.nan  # of the last week only a day's outcome is known
    prior = learn_prior(known, np.ones(len(known)), known, "a test", trees=5, lines=5)
    asked = known.take(np.flatnonzero(newest))
    one = learn_fleet(prior, replace(known, crossed=fresh))
    fresh[newest, 0] = 1.0
    two = learn_fleet(prior, replace(known, crossed=fresh))
    p, q = (model.logits(asked.predictors, asked.kinds) for model in (one, two))
    assert (q[:, 0] > p[:, 0]).all()
    assert p[:, 1:].tobytes() == q[:, 1:].tobytes()


def test_straight_climbs_are_answered_by_trees_of_their_own(rng):
    climbing = np.arange(40 * 24) / 24 * rng.uniform(0.5, 2, (40, 1)) + rng.normal(0, 0.01, (40, 40 * 24))
    known, climbs = taught(rng), taught(rng, climbing)
    straight = straightness(climbs.predictors)
    assert (straight == 1).mean() > 0.9
    never = replace(known, crossed=np.where(np.arange(len(known))[:, None] % 20 == 0, 1, np.zeros_like(known.crossed)))
    prior = learn_prior(never, np.ones(len(known)), climbs, "a test", trees=5, lines=5)
    assert prior.lines is not None
    sure = straight == 1
    found = prior.logits(climbs.predictors)
    np.testing.assert_allclose(found[sure], prior.lines.logits(climbs.predictors[sure]), rtol=1e-9)
    wavy = known.take(np.flatnonzero(straightness(known.predictors) == 0))
    without = Prior(prior.trees, None, "the same without")
    assert prior.logits(wavy.predictors).tobytes() == without.logits(wavy.predictors).tobytes()
    assert prior.name != without.name


def test_a_prior_survives_its_file(rng):
    known = taught(rng)
    prior = learn_prior(known, np.ones(len(known)), known, "half a fleet", trees=5, lines=5)
    content = dump(prior)
    again = parse(content)
    assert again == prior
    assert again.about == "half a fleet"
    assert dump(again) == content
    assert again.logits(known.predictors).tobytes() == prior.logits(known.predictors).tobytes()


@pytest.mark.parametrize("content", [b"", b"not gzip", dump(Prior(Trees(("a",) * 3), None, "x"))[:40]])
def test_what_is_no_prior_is_said_in_one_line(content):
    with pytest.raises(PriorError, match=r"^it is no prior .*python -m data.prior$"):
        parse(content)


def test_the_examination_does_not_learn_from_what_it_asks(rng):
    known = settled(taught(rng), AS_OF)
    whole = known.origin + SETTLING_H <= int(np.datetime64(AS_OF, "h").astype(int))
    asked = whole & (known.origin > known.origin[whole].max() - EXAMINED_DAYS * 24)
    unknown_then = known.origin[:, None] + np.array([settling_h(h) for h in HORIZONS]) > known.origin[asked].min()
    turned = np.where(unknown_then, 1 - known.crossed, known.crossed)
    one = examine(NO_PRIOR, known, AS_OF)
    two = examine(NO_PRIOR, replace(known, crossed=turned), AS_OF)
    assert one["mean_p"].equals(two["mean_p"])
    assert not one["brier"].equals(two["brier"])
    for h, horizon in enumerate(HORIZONS):
        row = one.filter(shape="all", horizon_h=horizon).row(0, named=True)
        assert row["questions"] == np.isfinite(known.crossed[asked, h]).sum()
        assert sum(each["n"] for each in row["bins"]) == row["questions"]
    assert examine(NO_PRIOR, known.take(np.zeros(0, dtype=int)), AS_OF).is_empty()
    young = known.take(np.flatnonzero(~whole))  # nothing has settled for the longest horizon
    assert examine(NO_PRIOR, young, AS_OF).is_empty()


def test_the_timetable_holds_origins_of_which_something_has_settled():
    found = timetable(AS_OF, ForecastingOptions())
    assert max(found) + settling_h(HORIZONS[0]) <= int(np.datetime64(AS_OF, "h").astype(int))
    assert timetable(AS_OF, ForecastingOptions(learning_days=0)) == ()
