import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.prometheus.expressions import (
    Matcher,
    averaged_selector,
    gap_true,
    matchers,
    narrowed,
    one_of,
    quoted,
    selectors,
    separable,
    unquoted,
)

FIVE_MINUTES = 300_000


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
    assert [(expression[each.start : each.end], each.window) for each in selectors(expression)] == found


@pytest.mark.parametrize(
    ("expression", "selector"),
    [
        ("up", "up"),
        ('avg_over_time( x{a="b"} [5m] )', 'x{a="b"}'),
        ("avg_over_time(x[300s])", "x"),
        ("avg_over_time(x[6m])", None),
        ("max_over_time(x[5m])", None),
        ("x + y", None),
        ('{__name__=~"x|y"}', None),
    ],
)
def test_what_is_a_plain_average(expression: str, selector: str | None):
    assert averaged_selector(expression, FIVE_MINUTES) == selector


def test_what_looks_into_gaps():
    assert gap_true("1 - avg_over_time(a[5m]) / max_over_time(b[1m])", FIVE_MINUTES)
    assert not gap_true("1 - avg_over_time(a[5m]) / b", FIVE_MINUTES)
    assert not gap_true("rate(a[1h])", FIVE_MINUTES)


def test_what_can_be_divided_by_series():
    assert separable("1 - avg_over_time(a[5m]) / avg_over_time(b[5m])")
    assert not separable("sum(a)") and not separable("a / on (x) b") and not separable("absent(a)")


def test_a_matcher_is_added_to_each_selector():
    assert (
        narrowed('a{b="c",} / d[5m] + {e="f"} + g{}', "i=~x") == 'a{b="c",i=~x} / d{i=~x}[5m] + {e="f",i=~x} + g{i=~x}'
    )


def test_the_matchers_of_a_selector():
    assert matchers('x{a="b\\n\\"", c!~`d|\\e`, f!="",}') == [
        Matcher("__name__", "=", "x"),
        Matcher("a", "=", 'b\n"'),
        Matcher("c", "!~", "d|\\e"),
        Matcher("f", "!=", ""),
    ]
    assert matchers('x{"y.z", a="b"}') is None


@given(st.text())
def test_what_is_quoted_is_unquoted(text: str):
    assert unquoted(quoted(text)) == text
    assert matchers(f"x{{a={quoted(text)}}}") == [Matcher("__name__", "=", "x"), Matcher("a", "=", text)]


def test_a_choice_of_values_is_a_pattern_of_them():
    assert one_of("a", ["b.c:9100", "d|e"]) == r'a=~"b\\.c:9100|d\\|e"'


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text: str):
    selectors(text)
    narrowed(text, "a=~b")
    separable(text)
