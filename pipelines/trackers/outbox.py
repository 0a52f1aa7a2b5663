"""The embedded tracker: a folder with one Markdown file and one PNG a ticket, and ``tickets.jsonl`` over all of them.

Files are named by ticket ids alone, so that no name from a metric reaches the file system. Each is written whole under
another name and then renamed, the PNG before the text that shows it, the line in ``tickets.jsonl`` last; whoever looks
in between, or after a crash, sees the old state or the new one. What has not changed is not written.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from pipelines.trackers.base import TicketDocument, TrackerError

INDEX = "tickets.jsonl"


class Outbox:
    """Tickets as files; the key of a ticket is the name of its Markdown file."""

    def __init__(self, folder: Path, name: str = "outbox") -> None:
        self.folder = folder
        self.name = name

    def find(self, ticket_id: str) -> str | None:
        file = f"{_safe(ticket_id)}.md"
        return file if (self.folder / file).is_file() else None

    def publish(self, document: TicketDocument, key: str | None = None) -> str:
        ticket_id = _safe(document.ticket_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if document.png is not None:
                self._write(f"{ticket_id}.png", document.png)
            self._write(f"{ticket_id}.md", document.markdown.encode("utf-8", "replace"))
            self._index(ticket_id, document)
        except OSError as error:
            where = error.filename or self.folder
            raise TrackerError(
                f"{where}: cannot be written ({error.strerror}); make room or see to the folder's rights"
            ) from error
        return f"{ticket_id}.md"

    def _index(self, ticket_id: str, document: TicketDocument) -> None:
        """Put the ticket's newest state into the index: one line a ticket, in the order of their ids."""
        chart = f"{ticket_id}.png" if (self.folder / f"{ticket_id}.png").is_file() else None
        tickets = self._indexed()
        tickets[ticket_id] = {**document.payload, "file": f"{ticket_id}.md", "chart": chart}
        lines = [json.dumps(tickets[each], ensure_ascii=False, sort_keys=True) for each in sorted(tickets)]
        self._write(INDEX, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))

    def _indexed(self) -> dict[str, dict[str, Any]]:
        index = self.folder / INDEX
        found: dict[str, dict[str, Any]] = {}
        if not index.is_file():
            return found
        # Not splitlines(): a name may hold characters that it takes for the end of a line.
        for number, line in enumerate(index.read_text(encoding="utf-8").split("\n"), start=1):
            if not line:
                continue
            try:
                ticket = json.loads(line)
                found[ticket["ticket_id"]] = ticket
            except (ValueError, TypeError, KeyError) as error:
                raise TrackerError(f"{index}: line {number} is not a ticket; correct or remove that line") from error
        return found

    def _write(self, name: str, content: bytes) -> None:
        """Atomically, and only if it differs."""
        path, temporary = self.folder / name, self.folder / f".{name}.tmp"
        if path.is_file() and path.read_bytes() == content:
            return
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _safe(ticket_id: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{10}-[0-9]{8}", ticket_id):
        raise ValueError(f"{ticket_id!r} is no ticket id; expected 10 hex digits, '-' and a date as 20260601")
    return ticket_id
