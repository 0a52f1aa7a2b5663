import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import Interval, mean_interval, quantile_interval

SKEW = 1.5  # sigma of log-normal durations, as incidents have


def known(values: np.ndarray, q: float) -> Interval | None:
    return quantile_interval(values, values, q)


def share_of(found: list[Interval | None], truth: float) -> float:
    return sum(each is not None and each.lo <= truth <= each.hi for each in found) / len(found)


@pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.75, 13), (0.9, 36)])
def test_a_quantile_is_withheld_where_no_interval_exists(q: float, least: int) -> None:
    values = np.arange(1.0, 100.0)
    assert known(values[: least - 1], q) is None
    assert known(values[:least], q) is not None


@settings(max_examples=40, deadline=None)
@given(st.integers(13, 400), st.sampled_from([0.5, 0.75]))
def test_ends_lie_between_the_textbook_order_statistics(n: int, q: float) -> None:
    """The conservative ranks are the binomial's own quantiles; interpolation moves each inwards by less than one."""
    at = np.arange(1.0, n + 1)
    found = known(at, q)
    assert found is not None
    lo, hi = stats.binom.ppf(0.025, n, q), stats.binom.ppf(0.975, n, q) + 1
    assert lo - 1e-9 <= found.lo <= lo + 1
    assert hi - 1 <= found.hi <= hi + 1e-9


@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (20, 0.5), (50, 0.5), (50, 0.75), (50, 0.9)])
def test_a_quantile_is_covered_as_promised(n: int, q: float) -> None:
    samples = np.random.default_rng(7).lognormal(8, SKEW, (1500, n))
    truth = np.exp(8 + SKEW * stats.norm.ppf(q))
    found = [known(sample, q) for sample in samples]
    covered = share_of(found, float(truth))
    assert 0.93 <= covered <= 0.97


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e7), st.booleans()), min_size=6, max_size=60), st.floats(1, 1e6))
def test_the_interval_holds_whatever_becomes_of_the_unfinished(rows: list[tuple[float, bool]], more: float) -> None:
    so_far, finished = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = quantile_interval(so_far, np.where(finished, so_far, np.inf), 0.5)
    later = known(np.where(finished, so_far, so_far + more), 0.5)
    assert found is not None
    assert later is not None
    assert found.lo <= later.lo * (1 + 1e-9)
    assert found.hi >= later.hi * (1 - 1e-9)


def test_a_mean_is_covered_far_better_than_by_percentiles() -> None:
    """BCa held 72, 79, 86, 90 % at n = 10, 20, 50, 200, percentiles less (``statistics.coverage`` has this one's)."""
    samples = np.random.default_rng(3).lognormal(8, SKEW, (250, 20))
    truth = np.exp(8 + SKEW**2 / 2)
    found = [mean_interval(sample) for sample in samples]
    covered = share_of(found, float(truth))
    resampled = samples[:, np.random.default_rng(4).integers(0, 20, (199, 20))].mean(axis=2)
    lo, hi = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert covered >= 0.8
    by_percentiles = float(np.mean((lo <= truth) & (truth <= hi)))
    assert covered >= by_percentiles + 0.05


def test_a_mean_of_plain_values_agrees_with_students_interval() -> None:
    values = np.random.default_rng(5).normal(1000, 100, 400)
    found, student = mean_interval(values), stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert found == pytest.approx(student, rel=2e-3)


def test_a_mean_depends_on_the_values_not_their_order() -> None:
    values = np.random.default_rng(6).lognormal(8, SKEW, 30)
    assert mean_interval(values) == mean_interval(values[::-1].copy())


@pytest.mark.parametrize("values", [[1.0, 2, 3, 4], [5.0] * 9, [0.0] * 9, [0.0] * 8 + [1.0]])
def test_a_mean_is_withheld_where_nothing_can_be_said(values: list[float]) -> None:
    assert mean_interval(np.array(values)) is None


@pytest.mark.parametrize(
    ("often", "seldom"), [([61.0] * 12, [122.0] * 3), ([60.0] * 300, [600.0] * 2), ([60.1] * 20, [60.3] * 4)]
)
def test_a_mean_of_few_different_values_is_bounded_or_withheld(often: list[float], seldom: list[float]) -> None:
    """Resamples of equal values have a variance of rounding alone, which once made ends infinite."""
    found = mean_interval(np.array(often + seldom))
    assert found is None or often[0] / 2 < found.lo < found.hi < 3 * seldom[0]


def test_a_mean_of_very_many_is_that_of_groups_of_them() -> None:
    """As narrow as the plain standard error says, and as lopsided as the studentised bootstrap of all of them."""
    values = np.random.default_rng(8).lognormal(8, SKEW, 20_000)
    found, error = mean_interval(values), values.std(ddof=1) / np.sqrt(len(values))
    assert found is not None
    assert found.lo < values.mean() < found.hi
    assert (found.hi - found.lo) / 2 == pytest.approx(1.96 * error, rel=0.15)


def literal_studentised(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Efron & Tibshirani (1993), algorithm 12.1, on the logarithm of the mean, written out."""
    rng, n = np.random.default_rng(seed), len(values)
    error = values.std(ddof=1) / np.sqrt(n) / values.mean()
    found = []
    for _ in range(resamples):
        drawn = rng.choice(values, n)
        found.append((np.log(drawn.mean()) - np.log(values.mean())) / (drawn.std(ddof=1) / np.sqrt(n) / drawn.mean()))
    low, high = np.quantile(found, [0.025, 0.975])
    return values.mean() * np.exp(-high * error), values.mean() * np.exp(-low * error)


@pytest.mark.parametrize(("n", "tolerance"), [(15, 0.25), (60, 0.1), (300, 0.05)])
def test_a_mean_is_the_studentised_bootstrap_written_out(n: int, tolerance: float) -> None:
    """To what ten times fewer resamples are worth."""
    values = np.random.default_rng(n).lognormal(8, 1.0, n)
    found = mean_interval(values)
    assert found == pytest.approx(literal_studentised(values, 4000, 1), rel=tolerance)
