import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from reports.statistics import q_values
from reports.statistics.fdr import Method


@pytest.mark.parametrize(("method", "theirs"), [("benjamini-hochberg", "fdr_bh"), ("benjamini-yekutieli", "fdr_by")])
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_statsmodels(method: Method, theirs: str, p: list[float]) -> None:
    expected = multipletests(p, method=theirs)[1]
    assert q_values(np.array(p), method) == pytest.approx(expected, abs=1e-12)


def test_nothing_asked_is_nothing_found() -> None:
    assert len(q_values(np.array([]))) == 0
