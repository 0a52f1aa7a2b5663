"""Servers are asked over HTTP: patiently, and with secrets that no message shows.

A request that fails in passing (no connection, time-out, 429, 5xx) is made again, as often as the source's `Access`
allows, after a wait that doubles and is never the same for two clients; what the server says in ``Retry-After`` counts
more. What is sent must therefore be a mere question. Redirects are followed; secrets go to no other host than the
first, and nothing goes from https to http.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.errors import InputError, NotFetchedError, shown

T = TypeVar("T")

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
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
    """

    def __init__(
        self, message: str, status: int | None = None, *, passing: bool = False, retry_after_s: float | None = None
    ):
        super().__init__(message)
        self.status = status
        self.passing = passing
        self.retry_after_s = retry_after_s


def address(url: str | httpx.URL) -> str:
    """An address as people may see it: without user, password and query, which may be secrets."""
    parts = urlsplit(str(url))
    return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


class Client:
    """Asks as `access` says. To be closed, or used in a ``with``; threads may share it.

    Raises:
        InputError: a certificate's file cannot be used.
    """

    def __init__(self, access: Access, settings: Settings):
        self._access = access
        self._own_headers = {name: value.get_secret_value() for name, value in access.headers.items()}
        if access.bearer is not None:
            self._own_headers["Authorization"] = f"Bearer {access.bearer.get_secret_value()}"
        password = access.password.get_secret_value() if access.password else ""
        self._client = httpx.Client(
            verify=_trust(access, settings),
            auth=httpx.BasicAuth(access.username, password) if access.username is not None else None,
            timeout=httpx.Timeout(access.timeout_s, connect=min(access.timeout_s, 15)),
            limits=httpx.Limits(max_connections=access.concurrency),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The whole answer to a question.

        Args:
            options: as httpx has them: params, content, json, headers.

        Raises:
            FetchError: there is none, or it is no success.
        """
        return self._patiently(lambda: self._whole(method, url, options))

    def headers(self, url: str) -> httpx.Headers:
        """What an answer begins with; its content is not read. By GET, since signed addresses allow no HEAD.

        Raises:
            FetchError: as `request`.
        """
        response = self._patiently(lambda: self._opened("GET", url, {}))
        response.close()
        return response.headers

    def download(self, url: str, path: Path, unless: Callable[[httpx.Headers], bool]) -> httpx.Headers | None:
        """Write what is found at an address to a file, as it comes.

        Args:
            unless: whether the content is not wanted, going by what the answer begins with.

        Returns:
            What it began with; None where it was not wanted.

        Raises:
            FetchError: as `request`, and where the content keeps breaking off.
        """
        return self._patiently(lambda: self._downloaded(url, path, unless))

    def _patiently(self, ask: Callable[[], T]) -> T:
        for attempt in range(1, self._access.attempts):
            try:
                return ask()
            except FetchError as error:
                if not error.passing:
                    raise
                doubled = FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
                sleep(min(doubled if error.retry_after_s is None else error.retry_after_s, LONGEST_WAIT_S))
        return ask()

    def _whole(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        response = self._opened(method, url, options)
        try:
            response.read()
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error
        finally:
            response.close()
        return response

    def _downloaded(self, url: str, path: Path, unless: Callable[[httpx.Headers], bool]) -> httpx.Headers | None:
        response = self._opened("GET", url, {"headers": {"Accept-Encoding": "identity"}})
        try:
            if unless(response.headers):
                return None
            with path.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error
        finally:
            response.close()
        return response.headers

    def _opened(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        """An answer that is a success, its content unread."""
        headers = self._own_headers | options.get("headers", {})
        try:
            request = self._client.build_request(method, url, **(options | {"headers": headers}))
            response = self._followed(self._client.send(request, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(url, error) from error
        if response.is_success:
            return response
        response.close()
        raise _refused(url, response)

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


def _trust(access: Access, settings: Settings) -> ssl.SSLContext:
    tls = access.tls
    own = {key: str(settings.path(path)) for key, path in tls.model_dump().items() if path is not None}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls.ca else httpx.create_ssl_context()
    key = "ca"
    try:
        if tls.ca:
            context.load_verify_locations(own["ca"])
        key = "certificate"
        if tls.certificate:
            context.load_cert_chain(own["certificate"], own.get("key"))
    except OSError as error:  # ssl's own are among them
        said = "no PEM file, or of another key" if isinstance(error, ssl.SSLError) else error.strerror
        raise InputError(f"{shown(own[key])}: cannot be used ({said}); correct access.tls.{key}") from error
    return context


def _unreachable(url: str, error: Exception) -> FetchError:
    said = shown(" ".join(str(error).split())) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return FetchError(
            f"{address(url)}: its certificate is not trusted ({said}); name its authority in access.tls.ca"
        )
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return FetchError(f"{address(url)}: is no address; correct it in the settings")
    if isinstance(error, httpx.ConnectTimeout):
        return FetchError(f"{address(url)}: does not answer; is it up, and reachable from here?", passing=True)
    if isinstance(error, httpx.TimeoutException):
        return FetchError(f"{address(url)}: takes too long; raise access.timeout_s, or ask for less", passing=True)
    if isinstance(error, httpx.ConnectError):
        return FetchError(
            f"{address(url)}: cannot be reached ({said}); is it up, and reachable from here?", passing=True
        )
    return FetchError(f"{address(url)}: broke off ({said})", passing=True)


def _refused(url: str, response: httpx.Response) -> FetchError:
    status = response.status_code
    mend = f"; {MENDS[status]}" if status in MENDS else ""
    return FetchError(
        f"{address(url)}: answers {status} {shown(response.reason_phrase)}{mend}",
        status,
        passing=status in IN_PASSING,
        retry_after_s=_retry_after(response.headers.get("Retry-After")),
    )


def _retry_after(said: str | None) -> float | None:
    """Seconds, or a date."""
    if said is None:
        return None
    try:
        return max(
            0.0, float(said) if said.isdigit() else (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
