"""One way to apply a function to batches, whatever does the work.

Belongs here: the back ends. They give results in the order of the batches, take batches from an iterator as they are
needed (a fleet never lies in memory at once), and pass on the first error. Not here: what is computed.

This module imports nothing numeric: a worker limits its threads before NumPy is loaded.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


class Mapper(Protocol):
    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """`function` of every batch, in order. `function`, batches and results must pickle."""
        ...


@dataclass(frozen=True)
class Serial:
    """In this process, one after the other."""

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        return map(function, batches)


@dataclass(frozen=True)
class ProcessPool:
    """In `workers` spawned processes; a single batch stays here, since starting them costs seconds.

    Spawned, not forked: a forked child of a process that has used polars deadlocks.
    """

    workers: int

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        with self.standing() as pool:
            yield from pool.map(function, batches)

    @contextmanager
    def standing(self) -> Iterator[Mapper]:
        """The same with processes that stay until the block is left, for whoever maps many times.

        They are started when they are first needed.
        """
        if self.workers < 2:
            yield Serial()
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.workers, mp_context=context, initializer=_one_thread_each) as executor:
            yield _Standing(executor, self.workers)


@dataclass(frozen=True)
class _Standing:
    executor: ProcessPoolExecutor
    workers: int

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        ahead = iter(batches)
        first = list(islice(ahead, 2))
        if len(first) < 2:
            yield from map(function, first)
            return
        waiting: deque[Future[Result]] = deque(self.executor.submit(function, batch) for batch in first)
        try:
            for batch in ahead:
                waiting.append(self.executor.submit(function, batch))
                if len(waiting) > self.workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _one_thread_each() -> None:
    os.environ.update(dict.fromkeys(THREADS, "1"))
