"""Every kind of metric source, made to serve the same given samples, for the conformance suite.

A new source adds an adapter: what serves samples as that source's server would, and how that server goes away.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import duckdb
import pytest
import real_postgres
import real_victoria_metrics
from fake_promql import FakePromQL, FakeSeries
from fake_zabbix import LOGIN, FakeItem, FakeZabbix
from loopback import Answer, Asked, loopback

from features.options import Options
from features.signals import ConstantLimit, Query, Signal
from pipelines.source_options import MetricFiles, MetricSource, Prometheus, Sql, Zabbix

NAME = "fleet"
SECRET = "s3cr3t"  # noqa: S105 - a part of every password and token here
LABELS = ("mountpoint", "pod")
DAYS = 15
"""Of history: more than any test gives."""


@dataclass(frozen=True)
class Sample:
    """labels: only `LABELS`; value: as text, so that it may be NaN or none at all."""

    ts: datetime
    value: str
    entity: str = "web-1"
    metric: str = "disk"
    labels: Mapping[str, str] = field(default_factory=dict)


class Adapter(ABC):
    """A source over samples. To be closed.

    model: its settings model, as in ``pipelines.sources.METRICS``.
    remote: whether it is asked over a network, or like something that is: it may fail while the night goes on.
    grain: samples at multiples of it come as they are.
    cannot: test -> what its server lacks, so that the test asks nothing of it.
    """

    model: type[Options]
    remote = True
    grain = timedelta(seconds=1)
    cannot: ClassVar[Mapping[str, str]] = {}

    def __init__(self, folder: Path):
        self.folder = folder
        self.open = ExitStack()

    @staticmethod
    def missing() -> str | None:
        """What is not installed here that it needs."""
        return None

    @abstractmethod
    def serve(self, samples: Sequence[Sample]) -> None:
        """Have these samples, and no others."""

    @abstractmethod
    def vanish(self) -> None:
        """Be out of reach, until `serve` is called again."""

    @property
    @abstractmethod
    def source(self) -> MetricSource:
        """The settings by which they are read."""

    def signals(self, given: Sequence[Signal]) -> list[Signal]:
        """A test's signals, and those without which this source has nothing to ask for."""
        return list(given)

    def close(self) -> None:
        self.open.close()


def as_csv(samples: Sequence[Sample]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["entity", "metric", "ts", "value", *LABELS])
    for sample in samples:
        labels = [sample.labels.get(label, "") for label in LABELS]
        writer.writerow([sample.entity, sample.metric, f"{sample.ts.isoformat()}Z", sample.value, *labels])
    return text.getvalue()


def by_day(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    days: dict[str, list[Sample]] = {}
    for sample in samples:
        days.setdefault(f"{sample.ts:%Y-%m-%d}", []).append(sample)
    return dict(sorted(days.items()))


class LocalFiles(Adapter):
    model = MetricFiles
    remote = False

    def serve(self, samples: Sequence[Sample]) -> None:
        (self.folder / "samples.csv").write_text(as_csv(samples), newline="")

    def vanish(self) -> None:
        raise NotImplementedError

    @property
    def source(self) -> MetricFiles:
        return MetricFiles(name=NAME, paths=["samples.csv"])


class RemoteFiles(Adapter):
    """A file a day behind a login."""

    model = MetricFiles

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.files: dict[str, bytes] = {}
        self.up = True
        self.server = self.open.enter_context(loopback(self._answer))

    def _answer(self, asked: Asked) -> Answer:
        if not self.up:
            return Answer(status=503)
        if asked.headers.get("Authorization") != f"Bearer {SECRET}-token":
            return Answer(status=401)
        body = self.files[asked.path.removeprefix("/").partition("?")[0]]
        stamp = format_datetime(datetime(2026, 3, 1, tzinfo=UTC), usegmt=True)
        return Answer(body, headers={"ETag": f'"{blake2b(body).hexdigest()[:16]}"', "Last-Modified": stamp})

    def serve(self, samples: Sequence[Sample]) -> None:
        self.up = True
        self.files = {
            f"{day}.csv": as_csv(of_day).encode() for day, of_day in (by_day(samples) or {"none": []}).items()
        }

    def vanish(self) -> None:
        self.up = False

    @property
    def source(self) -> MetricFiles:
        paths = [f"{self.server.url}/{name}?signature={SECRET}" for name in self.files]
        access = {"bearer": f"{SECRET}-token", "attempts": 1}
        return MetricFiles.model_validate({"name": NAME, "paths": paths, "access": access})


PRESENT = ", ".join(f"nullif({label}, '') AS {label}" for label in LABELS)
QUERY = f"SELECT entity, metric, ts, value, {PRESENT} FROM samples WHERE ts >= :since AND ts < :until"


def rows_of(samples: Sequence[Sample]) -> Iterator[tuple[str | datetime, ...]]:
    for sample in samples:
        yield sample.entity, sample.metric, sample.ts, sample.value, *(sample.labels.get(each, "") for each in LABELS)


class Sqlite(Adapter):
    model = Sql

    def serve(self, samples: Sequence[Sample]) -> None:
        self.vanish()
        with closing(sqlite3.connect(self.folder / "samples.sqlite")) as con, con:
            con.execute(f"CREATE TABLE samples (entity, metric, ts, value, {', '.join(LABELS)})")
            rows = [(e, m, f"{ts:%Y-%m-%dT%H:%M:%S}Z", *rest) for e, m, ts, *rest in rows_of(samples)]
            con.executemany(f"INSERT INTO samples VALUES (?, ?, ?, ?, {', '.join('?' for _ in LABELS)})", rows)

    def vanish(self) -> None:
        with closing(sqlite3.connect(self.folder / "samples.sqlite")) as con, con:
            con.execute("DROP TABLE IF EXISTS samples")

    @property
    def source(self) -> Sql:
        return Sql(name=NAME, type="sql", sqlite="samples.sqlite", query=QUERY, history_days=DAYS)


class DuckDb(Adapter):
    model = Sql

    def serve(self, samples: Sequence[Sample]) -> None:
        self.vanish()
        (self.folder / "table.csv").write_text(as_csv(samples), newline="")
        with duckdb.connect(self.folder / "samples.duckdb") as con:
            labels = ", ".join(f"'{label}': 'VARCHAR'" for label in LABELS)
            types = f"{{'entity': 'VARCHAR', 'metric': 'VARCHAR', 'ts': 'TIMESTAMPTZ', 'value': 'VARCHAR', {labels}}}"
            con.execute(
                f"CREATE TABLE samples AS FROM read_csv($file, header = true, columns = {types}, auto_detect = false,"
                " quote = '\"', escape = '\"')",
                {"file": str(self.folder / "table.csv")},
            )

    def vanish(self) -> None:
        with duckdb.connect(self.folder / "samples.duckdb") as con:
            con.execute("DROP TABLE IF EXISTS samples")

    @property
    def source(self) -> Sql:
        return Sql(name=NAME, type="sql", duckdb="samples.duckdb", query=QUERY, history_days=DAYS)


class Postgres(Adapter):
    model = Sql

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.server = real_postgres.shared()
        self.password = f"{SECRET}/und@geheim"
        self.server.run("DROP TABLE IF EXISTS samples; DROP ROLE IF EXISTS reader")
        self.server.run(f"CREATE ROLE reader LOGIN PASSWORD '{self.password}'")
        self.up = True

    @staticmethod
    def missing() -> str | None:
        if not real_postgres.INSTALLED:
            return "PostgreSQL is not installed (Debian's package postgresql)"
        return None if find_spec("psycopg") else "psycopg is not installed (forewarn[postgres])"

    def serve(self, samples: Sequence[Sample]) -> None:
        self.up = True
        labels = ", ".join(f"{label} text" for label in LABELS)
        columns = f"entity text, metric text, ts timestamptz, value double precision, {labels}"
        script = f"DROP TABLE IF EXISTS samples; CREATE TABLE samples ({columns}); GRANT SELECT ON samples TO reader;\n"
        copy = f"COPY samples FROM STDIN WITH (FORMAT csv, HEADER, FORCE_NOT_NULL ({', '.join(LABELS)}));\n"
        self.server.run(script + copy + as_csv(samples) + "\\.\n")

    def vanish(self) -> None:
        self.up = False

    @property
    def source(self) -> Sql:
        login = f"reader:{quote(self.password, safe='')}"
        port = self.server.port if self.up else real_postgres.free_port()
        url = f"postgresql+psycopg://{login}@127.0.0.1:{port}/postgres"
        return Sql.model_validate({"name": NAME, "type": "sql", "url": url, "query": QUERY, "history_days": DAYS})


class FakedZabbix(Adapter):
    """What it answers is held against a real one's answers in zabbix/test_zabbix.py."""

    model = Zabbix

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.fake = FakeZabbix()
        self.up = True
        self.metrics: list[str] = []
        self.server = self.open.enter_context(
            loopback(lambda asked: self.fake(asked) if self.up else Answer(status=502))
        )

    def serve(self, samples: Sequence[Sample]) -> None:
        self.up = True
        values: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for sample in samples:
            parameters = (sample.labels.get(label, "").replace('"', '\\"') for label in LABELS)
            key = f"{sample.metric}[{','.join(f'{chr(34)}{text}{chr(34)}' for text in parameters)}]"
            clock = int(sample.ts.replace(tzinfo=UTC).timestamp())
            values.setdefault((sample.entity, key), []).append((clock, sample.value))
        self.fake.items = [FakeItem(host, key, of_item) for (host, key), of_item in values.items()]
        self.metrics = sorted({sample.metric for sample in samples})

    def vanish(self) -> None:
        self.up = False

    @property
    def source(self) -> Zabbix:
        labels = {label: number for number, label in enumerate(LABELS, 1)}
        metrics = [{"key": f"{metric}[*,*]", "metric": metric, "labels": labels} for metric in self.metrics]
        access = {**LOGIN, "attempts": 1}
        fields = {"name": NAME, "type": "zabbix", "url": f"{self.server.url}/zabbix", "metrics": metrics}
        return Zabbix.model_validate(fields | {"access": access, "history_days": DAYS})


REPLICA = "replica"


class SpeaksPromQL(Adapter):
    """Its server has one value of a series at an instant; a second one is another replica's, as where two of them watch
    the same machine.

    step_minutes: of the means that are asked for.
    """

    model = Prometheus
    step_minutes = 1

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.series: list[FakeSeries] = []

    def serve(self, samples: Sequence[Sample]) -> None:
        series: dict[tuple[tuple[str, str], ...], FakeSeries] = {}
        for sample in samples:
            labels = {"__name__": sample.metric, "entity": sample.entity, **sample.labels}
            ms = int(sample.ts.replace(tzinfo=UTC).timestamp()) * 1000
            for replica in range(len(samples)):
                own = labels | ({REPLICA: str(replica)} if replica else {})
                points = series.setdefault(tuple(sorted(own.items())), FakeSeries(own)).samples
                if ms not in points:
                    points[ms] = float(sample.value)
                    break
        self.series = list(series.values())

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    def source(self) -> Prometheus:
        access = {"bearer": f"{SECRET}-token", "attempts": 1}
        fields = {"name": NAME, "type": "prometheus", "url": self.url, "access": access}
        return Prometheus.model_validate(fields | {"step_minutes": self.step_minutes, "history_days": DAYS})

    def signals(self, given: Sequence[Signal]) -> list[Signal]:
        metrics = sorted({series.labels["__name__"] for series in self.series} | {"disk"})
        replicated = any(REPLICA in series.labels for series in self.series)
        own = [
            Signal(
                name=metric,
                metric=metric,
                identity=list(LABELS) if replicated else None,
                limits=[ConstantLimit(name="any", value=1)],
            )
            for metric in metrics
            if metric not in {signal.metric for signal in given}
        ]
        queries = {metric: Query(usage=metric, entity=["entity"]) for metric in metrics}
        return [each.model_copy(update={"query": queries.get(each.metric)}) for each in [*given, *own]]


class FakedPrometheus(SpeaksPromQL):
    """By query. What it answers is held against a real server's answers in test_fake_promql.py."""

    grain = timedelta(minutes=1)

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.fake = FakePromQL()
        self.up = True
        self.server = self.open.enter_context(
            loopback(lambda asked: self.fake(asked) if self.up else Answer(status=503))
        )

    def serve(self, samples: Sequence[Sample]) -> None:
        super().serve(samples)
        self.up, self.fake.series = True, self.series

    def vanish(self) -> None:
        self.up = False

    @property
    def url(self) -> str:
        return self.server.url


class VictoriaMetrics(SpeaksPromQL):
    """By export, and by query where no sample lies in a day's last half hour."""

    step_minutes = 30
    grain = timedelta(minutes=30)
    cannot: ClassVar[Mapping[str, str]] = {
        "test_only_finite_values_are_staged_and_others_counted_by_reason": "VictoriaMetrics keeps no NaN",
    }

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.server = real_victoria_metrics.shared()
        self.up = True

    @staticmethod
    def missing() -> str | None:
        if real_victoria_metrics.PROGRAM is None:
            return "VictoriaMetrics is not installed (Debian's package victoria-metrics)"
        return None

    def serve(self, samples: Sequence[Sample]) -> None:
        super().serve(samples)
        self.up = True
        self.server.hold((series.labels, series.samples) for series in self.series)

    def vanish(self) -> None:
        self.up = False

    @property
    def url(self) -> str:
        return self.server.url if self.up else f"http://127.0.0.1:{real_postgres.free_port()}"


ADAPTERS: tuple[type[Adapter], ...] = (
    LocalFiles,
    RemoteFiles,
    Sqlite,
    DuckDb,
    Postgres,
    FakedZabbix,
    FakedPrometheus,
    VictoriaMetrics,
)


def adapters(*, remote_only: bool = False) -> list[object]:
    """Parameters of a test."""
    return [
        pytest.param(each, id=each.__name__, marks=pytest.mark.skipif(bool(each.missing()), reason=str(each.missing())))
        for each in ADAPTERS
        if each.remote or not remote_only
    ]
