"""What must hold of staged frames before they are published. A check that fails stops the run in front of the commit,
or, where it asks how far the results can be trusted and not whether they are sound, lets it go on: it warns, or stands
as failed in Dagster where people would be misled.

A check is a query for the rows that violate it, so it says not only that something is wrong but what. Belongs here: the
rules. Not here: rules about single input rows (those are rejected by the sources, the night goes on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg
import duckdb
import polars as pl

from pipelines.warehouse import quoted
from reports.answers_kept import (
    DRIFT_DAYS,
    FEWEST_ANSWERS,
    FEWEST_LIMITS,
    FEWEST_PATHS,
    LEAST_HELD,
    MOST_ERROR,
    MOST_HELD,
)


@dataclass(frozen=True)
class Rule:
    """A rule about an asset's staged frames; `violations` selects what breaks it.

    breach: what breaking it does: the run stops in front of its commit, or goes on with a check that failed or warned.
    """

    name: str
    description: str
    violations: str
    breach: Literal["stops", "fails", "warns"] = "stops"


METRICS = (
    Rule(
        "one_value_a_second",
        "A source has one value of a series at one second; of two sources the larger is published.",
        "SELECT series_id, ts, count(*) AS n FROM samples GROUP BY filename, series_id, ts HAVING n > 1",
    ),
    Rule("finite_values", "No sample is NaN or infinite.", "FROM samples WHERE value IS NULL OR NOT isfinite(value)"),
    Rule("before_as_of", "No sample lies at or after the night's cut.", "FROM samples WHERE ts >= $as_of"),
    Rule("known_series", "Every sample belongs to a staged series.", "FROM samples ANTI JOIN series USING (series_id)"),
    Rule(
        "one_identity_a_series",
        "One series_id stands for one source, entity, metric and set of identity labels.",
        "SELECT series_id FROM series GROUP BY series_id HAVING count(DISTINCT (source, entity, metric, labels)) > 1",
    ),
)

INCIDENTS = (
    Rule(
        "one_row_an_incident",
        "A source has an incident once; of two sources the newer version is published.",
        "SELECT source, incident_id, count(*) AS n FROM incidents GROUP BY filename, source, incident_id HAVING n > 1",
    ),
    Rule("created_before_as_of", "No incident was created at or after the night's cut.",
         "SELECT source, incident_id, created_at FROM incidents WHERE created_at >= $as_of"),
    Rule(
        "no_negative_durations",
        "No incident is acknowledged, resolved or closed before it was created.",
        "SELECT source, incident_id FROM incidents"
        " WHERE least(acknowledged_at, resolved_at, closed_at) < created_at",
    ),
    Rule(
        "events_of_known_incidents",
        "Every status event belongs to a staged incident.",
        "SELECT source, incident_id FROM incident_events ANTI JOIN incidents USING (source, incident_id)",
    ),
)  # fmt: skip

HOURLY = (
    Rule(
        "one_row_an_hour",
        "A series has one row an hour.",
        "SELECT series_id, hour, count(*) AS n FROM hourly GROUP BY ALL HAVING n > 1",
    ),
    Rule(
        "mean_within_extremes",
        "An hour's mean and last value lie between its minimum and maximum.",
        # the mean of equal values may differ from them in its last bits
        "FROM hourly WHERE NOT (n >= 1 AND last BETWEEN min AND max"
        " AND mean BETWEEN min - 1e-9 * abs(min) AND max + 1e-9 * abs(max))",
    ),
)

RISKS = (
    Rule(
        "one_answer",
        "A limit of a series has one answer for a horizon.",
        "SELECT series_id, limit_name, horizon_h, count(*) AS n FROM risks GROUP BY ALL HAVING n > 1",
    ),
    Rule(
        "probabilities",
        "A scored or crossed limit has a probability in [0, 1].",
        "FROM risks WHERE state <> 'abstained' AND (p IS NULL OR NOT isfinite(p) OR p NOT BETWEEN 0 AND 1)",
    ),
    Rule(
        "longer_is_no_less_likely",
        "P does not fall as the horizon grows.",
        """
        SELECT series_id, limit_name, horizon_h, p, before
        FROM (
            SELECT *, lag(p) OVER (PARTITION BY series_id, limit_name ORDER BY horizon_h) AS before
            FROM risks
        )
        WHERE p < before
        """,
    ),
    Rule(
        "reasoned_abstentions",
        "An abstention has a reason and no probability.",
        "FROM risks WHERE state = 'abstained' AND (reason IS NULL OR p IS NOT NULL)",
    ),
    Rule(
        "ordered_eta",
        "The quantiles of the expected time are in order and after the cut.",
        "FROM risks WHERE state = 'scored' AND (eta_p10 > eta_p50 OR eta_p50 > eta_p90 OR eta_p10 < as_of)",
    ),
)

CALIBRATION = (
    Rule(
        "calibrated",
        "P within a week lay within 0.10 of the share that crossed, on average over 200 settled questions or more.",
        """
        SELECT horizon_h, questions, round(calibration_error, 3) AS calibration_error
        FROM calibration
        WHERE shape = 'all' AND horizon_h = 168 AND questions >= 200 AND calibration_error > 0.10
        """,
        breach="warns",
    ),
)

SETTLED = (
    Rule(
        "promises_kept",
        f"Of the answers that settled in the last {DRIFT_DAYS} days, those that open tickets came as often as promised,"
        f" by the 95 % interval over {FEWEST_LIMITS} limits or more; and over {FEWEST_ANSWERS} answers or more P lay"
        f" within {MOST_ERROR:.2f} of the share that came true.",
        """
        SELECT
            horizon_h, answers, round(calibration_error, 3) AS calibration_error, sure, limits,
            round(promised, 3) AS promised, round(came, 3) AS came, round(lo, 3) AS lo, round(hi, 3) AS hi
        FROM drift
        WHERE warns
        """,
        breach="warns",
    ),
    Rule(
        "band_kept",
        f"The 80 % band of past nights' forecasts held {100 * LEAST_HELD:.0f} to {100 * MOST_HELD:.0f} % of the hours"
        f" that it spoke of, in the last {DRIFT_DAYS} days and over {FEWEST_PATHS} forecasts or more.",
        f"""
        SELECT round(held / hours, 3) AS coverage_80, hours, paths, series
        FROM band
        WHERE paths >= {FEWEST_PATHS} AND held / hours NOT BETWEEN {LEAST_HELD} AND {MOST_HELD}
        """,
        breach="fails",
    ),
)

MODELS = (
    Rule(
        "band_holds",
        "The forecasts' 80 % band held 70 to 90 % of the hours of past weeks, over 30 series or more.",
        """
        SELECT round(sum(coverage_80 * series) / sum(series), 3) AS coverage_80, sum(series) AS series
        FROM models
        WHERE horizon_h = 168 AND coverage_80 IS NOT NULL
        HAVING sum(series) >= 30 AND sum(coverage_80 * series) / sum(series) NOT BETWEEN 0.70 AND 0.90
        """,
        breach="fails",
    ),
)

TICKETS = (
    Rule(
        "one_event_a_ticket",
        "A ticket changes at most once a night.",
        "SELECT ticket_id, count(*) AS n FROM ticket_events GROUP BY ALL HAVING n > 1",
    ),
    Rule(
        "one_ticket_a_cause",
        "At most one ticket of a cause is left open.",
        "SELECT fingerprint FROM ticket_events WHERE event <> 'resolved' GROUP BY ALL HAVING count(*) > 1",
    ),
)


def specs(rules: tuple[Rule, ...], asset: list[str]) -> list[dg.AssetCheckSpec]:
    """The rules as Dagster's checks of an asset; those that stop the run are blocking."""
    return [
        dg.AssetCheckSpec(rule.name, asset=asset, description=rule.description, blocking=rule.breach == "stops")
        for rule in rules
    ]


def run(
    con: duckdb.DuckDBPyConnection,
    rules: tuple[Rule, ...],
    asset: list[str],
    frames: Mapping[str, Sequence[Path]],
    as_of: object = None,
) -> list[dg.AssetCheckResult]:
    """Check frames against rules.

    Args:
        con: a scratch connection.
        frames: the name that the rules use -> its Parquet files; with none of them there is nothing to violate.
        as_of: what the rules' ``$as_of`` stands for.
    """
    if not all(frames.values()):
        return [dg.AssetCheckResult(check_name=rule.name, asset_key=dg.AssetKey(asset), passed=True) for rule in rules]
    for name, paths in frames.items():
        files = ", ".join(quoted(path) for path in paths)
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM read_parquet([{files}], filename = true)")
    return [_check(con, rule, asset, as_of) for rule in rules]


def _check(con: duckdb.DuckDBPyConnection, rule: Rule, asset: list[str], as_of: object) -> dg.AssetCheckResult:
    params = {"as_of": as_of} if "$as_of" in rule.violations else None
    found = con.sql(f"SELECT *, count(*) OVER () AS violations FROM ({rule.violations}) LIMIT 5", params=params).pl()
    count = int(found["violations"][0]) if len(found) else 0
    metadata: dict[str, dg.MetadataValue] = {"violations": dg.MetadataValue.int(count)}
    if count:
        metadata["first"] = dg.MetadataValue.json(found.select(pl.exclude("violations").cast(pl.String)).to_dicts())
    return dg.AssetCheckResult(
        check_name=rule.name,
        asset_key=dg.AssetKey(asset),
        passed=count == 0,
        severity=dg.AssetCheckSeverity.WARN if rule.breach == "warns" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
        description=rule.description,
    )
