"""HTTP as PromQL's servers speak it: what their refusals mean, and what is known of a server by now.

Belongs here: the classes of failure, and which of them is which. Not here: how a server is reached and asked again
(``pipelines.sources.http``), what is asked, or how answers are read.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources import http
from pipelines.sources.access import seconds_until
from pipelines.sources.errors import shown
from pipelines.sources.http import FetchError, SlowError, UnreachableError, refusal
from pipelines.sources.prometheus.answers import GarbledError, check_success, read_json

T = TypeVar("T")

LONGEST_ERROR = 1 << 16
LONGEST_SAID = 200
SHUT = {401, 403}
MISSING = {404, 405, 406, 410, 415, 501}
UNFIT = {400, 422}
TOO_MUCH = re.compile(
    r"too many|too large|cannot exceed|exceed(?:s|ed|ing) |maximum resolution|max-samples|sample limit|would load"
    r"|timed out|timeout|err-mimir-max",
    re.IGNORECASE,
)
TIMED_OUT = re.compile(r"timed out|timeout|deadline exceeded", re.IGNORECASE)


class DownError(FetchError):
    """No request will do better: the server is not reachable, or does not let us in."""


class TooMuchError(FetchError):
    """Less of it might be answered."""


class NotOfferedError(FetchError):
    """The server does not have what was asked for."""


class Client:
    """One server, to be shared among threads.

    Args:
        url: as far as before /api/v1.

    Raises:
        InputError: the files of its TLS settings cannot be used.
    """

    def __init__(self, url: str, access: Access, settings: Settings):
        self.url = url
        self.skew_s: float | None = None
        """By how much the server's clock is ahead of ours, as of its last answer."""
        self.is_victoria_metrics = False
        self._most_slow = access.attempts
        self._down: DownError | None = None
        self._slow_in_a_row = 0
        self._lock = threading.Lock()
        self._http = http.Client(access, settings, server=self.url)

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
            return pick(told.get("data"))

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
        request = {"data": data, "content": content, "headers": headers or {}}
        try:
            return self._http.patiently(lambda: self._once(method, path, request, read))
        except DownError as error:
            with self._lock:
                self._down = self._down or DownError(str(error))
            raise

    def _once(self, method: str, path: str, request: Mapping[str, Any], read: Callable[[Iterable[bytes]], T]) -> T:
        if self._down is not None:
            raise self._down
        try:
            # A redirect would turn a question into one without parameters.
            with self._http.answer(method, self.url + path, follow=False, **request) as (response, body):
                self._note(response)
                if response.status_code != httpx.codes.OK:
                    raise self._refused(response, _said(body))
                found = _understood(read, body)
        except UnreachableError as error:
            raise error.to(DownError) from error
        except SlowError as error:
            raise self._slow(error) from error
        except GarbledError as error:
            raise FetchError(f"{self.url}: its answer is unusable: {shown(str(error))}", passing=True) from error
        self._slow_in_a_row = 0
        return found

    def _note(self, response: httpx.Response) -> None:
        if "x-server-hostname" in response.headers:
            self.is_victoria_metrics = True
        skew_s = seconds_until(response.headers.get("Date", ""))
        if skew_s is not None:
            self.skew_s = skew_s

    def _refused(self, response: httpx.Response, said: str) -> FetchError:
        """What a status other than 200 means."""
        status = response.status_code
        if response.is_redirect:
            to = shown(response.headers.get("Location", "elsewhere").partition("?")[0])
            return DownError(f"{self.url}: redirects to {to}; correct url")
        mend = "is url right, as far as before /api/v1?" if status in MISSING else None
        error = refusal(self.url, response, said, mend)
        if status in SHUT:
            return error.to(DownError)
        if status in MISSING:
            return error.to(NotOfferedError)
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE or (status in UNFIT and TOO_MUCH.search(said)):
            return error.to(TooMuchError)
        if error.passing and status != httpx.codes.TOO_MANY_REQUESTS and TIMED_OUT.search(said):
            return self._slow(error)
        return error

    def _slow(self, error: FetchError) -> FetchError:
        """Less may come in time; but not for ever, where nothing does."""
        with self._lock:
            self._slow_in_a_row += 1
            return (DownError if self._slow_in_a_row > self._most_slow else TooMuchError)(error.message)


def _understood(read: Callable[[Iterable[bytes]], T], body: Iterable[bytes]) -> T:
    """What `read` makes of a body; what it stumbles over is the server's fault.

    Raises:
        GarbledError: the body is not what it should be.
    """
    try:
        return read(body)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise GarbledError("it is not laid out as the Prometheus API does") from error


def _said(body: Iterator[bytes]) -> str:
    """What the server says of its refusal, in one line."""
    found = b""
    try:
        for piece in body:
            found += piece
            if len(found) >= LONGEST_ERROR:
                break
    except httpx.HTTPError:
        pass
    text = found.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        said = "" if text.lstrip().startswith("<") else text
    else:
        said = str(told.get("error") or told.get("message") or "") if isinstance(told, dict) else ""
    line = " ".join(shown(" ".join(said.split())).split())
    return line if len(line) <= LONGEST_SAID else line[: LONGEST_SAID - 1] + "…"
