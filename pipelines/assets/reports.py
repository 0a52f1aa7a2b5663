"""Group `reports`: incident trends, the second commit, and everything that people read after it."""

from collections import Counter

import dagster as dg
import polars as pl

from pipelines import digests, feedback, incident_report, settling, ticketing
from pipelines.assets import metadata
from pipelines.assets.features import HOURLY, INCIDENT_DURATIONS
from pipelines.assets.forecasting import LIMITS, RISKS, SETTLEMENTS
from pipelines.assets.ingest import KNOWN_BAD
from pipelines.assets.tickets import FEEDBACK, MISSES, PROFILES, SERVICE_MODES, TICKET_EVENTS, TICKET_OUTCOMES
from pipelines.distribution import sending
from pipelines.distribution.record import WarehouseRecord
from pipelines.frames import forget_old
from pipelines.ledger import WarehouseLedger
from pipelines.maintenance import record
from pipelines.publishing.results import NIGHTLY_TABLES, SETTLED_TABLES, StagedResults, publish_results
from pipelines.publishing.runs import newest_night
from pipelines.site import Night, Site
from pipelines.trackers.publish import publish
from reports.feedback import beside_outcomes
from reports.incident_charts import charts
from reports.incident_summary import summary_markdown

INCIDENT_TRENDS = ["reports", "incident_trends"]
RUNS = ["main", "runs"]
SNAPSHOT = ["main", "snapshot"]


@dg.asset(
    key=INCIDENT_TRENDS,
    group_name="reports",
    kinds={"scipy", "parquet"},
    deps=[INCIDENT_DURATIONS, TICKET_EVENTS],
    description="MTTA and MTTR per period and slice, with intervals and verdicts; goals; recurring problems.",
)
def incident_trends(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("incident trends"):
        durations = night.frames.read("features.incident_durations")
        with night.warehouse.reader() as con:
            tonight = night.frames.path("reports.ticket_events")
            foreseen = incident_report.known_tickets(con, night.as_of, night.settings.incidents, tonight)
        noted = night.frames.noted("staged.incidents")
        refused, calendar = noted["refused"], incident_report.calendar(night.settings)
        beside = incident_report.Beside(
            calendar, refused["incidents"], refused["events"], *foreseen,
            unread=noted["unread"], lacking=noted["lacking"],
        )  # fmt: skip
        trends = incident_report.trends(durations, night.as_of, night.settings.incidents, beside)
        path = night.frames.write("reports.incident_trends", trends.table)
        written = incident_report.write(trends, night.reports, night.date)
    told = metadata.table(path) | {"verdicts": dg.MetadataValue.md(summary_markdown(trends))}
    told |= {"page": dg.MetadataValue.path(written[0])}
    told |= metadata.counts({f"verdict: {verdict}": n for verdict, n in _verdicts(trends).items()})
    told |= {name: metadata.chart(png, name) for name, png in charts(trends).items()}
    return dg.MaterializeResult(metadata=told)


@dg.asset(
    key=RUNS,
    group_name="reports",
    kinds={"duckdb"},
    deps=[
        HOURLY, LIMITS, RISKS, SETTLEMENTS, TICKET_EVENTS, TICKET_OUTCOMES, MISSES, SERVICE_MODES, INCIDENT_TRENDS,
        PROFILES, FEEDBACK, KNOWN_BAD,
        ["forecasting", "forecasts"], ["forecasting", "models"], ["forecasting", "calibration"],
        ["forecasting", "tournament"], ["forecasting", "failures"],
    ],
    pool="warehouse",
    description="The second commit: everything that was concluded tonight becomes visible at once.",
)  # fmt: skip
def published_results(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    staged = StagedResults(
        hourly=night.frames.path("features.hourly"),
        rolled_days=night.frames.path("features.rolled_days"),
        limits=night.frames.path("forecasting.limits"),
        nightly={table: night.frames.path(table) for table in NIGHTLY_TABLES},
        settled={table: night.frames.path(table) for table in SETTLED_TABLES},
        feedback=night.frames.path(feedback.TABLE),
        known_bad=night.frames.path(record.TABLE),
        rejects=[night.frames.path(feedback.REFUSED)],
    )
    counts = count(night)
    with night.progress.stage("commit what was concluded"), night.warehouse.writer() as con:
        stale = publish_results(con, staged, night.run, night.settings.storage.retention, counts)
    forget_old(night.settings.root)
    told: dict[str, dg.MetadataValue] = {"counts": dg.MetadataValue.json(counts)}
    if stale:
        nights = ", ".join(f"{later:%Y-%m-%d}" for later in stale)
        told["stale nights, to be run again in order"] = dg.MetadataValue.text(nights)
    return dg.MaterializeResult(metadata=told)


@dg.asset(
    key=["reports", "tickets"],
    group_name="reports",
    kinds={"markdown"},
    deps=[RUNS],
    pool="warehouse",
    description="Tickets in the trackers. Only the newest night talks to them.",
)
def tickets(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("bring out tickets"):
        receivers = ticketing.trackers(night.settings)
        told: dict[str, dg.MetadataValue] = {}
        with night.warehouse.autocommit() as con:
            if night.as_of < (newest_night(con) or night.as_of):
                return dg.MaterializeResult(metadata={"skipped": "an older night; only the newest talks to trackers"})
            pending = ticketing.pending(con, night.settings, [tracker.name for tracker in receivers])
            for tracker in receivers:
                outcome = publish(pending[tracker.name], tracker, WarehouseLedger(con))
                failed = pl.DataFrame(outcome.failed, schema={"ticket": pl.String, "why": pl.String}, orient="row")
                told[f"{tracker.name}: brought"] = dg.MetadataValue.int(len(outcome.done))
                told[f"{tracker.name}: failed, tried again next night"] = metadata.rows(failed)
    brought = (event.document for events in pending.values() for event in events)
    newest = next((each for each in brought if each.status == "open" and each.png), None)
    if newest and newest.png:
        told["chart"] = metadata.chart(newest.png, newest.title)
    return dg.MaterializeResult(metadata=told)


@dg.asset(
    key=["reports", "digest"],
    group_name="reports",
    kinds={"html"},
    deps=[RUNS, ["reports", "tickets"]],
    description="The night on one page: ranked risks with small plots, tickets, abstentions, failures and rejects.",
)
def digest(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("write digest"):
        with night.warehouse.reader() as con:
            page = digests.page(con, night)
        path = digests.write(page, night)
    told: dict[str, dg.MetadataValue] = {"page": dg.MetadataValue.path(path)}
    if page.kept:
        told["what past nights answered, and what came"] = metadata.chart(page.kept, "kept")
    return dg.MaterializeResult(metadata=told)


@dg.asset(
    key=SNAPSHOT,
    group_name="reports",
    kinds={"duckdb"},
    deps=[RUNS, ["reports", "tickets"]],
    pool="warehouse",
    description="The readers' copy of the warehouse, without raw samples; replaced whole.",
)
def snapshot(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("snapshot for readers"):
        path = night.warehouse.snapshot()
    return dg.MaterializeResult(
        metadata={"file": dg.MetadataValue.path(path), "bytes": dg.MetadataValue.int(path.stat().st_size)}
    )


@dg.asset(
    key=["reports", "distribution"],
    group_name="reports",
    kinds={"html"},
    deps=[RUNS, INCIDENT_TRENDS, SNAPSHOT],  # last, so that no server that is slow keeps the rest waiting
    pool="warehouse",
    description="The incident report, to those who get it by mail or webhook: once a night and destination.",
)
def distribution(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.warehouse.reader() as con:
        if night.as_of < (newest_night(con) or night.as_of):
            return dg.MaterializeResult(metadata={"skipped": "an older night; only the newest is sent"})
    if not night.settings.distribution:
        return dg.MaterializeResult(metadata={"skipped": "the settings name nobody under distribution"})
    with night.progress.stage("send the incident report"):
        sent = sending.send_due(night.settings, night.date, WarehouseRecord(night.warehouse))
    return dg.MaterializeResult(metadata={each.destination: each.told for each in sent})


def _verdicts(trends: incident_report.IncidentTrends) -> dict[str, int]:
    """How often each verdict stands on the page."""
    verdicts = [found["verdict"] for found in trends.mttr["trends"]]
    verdicts += [judged.verdict for _, judged in (*trends.goals, *trends.problems)]
    return dict(Counter(verdicts))


def count(night: Night) -> dict[str, object]:
    """What the end-of-run table shows, from the night's own frames."""
    stages = ("staged.metrics", "staged.incidents", "published.raw", "reports.feedback")
    noted = {name: night.frames.noted(name) for name in stages}
    risks = night.frames.read("forecasting.risks")
    longest = risks.filter(pl.col("horizon_h") == night.settings.tickets.policy.horizon_h)
    abstained = longest.filter(pl.col("state") == "abstained")["reason"]
    staged = noted["staged.metrics"]["counts"]
    incidents = night.frames.scan("features.incident_durations").select(pl.len()).collect().item()
    return {
        "ingested": staged | noted["published.raw"] | noted["staged.incidents"]["counts"],
        "rejected": sum((Counter(found["rejected"]) for found in noted.values() if "rejected" in found), Counter()),
        "series": {
            "with a signal": len(night.frames.read("features.signals")),
            "profiled": len(night.frames.read("features.profiles")),
        },
        "risks": _tally(longest.filter(pl.col("state") != "abstained")["state"]),
        "abstained": _tally(abstained),
        "failures": len(night.frames.read("forecasting.failures")),
        "tickets": _tally(night.frames.read("reports.ticket_events")["event"]),
        "ledger": _ledger(night),
        "feedback": _feedback(night),
        "known_bad": night.frames.noted("raw.known_bad"),
        "services": _services(night),
        "incidents": {"known at the cut": incidents},
    }


def _ledger(night: Night) -> dict[str, int]:
    """What was settled tonight: risks, tickets by outcome, and crossings that none foresaw."""
    risks = night.frames.read("forecasting.settlements")
    judged, missed = night.frames.read("reports.ticket_outcomes"), night.frames.read("reports.misses")
    return {"risks_settled": len(risks)} | _tally(judged["outcome"]) | {"missed": len(missed)}


def _feedback(night: Night) -> dict[str, int]:
    """What people have said of tickets, beside what became of them."""
    with night.warehouse.reader() as con:
        heard, outcomes = feedback.known(con, night), settling.outcomes_known(con, night)
    return beside_outcomes(heard, outcomes)


def _services(night: Night) -> dict[str, int]:
    """How many services' tickets are published; what nobody owns counts where it has had tickets."""
    modes = night.frames.read("reports.service_modes")
    told = modes.filter(pl.col("service").is_not_null() | (pl.col("tickets") > 0))
    published = int(told["published"].sum())
    return {"published": published, "in_shadow": len(told) - published}


def _tally(values: pl.Series) -> dict[str, int]:
    return dict(sorted(Counter(values.to_list()).items(), key=lambda item: (-item[1], item[0])))


ASSETS = [incident_trends, published_results, tickets, digest, snapshot, distribution]
