"""What every incident server's source must do. A new one adds an adapter (``desks``) and nothing here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from desks import ADAPTERS, adapters, contract_faults
from desks.given import KNOWABLE, SECRET, SERVICE, SEVERITY, Given, HttpAdapter, IncidentAdapter
from loopback import Answer
from staged_incidents import AS_OF, AT, DAY, HOUR, MINUTE, Staged, stage_night

from pipelines import sources
from pipelines.settings import Settings, parse
from pipelines.source_options import IncidentFiles
from pipelines.sources.metric_staging import FETCHED
from pipelines.sources.rejects import NOT_FETCHED

HOSTILE = '<script>alert("x")</script> =cmd|\' | `rm` [a](b) \\u0041 € 𝒳 -- ; DROP TABLE x'


@dataclass(frozen=True)
class Site:
    """A server in a folder of its own, and how a night reads it."""

    adapter: IncidentAdapter
    settings: Settings
    con: duckdb.DuckDBPyConnection

    def stage(self, folder: str = "night", *, as_of: datetime = AS_OF, fetched: pl.DataFrame | None = None) -> Staged:
        return stage_night(self.con, self.adapter.source, self.settings.folder, folder, as_of=as_of, fetched=fetched)

    def survey(self) -> list[str]:
        return [f"{found.level}: {found.text}" for found in sources.survey(self.adapter.source, self.settings)]

    def key(self, number: int) -> str:
        return self.adapter.key(number)


@pytest.fixture
def site(
    request: pytest.FixtureRequest, tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> Iterator[Callable[[type[IncidentAdapter]], Site]]:
    opened: list[IncidentAdapter] = []

    def make(kind: type[IncidentAdapter]) -> Site:
        if lacks := kind.cannot.get(request.node.originalname):
            pytest.skip(lacks)
        opened.append(kind())
        return Site(opened[-1], parse("", tmp_path), con)

    yield make
    for adapter in opened:
        adapter.close()


every_server = pytest.mark.parametrize("kind", adapters())
every_double = pytest.mark.parametrize("kind", adapters(lambda kind: issubclass(kind, HttpAdapter)))


def who_knows(*parts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", adapters(lambda kind: kind.knows.issuperset(parts)))


def many(count: int, first: datetime = AT - 5 * DAY) -> list[Given]:
    """Incidents a minute apart, resolved an hour later; later ones have larger numbers."""
    return [Given(n + 1, at := first + n * MINUTE, resolved=at + HOUR) for n in range(count)]


def test_every_registered_server_is_held_to_this():
    assert {adapter.model for adapter in ADAPTERS} == set(sources.INCIDENTS) - {IncidentFiles}
    assert all(adapter.knows <= KNOWABLE for adapter in ADAPTERS)


@every_server
def test_no_file_of_this_machine_is_needed(site, kind):
    here = site(kind)
    assert sources.inspect(here.adapter.source, here.settings) == []


@every_server
def test_incidents_come_with_their_times(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, resolved=AT + 3 * HOUR), Given(2, AT + DAY)])
    staged = here.stage()
    rows = staged.incidents.sort("created_at").select("source", "incident_id", "created_at", "resolved_at").rows()
    assert rows == [("desk", here.key(1), AT, AT + 3 * HOUR), ("desk", here.key(2), AT + DAY, None)]
    assert (staged.counts.staged, dict(staged.counts.rejected)) == (2, {})
    lasted = staged.lasted()
    assert lasted["is_open"].to_list() == [False, True]
    assert lasted["time_to_resolve_s"].to_list() == [3 * 3600.0, None]


@every_server
def test_the_view_of_an_earlier_day_knows_nothing_later(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, resolved=AT + 3 * DAY)])
    (row,) = here.stage().lasted(AT + DAY).iter_rows(named=True)
    assert (row["is_open"], row["time_to_resolve_s"], row["resolve_excluded"]) == (True, None, None)


@who_knows("acknowledged")
def test_acknowledgement_has_its_time_and_its_basis(site, kind):
    here = site(kind)
    here.adapter.serve(
        [Given(1, AT, acknowledged=AT + 10 * MINUTE, resolved=AT + HOUR), Given(2, AT, resolved=AT + HOUR)]
    )
    staged = here.stage()
    rows = dict(staged.incidents.select("incident_id", "acknowledged_at").rows())
    assert rows[here.key(1)] == AT + 10 * MINUTE
    assert rows[here.key(2)] is None or rows[here.key(2)] == AT + HOUR
    bases = dict(staged.incidents.select("incident_id", "acknowledged_basis").rows())
    assert bases[here.key(1)] in ("changelog", "sla", "field")
    lasted = dict(staged.lasted().select("incident_id", "time_to_acknowledge_s").rows())
    assert lasted[here.key(1)] == 600.0


@who_knows("cancelled")
def test_what_was_no_incident_is_cancelled_and_measured_by_nothing(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, cancelled=AT + HOUR)])
    staged = here.stage()
    assert staged.incidents["resolved_at"].to_list() == [None]
    assert staged.lasted()["resolve_excluded"].to_list() == ["cancelled, a duplicate or no incident"]


@who_knows("reopened")
def test_a_reopened_incident_lasts_until_its_last_resolution(site, kind):
    here = site(kind)
    again = Given(1, AT, resolved=AT + 30 * HOUR, reopened=((AT + HOUR, AT + 5 * HOUR),))
    here.adapter.serve([again, replace(again, number=2, resolved=None)])
    staged = here.stage()
    lasted = staged.lasted().sort("incident_id")
    assert lasted["time_to_resolve_s"].to_list() == [30 * 3600.0, None]
    assert lasted["is_open"].to_list() == [False, True]
    assert lasted["reopen_count"].to_list() == [1, 1]
    between = staged.lasted(AT + 3 * HOUR)
    assert between["time_to_resolve_s"].to_list() == [3600.0, 3600.0]


@every_server
def test_service_severity_and_title_come_where_they_are_known(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, title="disk full on db 1")])
    (row,) = here.stage().incidents.iter_rows(named=True)
    told = {"service": SERVICE, "severity": SEVERITY, "title": "disk full on db 1"}
    assert {part: row[part] for part in told if part in kind.knows} == {
        p: v for p, v in told.items() if p in kind.knows
    }


@who_knows("label")
def test_what_carries_our_label_is_a_prediction(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, marked=True), Given(2, AT)])
    assert dict(here.stage().incidents.select("incident_id", "is_predicted").rows()) == {
        here.key(1): True,
        here.key(2): False,
    }


@who_knows("text")
def test_what_ends_as_our_tickets_do_is_a_prediction(site, kind):
    here = site(kind)
    here.adapter.serve(
        [Given(1, AT, text="It will be full.\n\n`forewarn-ticket: 0123456789-20260220`"), Given(2, AT, text="x")]
    )
    staged = here.stage()
    assert dict(staged.incidents.select("incident_id", "is_predicted").rows()) == {
        here.key(1): True,
        here.key(2): False,
    }
    assert sorted(staged.lasted()["resolve_excluded"].drop_nulls()) == ["predicted, not an incident"]


@who_knows("title")
def test_hostile_titles_survive_character_by_character(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT, title=HOSTILE)])
    assert here.stage().incidents["title"].to_list() == [HOSTILE]


@every_server
def test_staging_again_gives_the_same_bytes(site, kind):
    here = site(kind)
    here.adapter.serve([*many(7), Given(99, AT, acknowledged=AT + HOUR)])
    assert here.stage("first").content == here.stage("second").content


@every_server
def test_an_empty_answer_is_no_fault(site, kind):
    here = site(kind)
    here.adapter.serve([])
    staged = here.stage()
    assert (staged.incidents.height, staged.events.height, dict(staged.counts.rejected)) == (0, 0, {})
    assert all(line.startswith(("ok: ", "note: ")) for line in here.survey())


# ------------------------------------------------------------------------------------------------- pages and nights


@every_server
def test_every_page_is_asked_for_and_every_incident_told_once(site, kind):
    here = site(kind)
    given = many(2 * kind.full + 3)
    here.adapter.serve(given)
    staged = here.stage()
    assert staged.incidents.height == len(given)
    assert staged.events.filter(pl.struct("incident_id", "event_no").is_duplicated()).is_empty()


@every_server
def test_incidents_that_changed_at_one_moment_all_come(site, kind):
    here = site(kind)
    given = [replace(each, updated_at=AT) for each in many(2 * kind.full + 3)]
    here.adapter.serve(given)
    assert here.stage().incidents.height == len(given)


@every_server
def test_what_was_created_after_the_cut_is_the_next_nights(site, kind):
    here = site(kind)
    here.adapter.serve([Given(1, AT), Given(2, AS_OF + HOUR)])
    first = here.stage("first")
    assert first.incidents["incident_id"].to_list() == [here.key(1)]
    assert dict(first.counts.rejected) == {}
    second = here.stage("second", as_of=AS_OF + DAY, fetched=first.fetched)
    assert here.key(2) in second.incidents["incident_id"].to_list()


@every_server
def test_a_second_night_asks_for_what_changed(site, kind):
    here = site(kind)
    given = many(kind.full + 3)
    here.adapter.serve(given)
    first = here.stage("first")
    assert first.fetched.schema == FETCHED
    changed = replace(given[0], resolved=AS_OF + 2 * HOUR)  # it was closed, and its server changed that
    here.adapter.serve([changed, *given[1:], Given(5000, AS_OF + 3 * HOUR)])
    second = here.stage("second", as_of=AS_OF + DAY, fetched=first.fetched)
    told = dict(second.incidents.select("incident_id", "resolved_at").rows())
    assert {here.key(1), here.key(5000)} <= told.keys()
    assert told[here.key(1)] == AS_OF + 2 * HOUR
    assert len(told) < len(given) / 2


@every_double
def test_a_page_that_fails_keeps_those_before_it_and_the_next_night_goes_on(site, kind):
    here = site(kind)
    given = many(3 * kind.full)
    here.adapter.serve(given)
    here.adapter.behaviour.fails_on = 3
    first = here.stage("first")
    assert kind.full <= first.incidents.height < len(given)
    assert first.rejects["reason"].to_list() == [NOT_FETCHED]
    assert len(first.counts.unfetched) == 1
    here.adapter.serve(given)
    second = here.stage("second", as_of=AS_OF + DAY, fetched=first.fetched)
    both = pl.concat([first.incidents, second.incidents])["incident_id"].unique()
    assert len(both) == len(given)
    assert dict(second.counts.rejected) == {}


@every_double
def test_a_server_that_wants_to_be_asked_less_often_is_waited_for(site, kind):
    here = site(kind)
    here.adapter.serve(many(3))
    here.adapter.behaviour.refusals = 1
    staged = here.stage()
    assert (staged.incidents.height, dict(staged.counts.rejected)) == (3, {})


@every_server
def test_what_is_out_of_reach_is_a_reject_without_secrets(site, kind):
    here = site(kind)
    here.adapter.serve(many(3))
    here.adapter.vanish()
    staged = here.stage()
    assert (staged.incidents.height, staged.events.height) == (0, 0)
    assert set(staged.rejects["reason"]) == {NOT_FETCHED}
    assert staged.counts.rejected[NOT_FETCHED] == len(staged.counts.unfetched) >= 1
    assert all(SECRET not in f"{row}" and "\n" not in row[-1] for row in staged.rejects.rows())
    assert staged.fetched.is_empty()
    assert any(line.startswith("fault: ") for line in here.survey())
    here.adapter.serve(many(3))
    assert here.stage("later", fetched=staged.fetched).incidents.height == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[1, null]", b'{"a": [{}]}', b'"x"', b"[" * 100_000])
@every_double
def test_odd_answers_raise_nothing(site, kind, body, monkeypatch):
    here = site(kind)
    monkeypatch.setattr(here.adapter, "answer", lambda asked: Answer(body))
    staged = here.stage()
    assert staged.incidents.is_empty()
    assert set(staged.rejects["reason"]) <= {NOT_FETCHED}


# ------------------------------------------------------------------------------------------------------- the vendor


@pytest.mark.parametrize("kind", adapters(lambda kind: issubclass(kind, HttpAdapter) and kind.contract is not None))
def test_every_question_is_as_the_vendor_describes_it(site, kind):
    here = site(kind)
    here.adapter.serve([*many(kind.full + 1), Given(5000, AT, acknowledged=AT + HOUR, cancelled=AT + DAY)])
    first = here.stage("first")
    here.stage("second", as_of=AS_OF + DAY, fetched=first.fetched)
    here.survey()
    assert contract_faults(here.adapter) == []


@every_server
def test_a_survey_says_what_is_there(site, kind):
    here = site(kind)
    here.adapter.serve(many(3))
    findings = here.survey()
    assert findings
    assert all(line.startswith(("ok: ", "note: ")) and SECRET not in line and "\n" not in line for line in findings)
