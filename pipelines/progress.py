"""What a run shows while it works: a bar per stage on a terminal, nothing inside Dagster (which has its own view)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[int], None]


class StageProgress(Protocol):
    """Something that can show stages."""

    seconds: dict[str, float]
    """Stage -> wall-clock seconds, in the order of the run."""

    def stage(self, name: str, total: int = 1) -> AbstractContextManager[Advance]:
        """A stage of `total` parts; call what it yields with how many more are done."""
        ...


class Silent:
    """Keeps the times, shows nothing."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Advance]:
        began = time.monotonic()
        try:
            yield lambda _done: None
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


class Bars:
    """One line a stage on a terminal; where there is none, one line when the stage is done."""

    def __init__(self, console: Console):
        self.seconds: dict[str, float] = {}
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Advance]:
        began = time.monotonic()
        task = self._bars.add_task(name, total=max(total, 1))
        try:
            yield lambda done: self._bars.update(task, advance=done)
            self._bars.update(task, completed=max(total, 1))
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            if not self._console.is_terminal:
                self._console.print(f"{name:<28} {self.seconds[name]:6.1f} s")
