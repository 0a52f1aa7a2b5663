"""What came of what was said: the real crossings of a fleet's past, and its risks settled against them.

Belongs here: crossings as they happened under the limits that held, and true, false or unknown for each risk. Not here:
what became of tickets, which are promises of their own (``reports.ticket_outcomes``).

A *crossing* is the first of `lasts_h` consecutive observed hours at or beyond the limit, as in ``forecasting.crossing``
and in ``forecasting.learnt.lessons``. It is *news* when nothing of that kind ended within the quiet days before: a peak
that comes every afternoon is a rhythm. Whatever was under way when a series or its limit was first seen is no crossing,
since nobody saw it begin.

A settlement rests on the hours up to the end of its horizon (and the `lasts_h - 1` more that confirm a run), and on
nothing later. So it is made once and never changes, however many hours arrive after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from features.grid import Grid
from features.runs import at_or_beyond, find_runs
from forecasting.history import DAY, hold
from forecasting.tables import TIME

TRUE, FALSE, UNKNOWN = "true", "false", "unknown"

CROSSINGS = {
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "signal": pl.String,
    "direction": pl.String,
    "limit_value": pl.Float64,  # as it held when the crossing began
    "lasts_h": pl.Int32,
    "crossed_at": TIME,  # the first hour at or beyond
    "confirmed_at": TIME,  # the hour with which it has lasted
    "news": pl.Boolean,
}

SETTLEMENTS = {
    "as_of": TIME,
    "series_id": pl.UInt64,
    "limit_name": pl.String,
    "horizon_h": pl.Int32,
    "signal": pl.String,
    "direction": pl.String,
    "limit_value": pl.Float64,
    "p": pl.Float64,
    "state": pl.String,
    "outcome": pl.String,  # true | false | unknown
    "crossed_at": TIME,
    "settled_as_of": TIME,
}

CHUNK = 64  # series at once: their limits hour by hour take some 20 MB
STEP_DAYS = 28  # of hours before as_of say how rarely a series is read; a weekly reading has four in it


def held(grid: Grid) -> Grid:
    """The grid with rare readings carried forward (``forecasting.history.hold``); infinite values are not observed."""
    return Grid(grid.series_id, grid.as_of, hold(np.where(np.isfinite(grid.values), grid.values, np.nan)))


# ---------------------------------------------------------------------------------------------------------- crossings


def crossings(grid: Grid, limits: pl.DataFrame, quiet_days: int) -> pl.DataFrame:
    """Every real crossing in a grid.

    Args:
        grid: hourly means, as observed. News can be told from rhythm from `quiet_days` after its first hour on.
        limits: the columns of forecasting.limits; each holds from its valid_from until the next row of its series and
            limit_name. Limits of series that the grid lacks, or from as_of on, are left out.
        quiet_days: a limit that was beyond within so many days is a rhythm, no news.

    Returns:
        The columns of ``CROSSINGS``, sorted by series_id, limit_name and crossed_at.
    """
    found = [pl.DataFrame(schema=CROSSINGS)]
    for start in range(0, len(grid.series_id), CHUNK):
        part = held(grid.take(np.arange(start, min(start + CHUNK, len(grid.series_id)))))
        ours = limits.filter(
            pl.col("series_id").is_in(pl.Series(part.series_id).implode()), pl.col("valid_from") < grid.as_of
        )
        if ours.height:
            found.append(_crossings(part, ours.sort("series_id", "limit_name", "valid_from"), quiet_days))
    return pl.concat(found)


def _crossings(grid: Grid, limits: pl.DataFrame, quiet_days: int) -> pl.DataFrame:
    """Crossings in a grid that is held, under limits sorted by their key and valid_from."""
    row, in_force = _in_force(grid, limits)
    value, sign = limits["value"].to_numpy(), _signs(limits["direction"])
    lasts_h = limits["lasts_h"].to_numpy()
    values = grid.values[row]
    seen = ~np.isnan(values) & (in_force >= 0)
    beyond = seen & at_or_beyond(values, value[in_force], sign[in_force])
    runs = find_runs(beyond, seen, lasts_h[in_force]).lasting
    runs = runs.take(runs.first > seen.argmax(axis=1)[runs.row])
    holds = limits[in_force[runs.row, runs.first]]
    hours = grid.hours.astype("datetime64[us]")
    return (
        holds.rename({"value": "limit_value"})
        .with_columns(crossed_at=hours[runs.first], confirmed_at=hours[runs.confirmed])
        .with_columns(news=pl.Series(_quiet_before(values[runs.row], runs.first, holds, quiet_days), dtype=pl.Boolean))
        .select(pl.col(name).cast(dtype) for name, dtype in CROSSINGS.items())
    )


def _in_force(grid: Grid, limits: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which limit holds in each hour.

    Returns:
        For each of P pairs of series and limit_name: its row in the grid [P]; and for each of its hours the position
        among `limits` of the one that holds [P, T], -1 where none does yet.
    """
    T = grid.values.shape[1]
    pair = limits.select(pl.struct("series_id", "limit_name").rle_id()).to_series().to_numpy()
    since = limits["valid_from"].to_numpy().astype("datetime64[us]") - np.datetime64(grid.as_of, "us")
    column = np.clip(T - (-since // np.timedelta64(1, "h")).astype(np.int64), 0, T)  # the first full hour from then on
    last = np.r_[pair[1:] != pair[:-1], True]
    ends = np.where(last, T, np.r_[column[1:], T])
    firsts = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    before = np.zeros(len(limits), dtype=np.int64)
    before[firsts] = column[firsts]
    widths = np.stack([before, ends - column], axis=1).ravel()
    positions = np.stack([np.full(len(limits), -1), np.arange(len(limits))], axis=1).ravel()
    series = limits["series_id"].to_numpy()[firsts]
    return np.searchsorted(grid.series_id, series), np.repeat(positions, widths).reshape(len(firsts), T)


def _quiet_before(values: np.ndarray, first: np.ndarray, limits: pl.DataFrame, quiet_days: int) -> np.ndarray:
    """Whether no crossing of this very limit ended within the quiet days before; bool [K].

    Args:
        values: [K, T]. first: [K], the columns in which crossings began. limits: K rows, those that held then.

    What was beyond a limit that was nearer at the time is not old news of this one; nor is what has not ended: a limit
    that comes to a series finds it beyond.
    """
    limit, sign, lasts_h = limits["value"].to_numpy(), _signs(limits["direction"]), limits["lasts_h"].to_numpy()
    if quiet_days == 0 or len(first) == 0:
        return np.ones(len(first), dtype=bool)
    quiet_h = DAY * quiet_days
    reach = quiet_h + DAY + int(lasts_h.max())  # runs that began earlier
    column = first[:, None] - np.arange(reach, 0, -1)
    before = np.where(column >= 0, np.take_along_axis(values, np.maximum(column, 0), axis=1), np.nan)
    seen = ~np.isnan(before)
    runs = find_runs(at_or_beyond(before, limit[:, None], sign[:, None]), seen, lasts_h[:, None]).lasting
    noisy = runs.row[(runs.last >= reach - quiet_h) & ~runs.unended]
    return ~np.isin(np.arange(len(first)), noisy)


# ------------------------------------------------------------------------------------------------------------- settle


class _Group(NamedTuple):
    """What risks that are settled over the same hours share."""

    as_of: datetime
    horizon_h: int
    lasts_h: int


def settle(risks: pl.DataFrame, grid: Grid, limits: pl.DataFrame) -> pl.DataFrame:
    """Whether what was asked about came.

    Args:
        risks: the columns of forecasting.risks; only those that were scored, and whose horizon and the
            ``lasts_h - 1`` hours after it have ended by ``grid.as_of``, are settled. The others are left out.
        grid: hourly means, as observed, reaching back to the oldest of these risks at least, and `STEP_DAYS` further
            where readings are rare. A series that it lacks was not observed.
        limits: the columns of forecasting.limits; they say how many hours make a crossing. The value is the risk's.

    Returns:
        The columns of ``SETTLEMENTS``, sorted by as_of, series_id, limit_name and horizon_h. *true*: a crossing of the
        limit that the risk named began within the horizon. *false*: none began, and at least half of the horizon's
        hours were observed. Else *unknown*; so also where a run began but gaps kept it from being confirmed.

    Raises:
        ValueError: a risk lies before the grid's first hour, or its limit is not among `limits`.
    """
    scored = _with_lasts(risks.filter(pl.col("state") == "scored"), limits)
    ends = pl.col("as_of") + pl.duration(hours=pl.col("horizon_h") + pl.col("lasts_h") - 1)
    due = scored.filter(ends <= grid.as_of).sort("as_of", "series_id", "limit_name", "horizon_h")
    first_hour = grid.as_of - timedelta(hours=grid.values.shape[1])
    if due.height and due["as_of"][0] < first_hour:
        raise ValueError(
            f"the grid begins at {first_hour}, after the night of {due['as_of'][0]} that is to be settled; give it more"
            " hours"
        )
    settled = [pl.DataFrame(schema=SETTLEMENTS)]
    for key, part in due.group_by("as_of", "horizon_h", "lasts_h", maintain_order=True):
        settled.append(_settle(part, grid, _Group(*key)))
    return pl.concat(settled).sort("as_of", "series_id", "limit_name", "horizon_h")


def agreed(seen: pl.DataFrame, measured: pl.DataFrame) -> pl.DataFrame:
    """What came of risks where some hours are known to be bad.

    Args:
        seen: what ``settle`` says without these hours. measured: what it says of the same risks with them.

    Returns:
        The columns of ``SETTLEMENTS``: as `seen`, but *unknown* where `measured` says otherwise. What happened in a
        known-bad hour, or began there and went on, is nobody's news.
    """
    key = ["as_of", "series_id", "limit_name", "horizon_h"]
    other = measured.select(*key, came=pl.col("outcome"), came_at=pl.col("crossed_at"))
    same = (pl.col("outcome") == pl.col("came")) & pl.col("crossed_at").eq_missing(pl.col("came_at"))
    return (
        seen.join(other, on=key, how="left", maintain_order="left")
        .with_columns(
            outcome=pl.when(same).then("outcome").otherwise(pl.lit(UNKNOWN)),
            crossed_at=pl.when(same).then("crossed_at"),
        )
        .select(list(SETTLEMENTS))
    )


def parted(seen: pl.DataFrame, measured: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Crossings where some hours are known to be bad.

    Args:
        seen: what ``crossings`` finds without these hours. measured: what it finds with them.

    Returns:
        Those that happened in plain sight; and those that the known-bad hours hide, or in which they began.
    """
    key = ["series_id", "limit_name", "crossed_at"]
    plain = seen.join(measured, on=key, how="semi", maintain_order="left")
    hidden = measured.join(seen, on=key, how="anti", maintain_order="left")
    late = seen.join(measured, on=key, how="anti", maintain_order="left")
    return plain, pl.concat([hidden, late]).sort(key)


def _with_lasts(risks: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """The risks with the `lasts_h` of the limit that held on their night."""
    key = ["series_id", "limit_name"]
    known = limits.select(*key, "valid_from", pl.col("lasts_h").cast(pl.Int32)).sort("valid_from")
    found = risks.sort("as_of").join_asof(known, left_on="as_of", right_on="valid_from", by=key, check_sortedness=False)
    if (lost := found.filter(pl.col("lasts_h").is_null())).height:
        row = lost.row(0, named=True)
        raise ValueError(
            f"the risk of {row['as_of']} about limit {row['limit_name']!r} of series {row['series_id']} has no limit "
            "that held on that night; give all rows of forecasting.limits"
        )
    return found


def _settle(risks: pl.DataFrame, grid: Grid, group: _Group) -> pl.DataFrame:
    T = grid.values.shape[1]
    at = T - int((grid.as_of - group.as_of) / timedelta(hours=1))
    since, until = max(0, at - STEP_DAYS * DAY), at + group.horizon_h + group.lasts_h - 1
    asked = risks["series_id"].to_numpy()
    series = np.intersect1d(asked, grid.series_id)
    rows = np.searchsorted(grid.series_id, series)
    known = held(Grid(series, group.as_of, grid.values[rows, since:until])).values[:, at - since :]
    ahead = np.full((len(asked), until - at), np.nan)
    here = np.isin(asked, series)
    ahead[here] = known[np.searchsorted(series, asked[here])]
    sign = _signs(risks["direction"])
    seen = ~np.isnan(ahead)
    beyond = at_or_beyond(ahead, risks["limit_value"].to_numpy()[:, None], sign[:, None])
    runs = find_runs(beyond, seen, group.lasts_h)
    runs = runs.take(runs.first < group.horizon_h)
    crossed, earliest = np.unique(runs.lasting.row, return_index=True)
    unconfirmed = runs.row[runs.unended & (runs.confirmed < 0)]
    enough = 2 * np.count_nonzero(seen[:, : group.horizon_h], axis=1) >= group.horizon_h
    outcome = np.where(enough, FALSE, UNKNOWN)
    outcome[unconfirmed] = UNKNOWN
    outcome[crossed] = TRUE
    crossed_at = np.full(len(asked), np.datetime64("NaT", "us"))
    crossed_at[crossed] = np.datetime64(group.as_of, "us") + runs.lasting.first[earliest] * np.timedelta64(1, "h")
    return risks.with_columns(
        outcome=pl.Series(outcome), crossed_at=pl.Series(crossed_at), settled_as_of=pl.lit(grid.as_of)
    ).select(pl.col(name).cast(dtype) for name, dtype in SETTLEMENTS.items())


def _signs(direction: pl.Series) -> np.ndarray:
    """-1 where danger lies below."""
    return np.where((direction == "down").to_numpy(), -1.0, 1.0)
