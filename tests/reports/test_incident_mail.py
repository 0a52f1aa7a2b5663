"""The mail, as mail programs see it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from letter_examples import HOSTILE, PNG, letter, parcel

from reports.incident_mail import Envelope, compose, render
from reports.receivers import mailbox

SENT_AT = datetime(2026, 6, 1, 0, 31, tzinfo=UTC)
ENVELOPE = Envelope(
    mailbox("Forewarn <forewarn@example.com>"),
    [mailbox("a@example.com"), mailbox("Jo X Doe <b@example.com>")],
    "forewarn.2026-06-01.abc",
    link="https://reports.example.com/2026-06-01/mttr.html",
)


def sent(text: str = "disk full", **given: Any) -> EmailMessage:
    """The mail as it is after its way over the wire."""
    made = compose(parcel(text), Envelope(**(vars(ENVELOPE) | given)), SENT_AT).as_bytes()
    assert max(len(line) for line in made.split(b"\r\n")) <= 998
    return message_from_bytes(made, policy=policy.default)  # pyright: ignore[reportReturnType]


def html_of(message: EmailMessage) -> str:
    page = message.get_body(("html",))
    assert page is not None
    return page.get_content()


def test_a_mail_is_text_html_with_its_charts_and_attachments() -> None:
    message = sent()
    tree = [part.get_content_type() for part in message.walk()]
    assert tree == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html",
        "image/png", "image/png", "text/html", "application/json",
    ]  # fmt: skip
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == ["incidents-2026-06-01.html", "incidents-2026-06-01.json"]
    page, numbers = message.iter_attachments()
    assert page.get_content() == "<!doctype html><p>page" and numbers.get_content() == b'{"trends": []}'


def test_charts_are_within_the_mail_and_nothing_is_fetched() -> None:
    message = sent()
    shown = re.findall(r'src="([^"]*)"', html_of(message))
    inline = {part["Content-ID"]: part.get_content() for part in message.walk() if part["Content-ID"]}
    assert [f"<{address.removeprefix('cid:')}>" for address in shown] == list(inline)
    assert len(inline) == 2 and set(inline.values()) == {PNG}


def test_the_headers_say_who_what_and_that_nobody_need_answer() -> None:
    message = sent()
    assert message["From"] == "Forewarn <forewarn@example.com>"
    assert message["To"] == "a@example.com, Jo X Doe <b@example.com>"
    assert message["Subject"] == letter().subject
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == SENT_AT


def test_a_resend_has_the_same_id_and_one_that_was_asked_for_stands_beside_the_first() -> None:
    first, again, asked = sent(), sent(), sent(number=2)
    assert first["Message-ID"] == again["Message-ID"] == "<forewarn.2026-06-01.abc@example.com>"
    assert asked["Message-ID"] == "<forewarn.2026-06-01.abc.2@example.com>"
    assert asked["In-Reply-To"] == first["Message-ID"] and first["In-Reply-To"] is None


def test_the_text_is_the_markdown_with_the_link() -> None:
    text = sent().get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == (
        parcel().markdown + "\nThe whole report: https://reports.example.com/2026-06-01/mttr.html\n"
    )


def test_attachments_may_be_left_out() -> None:
    message = sent(attachments=[], link=None)
    assert not list(message.iter_attachments())
    assert "ttached" not in html_of(message)


def test_verdicts_definitions_and_what_they_rest_on_are_in_the_body() -> None:
    page = html_of(sent())
    clock = "Begins when created; ends when resolved. Clock: 24 x 7 calendar time."
    for told in ("improving", "worsening", letter().verdicts[0].measured, clock, "off track", "2 more"):
        assert told in page


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


def tags(page: str) -> _Tags:
    found = _Tags()
    found.feed(page)
    return found


@given(st.one_of(st.text(max_size=60), st.sampled_from([HOSTILE, "www.evil.example", "a@b.c", "</style><script>"])))
def test_text_of_incidents_is_never_markup_nor_a_link(text: str) -> None:
    plain, hostile = (tags(render(letter(each), {}, [])) for each in ("x", text))
    assert hostile.seen == plain.seen and not hostile.addresses
    page = render(letter(text), {}, [])
    body = page.partition("<body")[2]
    assert "://" not in body and not re.search(r"@(?!\u200b)|www\.", body)
    assert "script" not in {tag for tag, _ in hostile.seen}


@given(st.text(max_size=300))
def test_a_subject_cannot_begin_another_header(text: str) -> None:
    made = compose(parcel(subject=text), ENVELOPE, SENT_AT)
    seen = message_from_bytes(made.as_bytes(), policy=policy.default)
    assert seen.keys() == compose(parcel(), ENVELOPE, SENT_AT).keys()


@pytest.mark.parametrize(
    "text",
    ["", "a", "a@", "@b", "a b@c.d", "a@b@c", "a@b\r\nBcc: c@d", "<a@b", "a@-b", "é@b.c", "a@é.c", "a@b..c", '"x"@b.c'],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no mail address; write it as"):
        mailbox(text)


@given(st.text(max_size=40))
def test_a_mailbox_is_one_address_on_one_line(name: str) -> None:
    try:
        found = mailbox(f"{name} <a@example.com>")
    except ValueError:
        return
    assert found.addr_spec == "a@example.com" and str(found).isprintable()
