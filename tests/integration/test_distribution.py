"""The incident report sent by whole nights and by hand, to a mail server and a webhook on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pytest
from loopback import Answer, Asked, Loopback, loopback
from mail_server import MailServer, free_port, mail_server
from small_fleet import Fleet

SECRET = "T0123SECRETHOOK"  # noqa: S105


@dataclass
class Receivers:
    mails: MailServer
    chat: Loopback


@pytest.fixture
def receivers(fleet: Fleet) -> Iterator[Receivers]:
    """A fleet whose night, a Monday, is told to a mail server, to a chat, and to one that is down."""

    def answer(asked: Asked) -> Answer:
        return Answer(asked.path.encode(), 404) if asked.path.endswith("gone") else Answer(b"ok")

    with mail_server() as mails, loopback(answer) as chat:
        settings = (
            fleet.config.read_text()
            + f"""
distribution:
  - {{name: managers, type: email, host: 127.0.0.1, port: {mails.port}, encryption: none,
     sender: Forewarn <forewarn@example.com>, recipients: [a@example.com, b@example.com]}}
  - {{name: chat, type: webhook, url: "{chat.url}/{SECRET}", format: slack}}
  - {{name: gone, type: webhook, url: "{chat.url}/{SECRET}/gone", format: teams}}
  - {{name: dead, type: email, host: 127.0.0.1, port: {free_port()}, sender: f@example.com,
     recipients: [a@example.com]}}
"""
        )
        fleet.config.write_text(settings)
        yield Receivers(mails, chat)


def rows(fleet: Fleet) -> list[tuple]:
    with duckdb.connect(fleet.run / "warehouse.duckdb", read_only=True) as con:
        told = con.sql("SELECT destination, night::VARCHAR, state, number FROM reports.distribution ORDER BY ALL")
        return told.fetchall()


def test_a_night_sends_once_goes_on_where_it_cannot_and_is_caught_up_by_hand(fleet: Fleet, receivers: Receivers):
    first = fleet.nightly()
    assert first.code == 1, first.err
    assert first.err == (
        "forewarn: not sent: gone, dead; all else is done, the next night tries again, forewarn report --send does so"
        " now\n"
    )
    assert "sent to managers" in first.words and "not sent: gone" in first.words
    assert "is it up, and reachable from here?; tried again next night" in first.words
    assert "answers 404 Not Found: ***; the address is known no more" in first.words
    [mail] = receivers.mails.mails
    assert mail.message["Subject"].startswith("Incidents as of 2 Mar 2026: time to resolve ")
    assert len([asked for asked in receivers.chat.asked if asked.path == f"/{SECRET}"]) == 1
    assert (fleet.run / "snapshot.duckdb").exists()

    before = rows(fleet)
    second = fleet.nightly()
    assert second.code == 1 and rows(fleet) == before
    assert len(receivers.mails.mails) == 1
    assert len([asked for asked in receivers.chat.asked if asked.path == f"/{SECRET}"]) == 1

    by_hand = ["report", "--config", str(fleet.config), "--out", str(fleet.folder / "out"), "--send"]
    asked_for = fleet.forewarn(*by_hand, "--to", "managers", "--again")
    assert asked_for.code == 0, asked_for.err
    assert "managers: sent the report of 2026-03-02 to 2 recipients" in asked_for.out
    assert receivers.mails.mails[1].message["In-Reply-To"] == mail.message["Message-ID"]
    assert rows(fleet) == [
        ("chat", "2026-03-02", "done", 1), ("dead", "2026-03-02", "failed", 1), ("gone", "2026-03-02", "failed", 1),
        ("managers", "2026-03-02", "done", 2),
    ]  # fmt: skip

    written = [path for path in fleet.run.rglob("*") if path.is_file()]
    assert written and not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert not [said for said in (first, second, asked_for) if SECRET in said.out + said.err]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "managers"], "--to and --again say how to send; add --send"),
        (["--send", "--to", "boss"], "--to 'boss': is no destination; known are managers, chat, gone, dead"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is_written(
    fleet: Fleet, receivers: Receivers, arguments: list[str], said: str
):
    out = fleet.folder / "out"
    done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(out), *arguments)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1
    assert not out.exists()


def test_nobody_to_send_to_is_said(fleet: Fleet):
    done = fleet.forewarn("report", "--config", str(fleet.config), "--out", str(fleet.folder / "out"), "--send")
    assert done.code == 2 and "distribution: names nobody" in done.err


def test_check_reaches_the_mail_server_and_sends_nothing(fleet: Fleet, receivers: Receivers):
    done = fleet.forewarn("check", "--config", str(fleet.config))
    assert done.code == 2
    assert "fault distribution, dead: 127.0.0.1:" in done.out
    assert "distribution, managers: 127.0.0.1:" in done.out and "2 recipients, next on Mon 2026-03-02" in done.out
    assert not receivers.mails.mails and not receivers.chat.asked and SECRET not in done.out + done.err
