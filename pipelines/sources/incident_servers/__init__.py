"""Trackers and pagers that are asked for incidents over a network.

A new one is a module here with a class like `pages.Asked`, a settings model (``pipelines.source_options``),
and a line in the registry (``pipelines.sources.INCIDENTS``).

Belongs here: servers of incidents, and what all of them share. Not here: rules for rows (``incident_rows``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.settings import Settings
from pipelines.source_options import IncidentServer
from pipelines.sources.access import tls_context
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.findings import Finding
from pipelines.sources.incident_rows import StagedIncidents
from pipelines.sources.incident_servers import staging
from pipelines.sources.incident_servers.pages import Asked


@dataclass(frozen=True)
class Served:
    """A type of server as a source's module.

    opened: from its options and the settings.
    """

    opened: Callable[[Any, Settings], Asked]

    def inspect(self, source: IncidentServer, settings: Settings) -> list[Path]:
        """Whether the files of its access can be used; the server is not asked.

        Raises:
            InputError: one line with the mend.
        """
        tls_context(source.access, settings)
        return []

    def survey(self, source: IncidentServer, settings: Settings) -> Iterator[Finding]:
        """What ``forewarn check`` says of it."""
        try:
            with self.opened(source, settings) as server:
                yield Finding("ok", server.survey())
        except NotFetchedError as error:
            yield Finding("fault", str(error))

    def stage(
        self,
        con: duckdb.DuckDBPyConnection,
        source: IncidentServer,
        settings: Settings,
        *,
        as_of: datetime,
        now: datetime,
        folder: Path,
        fetched: pl.DataFrame | None = None,
    ) -> StagedIncidents:
        """See ``pipelines.sources.stage_incidents``."""
        server = self.opened(source, settings)
        return staging.stage(con, source, settings, server, as_of=as_of, now=now, folder=folder, fetched=fetched)
