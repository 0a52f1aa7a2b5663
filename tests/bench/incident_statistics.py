"""Whether the incident report's intervals hold as often as they promise, and how often its verdicts are wrong.

    python tests/bench/incident_statistics.py [--samples 4000] [--pages 300] [--seed 0]

Durations are log-normal with sigma 1.5, as incidents have. Prints two tables in Markdown, as
docs/statistics.md has them:

- the share of samples whose 95 % interval held the truth: of a median, of the ratio of two medians (equal sizes, and 10
  against n), of the upper quantiles, of a mean; and of a median of which the longest fifth is still open;
- pages on which nothing changed: a year of 400 incidents in five services and three teams, with recurring titles and
  two goals. How many verdicts claim a change, and on how many pages any does; with independent durations, and with
  spells (the level of a fortnight is an AR(1) process with 0.5 and a third of the durations' variance).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from features.incidents import ROLES  # noqa: E402
from reports.incident_goals import ON_TRACK, REACHED  # noqa: E402
from reports.incident_options import Goal, IncidentOptions  # noqa: E402
from reports.incident_trends import IMPROVING, WORSENING, IncidentTrends, trends  # noqa: E402
from reports.problems import LESS_OFTEN, MORE_OFTEN  # noqa: E402
from reports.statistics import Interval, mean_interval, median_ratio, quantile_interval  # noqa: E402

SIZES = (10, 20, 50, 200, 2000)
LEVEL, SIGMA = 8.0, 1.5
AS_OF = datetime(2026, 6, 1)
GOALS = tuple(
    Goal.model_validate({"measure": measure, "change": -0.3, "from": date(2026, 1, 1), "by": by})
    for measure, by in (("mttr", date(2026, 12, 31)), ("mtta", date(2026, 4, 30)))
)
# Nothing but verdicts is asked for.
OPTIONS = IncidentOptions(minimum_n=10, months=12, quarters=0, weeks=0, slice_minimum=40, goals=GOALS)
UNKNOWN: dict[pl.DataType | type[pl.DataType], tuple[str, ...]] = {
    pl.String: ("entity", "resolve_excluded", "acknowledge_excluded"),
    pl.Float64: ("on_hold_s",),
    pl.Int32: ("reopen_count", "reassignment_count", "actions_total", "actions_done"),
    pl.Boolean: ("sla_met", "is_major", "reviewed", *ROLES, "changed_after_close", "resolved_in_bulk"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    _table(
        f"held the truth, of {asked.samples:,} samples",
        [f"n = {n}" for n in SIZES],
        coverage(asked.samples, asked.seed),
    )
    if not asked.pages:
        return
    of_pages = (
        (name, _judged(asked.pages, *unchanged(asked.pages, asked.seed, rho)))
        for name, rho in (("independent durations", 0.0), ("spells", 0.5))
    )
    _table(f"of {asked.pages} pages without any change", ["verdicts", "wrong", "pages with any wrong"], of_pages)


def _table(title: str, columns: list[str], rows: Iterable[tuple[str, list[str]]]) -> None:
    """As Markdown, row by row as they come."""
    sys.stdout.write(f"| {title} | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|\n")
    for name, cells in rows:
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    sys.stdout.write("\n")


def _judged(pages: int, given: int, wrong: int, spoilt: int) -> list[str]:
    shares = (f"{n} ({100 * n / of:.2g} %)" for n, of in ((wrong, given), (spoilt, pages)))
    return [f"{given:,}", *shares]


def coverage(samples: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Name of an interval -> share that held, one a size; a dash where none exists."""
    for q, name in ((0.5, "median"), (0.75, "p75"), (0.9, "p90")):
        truth = float(np.exp(LEVEL + SIGMA * stats.norm.ppf(q)))
        yield name, _held(lambda x, q=q: quantile_interval(x, x, q), truth, samples, seed)
    median = float(np.exp(LEVEL))
    yield "median, a fifth still open", _held(_censored, median, samples, seed)
    yield "ratio of two medians, n and n", _ratios(samples, seed, lambda n: n)
    yield "ratio of two medians, 10 and n", _ratios(samples, seed, lambda _: 10)
    yield "mean", _held(mean_interval, float(np.exp(LEVEL + SIGMA**2 / 2)), samples, seed)


def _held(interval: Callable[[np.ndarray], Interval | None], truth: float, samples: int, seed: int) -> list[str]:
    shares = []
    for n in SIZES:
        rng = np.random.default_rng([seed, n])
        found = [interval(rng.lognormal(LEVEL, SIGMA, n)) for _ in range(samples)]
        shares.append(_share([each.lo <= truth <= each.hi for each in found if each is not None]))
    return shares


def _censored(took: np.ndarray) -> Interval | None:
    """What takes longer than the fourth quintile has not finished yet."""
    end = float(np.exp(LEVEL + SIGMA * stats.norm.ppf(0.8)))
    return quantile_interval(np.minimum(took, end), np.where(took < end, took, np.inf), 0.5)


def _ratios(samples: int, seed: int, other: Callable[[int], int]) -> list[str]:
    shares = []
    for n in SIZES:
        rng = np.random.default_rng([seed, n, other(n)])
        held = []
        for _ in range(samples):
            first, second = rng.lognormal(LEVEL, SIGMA, other(n)), 0.7 * rng.lognormal(LEVEL, SIGMA, n)
            found = median_ratio(first, first > 0, second, second > 0)
            if found is not None and found.lo is not None and found.hi is not None:
                held.append(found.lo <= 0.7 <= found.hi)
        shares.append(_share(held))
    return shares


def _share(held: list[bool]) -> str:
    return f"{np.mean(held):.1%}".replace("%", " %") if held else "–"


def unchanged(pages: int, seed: int, rho: float) -> tuple[int, int, int]:
    """Verdicts given (other than too few), those that are wrong, and pages with any wrong one."""
    given, wrong, spoilt = 0, 0, 0
    for page in range(pages):
        verdicts = list(_verdicts(trends(_year(np.random.default_rng([seed, page, 7]), rho), AS_OF, OPTIONS)))
        mistakes = sum(
            verdict in (IMPROVING, WORSENING, MORE_OFTEN, LESS_OFTEN, ON_TRACK, REACHED) for verdict in verdicts
        )
        given, wrong, spoilt = given + len(verdicts), wrong + mistakes, spoilt + (mistakes > 0)
    return given, wrong, spoilt


def _verdicts(found: IncidentTrends) -> Iterator[str]:
    yield from (test["verdict"] for test in found.mttr["trends"] if test["p_value"] is not None)
    yield from (judged.verdict for _, judged in (*found.goals, *found.problems) if judged.q_value is not None)


def _year(rng: np.random.Generator, rho: float) -> pl.DataFrame:
    """As ``features.incidents.durations`` hands them over."""
    levels = rng.normal(size=27)
    for k in range(1, 27):
        levels[k] = rho * levels[k - 1] + np.sqrt(1 - rho**2) * levels[k]
    share, n = (1 / 3 if rho else 0.0), 400
    day = np.sort(rng.uniform(0, 364, n))
    noise = np.sqrt(share) * levels[(day // 14).astype(int)] + np.sqrt(1 - share) * rng.normal(size=n)
    took, age = np.exp(LEVEL + SIGMA * noise), (365 - day) * 86_400
    done = took < age
    created = np.datetime64(AS_OF, "us") - (age * 1e6).astype("timedelta64[us]")
    fault = np.array(["disk full", "login slow", "queue grows", "job late"])[rng.integers(0, 4, n)]
    known = pl.DataFrame({
        "source": ["s"] * n, "incident_id": [f"{number:04}" for number in range(n)], "created_at": created,
        "age_s": age, "is_open": ~done, "title": fault, "category": ["c"] * n, "severity": ["2"] * n,
        "service": [f"s{k}" for k in rng.integers(0, 5, n)], "team": [f"t{k}" for k in rng.integers(0, 3, n)],
        "took": took, "acknowledged": took * rng.uniform(0.05, 0.3, n),
    })  # fmt: skip
    finished = ~pl.col("is_open")
    return known.with_columns(
        pl.lit(None, kind).alias(name) for kind, names in UNKNOWN.items() for name in names
    ).with_columns(
        ended_at=pl.when(finished).then(pl.col("created_at") + pl.duration(microseconds=pl.col("took") * 1e6)),
        time_to_resolve_s=pl.when(finished).then("took"),
        time_to_acknowledge_s=pl.when(finished).then("acknowledged"),
    )


if __name__ == "__main__":
    main()
