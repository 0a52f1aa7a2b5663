"""What a server does wrong, between it and us: one clear line each, what had been fetched kept, the rest goes on."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import duckdb
import polars as pl
import pytest
from metric_servers import Asked, Fault, Proxy, Reply, http_date, needed, prometheus, proxy

from pipelines import sources
from pipelines.settings import Settings, parse
from pipelines.sources import access as reaching
from pipelines.sources.errors import InputError
from pipelines.sources.metric_staging import StagedMetrics

AS_OF = datetime(2026, 3, 2)
LATER = AS_OF + timedelta(hours=7)
DAYS = 3
ODD = 'quotes \\" and \\n lines, ' + "x" * 10_000
SIGNAL = """
    - name: {name}
      metric: {name}
      limits: [{{name: critical, value: 90}}]
      query: {{usage: {query}}}
"""
SECRET = "s3cret-t0ken"  # noqa: S105


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A Prometheus with three days of a steady metric, an odd label, a broken counter, and values that are none."""
    at = range(
        int(AS_OF.replace(tzinfo=UTC).timestamp()) - DAYS * 86_400, int(AS_OF.replace(tzinfo=UTC).timestamp()), 300
    )
    samples = {f'steady{{instance="host-{n}:9100"}}': [(second, 40.0 + n) for second in at] for n in range(4)}
    samples[f'odd{{instance="odd:1",text="{ODD}"}}'] = [(second, 1.0) for second in at]
    samples['resets_total{instance="a:1"}'] = [(second, float(second % 3000)) for second in at]
    samples['gone{instance="a:1"}'] = [
        (s, float("nan") if s % 3600 == 0 else float("inf") if s % 7200 == 300 else 1.0) for s in at
    ]
    samples |= {f'twin{{instance="a:1",replica="{n}"}}': [(second, 5.0 + n) for second in at] for n in range(2)}
    with prometheus(tmp_path_factory.mktemp("prometheus"), samples) as url:
        yield url


@pytest.fixture
def through(target: str):
    with proxy(target) as found:
        yield found


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch):
    """Attempts follow one another at once."""
    monkeypatch.setattr(reaching, "FIRST_WAIT_S", 0.02)


@dataclass(frozen=True)
class Staged:
    counts: StagedMetrics
    samples: pl.DataFrame
    series: pl.DataFrame
    rejects: pl.DataFrame
    fetched: pl.DataFrame

    def lines(self, reason: str) -> list[str]:
        return self.rejects.filter(pl.col("reason") == reason)["detail"].to_list()

    @property
    def whole(self) -> int:
        """Days that need not be asked for again."""
        return self.fetched.filter("complete").height


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Staged]:
    def stage(url: str, *queries: str, now: datetime = LATER, fetched: pl.DataFrame | None = None, **options) -> Staged:
        settings = configured(url, tmp_path, *(queries or ("steady",)), **options)
        (source,) = settings.sources.metrics
        with duckdb.connect() as con:
            counts = sources.stage_metrics(
                con, source, settings, settings.signals.all, as_of=AS_OF, now=now, folder=tmp_path / "staged",
                fetched=fetched,
            )  # fmt: skip
        assert counts.fetched is not None
        found = (pl.read_parquet(p) for p in (counts.samples, counts.series, counts.rejects, counts.fetched))
        return Staged(counts, *found)

    return stage


def configured(url: str, folder: Path, *queries: str, access: dict | None = None, **options) -> Settings:
    source = {"name": "prod", "type": "prometheus", "url": url, "history_days": DAYS, **options}
    source["access"] = {"attempts": 2, "timeout_s": 20, **(access or {})}
    signals = "".join(SIGNAL.format(name=f"m{n}", query=json.dumps(query)) for n, query in enumerate(queries))
    return parse(f"sources: {{metrics: [{json.dumps(source)}]}}\nsignals:\n  own:{signals}", folder)


def error(status: int, said: str, kind: str = "bad_data", **headers: str) -> Reply:
    body = json.dumps({"status": "error", "errorType": kind, "error": said}).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


def on_data(reply: Reply) -> Fault:
    return lambda asked: reply if asked.is_data else None


FAULTS = {
    "bad query": (on_data(error(400, "parse error: unexpected end")), "400 Bad Request: parse error: unexpected end"),
    "no token": (on_data(error(401, "token expired")), "401 Unauthorized: token expired; correct the source's access"),
    "no right": (on_data(error(403, "no")), "403 Forbidden: no; give the source's account the right to read"),
    "not to be joined": (on_data(error(422, "many-to-many matching", "execution")), "422 Unprocessable Entity: many"),
    "throttled": (on_data(error(429, "slow down", **{"Retry-After": "0"})), "Requests: slow down; ask less often"),
    "broken": (on_data(Reply(500, b"<html>oops</html>")), "500 Internal Server Error (2 attempts)"),
    "overloaded": (on_data(Reply(503, b"try later")), "503 Service Unavailable: try later (2 attempts)"),
    "garbage": (on_data(Reply(200, b"\xff\x00garbage" * 99)), "its answer is unusable: it is no JSON, or ends too"),
    "a page": (on_data(Reply(200, b"<html>Sign in</html>")), "its answer is unusable"),
    "other JSON": (on_data(Reply(200, b'{"status":"success","data":{"resultType":"matrix","result":[{}]}}')), "layout"),
    "elsewhere": (on_data(Reply(302, b"", {"Location": "https://login.example.com/?token=x"})), "redirects to https://l"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refusal_is_one_line_and_the_other_signal_is_kept(through: Proxy, stage, fault: str):
    broken, said = FAULTS[fault]
    through.fault = lambda asked: broken(asked) if b"steady" in asked.body else None
    found = stage(through.url, "resets_total", "steady", access={"concurrency": 1})
    (line,) = found.lines("not fetched")
    assert said in line and through.url in line and "\n" not in line
    assert found.counts.rejected == {"not fetched": 1}
    assert found.series["metric"].to_list() == ["m0"] and found.samples.height == DAYS * 288
    assert found.whole == DAYS


def test_a_server_that_is_down_is_one_line_for_all_questions(through: Proxy, stage):
    with proxy(through.url) as gone:
        url = gone.url
    found = stage(url, "steady", "odd", "resets_total")
    (line,) = found.lines("not fetched")
    assert "cannot be reached" in line and "(2 attempts)" in line and "3 of 3 questions are left open" in line
    assert found.samples.is_empty() and found.series.is_empty() and found.fetched.is_empty()


def test_a_restart_midway_is_waited_for(through: Proxy, stage):
    refused = iter([True, True])
    through.fault = lambda asked: Reply(503, b"starting") if asked.is_data and next(refused, False) else None
    found = stage(through.url, access={"attempts": 4})
    assert not found.counts.rejected and found.whole == DAYS


def test_a_connection_that_breaks_off_is_tried_again_and_leaves_nothing_twice(through: Proxy, stage):
    broken = iter([True])

    def fault(asked: Asked) -> Reply | None:
        if not (asked.is_data and next(broken, False)):
            return None
        status, headers, body = asked.forward()
        return Reply(status, body, headers, cut=len(body) // 2)

    through.fault = fault
    for fast in (True, False):
        broken = iter([True])
        found = stage(through.url, fast_path=fast)
        assert not found.counts.rejected and found.samples.height == 4 * DAYS * 288


def test_an_answer_that_is_always_cut_is_said(through: Proxy, stage):
    def fault(asked: Asked) -> Reply | None:
        if not asked.is_data:
            return None
        status, headers, body = asked.forward()
        return Reply(status, body[: len(body) // 2 + 7], headers)

    through.fault = fault
    found = stage(through.url)
    (line,) = found.lines("not fetched")
    assert "ends too soon" in line and found.samples.is_empty()


def test_what_is_too_much_is_asked_in_pieces_by_time_and_by_series(through: Proxy, stage):
    def fault(asked: Asked) -> Reply | None:
        form = {k: v[0] for k, v in parse_qs(asked.body.decode("latin-1")).items()}
        if asked.path != "/api/v1/query_range" or form["query"].startswith(("count", "avg(")):
            return None
        windows = (float(form["end"]) - float(form["start"])) / 300 + 1
        named = form["query"].count("host-")
        hosts = 4 - named if "!~" in form["query"] else named if "instance=~" in form["query"] else 4
        return error(422, "query processing would load too many samples", "execution") if windows * hosts > 60 else None

    through.fault = fault
    found = stage(through.url, fast_path=False)
    assert not found.counts.rejected and found.samples.height == 4 * DAYS * 288 and found.whole == DAYS
    assert any(b"host-" in asked.body for asked in through.asked)


def test_a_slow_server_is_asked_for_less_and_at_last_given_up(through: Proxy, stage):
    through.fault = lambda asked: Reply(200, b"{}", wait=0.5) if asked.is_data else None
    found = stage(through.url, "steady", "odd", access={"timeout_s": 0.2, "attempts": 2}, fast_path=False)
    (line,) = found.lines("not fetched")
    assert "takes too long (more than 0.2 s); raise access.timeout_s" in line and "questions are left open" in line


def test_a_million_series_are_refused_with_the_count_before_they_are_read(through: Proxy, stage):
    def counts(asked: Asked) -> Reply | None:
        if b"count%28avg_over_time" not in asked.body:
            return None
        result = [{"metric": {}, "values": [[1772323199.999, "1000000"]]}]
        return Reply(
            200, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
        )

    through.fault = counts
    found = stage(through.url)
    (line,) = found.lines("too many series")
    assert "1,000,000 series are more than most_series, 50,000; narrow the signal's query" in line
    assert not any(asked.is_data for asked in through.asked)


def test_more_series_than_were_counted_stop_the_reading(through: Proxy, stage):
    series = b",".join(b'{"metric":{"instance":"%d"},"values":[[1772323199.999,"1"]]}' % n for n in range(200_000))
    body = b'{"status":"success","data":{"resultType":"matrix","result":[' + series + b"]}}"
    through.fault = on_data(Reply(200, body))
    found = stage(through.url, fast_path=False, most_series=1000)
    assert found.lines("too many series")[0].find("more than 1,000 series") >= 0
    assert found.samples.is_empty() and found.fetched.is_empty()


def test_warnings_are_told_and_their_days_are_asked_for_again(through: Proxy, stage):
    def partial(asked: Asked) -> Reply | None:
        if not asked.is_data:
            return None
        told = json.loads(asked.forward()[2]) | {"warnings": ["store east: unavailable"], "infos": ["metric might be"]}
        return Reply(200, json.dumps(told).encode())

    through.fault = partial
    found = stage(through.url, fast_path=False)
    (line,) = found.lines("partial answer")
    assert "store east: unavailable" in line and "2026-02-27 to 2026-03-01" in line
    assert found.samples.height == 4 * DAYS * 288 and found.whole == 0
    through.fault = lambda asked: None
    assert stage(through.url, fetched=found.fetched).whole == DAYS


def test_only_days_that_are_not_complete_are_asked_for(through: Proxy, stage):
    unsettled = stage(through.url, now=AS_OF + timedelta(hours=3))
    assert unsettled.whole == DAYS - 1
    again = stage(through.url, fetched=unsettled.fetched)
    assert again.samples.height == 4 * 288 and again.fetched.height == 1 and again.whole == 1
    through.asked.clear()
    all_done = stage(through.url, fetched=pl.concat([unsettled.fetched.filter("complete"), again.fetched]))
    assert not through.asked and all_done.samples.is_empty()


def test_a_clock_that_is_off_is_told(through: Proxy, stage):
    late = {"Date": http_date(datetime.now(UTC) - timedelta(minutes=10))}

    def skewed(asked: Asked) -> Reply:
        status, headers, body = asked.forward()
        return Reply(status, body, headers | late)

    through.fault = skewed
    (line,) = stage(through.url).lines("clock skew")
    assert "the server's clock is 10 min behind ours" in line


@pytest.mark.parametrize("fast", [True, False])
def test_odd_labels_values_that_are_none_and_resets(target: str, stage, fast: bool):
    found = stage(target, "odd", "gone", "avg_over_time(resets_total[$step])", fast_path=fast)
    assert json.loads(found.series.filter(pl.col("metric") == "m0")["labels"][0])["text"] == json.loads(f'"{ODD}"')
    hours = DAYS * 24
    assert found.counts.rejected == {"NaN": hours, "infinite": hours // 2}
    assert found.lines("NaN")[0].startswith('2026-02-27T00:00Z {instance="a:1"}')
    kept = found.series.join(found.samples, on="series_id")
    assert kept.filter(pl.col("metric") == "m2")["value"].max() == 2700
    assert found.samples.height == 3 * DAYS * 288 - hours - hours // 2


def test_series_of_one_identity_are_named_and_the_larger_value_stays(target: str, stage, tmp_path: Path):
    settings = configured(target, tmp_path, "twin")
    (signal,) = settings.signals.own
    narrow = settings.signals.model_copy(update={"own": [signal.model_copy(update={"identity": []})]})
    settings = settings.model_copy(update={"signals": narrow})
    with duckdb.connect() as con:
        counts = sources.stage_metrics(
            con, settings.sources.metrics[0], settings, narrow.all, as_of=AS_OF, now=LATER, folder=tmp_path / "staged"
        )
    (line,) = pl.read_parquet(counts.rejects)["detail"].to_list()
    assert line.startswith('{instance="a:1", replica="0"} and {instance="a:1", replica="1"} are one series by identity')
    assert counts.conflicts == DAYS * 288 and counts.staged == DAYS * 288
    assert pl.read_parquet(counts.samples)["value"].unique().to_list() == [6.0]


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_without_its_fast_path_a_server_is_asked_by_query(through: Proxy, stage, status: int):
    through.fault = lambda asked: Reply(status, b"no remote read") if asked.path == "/api/v1/read" else None
    found = stage(through.url, "steady", "resets_total", access={"concurrency": 1})
    assert not found.counts.rejected and found.counts.asked == {"answers_by_query": 2}
    assert sum(asked.path == "/api/v1/read" for asked in through.asked) == 1


def test_secrets_are_sent_and_never_said(through: Proxy, stage, tmp_path: Path):
    through.fault = lambda asked: (
        None if asked.headers.get("Authorization") == f"Bearer {SECRET}" else error(401, "who?")
    )
    found = stage(through.url, access={"bearer": SECRET, "headers": {"X-Scope-OrgID": "team"}})
    assert not found.counts.rejected and through.asked[0].headers["X-Scope-OrgID"] == "team"
    found = stage(through.url, access={"bearer": "expired"})
    assert "401 Unauthorized: who?; correct the source's access" in found.lines("not fetched")[0]
    through.fault = lambda asked: (
        None if asked.headers.get("Authorization", "").startswith("Basic ") else error(401, "who?")
    )
    assert not stage(through.url, access={"username": "u", "password": SECRET}).counts.rejected
    for file in (tmp_path / "staged").rglob("*.parquet"):
        assert SECRET.encode() not in file.read_bytes()


# ------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    needed("openssl")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key", "-out", folder / "crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text((folder / "crt").read_text() + (folder / "key").read_text())
    return both


def test_tls_with_its_own_authority_and_a_client_certificate(target: str, stage, certificate: Path, tmp_path: Path):
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    served.load_cert_chain(certificate)
    with proxy(target, served) as secure:
        (line,) = stage(secure.url).lines("not fetched")
        assert "not trusted (certificate verify failed" in line and "access.tls.ca" in line
        trusted = {"tls": {"ca": str(certificate)}}
        assert not stage(secure.url, access=trusted).counts.rejected
        served.verify_mode = ssl.CERT_REQUIRED
        (line,) = stage(secure.url, access=trusted).lines("not fetched")
        assert "TLS failed" in line
        known = {"tls": {"ca": str(certificate), "certificate": str(certificate)}}
        assert not stage(secure.url, access=known).counts.rejected
    with pytest.raises(InputError, match=r"nowhere\.pem: cannot be used .*; correct access\.tls\.ca"):
        settings = configured(target, tmp_path, "steady", access={"tls": {"ca": "nowhere.pem"}})
        sources.inspect(settings.sources.metrics[0], settings)


# ---------------------------------------------------------------------------------------------------------------- check


def test_check_says_who_answers_which_signals_have_data_and_what_looks_into_gaps(through: Proxy, tmp_path: Path):
    settings = configured(
        through.url, tmp_path, "steady", "nowhere", "max_over_time(steady[1h])", "no_function(steady)", "odd"
    )
    settings = settings.model_copy(update={"calendar": settings.calendar.model_copy(update={"as_of": AS_OF.date()})})
    found = [(each.level, each.text) for each in sources.survey(settings.sources.metrics[0], settings)]
    told = " | ".join(f"{level}: {text}" for level, text in found)
    assert f"ok: Prometheus 2.42.0+ds answers at {through.url}" in told or "ok: Prometheus 2." in told
    assert "ok: signal m0: 4 series" in told and "ok: signal m4: 1 series" in told
    assert "note: no series in the last day for: m1" in told
    assert "note: signal m2: its query carries values into gaps" in told and "m0: its query" not in told
    assert "fault: signal m3:" in told and "parse error" in told
    assert "ok: fast path: remote read" in told and found[-1][1].startswith("no preset has series here")
    through.fault = lambda asked: error(401, "token expired")
    assert [level for level, _ in _found(settings)] == ["fault"]


def _found(settings: Settings) -> list[tuple[str, str]]:
    return [(each.level, each.text) for each in sources.survey(settings.sources.metrics[0], settings)]
