"""VictoriaMetrics' export: raw samples, a line of JSON for a series or a part of one.

Belongs here: the request and its lines. Not here: windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.sources.prometheus.answers import Block, GarbledError, label_set, numbers, read_json
from pipelines.sources.prometheus.plan import Windows, seconds

BYTES_AT_ONCE = 8 << 20
LONGEST_LINE = 256 << 20
LINE = re.compile(
    rb'\{"metric":(?P<metric>\{.*\}),"values":\[(?P<values>[^\]]*)\],"timestamps":\[(?P<instants>[^\]]*)\]\}'
)
SPACES = b' "\r\t'


def request(selector: str, windows: Windows) -> dict[str, str]:
    """The form that asks for the raw samples of some windows."""
    return {"match[]": selector, "start": seconds(windows.first), "end": seconds(windows.until - 1)}


def blocks(body: Iterable[bytes]) -> Iterator[Block]:
    """The series of an export with their raw samples, some at a time.

    Lines of one series follow one another, and are kept in one block: a window must not be in two.

    Raises:
        GarbledError: it is no such answer, or ends too soon.
    """
    batch = _Batch()
    for line in _lines(body):
        found = LINE.fullmatch(line)
        if found is None:
            read_json(line)  # says best what is wrong with it
            raise GarbledError("it is no export of VictoriaMetrics")
        metric, values, instants = found.groups()
        if len(batch) >= BYTES_AT_ONCE and not batch.continues(metric):
            yield batch.block()
            batch = _Batch()
        batch.add(metric, values, instants)
    if len(batch):
        yield batch.block()


class _Batch:
    """Lines of some series, not read yet."""

    def __init__(self) -> None:
        self._metrics: list[bytes] = []
        self._samples: list[int] = []
        self._values: list[bytes] = []
        self._instants: list[bytes] = []
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes

    def continues(self, metric: bytes) -> bool:
        """Is it more of the last series?"""
        return bool(self._metrics) and self._metrics[-1] == metric

    def add(self, metric: bytes, values: bytes, instants: bytes) -> None:
        """The parts of a line."""
        if not self.continues(metric):
            self._metrics.append(metric)
            self._samples.append(0)
        self._bytes += len(metric) + len(values) + len(instants)
        if values:
            self._samples[-1] += values.count(b",") + 1
            self._values.append(values)
            self._instants.append(instants)

    def block(self) -> Block:
        values = numbers(b",".join(self._values), SPACES)
        instants = numbers(b",".join(self._instants), SPACES)
        ends = np.cumsum(self._samples)
        if len(values) != len(instants) or len(values) != int(ends[-1]):
            raise GarbledError("it holds a series with more values than instants, or fewer")
        return Block([label_set(metric) for metric in self._metrics], ends, instants.astype(np.int64), values)


def _lines(body: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for piece in body:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line = b"".join([*waiting, end])
            waiting, size = [], 0
            if line.strip():
                yield line
        waiting.append(rest)
        size += len(rest)
        if size > LONGEST_LINE:
            raise GarbledError("it holds a line without end")
    if b"".join(waiting).strip():
        raise GarbledError("it ends too soon")
