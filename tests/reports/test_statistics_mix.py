import numpy as np
import pandas as pd
import pytest
from duration_samples import kaplan_meier_median, needs_data, real, real_durations

from reports.statistics import MixShift, Strata, mix_shift

RNG = np.random.default_rng(1)


def period(n: int, share: float, factor: float = 1.0, seed: int = 0) -> Strata:
    """So many of two kinds, the second ten times as slow; all of them faster or slower by a factor."""
    rng = np.random.default_rng(seed)
    slow = rng.random(n) < share
    return Strata(factor * np.where(slow, 10.0, 1.0) * rng.lognormal(7, 1, n), np.ones(n, dtype=bool), slow.astype(int))


def reweighted_median(own: Strata, other: Strata) -> float:
    """By statsmodels, with weights from a pandas crosstab."""
    mixes = [pd.Series(each.stratum).value_counts(normalize=True) for each in (own, other)]
    weights = pd.Series(own.stratum).map(mixes[1] / mixes[0]).fillna(0.0).to_numpy()
    kept = weights > 0
    return kaplan_meier_median(own.seconds[kept], own.finished[kept], weights[kept])


def check(found: MixShift | None, before: Strata, after: Strata, rel: float) -> None:
    assert found is not None
    m00, m01, m10, m11 = (
        reweighted_median(*pair) for pair in ((before, before), (before, after), (after, before), (after, after))
    )
    assert found.total.value == pytest.approx(m11 / m00, rel=rel)
    assert found.speed.value == pytest.approx(np.sqrt(m10 / m00 * m11 / m01), rel=rel)
    assert found.total.value == pytest.approx(found.speed.value * found.mix.value)
    for effect in found:
        assert effect.lo <= effect.value * 1.001
        assert effect.hi >= effect.value * 0.999


def test_it_is_statsmodels_with_weights() -> None:
    before, after = period(400, 0.5, seed=1), period(300, 0.2, factor=0.8, seed=2)
    check(mix_shift(before, after), before, after, rel=5e-3)


@real
@needs_data
def test_it_is_statsmodels_with_weights_on_real_open_incidents() -> None:
    before, after = (
        Strata(*real_durations(500, seed), np.random.default_rng(seed).integers(0, 4, 500)) for seed in (1, 2)
    )
    check(mix_shift(before, after), before, after, rel=0.02)


def test_an_easier_mix_is_not_speed() -> None:
    found = mix_shift(period(1500, 0.7, seed=3), period(1500, 0.3, seed=4))
    assert found is not None
    assert found.total.hi < 0.5
    assert found.mix.hi < 1
    assert found.speed.lo < 1 < found.speed.hi


def test_speed_is_not_the_mix() -> None:
    found = mix_shift(period(1500, 0.4, seed=5), period(1500, 0.4, factor=0.6, seed=6))
    assert found is not None
    assert found.speed.hi < 0.8
    assert found.mix.lo < 1 < found.mix.hi


def test_speed_may_hide_behind_a_harder_mix() -> None:
    found = mix_shift(period(1500, 0.2, seed=7), period(1500, 0.8, factor=0.5, seed=8))
    assert found is not None
    assert found.total.lo > 1
    assert found.speed.hi < 1


def test_rare_kinds_are_one() -> None:
    before, after = period(200, 0.5, seed=9), period(200, 0.5, seed=10)
    many = [
        each._replace(stratum=np.where(RNG.random(200) < 0.1, 2 + np.arange(200), each.stratum))
        for each in (before, after)
    ]
    assert mix_shift(*many) is not None


@pytest.mark.parametrize("rare", [0, 3])
def test_a_kind_that_only_one_period_has_is_mix_not_speed(rare: int) -> None:
    """Half of it was once booked as speed: 2.0 times as slow, where the others went as before."""
    slow = period(100, 1.0, factor=2.0, seed=13)
    plain, other = period(200, 0.0, seed=14), period(100, 0.0, seed=15)
    plain = plain._replace(stratum=np.where(np.arange(200) < rare, 2, plain.stratum))
    with_slow = Strata(*(np.concatenate(parts) for parts in zip(other, slow, strict=True)))
    for found in (mix_shift(plain, with_slow), mix_shift(with_slow, plain)):
        assert found is not None
        assert found.speed.lo < 1 < found.speed.hi
        assert found.speed.value == pytest.approx(1, abs=0.35)
        assert found.total.value == pytest.approx(found.speed.value * found.mix.value)
        assert abs(np.log(found.mix.value)) > 1
    assert mix_shift(plain, slow) is None


def test_too_few_or_too_many_open_to_say() -> None:
    sample = period(100, 0.5)
    assert mix_shift(Strata(*(each[:19] for each in sample)), sample) is None
    assert mix_shift(sample._replace(finished=np.zeros(100, dtype=bool)), sample) is None


def test_equal_data_have_equal_intervals() -> None:
    before, after = period(60, 0.5, seed=11), period(60, 0.3, seed=12)
    assert mix_shift(before, after) == mix_shift(before, after)
