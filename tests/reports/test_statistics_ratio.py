import numpy as np
import pytest
from duration_samples import DURATIONS, arrays, kaplan_meier_median, needs_data, real, real_durations
from hypothesis import given
from scipy import optimize, stats

from reports.statistics import median_ratio
from reports.statistics.ratio import OF_EACH

SAMPLE = np.random.default_rng(1).lognormal(8, 1.5, 40)
DONE = np.ones(40, dtype=bool)


def sheather(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """Hettmansperger & Sheather (1986), equation 2, as printed: k is the depth of the outer of the two intervals."""
    n, ordered = len(values), np.sort(values)
    gamma = np.array([1 - 2 * stats.binom.cdf(k - 1, n, 0.5) for k in range(n // 2 + 1)])
    k = int(np.flatnonzero(gamma >= 1 - alpha)[-1])
    share = (gamma[k] - (1 - alpha)) / (gamma[k] - gamma[k + 1])
    weight = (n - k) * share / (k + (n - 2 * k) * share)
    lo = (1 - weight) * ordered[k - 1] + weight * ordered[k]
    hi = (1 - weight) * ordered[n - k] + weight * ordered[n - k - 1]
    return lo, hi


@pytest.mark.parametrize(("n", "m"), [(6, 6), (10, 25), (50, 50), (200, 31)])
def test_it_is_zou_and_donners_of_two_sheather_intervals(n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    first, second = rng.lognormal(8, 1.5, n), rng.lognormal(9, 1.0, m)
    logs = [np.log1p(sample) for sample in (first, second)]
    (l1, u1), (l2, u2) = (sheather(each, OF_EACH) for each in logs)
    m1, m2 = (np.log1p(np.median(sample)) for sample in (first, second))
    lo = m2 - m1 - np.sqrt((m2 - l2) ** 2 + (u1 - m1) ** 2)
    hi = m2 - m1 + np.sqrt((u2 - m2) ** 2 + (m1 - l1) ** 2)
    found = median_ratio(first, np.ones(n, dtype=bool), second, np.ones(m, dtype=bool))
    assert found == pytest.approx(np.exp([m2 - m1, lo, hi]), rel=1e-9)


def test_it_agrees_with_the_bootstrap_within_what_either_is_worth() -> None:
    first, second = SAMPLE, 0.5 * np.random.default_rng(2).lognormal(8, 1.5, 60)
    found = median_ratio(first, DONE, second, np.ones(60, dtype=bool))
    draw = stats.bootstrap(
        (np.log(second), np.log(first)), lambda a, b, axis: np.median(a, axis) - np.median(b, axis),
        method="percentile", rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    assert found is not None and found.lo is not None and found.hi is not None
    assert np.log([found.lo, found.hi]) == pytest.approx([draw.low, draw.high], abs=0.35)


@real
@needs_data
def test_medians_of_real_open_incidents_are_statsmodels() -> None:
    (first, first_done), (second, second_done) = real_durations(300), real_durations(200, seed=1)
    medians = [kaplan_meier_median(*each) for each in ((first, first_done), (second, second_done))]
    found = median_ratio(first, first_done, second, second_done)
    assert found is not None and found.value is not None
    assert found.value == pytest.approx((1 + medians[1]) / (1 + medians[0]), rel=0.02)


@given(DURATIONS, DURATIONS)
def test_before_and_after_change_places(first: list[tuple[float, bool]], second: list[tuple[float, bool]]) -> None:
    a, b = arrays(first), arrays(second)
    there, back = median_ratio(*a, *b), median_ratio(*b, *a)
    assert there is not None and back is not None
    mirrored = [None if each is None else 1 / each for each in (back.value, back.hi, back.lo)]
    for found, expected in zip(there, mirrored, strict=True):
        assert (found is None) == (expected is None)
        assert found is None or found == pytest.approx(expected, rel=1e-6)
    if there.value is not None:
        assert there.lo is None or there.lo <= there.value * (1 + 1e-9)
        assert there.hi is None or there.hi >= there.value * (1 - 1e-9)


def test_what_is_open_leaves_an_end_open() -> None:
    still_open = np.quantile(SAMPLE, 0.4) > SAMPLE
    later = median_ratio(SAMPLE, DONE, SAMPLE, still_open)
    assert later is not None
    assert (later.value, later.hi) == (None, None)
    assert later.lo is not None and later.lo < 1
    earlier = median_ratio(SAMPLE, still_open, SAMPLE, DONE)
    assert earlier is not None
    assert (earlier.value, earlier.lo) == (None, None)


def test_too_few_to_compare() -> None:
    assert median_ratio(SAMPLE[:5], DONE[:5], SAMPLE, DONE) is None


@pytest.mark.parametrize("n", [10, 20, 50])
def test_it_holds_as_often_as_promised(n: int) -> None:
    """The table of docs/statistics.md has more samples and sizes."""
    rng = np.random.default_rng(4)
    held, done = 0, np.ones(n, dtype=bool)
    for _ in range(1500):
        found = median_ratio(rng.lognormal(8, 1.5, n), done, 0.7 * rng.lognormal(8, 1.5, n), done)
        assert found is not None and found.lo is not None and found.hi is not None
        held += found.lo <= 0.7 <= found.hi
    assert 0.93 <= held / 1500 <= 0.975


def test_the_p_value_of_an_end_is_a_twentieth() -> None:
    found = median_ratio(SAMPLE, DONE, 2 * SAMPLE, DONE)
    assert found is not None and found.value is not None and found.lo is not None and found.hi is not None
    assert found.p_value(found.lo) == pytest.approx(0.05)
    assert found.p_value(found.hi) == pytest.approx(0.05)
    assert found.p_value(found.value) == pytest.approx(1.0)
    beyond = optimize.brentq(lambda r: (found.p_value(r) or 0) - 0.001, found.hi, 100 * found.hi)
    assert isinstance(beyond, float) and beyond > found.hi


def test_between_equal_durations_there_is_no_doubt() -> None:
    hour, done = np.full(80, 3600.0), np.ones(80, dtype=bool)
    found = median_ratio(hour, done, hour / 6, done)
    assert found is not None and found.value is not None and found.lo == found.value == found.hi
    assert [found.p_value(against) for against in (0.1, found.value, 0.7)] == [0.0, 1.0, 0.0]


def test_the_smallest_detectable_change_is_mostly_told_from_none() -> None:
    rng, done = np.random.default_rng(5), np.ones(100, dtype=bool)
    widths = [median_ratio(rng.lognormal(8, 1.5, 100), done, rng.lognormal(8, 1.5, 100), done) for _ in range(20)]
    smallest = float(np.median([each.smallest_detectable or 0 for each in widths if each]))
    found = [
        median_ratio(rng.lognormal(8, 1.5, 100), done, smallest * rng.lognormal(8, 1.5, 100), done) for _ in range(100)
    ]
    assert 0.65 <= np.mean([each is not None and each.hi is not None and each.hi < 1 for each in found]) <= 0.95
