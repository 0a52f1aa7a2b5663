"""Which column of a file plays which part, and what types a part may be stored as.

Belongs here: the parts, and the messages when a file does not have them. Not here: how values are read
(``times``, ``metric_rows``, ``incident_rows``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from pipelines.sources.errors import InputError, shown

NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "FLOAT", "DOUBLE", "DECIMAL",
)  # fmt: skip
TEXTS = ("VARCHAR", "ENUM", "UUID", "NULL")
STAMPS = ("DATE", "TIMESTAMP")  # as a prefix: with and without zone, of every precision


class Kind(Enum):
    """What a part holds, with the DuckDB types (by prefix) that it may be stored as in a typed file."""

    TEXT = ("text", (*TEXTS, *NUMBERS, "BOOLEAN"))
    TIME = ("a time", (*STAMPS, *TEXTS, *NUMBERS))
    NUMBER = ("a number", (*NUMBERS, "BOOLEAN"))
    COUNT = ("a whole number", (*NUMBERS, *TEXTS))
    FLAG = ("true or false", ("BOOLEAN", *NUMBERS, *TEXTS))

    def __init__(self, words: str, types: tuple[str, ...]):
        self.words = words
        self.types = types

    def may_be(self, column_type: str) -> bool:
        nested = column_type.endswith("]")
        return not nested and column_type.strip('"').startswith(self.types)


@dataclass(frozen=True)
class Part:
    """A canonical column."""

    kind: Kind
    required: bool = False


def assign(
    file: str, columns: Mapping[str, str], mapping: Mapping[str, str], parts: Mapping[str, Part], *, typed: bool
) -> dict[str, str]:
    """Canonical name -> column of the file, for the parts that it has.

    Args:
        file: its name, for messages.
        columns: column -> DuckDB type.
        mapping: canonical name -> column, from the settings.
        typed: whether the types are the file's own (Parquet) or all text (CSV).

    Raises:
        InputError: a column is missing or of a type that its part cannot be.
    """
    found: dict[str, str] = {}
    for name, part in parts.items():
        column = mapping.get(name, name)
        if column not in columns:
            if part.required or name in mapping:
                raise InputError(_missing(file, name, column, columns, mapped=name in mapping))
            continue
        if typed and not part.kind.may_be(columns[column]):
            raise InputError(
                f"{file}: column {shown(column)!r} is of type {shown(columns[column])}, but {name} must be "
                f"{part.kind.words}; write it as one or map {name} to another column"
            )
        found[name] = column
    return found


def _missing(file: str, name: str, column: str, columns: Mapping[str, str], *, mapped: bool) -> str:
    near = get_close_matches(column, columns, n=1)
    other = f" (did you mean {shown(near[0])!r}?)" if near else f" (it has {_listed(columns)})"
    mend = f"correct columns.{name} in the settings" if mapped else f"add it, or name the right one as columns.{name}"
    return f"{file}: has no column {shown(column)!r}{other}; {mend}"


def _listed(columns: Mapping[str, str], most: int = 8) -> str:
    names = [shown(name)[:40] for name in columns]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
