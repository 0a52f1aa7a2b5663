import numpy as np
import pytest
from duration_samples import DURATIONS as SOME
from duration_samples import arrays, needs_data, real, real_durations
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from reports.statistics import Survival

DURATIONS = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(DURATIONS)
def test_the_curve_is_scipys(rows: list[tuple[int, bool]]) -> None:
    seconds, finished = np.array([float(r[0]) for r in rows]), np.array([r[1] for r in rows])
    found = Survival.fit(seconds, finished)
    if not finished.any():
        assert (found.median, found.quantile(0.5), found.share_within(1e9)) == (None, None, 0.0)
        return
    data = stats.CensoredData(uncensored=seconds[finished], right=seconds[~finished])
    expected = stats.ecdf(data).sf
    at = np.linspace(0, 31, 63)
    assert [1 - found.share_within(t) for t in at] == pytest.approx(expected.evaluate(at), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.sampled_from([0.5, 0.75, 0.9]))
def test_with_everything_finished_quantiles_are_the_samples_own(values: list[int], q: float) -> None:
    seconds = np.array(values, dtype=float)
    found = Survival.fit(seconds, np.ones(len(seconds), dtype=bool))
    assert found.quantile(q) == pytest.approx(np.quantile(seconds, q, method="averaged_inverted_cdf"))


def test_the_textbook_example() -> None:
    """Remission times of the 6-MP arm, Freireich et al. (1963): median 23, S(10) = 0.753."""
    finished_at = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    unfinished_at = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    seconds = np.array(finished_at + unfinished_at, dtype=float)
    found = Survival.fit(seconds, np.arange(len(seconds)) < len(finished_at))
    assert found.median == 23
    assert 1 - found.share_within(10) == pytest.approx(0.753, abs=5e-4)


def test_leaving_out_what_is_open_flatters() -> None:
    rng = np.random.default_rng(1)
    took, age = rng.lognormal(9, 1.5, 4000), rng.uniform(0, 30_000, 4000)
    finished = took < age
    found = Survival.fit(np.minimum(took, age), finished)
    assert found.median == pytest.approx(np.median(took), rel=0.1)
    assert np.median(took[finished]) < 0.6 * np.median(took)


def check_against_statsmodels(seconds: np.ndarray, finished: np.ndarray) -> None:
    found, theirs = Survival.fit(seconds, finished), SurvfuncRight(seconds, finished.astype(int))
    ended = np.isin(np.asarray(theirs.surv_times), found.times)
    curve, error = np.asarray(theirs.surv_prob)[ended], np.asarray(theirs.surv_prob_se)[ended]
    assert found.survival == pytest.approx(curve, abs=1e-12)
    inner = (curve > 1e-12) & (curve < 1)
    log = np.log(curve[inner])
    half = stats.norm.ppf(0.975) * error[inner] / (curve[inner] * np.abs(log))  # the delta method, on log(-log S)
    for ours, expected in zip(found.band(), (np.exp(log * np.exp(half)), np.exp(log * np.exp(-half))), strict=True):
        assert ours[inner] == pytest.approx(expected, abs=1e-9)
    if finished.any() and np.abs(curve - 0.5).min() > 1e-9:  # at exactly a half their rounding decides
        median = theirs.quantile(0.5)
        assert found.median == (None if not np.isfinite(median) else median)


@settings(max_examples=60, deadline=None)
@given(SOME)
def test_curve_band_and_median_are_statsmodels(rows: list[tuple[float, bool]]) -> None:
    check_against_statsmodels(*arrays(rows))


@real
@needs_data
@pytest.mark.parametrize("n", [12, 100, 2000])
def test_curve_band_and_median_of_real_incidents_are_statsmodels(n: int) -> None:
    seconds, finished = real_durations(n)
    check_against_statsmodels(seconds, finished)
    with np.errstate(divide="ignore", invalid="ignore"):  # theirs looks at log(log 1) as well
        theirs = SurvfuncRight(seconds, finished.astype(int)).quantile_ci(0.5, method="cloglog")
    assert Survival.fit(seconds, finished).median_interval == pytest.approx(tuple(theirs))
