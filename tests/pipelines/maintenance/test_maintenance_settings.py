"""The settings of maintenance, what a server's answers become, and what ``forewarn check`` says of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.maintenance.findings import findings
from pipelines.maintenance.reading import read
from pipelines.settings import Settings, SettingsError, parse
from pipelines.site import Site
from pipelines.source_options import Access
from pipelines.sources import alertmanager
from pipelines.sources.errors import NotFetchedError

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def settings(maintenance: str, folder: Path = Path("nowhere")) -> Settings:
    return parse(
        f"maintenance: [{maintenance}]\ncalendar: {{time_zone: Europe/Berlin}}\nstorage: {{root: run}}", folder
    )


@pytest.mark.parametrize(
    ("written", "starts_at", "ends_at"),
    [
        ("from: 2026-03-28T22:00, until: 2026-03-29T06:00", datetime(2026, 3, 28, 21), datetime(2026, 3, 29, 4)),
        ("from: 2026-03-28, until: 2026-03-30", datetime(2026, 3, 27, 23), datetime(2026, 3, 29, 22)),
        ("from: 2026-03-28 22:00:00, until: 2026-03-29", datetime(2026, 3, 28, 21), datetime(2026, 3, 28, 23)),
        ("from: 2026-03-28T22:00Z, until: '2026-03-29T00:00+01:00'", datetime(2026, 3, 28, 22),
         datetime(2026, 3, 28, 23)),
    ],
)  # fmt: skip
def test_times_without_a_zone_are_the_calendar_s(written: str, starts_at: datetime, ends_at: datetime):
    [told] = read(settings(f"{{{written}, services: [shop], why: move}}"), NOW)
    [window] = told.windows
    assert (window.starts_at, window.ends_at) == (starts_at, ends_at)
    assert (window.services, window.entities, window.why) == (("shop",), (), "move")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{from: 2026-03-28, until: 2026-03-28, entities: [a]}", "[0]: until 2026-03-28T00:00:00 is not after"),
        ("{from: 2026-03-28, until: 2026-03-29T00:00Z, entities: [a]}", "[0]: one of from and until has a zone"),
        ("{from: tomorrow, until: 2026-03-29, entities: [a]}", "maintenance[0].from: 'tomorrow' is no time;"),
        ("{from: 2026-03-28, until: 2026-03-29}", "maintenance[0]: names nothing; add entities, services or metrics"),
        ("{from: 2026-03-28, entities: [a]}", "maintenance[0].until: "),
        ("{from: 2026-03-28, until: 2026-03-29, hosts: [a]}", "maintenance[0].hosts: unknown key"),
        ("{ical: x.ics}", "maintenance[0]: names nothing"),
        ("{alertmanager: am:9093}", "maintenance[0].alertmanager: 'am:9093' is no address; write it as http://"),
        ("{alertmanager: 'http://u:p@am'}", "maintenance[0].alertmanager: an address must hold no user or password"),
        ("{alertmanager: 'http://am', access: {bearer: \"a\\nb\"}}", "access.bearer: a header holds"),
        ("{alertmanager: 'u:p@am'}", "maintenance[0].alertmanager: an address must hold no user or password"),
        ("{alertmanager: 'htp://u:p@am'}", "maintenance[0].alertmanager: an address must hold no user or password"),
        ("soon", "maintenance[0]: "),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said_with_its_key(written: str, said: str):
    with pytest.raises(SettingsError) as caught:
        settings(written)
    assert said in str(caught.value)


class Answers(BaseHTTPRequestHandler):
    status, body = 200, b"[]"

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/am/api/v2/silences" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Answers]]]:
    handler = type("Handler", (Answers,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/am", handler
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"", "answers 500 Internal Server Error"),
        (401, b"", "answers 401 Unauthorized; correct the source's access"),
        (200, bytes(33 << 20), "answers more than 32 MiB"),
        (200, b"<html>", "answered no JSON; is this an Alertmanager"),
        (200, b'{"status": "success"}', "answered no list of silences"),
        (200, b"\xff\xfe[", "answered no JSON"),
        (200, b"[" * 100_000, "answered no JSON"),
    ],
)
def test_a_server_that_answers_otherwise_is_said_and_stops_nothing(
    server: tuple[str, type[Answers]], status: int, body: bytes, said: str
):
    address, handler = server
    handler.status, handler.body = status, body
    told = read(settings(f"{{alertmanager: '{address}', access: {{attempts: 1}}}}"), NOW)
    assert [one.windows for one in told] == [[]] and said in (told[0].fault or "")


def test_a_server_that_is_not_there_or_too_slow_is_said(server: tuple[str, type[Answers]]):
    given = settings("")
    with pytest.raises(NotFetchedError, match=r"http://127\.0\.0\.1:9: cannot be reached"):
        alertmanager.silences("http://127.0.0.1:9", Access(attempts=1), given)
    address, handler = server
    gate = threading.Event()
    handler.do_GET = lambda self: gate.wait(5)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(NotFetchedError, match="takes too long"):
        alertmanager.silences(address, Access(attempts=1, timeout_s=0.2), given)
    gate.set()


def test_a_server_is_reached_as_access_says(server: tuple[str, type[Answers]]):
    address, handler = server
    sent: list[str | None] = []
    handler.do_GET = lambda self: (sent.append(self.headers["Authorization"]), Answers.do_GET(self))  # pyright: ignore[reportAttributeAccessIssue]
    (told,) = read(settings(f"{{alertmanager: '{address}', access: {{bearer: t0ken}}}}"), NOW)
    assert told.fault is None and sent == ["Bearer t0ken"]
    (told,) = read(settings(f"{{alertmanager: '{address}', access: {{tls: {{ca: none.pem}}}}}}"), NOW)
    assert "none.pem: cannot be used (No such file or directory); correct access.tls.ca" in (told.fault or "")


def test_check_counts_what_holds_now_and_soon_and_names_what_matches_nothing(
    server: tuple[str, type[Answers]], tmp_path: Path
):
    address, handler = server
    moment = {"updatedAt": "2026-01-01T00:00:00Z", "startsAt": f"{NOW - timedelta(hours=1)}Z", "comment": "x"}
    matcher = {"value": "db-1", "isRegex": False, "isEqual": True}
    silences = [
        moment | {"id": name, "endsAt": f"{NOW + timedelta(hours=1)}Z", "matchers": [matcher | {"name": name}]}
        for name in ("instance", "alertname")
    ]
    handler.body = json.dumps(silences).encode()
    soon = [(NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%MZ") for days in (2, 3)]
    written = f"{{alertmanager: '{address}'}}, {{from: {soon[0]}, until: {soon[1]}, entities: [nobody]}}, " \
              "{ical: none.ics, entities: ['*']}"  # fmt: skip
    site = Site(settings(written, tmp_path))
    site.warehouse.migrate()
    with site.warehouse.writer() as con:
        con.execute("INSERT INTO raw.series VALUES (1, 's', 'db-1', 'm', '{}', NULL, NULL)")
    found = list(findings(site))
    am = f"maintenance, alertmanager {address}"
    assert found[:2] == [
        ("ok", "maintenance, settings: 1 window, 0 hold now, 1 begin within 7 days"),
        ("note", "maintenance, settings: entities nobody match no series that the warehouse knows; correct the globs"),
    ]
    assert ("ok", f"{am}: 1 window, 1 holds now, 0 begin within 7 days") in found
    assert ("note", f"{am}: 1 silences about single alerts are no windows") in found
    faults = [text for level, text in found if level == "fault"]
    assert len(faults) == 1 and "none.ics: cannot be read (No such file or directory)" in faults[0]
