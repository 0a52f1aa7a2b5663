"""Causes: what a ticket is about. Several series may share one, such as the disks of a host.

Belongs here: a cause's fingerprint, and tonight's risks grouped to one row a cause. Not here: whether a cause deserves
a ticket (``ticket_policy``).
"""

from __future__ import annotations

import json
from hashlib import blake2b

import polars as pl

CAUSE = ("entity", "signal", "limit_name", "direction")


def fingerprint(entity: str, signal: str, limit_name: str, direction: str) -> str:
    """A cause's name for ever: 10 hex digits of BLAKE2b over the canonical JSON (sorted keys, no spaces, UTF-8).

    Never of free labels, source or metric: those may change while the promise stays the same.
    """
    cause = {"entity": entity, "signal": signal, "limit_name": limit_name, "direction": direction}
    canonical = json.dumps(cause, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()


def causes(risks: pl.DataFrame, series: pl.DataFrame, horizon_h: int, at_risk: float) -> pl.DataFrame:
    """One night's risks at one horizon, one row a cause.

    The leader of a cause is its most probable series that has not yet crossed (ties: the smaller series_id): a disk
    that has been full for months must not hide the one that fills tonight. Only where all have crossed does one of
    these lead. Causes of which nothing was measured are left out.

    Args:
        risks: the columns of ``forecasting.risks``, of one night.
        series: series_id, source, entity, metric, unit, service; all series that `risks` names.
        horizon_h: the horizon in hours.
        at_risk: from this probability on a further series counts among the `others`.

    Returns:
        fingerprint, entity, signal, limit_name, direction; of the leader: series_id, source, metric, unit, service,
        state (scored | crossed), p, limit_value, eta_p10, eta_p50, eta_p90, last_beyond_at, model, facts, severity
        (how many limits of its series and signal lie before this one); others (further series at risk), crossed (series
        beyond the limit).
        Sorted by fingerprint.

    Raises:
        ValueError: `risks` names a series that `series` lacks.
    """
    measured = risks.filter(pl.col("horizon_h") == horizon_h, pl.col("state").is_in(["scored", "crossed"]))
    known = measured.join(
        series.select("series_id", "source", "entity", "metric", "unit", "service"), on="series_id", how="left"
    )
    if (unknown := known.filter(pl.col("entity").is_null())).height:
        raise ValueError(f"series {unknown['series_id'][0]} has a risk but no row among the series; give all of them")
    onward = pl.when(pl.col("direction") == "up").then(pl.col("limit_value")).otherwise(-pl.col("limit_value"))
    is_at_risk = (pl.col("state") == "scored") & (pl.col("p") >= at_risk)
    ranked = known.with_columns(
        severity=onward.rank("dense").over("series_id", "signal", "direction").cast(pl.Int32) - 1,
        at_risk=is_at_risk.fill_null(value=False),
        has_crossed=pl.col("state") == "crossed",
    ).sort("has_crossed", pl.col("p").neg(), "series_id", *CAUSE, nulls_last=True)
    leading = (
        "series_id", "source", "metric", "unit", "service", "state", "p", "limit_value", "eta_p10", "eta_p50",
        "eta_p90", "last_beyond_at", "model", "facts", "severity",
    )  # fmt: skip
    grouped = ranked.group_by(CAUSE, maintain_order=True).agg(
        *(pl.col(name).first() for name in leading),
        others=(pl.col("at_risk").sum() - pl.col("at_risk").first()).cast(pl.Int32),
        crossed=pl.col("has_crossed").sum().cast(pl.Int32),
    )
    names = [fingerprint(*cause) for cause in grouped.select(CAUSE).iter_rows()]
    return grouped.insert_column(0, pl.Series("fingerprint", names, dtype=pl.String)).sort("fingerprint")
