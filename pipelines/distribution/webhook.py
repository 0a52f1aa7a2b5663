"""A webhook: one POST, whose address is a secret.

Belongs here: the request, its signature, and when it is made again. Not here: what is posted
(``reports.incident_chat``), how a server is reached (``pipelines.sources.access``).

A POST is no mere question: it is made again only where it was surely not taken, that is without a connection, or after
429 or 503; and each carries a key by which a receiver knows it again. Redirects are not followed.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Webhook, is_loopback
from pipelines.settings import Settings
from pipelines.sources.access import SHORTEST_SECRET
from pipelines.sources.errors import InputError
from pipelines.sources.http import Client, FetchError, SlowError, UnreachableError, refusal

SURELY_NOT_TAKEN = (403, 429, 503)
"""Of the refusals that pass; 403 is one where a server's budget of requests is used up."""
LARGEST_SAID = 2000  # bytes of an answer that are looked at
LONGEST_SAID = 100
MENDS = {
    401: "correct access, or the address",
    403: "correct access, or the address",
    404: "the address is known no more; make a new webhook and correct url",
    410: "the address is known no more; make a new webhook and correct url",
    413: "it is too large for this receiver; choose another format",
}


def send(options: Webhook, settings: Settings, kind: str, content: bytes, key: str) -> None:
    """Post.

    Args:
        kind: the content's type.
        key: the same for everything that is to be taken once.

    Raises:
        NotSentError: it was not taken, as far as is known.
    """
    headers = {"Content-Type": kind, "Idempotency-Key": key}
    if options.signing_key is not None:
        digest = hmac.new(options.signing_key.get_secret_value().encode(), content, "sha256").hexdigest()
        headers["X-Forewarn-Signature"] = f"sha256={digest}"
    try:
        with _unlogged(), Client(options.access, settings, server="the webhook", hidden=hidden(options)) as client:
            client.patiently(lambda: _once(client, options, content, headers))
    except (FetchError, InputError) as error:
        raise NotSentError(str(error)) from error


def _once(client: Client, options: Webhook, content: bytes, headers: dict[str, str]) -> None:
    url = options.url.get_secret_value()
    try:
        with client.answer("POST", url, follow=False, content=content, headers=headers) as (response, body):
            if not response.is_success:
                said = _said(client, body)
                raise refusal("the webhook", response, said, MENDS.get(response.status_code, "see to its settings"))
    except FetchError as error:
        if error.passing and not (isinstance(error, UnreachableError) or error.status in SURELY_NOT_TAKEN):
            raise NotSentError(_doubtful(error, options)) from error
        raise


def _doubtful(error: FetchError, options: Webhook) -> str:
    if isinstance(error, SlowError):
        slow = f"takes too long (more than {options.access.timeout_s:g} s); raise access.timeout_s"
        return f"the webhook {slow}. It may have arrived or not"
    return f"{error}. It may have arrived or not"


def _said(client: Client, body: Iterator[bytes]) -> str:
    """The beginning of an answer, which says more than its number: 'no_service'. A page is left out."""
    found = b""
    for piece in body:
        found += piece
        if len(found) >= LARGEST_SAID:
            break
    text = found[:LARGEST_SAID].decode("utf-8", "replace")
    return "" if text.lstrip().startswith("<") else client.without_secrets(text)[:LONGEST_SAID]


def hidden(options: Webhook) -> list[str]:
    """The address and its parts, the longest first: no message may hold them, not even one that repeats an answer."""
    url = options.url.get_secret_value()
    parts = urlsplit(url)
    query = [value for pair in parts.query.split("&") for value in pair.partition("=")[::2]]
    pieces = {url, parts.path, parts.query, *parts.path.split("/"), *query}
    keys = [options.signing_key.get_secret_value()] if options.signing_key is not None else []
    given = {form for piece in (*pieces, *keys) for form in (piece, unquote(piece))}
    return sorted((each for each in given if len(each) >= SHORTEST_SECRET), key=len, reverse=True)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep httpx from writing the whole address to a log."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("httpx")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def doubt(options: Webhook) -> str | None:
    """What could be better about the address, whose form the settings have judged."""
    parts = urlsplit(options.url.get_secret_value())
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "its address is http, so whoever is on the way can read it and post; use https"
    return None
