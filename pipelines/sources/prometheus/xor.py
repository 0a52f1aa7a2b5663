"""Prometheus' XOR chunks, many at a time: the n-th sample of all of them is read in one go.

A chunk holds up to some hundred samples, each written as what changed since the one before: of times the change of the
distance, of values the bits that differ. So a chunk can only be read from its beginning, but thousands side by side.
"""

from __future__ import annotations

import numpy as np

COUNT_BYTES = 2
PADDING = 24
"""Bytes behind the last chunk, for reading ahead."""

# The bits before a change of distance tell how many it has: 0, 10, 110, 1110, 1111; found by the first four.
_ONES = np.array([0 if n < 8 else 1 if n < 12 else 2 if n < 14 else 3 if n < 15 else 4 for n in range(16)], np.uint8)
_PREFIX = np.array([1, 2, 3, 4, 4], np.uint64)[_ONES]
_SIZE = np.array([0, 14, 17, 20, 64], np.uint64)[_ONES]
_ONE = np.uint64(1)
_WORD = np.uint64(64)


class BrokenChunkError(ValueError):
    """A chunk's bytes are not what they should be."""


def decoded(data: bytes, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples of chunks.

    Args:
        data: holds the chunks, and at least `PADDING` bytes behind the last.
        begins: where each begins in `data`.

    Returns:
        How many samples each has; their instants in milliseconds, and their values, one chunk after the other.

    Raises:
        BrokenChunkError: a chunk goes on behind the end of `data`.
    """
    octets = np.frombuffer(data, np.uint8)
    counts = (octets[begins].astype(np.int64) << 8) | octets[begins + 1]
    if not len(begins):
        return counts, np.empty(0, np.int64), np.empty(0)
    # Longest first, so that those which still have samples are always the first so many.
    order = np.argsort(-counts, kind="stable")
    samples = counts[order]
    reader = _Bits(data, (begins[order] + COUNT_BYTES).astype(np.uint64) * np.uint64(8))
    longest = int(samples[0])
    instants = np.empty((longest, len(order)), np.int64)
    values = np.empty((longest, len(order)), np.uint64)
    alive = np.searchsorted(-samples, -np.arange(longest), side="left")
    leading, trailing = np.zeros(len(order), np.uint64), np.zeros(len(order), np.uint64)
    distance = np.zeros(len(order), np.int64)
    for n in range(longest):
        several = int(alive[n])
        reader.keep(several)
        if n == 0:
            instants[n, :several] = reader.signed_varint()
            values[n, :several] = reader.whole_words()
            continue
        distance = reader.varint().astype(np.int64) if n == 1 else distance[:several] + reader.changes()
        instants[n, :several] = instants[n - 1, :several] + distance
        leading, trailing = leading[:several], trailing[:several]
        values[n, :several] = values[n - 1, :several] ^ reader.differences(leading, trailing)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    instants, values = instants.T[back], values.T[back]
    if int(counts.min()) == longest:
        return counts, instants.ravel(), values.ravel().view(np.float64)
    there = np.arange(longest) < counts[:, None]
    return counts, instants[there], values[there].view(np.float64)


class _Bits:
    """A position, in bits, in each of many chunks."""

    def __init__(self, data: bytes, at: np.ndarray):
        self._octets = np.frombuffer(data, np.uint8)
        # A big-endian word at every byte: overlapping, and not copied.
        self._words = np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))
        self._end = np.uint64((len(data) - PADDING + 1) * 8)
        self._at = at

    def keep(self, several: int) -> None:
        """Go on with the first so many."""
        self._at = self._at[:several]
        if several and self._at.max() > self._end:
            raise BrokenChunkError("a chunk goes on behind its end")

    def _ahead(self, at: np.ndarray) -> np.ndarray:
        """The next bits, the first one highest; 57 of 64 are sure to be there."""
        return self._words[at >> np.uint64(3)].astype(np.uint64) << (at & np.uint64(7))

    def _word(self, at: np.ndarray) -> np.ndarray:
        """The next 64 bits."""
        begin, shift = at >> np.uint64(3), at & np.uint64(7)
        first = self._words[begin].astype(np.uint64) << shift
        return first | (self._octets[begin + np.uint64(8)].astype(np.uint64) >> (np.uint64(8) - shift))

    def whole_words(self) -> np.ndarray:
        """64 bits each."""
        word = self._word(self._at)
        self._at = self._at + _WORD
        return word

    def varint(self) -> np.ndarray:
        """Unsigned, seven bits a byte, the lowest first."""
        value = np.zeros(len(self._at), np.uint64)
        more = np.ones(len(self._at), bool)
        at = self._at.copy()
        for n in range(10):
            octet = self._ahead(at) >> np.uint64(56)
            value[more] |= (octet[more] & np.uint64(0x7F)) << np.uint64(7 * n)
            at[more] += np.uint64(8)
            more &= octet >= np.uint64(0x80)
            if not more.any():
                break
        self._at = at
        return value

    def signed_varint(self) -> np.ndarray:
        """The sign is the lowest bit."""
        value = self.varint()
        return (value >> _ONE).astype(np.int64) ^ -(value & _ONE).astype(np.int64)

    def changes(self) -> np.ndarray:
        """By how much the distances of times change."""
        ahead = self._ahead(self._at)
        if not (ahead >> np.uint64(63)).any():  # the usual case: nobody's distance changes
            self._at = self._at + _ONE
            return np.zeros(len(ahead), np.int64)
        head = (ahead >> np.uint64(60)).astype(np.uint8)
        prefix, size = _PREFIX[head], _SIZE[head]
        changed = size > 0
        bits = np.minimum(size, np.uint64(20))
        raw = np.zeros(len(ahead), np.uint64)
        raw[changed] = (ahead[changed] << prefix[changed]) >> (_WORD - bits[changed])
        value = raw.astype(np.int64)
        half = _ONE << np.maximum(bits, _ONE) - _ONE
        value -= np.where(changed & (raw > half), (half << _ONE).astype(np.int64), 0)
        whole = size == _WORD
        if whole.any():
            value[whole] = self._word(self._at[whole] + prefix[whole]).astype(np.int64)
        self._at = self._at + prefix + size
        return value

    def differences(self, leading: np.ndarray, trailing: np.ndarray) -> np.ndarray:
        """The bits in which values differ; how many zeros surround them is kept in `leading` and `trailing`."""
        ahead = self._ahead(self._at)
        head = ahead >> np.uint64(51)  # two bits of control, five of leading zeros, six of size
        same = head < np.uint64(0x1000)
        if same.all():
            self._at = self._at + _ONE
            return np.zeros(len(ahead), np.uint64)
        anew = head >= np.uint64(0x1800)
        if anew.any():
            zeros = (head >> np.uint64(6)) & np.uint64(31)
            size = ((head - _ONE) & np.uint64(63)) + _ONE  # 64 is written as 0
            if (anew & (zeros + size > _WORD)).any():
                raise BrokenChunkError("a chunk holds a value of more than 64 bits")
            np.copyto(leading, zeros, where=anew)
            np.copyto(trailing, _WORD - zeros - size, where=anew)
        around = leading + trailing
        begin = self._at + np.uint64(2) + np.uint64(11) * anew
        bits = self._ahead(begin)
        wide = around < np.uint64(64 - 57)
        if wide.any():
            bits[wide] = self._word(begin[wide])
        self._at = np.where(same, self._at + _ONE, begin + (_WORD - around))
        return np.where(same, np.uint64(0), (bits >> around) << trailing)
