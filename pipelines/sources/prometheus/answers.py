"""An answer of ``query_range`` read while it arrives: no Python object a sample, and never the whole of it at once.

The text between a series' brackets becomes a column of numbers by one pass over its bytes: ``[1435781430.999,"1"]`` is
two lines, an instant and a value. Whatever stands around the series is put together and read as JSON at the end, where
a server says whether the answer is whole.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

AT_ONCE = 4 << 20
LARGEST_SERIES = 32 << 20
OPENING = re.compile(rb'"result"\s*:\s*\[')
METRIC = re.compile(rb'\s*,?\s*\{\s*"metric"\s*:\s*')
VALUES = re.compile(rb'\}\s*,\s*"(values|histograms)"\s*:\s*\[')
"""No label can hold this: its quotes would be escaped."""
TIGHT_CLOSING = b"]]}"
CLOSING = re.compile(rb"\]\s*\]\s*\}")
HISTOGRAMS_CLOSING = re.compile(rb"\}\s*\]\s*\]\s*\}")
LINES = bytes.maketrans(b",", b"\n")
BRACKETS = b'[]" \t\r\n'


class GarbledError(Exception):
    """What came is not an answer of the Prometheus API, or not a whole one."""


@dataclass(frozen=True)
class Block:
    """Some series of an answer.

    labels: of each series. ends: where its samples end in `instants` and `values`. instants: milliseconds.
    """

    labels: list[dict[str, str]]
    ends: np.ndarray
    instants: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Envelope:
    """What an answer says of itself. remarks: warnings, and that it is partial."""

    remarks: tuple[str, ...]


def blocks(body: Iterable[bytes]) -> Iterator[Block | Envelope]:
    """The series of an answer, some at a time, and at last its envelope.

    Raises:
        GarbledError: it is not JSON as the API writes it, or it ends too soon.
    """
    reader = _Reader()
    arriving = iter(body)
    for piece in arriving:
        reader.take(piece)
        if reader.waiting >= AT_ONCE:
            yield from reader.complete()
    yield from reader.complete()
    yield reader.envelope()


class _Reader:
    """Bytes that have arrived and are not read yet, and what stood before the series."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._head: bytes | None = None
        self._ended = False
        self.waiting = 0

    def take(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.waiting += len(piece)

    def complete(self) -> Iterator[Block]:
        """The series that have arrived whole; the rest goes on waiting."""
        text = b"".join(self._pieces)
        at = 0
        if self._head is None:
            opening = OPENING.search(text)
            if opening is not None:
                self._head, at = text[: opening.end()], opening.end()
        if self._head is not None and not self._ended:
            labels: list[dict[str, str]] = []
            columns: list[bytes] = []
            while (found := _series(text, at)) is not None:
                metric, column, at = found
                labels.append(metric)
                columns.append(column)
            self._ended = text[at : at + 64].lstrip().startswith(b"]")
            if labels:
                yield _block(labels, columns)
        self._pieces, self.waiting = [text[at:]], 0
        if len(text) - at > LARGEST_SERIES:
            raise GarbledError("it holds no series in the layout of the Prometheus API")

    def envelope(self) -> Envelope:
        text = b"".join(self._pieces)
        told = read_json((self._head or b"") + text)
        check_success(told)
        if self._head is not None and not self._ended:
            raise GarbledError("it holds series in a layout that is not that of the Prometheus API")
        data = told.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "matrix":
            raise GarbledError("it is no range of values")
        return Envelope(remarks(told))


def _series(text: bytes, at: int) -> tuple[dict[str, str], bytes, int] | None:
    """The labels of the series at a position, its samples as text, and where it ends; None where some is missing."""
    opening = METRIC.match(text, at)
    if opening is None:
        return None
    values = VALUES.search(text, opening.end())
    if values is None:
        return None
    end = _end(text, values.end()) if values[1] == b"values" else _histograms_end(text, values.end())
    if end is None:
        return None
    return (
        label_set(text[opening.end() : values.start() + 1]),
        text[values.end() : end[0]] if values[1] == b"values" else b"",
        end[1],
    )


def _histograms_end(text: bytes, at: int) -> tuple[int, int] | None:
    closing = HISTOGRAMS_CLOSING.search(text, at)
    return None if closing is None else closing.span()


def _end(text: bytes, at: int) -> tuple[int, int] | None:
    """Where the values that are open at a position close with their series, and what follows it."""
    tight = text.find(TIGHT_CLOSING, at)  # a pattern would try every sample's bracket
    if tight >= 0:
        return tight, tight + len(TIGHT_CLOSING)
    closing = CLOSING.search(text, at)
    return None if closing is None else closing.span()


def _block(labels: list[dict[str, str]], columns: list[bytes]) -> Block:
    lines = numbers(b",".join(filter(None, columns)), BRACKETS)
    counts = [(column.count(b",") + 1) // 2 for column in columns]
    if len(lines) != 2 * sum(counts):
        raise GarbledError("it holds a sample that is no pair of an instant and a value")
    pairs = lines.reshape(-1, 2)
    return Block(labels, np.cumsum(counts), np.rint(pairs[:, 0] * 1000).astype(np.int64), pairs[:, 1])


def numbers(text: bytes, without: bytes) -> np.ndarray:
    """Numbers that commas separate; `without`: bytes that play no part.

    Raises:
        GarbledError: one of them is none.
    """
    if not text:
        return np.empty(0)
    lines = text.translate(LINES, without)
    try:
        return (
            pl.read_csv(
                io.BytesIO(lines),
                has_header=False,
                schema={"number": pl.Float64},
                quote_char=None,
                null_values="null",
            )["number"]
            .fill_null(float("nan"))
            .to_numpy()
        )
    except pl.exceptions.PolarsError as error:
        raise GarbledError("it holds a value that is no number") from error


def read_json(text: bytes) -> Any:
    """Raises GarbledError: it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text[:60].decode("utf-8", "replace") if text else "nothing"
        raise GarbledError(f"it is no JSON, or ends too soon: {shown!r}") from error


def label_set(text: bytes) -> dict[str, str]:
    """Raises GarbledError: it is no JSON object of texts."""
    labels = read_json(text)
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise GarbledError("it holds a series whose labels are none")
    return labels


def check_success(told: Any) -> None:
    """Raises GarbledError: it is no successful answer of the API."""
    if (
        not isinstance(told, dict)
        or told.get("status") != "success"
        or not isinstance(told.get("data", {}), dict | list)
    ):
        raise GarbledError("it is no answer of the Prometheus API")


def remarks(told: dict[str, Any]) -> tuple[str, ...]:
    """The warnings of an answer, and that it is partial. Infos are about a query's style, and left out.

    Raises:
        GarbledError: its warnings are none.
    """
    warnings = told.get("warnings") or []
    if not isinstance(warnings, list):
        raise GarbledError("it holds warnings that are no list")
    partial = ("the server says that it is partial",) if told.get("isPartial") else ()
    return tuple(str(warning) for warning in warnings) + partial
