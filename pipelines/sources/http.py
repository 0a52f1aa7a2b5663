"""Servers are asked over HTTP: patiently, and with secrets that no message shows.

A request that fails in passing (no connection, time-out, 429, 5xx) is made again, as often as the source's `Access`
allows, after a wait that doubles and is never the same for two clients; what the server says in ``Retry-After`` counts
more. What is sent must therefore be a mere question. Where redirects are followed, secrets go to no other host than the
first, and nothing goes from https to http.

Belongs here: asking, and what failed. Not here: how a server is reached (``access``), what answers mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, TypeVar

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.access import (
    MOST_PATIENCE_S,
    address,
    cause,
    is_loopback,
    is_used_up,
    opened,
    own_headers,
    plain,
    retry_after_s,
    secrets,
    wait_s,
)
from pipelines.sources.errors import NotFetchedError, shown

T = TypeVar("T")
E = TypeVar("E", bound="FetchError")

MOST_REDIRECTS = 5
IN_PASSING = {408, 425, 429, 500, 502, 503, 504}
MENDS = {
    401: "correct the source's access: its token or password is missing, wrong or has expired",
    403: "give the source's account the right to read this",
    404: "correct the address in the settings",
    407: "log in to the proxy in HTTPS_PROXY",
    429: "ask less often, or raise the server's limit",
}


class FetchError(NotFetchedError):
    """A server did not give what was asked for; the message is one line without secrets that begins with an address.

    status: what it answered; None where it did not.
    passing: whether the same question may be answered another time.
    retry_after_s: when, as the server says.
    attempts: how many were made until it was given up.
    """

    def __init__(
        self, message: str, status: int | None = None, *, passing: bool = False, retry_after_s: float | None = None
    ):
        super().__init__(message)
        self.message = message
        self.status = status
        self.passing = passing
        self.retry_after_s = retry_after_s
        self.attempts = 1

    def to(self, kind: type[E]) -> E:
        """The same as a failure of another class."""
        return kind(self.message, self.status, passing=self.passing, retry_after_s=self.retry_after_s)

    def __str__(self) -> str:
        return f"{self.message} ({self.attempts} attempts)" if self.attempts > 1 else self.message


class UnreachableError(FetchError):
    """There is no connection, or none that both sides trust."""


class SlowError(FetchError):
    """No whole answer came in time."""


class Client:
    """Asks as `access` says. To be closed, or used in a ``with``; threads may share it.

    Args:
        server: what messages call it; by default, the address that was asked.
        hidden: what no message may hold besides the secrets of `access`, the longest first.

    Raises:
        InputError: a certificate's file cannot be used.
    """

    def __init__(self, access: Access, settings: Settings, server: str | None = None, hidden: Sequence[str] = ()):
        self._access = access
        self._server = server
        self._own_headers = own_headers(access)
        self._secrets = [*hidden, *secrets(access)]
        self._client = opened(access, settings)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    # ----------------------------------------------------------------------------------------------------- questions

    def request(self, method: str, url: str, *, largest: int | None = None, **options: Any) -> bytes:
        """The whole answer to a question.

        Args:
            largest: how many bytes it may have.
            options: as httpx has them: params, content, json, headers.

        Raises:
            FetchError: there is none, or it is no success, or too large.
        """

        def whole() -> bytes:
            found = bytearray()
            with self._success(method, url, **options) as (_, body):
                for piece in body:
                    found += piece
                    if largest is not None and len(found) > largest:
                        raise FetchError(f"{self._named(url)}: answers more than {largest >> 20} MiB; is it well?")
            return bytes(found)

        return self.patiently(whole)

    def headers(self, url: str) -> httpx.Headers:
        """What an answer begins with; its content is not read. By GET, since signed addresses allow no HEAD.

        Raises:
            FetchError: as `request`.
        """

        def begun() -> httpx.Headers:
            with self._success("GET", url) as (response, _):
                return response.headers

        return self.patiently(begun)

    def download(self, url: str, path: Path, unless: Callable[[httpx.Headers], bool]) -> httpx.Headers | None:
        """Write what is found at an address to a file, as it comes; that may last.

        Args:
            unless: whether the content is not wanted, going by what the answer begins with.

        Returns:
            What it began with; None where it was not wanted.

        Raises:
            FetchError: as `request`, and where the content keeps breaking off.
        """

        def downloaded() -> httpx.Headers | None:
            with self._success("GET", url, headers={"Accept-Encoding": "identity"}) as (response, _):
                if unless(response.headers):
                    return None
                with path.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
                return response.headers

        return self.patiently(downloaded)

    # ---------------------------------------------------------------------------------------------------------- pieces

    def without_secrets(self, said: str) -> str:
        """What a server says, in one line that people may see."""
        return plain(said, self._secrets)

    def patiently(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, which is called again where it fails in passing.

        Raises:
            FetchError: it fails otherwise, or too often.
        """
        attempt = 1
        while True:
            try:
                return ask()
            except FetchError as error:
                if not error.passing:
                    raise
                if attempt == self._access.attempts or (error.retry_after_s or 0) > MOST_PATIENCE_S:
                    error.attempts = attempt
                    raise
                sleep(wait_s(attempt, error.retry_after_s))
            attempt += 1

    @contextmanager
    def answer(
        self, method: str, url: str, *, follow: bool = True, **options: Any
    ) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        """One attempt: an answer of whatever status, and its content as it arrives, as long as that is in time.

        Args:
            follow: where a redirect leads.
            options: as `request`.

        Raises:
            FetchError: there is none, or it breaks off while the block reads it.
        """
        until = monotonic() + self._access.timeout_s
        try:
            # Packing costs a server several times what sending costs on the same machine.
            encoding = {"Accept-Encoding": "identity" if is_loopback(httpx.URL(url)) else "gzip"}
            headers = encoding | self._own_headers | options.pop("headers", {})
            request = self._client.build_request(method, url, headers=headers, **options)
            response = self._client.send(request, stream=True)
            if follow:
                response = self._followed(response)
            try:
                yield response, self._arriving(url, response, until)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise self._failed(url, error) from error

    def _arriving(self, url: str, response: httpx.Response, until: float) -> Iterator[bytes]:
        for piece in response.iter_bytes():
            if monotonic() > until:  # a server that drips is a slow one too
                raise self._slow(url)
            yield piece

    @contextmanager
    def _success(self, method: str, url: str, **options: Any) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        with self.answer(method, url, **options) as (response, body):
            if not response.is_success:
                raise refusal(self._named(url), response)
            yield response, body

    def _followed(self, response: httpx.Response) -> httpx.Response:
        first = response.request.url
        for _ in range(MOST_REDIRECTS):
            if response.next_request is None:
                return response
            response.close()
            onward = response.next_request
            if first.scheme == "https" and onward.url.scheme != "https":
                raise FetchError(f"{address(first)}: leads from https to {address(onward.url)}; correct the address")
            own = (onward.url.scheme, onward.url.netloc) == (first.scheme, first.netloc)
            if not own:
                for name in self._own_headers:
                    onward.headers.pop(name, None)
            response = self._client.send(onward, stream=True, auth=httpx.USE_CLIENT_DEFAULT if own else None)
        response.close()
        raise FetchError(f"{address(first)}: leads on and on, {MOST_REDIRECTS} times; correct the address")

    # --------------------------------------------------------------------------------------------------------- failures

    def _named(self, url: str) -> str:
        return self._server or address(url)

    def _slow(self, url: str) -> SlowError:
        return SlowError(
            f"{self._named(url)}: takes too long (more than {self._access.timeout_s:g} s); raise access.timeout_s,"
            " or ask for less",
            passing=True,
        )

    def _failed(self, url: str, error: Exception) -> FetchError:
        """What an error of the connection means."""
        named, said = self._named(url), cause(error, self._secrets)
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
            return FetchError(f"{named}: is no address; correct it in the settings")
        if isinstance(error, (httpx.LocalProtocolError, UnicodeEncodeError)):  # it would quote what it was given
            return FetchError(f"{named}: cannot be asked, for a header is not as HTTP allows; correct access")
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return UnreachableError(
                f"{named}: its certificate is not trusted ({said}); name its authority in access.tls.ca"
            )
        if "[SSL" in str(error) and "EOF" not in str(error):  # one that wants our certificate says so while we read
            return UnreachableError(f"{named}: TLS failed ({said}); correct access.tls")
        if isinstance(error, httpx.ConnectTimeout):
            return UnreachableError(f"{named}: does not answer; is it up, and reachable from here?", passing=True)
        if isinstance(error, httpx.TimeoutException):
            return self._slow(url)
        if isinstance(error, httpx.ConnectError):
            return UnreachableError(
                f"{named}: cannot be reached ({said}); is it up, and reachable from here?", passing=True
            )
        return FetchError(f"{named}: broke off ({said})", passing=True)


def refusal(named: str, response: httpx.Response, said: str = "", mend: str | None = None) -> FetchError:
    """What a status that is no success means.

    Args:
        said: what the server says of it, in one line.
        mend: by default, that of `MENDS`.
    """
    status = response.status_code
    parts = [f"{named}: answers {status} {shown(response.reason_phrase)}".rstrip(), *([said] if said else [])]
    used_up = is_used_up(response)
    mend = MENDS[429] if used_up else mend or MENDS.get(status)
    return FetchError(
        ": ".join(parts) + (f"; {mend}" if mend else ""),
        status,
        passing=used_up or status in IN_PASSING,
        retry_after_s=retry_after_s(response),
    )
