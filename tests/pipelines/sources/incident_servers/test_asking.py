"""What every server of incidents is asked through: addresses, pages that come again, numbers of any size."""

import json
from collections.abc import Iterator
from datetime import datetime

import duckdb
import httpx
import pytest
from desks.github import GitHubAdapter
from desks.given import Given
from loopback import Answer, Asked, loopback
from staged_incidents import MINUTE, stage_night

from pipelines.settings import parse
from pipelines.source_options import Access
from pipelines.sources.access import retry_after_s
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.http import FetchError
from pipelines.sources.incident_servers.ascending import ascending
from pipelines.sources.incident_servers.jira.rows import at
from pipelines.sources.incident_servers.json_api import JsonApi
from pipelines.sources.incident_servers.zabbix_problems import _moment

AT = datetime(2026, 2, 20)


@pytest.fixture
def desk() -> Iterator[GitHubAdapter]:
    adapter = GitHubAdapter()
    yield adapter
    adapter.close()


@pytest.mark.parametrize("onward", ["@127.0.0.2/x", ".example.com/x", ":1/x", "https://example.com/x", "//[::x/y"])
def test_a_link_leads_to_no_other_server(tmp_path, onward):
    def answer(asked: Asked) -> Answer:
        assert asked.path == "/a" or onward.startswith("//")
        return Answer(b"[]", headers={"Link": f'<{onward}>; rel="next"'})

    settings, access = parse("", tmp_path), Access(attempts=1)
    with loopback(answer) as server, JsonApi(server.url, access, settings) as api, pytest.raises(FetchError):
        list(api.pages("/a"))


def test_links_in_a_circle_end(tmp_path):
    def answer(asked: Asked) -> Answer:
        onward = "/b" if asked.path == "/c" else "/c"
        return Answer(b"[]", headers={"Link": f'<{onward}>; rel="next"'})

    settings, access, said = parse("", tmp_path), Access(attempts=1), "not answered before"
    with (
        loopback(answer) as server,
        JsonApi(server.url, access, settings) as api,
        pytest.raises(FetchError, match=said),
    ):
        list(api.pages("/b"))
    assert [asked.path for asked in server.asked] == ["/b", "/c"]


def test_a_full_page_that_comes_again_and_again_ends():
    page = [(n, AT + n * MINUTE) for n in range(3)]
    asked: list[int] = []

    def ask(since: datetime, number: int) -> list[tuple[int, datetime]]:
        asked.append(number)
        assert len(asked) < 10
        return page

    with pytest.raises(NotFetchedError, match="again and again"):
        list(ascending(AT, ask, changed=lambda each: each[1], key=lambda each: each[0], full=3))


@pytest.mark.parametrize("odd", [{"updated_at": None}, {"number": [1]}, {"number": None}])
def test_a_record_that_is_none_does_not_make_its_page_the_last(desk, tmp_path, con: duckdb.DuckDBPyConnection, odd):
    def answer(asked: Asked) -> Answer:
        told = honest(asked)
        listed = json.loads(told.body)
        changed = [each | odd if each.get("number") == 50 else each for each in listed]
        return Answer(json.dumps(changed).encode(), told.status, told.headers)

    honest, desk.answer = desk.answer, answer
    desk.serve([Given(n, AT + n * MINUTE) for n in range(1, 151)])
    staged = stage_night(con, desk.source, tmp_path)
    assert len(staged.unfetched) == 1
    assert staged.fetched.is_empty()


def test_numbers_of_any_size_are_read_without_stumbling():
    assert at(10**400) is None
    assert _moment("9" * 5000) is None
    headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": "9" * 5000}
    assert retry_after_s(httpx.Response(429, headers=headers)) == float("inf")
