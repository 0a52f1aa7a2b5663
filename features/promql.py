"""PromQL as far as a signal's query must be understood: its selectors, its placeholders, and whether gaps stay gaps.

Belongs here: reading a query's text, without a server. Not here: asking one (``pipelines.sources``).

A Prometheus server answers a bare selector, ``x``, with the newest sample of the five minutes before each step: it
fills gaps with what it saw last. ``avg_over_time(x[5m])`` at a step of five minutes rests on the samples of that step
alone, so an hour that nobody measured stays unmeasured. Two placeholders keep a query independent of the source that
it is put to:

``$step``      the source's step, such as ``5m``: the range of every selector.
``$matchers``  the source's own label matchers, within braces: ``x{fstype!="tmpfs",$matchers}``. They may be none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

STEP, MATCHERS = "$step", "$matchers"

_TOKEN = re.compile(
    r"""
    (?P<space>(?:\s|\#[^\n]*)+)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<placeholder>\$\w+)
    |(?P<number>\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\.\d\w*)
    |(?P<name>[A-Za-z_:][\w:]*)
    |(?P<sign>=~|!~|[!=<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}  # a list of labels follows
_WORDS = {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"}
_AGGREGATIONS = {
    "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile",
    "limitk", "limit_ratio",
}  # fmt: skip
_INVENTING = {"vector", "absent", "absent_over_time"}  # answer where nothing was measured
_PAIRS = {"(": ")", "{": "}", "[": "]"}


_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


@dataclass(frozen=True)
class Token:
    """A piece of a query. kind: space, string, placeholder, number, name or sign. start, end: where it stands."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def is_sign(self, sign: str) -> bool:
        return self.kind == "sign" and self.text == sign


@dataclass(frozen=True)
class Selector:
    """A vector selector of a query.

    start, end: where its name and matchers stand. range: what its square brackets hold, such as 5m; None where it has
        none, and so takes the newest sample of the five minutes before.
    """

    start: int
    end: int
    range: str | None


@dataclass(frozen=True)
class _Selector:
    """Tokens `first` to `end` are its name and matchers; those to `until` also its range and modifiers."""

    first: int
    end: int
    until: int
    range: str | None


def expanded(promql: str, step: str, matchers: str) -> str:
    """A query as a server takes it.

    Args:
        promql: with the placeholders ``$step`` and ``$matchers``.
        step: such as ``5m``.
        matchers: such as ``cluster="a",env=~"b|c"``; with or without braces; may be empty.

    Returns:
        On one line, without comments. A selector without a range is averaged over the step, so that gaps stay gaps.

    Raises:
        ValueError: it is no PromQL; see ``fault``.
    """
    if wrong := fault(promql):
        raise ValueError(wrong)
    tokens = split(promql)
    extra = matchers.strip().removeprefix("{").removesuffix("}").strip(" \t\n,")
    written: list[str] = []
    at = 0
    for selector in _selectors(tokens):
        written += [_plain(token, step) for token in tokens[at : selector.first]]
        named = "".join(_selected(tokens[selector.first : selector.end], extra))
        rest = "".join(_plain(token, step) for token in tokens[selector.end : selector.until])
        if selector.range is None:
            named, rest = f"avg_over_time({named}[{step}]{rest.rstrip()})", rest[len(rest.rstrip()) :]
        elif ":" in selector.range:  # a subquery looks back like a bare selector
            named = f"avg_over_time({named}[{step}])"
        written.append(named + rest)
        at = selector.until
    written += [_plain(token, step) for token in tokens[at:]]
    return "".join(written).strip()


def is_gap_true(promql: str, step: str = STEP) -> bool:
    """Whether a query, as it is written, gives no value for a step in which nothing was measured.

    So it does where every selector reads the range of a step or less, and nothing like ``vector(0)`` stands in for what
    is missing.
    """
    if fault(promql):
        return False
    tokens = split(promql)
    invents = any(
        token.kind == "name" and token.text.lower() in _INVENTING and _next(tokens, i + 1, "(") is not None
        for i, token in enumerate(tokens)
    )
    return not invents and all(_within((one.range or "").strip(), step) for one in _selectors(tokens))


def _within(range_: str, step: str) -> bool:
    """Whether a range is no longer than a step."""
    read, asked = milliseconds(range_), milliseconds(step)
    return range_ == step or (read is not None and asked is not None and read <= asked)


def milliseconds(duration: str) -> int | None:
    """What a duration such as 5m or 1h30m comes to; None where it is none."""
    if not re.fullmatch(r"(?:\d+(?:ms|[smhdwy]))+", duration):
        return None
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def selectors(promql: str) -> list[Selector]:
    """All selectors of a query, from left to right.

    Raises:
        ValueError: a bracket is not closed.
    """
    found = split(promql)
    return [
        Selector(found[one.first].start, found[one.end - 1].end, None if one.range is None else one.range.strip())
        for one in _selectors(found)
    ]


def fault(promql: str) -> str | None:
    """What is plainly wrong with a query's text, with the mend; None where only a server can tell more."""
    tokens = split(promql)
    wanted: list[str] = []
    for token in tokens:
        if token.kind == "placeholder" and token.text not in (STEP, MATCHERS):
            return f"{token.text} is no placeholder; there are {STEP} and {MATCHERS}"
        if token.text == MATCHERS and wanted[-1:] != ["}"]:
            return f"{MATCHERS} stands outside of braces; write it as in up{{{MATCHERS}}}"
        if token.kind != "sign":
            continue
        if token.text in "\"'`":
            return f"a quote {token.text} is not closed; close it"
        if token.text in _PAIRS:
            wanted.append(_PAIRS[token.text])
        elif token.text in _PAIRS.values() and (not wanted or wanted.pop() != token.text):
            return f"{token.text!r} closes nothing; remove it, or open it before"
    if wanted:
        return f"{wanted[-1]!r} is missing; close what was opened"
    found = list(_selectors(tokens))
    if not found:
        return "names no metric, so it measures nothing; name one, or set a limit with value"
    bare = ({token.text for token in tokens[one.first : one.end] if token.kind != "space"} for one in found)
    if any(signs <= {"{", "}", ",", MATCHERS} for signs in bare):
        return "selects every series there is; name a metric before the braces"
    return None


def split(promql: str) -> list[Token]:
    """A query in pieces, which together are all of it."""
    return [Token(match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(promql)]


def _selectors(tokens: list[Token]) -> Iterator[_Selector]:
    """The vector selectors of a query whose brackets match, in order."""
    at = 0
    while at < len(tokens):
        token, first = tokens[at], at
        at += 1
        if token.kind == "name":
            word = token.text.lower()
            called = _next(tokens, at, "(")
            if word in _LISTS and called is not None:
                at = _closing(tokens, called) + 1
                continue
            if word in _WORDS or word in _LISTS or called is not None or _is_grouped(tokens, word, at):
                continue
            opened = _next(tokens, at, "{")
            yield (found := _selector(tokens, first, at if opened is None else _closing(tokens, opened) + 1))
        elif token.is_sign("{"):
            yield (found := _selector(tokens, first, _closing(tokens, first) + 1))
        elif token.is_sign("["):  # of a subquery
            at = _closing(tokens, first) + 1
            continue
        else:
            continue
        at = found.until


def _selector(tokens: list[Token], first: int, end: int) -> _Selector:
    opened = _next(tokens, end, "[")
    if opened is not None:
        closed = _closing(tokens, opened)
        inside = "".join(token.text for token in tokens[opened + 1 : closed])
        return _Selector(first, end, closed + 1, inside)
    until = end
    while (after := _modifier(tokens, until)) is not None:
        until = after
    return _Selector(first, end, until, None)


def _modifier(tokens: list[Token], at: int) -> int | None:
    """Behind a modifier that begins at `at` (``offset 5m``, ``offset -5m``, ``@ 1609746000``, ``@ end()``)."""
    rest = [i for i in range(at, len(tokens)) if tokens[i].kind != "space"][:4]
    texts = [tokens[i].text.lower() for i in rest]
    if not texts or texts[0] not in ("offset", "@"):
        return None
    if texts[2:] == ["(", ")"]:
        return rest[3] + 1
    value = 2 if texts[1:2] == ["-"] else 1
    return rest[value] + 1 if len(rest) > value and tokens[rest[value]].kind in ("number", "placeholder") else None


def _is_grouped(tokens: list[Token], word: str, at: int) -> bool:
    """Whether `word` is an aggregation with its labels before what it aggregates: ``sum by (a) (x)``."""
    following = next((token.text.lower() for token in tokens[at:] if token.kind != "space"), "")
    return word in _AGGREGATIONS and following in ("by", "without")


def _next(tokens: list[Token], at: int, sign: str) -> int | None:
    """The place of the next token that is no space, if it is `sign`."""
    place = next((i for i in range(at, len(tokens)) if tokens[i].kind != "space"), None)
    return place if place is not None and tokens[place].is_sign(sign) else None


def _closing(tokens: list[Token], opened: int) -> int:
    """The place of what closes the bracket at `opened`."""
    depth = 0
    for i in range(opened, len(tokens)):
        if tokens[i].kind == "sign":
            depth += (tokens[i].text in _PAIRS) - (tokens[i].text in _PAIRS.values())
            if depth == 0:
                return i
    raise ValueError(f"{_PAIRS[tokens[opened].text]!r} is missing; close what was opened")


def _selected(tokens: list[Token], extra: str) -> Iterator[str]:
    """A selector's name and matchers, with the source's own in their place."""
    matchers = [""]
    for token in tokens:
        if token.kind == "space" or token.text in "{}":
            continue
        if token.kind == "name" and token is tokens[0]:
            yield token.text
        elif token.text == "," and token.kind == "sign":
            matchers.append("")
        else:
            matchers[-1] += extra if token.text == MATCHERS else token.text
    if any(matchers):
        yield "{" + ",".join(matcher for matcher in matchers if matcher) + "}"


def _plain(token: Token, step: str) -> str:
    if token.kind == "space":
        return " "
    return step if token.text == STEP else token.text
