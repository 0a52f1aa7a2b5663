"""What became of tickets: each promise held against what happened in its window. Pure.

Belongs here: the window, the five outcomes and the rule of what counts as averted. Not here: crossings as such
(``forecasting.settlement``), when tickets open and close (``ticket_policy``), crossings that no ticket foresaw
(``ticket_misses``).

A ticket's *window* runs from its opening to the end of its horizon, or to its closing where that comes later: while it
stays open the promise is kept up. Its outcome is the first of these that holds:

* **came_true**: a crossing of its limit came within the window: it was not complete when the ticket opened, and began
  before the window ended. The limit is the one that held at the time. A limit that was merely *renewed* from the
  series' own past, and so moved along with it, is no excuse: the value that the ticket named then counts as well.
* None yet, while the window has not ended.
* **unknown**: a crossing came in a known-bad window, or began there: nobody can say what it would have done without; or
  no crossing was seen, but fewer than half of the window's hours were observed, or none of its last
  quarter: that is when most tickets expect their crossing, and where what is still to be measured is missing.
* **averted**: no crossing came, and the trend was broken *from outside*. One of these must hold; each counts only until
  the ticket was closed because its risk was gone, since what comes after that averted nothing:

  1. the series was *reset* (``features.breaks``: a restart, a clean-up) and then stood no nearer to its limit than when
     the ticket opened, and that reset was no *habit*. It was one if the series had been reset twice or more before the
     ticket opened, had kept that up, and either its usual interval fits into the window or the reset came when it was
     due: a tooth that falls as it always did proves the ticket wrong;
  2. its limit was *moved* away from it by more than the policy's material change: a bigger disk, a larger share. A
     renewal from the series' own past is no such move;
  3. the ticket was *worked*, as its tracker or somebody says.

* **false_alarm**: none of these. It was measured, nothing came, and nobody did anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.breaks import find_breaks
from features.grid import Grid
from features.robust import median
from features.runs import at_or_beyond, find_runs
from reports.text import format_utc
from reports.ticket_events import RESOLVED
from reports.ticket_policy import CROSSING_CAME, MATERIAL_LIMIT_CHANGE, RISK_GONE

CAME_TRUE, AVERTED, FALSE_ALARM, UNKNOWN = "came_true", "averted", "false_alarm", "unknown"

TIME = pl.Datetime("us")
TICKETS = {
    "ticket_id": pl.String,
    "series_id": pl.UInt64,
    "signal": pl.String,
    "limit_name": pl.String,
    "direction": pl.String,
    "limit_value": pl.Float64,
    "opened_at": TIME,
    "horizon_h": pl.Int32,
    "closed_at": TIME,
    "close_reason": pl.String,
}
WORKED = {"ticket_id": pl.String, "worked_at": TIME}
OUTCOMES = {
    "ticket_id": pl.String,
    "outcome": pl.String,
    "crossed_at": TIME,
    "lead_hours": pl.Float64,  # from opening to crossing; negative where that had begun but was not complete
    "why": pl.String,
}

DAY = 24
CHUNK = 256  # series at once
HOUR = 3_600_000_000  # microseconds
LEVEL_H = 24  # hours whose median is the level, before the opening and after a reset
HISTORY_H = 90 * DAY  # before the window's end, in which resets are looked for
UNSEEN = 0.25  # of the window, at its end
FEWEST_RESETS = 2  # before the opening, that make a habit
DUE = 0.75  # of the usual interval after the last reset, another one is due
LAPSED = 2.0  # usual intervals without a reset: the habit is given up
RENEWED = r"^\S+ percentile of "  # the basis of a limit from the series' own past (``forecasting.limits``)

_KEY = ("ticket_id", "series_id")


def promises(events: pl.DataFrame) -> pl.DataFrame:
    """Tickets as promises, from the columns of ``reports.ticket_events``.

    Returns:
        The columns of ``TICKETS``: one row for each ticket and each series that led it, with the limit as that series
        was first told. closed_at and close_reason are null while it is open. Sorted by ticket_id, first leader first.
    """
    ordered = events.sort("ticket_id", "as_of", "event_no")
    resolved = pl.col("event") == RESOLVED
    lives = ordered.group_by("ticket_id", maintain_order=True).agg(
        pl.col("signal", "limit_name", "direction", "horizon_h").first(),
        opened_at=pl.col("as_of").first(),
        closed_at=pl.col("as_of").filter(resolved).last(),
        close_reason=pl.col("reason").filter(resolved).last(),
    )
    led = ordered.unique(_KEY, keep="first", maintain_order=True).select(*_KEY, "limit_value")
    return led.join(lives, on="ticket_id", maintain_order="left").select(
        pl.col(name).cast(dtype) for name, dtype in TICKETS.items()
    )


def outcomes(
    tickets: pl.DataFrame,
    crossings: pl.DataFrame,
    grid: Grid,
    limits: pl.DataFrame,
    worked: pl.DataFrame | None = None,
    *,
    hidden: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The outcome of each ticket as known at ``grid.as_of``.

    Args:
        tickets: the columns of ``TICKETS``, opened before as_of; several rows of one ticket are several series that led
            it (``promises``). It comes true by any of them.
        crossings: series_id, limit_name, crossed_at, confirmed_at: all crossings, news or not.
        grid: hourly means, rare readings held (``forecasting.settlement.held``), reaching back to the tickets'
            openings, and `HISTORY_H` before the windows' ends where habits shall be known.
        limits: the columns of forecasting.limits.
        worked: the columns of ``WORKED``; may be left out.
        hidden: like `crossings`, those that known-bad hours hide; `grid` is without these hours.

    Returns:
        The columns of ``OUTCOMES``, one row a ticket, sorted by ticket_id. An outcome that is not null does not change
        with hours that arrive later.

    Raises:
        ValueError: a ticket's limit is not among `limits`.
    """
    if tickets.is_empty():
        return pl.DataFrame(schema=OUTCOMES)
    windows = _windows(tickets, limits, grid.as_of).sort(_KEY)
    evidence = windows
    unseen = crossings.clear() if hidden is None else hidden
    for more in (
        _came(windows, crossings),
        _came(windows, unseen).rename({"crossed_at": "hidden_at"}),
        _moved(windows, limits),
        _worked(windows, worked),
    ):
        evidence = evidence.join(more, on=_KEY, how="left", maintain_order="left")
    chunks = [_courses(chunk, grid) for chunk in evidence.iter_slices(CHUNK)]
    evidence = evidence.hstack(pl.concat(chunks))
    one = evidence.group_by("ticket_id", maintain_order=True).agg(
        pl.col("opened_at", "ends_at", "closed_at", "close_reason", "window_h").first(),
        pl.col("settled_at").max().alias("settles_at"),
        pl.col("crossed_at", "hidden_at", "reset_at", "habit_at", "worked_at").min(),
        pl.col("observed_h").max(),
        pl.col("unseen_h").min(),
        pl.col("reached_at").filter(pl.col("moved_to").is_null()).min(),
        pl.col("limit_value", "moved_to").sort_by(pl.col("moved_to").is_null(), maintain_order=True).first(),
    )
    return pl.DataFrame([_judge(row, grid.as_of) for row in one.iter_rows(named=True)], schema=OUTCOMES, orient="row")


# ------------------------------------------------------------------------------------------------------------ windows


def _windows(tickets: pl.DataFrame, limits: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The tickets with their windows: lasts_h, ends_at, window_h, settled_at (when all of it is known), acts_until."""
    lasts = limits.sort("valid_from").group_by("series_id", "limit_name").agg(pl.col("lasts_h").last())
    known = tickets.join(lasts, on=["series_id", "limit_name"], how="left")
    if (lost := known.filter(pl.col("lasts_h").is_null())).height:
        row = lost.row(0, named=True)
        raise ValueError(
            f"ticket {row['ticket_id']} is about limit {row['limit_name']!r} of series {row['series_id']}, which has "
            "none; give all rows of forecasting.limits"
        )
    horizon_ends = pl.col("opened_at") + pl.duration(hours="horizon_h")
    gone = pl.col("close_reason") == RISK_GONE
    return known.with_columns(
        ends_at=pl.max_horizontal(horizon_ends, pl.col("closed_at").fill_null(as_of)),
    ).with_columns(
        window_h=(pl.col("ends_at") - pl.col("opened_at")).dt.total_hours(),
        settled_at=pl.col("ends_at") + pl.duration(hours=pl.col("lasts_h") - 1),
        acts_until=pl.when(gone).then("closed_at").otherwise("ends_at"),
    )


def _came(windows: pl.DataFrame, crossings: pl.DataFrame) -> pl.DataFrame:
    """ticket_id, series_id, crossed_at: the first crossing within the window."""
    return (
        windows.select(*_KEY, "limit_name", "opened_at", "ends_at")
        .join(crossings.select("series_id", "limit_name", "crossed_at", "confirmed_at"), on=["series_id", "limit_name"])
        .filter(pl.col("confirmed_at") >= pl.col("opened_at"), pl.col("crossed_at") < pl.col("ends_at"))
        .group_by(_KEY)
        .agg(pl.col("crossed_at").min())
    )


def _moved(windows: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """ticket_id, series_id, moved_to: the first limit that was materially further away, where somebody moved it."""
    held = (
        limits.sort("valid_from")
        .with_columns(until=pl.col("valid_from").shift(-1).over("series_id", "limit_name"))
        .filter(~pl.col("basis").str.contains(RENEWED))
        .select("series_id", "limit_name", "valid_from", "until", "value")
    )
    before, after = pl.col("limit_value"), pl.col("value")
    away = pl.when(pl.col("direction") == "down").then(before - after).otherwise(after - before)
    return (
        windows.join(held, on=["series_id", "limit_name"])
        .filter(
            pl.col("until").is_null() | (pl.col("until") > pl.col("opened_at")),
            pl.col("valid_from") < pl.col("acts_until"),
            away > MATERIAL_LIMIT_CHANGE * pl.max_horizontal(before.abs(), after.abs()),
        )
        .sort("valid_from")
        .group_by(_KEY)
        .agg(moved_to=pl.col("value").first())
    )


def _worked(windows: pl.DataFrame, worked: pl.DataFrame | None) -> pl.DataFrame:
    """ticket_id, series_id, worked_at: when it was first worked within the window."""
    given = pl.DataFrame(schema=WORKED) if worked is None else worked.select(list(WORKED))
    within = (pl.col("worked_at") >= pl.col("opened_at")) & (pl.col("worked_at") < pl.col("acts_until"))
    return windows.join(given, on="ticket_id").filter(within).group_by(_KEY).agg(pl.col("worked_at").min())


# ------------------------------------------------------------------------------------------------------------- course


def _courses(windows: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """What the series of each window did.

    Returns:
        One row for each window: observed_h; unseen_h, the hours at its end of which none was observed; reached_at, the
        first crossing of the very value that the ticket named; reset_at and habit_at, the first reset from outside and
        the first by habit, looked for where they may decide.
    """
    values, last = _aligned(windows, grid)
    width = values.shape[1]
    opened = np.maximum(width - _hours_between(last, windows["opened_at"]), 0)
    ends = np.minimum(width - _hours_between(last, windows["ends_at"]), width)
    acts = np.minimum(width - _hours_between(last, windows["acts_until"]), width)
    seen, column = ~np.isnan(values), np.arange(width)
    inside = (column >= opened[:, None]) & (column < ends[:, None])
    reached = _reached(windows, values, opened, ends)
    may_decide = windows.select(pl.col("crossed_at").is_null() & (pl.col("settled_at") <= grid.as_of)).to_series()
    ask = np.flatnonzero(may_decide.to_numpy() & (reached < 0))
    outside, habit = np.full(len(values), -1), np.full(len(values), -1)
    outside[ask], habit[ask] = _resets(values[ask], opened[ask], acts[ask], windows["window_h"].to_numpy()[ask])
    when = {"reached_at": reached, "reset_at": outside, "habit_at": habit}
    times = {
        name: np.where(at >= 0, last - (width - at) * np.timedelta64(1, "h"), np.datetime64("NaT", "us"))
        for name, at in when.items()
    }
    observed = seen & inside
    newest = np.where(observed.any(axis=1), width - 1 - np.argmax(observed[:, ::-1], axis=1), opened - 1)
    seen_of = {"observed_h": np.count_nonzero(observed, axis=1), "unseen_h": ends - 1 - newest}
    return pl.DataFrame(seen_of | times).with_columns(pl.col(list(when)).cast(TIME))


def _aligned(windows: pl.DataFrame, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Each window's series, its last column being the last hour of which a settled outcome knows: a row depends on that
    alone, so it stays the same whatever comes later and whichever tickets are judged with it.

    Returns:
        values float64 [K, HISTORY_H], negated where danger lies below; datetime64 [K], the end of the last hour.
    """
    as_of, T = np.datetime64(grid.as_of, "us"), grid.values.shape[1]
    last = np.minimum(windows["settled_at"].to_numpy(), as_of).astype("datetime64[us]")
    series = windows["series_id"].to_numpy()
    row = np.searchsorted(grid.series_id, series)
    known = np.isin(series, grid.series_id)
    stop = T - (as_of - last).astype(np.int64) // HOUR
    column = stop[:, None] - np.arange(HISTORY_H, 0, -1)
    there = known[:, None] & (column >= 0)
    values = np.full(column.shape, np.nan)
    at = np.nonzero(there)
    values[at] = grid.values[np.minimum(row, len(grid.series_id) - 1)[at[0]], column[at]] if len(at[0]) else np.nan
    return values * _signs(windows)[:, None], last


def _reached(windows: pl.DataFrame, values: np.ndarray, opened: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """int64 [K]: where a crossing of the value that the ticket named began; -1 where none did."""
    limit = (windows["limit_value"].to_numpy() * _signs(windows))[:, None]
    beyond = at_or_beyond(values, limit, np.ones((1, 1)))
    runs = find_runs(beyond, ~np.isnan(values), windows["lasts_h"].to_numpy()[:, None]).lasting
    within = runs.take((runs.confirmed >= opened[runs.row]) & (runs.first < ends[runs.row]))
    row, earliest = np.unique(within.row, return_index=True)
    reached = np.full(len(values), -1, dtype=np.int64)
    reached[row] = within.first[earliest]
    return reached


def _resets(
    values: np.ndarray, opened: np.ndarray, acts: np.ndarray, window_h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [K] each: the first reset from outside, and the first by habit, between opening and `acts`; -1: none."""
    marks = find_breaks(values).resets
    outside, habit = np.full(len(values), -1), np.full(len(values), -1)
    for k in np.flatnonzero((marks & (np.arange(values.shape[1]) >= opened[:, None])).any(axis=1)):
        every = np.flatnonzero(marks[k])
        for at in every[(every >= opened[k]) & (every < acts[k])][::-1]:
            if _is_habit(every[every < at], int(at), int(opened[k]), int(window_h[k])):
                habit[k] = at
            elif _level(values[k, at : at + LEVEL_H]) <= _level(values[k, max(0, opened[k] - LEVEL_H) : opened[k]]):
                outside[k] = at
    return outside, habit


def _is_habit(earlier: np.ndarray, at: int, opened: int, window_h: int) -> bool:
    """Whether a reset is what the series would have done anyway.

    Args:
        earlier: the columns of all resets before it. at: its own. opened: that of the opening.
    """
    known = earlier[earlier < opened]
    if len(known) < FEWEST_RESETS:
        return False
    usual = float(np.median(np.diff(known)))
    if opened - known[-1] > LAPSED * usual:
        return False
    return usual <= window_h or at - earlier[-1] >= DUE * usual


def _level(values: np.ndarray) -> float:
    return float(median(values))


def _hours_between(last: np.ndarray, moments: pl.Series) -> np.ndarray:
    apart = (last - moments.to_numpy().astype("datetime64[us]")).astype(np.int64)  # microseconds
    return apart // HOUR


def _signs(windows: pl.DataFrame) -> np.ndarray:
    return np.where((windows["direction"] == "down").to_numpy(), -1.0, 1.0)


# ------------------------------------------------------------------------------------------------------------ verdict


def _judge(row: Mapping[str, Any], as_of: datetime) -> tuple[str, str | None, datetime | None, float | None, str]:
    """A row of ``OUTCOMES``."""
    outcome, crossed_at, why = _verdict(row, as_of)
    lead = None if crossed_at is None else (crossed_at - row["opened_at"]) / timedelta(hours=1)
    return row["ticket_id"], outcome, crossed_at, lead, why


def _verdict(row: Mapping[str, Any], as_of: datetime) -> tuple[str | None, datetime | None, str]:
    """outcome, crossed_at, why."""
    if row["crossed_at"]:
        return CAME_TRUE, row["crossed_at"], f"It reached its limit on {format_utc(row['crossed_at'])}."
    if row["reached_at"] and not row["hidden_at"]:
        why = f"It reached {row['limit_value']:g}, which the ticket named, on {format_utc(row['reached_at'])}"
        return CAME_TRUE, row["reached_at"], f"{why}; the limit was renewed from its own past before."
    if row["close_reason"] == CROSSING_CAME and not row["hidden_at"]:
        return CAME_TRUE, None, f"It was beyond its limit on the night of {format_utc(row['closed_at'])}."
    if row["closed_at"] is None:
        return None, None, "The ticket is still open, and no crossing has come."
    if row["settles_at"] > as_of:
        return None, None, f"No crossing has come; the window ends on {format_utc(row['ends_at'])}."
    if row["hidden_at"]:
        return UNKNOWN, None, f"It reached its limit on {format_utc(row['hidden_at'])}, in a known-bad window."
    if 2 * row["observed_h"] < row["window_h"]:
        seen = f"only {row['observed_h']} of the window's {row['window_h']} hours were observed"
        return UNKNOWN, None, f"No crossing was seen, but {seen}."
    if row["unseen_h"] >= UNSEEN * row["window_h"]:
        return (
            UNKNOWN,
            None,
            f"No crossing was seen, but nothing was observed in the window's last {row['unseen_h']} h.",
        )
    if row["reset_at"]:
        why = f"It was reset on {format_utc(row['reset_at'])}, out of its habit, and stood no nearer to its limit then"
        return AVERTED, None, f"{why} than when the ticket opened; no crossing came."
    if row["moved_to"] is not None:
        moved = f"from {row['limit_value']:g} to {row['moved_to']:g}"
        return AVERTED, None, f"Its limit was moved away {moved}; no crossing came."
    if row["worked_at"]:
        return AVERTED, None, f"The ticket was worked on {format_utc(row['worked_at'])}; no crossing came."
    habit = row["habit_at"]
    anyway = f" Its reset on {format_utc(habit)} is its habit." if habit else ""
    return FALSE_ALARM, None, f"No crossing came until {format_utc(row['ends_at'])}, and nothing prevented one.{anyway}"
