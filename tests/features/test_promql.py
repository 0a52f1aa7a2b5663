import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.promql import expanded, fault, is_gap_true, selectors

MATCHERS = 'cluster="a",env=~"b|c"'


@pytest.mark.parametrize(
    ("promql", "with_matchers", "without"),
    [
        ("x", "avg_over_time(x[5m])", "avg_over_time(x[5m])"),
        ("rate(x{$matchers}[$step])", f"rate(x{{{MATCHERS}}}[5m])", "rate(x[5m])"),
        ('rate(x{a="b",$matchers}[$step])', f'rate(x{{a="b",{MATCHERS}}}[5m])', 'rate(x{a="b"}[5m])'),
        ('rate(x{ $matchers , a="b" }[$step])', f'rate(x{{{MATCHERS},a="b"}}[5m])', 'rate(x{a="b"}[5m])'),
        ('x{a="b,}$matchers"}', 'avg_over_time(x{a="b,}$matchers"}[5m])', 'avg_over_time(x{a="b,}$matchers"}[5m])'),
        ("sum by (a, b) (x) / on (a) group_left (c) y", "sum by (a, b) (avg_over_time(x[5m])) / on (a) group_left (c)"
         " avg_over_time(y[5m])", None),
        ("sum(x) without (a) > bool 1e-3", "sum(avg_over_time(x[5m])) without (a) > bool 1e-3", None),
        ("x offset -5m and y @ end()", "avg_over_time(x[5m] offset -5m) and avg_over_time(y[5m] @ end())", None),
        ("max_over_time(x[1h:$step])", "max_over_time(avg_over_time(x[5m])[1h:5m])", None),
        ("rate(x[1h])", "rate(x[1h])", None),
        ('{__name__="x",$matchers}', f'avg_over_time({{__name__="x",{MATCHERS}}}[5m])', None),
        ("x # in use ( {\n - y", "avg_over_time(x[5m]) - avg_over_time(y[5m])", None),
        ("1 - time() / Inf + x", "1 - time() / Inf + avg_over_time(x[5m])", None),
        ("Sum(x) BY (a) OR count", "Sum(avg_over_time(x[5m])) BY (a) OR avg_over_time(count[5m])", None),
    ],
)  # fmt: skip
def test_a_query_is_expanded_for_a_source(promql: str, with_matchers: str, without: str | None):
    assert expanded(promql, "5m", MATCHERS) == with_matchers
    assert expanded(promql, "5m", f"{{{MATCHERS},}}") == with_matchers
    if without:
        assert expanded(promql, "5m", "") == without


@pytest.mark.parametrize(
    ("promql", "expected"),
    [
        ("rate(x{$matchers}[$step])", True),
        ("sum by (a) (avg_over_time(x[ $step ])) - time()", True),
        ("x", False),
        ("rate(x[1h])", False),
        ("max_over_time(x[$step:1m])", False),
        ("rate(x[$step]) or vector(0)", False),
        ("absent_over_time(x[$step])", False),
        ("rate(vector[$step])", True),
        ("x{", False),
    ],
)
def test_gaps_stay_gaps_where_every_selector_reads_its_own_step(promql: str, expected: bool):
    assert is_gap_true(promql) == expected


@pytest.mark.parametrize(
    ("promql", "said"),
    [
        ("x{a=1", "'}' is missing; close what was opened"),
        ("sum(x))", "')' closes nothing; remove it, or open it before"),
        ("sum(x]", "']' closes nothing"),
        ('x{a="b}', "a quote \" is not closed; close it"),
        ("rate(x[$__rate_interval])", "$__rate_interval is no placeholder; there are $step and $matchers"),
        ("x + $matchers", "$matchers stands outside of braces; write it as in up{$matchers}"),
        ("{$matchers}", "selects every series there is; name a metric before the braces"),
        ("vector(1)", "names no metric, so it measures nothing; name one, or set a limit with value"),
        ("", "names no metric"),
    ],
)  # fmt: skip
def test_what_is_plainly_wrong_is_said_with_its_mend(promql: str, said: str):
    assert said in (fault(promql) or "")
    with pytest.raises(ValueError, match=r"\w"):
        expanded(promql, "5m", "")


@given(st.text(alphabet="xy_1. \n{}[]()\"'\\$stepmachr,=~!@:#-+offby", max_size=60))
def test_what_was_expanded_stays_as_it_is(promql: str):
    if fault(promql) is None:
        once = expanded(promql, "5m", MATCHERS)
        assert expanded(once, "5m", "") == once


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", [("up", None)]),
        ('x{a="}[{"}[5m]', [('x{a="}[{"}', "5m")]),
        ("sum by (a) (rate(x[5m])) / on(b) group_left(c) y offset 5m", [("x", "5m"), ("y", None)]),
        ("sum(x) by (a) > bool 3", [("x", None)]),
        ('{__name__="x"} - time()', [('{__name__="x"}', None)]),
        ("max_over_time(sum(x)[5m:1m]) # of z", [("x", None)]),
    ],
)
def test_the_selectors_of_an_expression(expression: str, found: list):
    assert [(expression[each.start : each.end], each.range) for each in selectors(expression)] == found


def test_what_looks_into_gaps():
    assert is_gap_true("1 - avg_over_time(a[5m]) / max_over_time(b[1m])", "5m")
    assert not is_gap_true("1 - avg_over_time(a[5m]) / b", "5m")
    assert not is_gap_true("rate(a[1h])", "5m")
