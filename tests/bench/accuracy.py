"""How often each forecaster is right, on the questions of ``crossing.py``.

    python tests/bench/accuracy.py --out DIR [--priors DIR] [--nights N] [--replicates R] [--peers-only]

Quick forecasters answer every question. Slow ones (Prophet, AutoETS, AutoARIMA) answer a seeded sample, as many nights
from each fleet, and all nights of the creeps; everybody is scored on that sample beside them. Writes DIR/accuracy.json.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from answers import COLUMNS, ask, ours
from intervals import intervals
from measures import Board, Scorer, board, inside
from peers import PROPHET, QUICK
from questions import NIGHT, ON, AbsentError, Benchmark, load, sample
from statsforecast_peers import NAMES, Statsforecast, UnavailableError

CLOSE = 1e-9
AT_ONCE = 60  # cases of slow peers: a minute or two


@dataclass(frozen=True)
class Options:
    nights: int
    replicates: int
    priors: Path | None
    peers_only: bool


def accuracy(options: Options) -> dict[str, Any]:
    """Everything that was measured, ready for JSON."""
    bench = load()
    tasks, creep = bench.tasks, bench.rises.select(ON).unique()
    chosen = sample(tasks, bench.fleets, options.nights)
    few = pl.concat([chosen.select(ON), creep]).unique()
    everybody = _quick(bench, tasks, options)
    everywhere = board(bench.truth, bench.rises, bench.fleets)
    marked = chosen.select(ON, sampled=pl.lit(True))
    asked = everywhere.truth.select(ON).join(marked, on=ON, how="left", maintain_order="left")
    mask = asked["sampled"].fill_null(False).to_numpy()
    slow = _slow(bench, few)
    return {
        "questions": len(tasks),
        "creeps": bench.rises["event"].n_unique(),
        "sample": {
            "questions": int(mask.sum()),
            "nights": chosen.select(NIGHT).n_unique(),
            "fleets": bench.fleets["fleet"].unique().sort().to_list(),
            "creep_nights": creep.select(NIGHT).n_unique(),
        },
        "everywhere": {
            name: _told(everywhere, answers, None, options.replicates, bench) for name, answers in everybody.items()
        },
        "sampled": {
            name: _told(everywhere, answers, mask, options.replicates, bench)
            for name, answers in {**everybody, **slow}.items()
        },
    }


def _quick(bench: Benchmark, tasks: pl.DataFrame, options: Options) -> dict[str, pl.DataFrame]:
    nothing = tasks.head(0).select(*ON, *(pl.lit(0.0).alias(p) for p in COLUMNS))
    own = {} if options.peers_only else {"forewarn": ours(bench.paths, tasks, options.priors)}
    cases = bench.cases(tasks)
    return own | {"climatology": nothing} | {peer.name: ask(peer, cases) for peer in QUICK}


def _slow(bench: Benchmark, few: pl.DataFrame) -> dict[str, pl.DataFrame]:
    cases = bench.cases(few)
    found = {}
    for peer in (PROPHET, *(Statsforecast(name) for name in NAMES)):
        try:
            found[peer.name] = ask(peer, cases, AT_ONCE)
        except UnavailableError as reason:
            sys.stderr.write(f"LEFT OUT: {peer.name}: {reason}\n")
    return found


def _told(
    on: Board, answers: pl.DataFrame, mask: np.ndarray | None, replicates: int, bench: Benchmark
) -> dict[str, Any]:
    scorer = Scorer(on, answers, mask)
    ones = np.ones(len(on.line))
    measured = scorer.measure(ones, np.ones(len(on.rises)))
    if mask is None:
        _agrees(measured, bench.crossing.score(bench.truth, answers.select(*ON, *COLUMNS), bench.rises))
    return {
        "asked": int(scorer.asked.sum()),
        "answered": scorer.answered,
        "tickets": scorer.tickets(),
        "bar": _number(scorer.bar(ones * scorer.asked)),
        "eta_inside": inside(on.truth.filter(pl.Series(scorer.asked)), answers),
        "measures": {name: _number(value) for name, value in measured.items()},
        "intervals": intervals(scorer, replicates),
    }


def _agrees(mine: dict[str, float], theirs: dict[str, Any]) -> None:
    """Refuse to publish figures that are not the benchmark's own."""
    creeps, tickets = theirs["creeps"], theirs["tickets"]
    same = {
        "precision": tickets["precision"],
        "false_tickets": creeps["false_per_100_series_weeks_at_0.7"],
        **{f"creeps_{lead}h": creeps[f"recall_{lead}h_at_0.7"] for lead in (24, 48, 72)},
        **{f"creeps_{lead}h_at_bar": creeps[f"recall_{lead}h_at_bar"] for lead in (24, 48, 72)},
    }
    for h, horizon in theirs["horizons"].items():
        same |= {f"skill_{h}": horizon["skill"], f"ap_{h}": horizon["ap"]}
        if abs(mine[f"calibration_{h}"] - horizon["calibration_error"]) > 1e-3:  # it rounds each bin
            sys.exit(f"calibration_{h}: {mine[f'calibration_{h}']} here, {horizon['calibration_error']} in crossing.py")
    for name, value in same.items():
        ours_is = mine[name]
        if not (value is None and math.isnan(ours_is)) and (value is None or abs(ours_is - value) > CLOSE):
            sys.exit(f"{name}: {ours_is} here, {value} in crossing.py; the bench is wrong")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--priors", type=Path, help="leave-one-source-out priors: <metric file's stem>.json.gz")
    parser.add_argument("--nights", type=int, default=240, help="the slow peers' sample, over all fleets")
    parser.add_argument("--replicates", type=int, default=200, help="of the bootstrap")
    parser.add_argument("--peers-only", action="store_true", help="do not run forewarn itself")
    given = parser.parse_args()
    try:
        found = accuracy(Options(given.nights, given.replicates, given.priors, given.peers_only))
    except AbsentError as reason:
        sys.stderr.write(f"SKIPPED: accuracy: {reason}\n")
        return
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "accuracy.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
