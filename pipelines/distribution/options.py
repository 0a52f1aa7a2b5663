"""The settings under `distribution`: who gets the incident report, how, and on which nights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from features.names import Name
from features.options import Options
from pipelines.source_options.access import Access, Tls, Token
from reports.receivers import DueOn, Format, mailbox

PORTS = {"starttls": 587, "tls": 465, "none": 25}
MOST_RECIPIENTS = 100
LINK = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/([A-Za-z0-9._~:/?#@!$&'*+,;=%-]|\{night\})*)?")


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?|::1", text) or len(text) > 253:
        raise ValueError("is no name of a host; write it without scheme and port, as smtp.example.com")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")


def _login(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a login holds printable ASCII characters only; correct it, or the environment variable")
    return text


def _secret_login(secret: SecretStr) -> SecretStr:
    _login(secret.get_secret_value())
    return secret


def _mailbox(text: str) -> str:
    mailbox(text)
    return text


def _link(text: str) -> str:
    if not LINK.fullmatch(text):
        raise ValueError("is no address; write it as https://reports.example.com/{night}/mttr.html")
    return text


def _hook(secret: SecretStr) -> SecretStr:
    """Faults say nothing of the address: it is a secret."""
    url = secret.get_secret_value()
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a bracket or a port that is none
        known = False
        parts = urlsplit("")
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("is no address; write it as https://chat.example.com/hooks/..., or see to its variable")
    if "@" in parts.netloc:
        raise ValueError("has a user or password in it; put them under access")
    return secret


Host = Annotated[str, AfterValidator(_host)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Link = Annotated[str, AfterValidator(_link)]
Hook = Annotated[SecretStr, AfterValidator(_hook)]


class Destination(Options):
    """What all of them have."""

    name: Name = Field(description="names it in messages, and in the record of what was sent")
    nights: list[DueOn] = Field(
        default=["mon"],
        min_length=1,
        description="on which it is sent: days of the week, first (of the month), every. Default: Mondays",
    )
    link: Link | None = Field(
        default=None, description="where people find the page, should a server show it; {night} is the night's date"
    )


class Email(Destination):
    """By SMTP: the verdicts and the two charts in the mail itself, the page and its numbers attached."""

    type: Literal["email"]
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="default: 587 with starttls, 465 with tls, 25 with none"
    )
    encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls: asked for, and insisted upon; tls: from the first byte on"
    )
    username: Annotated[str, AfterValidator(_login)] | None = None
    password: Annotated[SecretStr, AfterValidator(_secret_login)] | None = Field(
        default=None, description="from the environment: ${SMTP_PASSWORD}"
    )
    tls: Tls = Tls()
    sender: Mailbox = Field(description="as forewarn@example.com, or Forewarn <forewarn@example.com>")
    recipients: list[Mailbox] = Field(min_length=1, max_length=MOST_RECIPIENTS)
    attachments: list[Literal["html", "json"]] = Field(
        default=["html", "json"], description="which of mttr.html and mttr.json are attached"
    )
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(default=30, description="for each answer of the server")

    @model_validator(mode="after")
    def _safe(self) -> Email:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; give both")
        if self.password is not None and self.encryption == "none" and not is_loopback(self.host):
            raise ValueError("a password is not sent over plain text; say encryption: starttls, or tls")
        return self

    @property
    def served_at(self) -> int:
        return self.port or PORTS[self.encryption]


class Webhook(Destination):
    """One POST to a chat's incoming webhook, or to a program of your own."""

    type: Literal["webhook"]
    url: Hook = Field(
        description="from the environment: ${CHAT_WEBHOOK}. Whoever knows it can post, so it is shown nowhere"
    )
    format: Format = Field(
        default="json",
        description="slack and mattermost: a message; teams: an Adaptive Card, as Workflows take it; markdown: mttr.md;"
        " json: the verdicts in words and the whole of mttr.json",
    )
    access: Access = Access()
    signing_key: Token | None = Field(
        default=None, description="signs the body: X-Forewarn-Signature: sha256=HMAC-SHA256(key, body) in hex"
    )


def _type(given: Any) -> str | None:
    return given.get("type") if isinstance(given, dict) else getattr(given, "type", None)


AnyDestination = Annotated[
    Annotated[Email, Tag("Email")] | Annotated[Webhook, Tag("Webhook")],
    Discriminator(
        lambda given: {"email": "Email", "webhook": "Webhook"}.get(str(_type(given))),
        custom_error_type="destination",
        custom_error_message="type: say email or webhook",
    ),
]


def _named_once(found: Sequence[Destination]) -> Sequence[Destination]:
    names = [each.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two destinations are called {twice[0]!r}; give each its own name")
    return found


Distribution = Annotated[list[AnyDestination], AfterValidator(_named_once)]
