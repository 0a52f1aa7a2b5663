"""Records of servers are read without stumbling: what is not as documented is nothing, never an error.

Belongs here: values, texts, lists and times in JSON. Not here: what any server's records mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def found(record: object, path: str) -> Any:
    """What a record has at the end of a path of steps, such as ``fields.priority.name`` or ``teams.0.summary``; None
    where a step leads nowhere. A name that holds the dots itself goes first, such as ServiceNow's ``cmdb_ci.name``.
    """
    if isinstance(record, Mapping) and path in record:
        return record[path]
    for step in path.split("."):
        if isinstance(record, Mapping):
            record = record.get(step)
        elif isinstance(record, list) and step.isascii() and step.isdigit() and int(step) < len(record):
            record = record[int(step)]
        else:
            return None
    return record


def told(record: object, path: str) -> str | None:
    """The same as text; None where it is nothing, or no single value."""
    value = found(record, path)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) and value != "" else None


def records(answer: object, path: str = "") -> list[Any]:
    """A list of records in an answer; none where there is none. What is no record is left out."""
    listed = found(answer, path) if path else answer
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def texts(answer: object, path: str) -> list[str]:
    """A list of texts in an answer, such as labels. What is no text is left out."""
    listed = found(answer, path)
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def moment(text: str | None) -> datetime | None:
    """A time with its zone, as naive UTC; None where it is none."""
    try:
        at = datetime.fromisoformat(text or "")
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else None
    except (ValueError, OverflowError):  # the first hours of the year 1 in the east are in no year of UTC
        return None


def stamp(at: datetime) -> str:
    """A naive UTC time as servers and rows write it, in full seconds that are not later."""
    return f"{at.replace(microsecond=0).isoformat()}Z"
