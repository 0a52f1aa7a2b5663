import polars as pl
import pytest
from pydantic import ValidationError

from features.signals import Signal, entity_of, match, without_port

LIMIT = {"name": "critical", "value": 90}


def signal(name: str, **parts: object) -> Signal:
    return Signal.model_validate({"name": name, "metric": "mem", "limits": [LIMIT], **parts})


def test_a_series_belongs_to_the_first_signal_that_matches():
    series = pl.DataFrame(
        {
            "series_id": pl.Series([1, 2, 3, 4], dtype=pl.UInt64),
            "entity": ["db-1", "web-1", "web-1", "db-1"],
            "metric": ["mem", "mem", "mem", "cpu"],
            "labels": ['{"zone":"a"}', '{"zone":"b"}', "{}", "{}"],
        }
    )
    signals = [signal("zone.b", labels={"zone": "b*"}), signal("databases", entity="db-*"), signal("rest")]
    assert match(series, signals).rows() == [(1, "databases"), (2, "zone.b"), (3, "rest")]


def test_globs_are_no_patterns_of_another_kind():
    assert signal("a", entity="a.b").matches("a.b", "mem", {})
    assert not signal("a", entity="a.b").matches("axb", "mem", {})
    assert not signal("a", entity="DB-*").matches("db-1", "mem", {})


def test_a_signal_cannot_match_on_a_label_that_is_not_kept():
    with pytest.raises(ValidationError, match="matches on the label 'pod', which is not kept; add it to identity"):
        signal("a", labels={"pod": "x*"}, identity=["namespace"])
    assert signal("a", labels={"pod": "x*"}, identity=["pod"]).name == "a"


def queried(**parts: object) -> Signal:
    limit = {"name": "critical", "metric": "size", "query": "size{$matchers}"}
    return signal("a", **{"query": {"usage": "used{$matchers}"}, "limits": [limit], **parts})


def test_a_signal_may_say_how_a_server_is_asked_for_it():
    found = queried()
    assert found.query is not None and found.query.entity == ["instance"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"metric": "mem*"}, r"stored under its metric, which is the pattern 'mem\*'; name one metric without"),
        ({"limits": [{"name": "full", "metric": "si?e", "query": "size"}]}, r"its metric of limit 'full', which is"),
        (
            {"limits": [{"name": "full", "metric": "size"}]},
            r"its limit 'full' is a series without one; add query to it",
        ),
        ({"query": None}, r"limit 'critical' of signal 'a' has a query, the signal has none; add query.usage"),
        (
            {"query": {"usage": "rate(x[$interval])"}},
            r"no usable PromQL: \$interval is no placeholder; there are \$step",
        ),
        ({"query": {"usage": "x", "entity": []}}, r"query\.entity"),
    ],
)
def test_a_query_that_cannot_be_stored_or_asked_is_refused(parts: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        queried(**parts)


def test_an_entity_is_named_by_its_labels_without_a_port():
    names = ["cluster", "instance", "device"]
    assert entity_of(names, {"instance": "db-1:9100", "device": "nas:/home"}) == "db-1/nas:/home"
    assert entity_of(names, {"cluster": "a", "instance": "https://shop.example.com:443/x"}) == (
        "a/https://shop.example.com/x"
    )
    assert entity_of(names, {"job": "x"}) == ""


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("db", "db"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[::1]:9100", "::1"),
        ("[::1]", "::1"),
        ("fe80::1", "fe80::1"),
        ("2001:db8::a:1", "2001:db8::a:1"),
        ("https://x:8443/health", "https://x/health"),
        ("https://[::1]:8443/health", "https://[::1]/health"),
        ("db-[12]", "db-[12]"),
    ],
)
def test_a_host_is_its_address_without_a_port(address: str, host: str):
    assert without_port(address) == host
