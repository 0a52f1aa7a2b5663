"""What ``forewarn check`` says of the distribution: whether each destination can be reached. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pipelines.distribution import smtp, webhook
from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Email, Webhook
from pipelines.settings import Settings
from reports.due_nights import is_due, next_due

Level = Literal["ok", "note", "fault"]


def findings(settings: Settings) -> Iterator[tuple[Level, str]]:
    """A line for each destination, and what could be better about it."""
    if settings.distribution and not settings.sources.incidents:
        yield "note", "distribution: no sources.incidents are named, so the report that is sent says nothing; add one"
    for destination in settings.distribution:
        named = f"distribution, {destination.name}"
        if isinstance(destination, Email):
            yield _mail(named, destination, settings)
        else:
            yield from _hook(named, destination, settings)


def _mail(named: str, options: Email, settings: Settings) -> tuple[Level, str]:
    try:
        how = smtp.probe(options, settings)
    except NotSentError as error:
        return "fault", f"{named}: {error}"
    many = f"{len(options.recipients)} recipient{'' if len(options.recipients) == 1 else 's'}"
    return "ok", f"{named}: {how}; {many}, {_next(options, settings)}"


def _hook(named: str, options: Webhook, settings: Settings) -> Iterator[tuple[Level, str]]:
    yield "ok", f"{named}: its address is well formed, not tried; {_next(options, settings)}"
    if doubt := webhook.doubt(options):
        yield "note", f"{named}: {doubt}"


def _next(options: Email | Webhook, settings: Settings) -> str:
    tonight = settings.today
    due = tonight if is_due(tonight, options.nights) else next_due(tonight, options.nights)
    return f"next on {due:%a} {due}"
