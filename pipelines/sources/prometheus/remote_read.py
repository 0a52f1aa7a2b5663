"""Remote read: a server's raw chunks as they lie on its disk, a fraction of the bytes and of the work of a query.

Belongs here: the request, and the frames of a streamed answer. Not here: chunks (``xor``), windows.

A server that only offers samples in one piece, or none of it, is asked by query instead. The checksums of the frames
are not verified: TCP has its own, and a frame that ends too soon is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from pipelines.sources.prometheus.answers import Block, GarbledError
from pipelines.sources.prometheus.expressions import Matcher
from pipelines.sources.prometheus.plan import Windows
from pipelines.sources.prometheus.xor import PADDING, BrokenChunkError, decoded

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
STREAMED = "application/x-streamed-protobuf"
KINDS = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
XOR = 1
LABEL, CHUNK = 1 << 3 | 2, 2 << 3 | 2
FIRST_TIME = 1 << 3
KIND_XOR = bytes([3 << 3, XOR, 4 << 3 | 2])
BYTES_AT_ONCE = 2 << 20
CHECKSUM = 4
LITERAL = 61 << 2  # its length follows in two bytes
LONGEST_LITERAL = 1 << 16


def request(matchers: Iterable[Matcher], windows: Windows) -> bytes:
    """A ReadRequest for the raw samples of some windows, as the wire wants it."""
    wanted = b"".join(
        _field(3, _number(1, KINDS[matcher.operator]) + _text(2, matcher.label) + _text(3, matcher.value))
        for matcher in matchers
    )
    query = _number(1, windows.first) + _number(2, windows.until - 1) + wanted
    return _stored(_field(1, query) + _field(2, _varint(1)))


def blocks(body: Iterable[bytes]) -> Iterator[Block]:
    """The series of a streamed answer with their raw samples, some at a time; a series is in one block, whole.

    Raises:
        GarbledError: it is no such answer, or ends too soon.
    """
    batch = _Batch()
    for frame in _frames(body):
        for tag, content in _fields(frame):
            if tag == 1 and isinstance(content, bytes):
                if len(batch) >= BYTES_AT_ONCE and not batch.continues(content):
                    yield batch.block()
                    batch = _Batch()
                batch.add(content)
    if len(batch):
        yield batch.block()


class _Batch:
    """Series as they came, and where their chunks begin in them."""

    def __init__(self) -> None:
        self._labels: list[bytes] = []
        self._chunks: list[int] = []
        self._series: list[bytes] = []
        self._begins: list[int] = []
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes

    def continues(self, series: bytes) -> bool:
        """Is it more of the last series?"""
        return bool(self._labels) and series.startswith(self._labels[-1])

    def add(self, series: bytes) -> None:
        """A ChunkedSeries."""
        labels, begins = _split(series)
        if not self._labels or self._labels[-1] != labels:
            self._labels.append(labels)
            self._chunks.append(0)
        self._begins += [self._bytes + begin for begin in begins]
        self._chunks[-1] += len(begins)
        self._series.append(series)
        self._bytes += len(series)

    def block(self) -> Block:
        self._series.append(bytes(PADDING))
        try:
            counts, instants, values = decoded(b"".join(self._series), np.array(self._begins, np.int64))
        except (BrokenChunkError, IndexError) as error:
            raise GarbledError("it holds a chunk that is cut off") from error
        samples = np.concatenate([[0], np.cumsum(counts)])
        return Block([_labels(raw) for raw in self._labels], samples[np.cumsum(self._chunks)], instants, values)


def _split(series: bytes) -> tuple[bytes, list[int]]:
    """The labels of a ChunkedSeries as they are written, and where its chunks' bytes begin."""
    at, end, labels_end, begins = 0, len(series), 0, []
    while at < end:
        key = series[at]
        length, begin = _read_varint(series, at + 1)
        at = begin + length
        if begin < 0 or at > end:
            raise GarbledError("it holds a message that is cut off")
        if key == LABEL:
            labels_end = at
        elif key == CHUNK:
            # Nearly all are written alike, and there are very many of them: two times of six bytes, kind, length.
            if series[begin + 14 : begin + 17] == KIND_XOR and series[begin] == FIRST_TIME:
                begins.append(begin + (18 if series[begin + 17] < 0x80 else 19))
            elif (data := _data(series[begin:at])) is not None:
                begins.append(begin + data)
    return series[:labels_end], begins


def _data(chunk: bytes) -> int | None:
    """Where the bytes of a Chunk begin; None where they are a histogram's, which no selector of ours is about."""
    found = dict(_fields(chunk))
    data = found.get(4)
    return chunk.rindex(data) if found.get(3) == XOR and isinstance(data, bytes) and len(data) > 2 else None


@lru_cache(maxsize=1 << 14)
def _labels(raw: bytes) -> dict[str, str]:
    found = {}
    for tag, label in _fields(raw):
        if tag == 1 and isinstance(label, bytes):
            try:
                parts = {tag: text.decode() for tag, text in _fields(label) if isinstance(text, bytes)}
            except UnicodeDecodeError as error:
                raise GarbledError("it holds labels that are no text") from error
            found[parts.get(1, "")] = parts.get(2, "")
    return found


def _frames(body: Iterable[bytes]) -> Iterator[bytes]:
    """Each has its length before it, and a checksum."""
    waiting = b""
    for piece in body:
        waiting += piece
        at = 0
        while True:
            length, begin = _read_varint(waiting, at)
            if begin < 0 or begin + CHECKSUM + length > len(waiting):
                break
            at = begin + CHECKSUM + length
            yield waiting[begin + CHECKSUM : at]
        waiting = waiting[at:]
    if waiting:
        raise GarbledError("it ends too soon")


# ------------------------------------------------------------------------------------------------- protobuf and snappy


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and content."""
    at, end = 0, len(message)
    while at < end:
        key, at = _read_varint(message, at)
        if at < 0:
            raise GarbledError("it holds a message that is cut off")
        kind = key & 7
        if kind == 2:
            length, at = _read_varint(message, at)
            if at < 0 or at + length > end:
                raise GarbledError("it holds a message that is cut off")
            yield key >> 3, message[at : at + length]
            at += length
        elif kind == 0:
            value, at = _read_varint(message, at)
            if at < 0:
                raise GarbledError("it holds a message that is cut off")
            yield key >> 3, value
        else:
            raise GarbledError("it is no stream of chunks")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; -1 where it is not all there."""
    if at < len(message) and message[at] < 0x80:
        return message[at], at + 1
    value = shift = 0
    while at < len(message):
        octet = message[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
        shift += 7
    return 0, -1


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _stored(message: bytes) -> bytes:
    """Snappy's block format without any packing: a request is small."""
    pieces = [message[at : at + LONGEST_LITERAL] for at in range(0, len(message), LONGEST_LITERAL)]
    literals = (bytes([LITERAL]) + (len(piece) - 1).to_bytes(2, "little") + piece for piece in pieces)
    return _varint(len(message)) + b"".join(literals)
