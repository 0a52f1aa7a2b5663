"""PromQL expressions as text, as far as the source must understand them: which selectors they have, what they look back
on, and whether asking for a part of the series gives a part of the answer.

Belongs here: reading text. Not here: a grammar; the server has one, and says what is wrong with an expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
  | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:ms|[smhdwy])*[\dsmhdwy]*)
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:.]*)
  | (?P<mark>[\[\]{}(),@]|[^\s\w])
    """,
    re.VERBOSE,
)
NAMED = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
BRACES = r"""\{(?:[^{}"'`]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\}"""
SELECTOR = re.compile(rf"\s*(?P<selector>{NAMED}\s*(?:{BRACES})?)\s*", re.DOTALL)
AVERAGED = re.compile(
    rf"\s*avg_over_time\s*\(\s*(?P<selector>{NAMED}\s*(?:{BRACES})?)\s*\[\s*(?P<window>\w+)\s*\]\s*\)\s*", re.DOTALL
)
LISTS_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
CALLS = {"(", "by", "without"}
KEYWORDS = {"bool", "and", "or", "unless", "offset", "atan2", "inf", "nan", "start", "end"}
JOINS_SERIES = LISTS_LABELS | {
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values",
    "limitk", "limit_ratio", "absent", "absent_over_time", "scalar", "vector", "label_replace", "label_join",
    "histogram_quantile", "or", "unless",
}  # fmt: skip
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


@dataclass(frozen=True)
class Selector:
    """A selector in an expression.

    start, end: where it stands, without its window. window: as written, such as 5m; None where it has none, and so
        takes the newest sample of up to five minutes ago.
    """

    start: int
    end: int
    window: str | None


@dataclass(frozen=True)
class Matcher:
    """One condition of a selector. operator: =, !=, =~ or !~."""

    label: str
    operator: str
    value: str


def selectors(expression: str) -> list[Selector]:
    """All selectors of an expression, from left to right."""
    tokens = list(_tokens(expression))
    found = []
    n = 0
    while n < len(tokens):
        kind, text, start, end = tokens[n]
        following = tokens[n + 1][1] if n + 1 < len(tokens) else ""
        if kind == "name" and text.lower() in LISTS_LABELS:
            n = _closed(tokens, n + 1) if following == "(" else n + 1
            continue
        named = kind == "name" and following.lower() not in CALLS and text.lower() not in KEYWORDS
        if named or text == "{":
            after = n + 1
            if text == "{" or following == "{":
                after = _closed(tokens, n if text == "{" else n + 1)
                end = tokens[after - 1][3]
            window = tokens[after + 1][1] if after + 1 < len(tokens) and tokens[after][1] == "[" else None
            found.append(Selector(start, end, window))
            n = _closed(tokens, after) if window else after
            continue
        n = _closed(tokens, n) if text == "[" else n + 1
    return found


def _tokens(expression: str) -> Iterator[tuple[str, str, int, int]]:
    for match in TOKEN.finditer(expression):
        kind = match.lastgroup or "mark"
        if kind != "space":
            yield kind, match[0], match.start(), match.end()


def _closed(tokens: list[tuple[str, str, int, int]], opening: int) -> int:
    """The token after the bracket that closes the one at `opening`."""
    depth = 0
    for n in range(opening, len(tokens)):
        depth += (tokens[n][1] in ("(", "[", "{")) - (tokens[n][1] in (")", "]", "}"))
        if depth == 0:
            return n + 1
    return len(tokens)


def milliseconds(duration: str) -> int | None:
    """What a duration such as 5m or 1h30m comes to; None where it is none."""
    if not re.fullmatch(r"(?:\d+(?:ms|[smhdwy]))+", duration):
        return None
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def averaged_selector(expression: str, step_ms: int) -> str | None:
    """The selector of an expression that is nothing but the averages of one named metric over windows of a step.

    A selector alone is meant so too: its plain value would be carried into gaps.
    """
    found = SELECTOR.fullmatch(expression)
    if found is None:
        found = AVERAGED.fullmatch(expression)
        if found is None or milliseconds(found["window"]) != step_ms:
            return None
    return found["selector"]


def matchers(selector: str) -> list[Matcher] | None:
    """The conditions of a selector, the metric's name among them; None where it is written in a way we do not know."""
    tokens = [text for _, text, *_ in _tokens(selector)]
    found = [Matcher("__name__", "=", tokens[0])]
    at, body = 0, [text for text in tokens[2:-1] if text != ","]
    while at < len(body):
        label, operator = body[at], "".join(body[at + 1 : at + 3])
        if operator not in ("=~", "!=", "!~"):
            operator = "".join(body[at + 1 : at + 2])
        written = "".join(body[at + 1 + len(operator) : at + 2 + len(operator)])
        if operator not in ("=", "!=", "=~", "!~") or label[0] in "\"'`" or written[:1] not in ("'", '"', "`"):
            return None
        found.append(Matcher(label, operator, unquoted(written)))
        at += 2 + len(operator)
    return found


def unquoted(text: str) -> str:
    """What a string of PromQL says."""
    if text.startswith("`"):
        return text[1:-1]
    return ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    hexadecimal, octal, letter = found[1] or found[2] or found[3], found[4], found[5]
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    return chr(int(octal, 8)) if octal else ESCAPED.get(letter, letter)


def gap_true(expression: str, step_ms: int) -> bool:
    """Has it a value only where a sample lay in the window?"""
    windows = [milliseconds(selector.window or "") for selector in selectors(expression)]
    return all(window is not None and window <= step_ms for window in windows)


def separable(expression: str) -> bool:
    """Is the answer for some series a part of the whole answer? So it is where nothing joins series of other labels."""
    return not any(kind == "name" and text.lower() in JOINS_SERIES for kind, text, *_ in _tokens(expression))


def narrowed(expression: str, matcher: str) -> str:
    """The expression with a matcher added to each of its selectors."""
    for selector in reversed(selectors(expression)):
        text = expression[selector.start : selector.end]
        body = text[:-1].rstrip().removesuffix(",") if text.endswith("}") else text + "{"
        comma = "" if body.endswith("{") else ","
        expression = f"{expression[: selector.start]}{body}{comma}{matcher}}}{expression[selector.end :]}"
    return expression


def one_of(label: str, values: list[str]) -> str:
    """A matcher for a label that has one of these values."""
    return f"{label}=~{quoted('|'.join(re.sub(r'([^a-zA-Z0-9_ :/-])', _escaped, value) for value in values))}"


def _escaped(found: re.Match[str]) -> str:
    # RE2 knows no escapes of letters beyond ASCII, and needs none.
    return "\\" + found[0] if found[0].isascii() and found[0].isprintable() else found[0]


def quoted(text: str) -> str:
    """A string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
