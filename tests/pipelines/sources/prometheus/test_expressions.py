import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.promql import fault
from pipelines.sources.prometheus.expressions import (
    Matcher,
    averaged_selector,
    matchers,
    narrowed,
    none_of,
    one_of,
    quoted,
    separable,
    unquoted,
)

FIVE_MINUTES = 300_000


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
    assert none_of("a", ["", "d|e"]) == r'a!~"|d\\|e"'


@given(st.text("ab{}[]()=~\"'`,.5m:#\\$ ", max_size=30))
def test_no_text_is_too_odd(text: str):
    if fault(text) is None:  # else the settings refuse it
        narrowed(text, "a=~b")
        separable(text)
