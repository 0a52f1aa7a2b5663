"""The nightly job in this process, with progress and a table at the end. The very job that Dagster schedules."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from pipelines.build import NIGHTLY, build_defs
from pipelines.distribution.record import newest
from pipelines.errors import RunFailedError
from pipelines.preflight import exclusive, require
from pipelines.progress import Bars
from pipelines.settings import Settings, cut
from pipelines.site import Site
from pipelines.sources.rejects import UNREAD

SITE_TAG = "forewarn/site"
UNFINISHED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
TEMPLATE = Path(__file__).parent / "deploy" / "dagster.yaml"


@dataclass(frozen=True)
class Outcome:
    """A finished night.

    counts: what main.runs says of it.
    seconds: stage -> how long it took.
    stale: later nights whose tickets rest on what this night said before.
    unread: sources that were not fetched whole, with why.
    unreached: tickets that a tracker did not take, with its message.
    switched: services whose publishing was switched on or off, with the reason.
    sent: destinations that have the incident report of this night.
    unsent: destinations whose newest report did not arrive, with why.
    warned: asset checks that failed or warned without stopping the run, as 'failed: band_holds' or 'warning: ...', with
        what they ask for and what was found.
    """

    counts: dict[str, Any]
    seconds: dict[str, float]
    stale: list[datetime]
    unread: list[tuple[str, str]]
    unreached: list[tuple[str, str]]
    switched: list[tuple[str, str]]
    warned: list[tuple[str, str]]
    sent: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def faults(self) -> str:
        """What is left to be done when all else is, in one line; empty where nothing is."""
        told = [
            f"{what}: {', '.join(name for name, _ in which)}"
            for what, which in (("not fetched", self.unread), ("not sent", self.unsent))
            if which
        ]
        mend = (
            "run the night again when they answer"
            if self.unread
            else "the next night tries again, forewarn report --send does so now"
        )
        return f"{'; '.join(told)}; all else is done, {mend}" if told else ""


def run_night(settings: Settings, night: date, console: Console) -> Outcome:
    """Run one night.

    Raises:
        InputError, WarehouseError: before the run began; nothing was changed.
        RunFailedError: it began.
    """
    site = Site(settings)
    with exclusive(site):
        require(site)
        try:
            with Bars(console) as bars:
                instance = instance_of(settings)
                bury(instance, settings)
                result = _execute(build_defs(settings, bars), night, instance, settings)
        except (OSError, SQLAlchemyError) as error:  # of Dagster's own history: its disk is full, its file damaged
            raise RunFailedError(f"Dagster's history under {dagster_home(settings)}: {_one_line(error)}") from error
        return _outcome(site, night, bars.seconds, warnings_of(result))


def _outcome(site: Site, night: date, seconds: dict[str, float], warned: list[tuple[str, str]]) -> Outcome:
    as_of = cut(night, site.settings.zone)
    with site.warehouse.reader() as con:
        counts = con.execute("SELECT counts FROM main.runs WHERE as_of = $as_of", {"as_of": as_of}).fetchall()
        stale = con.execute(
            "SELECT as_of FROM main.runs WHERE as_of > $as_of AND status = 'stale' ORDER BY as_of", {"as_of": as_of}
        ).fetchall()
        unread = con.execute(
            """
            SELECT source, any_value(detail ORDER BY row)
                || if(count(*) > 1, ' (and ' || (count(*) - 1) || ' more, see raw.rejects)', '')
            FROM raw.rejects JOIN main.runs USING (run_id)
            WHERE as_of = $as_of AND list_contains($unread, reason)
            GROUP BY source
            ORDER BY source
            """,
            {"as_of": as_of, "unread": list(UNREAD)},
        ).fetchall()
        unreached = con.execute(
            """
            SELECT ticket_id, error
            FROM (
                FROM reports.publications
                QUALIFY row_number() OVER (PARTITION BY tracker, ticket_id ORDER BY as_of DESC, event_no DESC) = 1
            )
            WHERE state = 'failed'
            ORDER BY ALL
            """
        ).fetchall()
        switched = con.execute(
            """
            SELECT coalesce(service, 'what no service owns') || CASE WHEN published THEN ': on' ELSE ': off' END, reason
            FROM reports.service_modes
            WHERE as_of = $as_of AND changed
            ORDER BY ALL
            """,
            {"as_of": as_of},
        ).fetchall()
        standings = newest(con, [each.name for each in site.settings.distribution])
    return Outcome(
        counts=json.loads(counts[0][0]),
        seconds=seconds,
        stale=[row[0] for row in stale],
        unread=unread,
        unreached=unreached,
        switched=switched,
        warned=warned,
        sent=[(each.destination, f"the report of {night}") for each in standings if each.has_arrived(night)],
        unsent=[(each.destination, each.why) for each in standings if each.is_missing(night)],
    )


def _execute(
    defs: dg.Definitions, night: date, instance: dg.DagsterInstance, settings: Settings
) -> dg.ExecuteInProcessResult:
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = defs.resolve_job_def(NIGHTLY)
    result = job.execute_in_process(
        partition_key=night.isoformat(),
        instance=instance,
        run_config=quiet,
        raise_on_error=False,
        tags={SITE_TAG: str(settings.root)},
    )
    if not result.success:
        raise RunFailedError(_why(result))
    return result


def bury(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Runs of this command that were killed: tell Dagster, and free the pool slots that they hold.

    A run of this site that Dagster still takes for running is dead, since whoever calls this holds the site's lock;
    left alone, its slot would make the next writer wait for ever.
    """
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={SITE_TAG: str(settings.root)})
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first failure in one line; its traceback is in Dagster's history."""
    for check in _violated(result, blocking=True):
        return (
            f"{check.asset_key.to_user_string()} fails its check {check.check_name}, so it stays back: {_first(check)}"
        )
    for event in result.filter_events(lambda each: each.is_step_failure):
        error = event.step_failure_data.error
        while error and error.cause:
            error = error.cause
        if error:
            return re.sub(r"^pipelines\.[\w.]+Error: ", "", _one_line(error.message))  # our own speak for themselves
    return "the run failed before its first step; see Dagster's history"


def warnings_of(result: dg.ExecuteInProcessResult) -> list[tuple[str, str]]:
    """Checks that failed and stopped nothing: name, and what they ask for with the first rows that violate it."""
    words = {dg.AssetCheckSeverity.WARN: "warning", dg.AssetCheckSeverity.ERROR: "failed"}
    return [
        (f"{words[check.severity]}: {check.check_name}", f"{check.description} Not so tonight: {_first(check)}")
        for check in _violated(result, blocking=False)
    ]


def _violated(result: dg.ExecuteInProcessResult, *, blocking: bool) -> Iterator[dg.AssetCheckEvaluation]:
    for event in result.filter_events(lambda each: each.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        if not check.passed and bool(check.blocking) == blocking:
            yield check


def _first(check: dg.AssetCheckEvaluation) -> str:
    """The first rows that violate a check: 'horizon_h 168, questions 412; horizon_h 24, questions 398'."""
    first = check.metadata.get("first")
    rows: Any = first.data if isinstance(first, dg.JsonMetadataValue) else []
    return "; ".join(", ".join(f"{column} {value}" for column, value in row.items()) for row in rows)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def dagster_home(settings: Settings) -> Path:
    """``$DAGSTER_HOME``, else a folder under the storage root; absolute, as Dagster wants it."""
    return Path(os.environ.get("DAGSTER_HOME") or settings.root / "dagster").absolute()


def instance_of(settings: Settings) -> dg.DagsterInstance:
    """Dagster's history, made from the template where there is none yet."""
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(TEMPLATE, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()
