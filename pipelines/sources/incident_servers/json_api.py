"""Trackers and pagers are asked for JSON.

Belongs here: a question and its answer as values, and many questions at once. Not here: connections, retries and
secrets (``pipelines.sources.http``), and what any server's answers mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.errors import shown
from pipelines.sources.http import Client, FetchError, refusal
from pipelines.sources.incident_servers.reading import told

T = TypeVar("T")
R = TypeVar("R")

LARGEST = 256 << 20
LONGEST_SAID = 200


@dataclass(frozen=True)
class Answer:
    value: Any
    headers: httpx.Headers


class JsonApi:
    """Asks one server. To be closed, or used in a ``with``; threads may share it.

    Args:
        url: what all addresses begin with.
        headers: of every question; no secrets.
        saying: where in an answer that is no success its reason stands, as ``reading.told`` has it, the best first.

    Raises:
        InputError: a certificate's file cannot be used.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        settings: Settings,
        *,
        headers: Mapping[str, str] | None = None,
        saying: Sequence[str] = (),
    ):
        self.url = url
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._saying = saying
        self._concurrency = access.concurrency
        self._http = Client(access, settings, url)

    def __enter__(self) -> JsonApi:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """The answer to a question.

        Args:
            path: after `url`, or a whole address on the same server, as servers name the next page.

        Raises:
            FetchError: there is none, or it is no JSON.
        """
        return self.ask("GET", path, params=params, **options)

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Answer]:
        """An answer and those behind it, each of which names the next one in its header ``Link``.

        Raises:
            FetchError: as `get`, or the way leads in a circle.
        """
        onward: str | None = path
        been = set[str]()
        while onward:
            been.add(onward)
            answer = self.get(onward, params)
            yield answer
            onward, params = link(answer.headers, "next"), None
            if onward in been:
                raise self.odd("page that it has not answered before")

    def post(self, path: str, question: object, **options: Any) -> Answer:
        """The same, of a question that is too long for an address; it changes nothing at the server."""
        return self.ask("POST", path, json=question, **options)

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        address = self._address(path)
        options["headers"] = self._headers | options.get("headers", {})
        return self._http.patiently(lambda: self._once(method, address, options))

    def together(self, ask: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What `ask` gives for each, in their order; as many at once as the settings allow.

        Raises:
            FetchError: the first that failed; those not begun are not asked.
        """
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                yield from pool.map(ask, items)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def odd(self, what: str) -> FetchError:
        """An answer is not what was asked for."""
        return FetchError(f"{self.url}: answers no {what}; is url right, and does nothing stand in between?")

    def _address(self, path: str) -> str:
        whole = path if path.startswith(("http://", "https://")) else self.url + path
        try:
            ours, theirs = httpx.URL(self.url), httpx.URL(whole)
        except httpx.InvalidURL as error:
            raise self.odd("address of what comes next") from error
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):  # our secrets are for our server only
            raise FetchError(f"{self.url}: names {shown(theirs.host)} for what comes next; correct url")
        return whole

    def _once(self, method: str, address: str, options: Mapping[str, Any]) -> Answer:
        # A redirect would turn a question that is posted into one without content.
        with self._http.answer(method, address, follow=method == "GET", **dict(options)) as (response, body):
            content = _limited(body, self.url)
            if not response.is_success:
                raise refusal(self.url, response, self._said(content))
        try:
            return Answer(json.loads(content), response.headers)
        except (ValueError, RecursionError) as error:
            raise FetchError(
                f"{self.url}: answers no JSON; is url right, and does nothing stand in between?"
            ) from error

    def _said(self, content: bytes) -> str:
        """The server's reason, in one line; none where it gives none."""
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            return ""
        said = next(filter(None, (told(answer, path) for path in self._saying)), "")
        return self._http.without_secrets(said)[:LONGEST_SAID]


def _limited(body: Iterator[bytes], server: str) -> bytes:
    found = bytearray()
    for piece in body:
        found += piece
        if len(found) > LARGEST:
            raise FetchError(f"{server}: answers more than {LARGEST >> 20} MiB; is it well?")
    return bytes(found)


def link(headers: httpx.Headers, relation: str) -> str | None:
    """The address of another page, such as the ``next`` or the ``last``, as the header ``Link`` names it."""
    return httpx.Response(200, headers=headers).links.get(relation, {}).get("url")
