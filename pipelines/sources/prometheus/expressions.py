"""PromQL as far as the source must understand it: which selector an expression averages, how it is narrowed to some of
its series, and whether asking for a part of the series gives a part of the answer.

Belongs here: what only the asking needs. Not here: reading PromQL as such (``features.promql``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from features.promql import milliseconds, selectors, split

QUOTES = "\"'`"
NAMED = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
BRACES = r"""\{(?:[^{}"'`]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\}"""
SELECTOR = re.compile(rf"\s*(?P<selector>{NAMED}\s*(?:{BRACES})?)\s*", re.DOTALL)
AVERAGED = re.compile(
    rf"\s*avg_over_time\s*\(\s*(?P<selector>{NAMED}\s*(?:{BRACES})?)\s*\[\s*(?P<window>\w+)\s*\]\s*\)\s*", re.DOTALL
)
JOINS_SERIES = {
    "by", "without", "on", "ignoring", "group_left", "group_right",
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values",
    "limitk", "limit_ratio", "absent", "absent_over_time", "scalar", "vector", "label_replace", "label_join",
    "histogram_quantile", "or", "unless",
}  # fmt: skip
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Matcher:
    """One condition of a selector. operator: =, !=, =~ or !~."""

    label: str
    operator: str
    value: str


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
    tokens = [token.text for token in split(selector) if token.kind != "space"]
    found = [Matcher("__name__", "=", tokens[0])]
    body = [text for text in tokens[2:-1] if text != ","]
    if len(body) % 3:
        return None
    for label, operator, written in zip(body[::3], body[1::3], body[2::3], strict=True):
        if operator not in ("=", "!=", "=~", "!~") or label[0] in QUOTES or written[0] not in QUOTES:
            return None
        found.append(Matcher(label, operator, unquoted(written)))
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


def separable(expression: str) -> bool:
    """Is the answer for some series a part of the whole answer? So it is where nothing joins series of other labels."""
    return not any(token.kind == "name" and token.text.lower() in JOINS_SERIES for token in split(expression))


def narrowed(expression: str, matcher: str) -> str:
    """The expression with a matcher added to each of its selectors."""
    for selector in reversed(selectors(expression)):
        text = expression[selector.start : selector.end]
        body = text[:-1].rstrip().removesuffix(",") if text.endswith("}") else text + "{"
        comma = "" if body.endswith("{") else ","
        expression = f"{expression[: selector.start]}{body}{comma}{matcher}}}{expression[selector.end :]}"
    return expression


def one_of(label: str, values: Sequence[str]) -> str:
    """A matcher for a label that has one of these values."""
    return f"{label}=~{_choice(values)}"


def none_of(label: str, values: Sequence[str]) -> str:
    """A matcher for a label that has none of these values."""
    return f"{label}!~{_choice(values)}"


def _choice(values: Sequence[str]) -> str:
    return quoted("|".join(re.sub(r"([^a-zA-Z0-9_ :/-])", _escaped, value) for value in values))


def _escaped(found: re.Match[str]) -> str:
    # RE2 knows no escapes of letters beyond ASCII, and needs none.
    return "\\" + found[0] if found[0].isascii() and found[0].isprintable() else found[0]


def quoted(text: str) -> str:
    """A string of PromQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
