"""What becomes of a question whose requests fare differently, against a server that answers as a test says."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import duckdb
import polars as pl
import pytest
from loopback import Answer, Asked, loopback

from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import Access, Prometheus
from pipelines.sources import access
from pipelines.sources.http import FetchError
from pipelines.sources.metric_staging import FETCHED
from pipelines.sources.prometheus.client import Client
from pipelines.sources.prometheus.questions import questions

AS_OF = datetime(2026, 3, 2)
LATER = AS_OF + timedelta(hours=7)
DAYS = 3
SIGNALS = """
signals:
  own:
    - {name: m, metric: m, limits: [{name: critical, value: 90}], query: {usage: "avg_over_time(steady[$step])"}}
"""


@dataclass(frozen=True)
class Asking:
    """A request as the server sees it. query: PromQL; empty where none is asked."""

    path: str
    form: dict[str, str]

    @property
    def query(self) -> str:
        return self.form.get("query", "")

    @property
    def counts(self) -> bool:
        return self.query.startswith("count(")

    @property
    def begins(self) -> datetime:
        return datetime(1970, 1, 1) + timedelta(seconds=float(self.form["start"]) + 0.001) - timedelta(minutes=5)


def asking(asked: Asked) -> Asking:
    path, _, query = asked.path.partition("?")
    return Asking(path, {name: each[0] for name, each in parse_qs(asked.body.decode() or query).items()})


def matrix(instances: list[str], at: float) -> Answer:
    """A value of each, at an instant in seconds."""
    result = [{"metric": {"instance": each}, "values": [[at, "1"]]} for each in instances]
    return Answer(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())


def of_day(request: Asking, *instances: str) -> Answer:
    return matrix(list(instances), float(request.form["start"]))


@pytest.fixture
def stage(con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access, "FIRST_WAIT_S", 0.01)

    def stage(
        answer: Callable[[Asking], Answer], *, only: list[int] | None = None, **options: object
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Samples, rejects and what is remembered. only: the days of history that are asked for, the first is 0."""
        with loopback(lambda asked: answer(asking(asked))) as server:
            source = {"name": "prod", "type": "prometheus", "url": server.url, "history_days": DAYS, "fast_path": False}
            source |= {"access": {"attempts": 1, "concurrency": 1}} | options
            settings = parse(f"sources: {{metrics: [{json.dumps(source)}]}}{SIGNALS}", tmp_path)
            (configured,) = settings.sources.metrics
            assert isinstance(configured, Prometheus)
            digest = questions(configured, settings.signals.all)[0].digest
            done = [
                ("prod", digest, (AS_OF - timedelta(days=DAYS - n)).date(), AS_OF, True, 1, 1)
                for n in range(DAYS)
                if only and n not in only
            ]
            counts = sources.stage_metrics(
                con, configured, settings, settings.signals.all, as_of=AS_OF, now=LATER, folder=tmp_path / "staged",
                fetched=pl.DataFrame(done, FETCHED, orient="row"),
            )  # fmt: skip
        assert counts.fetched is not None
        return pl.read_parquet(counts.samples), pl.read_parquet(counts.rejects), pl.read_parquet(counts.fetched)

    return stage


def test_shares_of_series_hold_those_that_the_server_no_longer_lists(stage):
    """A server that gives at most two series, and lists the label's values of the span it is asked about, but one."""
    hosts = [f"host-{n}:9100" for n in range(5)]
    listed: list[dict[str, str]] = []

    def answer(request: Asking) -> Answer:
        if request.path == "/api/v1/label/instance/values":
            listed.append(request.form)
            return Answer(json.dumps({"status": "success", "data": hosts[:4]}).encode())
        if request.counts:
            return of_day(request, "any")
        found = hosts
        for operator, pattern in re.findall(r'instance(=~|!~)"([^"]*)"', request.query):
            named = re.compile(pattern.replace("\\\\", "\\"))
            found = [host for host in found if bool(named.fullmatch(host)) is (operator == "=~")]
        too_many = {"status": "error", "error": "too many samples"}
        return of_day(request, *found) if len(found) < 3 else Answer(json.dumps(too_many).encode(), 422)

    samples, rejects, fetched = stage(answer, only=[0, 2])
    assert rejects.is_empty() and fetched["complete"].all()
    assert samples["series_id"].n_unique() == 5
    (span,) = listed
    first, last = (datetime(1970, 1, 1) + timedelta(seconds=float(span[name])) for name in ("start", "end"))
    assert first == AS_OF - timedelta(days=DAYS) and AS_OF - last < timedelta(seconds=1)


GARBAGE = [
    b'{"status":"success","data":[]}',
    b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"NaN"]]}]}}',
    b'{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":5}',
    b'{"status":"success","data":' + b"[" * 100_000,
    b"[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("counted", [False, True])
def test_garbage_is_one_line(stage, garbage: bytes, status: int, counted: bool):
    dates = {"Date": "Sat, 28 Nov 2026 03:00:00 -0000"}
    samples, rejects, fetched = stage(
        lambda request: of_day(request, "a") if request.counts and not counted else Answer(garbage, status, dates)
    )
    (line,) = rejects["detail"].to_list()
    assert ("its answer is unusable" if status == 200 else "400 Bad Request") in line
    assert samples.is_empty() and fetched.is_empty()


@pytest.mark.parametrize("fault", [AttributeError("x"), TypeError("x"), KeyError("x"), RecursionError("x")])
def test_what_no_reader_foresaw_is_an_unusable_answer_too(settings, fault: Exception):
    def read(_: object) -> None:
        raise fault

    refused = pytest.raises(FetchError, match="its answer is unusable: it is not laid out as")
    with (
        loopback(lambda _: Answer(b"{}")) as server,
        Client(server.url, Access(attempts=1), settings) as client,
        refused,
    ):
        client.read("/api/v1/read", read)


@pytest.mark.parametrize("date", ["Sat, 28 Nov 2026 03:00:00 -0000", "Sat, 28 Nov 99999999999999 03:00:00 GMT", "x"])
def test_a_date_that_is_none_tells_nothing(date: str):
    assert access.seconds_until(date) is None


@pytest.mark.parametrize("crowded", [0, 2])
def test_a_question_that_is_refused_while_it_is_read_is_remembered_on_no_day(stage, crowded: int):
    day = AS_OF - timedelta(days=DAYS - crowded)

    def answer(request: Asking) -> Answer:
        many = not request.counts and request.begins == day
        return of_day(request, *(f"host-{n}" for n in range(9 if many else 1)))

    samples, rejects, fetched = stage(answer, only=[0, 2], most_series=5)
    assert rejects["reason"].to_list() == ["too many series"]
    assert samples.is_empty() and fetched.is_empty()
