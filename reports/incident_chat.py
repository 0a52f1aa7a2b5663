"""The incident report as chats and programs take it by webhook. Pure.

Belongs here: what is posted, in the markup of each receiver. Not here: what is said (``incident_letter``), or HTTP
(``pipelines.distribution.webhook``).

Text of incidents is hostile, and every markup is escaped its own way: Slack knows no backslash, so what is markup there
is exchanged for what looks like it; a card's text runs know no markup at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from reports.incident_letter import Letter, Line, Parcel, Verdict
from reports.receivers import Format
from reports.text import unlinked

LOOKALIKES = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"})
ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"
COLOURS = {"good": "Good", "bad": "Attention", "quiet": "Default"}
MARKS = {"good": ":large_green_circle:", "bad": ":large_orange_circle:", "quiet": ":white_circle:"}
MOST_MARKDOWN = 16_000
"""Characters of a post; Mattermost takes 16,383."""


def post(parcel: Parcel, form: Format, letter_id: str, link: str | None = None) -> tuple[str, bytes]:
    """The type and the content of a webhook's request."""
    makers: Mapping[str, Callable[[Parcel, str, str | None], Any]] = {
        "slack": _slack, "mattermost": _mattermost, "teams": _teams, "json": _json,
    }  # fmt: skip
    if form == "markdown":
        return "text/markdown; charset=utf-8", _markdown(parcel, link).encode()
    told = makers[form](parcel, letter_id, link)
    return "application/json", json.dumps(told, ensure_ascii=False, allow_nan=False).encode()


def _json(parcel: Parcel, letter_id: str, link: str | None) -> dict[str, Any]:
    letter = parcel.letter
    return {
        "event": "incident_report",
        "id": letter_id,
        "night": letter.night.isoformat(),
        "subject": letter.subject,
        "markdown": parcel.markdown,
        "link": link,
        "mttr": json.loads(parcel.files["mttr.json"]),
    }


# ------------------------------------------------------------------------------------------------------------ Markdown


def _markdown(parcel: Parcel, link: str | None) -> str:
    return parcel.markdown.rstrip() + (f"\n\n[The whole report]({link})\n" if link else "\n")


def _mattermost(parcel: Parcel, letter_id: str, link: str | None) -> dict[str, Any]:
    text = _markdown(parcel, link)
    return {"text": text if len(text) <= MOST_MARKDOWN else f"{text[:MOST_MARKDOWN].rpartition(chr(10))[0]}\n…"}


# --------------------------------------------------------------------------------------------------------------- Slack


def _slack(parcel: Parcel, letter_id: str, link: str | None) -> dict[str, Any]:
    letter = parcel.letter
    lines = [f"*{_slack_text(letter.subject)}*"]
    lines += [f":warning: {_slack_text(warning)}" for warning in letter.warnings]
    for verdict in letter.verdicts:
        told = " ".join((*verdict.sentences, *verdict.caveats))
        lines.append(f"{MARKS[verdict.badge]} *{verdict.name}: {verdict.verdict}.* {_slack_text(told)}")
        lines.append(f"_{_slack_text(verdict.measured)}_")
    lines += [f"{MARKS[each.badge]} Goal: {_slack_line(each)}" for each in letter.goals]
    lines += [f"{MARKS[each.badge]} {_slack_line(each)}" for each in letter.parts]
    if letter.problems:
        lines.append("Costliest recurring incidents:")
        lines += [f"• {_slack_line(each)}" for each in letter.problems]
    if link:
        lines.append(f"<{_slack_entities(link)}|The whole report>")
    return {"text": "\n".join(lines), "unfurl_links": False, "unfurl_media": False}


def _slack_line(line: Line) -> str:
    return f"{_slack_text(line.name)} ({_slack_text(line.said).removesuffix('.')}): *{line.verdict}*"


def _slack_text(text: str) -> str:
    return unlinked(_slack_entities(text).translate(LOOKALIKES))


def _slack_entities(text: str) -> str:
    """``<!channel>`` calls everybody, and ``<address|words>`` is a link that lies."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --------------------------------------------------------------------------------------------------------------- Teams


def _teams(parcel: Parcel, letter_id: str, link: str | None) -> dict[str, Any]:
    """An Adaptive Card within a message, as Teams' Workflows take it."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": _card(parcel.letter),
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "The whole report", "url": link}]
    return {"type": "message", "attachments": [{"contentType": ADAPTIVE_CARD, "contentUrl": None, "content": card}]}


def _card(letter: Letter) -> list[dict[str, Any]]:
    body = [_runs(_run(letter.subject, weight="Bolder", size="Medium"))]
    body += [_runs(_run(warning, color="Warning")) for warning in letter.warnings]
    for verdict in letter.verdicts:
        body += _card_verdict(verdict)
    body += [_card_line(each) for each in (*letter.goals, *letter.parts)]
    if letter.problems:
        body.append(_runs(_run("Costliest recurring incidents", weight="Bolder"), separator=True))
        body += [_card_line(each) for each in letter.problems]
    return body


def _card_verdict(verdict: Verdict) -> list[dict[str, Any]]:
    said = " ".join(verdict.sentences)
    small = " ".join((*verdict.caveats, verdict.measured))
    return [
        _runs(
            _run(f"{verdict.name}: ", weight="Bolder"),
            _run(verdict.verdict, weight="Bolder", color=COLOURS[verdict.badge]),
            separator=True,
        ),
        _runs(_run(said)),
        _runs(_run(small, size="Small", isSubtle=True)),
    ]


def _card_line(line: Line) -> dict[str, Any]:
    return _runs(
        _run(line.name, weight="Bolder"),
        _run(f" ({line.said.removesuffix('.')}): "),
        _run(line.verdict, color=COLOURS[line.badge]),
    )


def _runs(*runs: dict[str, Any], separator: bool = False) -> dict[str, Any]:
    return {"type": "RichTextBlock", "separator": separator, "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    """A text run; unlike a TextBlock it knows no Markdown."""
    return {"type": "TextRun", "text": unlinked(text), **style}
