"""Ids are frozen: a change here breaks every history that users have."""

import pytest

from features.signals import ConstantLimit, Signal
from pipelines.sources.identity import canonical_json, identity_labels, series_id


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("fleet", "web-01", "mem_used_percent", {}), 0x3F06688A9D5EE8E9),
        (("fleet", "web-01", "disk_used_percent", {"mountpoint": "/var", "device": "sda1"}), 0xE31E8227D60ED3E3),
        (("Flotte", "größe-01", 'a"b', {"ключ": "значение\n"}), 0xCAB8F241A15EE784),
    ],
)
def test_golden_ids(key, expected):
    """Reference values by ``b2sum -l 64`` of the canonical JSON."""
    assert series_id(*key) == expected


def test_canonical_json():
    assert canonical_json({"b": "ä", "a": {"d": "1", "c": '"'}}) == '{"a":{"c":"\\"","d":"1"},"b":"ä"}'


def test_the_order_of_labels_plays_no_part():
    assert series_id("s", "e", "m", {"a": "1", "b": "2"}) == series_id("s", "e", "m", {"b": "2", "a": "1"})


def signal(name: str, identity: list[str] | None, metric: str = "disk*") -> Signal:
    return Signal(name=name, metric=metric, identity=identity, limits=[ConstantLimit(name="full", value=1)])


LABELS = {"mountpoint": "/", "pod": "web-7f9c"}


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([], LABELS),
        ([signal("a", ["mountpoint"])], {"mountpoint": "/"}),
        ([signal("a", [])], {}),
        ([signal("a", None), signal("b", [])], LABELS),
        ([signal("a", [], metric="cpu"), signal("b", ["mountpoint", "absent"])], {"mountpoint": "/"}),
    ],
)
def test_identity_labels_are_those_of_the_first_matching_signal(signals, expected):
    assert identity_labels("web-01", "disk_used_percent", LABELS, signals) == expected


def test_a_series_that_holds_a_limit_is_known_by_the_labels_of_what_it_limits():
    limit = {"name": "critical", "metric": "process_max_fds", "share": 0.9}
    fds = Signal.model_validate({"name": "fds", "metric": "process_open_fds", "identity": ["job"], "limits": [limit]})
    churning = {"job": "shop", "instance": "10.0.0.7:9100"}
    for metric in ("process_open_fds", "process_max_fds"):
        assert identity_labels("host", metric, churning, [fds]) == {"job": "shop"}
