r"""Keys of Zabbix items: read, matched, and turned into names.

A key is a name and maybe parameters: ``vfs.fs.size[/,pused]``. A parameter may be quoted (``"a,b"``, with ``\"`` for a
quote) or an array in brackets, which stays one text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from pipelines.source_options import ZabbixKey

WELL_KNOWN = Path(__file__).resolve().parents[3] / "data" / "zabbix_keys.yaml"
UNITS = {"%": "percent", "B": "bytes", "Bps": "bytes/s", "bps": "bits/s", "s": "seconds", "uptime": "seconds"}
"""Zabbix's word for a unit -> ours; others stay as they are."""
PARAMETER = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<array>[^\]]*)\]|(?P<plain>[^,\]]*))\s*(?P<end>[,\]]|$)'
)


@dataclass(frozen=True)
class Key:
    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Meaning:
    """What an item's series is called here, and how its values become those of the series."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    unit: str | None
    factor: float = 1
    plus: float = 0


def read_key(text: str) -> Key:
    """A key in its parts; empty parameters at the end are none."""
    name, bracket, rest = text.partition("[")
    parameters: list[str] = []
    while bracket:
        found = PARAMETER.match(rest)
        if found is None:  # no key that Zabbix would take
            return Key(text, ())
        quoted = found["quoted"]
        plain = found["array"] if found["array"] is not None else found["plain"]
        parameters.append(plain if quoted is None else quoted.replace('\\"', '"'))
        rest = rest[found.end() :]
        bracket = found["end"] == ","
    while parameters and not parameters[-1]:
        parameters.pop()
    return Key(name, tuple(parameters))


@cache
def well_known() -> tuple[ZabbixKey, ...]:
    """What data/zabbix_keys.yaml says."""
    return tuple(map(ZabbixKey.model_validate, yaml.safe_load(WELL_KNOWN.read_text(encoding="utf-8"))))


@dataclass(frozen=True)
class Dictionary:
    """Keys with a meaning, in order of precedence."""

    entries: tuple[tuple[Key, ZabbixKey], ...]

    @staticmethod
    def of(own: Sequence[ZabbixKey]) -> Dictionary:
        return Dictionary(tuple((read_key(entry.key), entry) for entry in (*own, *well_known())))

    def find(self, key: Key) -> int | None:
        """Which entry speaks for a key; the smaller the number, the higher its precedence."""
        return next((at for at, (pattern, _) in enumerate(self.entries) if _matches(pattern, key)), None)

    def meaning(self, at: int, key: Key, units: str) -> Meaning:
        entry = self.entries[at][1]
        labels = {label: _parameter(key, number - 1) for label, number in entry.labels.items()}
        found = tuple(sorted((label, value) for label, value in labels.items() if value))
        return Meaning(entry.metric, found, entry.unit or unit(units), entry.factor, entry.plus)


def literally(key: Key, units: str) -> Meaning:
    """The meaning of a key that no entry explains: its own name, its parameters as labels."""
    labels = ((f"param{number}", value) for number, value in enumerate(key.parameters, 1) if value)
    return Meaning(key.name, tuple(labels), unit(units))


def unit(units: str) -> str | None:
    return UNITS.get(units, units.removeprefix("!")) or None


def glob(pattern: str) -> re.Pattern[str]:
    """A glob in which only * and ? are special, since keys are full of brackets."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _matches(pattern: Key, key: Key) -> bool:
    if pattern.name != key.name:
        return False
    count = max(len(pattern.parameters), len(key.parameters))
    pairs = ((_parameter(pattern, at), _parameter(key, at)) for at in range(count))
    return all(wanted in ("*", has) for wanted, has in pairs)


def _parameter(key: Key, at: int) -> str:
    return key.parameters[at] if at < len(key.parameters) else ""
