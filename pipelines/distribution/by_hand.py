"""``forewarn report --send``: a report to its destinations when somebody says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pipelines.distribution.record import WarehouseRecord
from pipelines.distribution.sending import Sent, send_now
from pipelines.preflight import exclusive
from pipelines.settings import Settings, SettingsError
from pipelines.site import Site


def require(settings: Settings, to: Sequence[str]) -> None:
    """Whether there is anybody to send to.

    Raises:
        SettingsError: there is not.
    """
    known = [destination.name for destination in settings.distribution]
    if not known:
        raise SettingsError("distribution: names nobody, so there is nobody to send to; add a destination")
    if unknown := [name for name in to if name not in known]:
        raise SettingsError(f"--to {unknown[0]!r}: is no destination; known are {', '.join(known)}")


def send(settings: Settings, night: date, folder: Path, *, to: Sequence[str], again: bool) -> list[Sent]:
    """Send the report that stands in a folder; no night sends meanwhile.

    Raises:
        WarehouseError: a night is at work, or the record cannot be written.
    """
    site = Site(settings)
    with exclusive(site):
        site.warehouse.migrate()
        return send_now(settings, night, folder, WarehouseRecord(site.warehouse), to=to, again=again)
