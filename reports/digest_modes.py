"""Which services' tickets are published, in rows for the night's page. Pure.

Belongs here: what the page shows of reports.service_modes. Not here: the rule (``pilot``), the page (``digest``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from reports.text import one_line

NOBODYS = "what no service owns"


@dataclass(frozen=True)
class ServiceMode:
    """One service tonight. now: 'published' or 'in shadow'; changed: since the night before."""

    name: str
    mode: str
    now: str
    changed: bool
    reason: str


def service_modes(modes: pl.DataFrame) -> list[ServiceMode]:
    """The services, those that were switched tonight first.

    Args:
        modes: the columns of reports.service_modes, of one night. What no service owns is left out where it never had
            a ticket and there are services.
    """
    return sorted(_told(modes), key=lambda row: (not row.changed, row.now != "published"))


def _told(modes: pl.DataFrame) -> Iterator[ServiceMode]:
    for row in modes.sort("service", nulls_last=True).iter_rows(named=True):
        if row["service"] is None and not row["tickets"] and len(modes) > 1:
            continue
        name = NOBODYS if row["service"] is None else one_line(row["service"], 60)
        now = "published" if row["published"] else "in shadow"
        yield ServiceMode(name, row["mode"], now, row["changed"], row["reason"])
