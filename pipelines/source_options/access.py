"""How a server is reached: its address, who we are, whom to trust, how patiently it is asked.

Belongs here: models and their faults. Not here: HTTP (``pipelines.sources.access``).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from features.options import Options


def _server(text: str) -> str:
    if re.match(r"([^/]*://)?[^/]*@", text):
        raise ValueError("an address must hold no user or password; put them under access")
    if re.match(r"https?://[^?#]*[?#]", text):
        raise ValueError("an address must hold nothing from ? or # on; put what it says as headers under access")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s?#]", text):
        raise ValueError(f"{text.partition('?')[0]!r} is no address; write it as http://server.example.com:9090/path")
    return text.rstrip("/")


Server = Annotated[
    str, AfterValidator(_server), Field(json_schema_extra={"pattern": r"^https?://[^\s/@?#]+(/[^\s?#]*)?$"})
]
"""Where a server is: its address as far as all that is asked of it has in common, without a slash at the end."""


def _sendable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise ValueError(
            "a header holds printable ASCII characters only, with no space around them; correct it, or the environment"
            " variable"
        )
    return secret


Sent = Annotated[SecretStr, AfterValidator(_sendable)]
"""A secret that is sent as, or in, a header. One that cannot be is refused here, where no message holds it."""


def _without_line_end(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    return SecretStr(value.removesuffix("\n").removesuffix("\r")) if value.endswith("\n") else secret


Token = Annotated[SecretStr, AfterValidator(_without_line_end), AfterValidator(_sendable)]
"""A token as files hold them: the end of its line is no part of it."""


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("is no name of a header; write it with letters, digits and hyphens")
    return name


Header = Annotated[str, AfterValidator(_header)]
T = TypeVar("T", str, SecretStr)


def _typed(text: T) -> T:
    value = text if isinstance(text, str) else text.get_secret_value()
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError(
            "a login holds no control characters such as the end of a line; correct it, or the environment variable"
        )
    return text


class Tls(Options):
    """Paths are relative to the settings file."""

    ca: str | None = Field(default=None, description="PEM file of the authorities to trust instead of the system's")
    certificate: str | None = Field(default=None, description="PEM file of the client's certificate")
    key: str | None = Field(default=None, description="PEM file of its key, where the certificate's does not hold it")


class Access(Options):
    """How a server is reached. Secrets come from the environment: ``bearer: ${TOKEN}``."""

    bearer: Token | None = None
    username: Annotated[str, AfterValidator(_typed)] | None = None
    password: Annotated[SecretStr, AfterValidator(_typed)] | None = None
    headers: dict[Header, Sent] = Field(default_factory=dict, description="sent with every request, e.g. a tenant's")
    tls: Tls = Tls()
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60
    concurrency: Annotated[int, Field(ge=1, le=32)] = Field(default=2, description="requests at once")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(default=4, description="of one request, with back-off")

    @model_validator(mode="after")
    def _one_way(self) -> Access:
        if self.bearer is not None and self.username is not None:
            raise ValueError("bearer and username are both given; keep one")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; give both")
        return self
