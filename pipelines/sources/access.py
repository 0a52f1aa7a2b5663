"""How servers are reached: what `Access` says, as HTTP has it.

Belongs here: whom to trust, who we are, when to ask again, and what of an address or an error people may see. Not here:
asking (``http``).
"""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access, Tls
from pipelines.sources.errors import InputError, shown

CONNECT_S = 15.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
MOST_PATIENCE_S = 300.0
"""A server that wants to be left alone for longer is not asked again on this night."""
SHORTEST_SECRET = 4
"""What is shorter would only make messages unreadable."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TLS_NOISE = re.compile(r"^\[SSL[^\]]*\]\s*|\s*\(_ssl\.c:\d+\)")


def opened(access: Access, settings: Settings) -> httpx.Client:
    """A client that trusts, logs in and waits as `access` says. Proxies of the environment do not see the loopback.

    Raises:
        InputError: a certificate's file cannot be used.
    """
    password = access.password.get_secret_value() if access.password else ""
    hosts = (*(f"[{host}]" if ":" in host else host for host in LOOPBACK), "*.localhost")
    return httpx.Client(
        verify=tls_context(access, settings),
        auth=httpx.BasicAuth(access.username, password) if access.username is not None else None,
        headers={"User-Agent": "forewarn"},
        timeout=httpx.Timeout(access.timeout_s, connect=min(access.timeout_s, CONNECT_S)),
        limits=httpx.Limits(max_connections=access.concurrency),
        mounts={f"all://{host}": None for host in hosts},
    )


def own_headers(access: Access) -> dict[str, str]:
    """What is secret, and goes to no other server."""
    headers = {name: value.get_secret_value() for name, value in access.headers.items()}
    if access.bearer is not None:
        headers["Authorization"] = f"Bearer {access.bearer.get_secret_value()}"
    return headers


def secrets(access: Access) -> list[str]:
    """What no message may hold, the longest first; of a header such as ``Token token=...`` its last word as well."""
    given = [*access.headers.values(), access.bearer, access.password]
    values = {each.get_secret_value() for each in given if each is not None}
    values |= {re.split(r"[ =]", value.get_secret_value().rstrip("="))[-1] for value in access.headers.values()}
    return sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


def tls_context(access: Access, settings: Settings) -> ssl.SSLContext:
    """Whom to trust, and who we are.

    Raises:
        InputError: a file is missing or is not what it should be.
    """
    return context_of(access.tls, settings, "access.tls")


def context_of(tls: Tls, settings: Settings, at: str) -> ssl.SSLContext:
    """The same, for a server that is reached otherwise than by `Access`.

    Args:
        at: the key of `tls` in the settings.

    Raises:
        InputError: as `tls_context`.
    """
    files = {key: settings.path(path) for key, path in tls.model_dump().items() if path is not None}
    for key, file in files.items():
        with _blaming(f"{at}.{key}", file):
            file.open("rb").close()  # OpenSSL does not say which one it missed
    with _blaming(f"{at}.ca", files.get("ca")):
        context = ssl.create_default_context(cafile=files.get("ca"))
    if "certificate" in files:
        with _blaming(f"{at}.certificate", files["certificate"]):
            context.load_cert_chain(files["certificate"], files.get("key"))
    return context


@contextmanager
def _blaming(key: str, file: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl's own are among them
        said = "no PEM file, or of another key" if isinstance(error, ssl.SSLError) else error.strerror
        raise InputError(f"{shown(str(file))}: cannot be used ({said}); correct {key}") from error


def is_loopback(url: httpx.URL) -> bool:
    """Whether a server is on this machine."""
    return url.host in LOOPBACK or url.host.endswith(".localhost")


# -------------------------------------------------------------------------------------------------------------- times


def wait_s(attempt: int, asked_s: float | None) -> float:
    """For how long to wait after an attempt: as long as the server asks for, else twice as long each time, with jitter.

    Args:
        attempt: the first is 1.
    """
    doubled = FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return min(doubled, LONGEST_WAIT_S) if asked_s is None else min(asked_s, MOST_PATIENCE_S)


def retry_after_s(response: httpx.Response) -> float | None:
    """When a server wants to be asked again, where it says so: in seconds, as a date, or as when its limit is reset."""
    said = response.headers.get("Retry-After", "")
    if said.isascii() and said.isdigit():
        return float(said)
    left = seconds_until(said)
    if left is None and is_used_up(response):
        left = _reset_in_s(response)
    return None if left is None else max(0.0, left)


def is_used_up(response: httpx.Response) -> bool:
    """Whether a refusal is for too many questions: some say so with 403, and by a budget of which nothing is left."""
    limited = response.status_code in (403, 429)
    return limited and ("Retry-After" in response.headers or _budget(response, "remaining") == "0")


def _budget(response: httpx.Response, what: str) -> str:
    """``X-RateLimit-...`` or ``RateLimit-...``."""
    return next((response.headers[name] for name in (f"x-ratelimit-{what}", f"ratelimit-{what}")
                 if name in response.headers), "")  # fmt: skip


def _reset_in_s(response: httpx.Response) -> float | None:
    """Until a budget is whole again; servers write the seconds that are left, or the moment as seconds since 1970."""
    said = _budget(response, "reset")
    if not (said.isascii() and said.isdigit()):
        return None
    return float(said) if len(said) < len("1000000000") else float(said) - datetime.now(UTC).timestamp()


def seconds_until(date: str) -> float | None:
    """From now to a date as HTTP writes it; None where it is none."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None


# -------------------------------------------------------------------------------------------------------------- words


def address(url: str | httpx.URL) -> str:
    """An address as people may see it: without user, password and query, which may be secrets."""
    parts = urlsplit(str(url))
    return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def cause(error: Exception, secrets: Iterable[str] = ()) -> str:
    """What an error says, in one line without secrets."""
    return TLS_NOISE.sub("", plain(str(error), secrets)) or type(error).__name__


def plain(said: str, secrets: Iterable[str] = ()) -> str:
    """What somebody says, in one line without secrets."""
    for secret in secrets:
        said = said.replace(secret, "***")
    return shown(" ".join(said.split()))
