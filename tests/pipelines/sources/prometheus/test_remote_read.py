"""Chunks, against an encoder that follows Prometheus' format bit by bit; integration tests read real ones."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.prometheus import remote_read
from pipelines.sources.prometheus.answers import GarbledError
from pipelines.sources.prometheus.expressions import Matcher
from pipelines.sources.prometheus.plan import Windows
from pipelines.sources.prometheus.xor import PADDING, BrokenChunkError, decoded

SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 2**45) | st.integers(0, 3).map(lambda n: n * 15_000), st.floats() | st.sampled_from([1.0, 1.5])
    ),
    min_size=1,
    max_size=12,
)


def varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def bits_of(value: float) -> int:
    return struct.unpack(">Q", struct.pack(">d", value))[0]


def encoded(samples: list[tuple[int, float]]) -> bytes:  # noqa: PLR0912 - as the original
    """A chunk, as ``xorAppender`` of Prometheus writes it."""
    bits: list[str] = []

    def put(value: int, size: int) -> None:
        bits.append(f"{value & ((1 << size) - 1):0{size}b}")

    leading = trailing = -1
    before_delta = 0
    for n, (at, value) in enumerate(samples):
        if n == 0:
            for octet in varint(at << 1 if at >= 0 else ~(at << 1)):
                put(octet, 8)
            put(bits_of(value), 64)
            continue
        delta = at - samples[n - 1][0]
        if n == 1:
            for octet in varint(delta):
                put(octet, 8)
        else:
            change = delta - before_delta
            if change == 0:
                put(0, 1)
            else:
                for prefix, size in ((0b10, 14), (0b110, 17), (0b1110, 20)):
                    if -((1 << (size - 1)) - 1) <= change <= 1 << (size - 1):
                        put(prefix, {14: 2, 17: 3, 20: 4}[size])
                        put(change, size)
                        break
                else:
                    put(0b1111, 4)
                    put(change, 64)
        before_delta = delta
        difference = bits_of(value) ^ bits_of(samples[n - 1][1])
        if difference == 0:
            put(0, 1)
            continue
        zeros = min(64 - difference.bit_length(), 31)
        behind = (difference & -difference).bit_length() - 1
        if leading >= 0 and zeros >= leading and behind >= trailing:
            put(0b10, 2)
            put(difference >> trailing, 64 - leading - trailing)
        else:
            leading, trailing = zeros, behind
            size = 64 - zeros - behind
            put(0b11, 2)
            put(zeros, 5)
            put(size, 6)
            put(difference >> behind, size)
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return struct.pack(">H", len(samples)) + int(text, 2).to_bytes(len(text) // 8, "big")


@given(st.lists(SAMPLES, min_size=1, max_size=5))
@settings(deadline=None)
def test_chunks_are_read_side_by_side(chunks: list[list[tuple[int, float]]]):
    chunks = [sorted(dict(each).items()) for each in chunks]
    written = [encoded(each) for each in chunks]
    begins = np.cumsum([0, *map(len, written[:-1])])
    counts, instants, values = decoded(b"".join(written) + bytes(PADDING), begins)
    assert counts.tolist() == [len(each) for each in chunks]
    assert instants.tolist() == [at for each in chunks for at, _ in each]
    np.testing.assert_array_equal(values, [value for each in chunks for _, value in each])


@given(st.binary(min_size=2, max_size=60))
@settings(deadline=None)
def test_bytes_that_are_no_chunk_are_refused_or_read_but_never_worse(data: bytes):
    with suppress(BrokenChunkError, IndexError):
        decoded(data + bytes(PADDING), np.array([0]))


def frame(*series: bytes) -> bytes:
    message = b"".join(field(1, each) for each in series)
    return varint(len(message)) + b"\0" * 4 + message


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def series(labels: dict[str, str], *chunks: bytes, kind: int = 1) -> bytes:
    written = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.items())
    heads = b"\x08" + varint(1772323200000) + b"\x10" + varint(1772323200000) + bytes([3 << 3, kind])
    return written + b"".join(field(2, heads + field(4, chunk)) for chunk in chunks)


def test_a_series_that_goes_on_in_the_next_frame_is_one():
    first, second = encoded([(1000, 1.0), (2000, 2.0)]), encoded([(3000, 3.0)])
    body = frame(series({"a": "b"}, first)) + frame(series({"a": "b"}, second), series({"a": "c"}, first))
    for piece in (1, 7, 1 << 20):
        (block,) = remote_read.blocks(body[at : at + piece] for at in range(0, len(body), piece))
        assert block.labels == [{"a": "b"}, {"a": "c"}] and block.ends.tolist() == [3, 5]
        assert block.values.tolist() == [1, 2, 3, 1, 2]


def test_histograms_are_left_out():
    (block,) = remote_read.blocks([frame(series({"a": "b"}, b"\0\x01abc", kind=2))])
    assert block.ends.tolist() == [0]


def test_an_answer_that_ends_too_soon_is_refused():
    body = frame(series({"a": "b"}, encoded([(1000, 1.0)])))
    for end in range(1, len(body)):
        with pytest.raises(GarbledError):
            list(remote_read.blocks([body[:end]]))


@given(st.binary(max_size=80))
def test_bytes_that_are_no_answer_are_refused(body: bytes):
    with suppress(GarbledError):
        list(remote_read.blocks([body]))


@pytest.mark.parametrize("cut", [b"\x81", b"\x08\x81", b"\x12\x81"])
def test_a_message_that_ends_within_a_number_is_refused(cut: bytes):
    with pytest.raises(GarbledError, match="cut off"):
        list(remote_read._fields(b"\x12\x02\x01\x02" + cut))


def test_labels_that_are_no_text_are_refused():
    odd = field(1, field(1, b"a") + field(2, b"\xff")) + series({}, encoded([(1000, 1.0)]))
    with pytest.raises(GarbledError, match="labels"):
        list(remote_read.blocks([frame(odd)]))


def test_a_request_is_packed_so_that_it_can_be_unpacked():
    conditions = [Matcher("__name__", "=", "x" * 70_000), Matcher("a", "!~", "é")]
    found = remote_read.request(conditions, Windows(0, 300_000, 300_000))
    length, at = remote_read._read_varint(found, 0)
    message = b""
    while at < len(found):
        assert found[at] == 61 << 2
        size = int.from_bytes(found[at + 1 : at + 3], "little") + 1
        message += found[at + 3 : at + 3 + size]
        at += 3 + size
    assert len(message) == length and message.endswith(b"\x12\x01\x01") and "é".encode() in message


def test_differences_of_times_are_those_that_were_written():
    at = [0, 1, 8193, 16_385, 90_000, 700_000, 10**12]
    counts, instants, _ = decoded(encoded([(each, 1.0) for each in at]) + bytes(PADDING), np.array([0]))
    assert instants.tolist() == at and counts.tolist() == [len(at)]
