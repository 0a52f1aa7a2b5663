"""Which series a sample belongs to.

A series_id must survive restarts, re-ingests and releases, so it is a hash of content, frozen by golden tests: the
8-byte BLAKE2b digest, big-endian, of the canonical JSON of source, entity, metric and identity labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from features.signals import SeriesLimit, Signal


def canonical_json(value: Mapping[str, object]) -> str:
    """The one way to write a mapping: sorted keys, no spaces, characters as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def series_id(source: str, entity: str, metric: str, labels: Mapping[str, str]) -> int:
    """The id of a series, an unsigned 64-bit number.

    Args:
        labels: the *identity* labels only, see `identity_labels`.
    """
    key = {"source": source, "entity": entity, "metric": metric, "labels": dict(labels)}
    return int.from_bytes(blake2b(canonical_json(key).encode(), digest_size=8).digest(), "big")


def identity_labels(entity: str, metric: str, labels: dict[str, str], signals: Sequence[Signal]) -> dict[str, str]:
    """The labels that tell one series from another: those that the first matching signal names, else all of them.

    The rest may churn (a pod's name, an instance's port) without breaking a history. A series that holds the limit of
    another (a disk's size) is known by the same labels as that one, so that the two find each other.
    """
    signal = next((s for s in signals if s.matches(entity, metric, labels) or _holds_limit_of(s, metric)), None)
    if signal is None or signal.identity is None:
        return labels
    return {name: labels[name] for name in signal.identity if name in labels}


def _holds_limit_of(signal: Signal, metric: str) -> bool:
    return any(isinstance(limit, SeriesLimit) and limit.metric == metric for limit in signal.limits)
