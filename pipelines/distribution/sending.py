"""Write-ahead for the incident report: to each destination once a night, and nothing lost.

An intent is written down before a server is called, what became of it after. Where an intent has no such end (a crash,
a power cut), the report may have arrived all the same: it is sent again under the same id, by which mail programs and
receivers know it again. One that failed is tried again by the nights after, until a newer one is due.

Belongs here: that order. Not here: which night is due (``reports.due_nights``), the servers (``smtp``, ``webhook``),
the table (``record``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from pipelines.distribution import parcels, smtp, webhook
from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Destination, Email, Webhook
from pipelines.distribution.record import Entry, Record
from pipelines.settings import Settings
from reports.due_nights import PATIENCE, next_due, outstanding
from reports.incident_chat import post
from reports.incident_letter import Parcel
from reports.incident_mail import Envelope, compose
from reports.receivers import mailbox


@dataclass(frozen=True)
class Sent:
    """What became of a destination, and the same in words; rested: nothing was due, or it had it already."""

    destination: str
    became: Literal["sent", "failed", "rested"]
    told: str


def send_due(settings: Settings, tonight: date, record: Record) -> list[Sent]:
    """What a night sends: its own report where it is due, else a newer one that has not arrived yet.

    A night that is long past sends nothing: who fills an archive does not want a mail for each Monday of it.
    """
    if settings.today - tonight >= PATIENCE:
        return [
            Sent(each.name, "rested", f"the night of {tonight} is long past; nothing sent")
            for each in settings.distribution
        ]
    return [_send_due(each, settings, tonight, record) for each in settings.distribution]


def _send_due(destination: Destination, settings: Settings, tonight: date, record: Record) -> Sent:
    entries = record.entries(destination.name)
    arrived = {
        night: entry.state == "done"
        for night, entry in entries.items()
        if entry.state == "done" or parcels.stands_in(settings.report_folder(night))
    }
    night = outstanding(tonight, destination.nights, arrived)
    if night is None:
        has = f"has the report of {tonight}; " if arrived.get(tonight) else "nothing due; "
        return Sent(destination.name, "rested", f"{has}next: {next_due(tonight, destination.nights)}")
    return _send(destination, settings, night, settings.report_folder(night), record)


def send_now(
    settings: Settings, night: date, folder: Path, record: Record, *, to: Sequence[str] = (), again: bool = False
) -> list[Sent]:
    """What somebody asks for: a night's report to all destinations, whether due or not.

    Args:
        folder: where the report stands.
        to: names of destinations, where not all are meant.
        again: also to those that have it.
    """
    chosen = [each for each in settings.distribution if not to or each.name in to]
    return [_send(each, settings, night, folder, record, again=again) for each in chosen]


def _send(
    destination: Destination, settings: Settings, night: date, folder: Path, record: Record, *, again: bool = False
) -> Sent:
    entry = record.entries(destination.name).get(night, Entry(destination.name, night, "intended"))
    if entry.state == "done":
        if not again:
            return Sent(destination.name, "rested", f"has the report of {night} since {entry.changed_at} UTC")
        entry = replace(entry, number=entry.number + 1)
    record.write(replace(entry, state="intended", error=None))
    try:
        told = _carry(destination, settings, parcels.read(folder), entry)
    except NotSentError as error:
        taken = (*entry.taken, *error.taken)
        record.write(replace(entry, state="failed", taken=taken, error=str(error)))
        return Sent(destination.name, "failed", f"not sent: {error}")
    record.write(replace(entry, state="done", taken=(), error=None))
    return Sent(destination.name, "sent", f"sent the report of {night} {told}")


def _carry(destination: Destination, settings: Settings, parcel: Parcel, entry: Entry) -> str:
    """Bring a report to its destination.

    Returns:
        To whom, as in 'to 3 recipients'.

    Raises:
        NotSentError: it was not taken, or not for all.
    """
    letter_id, link = letter_id_of(settings, entry), link_of(destination, entry.night)
    if isinstance(destination, Email):
        left = [each for each in destination.recipients if each not in entry.taken]
        everybody = [mailbox(each) for each in destination.recipients]
        envelope = Envelope(
            mailbox(destination.sender), everybody, letter_id, entry.number, link, destination.attachments
        )
        if left:  # all may have it, where the settings name fewer than before
            smtp.send(destination, settings, compose(parcel, envelope, datetime.now(UTC)), left)
        return f"to {len(left)} recipient{'' if len(left) == 1 else 's'}"
    if isinstance(destination, Webhook):
        key = letter_id if entry.number == 1 else f"{letter_id}.{entry.number}"
        webhook.send(destination, settings, *post(parcel, destination.format, key, link), key)
        return f"as {destination.format}"
    raise TypeError(f"{type(destination).__name__} is no destination")


def letter_id_of(settings: Settings, entry: Entry) -> str:
    """The same whenever this site tells this destination of this night, and another for every other."""
    told = f"{settings.folder}\n{entry.destination}"
    return f"forewarn.{entry.night}.{blake2b(told.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def link_of(destination: Destination, night: date) -> str | None:
    return destination.link.replace("{night}", night.isoformat()) if destination.link else None
