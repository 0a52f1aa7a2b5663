"""Moments, likelihoods, models and hostile words as text that people read.

Belongs here: how a time of day, a probability or a model is put in words, and how text that came from metrics or
incidents is made harmless. Not here: numbers with units (``features.units``), and what a ticket or a page says
(``ticket_text``, ``digest``).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def likelihood(p: float) -> str:
    """A probability in words, by the scale that the IPCC uses (AR5 guidance note, table 1)."""
    scale = (
        (0.99, "virtually certain"), (0.9, "very likely"), (0.66, "likely"), (0.33, "about as likely as not"),
        (0.1, "unlikely"), (0.01, "very unlikely"),
    )  # fmt: skip
    return next((words for least, words in scale if p >= least), "exceptionally unlikely")


def model_in_words(name: str) -> str:
    """A model of forecasting.risks or forecasting.forecasts as people speak of it; other names stay, unescaped."""
    known = {
        "learnt": "the learnt crossing model", "ensemble": "the ensemble", "structural": "the structural model",
        "prophet": "Prophet",
    }  # fmt: skip
    return known.get(name, f"the model {one_line(name, 40)}")


# -------------------------------------------------------------------------------------------------------------- times


def format_utc(moment: datetime | None) -> str:
    """Naive UTC as '2026-06-03 14:00 UTC'."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def format_local(moment: datetime | None, zone: ZoneInfo) -> str:
    """Naive UTC as 'Wed 3 Jun 2026, 16:00 CEST'; English whatever the machine's locale."""
    if moment is None:
        return "–"
    local = to_zone(moment, zone)
    return f"{format_date(local)} {local.year}, {local:%H:%M} {local.tzname()}"


def format_moment(moment: datetime | None, zone: ZoneInfo) -> str:
    """Naive UTC as 'Wed 3 Jun, 16:00', where year and zone are clear."""
    if moment is None:
        return "–"
    local = to_zone(moment, zone)
    return f"{format_date(local)}, {local:%H:%M}"


def format_date(moment: datetime) -> str:
    return f"{WEEKDAYS[moment.weekday()]} {moment.day} {MONTHS[moment.month - 1]}"


def to_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Naive UTC to aware in `zone`."""
    return moment.replace(tzinfo=UTC).astimezone(zone)


def to_utc(moment: datetime) -> datetime:
    """Aware to naive UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)


# ------------------------------------------------------------------------------------------------------- hostile text


def one_line(text: str, at_most: int = 200) -> str:
    """One line without control, direction or other invisible characters, cut with an ellipsis."""
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else c for c in text)
    line = " ".join(visible.split())
    return line if len(line) <= at_most else line[: at_most - 1].rstrip() + "…"


def escape_markdown(text: str, at_most: int = 500) -> str:
    """Text that shows as itself wherever Markdown is rendered: no markup, HTML, table cell, link, mention or reference.

    Trackers link ``@name`` and addresses after unescaping, so a backslash does not stop them: a zero-width space does.
    """
    line = one_line(text, at_most)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~$#!{}^])", r"\\\1", line)
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)  # within a word, as in mem_used, it is no markup
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    line = re.sub(r"^([-+=:])", r"\\\1", line)
    return unlinked(line)


def unlinked(text: str) -> str:
    """Text in which nothing becomes a link or a mention by itself, as mail clients and chats would have it."""
    text = text.replace("@", "@\u200b").replace("://", ":\u200b//")
    return re.sub(r"(?i)\b(www|mailto|xmpp)([.:])", "\\1\u200b\\2", text)


def code_markdown(text: str, at_most: int = 300) -> str:
    """Text as a code span, to be copied as it is; its fence is longer than any run of backticks within.

    Not for table cells: there a pipe would end the cell, and escaping it would change what is copied.
    """
    line = one_line(text, at_most) or " "
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def link_markdown(address: str) -> str:
    """A link where the address is one for the web, else a code span."""
    safe = re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+", address)
    return f"<{address}>" if safe else code_markdown(address)


def plain_spaces(text: str) -> str:
    """Thin and no-break spaces to plain ones: for text that people search and copy."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")
