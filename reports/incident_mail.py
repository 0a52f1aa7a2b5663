"""The incident report as a mail: the verdicts in words for every mail client, the page attached. Pure.

Belongs here: the message, its headers and its markup. Not here: what is said (``incident_letter``), or SMTP
(``pipelines.distribution.smtp``).

Text of incidents is hostile. No header holds any of it; in the HTML it is escaped, and nothing of it becomes a link,
which mail clients otherwise make of whatever looks like an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import blake2b

from reports.html import environment
from reports.incident_letter import CHARTS, Letter, Parcel
from reports.text import one_line, unlinked

COLOURS = {"good": "#00795a", "bad": "#c04f00", "quiet": "#5b6675", "warn": "#8a5200"}
ALTERNATIVES = {
    "mttr": "Chart: monthly median time to resolve, with 95 % intervals",
    "mtta": "Chart: monthly median time to acknowledge, with 95 % intervals",
}
MIME = {"html": "text", "json": "application"}
HEADERS = SMTP.clone(max_line_length=200)
"""Else a subject that just fits is folded before its first word, which some programs show as a space."""


@dataclass(frozen=True)
class Envelope:
    """Who writes to whom, and by which id a resend is known.

    letter_id: of this night and destination, the same however often it is tried. number: 1; one more for each time that
    somebody asked for it again, which is then shown beside the first and not taken for it.
    """

    sender: Address
    recipients: Sequence[Address]
    letter_id: str
    number: int = 1
    link: str | None = None
    attachments: Sequence[str] = ("html", "json")

    def message_id(self, number: int) -> str:
        again = f".{number}" if number > 1 else ""
        return f"<{self.letter_id}{again}@{self.sender.domain}>"


def compose(parcel: Parcel, envelope: Envelope, sent_at: datetime) -> EmailMessage:
    """The mail: text, HTML with its charts, attachments.

    Args:
        sent_at: aware.
    """
    letter = parcel.letter
    charts = {name: parcel.charts[name] for name in CHARTS if name in parcel.charts}
    cids = {name: f"{name}.{blake2b(png, digest_size=8).hexdigest()}@forewarn" for name, png in charts.items()}
    attached = {f"incidents-{letter.night}.{kind}": kind for kind in envelope.attachments}
    message = EmailMessage(policy=SMTP)
    _address(message, letter, envelope, sent_at)
    message.set_content(_text(parcel, envelope), cte="quoted-printable")
    message.add_alternative(
        render(letter, {name: f"cid:{cid}" for name, cid in cids.items()}, list(attached), envelope.link),
        subtype="html",
        cte="quoted-printable",
    )
    if (page := message.get_body(("html",))) is not None:
        for name, png in charts.items():
            file = f"{name}.png"
            page.add_related(png, "image", "png", cid=f"<{cids[name]}>", filename=file, disposition="inline")
    for name, kind in attached.items():
        content = parcel.files[f"mttr.{kind}"]
        message.add_attachment(content, MIME[kind], kind, filename=name, params={"charset": "utf-8"})
    message.policy = HEADERS
    return message


def _address(message: EmailMessage, letter: Letter, envelope: Envelope, sent_at: datetime) -> None:
    message["From"] = envelope.sender
    message["To"] = tuple(envelope.recipients)
    message["Subject"] = one_line(letter.subject, 250)
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = envelope.message_id(envelope.number)
    if envelope.number > 1:
        message["In-Reply-To"] = envelope.message_id(1)
        message["References"] = envelope.message_id(1)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange


def _text(parcel: Parcel, envelope: Envelope) -> str:
    link = f"\nThe whole report: {envelope.link}\n" if envelope.link else ""
    return f"{parcel.markdown.rstrip()}\n{link}"


def render(letter: Letter, pictures: dict[str, str], attached: Sequence[str], link: str | None = None) -> str:
    """The HTML of a mail.

    Args:
        pictures: chart -> its address.
        attached: names of files.
    """
    return (
        environment()
        .get_template("incident_mail.html.j2")
        .render(
            letter=letter,
            pictures=pictures,
            alternatives=ALTERNATIVES,
            attached=attached,
            link=link,
            colours=COLOURS,
            plain=unlinked,
        )
    )
