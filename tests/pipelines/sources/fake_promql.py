"""As much of a Prometheus server's API as the source asks for, over samples that a test gives.

It knows averages and counts of one metric over a range, and refuses whatever else it is asked.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from loopback import Answer, Asked

TOKEN = "s3cr3t-token"  # noqa: S105
UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
OVER_TIME = r"(?P<over>avg|count)_over_time\((?P<metric>[a-zA-Z_:][\w:]*)\[(?P<range>\d+)(?P<unit>[smhd])\]\)"
KNOWN = re.compile(rf"(?:(?P<across>avg|count)\()?{OVER_TIME}(?(across)\))")

Points = dict[int, float]
"""Instant in milliseconds -> value."""


@dataclass(frozen=True)
class FakeSeries:
    """labels: with the metric's name. samples: milliseconds since 1970 -> value."""

    labels: Mapping[str, str]
    samples: Points = field(default_factory=dict)


@dataclass
class FakePromQL:
    series: Sequence[FakeSeries] = ()

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(status=401)
        if asked.path not in ("/api/v1/query", "/api/v1/query_range"):
            return Answer(b"404 page not found", 404)
        form = {name: values[0] for name, values in parse_qs(asked.body.decode(), strict_parsing=True).items()}
        match asked.path:
            case "/api/v1/query" if form == {"query": "1"}:
                return success({"resultType": "scalar", "result": [0, "1"]})
            case "/api/v1/query_range" if KNOWN.fullmatch(form["query"]):
                return success({"resultType": "matrix", "result": list(self._range(form))})
        return Answer(json.dumps({"status": "error", "error": f"not known: {form['query']}"}).encode(), 400)

    def _range(self, form: Mapping[str, str]) -> Iterator[dict[str, object]]:
        asked = KNOWN.fullmatch(form["query"])
        assert asked is not None
        first, last, step = (round(float(form[name]) * 1000) for name in ("start", "end", "step"))
        instants = range(first, last + 1, step)
        span = int(asked["range"]) * UNITS[asked["unit"]]
        found = []
        for one in self.series:
            points = over_time(one.samples, instants, span, asked["over"])
            if one.labels["__name__"] == asked["metric"] and points:
                found.append(({name: text for name, text in one.labels.items() if name != "__name__"}, points))
        if asked["across"] and found:
            found = [({}, folded((pair for _, points in found for pair in points.items()), asked["across"]))]
        for labels, points in found:
            values = [[at / 1000, written(points[at])] for at in sorted(points)]
            yield {"metric": labels, "values": values}


def over_time(samples: Points, instants: range, span: int, fold: str) -> Points:
    """What the samples in the `span` up to each instant come to; an instant without any has no value."""
    first, step = instants.start, instants.step
    pairs = (
        (instants[n], value)
        for at, value in samples.items()
        for n in range(max(0, -((first - at) // step)), min(len(instants), (at + span - 1 - first) // step + 1))
    )
    return folded(pairs, fold)


def folded(pairs: Iterator[tuple[int, float]], fold: str) -> Points:
    """The mean, or the number, of the values at each instant."""
    values: dict[int, list[float]] = {}
    for at, value in pairs:
        values.setdefault(at, []).append(value)
    return {at: float(len(some)) if fold == "count" else sum(some) / len(some) for at, some in values.items()}


def written(value: float) -> str:
    """As the API writes a value."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def success(data: object) -> Answer:
    # A server writes its labels as they are, not escaped to ASCII.
    told = json.dumps({"status": "success", "data": data}, ensure_ascii=False, separators=(",", ":"))
    return Answer(told.encode(), headers={"Content-Type": "application/json"})
