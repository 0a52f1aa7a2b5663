import numpy as np
import pymannkendall
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import mann_kendall, theil_sen, trend


def autoregressive(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    values = rng.normal(size=n)
    for i in range(1, n):
        values[i] = rho * values[i - 1] + np.sqrt(1 - rho**2) * values[i]
    return values


@pytest.mark.parametrize("seed", range(5))
def test_plain_mann_kendall_is_kendalls_tau_against_time(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 12, 30).astype(float)
    found = mann_kendall(values, autocorrelation=False)
    _, p_value = stats.kendalltau(np.arange(30), values, method="asymptotic")
    assert found.s == sum(np.sign(values[j] - values[i]) for j in range(30) for i in range(j))
    # scipy's p-value has no continuity correction, ours has: so compare the variances.
    z = found.s / np.sqrt(found.variance)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(p_value, rel=1e-9)


def test_the_slope_and_its_interval_are_scipys() -> None:
    rng = np.random.default_rng(2)
    at = np.sort(rng.uniform(0, 12, 25))
    values = 0.3 * at + rng.normal(size=25)
    expected, _, lo, hi = stats.theilslopes(values, at, alpha=0.95)
    slope, interval = theil_sen(at, values, mann_kendall(values, autocorrelation=False).half_width)
    assert slope == pytest.approx(expected)
    assert interval.lo == pytest.approx(lo, abs=0.02)
    assert interval.hi == pytest.approx(hi, abs=0.02)


@pytest.mark.parametrize(("rho", "rate"), [(0.0, 0.040), (0.3, 0.065), (0.5, 0.075)])
def test_spells_are_seldom_mistaken_for_a_trend(rho: float, rate: float) -> None:
    """`rate` was measured over 4,000 series; what is tolerated here is three standard errors of 400 more.

    So spells still cost something: the nominal 5 % becomes 7.5 % at 0.5, where the plain test is wrong far oftener.
    """
    rng = np.random.default_rng(8)
    series = [autoregressive(rng, 30, rho) for _ in range(400)]
    most = rate + 3 * np.sqrt(rate * (1 - rate) / 400)
    assert np.mean([mann_kendall(each).p_value < 0.05 for each in series]) <= most
    if rho == 0.5:
        assert np.mean([mann_kendall(each, autocorrelation=False).p_value < 0.05 for each in series]) > most


def test_equal_values_have_no_trend() -> None:
    assert mann_kendall(np.ones(10)).p_value == 1.0


def simulated(rng: np.random.Generator, n: int, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A year of incidents as seen at its end: log-normal durations, `slope` a month, the newest partly unfinished."""
    at = np.sort(rng.uniform(0, 12, n))
    took, age = rng.lognormal(10 + slope * at, 1.5), (12 - at) * 30 * 86400
    return at, np.minimum(took, age), took < age


def test_without_a_change_few_are_found_and_the_interval_holds_zero() -> None:
    rng = np.random.default_rng(9)
    found = [trend(*simulated(rng, 200, 0.0)) for _ in range(80)]
    assert np.mean([each is not None and each.p_value < 0.05 for each in found]) <= 0.06
    assert np.mean([each is not None and each.lo <= 0 <= each.hi for each in found]) >= 0.93


def test_a_true_slope_is_found_and_measured() -> None:
    found = trend(*simulated(np.random.default_rng(10), 2000, -0.1))
    assert found is not None
    assert found.p_value < 0.01
    assert found.lo <= -0.1 <= found.hi < 0


def test_the_smallest_detectable_slope_is_mostly_detected() -> None:
    rng = np.random.default_rng(11)
    smallest = [each.smallest_detectable for each in (trend(*simulated(rng, 300, 0.0)) for _ in range(12)) if each]
    slope = float(np.mean([each for each in smallest if each is not None]))
    found = [trend(*simulated(rng, 300, -slope)) for _ in range(40)]
    assert 0.65 <= np.mean([each is not None and each.p_value < 0.05 for each in found]) <= 0.97


def test_a_busy_month_does_not_outvote_the_quiet_ones() -> None:
    """Falling within one busy month, then a year that is slower: no improvement."""
    at = np.concatenate([np.linspace(0, 1, 1000), np.linspace(1, 12, 110)])
    took = np.concatenate([np.geomspace(1e5, 1e4, 1000), np.full(110, 2e5)])
    found = trend(at, took, np.ones(len(at), dtype=bool))
    assert found is not None
    assert found.slope >= 0


def test_too_few_to_say() -> None:
    at = np.arange(39.0)
    finished = np.ones(39, dtype=bool)
    assert trend(at, at + 1, finished) is None
    assert trend(np.zeros(100), np.arange(100.0), np.ones(100, dtype=bool)) is None


@given(st.lists(st.integers(0, 9), min_size=8, max_size=60))
def test_the_plain_test_and_slope_are_pymannkendalls(values: list[int]) -> None:
    series = np.array(values, dtype=float)
    if np.ptp(series) == 0:
        return
    found, theirs = mann_kendall(series, autocorrelation=False), pymannkendall.original_test(series)
    assert (found.s, found.variance, found.p_value) == pytest.approx((theirs.s, theirs.var_s, theirs.p), abs=1e-12)
    slope, _ = theil_sen(np.arange(len(series)), series, found.half_width)
    assert slope == pytest.approx(pymannkendall.sens_slope(series)[0])


def test_spells_widen_the_variance_where_hamed_and_rao_see_them_too() -> None:
    """Theirs keeps significant lags alone, and may narrow it; ours lies near where those tell of spells."""
    rng = np.random.default_rng(12)
    ours, theirs = [], []
    for _ in range(60):
        series = autoregressive(rng, 200, 0.6)
        plain = mann_kendall(series, autocorrelation=False).variance
        ours.append(mann_kendall(series).variance / plain)
        theirs.append(pymannkendall.hamed_rao_modification_test(series, lag=12).var_s / plain)
    assert min(ours) >= 1
    assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.35)


def test_the_inflation_is_hamed_and_raos_equation_written_out() -> None:
    rng = np.random.default_rng(13)
    series = autoregressive(rng, 30, 0.7)
    m = 30
    slope = pymannkendall.sens_slope(series)[0]
    ranks = stats.rankdata(series - slope * np.arange(m))
    centred = ranks - ranks.mean()
    r = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
    rho = min(0.95, max(0.0, (m * r + 2) / (m - 4)))
    total = sum((m - k) * (m - k - 1) * (m - k - 2) * rho**k for k in range(1, m))
    expected = 1 + 2 / (m * (m - 1) * (m - 2)) * total
    plain, found = mann_kendall(series, autocorrelation=False), mann_kendall(series)
    assert found.variance / plain.variance == pytest.approx(expected)


def test_an_interval_that_leaves_out_zero_and_a_p_value_below_five_percent_say_the_same():
    rng = np.random.default_rng(7)
    at = np.arange(30.0)
    told = []
    for _ in range(400):
        values = autoregressive(rng, 30, 0.6) + rng.uniform(0, 0.2) * at
        test = mann_kendall(values)
        _, interval = theil_sen(at, values, test.half_width)
        told.append((interval.lo > 0 or interval.hi < 0, test.p_value < 0.05, 0.045 < test.p_value < 0.055))
    assert all(apart == low for apart, low, close in told if not close)
    assert 80 < sum(low for _, low, _ in told) < 320
