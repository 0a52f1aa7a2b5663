"""How servers are asked: again where that may help, by redirects where they lead, and without giving secrets away."""

import json
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from loopback import Answer, Asked, loopback
from pydantic import SecretStr, ValidationError

from pipelines.settings import Settings, SettingsError, parse
from pipelines.source_options import Access
from pipelines.sources import http
from pipelines.sources.access import address, cause, secrets
from pipelines.sources.errors import InputError
from pipelines.sources.http import Client, FetchError

SECRET = "s3cr3t"  # noqa: S105


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long a client would have waited."""
    waits: list[float] = []
    monkeypatch.setattr(http, "sleep", waits.append)
    return waits


def one_by_one(answers: Sequence[Answer]) -> Callable[[Asked], Answer]:
    left = list(answers)
    return lambda _: left.pop(0)


def client(settings: Settings, **access: object) -> Client:
    return Client(Access.model_validate(access), settings)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_after_waits_that_double(settings, waited, status):
    answers = [Answer(status=status)] * 3 + [Answer(b"at last")]
    with loopback(one_by_one(answers)) as server, client(settings) as asking:
        assert asking.request("GET", server.url) == b"at last"
    assert [0.5 * wait <= slept <= 1.5 * wait for wait, slept in zip([0.5, 1, 2], waited, strict=True)] == [True] * 3


@pytest.mark.parametrize("dated", [False, True])
def test_a_server_may_say_when_to_come_again(settings, waited, dated):
    said = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True) if dated else "50"
    answers = [Answer(status=429, headers={"Retry-After": said}), Answer(b"x")]
    with loopback(one_by_one(answers)) as server, client(settings) as asking:
        asking.request("GET", server.url)
    assert 5 < waited[0] <= 50


def test_no_wait_is_endless_and_nonsense_is_not_obeyed(settings, waited):
    answers = [Answer(status=503, headers={"Retry-After": said}) for said in ("120", "soon", "-5")]
    with loopback(one_by_one([*answers, Answer(b"x")])) as server, client(settings) as asking:
        asking.request("GET", server.url)
    assert waited[0] == 120
    assert max(waited[1:]) < 4


def test_who_wants_to_be_left_alone_for_long_is_not_asked_again(settings, waited):
    with loopback(lambda _: Answer(status=429, headers={"Retry-After": "3600"})) as server, client(settings) as asking:
        with pytest.raises(FetchError, match="ask less often"):
            asking.request("GET", server.url)
        assert (len(server.asked), waited) == (1, [])


@pytest.mark.parametrize(("prefix", "reset"), [("X-RateLimit", 20), ("RateLimit", None)])
def test_a_budget_that_is_used_up_is_waited_for(settings, waited, prefix, reset):
    moment = reset or int((datetime.now(UTC) + timedelta(seconds=20)).timestamp())
    headers = {f"{prefix}-Remaining": "0", f"{prefix}-Reset": str(moment)}
    with (
        loopback(one_by_one([Answer(status=403, headers=headers), Answer(b"x")])) as server,
        client(settings) as asking,
    ):
        assert asking.request("GET", server.url) == b"x"
    assert 15 < waited[0] <= 20


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "correct the source's access"), (403, "right to read"), (404, "correct the address"), (422, "answers 422")],
)  # fmt: skip
def test_what_does_not_pass_is_said_at_once_with_its_mend(settings, waited, status, said):
    with loopback(lambda _: Answer(status=status)) as server, client(settings, bearer=SECRET) as asking:
        with pytest.raises(FetchError, match=said) as raised:
            asking.request("GET", f"{server.url}/x?token={SECRET}")
        assert raised.value.status == status
        assert len(server.asked) == 1
    assert str(raised.value).startswith(f"{server.url}/x: answers {status}")
    assert SECRET not in str(raised.value)
    assert not waited


def test_a_server_that_is_not_there(settings, waited):
    with loopback(lambda _: Answer()) as server:
        url = server.url
    with (
        client(settings, attempts=2) as asking,
        pytest.raises(FetchError, match=r"cannot be reached .*; is it up") as raised,
    ):
        asking.request("GET", f"{url}/?token={SECRET}")
    assert raised.value.status is None
    assert str(raised.value).endswith("(2 attempts)")
    assert SECRET not in str(raised.value)
    assert len(waited) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(settings, waited, tmp_path):
    whole = Answer(b"0123456789")
    answers = [Answer(whole.body, cut=4), whole, Answer(whole.body, cut=0), whole]
    with loopback(one_by_one(answers)) as server, client(settings) as asking:
        assert asking.request("GET", server.url) == whole.body
        asking.download(server.url, tmp_path / "x", lambda _: False)
    assert (tmp_path / "x").read_bytes() == whole.body
    assert len(waited) == 2


def test_a_slow_answer_is_given_up(settings):
    def slowly(_: Asked) -> Answer:
        time.sleep(0.5)
        return Answer(b"x")

    with loopback(slowly) as server, client(settings, attempts=1, timeout_s=0.1) as asking:  # noqa: SIM117 - reads better
        with pytest.raises(FetchError, match=r"takes too long \(more than 0\.1 s\); raise access\.timeout_s"):
            asking.request("GET", server.url)


def test_an_answer_that_drips_is_given_up(settings):
    with loopback(lambda _: Answer(b"x" * 50, drip_s=0.05)) as server:  # noqa: SIM117 - reads better
        with client(settings, attempts=1, timeout_s=0.2) as asking, pytest.raises(FetchError, match="takes too long"):
            asking.request("GET", server.url)


def test_an_answer_may_be_too_large(settings):
    with loopback(lambda _: Answer(bytes(3 << 20))) as server, client(settings) as asking:
        assert len(asking.request("GET", server.url, largest=3 << 20)) == 3 << 20
        with pytest.raises(FetchError, match="answers more than 2 MiB"):
            asking.request("GET", server.url, largest=2 << 20)


def test_redirects_are_followed_and_secrets_are_not_carried_to_another_host(settings):
    with loopback(lambda _: Answer(b"there")) as other:
        target = f"{other.url}/file"
        answers = [Answer(status=302, headers={"Location": "/next"}), Answer(status=302, headers={"Location": target})]
        access = {"bearer": SECRET, "headers": {"X-Scope-OrgID": SECRET}}
        with loopback(one_by_one(answers)) as server, client(settings, **access) as asking:
            assert asking.request("GET", server.url) == b"there"
    assert [SECRET in str(asked.headers) for asked in (*server.asked, *other.asked)] == [True, True, False]


def test_basic_logins_stay_with_their_host_too(settings):
    with loopback(lambda _: Answer(b"there")) as other:
        answer = Answer(status=302, headers={"Location": other.url})
        with loopback(lambda _: answer) as server, client(settings, username="u", password=SECRET) as asking:
            asking.request("GET", server.url)
    assert ["Authorization" in asked.headers for asked in (*server.asked, *other.asked)] == [True, False]


def test_a_redirect_in_a_circle_ends(settings):
    answer = Answer(status=302, headers={"Location": "/"})
    with loopback(lambda _: answer) as server, client(settings) as asking:  # noqa: SIM117 - reads better
        with pytest.raises(FetchError, match="leads on and on"):
            asking.request("GET", server.url)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        folder / "key",
        "-out",
        folder / "cert",
    ]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "cert").read_bytes() + (folder / "key").read_bytes())
    return both


def test_a_certificate_is_trusted_by_the_authority_that_is_named(settings, certificate, waited):
    with loopback(lambda _: Answer(b"safe"), certificate) as server:
        with client(settings, tls={"ca": str(certificate)}) as asking:
            assert asking.request("GET", server.url) == b"safe"
        with client(settings) as asking, pytest.raises(FetchError, match=r"not trusted .*; name .* in access\.tls\.ca"):
            asking.request("GET", server.url)
    assert not waited


@pytest.mark.parametrize("key", ["ca", "certificate"])
def test_certificate_files_that_cannot_be_used_are_input_errors(settings, tmp_path, key):
    with pytest.raises(InputError, match=rf"No such file.*; correct access\.tls\.{key}"):
        client(settings, tls={key: "none.pem"})
    (tmp_path / "none.pem").write_text("no certificate")
    with pytest.raises(InputError, match=rf"none\.pem: cannot be used .*; correct access\.tls\.{key}"):
        client(settings, tls={key: "none.pem"})


def test_a_key_that_is_missing_is_named_and_not_its_certificate(settings, certificate):
    with pytest.raises(InputError, match=r"none\.pem: cannot be used \(No such file.*\); correct access\.tls\.key"):
        client(settings, tls={"certificate": str(certificate), "key": "none.pem"})


def test_a_proxy_does_not_see_the_loopback(settings, monkeypatch):
    with loopback(lambda _: Answer(b"proxied")) as proxy, loopback(lambda _: Answer(b"straight")) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with client(settings) as asking:
            assert asking.request("GET", "http://forewarn.example.com/x") == b"proxied"
            assert asking.request("GET", server.url) == b"straight"


@pytest.mark.parametrize("written", ["a\nb", "t\u00f6ken", " x"])
def test_a_secret_that_no_header_can_hold_is_refused_without_being_said(written):
    for access in ({"bearer": written}, {"headers": {"X-Key": written}}):
        with pytest.raises(ValidationError, match="printable ASCII") as raised:
            Access.model_validate(access)
        assert written not in str(raised.value) and repr(written) not in str(raised.value)


@pytest.mark.parametrize(
    ("access", "key"),
    [
        ({"bearer": f"{SECRET}\n\n"}, "bearer: a header holds"),
        ({"headers": {"X-Key": f"{SECRET}\n"}}, r"headers\.X-Key: a header holds"),
        ({"headers": {"X Key \u20ac": SECRET}}, r"headers\..*: is no name of a header"),
        ({"username": "u\n", "password": SECRET}, "username: a login holds no control"),
        ({"username": "u", "password": f"{SECRET}\x07"}, "password: a login holds no control"),
        ({"bearer": SECRET, "username": SECRET, "password": SECRET}, "access: bearer and username"),
        ({"bearer": [SECRET]}, "bearer: "),
    ],
)
def test_the_settings_name_the_key_of_a_secret_that_cannot_be_sent_and_never_its_value(access, key, tmp_path):
    source = {"name": "p", "type": "prometheus", "url": "http://p:9090", "access": access}
    with pytest.raises(SettingsError, match=rf"sources\.metrics\[0\]\.(access\.)?{key}") as raised:
        parse(json.dumps({"sources": {"metrics": [source]}}), tmp_path)
    assert SECRET not in str(raised.value) and SECRET not in "".join(traceback.format_exception(raised.value))


def test_the_end_of_a_token_s_line_is_no_part_of_it(settings):
    for end in ("\n", "\r\n"):
        with loopback(lambda _: Answer(b"x")) as server, client(settings, bearer=SECRET + end) as asking:
            asking.request("GET", server.url)
            assert server.asked[0].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("sent", [f"{SECRET}\n", f"{SECRET}\u20ac"])
def test_what_http_refuses_to_send_is_said_without_quoting_it(settings, sent):
    access = Access().model_copy(update={"bearer": SecretStr(sent)})
    refused = pytest.raises(FetchError, match="a header is not as HTTP allows; correct access")
    with loopback(lambda _: Answer()) as server, Client(access, settings) as asking, refused as raised:
        asking.request("GET", server.url)
    assert SECRET not in str(raised.value)


def test_an_error_that_holds_a_secret_is_told_without_it():
    assert cause(ValueError(f"no {SECRET} here"), secrets(Access(bearer=SecretStr(SECRET)))) == "no *** here"


@pytest.mark.parametrize("written", [f"http://h/p?token={SECRET}", f"http://h/p#{SECRET}", f"http://u:{SECRET}@h"])
def test_an_address_in_the_settings_holds_no_secret(written, tmp_path):
    source = {"name": "p", "type": "prometheus", "url": written}
    with pytest.raises(
        SettingsError, match=r"sources\.metrics\[0\]\.url: an address must hold no.* under access"
    ) as raised:
        parse(json.dumps({"sources": {"metrics": [source]}}), tmp_path)
    assert SECRET not in str(raised.value)


def test_addresses_are_shown_without_their_secrets():
    assert address(f"https://user:{SECRET}@example.com:8443/a/b?sig={SECRET}#x") == "https://example.com:8443/a/b"
