"""Files at http addresses: read like others, fetched only when they have changed, and no reason to stop."""

import gzip
import io
from datetime import datetime, timedelta

import polars as pl
import pytest
from loopback import Answer, Asked, loopback

from pipelines import sources
from pipelines.settings import SettingsError, parse
from pipelines.source_options import MetricFiles
from pipelines.sources.errors import InputError

AS_OF = datetime(2026, 3, 1)
CSV = b"entity,metric,ts,value\ne,m,2026-02-28T12:00:00Z,1\n"
LATER = CSV + b"e,m,2026-03-01T01:00:00Z,2\n"


@pytest.fixture
def stage(con, settings, tmp_path):
    def stage(*paths: str, as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None, **options):
        source = MetricFiles.model_validate({"name": "fleet", "paths": paths, "access": {"attempts": 1}, **options})
        now = as_of + timedelta(hours=2)
        return sources.stage_metrics(
            con, source, settings, (), as_of=as_of, now=now, folder=tmp_path / "staged", fetched=fetched
        )

    return stage


def parquet() -> bytes:
    told = io.BytesIO()
    pl.read_csv(CSV, try_parse_dates=True).write_parquet(told)
    return told.getvalue()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(CSV),
        Answer(gzip.compress(CSV)),
        Answer(gzip.compress(CSV), headers={"Content-Encoding": "gzip"}),
        Answer(parquet()),
    ],
    ids=["csv", "csv.gz", "encoded", "parquet"],
)
def test_every_format_is_told_by_its_content(stage, put, answer):
    put({"local.csv": CSV.replace(b"e,m", b"f,m")})
    with loopback(lambda _: answer) as server:
        staged = stage("local.csv", f"{server.url}/download?id=7")
    assert pl.read_parquet(staged.series)["entity"].sort().to_list() == ["e", "f"]


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_what_has_not_changed_is_not_read_again(stage, header):
    content = {"body": CSV, "version": "1"}
    with loopback(lambda _: Answer(content["body"], headers={header: content["version"]})) as server:
        first = pl.read_parquet(stage(server.url + "/x.csv").fetched)
        assert stage(server.url + "/x.csv", fetched=first).read == 0
        content |= {"body": CSV.replace(b",1\n", b",5\n"), "version": "2"}
        assert stage(server.url + "/x.csv", fetched=first).staged == 1


def test_what_does_not_say_when_it_changes_is_always_read(stage):
    with loopback(lambda _: Answer(CSV)) as server:
        first = pl.read_parquet(stage(server.url + "/x.csv").fetched)
        assert stage(server.url + "/x.csv", fetched=first).staged == 1


def test_rows_that_were_held_back_are_read_by_the_night_that_may_see_them(stage):
    with loopback(lambda _: Answer(LATER, headers={"ETag": "1"})) as server:
        url = server.url + "/x.csv"
        held = stage(url)
        assert (held.staged, held.held_back) == (1, 1)
        first = pl.read_parquet(held.fetched)
        assert stage(url, fetched=first).read == 0  # the same night again
        second = stage(url, as_of=AS_OF + timedelta(days=1), fetched=first)
        assert second.staged == 2
        later = pl.read_parquet(second.fetched)
        assert stage(url, as_of=AS_OF + timedelta(days=2), fetched=later).read == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b""), "is empty"),
        (Answer(b"<html>log in</html>"), "does not begin with a CSV header"),
        (Answer(b"PAR1 and no more"), "is not a readable Parquet file"),
        (Answer(b"entity,metric,ts\n"), "has no column 'value'"),
        (Answer(CSV + b"e,m,2026-02-28T12:00:00+02:00,1\n"), "mixes time zones"),
        (Answer(gzip.compress(CSV)[:30]), "cannot be read"),
        (Answer(CSV, cut=40), "broke off"),
        (Answer(status=404), "answers 404 Not Found; correct the address"),
    ],
)
def test_a_file_that_cannot_be_used_costs_itself_alone(stage, answer, said):
    good = Answer(CSV.replace(b"e,m", b"f,m"))
    with loopback(lambda asked: answer if asked.path.startswith("/bad") else good) as server:
        staged = stage(f"{server.url}/bad?sig=s3cr3t", f"{server.url}/good")
        rejects = pl.read_parquet(staged.rejects).select("file", "file_row", "reason").rows()
        detail = pl.read_parquet(staged.rejects)["detail"][0]
    assert pl.read_parquet(staged.series)["entity"].to_list() == ["f"]
    assert rejects == [(f"{server.url}/bad", 0, "not fetched")]
    assert said in detail
    assert "s3cr3t" not in detail


def test_addresses_that_differ_by_their_query_are_two_files(stage):
    def answer(asked: Asked) -> Answer:
        return Answer(CSV.replace(b"e,m", f"{asked.path[-1]},m".encode()))

    with loopback(answer) as server:
        staged = stage(f"{server.url}/x?id=1", f"{server.url}/x?id=2")
    assert pl.read_parquet(staged.series)["entity"].sort().to_list() == ["1", "2"]


def test_a_local_file_must_still_be_there(stage):
    with loopback(lambda _: Answer(CSV)) as server, pytest.raises(InputError, match=r"none\.csv: does not exist"):
        stage("none.csv", server.url)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://bucket/x.parquet", r"s3://bucket/x\.parquet cannot be fetched: only http and https .*; give an https"),
        ("gs://bucket/x", "gs://bucket/x cannot be fetched"),
        ("https://u:s3cr3t@h/x.csv", "https://h/x.csv: has a user or password in it; put them under access"),
        ("https://h/*.csv", r"https://h/\*\.csv: an address cannot hold \*, .*; name each file"),
    ],
)
def test_addresses_that_are_refused(tmp_path, path, said):
    with pytest.raises(SettingsError, match=rf"sources\.metrics\[0\]: {said}") as raised:
        parse(f"sources: {{metrics: [{{name: x, paths: ['{path}']}}]}}", tmp_path)
    assert "s3cr3t" not in str(raised.value)
