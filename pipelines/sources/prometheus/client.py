"""HTTP: how a server is asked, how often, and what its refusals mean.

Belongs here: access, time-outs, repetition, and the classes of failure. Not here: what is asked, or how answers are
read. Nothing that is said holds a header's value: a message names the address, the status and what the server said.
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.errors import InputError, shown
from pipelines.sources.prometheus.answers import GarbledError, check_success, read_json

T = TypeVar("T")

CONNECT_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
LONGEST_ERROR = 1 << 16
LONGEST_SAID = 200
BUSY = {408, 425, 429, 500, 502, 503, 504}
MISSING = {404, 405, 406, 410, 415, 501}
TOO_MUCH = re.compile(
    r"too many|too large|cannot exceed|exceed(?:s|ed|ing) |maximum resolution|max-samples|sample limit|would load"
    r"|timed out|timeout|err-mimir-max",
    re.IGNORECASE,
)
TLS_NOISE = re.compile(r"^\[SSL[^\]]*\]\s*|\s*\(_ssl\.c:\d+\)")
TIMED_OUT = re.compile(r"timed out|timeout|deadline exceeded", re.IGNORECASE)


class FetchError(Exception):
    """A request came to nothing; the message is one line that says why and what mends it."""


class DownError(FetchError):
    """No request will do better: the server is not reachable, or does not let us in."""


class TooMuchError(FetchError):
    """Less of it might be answered."""


class NotOfferedError(FetchError):
    """The server does not have what was asked for."""


class _AgainError(Exception):
    """Worth another attempt. `pause`: as long as the server asks for."""

    def __init__(self, said: str, pause: float | None = None, then: type[FetchError] = FetchError):
        super().__init__(said)
        self.pause = pause
        self.then = then


class Client:
    """One server, to be shared among threads.

    Args:
        url: as far as before /api/v1.

    Raises:
        InputError: the files of its TLS settings cannot be used.
    """

    def __init__(self, url: str, access: Access, settings: Settings):
        self.url = url.rstrip("/")
        self.skew_s: float | None = None
        """By how much the server's clock is ahead of ours, as of its last answer."""
        self.is_victoria_metrics = False
        self._access = access
        self._down: DownError | None = None
        self._slow_in_a_row = 0
        self._lock = threading.Lock()
        password = access.password.get_secret_value() if access.password else ""
        self._http = httpx.Client(
            base_url=self.url,
            headers=_headers(self.url, access),
            auth=(access.username, password) if access.username is not None else None,
            verify=tls_context(access, settings) if self.url.startswith("https") else False,
            timeout=httpx.Timeout(access.timeout_s, connect=min(CONNECT_S, access.timeout_s)),
            limits=httpx.Limits(max_connections=access.concurrency),
            trust_env=not is_loopback(self.url),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def json(self, path: str, pick: Callable[[Any], T], parameters: Mapping[str, str] | None = None) -> T:
        """What `pick` takes from the data of a small answer; POST where there are parameters, which may be long.

        Raises:
            FetchError: see the classes.
        """

        def read(body: Iterable[bytes]) -> T:
            told = read_json(b"".join(body))
            check_success(told)
            try:
                return pick(told.get("data"))
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise GarbledError("it is not laid out as the Prometheus API does") from error

        return self.read(path, read, method="GET" if parameters is None else "POST", data=parameters)

    def read(
        self,
        path: str,
        read: Callable[[Iterable[bytes]], T],
        *,
        method: str = "POST",
        data: Mapping[str, str | list[str]] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """What `read` makes of an answer's body as it arrives; from the beginning where it fails midway.

        Raises:
            FetchError: see the classes.
        """
        for attempt in range(1, self._access.attempts + 1):
            if self._down is not None:
                raise self._down
            try:
                with self._answer(method, path, data=data, content=content, headers=headers) as body:
                    found = read(body)
                self._slow_in_a_row = 0
                return found
            except _AgainError as error:
                if attempt == self._access.attempts:
                    raise self._given_up(error, attempt) from error
                time.sleep(_pause(attempt, error.pause))
            except DownError as error:
                with self._lock:
                    self._down = self._down or error
                raise
        raise AssertionError("there is at least one attempt")

    def _given_up(self, error: _AgainError, attempts: int) -> FetchError:
        times = f" ({attempts} attempts)" if attempts > 1 else ""
        final = error.then(f"{error}{times}")
        if isinstance(final, DownError):
            with self._lock:
                self._down = self._down or final
        return final

    @contextmanager
    def _answer(self, method: str, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        """An answer's body; every failure, also one while it is read, is one of ours."""
        began = time.monotonic()
        try:
            with self._http.stream(method, path, **{k: v for k, v in request.items() if v is not None}) as response:
                self._note(response)
                if response.status_code != httpx.codes.OK:
                    raise self._refused(response)
                yield self._arriving(response, began)
        except httpx.ConnectTimeout as error:
            raise self._unreachable("does not answer") from error
        except httpx.TimeoutException as error:
            raise self._slow() from error
        except httpx.ConnectError as error:
            raise self._unreachable(_cause(error)) from error
        except httpx.DecodingError as error:
            raise _AgainError(f"{self.url}: its answer cannot be unpacked") from error
        except httpx.TransportError as error:
            raise self._broken_off(_cause(error)) from error
        except httpx.HTTPError as error:
            raise FetchError(f"{self.url}: {_cause(error)}") from error
        except GarbledError as error:
            raise _AgainError(f"{self.url}: its answer is unusable: {shown(str(error))}") from error

    def _arriving(self, response: httpx.Response, began: float) -> Iterator[bytes]:
        """The body, as long as it comes in time: a server that drips is a slow one too."""
        for piece in response.iter_bytes(1 << 18):
            yield piece
            if time.monotonic() - began > self._access.timeout_s:
                raise self._slow()

    def _note(self, response: httpx.Response) -> None:
        if "x-server-hostname" in response.headers:
            self.is_victoria_metrics = True
        try:
            told = parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            return
        self.skew_s = (told - datetime.now(UTC)).total_seconds()

    def _refused(self, response: httpx.Response) -> Exception:
        """What a status other than 200 means."""
        status, said = response.status_code, _said(response)
        told = f"{self.url}: {status} {response.reason_phrase}{': ' + said if said else ''}".rstrip()
        if status == httpx.codes.UNAUTHORIZED:
            return DownError(f"{told}; is the token expired? renew what access names")
        if status == httpx.codes.FORBIDDEN:
            return DownError(f"{told}; give what access names the right to query")
        if response.is_redirect:
            to = shown(response.headers.get("location", "elsewhere").partition("?")[0])
            return DownError(f"{self.url}: redirects to {to}; correct url")
        if status in MISSING:
            return NotOfferedError(f"{told}; is url right, as far as before /api/v1?")
        if status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.REQUEST_ENTITY_TOO_LARGE):
            return TooMuchError(told) if TOO_MUCH.search(said) or status not in (400, 422) else FetchError(told)
        if status in BUSY:
            if TIMED_OUT.search(said) and status != httpx.codes.TOO_MANY_REQUESTS:
                return self._slow(told)
            return _AgainError(told, _retry_after(response.headers.get("retry-after")))
        return FetchError(told)

    def _slow(self, told: str = "") -> FetchError:
        """Less may come in time; but not for ever, where nothing does."""
        told = told or f"{self.url}: gave no whole answer within {self._access.timeout_s:g} s; raise access.timeout_s"
        with self._lock:
            self._slow_in_a_row += 1
            return (DownError if self._slow_in_a_row > self._access.attempts else TooMuchError)(told)

    def _unreachable(self, cause: str) -> Exception:
        if "SSL" in cause:
            return self._distrusted(cause)
        return _AgainError(f"{self.url}: is not reachable ({cause}); is it running, is url right?", then=DownError)

    def _broken_off(self, cause: str) -> Exception:
        if "SSL" in cause:  # a server that wants a certificate of ours says so only now
            return self._distrusted(cause)
        return _AgainError(f"{self.url}: broke off its answer ({cause})")

    def _distrusted(self, cause: str) -> DownError:
        return DownError(f"{self.url}: TLS failed ({TLS_NOISE.sub('', cause)}); correct access.tls")


# ------------------------------------------------------------------------------------------------------------ access


def tls_context(access: Access, settings: Settings) -> ssl.SSLContext:
    """Whom to trust, and who we are.

    Raises:
        InputError: a file is missing or is not what it should be.
    """
    tls = access.tls
    context = _load("ca", tls.ca, lambda: ssl.create_default_context(cafile=_path(tls.ca, settings)))
    if tls.certificate is not None:
        certificate = tls.certificate
        _load(
            "certificate",
            certificate,
            lambda: context.load_cert_chain(settings.path(certificate), _path(tls.key, settings)),
        )
    return context


def _path(name: str | None, settings: Settings) -> str | None:
    return None if name is None else str(settings.path(name))


def _load(key: str, name: str | None, load: Callable[[], T]) -> T:
    try:
        return load()
    except FileNotFoundError as error:
        raise InputError(f"access.tls.{key}: {shown(str(name))} or its key does not exist; correct the path") from error
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"access.tls.{key}: {shown(str(name))} cannot be used ({shown(str(error))})") from error


def _headers(url: str, access: Access) -> dict[str, str]:
    # Packing costs a server several times what sending costs on the same machine.
    headers = {"Accept-Encoding": "identity" if is_loopback(url) else "gzip", "User-Agent": "forewarn"}
    headers |= {name: secret.get_secret_value() for name, secret in access.headers.items()}
    if access.bearer is not None:
        headers["Authorization"] = f"Bearer {access.bearer.get_secret_value()}"
    return headers


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# ----------------------------------------------------------------------------------------------------------- messages


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt: twice as long each time, with jitter; or what the server asks for, in bounds."""
    if asked is not None:
        return min(asked, LONGEST_PAUSE_S)
    return min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.5)  # noqa: S311


def _retry_after(header: str | None) -> float | None:
    """Seconds, from a header that holds seconds or a date."""
    if not header:
        return None
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _said(response: httpx.Response) -> str:
    """What the server says of its refusal, in one line."""
    body = b""
    try:
        for piece in response.iter_bytes():
            body += piece
            if len(body) >= LONGEST_ERROR:
                break
    except httpx.HTTPError:
        pass
    text = body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except ValueError:
        said = "" if text.lstrip().startswith("<") else text
    else:
        said = str(told.get("error") or told.get("message") or "") if isinstance(told, dict) else ""
    line = " ".join(shown(" ".join(said.split())).split())
    return line if len(line) <= LONGEST_SAID else line[: LONGEST_SAID - 1] + "…"


def _cause(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__
