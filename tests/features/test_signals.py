import polars as pl
import pytest
from pydantic import ValidationError

from features.signals import Signal, match

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
