"""How far the crossing model is believed: by its climb, by doubt of news, and by a fleet's own past."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from forecasting.learnt.belief import HIGH, doubted, tempered
from forecasting.learnt.calibration import KIND_RESTRAINT, RESTRAINT, SLOPE_RESTRAINT, Kinds, calibrate
from forecasting.learnt.lines import plainness
from forecasting.learnt.past import look
from forecasting.learnt.questions import is_news, predictors


def test_what_climbs_is_believed_by_its_shape_or_by_its_line():
    hours = np.arange(20 * 24)
    line, wave = hours / 24, 5 * np.sin(hours / 5)
    past = look(np.stack([line, wave]), 3)
    known = predictors(past, np.array([0, 1, 1]), np.array([30.0, 9.0, 9.0]))
    assert plainness(known, np.array(["flat", "flat", "trend"])).tolist() == [1, 0, 1]


def test_a_prior_is_less_believed_about_what_does_not_climb():
    logits = np.array([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0], [-6.0, -6.0, -6.0]])
    climbs, noisy, never = tempered(logits, np.array([1.0, 0.0, 0.0]))[:, 0]
    assert climbs == 2.0
    assert never < -5 and never > -6  # a little nearer to what is usual, from either side
    assert 0.5 < noisy < 2.0


@given(st.floats(-9, 9), st.floats(0, 5), st.floats(0, 1))
def test_doubt_takes_from_the_top_alone_and_keeps_the_order(logit, more, plain):
    def said(value: float, news: bool) -> float:
        return doubted(np.full((1, 3), value), np.array([plain]), np.array([news]))[0, 0]

    assert said(logit, True) <= said(logit + more, True)
    assert said(logit, True) <= said(logit + more, False)  # a nearer limit is the more probable one, and may be old hat
    assert said(logit, True) <= logit
    assert said(logit, False) == logit
    if logit <= HIGH or plain == 1:
        assert said(logit, True) == logit


def test_what_was_reached_in_the_week_before_is_no_news():
    values = 10 + 5 * np.sin(np.arange(20 * 24) / 3.8)[None]
    known = predictors(look(values, 3), np.zeros(3, int), np.array([9.0, 13.0, 20.0]))
    assert is_news(known).tolist() == [False, False, True]


def questions(rng: np.random.Generator, count: int) -> tuple[np.ndarray, Kinds]:
    """Logits, and kinds that have nothing to do with them."""
    kinds = Kinds(rng.choice(["step", "noisy"], count), rng.choice(["cpu", "disk", "net"], count))
    return rng.normal(-1, 2, count), kinds


def drawn(rng: np.random.Generator, logit: np.ndarray) -> np.ndarray:
    return (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.float32)


def test_calibration_finds_what_a_shape_and_a_metric_add(rng):
    logit, kinds = questions(rng, 40_000)
    truth = -0.4 + 0.7 * logit + np.where(kinds.shape == "step", -0.8, 0.3) + np.where(kinds.metric == "net", -0.6, 0.2)
    found = calibrate(logit, drawn(rng, truth), np.ones(len(logit)), kinds)
    assert found.slope == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(found.calibrated(logit, kinds), truth, atol=0.2)


def test_calibration_agrees_with_scipy_on_its_own_objective(rng):
    logit, kinds = questions(rng, 400)
    y, w = drawn(rng, 0.5 * logit), rng.uniform(0.1, 1, 400)
    shapes, metrics = sorted(set(kinds.shape)), sorted(set(kinds.metric))
    design = np.stack([np.ones(400), logit, *(kinds.shape == one for one in shapes),
                       *(kinds.metric == one for one in metrics)], axis=1).astype(float)  # fmt: skip
    believed = np.array([0, 1, *np.zeros(design.shape[1] - 2)])
    restraint = np.array([RESTRAINT, SLOPE_RESTRAINT, *np.full(design.shape[1] - 2, KIND_RESTRAINT)])

    def cost(beta: np.ndarray) -> float:
        z = design @ beta
        return float((w * (np.logaddexp(0, z) - y * z)).sum() + (restraint * np.square(beta - believed)).sum() / 2)

    best = minimize(cost, believed, method="BFGS").x
    found = calibrate(logit, y, w, kinds)
    np.testing.assert_allclose(found.calibrated(logit, kinds), design @ best, atol=2e-3)


def test_a_kind_never_seen_is_treated_as_all_are(rng):
    logit, kinds = questions(rng, 500)
    found = calibrate(logit, drawn(rng, logit - 2), np.ones(500), kinds)
    strange = found.calibrated(logit, Kinds(np.full(500, "zigzag"), np.full(500, "")))
    np.testing.assert_allclose(strange, found.shift + found.slope * logit)


def test_calibration_never_turns_the_order_round(rng):
    logit, kinds = questions(rng, 3000)
    found = calibrate(logit, drawn(rng, -2 * logit), np.full(3000, 1.0), kinds)
    assert found.slope >= 0
