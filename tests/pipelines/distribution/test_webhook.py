"""One POST, made again only where it was surely not taken; and an address that nobody sees."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from loopback import Answer, Asked, loopback
from mail_server import free_port

from pipelines.distribution import webhook
from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Webhook
from pipelines.settings import Settings, parse

PATH = "/services/T0123SECRET/B%2F0456SECRET?sig=s1gn4ture"
PIECES = ("T0123SECRET", "B%2F0456SECRET", "B/0456SECRET", "s1gn4ture", "hm4c-key", "t0k3n")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse("", tmp_path)


def options(url: str, **given: Any) -> Webhook:
    return Webhook.model_validate({"name": "chat", "type": "webhook", "url": url + PATH} | given)


def send(ours: Webhook, settings: Settings) -> None:
    webhook.send(ours, settings, "application/json", b'{"a": 1}', "key-1")


def test_what_is_posted_is_signed_and_known_again(settings: Settings, waited: list[float]) -> None:
    with loopback(lambda _: Answer(b"ok")) as server:
        send(options(server.url, signing_key="hm4c-key", access={"bearer": "t0k3n"}), settings)
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", PATH, b'{"a": 1}')
    assert asked.headers["Idempotency-Key"] == "key-1" and asked.headers["Authorization"] == "Bearer t0k3n"
    assert asked.headers["Content-Type"] == "application/json"
    digest = hmac.new(b"hm4c-key", asked.body, "sha256").hexdigest()
    assert asked.headers["X-Forewarn-Signature"] == f"sha256={digest}" and not waited


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_surely_not_taken_is_posted_again(settings: Settings, waited: list[float], status: int) -> None:
    answers = [Answer(status=status)] * 3 + [Answer(status=204)]
    with loopback(lambda _: answers.pop(0)) as server:
        send(options(server.url), settings)
    assert len(server.asked) == 4 and len(waited) == 3
    assert {asked.headers["Idempotency-Key"] for asked in server.asked} == {"key-1"}


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_what_may_have_been_taken_is_not(settings: Settings, waited: list[float], status: int) -> None:
    refused = pytest.raises(NotSentError, match=rf"answers {status} .*It may have arrived or not")
    with loopback(lambda _: Answer(status=status)) as server, refused:
        send(options(server.url), settings)
    assert len(server.asked) == 1 and not waited


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 413])
def test_a_refusal_is_final_and_says_its_mend(settings: Settings, waited: list[float], status: int) -> None:
    answer = Answer(b"no_service", status, {"Location": "/elsewhere"} if status < 400 else {})
    with loopback(lambda _: answer) as server, pytest.raises(NotSentError) as caught:
        send(options(server.url), settings)
    assert str(caught.value).startswith(f"the webhook: answers {status} ")
    assert ": no_service; " in str(caught.value)
    assert len(server.asked) == 1 and not waited


def test_one_that_is_down_is_tried_as_often_as_access_allows(settings: Settings, waited: list[float]) -> None:
    with pytest.raises(NotSentError, match=r"the webhook: cannot be reached .*\(3 attempts\)"):
        send(options(f"http://127.0.0.1:{free_port()}", access={"attempts": 3}), settings)
    assert len(waited) == 2


def test_a_slow_one_may_have_taken_it(settings: Settings, waited: list[float]) -> None:
    def slowly(_: Asked) -> Answer:
        sleep(0.5)
        return Answer()

    with loopback(slowly) as server, pytest.raises(NotSentError, match=r"takes too long .*may have arrived or not"):
        send(options(server.url, access={"timeout_s": 0.1}), settings)
    assert not waited


@pytest.mark.parametrize("status", [200, 404, 500])
def test_the_address_is_in_no_message_and_in_no_log(
    settings: Settings, waited: list[float], caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Not even where a server repeats what it was asked, as many do."""
    caplog.set_level(logging.DEBUG)
    said = f"Cannot POST {PATH} {' '.join(PIECES)}".encode()
    with loopback(lambda _: Answer(said, status)) as server:
        try:
            send(options(server.url, signing_key="hm4c-key", access={"bearer": "t0k3n"}), settings)
        except NotSentError as error:
            assert not [piece for piece in PIECES if piece in str(error)]
        assert server.asked
    assert not [piece for piece in PIECES if piece in caplog.text]
    logging.getLogger("httpx").info("others may log again")
    assert "others may log again" in caplog.text


def test_a_page_is_not_repeated_but_for_its_status(settings: Settings) -> None:
    with loopback(lambda _: Answer(b"<html>long</html>", 404)) as server, pytest.raises(NotSentError) as caught:
        send(options(server.url), settings)
    assert "long" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "doubted"),
    [("http://hooks.example.com", True), ("https://hooks.example.com", False), ("http://127.0.0.1:9", False)],
)
def test_an_address_that_others_can_read_is_doubted(url: str, doubted: bool) -> None:
    assert bool(webhook.doubt(options(url))) == doubted
