"""CSV: whatever the state of a file, sound rows are read as they stand and broken ones refused by number."""

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from pipelines.sources.errors import InputError
from pipelines.sources.identity import canonical_json

HEADER = "entity,metric,ts,value,note\n"
GOOD = "e{},m,2026-01-05T10:00:00Z,1,n\n"


def test_broken_rows_are_refused_by_their_number(stage):
    rows = [
        b'e1,m,2026-01-05T10:00:00Z,1,"two\nlines"\n',
        b"e2,m,2026-01-05T10:00:00Z,1\n",
        b"\n",
        b"e3,m,2026-01-05T10:00:00Z,1,n,too,many\n",
        b'e4,m,2026-01-05T10:00:00Z,1,"say ""hi"""\n',
        b"e5,m,2026-01-05T10:00:00Z,1,\xff\xfe\n",
        b'e6,m,2026-01-05T10:00:00Z,1,"un"quoted\n',
        b"e7,m,2026-01-05T10:00:00Z,1,\n",
        b"e8,m,2026-01-05T10:00:00Z,one,n\n",
        b'e9,m,2026-01-05T10:00:00Z,1,"never closed\n',
    ]
    staged = stage({"x.csv": HEADER.encode() + b"".join(rows)})
    assert staged.series["entity"].sort().to_list() == ["e1", "e4", "e7"]
    assert staged.reasons() == [
        (2, "broken row"),
        (3, "broken row"),
        (5, "broken row"),
        (6, "broken row"),
        (8, "not a number"),
        (9, "broken row"),
    ]
    assert staged.rejects["detail"][0] == "4 fields instead of 5: e2"
    assert staged.counts.read == 9
    labels = dict(staged.series.select("entity", "labels").rows())
    assert labels == {"e1": '{"note":"two\\nlines"}', "e4": '{"note":"say \\"hi\\""}', "e7": "{}"}


def test_a_file_is_read_alike_whether_another_row_is_broken_or_not(stage):
    rows = "".join(GOOD.format(i) for i in range(50)) + 'x,m,2026-01-05T10:00:00Z,2,"a;b\r\nc"\n'
    clean = stage({"x.csv": HEADER + rows})
    broken = stage({"x.csv": HEADER + rows + "broken\n"})
    assert clean.series.equals(broken.series)
    assert clean.samples.equals(broken.samples)
    assert broken.reasons() == [(52, "broken row")]


FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@trying(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    notes=st.lists(FIELDS, min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_read_back(stage, notes, delimiter, end):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["entity", "metric", "ts", "value", "note"])
    writer.writerows([f"e{i}", "m", "2026-01-05T10:00:00Z", "1", note] for i, note in enumerate(notes))
    staged = stage({"x.csv": out.getvalue().encode()})
    labels = dict(staged.series.select("entity", "labels").rows())
    assert labels == {f"e{i}": canonical_json({"note": note} if note else {}) for i, note in enumerate(notes)}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + (HEADER + GOOD).encode(),
        (HEADER + GOOD).replace("\n", "\r\n").encode(),
        (HEADER + GOOD).rstrip("\n").encode(),
        (HEADER.replace(",", ";") + GOOD.replace(",", ";")).encode(),
        ('"entity" , metric,ts, value ,note\n' + GOOD).encode(),
        ("entity,metric,ts,value,note,\n" + GOOD.replace("\n", ",\n")).encode(),
    ],
    ids=["mark", "crlf", "no last end", "semicolons", "spaces in the header", "unnamed last column"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_dialects(stage, content, packed):
    name = "x.csv.gz" if packed else "x.csv"
    staged = stage({name: gzip.compress(content) if packed else content})
    assert staged.counts.staged == 1
    assert staged.series["labels"].to_list() == ['{"note":"n"}']


def test_packed_files_are_told_by_content_not_by_name(stage):
    assert stage({"x.csv": gzip.compress((HEADER + GOOD).encode())}).counts.staged == 1


def test_a_packed_file_that_is_cut_short_is_named(stage):
    many = (HEADER + "".join(GOOD.format(i * 7919 % 100_003) for i in range(100_000))).encode()
    packed = gzip.compress(many)
    with pytest.raises(InputError, match=r"^x\.csv\.gz: cannot be read .*; copy or export it again$"):
        stage({"x.csv.gz": packed[: len(packed) - 100]})


def test_values_are_text_until_they_are_cast(stage):
    rows = [("007", "1e3"), ("true", " 5 "), ("2026-01-01", "-0"), ("null", ".5")]
    staged = stage({"x.csv": "entity,metric,ts,value\n" + "".join(f"{e},m,1767607200,{v}\n" for e, v in rows)})
    joined = staged.series.join(staged.samples, on="series_id").sort("entity")
    assert joined.select("entity", "value").rows() == [
        ("007", 1000.0),
        ("2026-01-01", 0.0),
        ("null", 0.5),
        ("true", 5.0),
    ]


def test_a_header_alone_is_no_fault(stage):
    staged = stage({"x.csv": HEADER})
    assert (staged.counts.read, staged.samples.height, staged.series.height) == (0, 0, 0)
