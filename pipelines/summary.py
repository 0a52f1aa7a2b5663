"""The table that ends ``forewarn nightly``: what came in, what was concluded, where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.nightly import Outcome
from pipelines.settings import Settings, cut


def show(console: Console, settings: Settings, night: date, outcome: Outcome) -> None:
    """Print the night's summary."""
    counts = outcome.counts
    table = Table(
        title=f"Night of {night} (as of {cut(night, settings.zone):%Y-%m-%d %H:%M} UTC)", title_justify="left"
    )
    table.add_column("stage")
    table.add_column("what", overflow="fold")
    for stage, told in (
        ("ingested", _plain(counts["ingested"])),
        ("rejected", _plain(counts["rejected"]) or "nothing"),
        ("series", _plain(counts["series"])),
        ("scored", _plain(counts["risks"])),
        ("abstained", _plain(counts["abstained"]) or "from none"),
        ("failed", f"{counts['failures']} series, see forecasting.failures" if counts["failures"] else "none"),
        ("tickets", _plain(counts["tickets"])),
        ("ledger", _plain(counts["ledger"]) or "nothing came due"),
        ("feedback", _plain(counts["feedback"]) or "none"),
        ("services", _plain(counts["services"])),
        ("known-bad", _plain(counts["known_bad"]["counts"]) or "no window"),
        *((f"not read: {source}", f"{why}; what was known holds") for source, why in _faults(counts["known_bad"])),
        *((f"switched {service}", why) for service, why in outcome.switched),
        ("incidents", _plain(counts["incidents"])),
        *((f"not fetched: {source}", why) for source, why in outcome.unread),
        *((f"not brought: {ticket}", why) for ticket, why in outcome.unreached),
        *((f"sent to {destination}", what) for destination, what in outcome.sent),
        *((f"not sent: {destination}", why) for destination, why in outcome.unsent),
        *outcome.warned,
        *(("stale night", f"{later:%Y-%m-%d %H:%M} UTC: run it again") for later in outcome.stale),
        ("seconds", _seconds(outcome.seconds)),
    ):
        table.add_row(stage, escape(told))
    console.print(table)
    for label, path in _where(settings, night):
        console.print(f"{label:<12}{path}", markup=False, soft_wrap=True)


def _faults(known_bad: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    return known_bad["faults"].items()


def _plain(values: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in values.items() if number)


def _seconds(seconds: Mapping[str, float]) -> str:
    return (
        ", ".join(f"{stage} {spent:.1f}" for stage, spent in seconds.items()) + f"; in all {sum(seconds.values()):.1f}"
    )


def _where(settings: Settings, night: date) -> Iterable[tuple[str, Path]]:
    pages = settings.report_folder(night)
    yield from (
        (label, path)
        for label, path in (
            ("digest", pages / "digest.html"),
            ("reliability", pages / "reliability.png"),
            ("kept", pages / "kept.png"),
            ("incidents", pages / "mttr.html"),
            ("tickets", settings.tickets_folder),
            ("in shadow", settings.shadow_folder),
            ("snapshot", settings.root / "snapshot.duckdb"),
        )
        if path and path.exists()
    )
