"""One request to a server, by one of the ways in which it can be asked, and the file that its answer becomes.

Belongs here: what is sent for a question, and where the series of its answer go. Not here: which requests there are,
and what happens when one fails (``fetching``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from urllib.parse import urlencode

from pipelines.source_options import Prometheus
from pipelines.sources.http import FetchError
from pipelines.sources.prometheus import answers, export, remote_read
from pipelines.sources.prometheus.answers import Block, Envelope
from pipelines.sources.prometheus.client import Client
from pipelines.sources.prometheus.expressions import matchers, narrowed, none_of, one_of
from pipelines.sources.prometheus.parts import Catalogue, Part, append, writing
from pipelines.sources.prometheus.plan import Request, Windows, seconds
from pipelines.sources.prometheus.questions import NAME, Question
from pipelines.sources.prometheus.windows import averaged, begun

A_DAY_S = 86_400

Labels = dict[str, str]


class Way(Enum):
    """How a question can be asked: by an expression, or for the raw samples of a selector."""

    QUERY = "query"
    REMOTE_READ = "remote read"
    EXPORT = "export"


class TooManySeriesError(FetchError):
    """A question has more series than the source allows."""

    def __init__(self, count: str, source: Prometheus):
        super().__init__(
            f"{count} series are more than most_series, {source.most_series:,}; narrow the signal's query or the"
            " source's matchers, or raise most_series"
        )


class Asking:
    """What can be asked of one server; to be shared among threads.

    Args:
        folder: where answers are written.
    """

    def __init__(self, client: Client, source: Prometheus, catalogue: Catalogue, folder: Path):
        self._client = client
        self._source = source
        self._catalogue = catalogue
        self._folder = folder
        self._files = itertools.count()

    def part(self, way: Way, request: Request) -> Part:
        """The answer to a request, in a file.

        Raises:
            FetchError: there is none, or not a whole one.
        """
        path = self._folder / f"part-{next(self._files)}.parquet"
        question = self._catalogue.questions[request.question]
        ask = {Way.QUERY: self._query, Way.REMOTE_READ: self._remote_read, Way.EXPORT: self._export}[way]
        return Part(request.question, request.windows, path, ask(question, request, path))

    def _query(self, question: Question, request: Request, path: Path) -> tuple[str, ...]:
        expression = question.expression
        if request.label is not None:
            some = none_of(request.label, request.others) if request.others else one_of(request.label, request.values)
            expression = narrowed(expression, some)

        def read(body: Iterable[bytes]) -> tuple[str, ...]:
            remarks: list[str] = []

            def found() -> Iterator[Block]:
                for block in answers.blocks(body):
                    if isinstance(block, Envelope):
                        remarks.extend(block.remarks)
                    else:
                        yield begun(block, request.windows)

            self._store(found(), request, path)
            return tuple(remarks)

        return self._client.read("/api/v1/query_range", read, data=form(expression, request.windows.parameters))

    def _remote_read(self, question: Question, request: Request, path: Path) -> tuple[str, ...]:
        conditions = matchers(question.selector or "") or []
        own = self._label_sets(question, request.windows)

        def read(body: Iterable[bytes]) -> None:
            blocks = (averaged(block, request.windows) for block in remote_read.blocks(body))
            self._store(blocks, request, path, without_external(own))

        content = remote_read.request(conditions, request.windows)
        self._client.read("/api/v1/read", read, content=content, headers=remote_read.HEADERS)
        return ()

    def _export(self, question: Question, request: Request, path: Path) -> tuple[str, ...]:
        def read(body: Iterable[bytes]) -> None:
            self._store((averaged(block, request.windows) for block in export.blocks(body)), request, path)

        self._client.read("/api/v1/export", read, data=export.request(question.selector or "", request.windows))
        return ()

    def _store(
        self,
        blocks: Iterable[Block],
        request: Request,
        path: Path,
        labels_of: Callable[[Labels], Labels] = lambda labels: labels,
    ) -> None:
        with writing(path) as writer:
            for block in blocks:
                labels = [labels_of({k: v for k, v in each.items() if k != NAME}) for each in block.labels]
                numbers = self._catalogue.numbers(request.question, labels)
                if self._catalogue.series_of(request.question) > self._source.most_series:
                    raise TooManySeriesError(f"more than {self._source.most_series:,}", self._source)
                append(writer, block, numbers)

    def _label_sets(self, question: Question, windows: Windows) -> set[frozenset[tuple[str, str]]]:
        """Of the series of a selector, as a query would show them."""
        span = {"start": seconds(windows.first), "end": seconds(windows.until - 1)}
        return self._client.json(
            "/api/v1/series",
            lambda series: {frozenset((k, v) for k, v in each.items() if k != NAME) for each in series},
            {"match[]": question.selector or "", **span},
        )

    def count(self, aggregated: str, stretches: Sequence[Windows]) -> float:
        """The largest value of an expression without labels, looked at once a day; 0 where it has none.

        Raises:
            FetchError: there is no answer.
        """
        first, until = stretches[0].first, stretches[-1].until
        end = stretches[-1].until - 1
        days = (until - first) // (A_DAY_S * 1000)
        parameters = {"start": seconds(end - days * A_DAY_S * 1000), "end": seconds(end), "step": str(A_DAY_S)}
        return self._client.json(
            "/api/v1/query_range",
            lambda data: max((_finite(value) for one in data["result"] for _, value in one["values"]), default=0.0),
            form(aggregated, parameters),
        )

    def offers(self, way: Way, question: Question, windows: Windows) -> str | None:
        """Why a way is not open, or None where it is."""

        def drained(body: Iterable[bytes]) -> None:
            blocks = remote_read.blocks(body) if way is Way.REMOTE_READ else export.blocks(body)
            for _ in blocks:
                pass

        try:
            if way is Way.REMOTE_READ:
                content = remote_read.request(matchers(question.selector or "") or [], windows)
                self._client.read("/api/v1/read", drained, content=content, headers=remote_read.HEADERS)
            else:
                self._client.read("/api/v1/export", drained, data=export.request(question.selector or "", windows))
        except FetchError as error:
            return str(error)
        return None

    def values(self, label: str, windows: Windows) -> tuple[str, ...]:
        """The values that a label had; also the empty one, which stands for its absence."""
        span = urlencode({"start": seconds(windows.first), "end": seconds(windows.until - 1)})
        return self._client.json(f"/api/v1/label/{label}/values?{span}", lambda values: ("", *map(str, values)))


def _finite(value: str) -> float:
    """Raises ValueError: it is no number that can be reckoned with."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def form(expression: str, parameters: dict[str, str]) -> dict[str, str]:
    """What is asked; `nocache` keeps VictoriaMetrics from moving the instants to multiples of the step."""
    return {"query": expression, **parameters, "nocache": "1"}


def without_external(own: set[frozenset[tuple[str, str]]]) -> Callable[[Labels], Labels]:
    """From labels as remote read shows them, with those that a server adds for others (a cluster's name), to its own.

    Args:
        own: the label sets of the series as a query shows them.
    """
    names = {name for labels in own for name, _ in labels}

    def stripped(labels: Labels) -> Labels:
        kept = {name: value for name, value in labels.items() if name in names}
        if frozenset(kept.items()) not in own:
            raise FetchError("its series have other labels than those of a query")
        return kept

    return stripped
