"""SQL sources: databases of all three kinds, what their types become, and what is said when they do not answer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from importlib.util import find_spec
from urllib.parse import quote

import polars as pl
import pytest
import real_postgres
from pydantic import ValidationError

from pipelines import sources
from pipelines.source_options import Sql
from pipelines.sources.errors import InputError

AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)
WHERE = " WHERE ts >= :since AND ts < :until"
ROW = "SELECT 'e' AS entity, 'm' AS metric, "
IN_PG = pytest.mark.skipif(
    not (real_postgres.INSTALLED and find_spec("psycopg")), reason="PostgreSQL or psycopg is not installed"
)


def sql(**options) -> Sql:
    return Sql.model_validate({"name": "db", "type": "sql", "history_days": 5, **options})


@pytest.fixture
def stage(con, settings, tmp_path):
    def stage(source: Sql, **options):
        return sources.stage_metrics(
            con, source, settings, (), as_of=AS_OF, now=NOW, folder=tmp_path / "staged", **options
        )

    return stage


def said(source: Sql, settings) -> list[str]:
    return [f"{found.level}: {found.text}" for found in sources.survey(source, settings)]


def why(staged) -> list[str]:
    return pl.read_parquet(staged.rejects)["detail"].to_list()


# -------------------------------------------------------------------------------------------------------------- SQLite


@pytest.fixture
def put(tmp_path):
    def put(*rows: tuple) -> None:
        with closing(sqlite3.connect(tmp_path / "x.db")) as con, con:
            con.execute("CREATE TABLE s (entity, metric, ts, value)")
            con.executemany("INSERT INTO s VALUES (?, ?, ?, ?)", rows)

    return put


def test_values_of_mixed_types_cost_their_own_rows_alone(put, stage):
    values = [1, 2.5, "3.5", "many", None, 10**18, b"\xff\xfe"]
    put(*(("e", "m", f"2026-02-28T12:{n:02}:00Z", value) for n, value in enumerate(values)))
    staged = stage(sql(sqlite="x.db", query=f"SELECT * FROM s{WHERE}"))
    assert pl.read_parquet(staged.samples)["value"].to_list() == [1, 2.5, 3.5, 1e18]
    assert dict(staged.rejected) == {"no value": 1, "not a number": 2}
    named = pl.read_parquet(staged.rejects)["file"].unique().to_list()
    assert named == ["x.db, 2026-02-24 to 2026-02-28"]


def test_columns_that_turn_to_another_type_on_the_way_are_read_on(put, stage, monkeypatch):
    monkeypatch.setattr(sources.sql_query, "ROWS_AT_ONCE", 2)
    values = [1, 2, 3.5, 4.5, "5.5", "6.5", 7, 8]
    put(*(("e", "m", f"2026-02-28T12:{n:02}:00Z", value) for n, value in enumerate(values)))
    staged = stage(sql(sqlite="x.db", query=f"SELECT * FROM s{WHERE}"))
    assert pl.read_parquet(staged.samples)["value"].to_list() == [1, 2, 3.5, 4.5, 5.5, 6.5, 7, 8]


def test_epochs_are_asked_for_as_epochs(put, stage):
    put(("e", "m", 1772280000, 1.0), ("e", "m", 1600000000, 2.0))
    staged = stage(sql(sqlite="x.db", query=f"SELECT * FROM s{WHERE}", times="epoch"))
    assert pl.read_parquet(staged.samples)["ts"].to_list() == [datetime(2026, 2, 28, 12)]
    assert staged.read == 1


def test_colons_of_the_query_are_colons(put, stage):
    put(("e", "m", "2026-02-28T12:00:00Z", 1.0))
    query = f"SELECT *, ':x at 10:30' AS clock, 'a::b' AS cast FROM s{WHERE};\n"
    assert pl.read_parquet(stage(sql(sqlite="x.db", query=query)).series)["labels"].to_list() == [
        '{"cast":"a::b","clock":":x at 10:30"}'
    ]


def test_a_file_is_opened_for_reading_alone(put, stage, tmp_path):
    put(("e", "m", "2026-02-28T12:00:00Z", 1.0))
    staged = stage(sql(sqlite="x.db", query="DELETE FROM s WHERE ts >= :since AND ts < :until RETURNING *"))
    assert why(staged) == ["x.db: attempt to write a readonly database"]
    with closing(sqlite3.connect(tmp_path / "x.db")) as con:
        assert con.execute("SELECT count(*) FROM s").fetchall() == [(1,)]


def test_columns_may_have_other_names_and_must_be_there(put, stage, settings):
    put(("e", "m", "2026-02-28T12:00:00Z", 1.0))
    query = f"SELECT entity AS host, metric, ts, value FROM s{WHERE}"
    assert stage(sql(sqlite="x.db", query=query, columns={"entity": "host"})).staged == 1
    assert "has no column 'entity' (it has host, metric, ts, value)" in why(stage(sql(sqlite="x.db", query=query)))[0]
    twice = stage(sql(sqlite="x.db", query=f'SELECT *, value AS "Value" FROM s{WHERE}'))
    assert why(twice) == ["x.db: the query gives two columns 'value'; name them apart with AS"]


def test_who_fails_twice_for_one_reason_is_not_asked_on(put, stage):
    put()
    staged = stage(sql(sqlite="x.db", query=f"SELECT * FROM nowhere{WHERE}", days_at_once=1))
    rejects = pl.read_parquet(staged.rejects).select("file", "reason", "detail").rows()
    assert rejects == [("x.db, 2026-02-24 to 2026-02-28", "not fetched", "x.db: no such table: nowhere")]


# -------------------------------------------------------------------------------------------------------------- DuckDB


def test_duckdb_queries_files_by_itself(stage, tmp_path):
    (tmp_path / "x.ndjson").write_text('{"host": "e", "moment": "2026-02-28T12:00:00Z", "v": 1.5, "disk": "/"}\n')
    query = (
        "SELECT host AS entity, 'm' AS metric, moment::TIMESTAMPTZ AS ts, v AS value, disk AS mountpoint"
        f" FROM read_json('x.ndjson'){WHERE}"
    )
    staged = stage(sql(duckdb=":memory:", query=query))
    assert pl.read_parquet(staged.series)["labels"].to_list() == ['{"mountpoint":"/"}']
    assert pl.read_parquet(staged.samples)["value"].to_list() == [1.5]


def test_wall_clocks_are_compared_in_the_zone_of_the_source(stage):
    query = f"SELECT * FROM ({ROW} TIMESTAMP '2026-02-24 00:30' AS ts, 1.5::DECIMAL(9, 2) AS value){WHERE}"
    assert (
        stage(sql(duckdb=":memory:", query=query, time_zone="Europe/Berlin")).read == 0
    )  # 23:30 UTC of the day before
    assert stage(sql(duckdb=":memory:", query=query, time_zone="UTC")).staged == 1
    assert dict(stage(sql(duckdb=":memory:", query=query)).rejected) == {"no time zone": 1}


@pytest.mark.parametrize("query", ["COPY (SELECT :since, :until) TO 'x'", "SELECT :since; DROP TABLE x; SELECT :until"])
def test_duckdb_takes_one_select(settings, query):
    with pytest.raises(InputError, match=r":memory:: query: is not one SELECT; write it as one"):
        sources.inspect(sql(duckdb=":memory:", query=query), settings)


def test_a_query_that_duckdb_cannot_read(settings):
    with pytest.raises(InputError, match=r":memory:: query: Parser Error: .*; correct it"):
        sources.inspect(sql(duckdb=":memory:", query="SELEC :since, :until"), settings)


def test_extensions_are_never_fetched(stage):
    staged = stage(sql(duckdb=":memory:", query=f"SELECT * FROM read_csv('s3://bucket/x.csv'){WHERE}"))
    assert "httpfs" in why(staged)[0]


# ---------------------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture
def postgres() -> Iterator[real_postgres.Postgres]:
    server = real_postgres.shared()
    server.run("DROP TABLE IF EXISTS s; CREATE TABLE s (entity text, metric text, ts timestamptz, value numeric)")
    server.run(
        "INSERT INTO s SELECT 'e', 'm', t, 1.25 FROM"
        " generate_series('2026-02-26Z'::timestamptz, '2026-03-01Z', '1 h') AS t"
    )
    yield server
    server.run("DROP TABLE s")


def url_of(server: real_postgres.Postgres, password: str = real_postgres.PASSWORD) -> str:
    return f"postgresql+psycopg://postgres:{quote(password, safe='')}@127.0.0.1:{server.port}/postgres"


@IN_PG
def test_postgres(postgres, stage, settings):
    query = "SELECT * FROM s WHERE ts >= :since::timestamptz AND ts < :until AND value % 1 > 0"
    source = sql(url=url_of(postgres), query=query, days_at_once=2)
    staged = stage(source)
    assert pl.read_parquet(staged.samples).select(pl.len(), pl.col("value").unique().first()).rows() == [(72, 1.25)]
    fetched = pl.read_parquet(staged.fetched)
    assert fetched["complete"].to_list() == [True] * 4 + [False]
    assert stage(source, fetched=fetched).read == 24
    assert said(source, settings)[0].startswith(f"note: 127.0.0.1:{postgres.port}/postgres: answers, but")


@IN_PG
def test_a_password_may_stand_beside_the_address(postgres, stage):
    url = f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres"
    assert stage(sql(url=url, password=real_postgres.PASSWORD, query=f"SELECT * FROM s{WHERE}")).staged == 72


@IN_PG
def test_postgres_is_asked_in_a_read_only_transaction(postgres, stage):
    postgres.run("CREATE SEQUENCE IF NOT EXISTS numbers")
    query = f"{ROW} now() AS ts, nextval('numbers') AS value WHERE :since < :until"
    assert why(stage(sql(url=url_of(postgres), query=query)))[0].endswith(
        "cannot execute nextval() in a read-only transaction"
    )


@IN_PG
def test_postgres_is_not_asked_for_longer_than_allowed(postgres, stage):
    query = f"{ROW} now() AS ts, pg_sleep(60) AS value WHERE :since < :until"
    staged = stage(sql(url=url_of(postgres), query=query, timeout_s=0.2))
    assert why(staged)[0].endswith("canceling statement due to statement timeout")


@IN_PG
def test_no_message_shows_the_password(postgres, stage, settings):
    wrong = "other/s3cr3t@"
    source = sql(url=url_of(postgres, wrong), query=f"SELECT * FROM s{WHERE}")
    told = [*why(stage(source)), *said(source, settings), repr(source), str(source.model_dump())]
    assert "password authentication failed" in told[0]
    assert not [text for text in told if wrong in text or quote(wrong, safe="") in text]


# --------------------------------------------------------------------------------------------------- before a night


def test_what_a_night_does_not_begin_without(settings, monkeypatch):
    query = f"SELECT * FROM s{WHERE}"
    for options, fault in [
        ({"sqlite": "none.db"}, r"none\.db: does not exist; correct the source's path"),
        ({"duckdb": "none.duckdb"}, r"none\.duckdb: does not exist"),
        ({"url": "no url, but s3cr3t"}, r"source db: url: is none of a database; write it as postgresql\+psycopg://"),
        ({"url": "sqlite:///x.db"}, r"source db: url: files are named by path; write sqlite: FILE"),
        ({"url": "oracle+nonsense://h/d"}, r"h/d: SQLAlchemy knows no 'oracle\+nonsense'"),
        ({"url": "mysql+pymysql://u:s3cr3t@h/d"}, r"h/d: its driver 'pymysql' is not installed; install its package"),
    ]:
        with pytest.raises(InputError, match=fault) as raised:
            sources.inspect(sql(query=query, **options), settings)
        assert "s3cr3t" not in str(raised.value)


def test_a_missing_driver_names_the_extra(settings, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(InputError, match=r"h/d: its driver 'psycopg' is not installed; install forewarn\[postgres\]"):
        sources.inspect(sql(url="postgresql://u:p@h/d", query=f"SELECT * FROM s{WHERE}"), settings)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"query": "SELECT 1"}, "query: does not use :since; add WHERE ts >= :since"),
        ({"query": "SELECT :since, x::until"}, "query: does not use :until"),
        ({"query": f"SELECT 1{WHERE}", "sqlite": "x"}, "name one database"),
    ],
)
def test_settings_that_cannot_be_meant(options, fault):
    with pytest.raises(ValidationError, match=fault):
        sql(duckdb="x", **options)


def test_answers_are_streamed(stage):
    """A million rows, some at a time."""
    rows = 1_000_000
    query = (
        f"{ROW} make_timestamptz(1772200000000000 + range * 10000) AS ts, range::DOUBLE AS value FROM range({rows})"
        f"{WHERE.replace('ts', 'make_timestamptz(1772200000000000 + range * 10000)')}"
    )
    staged = stage(sql(duckdb=":memory:", query=query))
    assert staged.read == rows
    assert staged.staged == timedelta(microseconds=rows * 10_000) // timedelta(seconds=1)
