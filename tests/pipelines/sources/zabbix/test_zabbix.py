"""Zabbix: against what a real one answered when it was recorded, and against a real one where it is installed."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
import real_zabbix
from fake_zabbix import LOGIN, TOKEN, FakeItem, FakeZabbix
from given import AS_OF, DAYS, GROUP, ITEMS, KEPT_SHORTLY, NOW, QUEUE, source, to_send, values
from loopback import Answer, Asked, Loopback, loopback
from played_back import play_back
from pydantic import ValidationError

from data.presets import all_presets
from features.signals import SeriesLimit
from pipelines import sources
from pipelines.settings import parse
from pipelines.source_options import Zabbix
from pipelines.sources import zabbix as module
from pipelines.sources.zabbix.items import seconds
from pipelines.sources.zabbix.keys import Dictionary, Key, literally, read_key, well_known

IN_REAL = pytest.mark.skipif(
    not real_zabbix.INSTALLED,
    reason="Zabbix is not installed (postgresql, zabbix-server-pgsql, zabbix-frontend-php, php-cli, php-pgsql)",
)


@pytest.fixture
def stage(con: duckdb.DuckDBPyConnection, tmp_path) -> Callable[..., Any]:
    def stage(asking: Zabbix, as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None):
        now = as_of + (NOW - AS_OF)
        return sources.stage_metrics(
            con, asking, parse("", tmp_path), (), as_of=as_of, now=now, folder=tmp_path / "staged", fetched=fetched
        )

    return stage


# ------------------------------------------------------------------------------------------------------- a real one


@pytest.fixture(params=["recorded", pytest.param("real", marks=IN_REAL)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "recorded":
        with loopback(play_back) as server:
            yield server.url
    else:
        yield request.getfixturevalue("real").url


@pytest.fixture(scope="module")
def real() -> Iterator[real_zabbix.RealZabbix]:
    with real_zabbix.zabbix() as server:
        server.make(GROUP, ITEMS)
        server.send(to_send())
        server.settle()
        yield server


def test_a_zabbix_is_read(url, stage):
    staged = stage(source(url))
    found = pl.read_parquet(staged.samples).join(pl.read_parquet(staged.series), on="series_id")
    metrics: dict[str, tuple[str, dict[str, str], str | None, Callable[[float], float]]] = {
        "vfs.fs.size[/,pused]": ("disk_used_percent", {"mountpoint": "/"}, "percent", float),
        "vfs.fs.size[/,pfree]": ("vfs.fs.size", {"param1": "/", "param2": "pfree"}, "percent", float),
        "vm.memory.size[pavailable]": ("mem_used_percent", {}, "percent", lambda value: 100 - value),
        QUEUE: ("queue_messages", {"queue": 'say "so", €', "vhost": "/"}, "count", float),
        "system.cpu.load[percpu,avg5]": ("load5_per_core", {}, "ratio", float),
    }
    expected = set()
    for item, at, value in values():
        if item.key not in metrics:
            continue
        if item == KEPT_SHORTLY and (at.minute or at >= AS_OF - timedelta(hours=1)):
            continue  # averages, the last of which is not written yet
        metric, labels, unit, told = metrics[item.key]
        expected.add((item.host, metric, json.dumps(labels, ensure_ascii=False), unit, at, told(value)))
    rows = found.with_columns(labels=pl.col("labels").str.replace_all('":"', '": "').str.replace_all('","', '", "'))
    assert set(rows.select("entity", "metric", "labels", "unit", "ts", "value").rows()) == expected
    assert (staged.read, dict(staged.rejected)) == (len(expected), {})


def test_a_second_night_asks_a_zabbix_for_what_is_new(url, stage):
    first = pl.read_parquet(stage(source(url)).fetched)
    assert first.filter(~pl.col("query").str.contains(" item "))["complete"].to_list() == [True] * DAYS + [False]
    second = stage(source(url), as_of=AS_OF + timedelta(days=1), fetched=first)
    assert {at.date() for at in pl.read_parquet(second.samples)["ts"]} == {(AS_OF - timedelta(days=1)).date()}


def test_a_survey_names_what_is_chosen(url, tmp_path):
    found = [f"{each.level}: {each.text}" for each in sources.survey(source(url), parse("", tmp_path))]
    assert len(found) == 1
    assert found[0].startswith(f"ok: {url}: Zabbix 6.0.14, 5 items of 2 hosts: ")
    assert "disk_used_percent 1" in found[0]


# ----------------------------------------------------------------------------------------------------------- a fake one

CLOCK = int(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp())
DAY_S = 86_400


def fake_source(server: Loopback, **options: Any) -> Zabbix:
    fields = {"name": "z", "type": "zabbix", "url": f"{server.url}/zabbix", "keys": ["*"], "history_days": 4}
    return Zabbix.model_validate(fields | {"access": {**LOGIN, "attempts": 1}} | options)


def test_the_fake_one_answers_as_the_real_one_did(stage):
    """So that what is proved with it holds for Zabbix."""
    items = []
    for item in ITEMS:
        sent = [(clock, str(value)) for host, key, clock, value in to_send() if (host, key) == (item.host, item.key)]
        of_item = FakeItem(
            item.host,
            item.key,
            values=[] if item == KEPT_SHORTLY else sent,
            averages=sent[:-2:2] if item == KEPT_SHORTLY else [],
            units=item.units,
            kind=str(item.value_type),
            history=item.history,
            group=GROUP,
        )
        items.append(of_item)
    with loopback(play_back) as recorded, loopback(FakeZabbix(items)) as faked:
        real = stage(source(recorded.url))
        told = pl.read_parquet(real.samples)
        fake = stage(source(f"{faked.url}/zabbix", access={**LOGIN}, tags={}))
    assert pl.read_parquet(fake.samples).equals(told)


@pytest.mark.parametrize("version", ["5.0.9", "6.0.14", "6.4.0", "7.2.3"])
@pytest.mark.parametrize("access", [LOGIN, {"bearer": TOKEN}], ids=["login", "token"])
def test_every_version_is_told_who_asks_in_its_own_way(stage, version, access):
    fake = FakeZabbix([FakeItem("h", "k", [(CLOCK, "1.5")])], version)
    with loopback(fake) as server:
        assert stage(fake_source(server, access=access)).staged == 1
    methods = [json.loads(asked.body)["method"] for asked in server.asked]
    assert methods[0] == "apiinfo.version"
    assert ("user.login" in methods) == ("user.logout" in methods) == (access is LOGIN)


def test_an_item_that_is_new_brings_its_past(stage):
    old, new = (FakeItem("h", key, [(CLOCK - n * DAY_S, "1.5") for n in range(3)]) for key in ("old", "new"))
    fake, later = FakeZabbix([old]), AS_OF + timedelta(days=1)
    with loopback(fake) as server:
        first = stage(fake_source(server), as_of=later)
        remembered = pl.read_parquet(first.fetched)
        fake.items = [old, new]
        second = stage(fake_source(server), as_of=later, fetched=remembered)
        metrics = pl.read_parquet(second.series)["metric"].to_list()
        both = pl.concat([remembered, pl.read_parquet(second.fetched)])
        third = stage(fake_source(server), as_of=later, fetched=both)
    assert metrics == ["new"]
    assert (first.staged, second.staged, third.staged) == (3, 3, 0)


def test_an_item_that_comes_back_brings_what_was_missed(stage):
    one, other = (FakeItem("h", key, [(CLOCK + n * DAY_S, "1.5") for n in range(-3, 6)]) for key in ("one", "other"))
    remembered, metrics = None, []
    with loopback(FakeZabbix([one, other])) as server:
        for night, keys in enumerate((["*"], ["one"], [], ["one"], ["*"], ["*"])):
            asking = fake_source(server, keys=keys, history_days=9)
            staged = stage(asking, as_of=AS_OF + timedelta(days=night), fetched=remembered)
            rows = pl.read_parquet(staged.samples).join(pl.read_parquet(staged.series), on="series_id")
            metrics.append(sorted(rows["metric"]))
            fetched = [pl.read_parquet(staged.fetched), *([] if remembered is None else [remembered])]
            remembered = pl.concat(fetched).unique(["query", "day"], keep="first")
    days = {metric: [found.count(metric) for found in metrics] for metric in ("one", "other")}
    assert days == {"one": [4, 2, 0, 7, 2, 2], "other": [4, 0, 0, 0, 8, 2]}, "a day is asked for until it is settled"


def test_a_landed_day_that_cannot_be_read_is_asked_for_again(stage, monkeypatch):
    fake = FakeZabbix([FakeItem("h", "k", [(CLOCK - n * DAY_S, "1.5") for n in range(3)])])
    real = module.stage_rows

    def spoiling(con, source, reports, *rest, **options):
        staged, _ = real(con, source, reports, *rest, **options)
        return staged, {report.name for report in reports if report.name.endswith("2026-02-27")}

    with loopback(fake) as server:
        with monkeypatch.context() as patched:
            patched.setattr(module, "stage_rows", spoiling)
            first = pl.read_parquet(stage(fake_source(server)).fetched)
        again = stage(fake_source(server), fetched=first)
    days = first.filter(~pl.col("query").str.contains(" item "))["day"].to_list()
    assert date(2026, 2, 27) not in days and date(2026, 2, 26) in days
    assert date(2026, 2, 27) in {at.date() for at in pl.read_parquet(again.samples)["ts"]}


@pytest.mark.parametrize(
    ("method", "result"),
    [*((method, odd) for method in ("host.get", "item.get") for odd in (None, [{}], [None], 3)),
     ("history.get", None), ("trend.get", None)],
)  # fmt: skip
def test_an_answer_of_another_shape_is_one_line_and_the_night_goes_on(stage, method, result):
    fake = FakeZabbix([FakeItem("h", "k")])

    def answer(asked: Asked) -> Answer:
        odd = json.loads(asked.body)["method"] == method
        return Answer(json.dumps({"jsonrpc": "2.0", "result": result, "id": 1}).encode()) if odd else fake(asked)

    with loopback(answer) as server:
        staged = stage(fake_source(server))
    said = pl.read_parquet(staged.rejects)["detail"]
    assert len(said) and all(method in line and "is not laid out as Zabbix's API does" in line for line in said)
    assert pl.read_parquet(staged.fetched).filter("complete", ~pl.col("query").str.contains(" item ")).is_empty()


def test_long_answers_are_asked_for_by_halves(stage, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    items = [FakeItem("h", f"k[{n}]", [(CLOCK + s, "1.5") for s in range(30)], delay="1d") for n in range(5)]
    with loopback(FakeZabbix(items)) as server:
        staged = stage(fake_source(server))
    assert (staged.read, staged.staged) == (150, 150)


def test_a_server_that_runs_out_of_memory_is_asked_for_less(stage):
    fake = FakeZabbix([FakeItem("h", f"k[{n}]", [(CLOCK, "1.5")]) for n in range(8)])

    def answer(asked: Asked) -> Answer:
        params = json.loads(asked.body)["params"]
        return Answer(status=500) if "itemids" in params and len(params["itemids"]) > 2 else fake(asked)

    with loopback(answer) as server:
        assert stage(fake_source(server)).staged == 8


def test_what_came_before_a_server_fails_is_kept_and_the_rest_is_said(stage):
    fake = FakeZabbix([FakeItem("h", "k", [(CLOCK - n * DAY_S, "1.5") for n in range(4)])])

    failing = True

    def answer(asked: Asked) -> Answer:
        params = json.loads(asked.body)["params"]
        return (
            Answer(status=503) if failing and params and params.get("time_from", CLOCK) < CLOCK - DAY_S else fake(asked)
        )

    with loopback(answer) as server:
        staged = stage(fake_source(server))
        rejects = pl.read_parquet(staged.rejects).select("file", "reason", "detail").rows()
        fetched = pl.read_parquet(staged.fetched)
        failing = False
        again = stage(fake_source(server), fetched=fetched)
    url = f"{server.url}/zabbix"
    assert (staged.staged, again.staged) == (1, 4)
    assert rejects == [
        (f"{url}, 2026-02-25 to 2026-02-27", "not fetched", f"{url}/api_jsonrpc.php: answers 503 Service Unavailable")
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b'{"jsonrpc": "2.0", "result": [{"itemid": "1", "cl',
        b"[]",
        b'{"id": 1}',
        b"\xff\xfe",
    ],
)
def test_garbage_is_said_and_nothing_else_happens(stage, body):
    fake = FakeZabbix([FakeItem("h", "k", [(CLOCK, "1.5")])])

    def answer(asked: Asked) -> Answer:
        return Answer(body) if json.loads(asked.body)["method"] == "history.get" else fake(asked)

    for told in (answer, lambda _: Answer(body)):
        with loopback(told) as server:
            staged = stage(fake_source(server))
        assert staged.staged == 0
        assert set(pl.read_parquet(staged.rejects)["detail"].str.contains("answers what is no JSON")) == {True}


def test_a_wrong_password_and_a_refusal_are_said_without_it(stage, tmp_path):
    with loopback(FakeZabbix()) as server:
        for access in ({"username": "reader", "password": "wr0ng"}, {"bearer": "wr0ng"}, {}):
            asking = fake_source(server, access=access)
            said = pl.read_parquet(stage(asking).rejects)["detail"][0]
            assert ("incorrect" in said) or ("Not authorised" in said) or ("needs a login" in said)
            assert "wr0ng" not in said
            assert [found.level for found in sources.survey(asking, parse("", tmp_path))] == ["fault"]


def test_too_many_items_are_refused_with_their_number(stage):
    with loopback(FakeZabbix([FakeItem("h", f"k[{n}]") for n in range(5)])) as server:
        staged = stage(fake_source(server, most_items=4))
    assert "choose 5 items, more than most_items (4); narrow groups" in pl.read_parquet(staged.rejects)["detail"][0]


def test_items_are_chosen_by_groups_hosts_and_keys(tmp_path):
    hosts, keys = {"h1": "a/x", "h2": "b"}, ("k[1]", "k[2]", "l")
    items = [FakeItem(host, key, group=group) for host, group in hosts.items() for key in keys]
    with loopback(FakeZabbix(items)) as server:
        for options, count in [
            ({}, 6), ({"groups": ["a/*"]}, 3), ({"hosts": ["h?"]}, 6), ({"hosts": ["x"]}, 0), ({"keys": ["k[*"]}, 4),
            ({"keys": ["k[?]", "l"], "hosts": ["h2"]}, 3), ({"keys": []}, 0),
        ]:  # fmt: skip
            said = next(sources.survey(fake_source(server, **options), parse("", tmp_path))).text
            assert (f"{count} items" if count else "choose none") in said


# ----------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a", Key("a", ())),
        ("a[]", Key("a", ())),
        ("a[,]", Key("a", ())),
        ("vfs.fs.size[/,pused]", Key("vfs.fs.size", ("/", "pused"))),
        ("a[ x , y z]", Key("a", ("x ", "y z"))),
        ('a["x, \\"y\\"", z]', Key("a", ('x, "y"', "z"))),
        ("a[[x,y],z]", Key("a", ("x,y", "z"))),
        ("a[,b]", Key("a", ("", "b"))),
        ('a["unfinished', Key("a", ('"unfinished',))),
    ],
)  # fmt: skip
def test_keys_are_read(text, key):
    assert read_key(text) == key


def test_well_known_keys_mean_what_presets_watch():
    watched = all_presets().values()
    limits = {limit.metric for signal in watched for limit in signal.limits if isinstance(limit, SeriesLimit)}
    for entry in well_known():
        labels = dict.fromkeys(entry.labels, "x")
        signal = next((each for each in watched if each.matches("h", entry.metric, labels)), None)
        assert signal or entry.metric in limits, entry.key
        assert signal is None or set(entry.labels) <= set(signal.identity or ()), entry.key


@pytest.mark.parametrize(
    ("text", "metric", "labels", "value"),
    [
        ("vfs.fs.size[/var,pused]", "disk_used_percent", (("mountpoint", "/var"),), 30),
        ("vfs.fs.size[C:,pfree]", "disk_used_percent", (("mountpoint", "C:"),), 70),
        ("system.cpu.util[,idle]", "cpu_used_percent", (), 70),
        ("system.cpu.util[all,idle]", "cpu_used_percent", (), 70),
        ("vm.memory.size[pavailable]", "mem_used_percent", (), 70),
        ("proc.num[]", "node_processes_pids", (), 30),
    ],
)
def test_what_keys_mean(text, metric, labels, value):
    known, key = Dictionary.of(()), read_key(text)
    at = known.find(key)
    assert at is not None
    meaning = known.meaning(at, key, "%")
    assert (meaning.metric, meaning.labels, 30 * meaning.factor + meaning.plus) == (metric, labels, value)


@pytest.mark.parametrize("text", ["system.cpu.util[,user]", "vfs.fs.size[/,used]", "proc.num[httpd]", "own"])
def test_other_keys_mean_nothing_but_themselves(text):
    assert Dictionary.of(()).find(read_key(text)) is None
    assert literally(read_key(text), "!B").metric == text.partition("[")[0]


def test_a_label_cannot_be_called_like_a_column():
    own = {"key": "k[*]", "metric": "m", "labels": {"Value": 1}}
    with pytest.raises(ValidationError, match="a label cannot be called 'value'"):
        Zabbix.model_validate({"name": "z", "type": "zabbix", "url": "http://h", "metrics": [own]})


def test_periods():
    assert [seconds(text) for text in ("30", "1m", "2h", "90d", "1w", "0", "{$MACRO}")] == [
        30, 60, 7200, 90 * 86_400, 604_800, 0, None,
    ]  # fmt: skip
