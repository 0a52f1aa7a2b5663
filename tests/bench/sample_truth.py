"""The sample fleet's own truth: are leaks and filling disks foreseen, and sawtooth, spikes and steps left alone?

    python tests/bench/sample_truth.py --out DIR [--seeds 5] [--prior PATH] [--peers-only]

The generator's fleet lives on for two weeks after the sample's as-of, so nights before and after it can be asked. A
*creep* is a crossing that follows from the past (a leak, a disk, a backlog that grows): foreseen where a night at least
48 h ahead said p_168h >= 0.7. A *quiet* line is a series and limit with a sawtooth, spikes or steps: wrongly raised
where any night said p_168h >= 0.7 and no crossing came within the week. Writes DIR/sample_truth.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from answers import score
from peers import DAY, Case, predict_linear_7d, predict_linear_24h
from persistence import AHEAD
from questions import KEYS, NIGHT, ON

from data.fleet import truth
from data.fleet.clock import AS_OF, PER_HOUR
from data.fleet.simulation import Fleet, simulate

SEED = 20260601  # of the sample; others follow it
OPEN_AT = 0.7
LEAD_H = 48
FIRST_DAY, LAST_DAY = -40, 7  # nights, in days from the sample's as-of: three weeks of history, and a week to settle
GROWING = ("leak", "filling", "clean-ups that stopped", "backlog")
MENDED = ("mended in time", "weekly deploys reset")  # they grow, and do not get there
QUIET = {
    "sawtooth": ("clean-ups", "log rotation under a ceiling", "leak that weekly deploys reset"),
    "spikes": ("backup spikes", "nightly batch job", "weekly batch job", "noisy"),
    "steps": ("deploy steps", "warm-up after deploys"),
}
PEERS = {"predict_linear_24h": predict_linear_24h, "predict_linear_7d": predict_linear_7d}


@dataclass(frozen=True)
class Asked:
    """One seed's fleet as a benchmark.

    samples: KEYS, ts, value, unit; past and future. lines: KEYS, limit, scenario. hours: KEYS -> hourly means.
    tasks: ON and headroom (0). hits: per task, hours to the crossing, null where none came within a week.
    """

    samples: pl.DataFrame
    lines: pl.DataFrame
    hours: dict[tuple[str, str, str], np.ndarray]
    first: np.datetime64
    tasks: pl.DataFrame


def ask(seed: int) -> Asked:
    """The questions of one fleet: every line of a scenario above, on every night that can be settled."""
    fleet = simulate(seed)
    samples, hours = _samples(fleet)
    lines = truth.crossings(fleet).filter(pl.col("direction") == "up").with_columns(entity=_name())
    lines = lines.filter(pl.col("scenario").map_elements(_concerns, return_dtype=pl.Boolean))
    lines = lines.select(*KEYS, "limit", "scenario").sort(*KEYS, "limit")
    first = fleet.clock.ts[0].astype("datetime64[h]")
    rows = []
    for source, entity, metric, limit, _ in lines.iter_rows():
        values = hours[source, entity, metric]
        for day in range(FIRST_DAY, LAST_DAY):
            as_of = AS_OF + timedelta(days=day)
            at = int((np.datetime64(as_of, "h") - first).astype(int))
            if np.isnan(values[at - DAY : at]).mean() > 0.5 or _reached(values[at - 7 * DAY : at], limit):
                continue  # nothing measured, or already there: a state, not a question
            rows.append((source, entity, metric, as_of, limit, 0.0, _hit(values[at : at + AHEAD], limit)))
    schema = dict.fromkeys(KEYS, pl.String) | {"as_of": pl.Datetime("us"), "limit": pl.Float64}
    tasks = pl.DataFrame(rows, schema=schema | {"headroom": pl.Float64, "hit_h": pl.Int64}, orient="row")
    return Asked(samples, lines, hours, first, tasks.with_columns(pl.col("as_of").dt.replace_time_zone("UTC")))


def judge(asked: Asked, answers: pl.DataFrame) -> pl.DataFrame:
    """Per creep or quiet line: KEYS, limit, scenario, kind, and ok: foreseen, or left alone."""
    said = asked.tasks.join(answers.select(*ON, "p_168h"), on=ON, how="left", maintain_order="left")
    said = said.join(asked.lines, on=[*KEYS, "limit"]).with_columns(
        raised=pl.col("p_168h").fill_null(0.0) >= OPEN_AT, at=pl.col("as_of") + pl.duration(hours=pl.col("hit_h"))
    )
    lines = [*KEYS, "limit", "scenario"]
    early = said.filter(pl.col("hit_h") >= LEAD_H, _growing())
    creeps = early.group_by(*lines, "at").agg(ok=pl.col("raised").any()).with_columns(kind=pl.lit("creeps")).drop("at")
    quiet = [
        said.filter(pl.col("scenario").is_in(names), pl.col("hit_h").is_null())
        .group_by(lines)
        .agg(ok=~pl.col("raised").any())
        .with_columns(kind=pl.lit(kind))
        for kind, names in QUIET.items()
    ]
    return pl.concat([creeps, *quiet]).sort("kind", *lines)


def peer_answers(asked: Asked, name: str) -> pl.DataFrame:
    found = []
    for (source, entity, metric, as_of), part in asked.tasks.group_by(NIGHT, maintain_order=True):
        key = (str(source), str(entity), str(metric))
        night = np.datetime64(as_of.replace(tzinfo=None), "h")  # pyright: ignore[reportAttributeAccessIssue]
        past = asked.hours[key][: int((night - asked.first).astype(int))]
        case = Case(key, night, past, past, part["limit"].to_numpy())
        found.append(part.select(ON).with_columns(pl.Series("p_168h", PEERS[name](case)[:, -1])))
    return pl.concat(found)


def our_answers(asked: Asked, prior: str) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.parquet"
        asked.samples.write_parquet(path)
        return score([path], asked.tasks.select(*ON, "headroom"), prior)


def summary(judged: pl.DataFrame) -> dict[str, Any]:
    """Shares over all seeds, and who was missed or wrongly raised."""
    creeps, quiet = judged.filter(kind="creeps"), judged.filter(pl.col("kind") != "creeps")
    faulty = ["kind", "scenario", "entity", "metric", "limit"]
    wrong = judged.filter(~pl.col("ok")).group_by(faulty).len("times").sort(faulty)
    return {
        "creeps": len(creeps),
        "foreseen": creeps["ok"].mean(),
        "quiet_lines": len(quiet),
        "wrongly_raised": 1 - quiet["ok"].mean(),  # pyright: ignore[reportOperatorIssue]
        "wrongly_raised_by_kind": {
            kind: 1 - ok for kind, ok in quiet.group_by("kind").agg(pl.col("ok").mean()).sort("kind").iter_rows()
        },
        "faults": wrong.to_dicts(),
    }


def _samples(fleet: Fleet) -> tuple[pl.DataFrame, dict[tuple[str, str, str], np.ndarray]]:
    frames, hours = [], {}
    ts = fleet.clock.ts.astype("datetime64[us]")
    for series in fleet.series:
        who = truth.identity(series)
        key = (who["source"], _entity(who["entity"], who["labels"]), who["metric"])
        frames.append(
            pl.DataFrame({"ts": ts[series.observed], "value": series.values[series.observed]}).select(
                *(pl.lit(value).alias(name) for name, value in zip(KEYS, key, strict=True)),
                pl.col("ts").dt.replace_time_zone("UTC"), "value", pl.lit(series.metric.unit).alias("unit"),
            )
        )  # fmt: skip
        by_hour = np.where(series.observed, series.values, np.nan).reshape(-1, PER_HOUR)
        seen = ~np.isnan(by_hour)
        total = np.where(seen, by_hour, 0.0).sum(axis=1)
        hours[key] = np.divide(total, seen.sum(axis=1), out=np.full(len(total), np.nan), where=seen.any(axis=1))
    return pl.concat(frames), hours


def _entity(entity: str, labels: str) -> str:
    """Labels become part of the name: the benchmark's files know none."""
    return " ".join([entity, *json.loads(labels).values()])


def _name() -> pl.Expr:
    return pl.struct("entity", "labels").map_elements(
        lambda row: _entity(row["entity"], row["labels"]), return_dtype=pl.String
    )


def _concerns(scenario: str) -> bool:
    return any(word in scenario for word in GROWING) or any(scenario in names for names in QUIET.values())


def _growing() -> pl.Expr:
    grows = pl.any_horizontal(pl.col("scenario").str.contains(word, literal=True) for word in GROWING)
    return grows & ~pl.any_horizontal(pl.col("scenario").str.contains(word, literal=True) for word in MENDED)


def _reached(values: np.ndarray, limit: float) -> bool:
    seen = values[~np.isnan(values)]
    if len(seen) < 3:
        return bool((seen >= limit).any())
    return bool((np.minimum(np.minimum(seen[:-2], seen[1:-1]), seen[2:]) >= limit).any())


def _hit(future: np.ndarray, limit: float) -> int | None:
    """Hours to the first of three hours in a row at or above the limit, if it comes within a week."""
    filled = np.where(np.isnan(future), -np.inf, future)
    held = np.minimum(np.minimum(filled[:-2], filled[1:-1]), filled[2:]) >= limit
    return int(held.argmax()) if held.any() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5, help="how many fleets")
    parser.add_argument("--prior", default="none", help="a prior that never saw these seeds, or none")
    parser.add_argument("--peers-only", action="store_true")
    given = parser.parse_args()
    judged: dict[str, list[pl.DataFrame]] = {}
    for seed in range(SEED, SEED + given.seeds):
        asked = ask(seed)
        sys.stderr.write(f"sample fleet {seed}: {len(asked.tasks)} questions ...\n")
        if not given.peers_only:
            judged.setdefault("forewarn", []).append(judge(asked, our_answers(asked, given.prior)))
        for name in PEERS:
            judged.setdefault(name, []).append(judge(asked, peer_answers(asked, name)))
    found = {"seeds": given.seeds} | {name: summary(pl.concat(frames)) for name, frames in judged.items()}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "sample_truth.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
