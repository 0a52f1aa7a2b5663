"""Which windows are asked for, in which requests.

A window [t, t + step) is evaluated one millisecond before its end and stored under t: so it holds exactly the samples
before t + step, whether a server counts a range's first instant in (Prometheus 2) or not (Prometheus 3), and nothing of
a night's cut is seen.

Belongs here: windows, and how a request that was too much is divided. Not here: which days are wanted
(``pipelines.sources.remembered``), HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from pipelines.sources.remembered import DAY, Span

MOST_POINTS = 11_000
"""Points of one series that a server gives in one answer."""
MOST_SAMPLES = 1_500_000
"""What one request asks for, expected: an answer of about 40 MB."""


@dataclass(frozen=True)
class Windows:
    """Consecutive windows: [first, first + step), ... up to `until`; milliseconds since 1970."""

    first: int
    until: int
    step: int

    def __len__(self) -> int:
        return (self.until - self.first) // self.step

    @property
    def parameters(self) -> dict[str, str]:
        """How ``query_range`` is asked for them."""
        return {
            "start": seconds(self.first + self.step - 1),
            "end": seconds(self.until - 1),
            "step": seconds(self.step),
        }

    def halves(self) -> tuple[Windows, Windows] | None:
        """Two of half the size; None for a single window."""
        if len(self) < 2:
            return None
        middle = self.first + (len(self) // 2) * self.step
        return replace(self, until=middle), replace(self, first=middle)

    def days(self) -> Iterator[Windows]:
        """The part of each UTC day."""
        day_ms = round(DAY / timedelta(milliseconds=1))
        first = self.first
        while first < self.until:
            until = min(self.until, (first // day_ms + 1) * day_ms)
            yield replace(self, first=first, until=until)
            first = until

    @property
    def day(self) -> date:
        """The UTC day in which they begin."""
        return instant(self.first).date()


@dataclass(frozen=True)
class Request:
    """A piece of a question, by its number.

    label, values: only of series whose label has one of these values; of all where there is no label.
    others: of a last share: the values of all other shares. It is asked for what has none of them, since a server may
        not know of every value that there was.
    """

    question: int
    windows: Windows
    label: str | None = None
    values: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def halves(self) -> tuple[Request, ...]:
        """Two of half the time; none for a single window."""
        return tuple(replace(self, windows=half) for half in self.windows.halves() or ())

    def shares(self, label: str, values: tuple[str, ...]) -> tuple[Request, ...]:
        """Two of half the values; none for a single one."""
        middle = len(values) // 2
        if not middle:
            return ()
        first, last = replace(self, label=label, values=values[:middle], others=()), values[middle:]
        if self.label is None or self.others:
            return first, replace(self, label=label, values=last, others=self.others + first.values)
        return first, replace(self, values=last)


def stretches(spans: Iterable[Span], step: timedelta) -> list[Windows]:
    """The windows of spans that are over, the oldest first."""
    step_ms = round(step / timedelta(milliseconds=1))
    found = (
        Windows(milliseconds(span.since), milliseconds(span.until) // step_ms * step_ms, step_ms) for span in spans
    )
    return sorted((windows for windows in found if len(windows)), key=lambda windows: windows.first)


def divided(windows: Windows, most: int) -> Iterator[Windows]:
    """Whole days of them where they fit, in pieces of at most `most` windows."""
    piece: Windows | None = None
    for day in windows.days():
        if piece is not None and len(piece) + len(day) <= most:
            piece = replace(piece, until=day.until)
            continue
        if piece is not None:
            yield piece
        piece = day
        while len(piece) > most:
            yield replace(piece, until=piece.first + most * piece.step)
            piece = replace(piece, first=piece.first + most * piece.step)
    if piece is not None:
        yield piece


def most_windows(series: int, most_samples: int = MOST_SAMPLES) -> int:
    """How many windows of so many series one request may ask for."""
    return max(1, min(MOST_POINTS, most_samples // max(series, 1)))


def milliseconds(moment: datetime) -> int:
    """Of naive UTC, since 1970."""
    return round((moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def instant(ms: int) -> datetime:
    """Naive UTC."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=ms)


def seconds(ms: int) -> str:
    """As the API writes instants and durations."""
    return f"{ms // 1000}.{ms % 1000:03d}"
