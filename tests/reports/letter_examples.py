"""A letter that says something of every kind, and the parcel that holds it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from reports.incident_letter import Letter, Line, Parcel, Verdict

HOSTILE = "<!channel> <img src=x onerror=alert(1)> https://evil.example @here *b* `c` [a](http://b)\r\nBcc: x@y.z '\"'"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
VERDICT = Verdict(
    name="Time to resolve",
    verdict="improving",
    badge="good",
    sentences=("−12\u00a0% per 30 days, from 90 incidents.",),
    caveats=("A change smaller than −9\u00a0% is easily missed.",),
    start="created",
    end="resolved",
    clock="24 x 7 calendar time",
    used=90,
    total=1200,
    excluded={"cancelled": 10},
)


def letter(text: str = "disk full", **given: Any) -> Letter:
    """A letter whose goal, part and problem have a name, and are told, by the same text."""
    line = Line(text, text, "off track", "bad")
    made = Letter(
        night=date(2026, 6, 1),
        as_of=datetime(2026, 5, 31, 22),
        subject="Incidents as of 1 Jun 2026: time to resolve improving; goals: 1 off track",
        warnings=(text,),
        verdicts=(VERDICT, replace(VERDICT, name="Time to acknowledge", verdict="worsening", badge="bad")),
        goals=(line,),
        parts=(line,),
        more_parts=2,
        problems=(line,),
    )
    return replace(made, **given)


def parcel(text: str = "disk full", **given: Any) -> Parcel:
    files = {"mttr.html": b"<!doctype html><p>page", "mttr.json": json.dumps({"trends": []}).encode()}
    markdown = "**Incidents**\n\n- **Time to resolve: improving.** " + "long " * 300 + "\n.\n"
    return Parcel(letter(text, **given), markdown, {"mttr": PNG, "mtta": PNG}, files)
