import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

from reports.statistics import count_interval, dispersion, gap, rate_change, share_interval


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_is_wilsons(case: tuple[int, int]) -> None:
    hits, n = case
    lo, hi = proportion_confint(hits, n, method="wilson")
    assert share_interval(hits, n) == pytest.approx((max(lo, 0), min(hi, 1)), abs=1e-12)


def test_no_share_of_nothing() -> None:
    assert share_interval(0, 0) is None


@given(st.integers(0, 100_000))
def test_a_count_is_garwoods(n: int) -> None:
    lo, hi = confint_poisson(n, 1, method="exact-c")
    assert count_interval(n) == pytest.approx((0.0 if n == 0 else lo, hi), rel=1e-9)


def test_time_between_incidents_is_the_inverse_of_their_rate() -> None:
    found = gap(12, 365.0)
    assert found is not None
    lo, hi = confint_poisson(12, 365, method="exact-c")
    assert found == pytest.approx((365 / 12, 1 / hi, 1 / lo))
    assert gap(0, 365.0) is None


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.2, 5))
def test_a_change_of_rates_is_the_exact_conditional_test(before: int, after: int, longer: float) -> None:
    found = rate_change(before, after, (1.0, longer))
    if before + after == 0:
        assert found is None
        return
    assert found is not None
    share = longer / (1 + longer)
    tails = [stats.binomtest(after, before + after, share, side).pvalue for side in ("less", "greater")]
    assert found.p_value == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9, abs=1e-15)
    interval = stats.binomtest(after, before + after).proportion_ci(0.95, method="exact")
    lo, hi = (np.inf if end >= 1 else end / (1 - end) / longer for end in interval)
    assert (found.lo, found.hi) == pytest.approx((lo, hi), rel=1e-7)


def test_the_interval_and_the_test_agree() -> None:
    for before in range(0, 30, 3):
        for after in range(0, 30, 3):
            found = rate_change(before, after)
            if found is not None and abs(found.p_value - 0.05) > 1e-9:
                assert (found.p_value < 0.05) == (not found.lo <= 1 <= found.hi)


def test_counts_in_storms_are_worth_less() -> None:
    plain, stormy = rate_change(20, 40), rate_change(20, 40, dispersion=4.0)
    assert plain is not None
    assert stormy is not None
    assert plain.p_value < 0.05 < stormy.p_value
    assert stormy.value == plain.value
    assert stormy.lo < plain.lo < plain.hi < stormy.hi


def test_dispersion_is_pearsons_of_a_poisson_regression() -> None:
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(2, 0.2, 80).astype(float)
    halves = np.repeat([0.0, 1.0], 40)
    model = sm.GLM(counts, sm.add_constant(halves), family=sm.families.Poisson()).fit()
    expected = np.where(halves == 0, counts[:40].mean(), counts[40:].mean())
    assert dispersion(counts, expected, 2) == pytest.approx(model.pearson_chi2 / model.df_resid, rel=1e-6)
    assert dispersion(np.full(9, 3.0), np.full(9, 3.0), 1) == 1.0


def test_storms_do_not_make_a_trend() -> None:
    """Outages that are each reported five to fifteen times."""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(300):
        daily = rng.poisson(0.15, 180) * rng.integers(5, 16, 180)
        halves = daily[:90], daily[90:]
        means = np.repeat([max(half.mean(), 1e-9) for half in halves], 90)
        found = rate_change(halves[0].sum(), halves[1].sum(), dispersion=dispersion(daily, means, 2))
        wrong += found is not None and found.p_value < 0.05
    assert wrong / 300 <= 0.06
