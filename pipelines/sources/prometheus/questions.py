"""What a server is asked, from the signals: one question for each usage and each limit that is a series.

Belongs here: from signals to expressions, and from an answer's labels to a series' names. Not here: times, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from features.promql import expanded, is_gap_true
from features.signals import SeriesLimit, Signal, entity_of
from pipelines.source_options import Prometheus
from pipelines.sources.identity import canonical_json
from pipelines.sources.prometheus.expressions import averaged_selector

NAME = "__name__"


@dataclass(frozen=True)
class Question:
    """One expression, of which every series of its answer is a series of ours.

    name: as people know it: 'disk', or 'disk, limit size'.
    expression: PromQL with everything filled in.
    over_an_hour, over_a_day: the same over such a window: who has a value then, however rarely it is measured.
    selector: where the expression is the plain average of a metric over each window: of which; else None.
    gap_true: whether it has a value only where a sample lay in the window.
    identity: see ``features.signals.Signal``.
    """

    name: str
    signal: str
    metric: str
    unit: str | None
    entity: tuple[str, ...]
    identity: tuple[str, ...] | None
    expression: str
    over_an_hour: str
    over_a_day: str
    selector: str | None
    gap_true: bool

    @cached_property
    def digest(self) -> str:
        """Changes with everything that the stored answer depends on."""
        told = {
            "expression": self.expression,
            "metric": self.metric,
            "entity": self.entity,
            "identity": self.identity,
        }
        return blake2b(canonical_json(told).encode(), digest_size=8).hexdigest()

    def named(self, labels: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
        """The entity of an answer's series (None where it has none of the labels), and its other labels."""
        others = {name: value for name, value in labels.items() if name not in self.entity and name != NAME and value}
        return entity_of(self.entity, labels) or None, others


def questions(source: Prometheus, signals: Sequence[Signal]) -> list[Question]:
    """All that is asked of a source; what several signals ask alike is asked once."""
    asked = {question.digest: question for question in reversed(list(_all(source, signals)))}
    return list(reversed(asked.values()))


def _all(source: Prometheus, signals: Sequence[Signal]) -> Iterator[Question]:
    for signal in signals:
        if signal.query is None:
            continue
        yield _question(source, signal, signal.name, signal.metric, signal.query.usage)
        for limit in signal.limits:
            if isinstance(limit, SeriesLimit) and limit.query is not None:
                yield _question(source, signal, f"{signal.name}, limit {limit.name}", limit.metric, limit.query)


def _question(source: Prometheus, signal: Signal, name: str, metric: str, promql: str) -> Question:
    step = f"{source.step_minutes}m"
    expression = expanded(promql, step, source.matchers).strip()
    selector = averaged_selector(expression, source.step_minutes * 60_000)
    if selector is not None:
        expression = f"avg_over_time({selector}[{step}])"
    return Question(
        name=name,
        signal=signal.name,
        metric=metric,
        unit=signal.unit,
        entity=tuple(signal.query.entity) if signal.query else (),
        identity=None if signal.identity is None else tuple(signal.identity),
        expression=expression,
        over_an_hour=expanded(promql, "1h", source.matchers).strip(),
        over_a_day=expanded(promql, "1d", source.matchers).strip(),
        selector=selector,
        gap_true=is_gap_true(expression, step),
    )
