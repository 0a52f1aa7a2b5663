"""What every metric source must do, whatever it reads. A new one adds an adapter (``adapters``) and nothing here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from adapters import ADAPTERS, SECRET, Adapter, LocalFiles, Sample, adapters

from features.signals import ConstantLimit, Signal
from pipelines import sources
from pipelines.settings import Settings, Signals, parse
from pipelines.sources.metric_staging import FETCHED, StagedMetrics
from pipelines.sources.rejects import NOT_FETCHED

AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)
AT = datetime(2026, 2, 28, 12)
DAY = timedelta(days=1)
STEP = timedelta(minutes=30)
HOSTILE = '/srv/"a\'b", [c]; {d}=\n\t€ 𝒳 \\u0041 %s --' + "x" * 10_000
TEXTS = ("source", "entity", "metric", "labels", "unit")
SERIES = pl.Schema({"series_id": pl.UInt64, **dict.fromkeys(TEXTS, pl.String)})


@dataclass(frozen=True)
class Staged:
    counts: StagedMetrics
    series: pl.DataFrame
    samples: pl.DataFrame
    rejects: pl.DataFrame
    fetched: pl.DataFrame | None

    @property
    def content(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.counts.series, self.counts.samples, self.counts.rejects)]


@dataclass(frozen=True)
class Site:
    """A source in a folder of its own, and how a night reads it."""

    adapter: Adapter
    settings: Settings
    con: duckdb.DuckDBPyConnection

    def stage(
        self,
        folder: str = "night",
        *,
        signals: Sequence[Signal] = (),
        as_of: datetime = AS_OF,
        fetched: pl.DataFrame | None = None,
    ) -> Staged:
        now = as_of + (NOW - AS_OF)
        counts = sources.stage_metrics(
            self.con, self.adapter.source, self.settings, self.adapter.signals(signals),
            as_of=as_of, now=now, folder=self.settings.folder / folder, fetched=fetched,
        )  # fmt: skip
        return Staged(
            counts,
            pl.read_parquet(counts.series),
            pl.read_parquet(counts.samples),
            pl.read_parquet(counts.rejects),
            pl.read_parquet(counts.fetched) if counts.fetched else None,
        )

    def survey(self) -> list[str]:
        watched = Signals(own=self.adapter.signals(()))
        calendar = self.settings.calendar.model_copy(update={"as_of": AS_OF.date()})
        settings = self.settings.model_copy(update={"signals": watched, "calendar": calendar})
        return [f"{found.level}: {found.text}" for found in sources.survey(self.adapter.source, settings)]


@pytest.fixture
def site(
    request: pytest.FixtureRequest, tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> Iterator[Callable[[type[Adapter]], Site]]:
    opened: list[Adapter] = []

    def make(kind: type[Adapter]) -> Site:
        if lacks := kind.cannot.get(request.node.originalname):
            pytest.skip(lacks)
        folder = tmp_path / kind.__name__
        folder.mkdir()
        opened.append(kind(folder))
        return Site(opened[-1], parse("", folder), con)

    yield make
    for adapter in opened:
        adapter.close()


every_source = pytest.mark.parametrize("kind", adapters())
every_remote = pytest.mark.parametrize("kind", adapters(remote_only=True))


def history(days: int, until: datetime = AS_OF, **labels: str) -> list[Sample]:
    """A series' values, every half hour up to a moment."""
    count = int(days * DAY / STEP)
    return [
        Sample(until - STEP * (count - n), str(float(n)), labels={"mountpoint": "/", **labels}) for n in range(count)
    ]


def test_every_registered_source_is_held_to_this():
    assert {adapter.model for adapter in ADAPTERS} == set(sources.METRICS)


@every_source
def test_what_is_inspected_are_files_of_this_machine(site, kind):
    here = site(kind)
    here.adapter.serve(history(2))
    assert all(path.is_file() for path in sources.inspect(here.adapter.source, here.settings))


@every_source
def test_samples_come_as_they_are(site, kind):
    here = site(kind)
    given = [*history(2), Sample(AT, "0.1", "db 1", "cpu"), Sample(AT, "-1e-300", "db 1", "tiny")]
    here.adapter.serve(given)
    staged = here.stage()
    joined = staged.samples.join(staged.series, on="series_id").sort("entity", "metric", "ts")
    expected = sorted((s.entity, s.metric, s.ts, float(s.value)) for s in given)
    assert joined.select("entity", "metric", "ts", "value").rows() == expected
    assert (staged.counts.read, staged.counts.staged, dict(staged.counts.rejected)) == (len(given), len(given), {})
    assert set(staged.series["source"]) == {"fleet"}


@every_source
def test_nothing_at_or_after_the_cut_is_staged(site, kind):
    here = site(kind)
    last = AS_OF - kind.grain
    here.adapter.serve([Sample(at, str(n)) for n, at in enumerate([last, AS_OF, AS_OF + DAY])])
    staged = here.stage()
    assert staged.samples.select("ts", "value").rows() == [(last, 0.0)]
    assert staged.counts.read == 1 + staged.counts.held_back + sum(staged.counts.rejected.values())


@every_source
def test_only_finite_values_are_staged_and_others_counted_by_reason(site, kind):
    here = site(kind)
    values = ["1.5", "NaN", "Infinity", "-Infinity", "2.5"]
    here.adapter.serve([Sample(AT + n * STEP, value) for n, value in enumerate(values)])
    staged = here.stage()
    assert staged.samples["value"].to_list() == [1.5, 2.5]
    assert dict(staged.counts.rejected) == {"NaN": 1, "infinite": 2}
    assert sorted(staged.rejects["reason"]) == ["NaN", "infinite", "infinite"]


@every_source
def test_duplicates_are_kept_once_and_of_conflicting_values_the_largest(site, kind):
    here = site(kind)
    here.adapter.serve([Sample(AT, value) for value in ("1.0", "3.0", "3.0", "2.0")])
    staged = here.stage()
    assert staged.samples["value"].to_list() == [3.0]
    assert (staged.counts.duplicates, staged.counts.conflicts) == (1, 2)


SIGNAL = Signal(name="disk", metric="disk", identity=["mountpoint"], limits=[ConstantLimit(name="c", value=9)])


@every_source
@pytest.mark.parametrize("signals", [(), (SIGNAL,)], ids=["all labels", "identity"])
def test_ids_are_those_of_files(site, kind, signals):
    given = [Sample(AT + n * STEP, "1.0", labels={"mountpoint": f"/{n % 2}", "pod": f"p{n}"}) for n in range(4)]
    given += [Sample(AT, "1.0", "web-2"), Sample(AT, "1.0", "web-2", "other", {"pod": "p"})]
    here, files = site(kind), site(LocalFiles) if kind is not LocalFiles else None
    here.adapter.serve(given)
    staged = here.stage(signals=signals)
    assert staged.series.height == (4 if signals else 6)
    if files:
        files.adapter.serve(given)
        columns = ["series_id", "source", "entity", "metric", "labels"]
        assert staged.series.select(columns).equals(files.stage(signals=signals).series.select(columns))


@every_source
def test_hostile_texts_survive_byte_for_byte(site, kind):
    here = site(kind)
    entity = 'host "x"\' ; DROP TABLE samples\n--'
    here.adapter.serve([Sample(AT, "1.0", entity, labels={"mountpoint": HOSTILE})])
    series = here.stage().series
    assert series["entity"].to_list() == [entity]
    assert series["labels"].str.json_decode(pl.Struct({"mountpoint": pl.String})).struct[0].to_list() == [HOSTILE]


@every_source
def test_staging_again_gives_the_same_bytes(site, kind):
    here = site(kind)
    here.adapter.serve([*history(3), *history(3, pod="b"), Sample(AT, "NaN"), Sample(AT, "1.0", "web-9")])
    assert here.stage("first").content == here.stage("second").content


@every_source
def test_an_empty_answer_is_no_fault(site, kind):
    here = site(kind)
    here.adapter.serve([])
    staged = here.stage()
    assert (staged.series.height, staged.samples.height) == (0, 0)
    assert staged.counts.rejected == {}


@every_remote
def test_what_is_out_of_reach_is_a_reject_without_secrets(site, kind):
    here = site(kind)
    here.adapter.serve(history(3))
    here.adapter.vanish()
    staged = here.stage()
    assert staged.series.schema == SERIES
    assert (staged.series.height, staged.samples.height) == (0, 0)
    assert set(staged.rejects["reason"]) == {NOT_FETCHED}
    said = staged.rejects.select("source", "file", "detail").rows()
    assert all(SECRET not in f"{row}" and "\n" not in detail for *row, detail in said)
    assert all(detail for *_, detail in said)
    assert staged.fetched is None or not staged.fetched["complete"].any()
    assert any(line.startswith("fault: ") for line in here.survey())
    assert SECRET not in "".join(here.survey())


@every_remote
def test_a_hole_is_filled_when_the_server_is_back(site, kind):
    here = site(kind)
    given = history(4)
    here.adapter.serve(given)
    here.adapter.vanish()
    missed = here.stage("first")
    here.adapter.serve(given)
    assert here.stage("second", fetched=missed.fetched).samples.height == len(given)


@every_remote
def test_a_second_night_asks_for_less_and_both_give_the_whole(site, kind):
    here = site(kind)
    given = history(8, until=AS_OF + DAY, pod="p")
    here.adapter.serve([sample for sample in given if sample.ts < AS_OF])
    first = here.stage("first")
    here.adapter.serve(given)
    second = here.stage("second", as_of=AS_OF + DAY, fetched=first.fetched)
    whole = here.stage("whole", as_of=AS_OF + DAY)
    assert first.fetched is not None
    assert first.fetched.schema == FETCHED
    assert 0 < second.counts.read < whole.counts.read / 2
    both = pl.concat([first.samples, second.samples]).unique().sort("ts", "series_id")
    assert both.equals(whole.samples.sort("ts", "series_id"))
    assert pl.concat([first.series, second.series]).unique().equals(whole.series)


@every_remote
def test_what_identity_is_asked_for_is_asked_anew(site, kind):
    here = site(kind)
    here.adapter.serve(history(6))
    first = here.stage("first")
    assert here.stage("second", fetched=first.fetched).counts.read < first.counts.read
    assert here.stage("third", signals=[SIGNAL], fetched=first.fetched).counts.read == first.counts.read


@every_source
def test_a_survey_says_what_is_there(site, kind):
    here = site(kind)
    here.adapter.serve(history(2))
    findings = here.survey()
    assert findings
    assert all(line.startswith(("ok: ", "note: ")) and SECRET not in line and "\n" not in line for line in findings)
