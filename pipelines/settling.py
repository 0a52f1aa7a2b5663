"""What has come due on a night, and what came of it: risks, tickets, and crossings that nobody foresaw.

Belongs here: which promises are due, and the hours, limits and nights that they are held against. Not here: the rules
(``forecasting.settlement``, ``reports.ticket_outcomes``, ``reports.ticket_misses``).

All of it rests on hours and nights before the cut, on what people had said of tickets by then, and on what the nights
before had not settled yet: a night that is run again settles the same. What happened in known-bad hours is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import duckdb
import polars as pl

from features.grid import Grid, to_grid
from features.known_bad import from_frame, held_nights, hide
from forecasting.settlement import (
    CROSSINGS,
    SETTLEMENTS,
    STEP_DAYS,
    UNKNOWN,
    agreed,
    crossings,
    held,
    parted,
    settle,
)
from forecasting.tables import HORIZONS
from pipelines import feedback, history
from pipelines.maintenance import record
from pipelines.publishing.results import changed_limits
from pipelines.publishing.runs import night_before
from pipelines.site import Night
from pipelines.warehouse import quoted
from reports.answers_kept import BAND, DRIFT_DAYS, SURE, TENTHS, Lately
from reports.ticket_events import EVENTS
from reports.ticket_misses import MISSES, misses
from reports.ticket_outcomes import HISTORY_H, OUTCOMES, outcomes, promises

CATCH_UP = timedelta(days=90)
"""Before a warehouse's first settled night, and after a long pause: older risks are let go."""
LONGEST = timedelta(hours=HORIZONS[-1])
HOURS, TICKET_HOURS = "forecasting.settled_hours", "reports.settled_hours"
"""Frames of gathered hours: of every series with a limit, and further back of those that lead tickets."""

Advance = Callable[[int], None]


# -------------------------------------------------------------------------------------------------------------- risks


def settle_risks(night: Night, advance: Advance = lambda series: None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Settle the risks that came due since the night before.

    Returns:
        The columns of ``SETTLEMENTS``; and those of ``CROSSINGS``, of the crossings that were complete since the night
        before: none on the first night, when nobody could have been forewarned.
    """
    quiet_days = night.settings.tickets.policy.quiet_days
    with night.warehouse.reader() as con:
        limits = known_limits(con, night)
        due = _due(con, limits, night.as_of)
        since = night_before(con, night.as_of) or night.as_of
        first = min([since - timedelta(days=quiet_days + 2), *due["as_of"]]) - timedelta(days=STEP_DAYS)
        ids = limits["series_id"].unique().sort()
        hours = (night.as_of - first) // timedelta(hours=1)
        history.gather(con, night.frames, ids, night.as_of, hours, name=HOURS)
    settled, crossed = [pl.DataFrame(schema=SETTLEMENTS)], [pl.DataFrame(schema=CROSSINGS)]
    masked = history.read_masks(night.frames)
    grids = history.measured_grids(night.frames, ids.to_list(), night.as_of, hours, name=HOURS)
    for start, measured in zip(range(0, len(ids), history.BATCH), grids, strict=True):
        batch = ids[start : start + history.BATCH]
        ours = pl.col("series_id").is_in(batch.implode())
        seen, known = hide(measured, masked), limits.filter(ours)
        settled.append(settle_seen(due.filter(ours), seen, measured, known))
        plain, _hidden = crossings_seen(seen, measured, known, quiet_days)
        crossed.append(plain.filter(pl.col("confirmed_at") >= since))
        advance(len(batch))
    order = ["as_of", "series_id", "limit_name", "horizon_h"]
    return pl.concat(settled).sort(order), pl.concat(crossed).sort("series_id", "limit_name", "crossed_at")


def settle_seen(due: pl.DataFrame, seen: Grid, measured: Grid, limits: pl.DataFrame) -> pl.DataFrame:
    """What came of risks: unknown where known-bad hours had a part in it. Without such hours, `seen` is `measured`."""
    found = settle(due, seen, limits)
    return found if seen is measured else agreed(found, settle(due, measured, limits))


def crossings_seen(
    seen: Grid, measured: Grid, limits: pl.DataFrame, quiet_days: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Crossings in plain sight, and those that known-bad hours hide."""
    found = crossings(seen, limits, quiet_days)
    return (found, found.clear()) if seen is measured else parted(found, crossings(measured, limits, quiet_days))


def known_limits(con: duckdb.DuckDBPyConnection, night: Night) -> pl.DataFrame:
    """The limits that held before the cut, by series, name and valid_from.

    As they will stand once the night is published, so that it finds the same when it is run again.
    """
    fresh = changed_limits(con, night.frames.path("forecasting.limits"))
    return con.sql(
        f"""
        FROM forecasting.limits WHERE valid_from < $as_of
        UNION ALL BY NAME
        FROM ({fresh}) WHERE valid_from < $as_of
        ORDER BY series_id, limit_name, valid_from
        """,
        params={"as_of": night.as_of},
    ).pl()


def _due(con: duckdb.DuckDBPyConnection, limits: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The scored risks whose horizon, and the hours that confirm a crossing in it, ended since the last settled night.

    A risk whose limit never held belongs to a stale night, and is left to when that is run again.
    """
    last = "SELECT max(settled_as_of) FROM forecasting.settlements WHERE settled_as_of < $as_of"
    settled_until = con.execute(last, {"as_of": as_of}).fetchall()[0][0]
    since = max(settled_until or as_of - CATCH_UP, as_of - CATCH_UP)
    longest = timedelta(hours=HORIZONS[-1] + max(limits["lasts_h"], default=0))
    con.register("limits_known", limits.select("series_id", "limit_name", "valid_from", "lasts_h").to_arrow())
    return con.sql(
        """
        SELECT risks.* EXCLUDE (eta_p10, eta_p50, eta_p90, last_beyond_at, model, reason, facts)
        FROM forecasting.risks
        ASOF JOIN limits_known AS held
            ON risks.series_id = held.series_id AND risks.limit_name = held.limit_name
            AND risks.as_of >= held.valid_from
        WHERE state = 'scored'
            AND risks.as_of > $oldest
            AND risks.as_of + to_hours(horizon_h + lasts_h - 1) > $since
            AND risks.as_of + to_hours(horizon_h + lasts_h - 1) <= $as_of
        ORDER BY risks.as_of, risks.series_id, risks.limit_name, horizon_h
        """,
        params={"oldest": since - longest, "since": since, "as_of": as_of},
    ).pl()


def lately(con: duckdb.DuckDBPyConnection, night: Night) -> Lately:
    """The answers and forecasts whose time ended within `DRIFT_DAYS` before the cut, tonight's settlements among them.

    Forecasts are not held against known-bad hours. Sums are rounded, since their last bits depend on DuckDB's threads.
    """
    policy = night.settings.tickets.policy
    first = night.as_of - timedelta(days=DRIFT_DAYS)
    since = {"first": first, "as_of": night.as_of}
    known = f"""(
        SELECT series_id, limit_name, horizon_h, p, (outcome = 'true')::INT AS came
        FROM (
            FROM forecasting.settlements WHERE settled_as_of < $as_of
            UNION ALL BY NAME
            FROM read_parquet({quoted(night.frames.path("forecasting.settlements"))})
        )
        WHERE outcome <> '{UNKNOWN}' AND settled_as_of > $first
    )"""
    tenths = con.sql(
        f"""
        SELECT
            horizon_h, count(*) AS n, round(avg(p), 9) AS p, sum(came) AS came,
            round(sum(pow(p - came, 2)), 9) AS squared_error
        FROM {known}
        GROUP BY horizon_h, least(floor(10 * p), 9)
        ORDER BY horizon_h, p
        """,
        params=since,
    ).pl()
    sure = con.sql(
        f"""
        SELECT
            count(*) AS n, count(DISTINCT (series_id, limit_name)) AS limits, round(avg(p), 9) AS p,
            coalesce(sum(came), 0) AS came
        FROM {known}
        WHERE horizon_h = $horizon_h AND p >= $open_at
        """,
        params=since | {"horizon_h": policy.horizon_h, "open_at": policy.open_at},
    ).pl()
    band = con.sql(
        f"""
        SELECT
            count(DISTINCT (forecasts.as_of, series_id)) AS paths, count(DISTINCT series_id) AS series,
            count(*) AS hours, count(*) FILTER (mean BETWEEN q10 AND q90) AS held
        FROM forecasting.forecasts
        JOIN {history.seen_hours_of(night.frames, first - LONGEST, night.as_of)} USING (series_id, hour)
        WHERE forecasts.as_of > $first - to_hours({HORIZONS[-1]})
            AND forecasts.as_of + to_hours({HORIZONS[-1]}) <= $as_of
            AND isfinite(mean)
        """,
        params=since,
    ).pl()
    told = ((tenths, TENTHS), (sure, SURE), (band, BAND))
    return Lately(*(frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items()) for frame, schema in told))


# ------------------------------------------------------------------------------------------------------------- tickets


def judge_tickets(night: Night) -> pl.DataFrame:
    """The outcomes that became known tonight: the columns of ``OUTCOMES``, and settled_as_of."""
    with night.warehouse.reader() as con:
        limits = known_limits(con, night)
        judged = "SELECT ticket_id FROM reports.ticket_outcomes WHERE settled_as_of < $as_of"
        told = _events(con, night, f"ticket_id NOT IN ({judged})")
        key = ["series_id", "limit_name"]
        # a limit that is not known is of a stale night, which will be run again
        due = promises(told).filter(pl.col("opened_at") < night.as_of).join(limits, on=key, how="semi")
        limits = limits.join(due, on=key, how="semi", maintain_order="left")
        opened = min(due["opened_at"], default=night.as_of)
        hours = (night.as_of - opened) // timedelta(hours=1) + HISTORY_H
        ids = due["series_id"].unique().sort()
        history.gather(con, night.frames, ids, night.as_of, hours, name=TICKET_HOURS)
        worked = feedback.worked(con, night)
    measured = to_grid(night.frames.read(TICKET_HOURS), night.as_of, hours)
    seen = hide(measured, history.read_masks(night.frames))
    plain, hidden = crossings_seen(seen, measured, limits, quiet_days=0)
    found = outcomes(due, plain, held(seen), limits, worked, hidden=hidden)
    return _stamped(found.filter(pl.col("outcome").is_not_null()), OUTCOMES, night.as_of)


def outcomes_known(con: duckdb.DuckDBPyConnection, night: Night) -> pl.DataFrame:
    """ticket_id, outcome of the tickets that settled up to and including tonight."""
    return con.sql(
        f"""
        SELECT ticket_id, outcome FROM reports.ticket_outcomes WHERE settled_as_of < $as_of
        UNION
        SELECT ticket_id, outcome FROM read_parquet({quoted(night.frames.path("reports.ticket_outcomes"))})
        """,
        params={"as_of": night.as_of},
    ).pl()


def find_misses(night: Night, crossed: pl.DataFrame) -> pl.DataFrame:
    """The crossings among `crossed` that no ticket foresaw: the columns of ``MISSES``, and settled_as_of."""
    policy = night.settings.tickets.policy
    if not crossed["news"].any():
        return _stamped(pl.DataFrame(schema=MISSES), MISSES, night.as_of)
    looked_back = timedelta(hours=policy.horizon_h, days=policy.hold_nights + 1)
    with night.warehouse.reader() as con:
        risks = con.sql(
            "SELECT * EXCLUDE (eta_p10, eta_p50, eta_p90, model, facts) FROM forecasting.risks"
            " WHERE as_of > $first AND as_of < $as_of AND horizon_h = $horizon_h ORDER BY ALL",
            params={
                "first": min(crossed["crossed_at"]) - looked_back,
                "as_of": night.as_of,
                "horizon_h": policy.horizon_h,
            },
        ).pl()
        series, told = history.series_of(con), promises(_events(con, night, "true"))
    return _stamped(misses(crossed, told, risks, series, policy, held=_held(night, risks, series)), MISSES, night.as_of)


def _held(night: Night, risks: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """as_of, series_id: the nights of these risks on which a known-bad window held their series."""
    asked = series.join(risks.select("series_id").unique(), on="series_id", how="semi", maintain_order="left")
    return held_nights(asked, from_frame(night.frames.read(record.TABLE)), risks["as_of"].unique().sort())


def _events(con: duckdb.DuckDBPyConnection, night: Night, wanted: str) -> pl.DataFrame:
    """Ticket events up to and including tonight's; `wanted` is a condition on them, and may name ``$as_of``."""
    tonight = f"read_parquet({quoted(night.frames.path('reports.ticket_events'))})"
    return con.sql(
        f"""
        SELECT {", ".join(EVENTS)}
        FROM (FROM reports.ticket_events WHERE as_of < $as_of UNION ALL BY NAME FROM {tonight})
        WHERE {wanted}
        """,
        params={"as_of": night.as_of},
    ).pl()


def _stamped(found: pl.DataFrame, schema: dict[str, pl.DataType], as_of: datetime) -> pl.DataFrame:
    return found.select(list(schema)).with_columns(settled_as_of=pl.lit(as_of, pl.Datetime("us")))
