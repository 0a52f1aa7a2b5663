"""Bytes to samples: what is whole is read, however it arrives; what is not is refused, however it is broken."""

import json
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.prometheus import answers, export
from pipelines.sources.prometheus.answers import Block, Envelope, GarbledError

SERIES = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
        st.lists(st.tuples(st.integers(0, 2**42), st.floats()), min_size=1, max_size=5),
    ),
    max_size=5,
)


def told(value: float) -> str:
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))


def answer(series, spaced: bool = False, **besides) -> bytes:
    result = [
        {"metric": labels, "values": [[at / 1000, told(value)] for at, value in samples]} for labels, samples in series
    ]
    whole = {"status": "success", "data": {"resultType": "matrix", "result": result}, **besides}
    return json.dumps(whole, separators=None if spaced else (",", ":")).encode()


def read(body: bytes, piece: int = 1 << 20) -> tuple[list, tuple[str, ...]]:
    found, remarks = [], ()
    for block in answers.blocks(body[at : at + piece] for at in range(0, len(body), piece)):
        if isinstance(block, Envelope):
            remarks = block.remarks
        else:
            found += split(block)
    return found, remarks


def split(block: Block) -> list[tuple[dict, list, list]]:
    begins = np.concatenate([[0], block.ends[:-1]])
    return [
        (labels, block.instants[begin:end].tolist(), block.values[begin:end].tolist())
        for labels, begin, end in zip(block.labels, begins, block.ends, strict=True)
    ]


@given(SERIES, st.integers(1, 400), st.booleans())
@settings(deadline=None)
def test_an_answer_is_read_however_it_is_cut(series, piece: int, spaced: bool):
    at_once, answers.AT_ONCE = answers.AT_ONCE, piece
    try:
        found, _ = read(answer(series, spaced), piece)
    finally:
        answers.AT_ONCE = at_once
    assert [labels for labels, *_ in found] == [labels for labels, _ in series]
    for (_, instants, values), (_, samples) in zip(found, series, strict=True):
        assert instants == [at for at, _ in samples]
        np.testing.assert_array_equal(values, [value for _, value in samples])


def test_labels_may_look_like_anything():
    odd = {"a": '"]]},"values":[[1,"2"]]}', "b": "]]}\n" * 9, "c": "x" * 10_000}
    assert read(answer([(odd, [(1, 2.0)])]))[0][0][0] == odd


def test_warnings_and_partial_answers_are_remarks_and_infos_are_not():
    body = answer([({}, [(1, 2.0)])], warnings=["east is away"], infos=["odd name"], isPartial=True)
    assert read(body)[1] == ("east is away", "the server says that it is partial")


def test_histograms_are_no_samples():
    histogram = '{"metric":{"a":"h"},"histograms":[[1,{"count":"2","sum":"3","buckets":[[0,"1","2","2"]]}],[2,{}]]}'
    body = answer([({"a": "b"}, [(1000, 2.0)])]).replace(b'[{"metric"', b"[" + histogram.encode() + b',{"metric"')
    assert read(body)[0] == [({"a": "h"}, [], []), ({"a": "b"}, [1000], [2.0])]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>", b'{"status":"error","error":"x"}', b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}', b'{"status":"success","data":[]}',
        b'{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":5}', b"[" * 100_000,
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":' + b"[" * 100_000 + b'},"values":[]]}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":1},"values":[[1,"2"]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"many"]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"2"]],"metric":{}}]}}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(body: bytes):
    with pytest.raises(GarbledError):
        read(body)


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(deadline=None)
def test_a_broken_answer_is_refused_or_read_but_never_worse(at: int, octet: int):
    body = bytearray(answer([({"a": "b"}, [(1000, 2.0), (2000, 3.0)]), ({"a": "c"}, [(1000, 2.0)])]))
    body[at % len(body)] = octet
    for broken in (bytes(body), bytes(body[: at % len(body)])):
        with suppress(GarbledError):
            read(broken)


def test_an_answer_is_read_in_bounded_memory_and_without_end_is_refused():
    with pytest.raises(GarbledError, match="layout"):
        read(b'{"status":"success","data":{"resultType":"matrix","result":[' + b"[" * (33 << 20))


@given(SERIES, st.integers(1, 300))
@settings(deadline=None)
def test_an_export_is_read_however_it_is_cut(series, piece: int):
    lines = [
        json.dumps(
            {
                "metric": labels,
                "values": [value if math.isfinite(value) else None for _, value in samples],
                "timestamps": [at for at, _ in samples],
            },
            separators=(",", ":"),
        )
        + "\n"
        for labels, samples in series
    ]
    body = "".join(lines).encode()
    blocks = export.blocks(body[at : at + piece] for at in range(0, len(body), piece))
    found = [each for block in blocks for each in split(block)]
    expected: list[tuple[dict, list]] = []
    for labels, samples in series:
        if not expected or expected[-1][0] != labels:
            expected.append((labels, []))
        expected[-1][1].extend(samples)
    assert [(labels, instants) for labels, instants, _ in found] == [
        (labels, [at for at, _ in samples]) for labels, samples in expected
    ]
    for (*_, values), (_, samples) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(values, [v if math.isfinite(v) else math.nan for _, v in samples])


@pytest.mark.parametrize(
    "body", [b'{"metric":{}', b"<html>\n", b'{"metric":{},"values":[1],"timestamps":[1,2]}\n', b"{}\n"]
)
def test_what_is_no_export_is_refused(body: bytes):
    with pytest.raises(GarbledError):
        list(export.blocks([body]))
