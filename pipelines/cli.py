"""The ``forewarn`` command. Exit codes: 0 done, 1 the run failed, 2 the input or the settings are unusable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console

from pipelines.errors import RunFailedError
from pipelines.settings import Settings, SettingsError, load, night_of
from pipelines.sources.errors import InputError, shown
from pipelines.warehouse import WarehouseError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tells what will break in the next days, and whether you are getting better at incidents.",
)
Config = Annotated[Path | None, typer.Option(help="Settings file. Default: $FOREWARN_CONFIG, else the sample fleet's.")]
AsOf = Annotated[str | None, typer.Option(help="The night, e.g. 2026-05-31. Default: the settings' own, else today.")]
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@app.command()
def nightly(config: Config = None, as_of: AsOf = None) -> None:
    """Run one night: ingest, forecast, write tickets and reports."""
    settings = load(config)
    night = night_of(as_of, settings)
    from pipelines import nightly as job  # noqa: PLC0415 - Dagster takes seconds to import; a typo should not

    outcome = job.run_night(settings, night, console)
    from pipelines.summary import show  # noqa: PLC0415

    show(console, settings, night, outcome)
    if outcome.faults:
        raise RunFailedError(outcome.faults)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="Folder for mttr.html, mttr.json and the charts.")],
    *,
    config: Config = None,
    as_of: AsOf = None,
    send: Annotated[bool, typer.Option("--send", help="Send it to the destinations that have not had it.")] = False,
    to: Annotated[list[str] | None, typer.Option(help="With --send: to this destination only.")] = None,
    again: Annotated[bool, typer.Option("--again", help="With --send: also to those that have had it.")] = False,
) -> None:
    """Write the incident-trend report from the incident sources alone, and send it where that is asked for."""
    settings = load(config)
    night = night_of(as_of, settings)
    if (to or again) and not send:
        raise SettingsError("--to and --again say how to send; add --send")
    from pipelines.distribution import by_hand  # noqa: PLC0415
    from pipelines.incident_report import write_report  # noqa: PLC0415

    if send:
        by_hand.require(settings, to or [])
    written, unread = write_report(settings, night, out)
    for path in written:
        console.print(str(path), markup=False, soft_wrap=True)
    for source, whys in unread.items():
        for why in whys:
            console.print(f"not fetched: {source}: {why}", markup=False, soft_wrap=True)
    sent = by_hand.send(settings, night, out, to=to or [], again=again) if send else []
    for each in sent:
        console.print(f"{each.destination}: {each.told}", markup=False, soft_wrap=True)
    faults = [f"not fetched: {', '.join(unread)}; the report is without what is new there"] if unread else []
    if failed := [each.destination for each in sent if each.became == "failed"]:
        faults.append(f"not sent: {', '.join(failed)}; the report is written all the same")
    if faults:
        raise RunFailedError("; ".join(faults))


@app.command()
def score(metrics: Annotated[list[Path], typer.Argument(help="Parquet: source, entity, metric, ts, value.")],
          tasks: Annotated[Path, typer.Option(help="Parquet: source, entity, metric, as_of, limit.")],
          out: Annotated[Path, typer.Option(help="Where the answers go, as Parquet.")],
          prior: Annotated[str, typer.Option(help="Cold-start model: shipped, none, or a file.")] = "shipped",
          workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2) -> None:  # fmt: skip
    """Say how probable it is that a series reaches a limit, for any series, moment and limit."""
    from pipelines import priors  # noqa: PLC0415
    from pipelines import score as scoring  # noqa: PLC0415

    found = scoring.run(metrics, tasks, out, prior=priors.load(prior), workers=workers, console=console)
    for line in scoring.summary(found, out):
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def replay(
    *,
    out: Annotated[Path, typer.Option(help="Folder for tickets.parquet, nights.parquet, summary.json, replay.html.")],
    first: Annotated[str, typer.Option("--from", help="The first night, YYYY-MM-DD.")],
    last: Annotated[str, typer.Option("--to", help="The last night, YYYY-MM-DD.")],
    config: Config = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try other thresholds and horizons as well.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Without Prophet's contest, which costs most.")] = False,
) -> None:
    """Play past nights again: which tickets they would have opened, and what came of them."""
    settings = load(config)
    nights = night_of(first, settings, option="--from"), night_of(last, settings, option="--to")
    from pipelines.replay import run as replaying  # noqa: PLC0415

    found = replaying.run(
        replaying.quicker(settings) if quick else settings, *nights, out, sweep=sweep, console=console
    )
    for line in replaying.told(found, out):
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def feedback(
    ticket_id: Annotated[str, typer.Argument(help="The ticket's id, or its beginning.")],
    useful: Annotated[str, typer.Argument(metavar="yes|no", help="Was it useful?")],
    *,
    by: Annotated[str, typer.Option(envvar="USER", help="Who says so.")] = "",
    worked: Annotated[str | None, typer.Option(help="When it was acted on, e.g. 2026-05-31T13:00.")] = None,
    note: Annotated[str | None, typer.Option(help="What else there is to say.")] = None,
    config: Config = None,
) -> None:
    """Say whether a ticket was useful; the next night shows it beside what became of the ticket."""
    settings = load(config)
    from pipelines import feedback_entry  # noqa: PLC0415

    told = feedback_entry.give(settings, ticket_id, useful, by=by, worked=worked, note=note)
    console.print(told, markup=False, soft_wrap=True)


@app.command()
def check(config: Config = None) -> None:
    """Say whether everything is reachable and sensible, one line a finding."""
    settings: Settings = load(config)
    from pipelines.preflight import examine  # noqa: PLC0415
    from pipelines.site import Site  # noqa: PLC0415

    findings = examine(Site(settings))
    for finding in findings:
        console.print(f"{finding.level:<6}{finding.text}", markup=False, soft_wrap=True)
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(2)


def main() -> None:
    try:
        app()
    except (SettingsError, InputError, WarehouseError) as error:
        sys.exit(_said(error, 2))
    except RunFailedError as error:
        sys.exit(_said(error, 1))
    except (OSError, duckdb.Error) as error:
        # What the outside world does at any moment (a disk fills up, a mount goes away) has no one place to be caught,
        # and its message says more to an SRE than a traceback. A fault of our own is neither, and keeps its traceback.
        sys.exit(_said(error, 1))


def _said(error: Exception, code: int) -> int:
    sys.stderr.write(f"forewarn: {shown(' '.join(str(error).split()))}\n")
    return code


if __name__ == "__main__":
    main()
