"""Measured values with their units, as an operator writes them.

Belongs here: numbers, bytes, shares and durations as text, for every room that writes sentences. Not here: times of
day, and making hostile text harmless (``reports.text``).
"""

from __future__ import annotations

import math
import unicodedata

BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
# What one of a unit is in the base of its kind. Decimal and binary multiples of bytes both end up in binary prefixes.
BYTES = {"b": 1, "byte": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12} | {
    name.lower(): 1024.0**power for power, name in enumerate(BINARY) if power
}
SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
    "ms": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6, "microseconds": 1e-6,
}  # fmt: skip
PERCENT = {"%", "percent", "pct", "percentage"}
RATIO = {"ratio", "share", "fraction"}
UNITLESS = {"", "1", "count", "none", "number"}


def format_number(value: float | None, digits: int = 3) -> str:
    """At least `digits` significant digits, thousands set apart by thin spaces, no exponent below 10^15."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(size)))
    whole, _, fraction = f"{value:,.{decimals}f}".partition(".")
    fraction = fraction.rstrip("0")
    text = whole.replace(",", "\u202f") + (f".{fraction}" if fraction else "")
    return "0" if text == "-0" else text.replace("-", "−")


def format_value(value: float | None, unit: str | None = None) -> str:
    """A measured value with its unit.

    Bytes take binary prefixes, ratios become percent, times become durations; an unknown unit is set behind the number
    (made one harmless line, but not escaped: that is for whoever knows the place it is put in).
    """
    if value is None or not math.isfinite(value):
        return format_number(value)
    plain = _one_line(unit or "")
    kind, _, per = plain.partition("/")
    key = kind.strip().lower()
    rate = f"/{per.strip()}" if per else ""
    if key in PERCENT:
        return f"{format_number(value)}\u00a0%{rate}"
    if key in RATIO:
        return f"{format_number(100 * value)}\u00a0%{rate}"
    if key in BYTES:
        return format_bytes(value * BYTES[key]) + rate
    if key in SECONDS and not rate:
        return format_duration(value * SECONDS[key])
    if plain.lower() in UNITLESS:
        return format_number(value)
    return f"{format_number(value)}\u00a0{plain}"


def format_bytes(value: float) -> str:
    size, power = abs(value), 0
    while size >= 1023.5 and power < len(BINARY) - 1:
        size, power = size / 1024, power + 1
    return f"{format_number(math.copysign(size, value))}\u00a0{BINARY[power]}"


def format_share(p: float | None) -> str:
    """A probability or share as percent; never 0 % or 100 % for what is neither."""
    if p is None or math.isnan(p):
        return "–"
    if 0 < p < 0.005:
        return "<1\u00a0%"
    if 0.995 <= p < 1:
        return ">99\u00a0%"
    return f"{100 * p:.0f}\u00a0%"


def format_duration(seconds: float | None) -> str:
    """The two leading parts: '3 d 4 h', '5 h', '12 min', '1.5 s', '20 ms'."""
    if seconds is None or not math.isfinite(seconds):
        return format_number(seconds)
    sign, size = ("−" if seconds < 0 else ""), abs(seconds)
    if 0 < size < 1:
        return f"{sign}{format_number(size * 1e3)}\u00a0ms"
    if size < 60:
        return f"{sign}{format_number(size, 2)}\u00a0s"
    if size < 3600:
        whole = round(size)
        return sign + _two_parts(whole // 60, "min", whole % 60, "s")
    if size < 86400:
        whole = round(size / 60)
        return sign + _two_parts(whole // 60, "h", whole % 60, "min")
    if size < 365 * 86400:
        whole = round(size / 3600)
        return sign + _two_parts(whole // 24, "d", whole % 24, "h")
    return f"{sign}{format_number(size / 86400 / 365.25, 2)}\u00a0years"


def _two_parts(large: int, large_unit: str, small: int, small_unit: str) -> str:
    if large >= 10 and large_unit != "h":  # '12 d 3 h' claims more than anybody reads
        small = 0
    tail = f" {small}\u00a0{small_unit}" if small else ""
    return f"{large}\u00a0{large_unit}{tail}"


def _one_line(text: str, at_most: int = 24) -> str:
    """One line without control, direction or other invisible characters, cut with an ellipsis."""
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else c for c in text)
    line = " ".join(visible.split())
    return line if len(line) <= at_most else line[: at_most - 1].rstrip() + "…"
