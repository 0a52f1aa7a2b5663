"""Group `reports`: tonight's tickets by policy, what people say of tickets, and the ledger of what became of them."""

from collections.abc import Iterator

import dagster as dg

from pipelines import checks, piloting, settling, steps
from pipelines import feedback as opinions
from pipelines.assets import metadata
from pipelines.assets.features import HOURLY
from pipelines.assets.forecasting import LIMITS, RISKS, SETTLEMENTS
from pipelines.assets.ingest import KNOWN_BAD
from pipelines.history import series_of
from pipelines.maintenance import nights
from pipelines.site import Site

TICKET_EVENTS = ["reports", "ticket_events"]
TICKET_OUTCOMES = ["reports", "ticket_outcomes"]
MISSES = ["reports", "misses"]
SERVICE_MODES = ["reports", "service_modes"]
FEEDBACK = ["reports", "feedback"]
PROFILES = ["features", "profiles"]


@dg.asset(
    key=TICKET_EVENTS,
    group_name="reports",
    kinds={"polars", "parquet"},
    deps=[RISKS, PROFILES, KNOWN_BAD],
    check_specs=checks.specs(checks.TICKETS, TICKET_EVENTS),
    description="What the policy makes of tonight's risks and of open tickets: opened, updated, resolved.",
)
def ticket_events(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    policy = night.settings.tickets.policy
    with night.progress.stage("decide tickets"):
        with night.warehouse.reader() as con:
            series = series_of(con)
            earlier = con.sql(
                "FROM forecasting.risks WHERE as_of >= $first AND as_of < $as_of",
                params={"first": night.as_of - policy.lookback, "as_of": night.as_of},
            ).pl()
            events = con.sql("FROM reports.ticket_events WHERE as_of < $as_of", params={"as_of": night.as_of}).pl()
        decided = steps.decide_tickets(
            night.as_of,
            policy,
            night.frames.read("forecasting.risks"),
            night.frames.read("features.profiles"),
            series,
            earlier_risks=earlier,
            events=events,
            held=night.frames.read(nights.HELD)["series_id"],
        )
        path = night.frames.write("reports.ticket_events", decided)
        with night.warehouse.scratch() as con:
            results = checks.run(con, checks.TICKETS, TICKET_EVENTS, {"ticket_events": [path]})
    lineage = {"probability": [("forecasting.risks", "p")], "limit_value": [("forecasting.risks", "limit_value")]}
    changed = decided.select("event", "entity", "signal", "limit_name", "probability", "eta_p50", "reason")
    told = metadata.table(path, lineage) | {"changed tonight": metadata.rows(changed, 50)}
    return dg.MaterializeResult(metadata=told, check_results=results)


@dg.asset(
    key=FEEDBACK,
    group_name="reports",
    kinds={"csv", "polars"},
    deps=[TICKET_EVENTS],
    description="Whether people found tickets useful and when they worked them, as they say in the file of feedback.",
)
def feedback(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("read feedback"):
        found = opinions.listen(night)
    night.frames.note("reports.feedback", {"rejected": found.rejected})
    told = metadata.table(night.frames.path(opinions.TABLE)) | metadata.counts({"held_back": found.heard.held_back})
    told |= {"heard": metadata.rows(found.heard.feedback), "refused": metadata.rows(found.refused, 50)}
    return dg.MaterializeResult(metadata=told | {"rejected": metadata.tally(found.rejected, "reason")})


@dg.multi_asset(
    specs=[
        dg.AssetSpec(TICKET_OUTCOMES, group_name="reports", deps=[TICKET_EVENTS, FEEDBACK, LIMITS, HOURLY, KNOWN_BAD],
                     kinds={"numpy"},
                     description="What became of tickets: came true, averted, false alarm or unknown, and why."),
        dg.AssetSpec(MISSES, group_name="reports", deps=[SETTLEMENTS, TICKET_EVENTS, RISKS], kinds={"polars"},
                     description="Crossings since the night before that no ticket foresaw, and why not."),
    ],
)  # fmt: skip
def ledger(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> Iterator[dg.MaterializeResult]:
    night = site.night(context)
    with night.progress.stage("judge tickets"):
        judged = settling.judge_tickets(night)
        missed = settling.find_misses(night, night.frames.read("forecasting.crossings"))
    for key, found in ((TICKET_OUTCOMES, judged), (MISSES, missed)):
        path = night.frames.write(".".join(key), found)
        told = metadata.table(path) | {"settled tonight": metadata.rows(found.drop("settled_as_of"), 50)}
        yield dg.MaterializeResult(asset_key=key, metadata=told)


@dg.asset(
    key=SERVICE_MODES,
    group_name="reports",
    kinds={"polars", "parquet"},
    deps=[TICKET_EVENTS, TICKET_OUTCOMES],
    description="Which services' tickets are published tonight, by the settings or by their own record, and why.",
)
def service_modes(context: dg.AssetExecutionContext, site: dg.ResourceParam[Site]) -> dg.MaterializeResult:
    night = site.night(context)
    with night.progress.stage("weigh services' records"):
        decided = piloting.service_modes(night)
        path = night.frames.write("reports.service_modes", decided)
    return dg.MaterializeResult(metadata=metadata.table(path) | {"tonight": metadata.rows(decided.drop("as_of"), 50)})


ASSETS = [ticket_events, feedback, ledger, service_modes]
