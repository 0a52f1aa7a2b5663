import re

import numpy as np
import pytest

from reports.sparkline import HEIGHT, WIDTH, Spark, sparkline


def coordinates(svg: str) -> np.ndarray:
    return np.array([[float(n) for n in pair.split(",")] for pair in re.findall(r"[-\d.]+,[-\d.]+", svg)])


def test_small_and_within_its_frame():
    noise = np.random.default_rng(1).normal(size=336).cumsum()
    ahead = np.arange(168.0)
    svg = sparkline(Spark(noise, ahead - 1e6, ahead, ahead + 1e6, limit=50.0))
    assert len(svg) < 8000
    at = coordinates(svg)
    assert (at >= 0).all()
    assert (at <= [WIDTH, HEIGHT]).all()
    assert svg == sparkline(Spark(noise, ahead - 1e6, ahead, ahead + 1e6, limit=50.0))


def test_gaps_stay_gaps_and_spikes_stay():
    values = np.zeros(336)
    values[100] = 9.0
    values[200:230] = np.nan
    svg = sparkline(Spark(values))
    assert svg.count('class="seen"') == 2
    assert coordinates(svg)[:, 1].min() == pytest.approx(3)


def test_rare_samples_are_joined():
    values = np.full(336, np.nan)
    values[::24] = 1.0
    assert sparkline(Spark(values)).count('class="seen"') == 1


@pytest.mark.parametrize("values", [[], [np.nan] * 5, [3.0], [1e300, -1e300], [0.0] * 9])
@pytest.mark.parametrize("limit", [None, 0.0])
def test_nothing_breaks_it(values, limit):
    svg = sparkline(Spark(np.array(values, dtype=float), limit=limit))
    assert "nan" not in svg
    assert "inf" not in svg
