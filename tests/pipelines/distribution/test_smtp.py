"""Mail by real servers on the loopback: what arrives, and what is said where it does not."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from letter_examples import HOSTILE, parcel
from mail_server import PASSWORD, USER, free_port, mail_server, slow_server

from pipelines.distribution import smtp
from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Email
from pipelines.settings import Settings, parse
from reports.incident_mail import Envelope, compose
from reports.receivers import mailbox

A, B = "a@example.com", "Jo Doe <b@example.com>"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse("", tmp_path)


def options(port: int, **given: Any) -> Email:
    known = {"name": "m", "type": "email", "host": "127.0.0.1", "port": port, "sender": "f@example.com"}
    return Email.model_validate(known | {"recipients": [A, B], "timeout_s": 5} | given)


def login(certificate: Path) -> dict[str, Any]:
    return {"username": USER, "password": PASSWORD, "tls": {"ca": str(certificate)}}


def mail(text: str = "disk full") -> EmailMessage:
    envelope = Envelope(mailbox("f@example.com"), [mailbox(A), mailbox(B)], "forewarn.2026-06-01.x")
    return compose(parcel(text), envelope, datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize("encryption", ["starttls", "tls", "none"])
def test_a_mail_arrives_whole(settings: Settings, certificate: Path, encryption: str) -> None:
    served = None if encryption == "none" else certificate
    with mail_server(served, sealed=encryption == "tls", login=True) as server:
        ours = options(server.port, encryption=encryption, **login(certificate))
        smtp.send(ours, settings, mail(HOSTILE), ours.recipients)
    [came] = server.mails
    assert (came.sender, came.recipients) == ("f@example.com", ["a@example.com", "b@example.com"])
    assert came.message["Message-ID"] == "<forewarn.2026-06-01.x@example.com>"
    assert "Bcc" not in came.message and max(map(len, came.content.split(b"\r\n"))) <= 998
    assert [part.get_filename() for part in came.message.iter_attachments()] == [
        "incidents-2026-06-01.html", "incidents-2026-06-01.json",
    ]  # fmt: skip


def test_only_those_who_lack_it_get_it(settings: Settings) -> None:
    with mail_server() as server:
        smtp.send(options(server.port, encryption="none"), settings, mail(), [B])
    assert server.mails[0].recipients == ["b@example.com"]
    assert server.mails[0].message["To"] == "a@example.com, Jo Doe <b@example.com>"


def test_who_was_refused_is_named_and_who_has_it_is_known(settings: Settings) -> None:
    with mail_server() as server:
        server.refused["b@example.com"] = "550 5.1.1 no such user"
        with pytest.raises(NotSentError, match=r"refuses 1 recipient: b@example.com \(550 5.1.1 no such") as caught:
            smtp.send(options(server.port, encryption="none"), settings, mail(), [A, B])
        assert caught.value.taken == (A,) and len(server.mails) == 1
        server.refused["a@example.com"] = "450 later"
        with pytest.raises(NotSentError, match=r"refuses 2 recipients: a@example.com \(450 later\); b@") as caught:
            smtp.send(options(server.port, encryption="none"), settings, mail(), [A, B])
        assert caught.value.taken == () and len(server.mails) == 1


def failed(ours: Email, settings: Settings) -> str:
    """What sending and probing say, each in one line without the password."""
    said = []
    for attempt in (lambda: smtp.probe(ours, settings), lambda: smtp.send(ours, settings, mail(), ours.recipients)):
        with pytest.raises(NotSentError) as caught:
            attempt()
        said.append(str(caught.value))
    for each in said:
        assert each.isprintable()
        for secret in (PASSWORD, b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()):
            assert secret not in each
    return said[0]


def test_a_wrong_login_is_said_with_its_mend(settings: Settings, certificate: Path) -> None:
    with mail_server(certificate, login=True) as server:
        given = login(certificate) | {"username": "somebody"}
        assert "refuses the login (535" in failed(options(server.port, **given), settings)
        assert not server.mails


def test_a_server_that_repeats_the_password_does_not_reach_the_message(settings: Settings, certificate: Path) -> None:
    with mail_server(certificate, login=True) as server:
        server.data = f"554 no {PASSWORD} {b64encode(PASSWORD.encode()).decode()}"
        ours = options(server.port, **login(certificate))
        with pytest.raises(NotSentError, match=r"refuses the mail \(554 no \*\*\* \*\*\*\)") as caught:
            smtp.send(ours, settings, mail(), ours.recipients)
    assert PASSWORD not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(settings: Settings, certificate: Path) -> None:
    with mail_server(certificate, login=True) as server:
        given = login(certificate) | {"tls": {}}
        assert "name its authority in tls.ca" in failed(options(server.port, **given), settings)
        assert not server.mails


def test_without_starttls_nothing_is_sent_in_plain_text(settings: Settings) -> None:
    with mail_server() as server:
        assert "offers no STARTTLS, so nothing was sent" in failed(options(server.port), settings)
        assert not server.mails


def test_a_server_without_logins_is_told_from_one_that_refuses_ours(settings: Settings) -> None:
    with mail_server() as server:
        ours = options(server.port, encryption="none", username=USER, password=PASSWORD)
        assert "offers no login" in failed(ours, settings)


def test_tls_on_a_port_of_plain_text_is_said(settings: Settings) -> None:
    with mail_server() as server:
        assert "is it encryption: starttls on this port?" in failed(options(server.port, encryption="tls"), settings)


def test_a_server_that_is_down_is_said(settings: Settings) -> None:
    assert "is it up, and reachable from here?" in failed(options(free_port()), settings)


@pytest.mark.parametrize("greeting", [b"", b"220-patience\r\n"])
def test_a_slow_server_does_not_hold_a_night(
    settings: Settings, greeting: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MOST_ANSWERS", 2)
    began = monotonic()
    with slow_server(greeting) as port, pytest.raises(NotSentError, match="takes too long") as caught:
        smtp.probe(options(port, encryption="none", timeout_s=0.3), settings)
    assert monotonic() - began < 5 and caught.value.taken == ()


def test_a_mail_that_is_too_large_says_so_before_it_is_sent(settings: Settings) -> None:
    with mail_server(data_size_limit=2000) as server:
        ours = options(server.port, encryption="none")
        with pytest.raises(NotSentError, match=r"takes mails of 0.0 MiB at most.*name fewer attachments"):
            smtp.send(ours, settings, mail(), ours.recipients)
        assert not server.mails


def test_a_certificate_file_that_is_missing_names_its_key(settings: Settings) -> None:
    with mail_server() as server, pytest.raises(NotSentError, match=r"none.pem: cannot be used .*; correct tls.ca"):
        smtp.probe(options(server.port, tls={"ca": "none.pem"}), settings)


def test_a_probe_sends_nothing(settings: Settings, certificate: Path) -> None:
    with mail_server(certificate, login=True) as server:
        told = smtp.probe(options(server.port, **login(certificate)), settings)
        assert told == f"127.0.0.1:{server.port}, TLSv1.3, logged in as {USER}"
        assert not server.mails
    with mail_server() as server:
        told = smtp.probe(options(server.port, encryption="none"), settings)
        assert told.endswith(", not encrypted, without a login")
