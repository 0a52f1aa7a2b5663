"""Before a night begins: is everything there, readable and of this version? And: is nobody else at it?

`examine` is what ``forewarn check`` prints; `require` is the part without which a night is not begun.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.distribution import findings as distribution
from pipelines.maintenance import findings as maintenance
from pipelines.settings import Settings
from pipelines.site import Site
from pipelines.sources import inspect, survey
from pipelines.sources.errors import InputError
from pipelines.sources.findings import Finding
from pipelines.warehouse import WarehouseError

LEAST_FREE = 1 << 30


@contextmanager
def exclusive(site: Site) -> Iterator[None]:
    """Keep a second night of this site out.

    Raises:
        WarehouseError: somebody is at it.
    """
    root = site.settings.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".nightly.lock").open("w")
    except OSError as error:
        raise WarehouseError(f"{root}: cannot be written ({error.strerror}); correct storage.root") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WarehouseError(f"{root}: another nightly run is at work here; let it finish or end it") from error
        yield


def require(site: Site) -> None:
    """What a night cannot do without.

    Raises:
        InputError: a source's files are missing or unusable. A server that does not answer is no such fault: the night
            goes on without it, and says so.
        WarehouseError: the warehouse is locked, damaged or of a newer version.
    """
    site.make_sample()
    for source in (*site.settings.sources.metrics, *site.settings.sources.incidents):
        inspect(source, site.settings)
    site.warehouse.migrate()


def examine(site: Site) -> list[Finding]:
    """Everything that can be said without running a night, one line each."""
    findings = [
        *_sources(site),
        _warehouse(site),
        _disk(site.settings),
        *_signals(site.settings),
        *(Finding(level, text) for level, text in maintenance.findings(site)),
        *(Finding(level, text) for level, text in distribution.findings(site.settings)),
    ]
    return sorted(findings, key=lambda finding: ("fault", "note", "ok").index(finding.level))


def _sources(site: Site) -> Iterator[Finding]:
    try:
        site.make_sample()
    except OSError as error:
        yield Finding("fault", f"sample fleet: cannot be written ({error})")
    sources = (*site.settings.sources.metrics, *site.settings.sources.incidents)
    if not sources:
        yield Finding("fault", "sources: none are named; add sources.metrics or sources.incidents")
    for source in sources:
        try:
            for found in survey(source, site.settings):
                yield Finding(found.level, f"source {source.name}: {found.text}")
        except InputError as error:
            yield Finding("fault", f"source {source.name}: {error}")


def _warehouse(site: Site) -> Finding:
    try:
        version = site.warehouse.migrate()
    except WarehouseError as error:
        return Finding("fault", f"warehouse: {error}")
    return Finding("ok", f"warehouse: {site.warehouse.path}, schema {version}")


def _disk(settings: Settings) -> Finding:
    # Path.exists() raises where a folder may not be looked into; this one says no.
    there = next(each for each in (settings.root, *settings.root.parents) if os.path.exists(each))  # noqa: PTH110
    free = shutil.disk_usage(there).free
    told = f"storage: {free / 2**30:.1f} GiB free under {there}"
    return Finding("ok", told) if free >= LEAST_FREE else Finding("note", f"{told}; free some, a night may need 1 GiB")


def _signals(settings: Settings) -> Iterator[Finding]:
    if settings.sources.metrics and not settings.signals.all:
        yield Finding("fault", "signals: none are named, so nothing is forecast; add signals.presets or signals.own")
    for service in settings.services:
        if service.owner is None:
            yield Finding("note", f"service {service.name}: has no owner; its tickets will name nobody")
        known = {other.name for other in settings.services}
        for name in service.depends_on:
            if name not in known:
                yield Finding("note", f"service {service.name}: depends on {name!r}, which is not described; add it")
