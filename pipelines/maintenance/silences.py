"""An Alertmanager's silences as known-bad windows. Pure.

Belongs here: from the answer of ``/api/v2/silences`` to windows. Not here: asking for it (``pipelines.sources``).

A silence is a window when it is about hosts or services. One that names an alert as well says that people know of that
alert, not that they are at work: it is left out, and counted. Matchers become globs, so that nobody's regular
expression is run here: a list of names with stars is understood, all else is left out and counted too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any

from features.known_bad import Window
from features.signals import without_port
from pipelines.maintenance.options import Silences

SINGLE_ALERTS = "about single alerts"
NOT_A_LIST = "with an expression that is no list of names"
EXCLUDING = "that name what they are not about"
EMPTY = "that never began"
MALFORMED = "that cannot be read"
MOST_NAMES = 200  # that one matcher may list
ANY_PORT = r"(?:\((?:\?:)?)?:(?:\\d|\[0-9\]|\.)[+*]\)?\??$"  # as people write it after a host


@dataclass(frozen=True)
class Told:
    """What an Alertmanager tells.

    windows: those known at the cut. later: ids of silences that changed after it. left_out: reason -> how many.
    """

    windows: list[Window]
    later: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)


def windows(answer: object, options: Silences, as_of: datetime) -> Told:
    """The silences as they were known at the cut (naive UTC).

    Raises:
        ValueError: the answer is no list of silences.
    """
    if not isinstance(answer, list) or not all(isinstance(silence, Mapping) for silence in answer):
        raise ValueError("answered no list of silences; is this an Alertmanager with its API v2?")
    found: list[Window] = []
    later: set[str] = set()
    left_out: Counter[str] = Counter()
    for silence in answer:
        try:
            told_as = str(silence["id"])
            starts_at, ends_at, changed = (_time(silence[key]) for key in ("startsAt", "endsAt", "updatedAt"))
            scope = _scope(silence["matchers"], options)
            comment = str(silence.get("comment") or "")
        except (KeyError, TypeError, ValueError, AttributeError):
            left_out[MALFORMED] += 1
            continue
        if changed >= as_of:
            later.add(told_as)
        elif isinstance(scope, str):
            left_out[scope] += 1
        elif ends_at <= starts_at:
            left_out[EMPTY] += 1
        else:
            entities, services = scope
            found.append(Window(options.source, starts_at, ends_at, entities, services, (), comment, told_as))
    found.sort(key=lambda window: (window.starts_at, window.told_as))
    return Told(found, frozenset(later), dict(sorted(left_out.items())))


def _time(text: object) -> datetime:
    """Naive UTC; the year 0001, by which Go means never, does not fit into Python's times of all zones."""
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)


def _scope(matchers: Any, options: Silences) -> tuple[tuple[str, ...], tuple[str, ...]] | str:
    """Globs of entities and of services; or why the silence is no window."""
    entities: list[tuple[str, ...]] = []
    services: list[tuple[str, ...]] = []
    for matcher in matchers:
        name, value = str(matcher["name"]), str(matcher["value"])
        if name in options.besides:
            continue
        if name not in (*options.entity_labels, *options.service_labels):
            return SINGLE_ALERTS
        if not matcher.get("isEqual", True):
            return EXCLUDING
        globs = tuple(_globs(value)) if matcher["isRegex"] else (_literal(value),)
        if not globs or not all(globs):
            return NOT_A_LIST
        if name in options.service_labels:
            services.append(globs)
        else:
            entities.append(tuple(dict.fromkeys(name for glob in globs for name in _names(glob))))
    if not entities and not services:
        return SINGLE_ALERTS
    if len(entities) > 1 or len(services) > 1:  # both must match, which two lists of globs cannot say
        return NOT_A_LIST
    return next(iter(entities), ()), next(iter(services), ())


def _names(glob: str) -> Iterator[str]:
    """What an address may be called here: the host, and what is known by its port as well, such as a certificate."""
    bracketed = re.sub(r"^\[\[\]([^\[\]]*:[^\[\]]*\])", r"[\1", glob)
    yield without_port(_without_any_port(bracketed))
    if ":" in glob:
        yield glob


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _without_any_port(glob: str) -> str:
    """Alertmanager's people write ``db-1:.*`` for a host with any port."""
    return glob.removesuffix(":*")


def _globs(expression: str) -> Iterator[str]:
    """The names that a simple expression lists: literals, ``.*``, ``.+``, alternatives, one level of brackets.

    Nothing where it is not simple, or lists too many.
    """
    text = re.sub(ANY_PORT, "", expression.removeprefix("^").removesuffix("$"))
    parts: list[list[str]] = []
    if re.search(r"\((?!\?:)[^()]*\(|\(\?(?!:)", text):
        return
    pieces = re.split(r"\((?:\?:)?([^()]*)\)", text)
    whole = len(pieces) == 1
    for at, piece in enumerate(pieces):
        options = piece.split("|") if at % 2 or whole else [piece]
        globs = [_glob(one) for one in options]
        if any(glob is None for glob in globs):
            return
        parts.append([glob for glob in globs if glob is not None])
    count = 1
    for options in parts:
        count *= len(options)
    if count <= MOST_NAMES:
        yield from ("".join(names) for names in product(*parts))


def _glob(piece: str) -> str | None:
    """One alternative as a glob; None where it is more than a name with stars."""
    found = ""
    for part in re.findall(r"\.[*+]|\\.|.", piece, re.DOTALL):
        if part in (".*", ".+"):
            found += "*" if part == ".*" else "?*"
        elif len(part) == 2:
            if part[1].isalnum():  # \d and its like
                return None
            found += _literal(part[1])
        elif part == ".":  # people mean the dot of a host's name
            found += "?"
        elif part in "*+?[]{}()|^$\\":
            return None
        else:
            found += _literal(part)
    return found
