"""What answers leave behind: narrow files of samples, and the series that they are of.

Belongs here: Parquet as it grows, and the numbering of series. Not here: where answers come from, or what becomes of
them (``staging``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.signals import Signal
from pipelines.sources.metric_staging import identify
from pipelines.sources.prometheus.answers import Block
from pipelines.sources.prometheus.plan import Windows
from pipelines.sources.prometheus.questions import Question

SCHEMA = pa.schema([("combination", pa.int64()), ("instant", pa.timestamp("ms")), ("value", pa.float64())])


@dataclass(frozen=True)
class Part:
    """What one request gave.

    question: its number. remarks: what the server said against its being whole.
    """

    question: int
    windows: Windows
    path: Path
    remarks: tuple[str, ...] = ()


@dataclass
class Catalogue:
    """Every series that any answer held, numbered; to be shared among threads.

    rows: as ``metric_staging.IDENTIFIED``. labels: of each, as the server gave them. questions: of each, its number.
    """

    source: str
    questions: Sequence[Question]
    signals: Sequence[Signal]
    rows: list[tuple] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)
    asked_by: list[int] = field(default_factory=list)
    _numbers: dict[tuple, int] = field(default_factory=dict)
    _of_question: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def numbers(self, question: int, found: Sequence[dict[str, str]]) -> np.ndarray:
        """The numbers of an answer's series."""
        with self._lock:
            return np.array([self._number(question, labels) for labels in found], np.int64)

    def series_of(self, question: int) -> int:
        """How many series a question has had so far."""
        return self._of_question.get(question, 0)

    def _number(self, question: int, labels: dict[str, str]) -> int:
        key = question, *sorted(labels.items())
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.rows)
            asked = self.questions[question]
            entity, others = asked.named(labels)
            identified = identify(self.source, entity, asked.metric, asked.unit, others, signals=self.signals)
            self.rows.append((number, *identified))
            self.labels.append(labels)
            self.asked_by.append(question)
            self._of_question[question] = self._of_question.get(question, 0) + 1
        return number


@contextmanager
def writing(path: Path) -> Iterator[pq.ParquetWriter]:
    """A file of samples; gone where the block fails."""
    try:
        with pq.ParquetWriter(path, SCHEMA, compression="NONE", use_dictionary=False, write_statistics=False) as writer:
            yield writer
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def append(writer: pq.ParquetWriter, block: Block, numbers: np.ndarray) -> None:
    """The samples of a block, whose series have these numbers."""
    columns = np.repeat(numbers, np.diff(block.ends, prepend=0)), block.instants, block.values
    writer.write_table(pa.table([column(*each) for each in zip(columns, SCHEMA, strict=True)], schema=SCHEMA))


def column(values: np.ndarray, field: pa.Field) -> pa.Array:
    """The same memory; ``pa.array`` would import pandas first."""
    return pa.Array.from_buffers(field.type, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
