"""Whether bands of 80 % hold 80 % of what comes: real fleets, week after week, none of which any model had seen.

    python tests/bench/coverage.py [--nights 4] [--series 120] [--seed 0]

Every series is asked at the ends of its own last weeks, with the 90 days before, as a night would be; of a large fleet
a seeded sample is taken. The structural model is asked where it may enter the tournament, and the ensemble on the same
series and nights beside it. Prints the share of observed hours inside the band from the 10th to the 90th percentile up
to each horizon, the mean over series and nights, with a 90 % bootstrap interval over series; and the mean pinball loss
in units of each series' spread. Reads $FOREWARN_DATA, and skips what is not there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from features.grid import Grid, to_grid  # noqa: E402
from features.profiles import profile  # noqa: E402
from forecasting.abstention import reasons  # noqa: E402
from forecasting.backtest import path_quantiles  # noqa: E402
from forecasting.history import DAY, hold, look_back  # noqa: E402
from forecasting.models.registry import FLEET, STRUCTURAL  # noqa: E402
from forecasting.options import ForecastingOptions  # noqa: E402
from forecasting.tables import HORIZONS, QUANTILES  # noqa: E402
from forecasting.tournament import rhythmic  # noqa: E402

FLEETS = ("bitbrains_rnd_1h", "smd8_5min", "asd12_5min", "tor_1aeo_rss", "nab_real", "dc_traces_5min",
          "ms_cloud_monitoring")  # fmt: skip
SERIES = ["source", "entity", "metric"]
WEEK = 7 * DAY
HOURS = np.arange(5, WEEK, 11)  # every eleventh: all times of day are met
REPLICATES = 2000


def hourly(path: Path, most: int, seed: int) -> pl.DataFrame:
    """series_id, hour, mean: of at most so many series, moved in time so that the last day of each is the same."""
    samples = pl.scan_parquet(path)
    series = samples.select(SERIES).unique().collect().sort(SERIES)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(series))[:most])
    numbered = series[chosen.tolist()].with_columns(pl.Series("series_id", chosen.astype(np.uint64)))
    hour = pl.col("ts").dt.replace_time_zone(None).dt.truncate("1h").cast(pl.Datetime("us"))
    means = (
        samples.join(numbered.lazy(), on=SERIES)
        .group_by("series_id", hour.alias("hour"))
        .agg(pl.col("value").mean().alias("mean"))
        .sort("series_id", "hour")
        .collect()
    )
    last_day = pl.col("hour").max().over("series_id").dt.truncate("1d")
    return means.with_columns(hour=pl.col("hour") + (pl.col("hour").max().dt.truncate("1d") - last_day))


def weeks(means: pl.DataFrame, nights: int) -> Iterator[tuple[Grid, np.ndarray]]:
    """The past of all series that can be scored at a night, and the hours [S, 168] that came."""
    options = ForecastingOptions()
    end = means["hour"].max()
    for back in range(1, nights + 1):
        as_of = end.replace(hour=0) - timedelta(weeks=back)  # pyright: ignore
        past = to_grid(means, as_of, DAY * options.history_days)
        silent = reasons(past, options)["series_id"].to_numpy()
        past = past.take(~np.isin(past.series_id, silent))
        whole = to_grid(means, as_of + timedelta(weeks=1), DAY * options.history_days + WEEK)
        came = hold(whole.take(np.isin(whole.series_id, past.series_id)).values)[:, -WEEK:]
        if len(past.series_id):
            yield past, came


def scores(past: Grid, came: np.ndarray) -> pl.DataFrame:
    """asked (everywhere, or where there is a rhythm), model, series_id, inside up to each horizon, pinball."""
    history = look_back(past, HORIZONS[-1] + 2, ForecastingOptions().history_days)
    true = history.scale.standardise(came)[:, HOURS]
    profiles = profile(past, np.zeros(len(past.series_id), dtype=bool))
    rows = np.flatnonzero(np.isin(past.series_id, rhythmic(profiles)["series_id"].to_numpy()))
    ensemble = path_quantiles(FLEET.paths(history), HOURS)
    frames = [_scored("everywhere", FLEET.name, past.series_id, ensemble, true)]
    if len(rows):
        structural = path_quantiles(STRUCTURAL.paths(history.take(rows)), HOURS)
        frames += [
            _scored("rhythm", FLEET.name, past.series_id[rows], ensemble[rows], true[rows]),
            _scored("rhythm", STRUCTURAL.name, past.series_id[rows], structural, true[rows]),
        ]
    return pl.concat(frames)


def _scored(asked: str, model: str, series_id: np.ndarray, quantile: np.ndarray, true: np.ndarray) -> pl.DataFrame:
    seen = ~np.isnan(true)
    inside = seen & (true >= quantile[:, 0]) & (true <= quantile[:, -1])
    over = np.nan_to_num(true)[:, None] - quantile
    share = np.asarray(QUANTILES)[None, :, None]
    loss = np.maximum(share * over, (share - 1) * over).mean(axis=1)
    return pl.DataFrame({"series_id": series_id}).with_columns(
        asked=pl.lit(asked),
        model=pl.lit(model),
        **{f"inside_{h}": pl.Series(_mean(inside, seen & (h > HOURS))) for h in HORIZONS},
        pinball=pl.Series(_mean(loss, seen)),
    )


def _mean(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """[S]: over what was seen; NaN where nothing was."""
    count = seen.sum(axis=1)
    return np.where(count > 0, (values * seen).sum(axis=1) / np.maximum(count, 1), np.nan)


def told(found: pl.DataFrame) -> str:
    """Coverage up to each horizon with its interval, and the loss; the same draws of series for every column."""
    columns = [*(f"inside_{h}" for h in HORIZONS), "pinball"]
    per_series = found.group_by("series_id").agg(pl.col(columns).fill_nan(None).mean()).sort("series_id")
    values = per_series.select(columns).to_numpy().astype(float)
    drawn = np.random.default_rng(0).integers(0, len(values), (REPLICATES, len(values)))
    low, high = np.nanquantile(np.nanmean(values[drawn], axis=1), (0.05, 0.95), axis=0)
    mean = np.nanmean(values, axis=0)
    bands = [f"{mean[h]:.3f} [{low[h]:.3f}, {high[h]:.3f}]" for h in range(len(HORIZONS))]
    return "  ".join([f"{len(found):6d}", *bands, f"{mean[-1]:.4f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=4)
    parser.add_argument("--series", type=int, default=120, help="at most so many of a fleet")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ.get("FOREWARN_DATA", ROOT.parent / "shared" / "data"))
    found: list[pl.DataFrame] = []
    for fleet in FLEETS:
        path = data / f"metrics_{fleet}.parquet"
        if not path.is_file():
            sys.stdout.write(f"{fleet}: skipped, {path.name} is not in $FOREWARN_DATA\n")
            continue
        means = hourly(path, options.series, options.seed)
        found += [scores(*week).with_columns(fleet=pl.lit(fleet)) for week in weeks(means, options.nights)]
    if not found:
        sys.exit("nothing to measure: set FOREWARN_DATA to the folder of the real fleets")
    every = pl.concat(found)
    pooled = every.with_columns(
        fleet=pl.lit("all"), series_id=pl.struct("fleet", "series_id").rank("dense").cast(pl.UInt64)
    )
    heads = "".join(f"{f'{h} h':<22}" for h in HORIZONS)
    sys.stdout.write(f"{'fleet':<20} {'asked':<11} {'model':<11} {'weeks':>6}  {heads}pinball\n")
    keys = ["asked", "model", "fleet"]
    for (asked, model, fleet), part in pl.concat([every, pooled.select(every.columns)]).group_by(
        keys, maintain_order=True
    ):
        sys.stdout.write(f"{fleet:<20} {asked:<11} {model:<11} {told(part)}\n")


if __name__ == "__main__":
    main()
