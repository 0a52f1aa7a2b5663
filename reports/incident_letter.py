"""The incident report as it leaves the house: what a mail or a chat says of it, before it is put into their markup.

Belongs here: what a tired reader needs (verdicts and what they rest on, goals, what moved, what keeps coming back), and
the subject. Not here: markup (``incident_mail``, ``incident_chat``, ``incident_summary``), sentences
(``incident_words``), sending.

A letter is written beside the report as ``mttr.letter.json``, so that one that did not arrive is sent as it was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from reports import incident_words as words
from reports.incident_page import headlines
from reports.incident_trends import IncidentTrends
from reports.incident_words import BADGES, NAMES
from reports.problems import Problem
from reports.text import one_line, plain_spaces

PARTS, PROBLEMS = 5, 3
CHARTS = ("mttr", "mtta")
"""Those that a mail shows; a chart that was not drawn is left out."""


class LetterError(Exception):
    """What should be a letter is none; one line."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on a measure over all incidents.

    badge: good | bad | quiet. sentences: the trend, then the change of the last days. caveats: what it cannot say.
    start, end, clock: the definition. used, total, excluded: what it rests on.
    """

    name: str
    verdict: str
    badge: str
    sentences: tuple[str, ...]
    caveats: tuple[str, ...]
    start: str
    end: str
    clock: str
    used: int
    total: int
    excluded: Mapping[str, int]

    @property
    def measured(self) -> str:
        """What it rests on, as in 'Measured from 90 of 100 incidents (left out: 10 cancelled).'"""
        excluded = "; ".join(f"{words.count(n)} {reason}" for reason, n in self.excluded.items())
        measured = f"Measured from {words.count(self.used)} of {words.count(self.total)} incidents"
        return f"{measured}{f' (left out: {excluded})' if excluded else ''}."


@dataclass(frozen=True)
class Line:
    """A goal, a part that moved, or a problem: its name, what is said of it, and its verdict with the badge."""

    name: str
    said: str
    verdict: str
    badge: str


@dataclass(frozen=True)
class Letter:
    """What is said of one night's report. Text of incidents is one plain line each, and still to be escaped.

    as_of: naive UTC. warnings: what may be missing. more_parts: how many parts moved besides those named.
    """

    night: date
    as_of: datetime
    subject: str
    warnings: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    goals: tuple[Line, ...]
    parts: tuple[Line, ...]
    more_parts: int
    problems: tuple[Line, ...]

    def to_json(self) -> str:
        """As written to ``mttr.letter.json``."""
        told = asdict(self) | {"night": self.night.isoformat(), "as_of": self.as_of.isoformat()}
        return json.dumps(told, indent=1) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Letter:
        """What `to_json` wrote.

        Raises:
            LetterError: it is none.
        """
        try:
            told = json.loads(text)
            lines = {kind: tuple(Line(**line) for line in told.pop(kind)) for kind in ("goals", "parts", "problems")}
            lists = {"verdicts": tuple(map(_verdict, told.pop("verdicts"))), "warnings": tuple(told.pop("warnings"))}
            night, as_of = date.fromisoformat(told.pop("night")), datetime.fromisoformat(told.pop("as_of"))
            return Letter(night=night, as_of=as_of, **lists, **lines, **told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise LetterError("is no letter of this version; write the report again") from error


@dataclass(frozen=True)
class Parcel:
    """All that may be sent of one night's report.

    markdown: mttr.md. charts: name -> PNG, of `CHARTS`. files: mttr.html and mttr.json by name.
    """

    letter: Letter
    markdown: str = field(repr=False)
    charts: Mapping[str, bytes] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)


def letter(trends: IncidentTrends, night: date) -> Letter:
    """The letter of a night."""
    told = headlines(trends)
    moved = words.moved(trends)
    return Letter(
        night=night,
        as_of=trends.as_of,
        subject=_subject(trends, told, night),
        warnings=tuple(one_line(words.unread_sentence(*each), 400) for each in trends.unread.items()),
        verdicts=tuple(_of_headline(headline) for headline in told),
        goals=tuple(
            Line(
                one_line(words.goal_name(standing), 160),
                words.goal_sentence(standing),
                judged.verdict,
                BADGES.get(judged.verdict, "quiet"),
            )
            for standing, judged in trends.goals
        ),
        parts=tuple(_part(value, found) for value, found in moved[:PARTS]),
        more_parts=max(0, len(moved) - PARTS),
        problems=tuple(
            Line(
                one_line(problem.title or problem.category or problem.service or "", 80),
                _lost(problem),
                judged.verdict,
                BADGES.get(judged.verdict, "quiet"),
            )
            for problem, judged in trends.problems[:PROBLEMS]
        ),
    )


def _subject(trends: IncidentTrends, told: list[dict[str, Any]], night: date) -> str:
    """The verdicts in words; plain ASCII, nothing of it from incidents."""
    verdicts = ", ".join(f"{headline['name'].lower()} {headline['verdict']}" for headline in told)
    goals = Counter(judged.verdict for _, judged in trends.goals)
    counted = ", ".join(f"{n} {verdict}" for verdict, n in goals.items())
    goals_told = f"; goals: {counted}" if counted else ""
    return plain_spaces(
        f"Incidents as of {words.day(night)}: {verdicts}{goals_told}{' (incomplete)' if trends.unread else ''}"
    )


def _of_headline(headline: dict[str, Any]) -> Verdict:
    definition, usable = headline["definition"], headline["usable"]
    return Verdict(
        name=headline["name"],
        verdict=headline["verdict"],
        badge=headline["badge"],
        sentences=_given(headline, "sentence", "change", "tension"),
        caveats=_given(headline, "power", "caution"),
        start=definition["start"],
        end=definition["end"],
        clock=definition["calendar"],
        used=usable["used"],
        total=usable["total"],
        excluded=dict(usable["excluded"]),
    )


def _lost(problem: Problem) -> str:
    """Where, and how much: 'shop: 121 h lost in 60 incidents'."""
    where = f"{one_line(problem.service, 60)}: " if problem.service and problem.title else ""
    return f"{where}{words.hours(problem.seconds_lost)} lost in {words.count(problem.n)} incidents"


def _given(headline: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(headline[name] for name in names if headline[name])


def _part(value: str, found: dict[str, Any]) -> Line:
    slope = words.slope(found)
    said = NAMES[found["measure"]].lower() + (f", {slope} per 30 days" if slope else "")
    return Line(one_line(value, 60), said, found["verdict"], BADGES[found["verdict"]])


def _verdict(told: dict[str, Any]) -> Verdict:
    sentences, caveats = tuple(told.pop("sentences")), tuple(told.pop("caveats"))
    return Verdict(sentences=sentences, caveats=caveats, **told)
