"""From questions to parts: counted first, asked in pieces, divided where a piece was too much, by the fastest way that
the server offers.

Belongs here: which requests there are, in which order, and what happens when one fails. Not here: how one is made
(``asking``), or what becomes of parts (``staging``).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pipelines.source_options import Prometheus
from pipelines.sources.http import FetchError
from pipelines.sources.prometheus.asking import Asking, TooManySeriesError, Way
from pipelines.sources.prometheus.client import Client, DownError, TooMuchError
from pipelines.sources.prometheus.expressions import matchers, separable
from pipelines.sources.prometheus.parts import Catalogue, Part
from pipelines.sources.prometheus.plan import MOST_SAMPLES, Request, Windows, divided, most_windows
from pipelines.sources.prometheus.questions import Question

MOST_RAW = 2.5
"""Raw samples in a window up to which they cost less than their mean by query."""
RAW_AT_ONCE = MOST_SAMPLES
FEW_WINDOWS = 36
"""A request of so few is divided by series rather than by time."""


@dataclass(frozen=True)
class Failure:
    """A piece of a question that could not be had: which windows (None: any), why, and whether for too many series."""

    question: int
    windows: Windows | None
    said: str
    refused: bool


@dataclass
class Fetched:
    """What a server gave.

    down: why nothing more could be had of it at all. ways: way -> answers. no_fast_path: why its fast path was left.
    """

    parts: list[Part] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    down: str | None = None
    ways: Counter[Way] = field(default_factory=Counter)
    no_fast_path: str | None = None


class Fetching:
    """One night's questions to one server."""

    def __init__(self, client: Client, asking: Asking, source: Prometheus, catalogue: Catalogue):
        self._client = client
        self._asking = asking
        self._source = source
        self._catalogue = catalogue
        self._found = Fetched()
        self._lock = threading.Lock()
        self._most: dict[int, int] = {}
        self._values: dict[str, tuple[str, ...]] = {}
        self._span: Windows | None = None

    def run(self, wanted: Mapping[int, Sequence[Windows]]) -> Fetched:
        """Ask for the windows of each question; what fails is a failure, and the rest goes on."""
        stretches = [stretch for each in wanted.values() for stretch in each]
        if stretches:
            first, until = min(each.first for each in stretches), max(each.until for each in stretches)
            self._span = replace(stretches[0], first=first, until=until)
        with ThreadPoolExecutor(self._source.access.concurrency, thread_name_prefix="fetch") as pool:
            plans = list(pool.map(self._planned, *zip(*wanted.items(), strict=True))) if wanted else []
            for parts in pool.map(self._answered, *zip(*(each for plan in plans for each in plan), strict=True)):
                self._found.parts += parts
        refused = {failure.question for failure in self._found.failures if failure.refused}
        self._found.parts = [part for part in self._found.parts if part.question not in refused]
        return self._found

    # --------------------------------------------------------------------------------------------------------- plans

    def _planned(self, number: int, stretches: Sequence[Windows]) -> list[tuple[Way, Request]]:
        """The requests of a question, each with the way to ask it."""
        question = self._catalogue.questions[number]
        try:
            series = self._asking.count(f"count({question.over_an_hour})", stretches)
            if series > self._source.most_series:
                raise TooManySeriesError(f"{series:,.0f}", self._source)
            way, raw = self._way(question, stretches)
        except TooMuchError:  # even to be counted; it is asked in small pieces, and refused as soon as it is known
            series, way, raw = self._source.most_series, Way.QUERY, 1
        except FetchError as error:
            self._failed(number, None, error)
            return []
        self._most[number] = most_windows(round(series))
        most = self._most[number] if way is Way.QUERY else most_windows(round(series * raw), RAW_AT_ONCE)
        return [(way, Request(number, piece)) for stretch in stretches for piece in divided(stretch, most)]

    def _way(self, question: Question, stretches: Sequence[Windows]) -> tuple[Way, float]:
        """How a question is best asked, and how many raw samples are in one of its windows."""
        if not self._source.fast_path or question.selector is None or matchers(question.selector) is None:
            return Way.QUERY, 1
        window = f"{stretches[0].step // 1000}s"
        raw = self._asking.count(f"avg(count_over_time({question.selector}[{window}]))", stretches)
        if not 0 < raw <= MOST_RAW:
            return Way.QUERY, 1
        return (Way.EXPORT if self._client.is_victoria_metrics else Way.REMOTE_READ), max(raw, 1)

    # ------------------------------------------------------------------------------------------------------- answers

    def _answered(self, way: Way, request: Request) -> list[Part]:
        """The parts of a request; what of it cannot be had is a failure."""
        if any(failure.question == request.question and failure.refused for failure in self._found.failures):
            return []
        if way is not Way.QUERY and self._found.no_fast_path is None:
            try:
                return [self._part(way, request)]
            except (DownError, TooManySeriesError) as error:
                self._failed(request.question, request.windows, error)
                return []
            except FetchError as error:
                self._found.no_fast_path = f"{way.value}: {error}"
        pieces = divided(request.windows, self._most[request.question])
        return [part for piece in pieces for part in self._by_query(Request(request.question, piece))]

    def _by_query(self, request: Request) -> Iterator[Part]:
        """The parts of a request, divided as often as it must be."""
        try:
            yield self._part(Way.QUERY, request)
        except TooMuchError as error:
            smaller = self._smaller(request)
            if not smaller:
                self._failed(request.question, request.windows, error)
            for piece in smaller:
                yield from self._by_query(piece)
        except FetchError as error:
            self._failed(request.question, request.windows, error)

    def _smaller(self, request: Request) -> Sequence[Request]:
        """What a request that was too much is divided into: by time, then by series; nothing where it cannot be."""
        if len(request.windows) > FEW_WINDOWS:
            self._most[request.question] = min(self._most[request.question], len(request.windows) // 2)
            return request.halves()
        question = self._catalogue.questions[request.question]
        if request.label is not None:
            return request.shares(request.label, request.values) or request.halves()
        if separable(question.expression):
            label = question.entity[0]
            return request.shares(label, self._values_of(label)) or request.halves()
        return request.halves()

    def _values_of(self, label: str) -> tuple[str, ...]:
        if label not in self._values and self._span is not None:
            try:
                self._values[label] = self._asking.values(label, self._span)
            except FetchError:
                self._values[label] = ()
        return self._values.get(label, ())

    def _part(self, way: Way, request: Request) -> Part:
        part = self._asking.part(way, request)
        with self._lock:
            self._found.ways[way] += 1
        return part

    def _failed(self, question: int, windows: Windows | None, error: FetchError) -> None:
        with self._lock:
            if isinstance(error, DownError):
                self._found.down = str(error)
            refused = isinstance(error, TooManySeriesError)
            # A question that is refused is refused whole: nothing of it is kept, so no day of it was answered.
            self._found.failures.append(Failure(question, None if refused else windows, str(error), refused))
