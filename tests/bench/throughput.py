"""How many series a second, against each peer, and what whole fleets cost.

    python tests/bench/throughput.py --out DIR [--sizes 1000 10000] [--rounds 3]

Paired: in each round every forecaster is timed in turn, in CPU seconds and with one thread, on series of one fleet; the
ratios are those of a round, since a shared machine drifts. A peer is timed on a few series and told per series. Fleets:
all that a night does from hours to answers (learning from the settled past, scoring, Prophet's contest), over the
night's process pool, in a process of its own. Writes DIR/throughput.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import process_tree
import synthetic_fleet
from peers import PROPHET, QUICK, Case, peer_answers
from statsforecast_peers import NAMES, Statsforecast, UnavailableError, environment

from forecasting.batch import Batch
from forecasting.mapper import THREADS, ProcessPool, Serial
from forecasting.night import score_fleet
from forecasting.options import ForecastingOptions
from forecasting.school import Learnt, gather, learn
from pipelines import priors

WORKERS = 2
PEER_SERIES = {"prophet": 6, "autoets": 3, "autoarima": 3, "mstl_autoarima": 3}
QUICK_SERIES = 100
LEAST_ANSWERED = 0.9
ONE_THREAD = dict.fromkeys(THREADS, "1")


def paired(rounds: int) -> dict[str, Any]:
    """Series a CPU second: ours, each peer, and how many times ours is faster, round by round."""
    took: dict[str, list[float]] = {}
    cases = synthetic_fleet.cases(QUICK_SERIES)
    values = synthetic_fleet.draw(0).astype(float)
    batch, taught = synthetic_fleet.batch(0, values), synthetic_fleet.lesson(0, values, ForecastingOptions())
    learnt = learn(priors.load(priors.SHIPPED), gather([taught], Serial()), synthetic_fleet.AS_OF)
    peer_answers(PROPHET.function, cases[:1])  # imports are nobody's cost
    for _ in range(rounds):
        took.setdefault("forewarn", []).append(_own_rate(batch, learnt))
        for peer in (*QUICK, PROPHET):
            some = cases[: PEER_SERIES.get(peer.name, QUICK_SERIES)]
            seconds = sum(one.seconds for one in peer_answers(peer.function, some))
            took.setdefault(peer.name, []).append(len(some) / seconds)
        for name, rate in _statsforecast_rates(cases).items():
            took.setdefault(name, []).append(rate)
    own = took["forewarn"]
    return {
        name: {
            "series_per_s": statistics.median(rates),
            "ours_times_faster": [ours / rate for ours, rate in zip(own, rates, strict=True)],
            "timed_on": len(values) if name == "forewarn" else PEER_SERIES.get(name, QUICK_SERIES),
        }
        for name, rates in took.items()
    }


def fleet(series: int) -> dict[str, Any]:
    """One night's answers about a whole fleet: seconds of each stage, and the peak memory of all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        synthetic_fleet.store(Path(folder), series)
        command = [sys.executable, __file__, "--night", folder, "--sizes", str(series)]
        printed, peak = process_tree.run(command, dict(os.environ))
    return {"series": series, "peak_gib": peak} | json.loads(printed)


def night(folder: Path, series: int) -> dict[str, float]:
    """Wall seconds of the stages of a night, and CPU seconds of all of them."""
    options, pool = ForecastingOptions(workers=WORKERS), ProcessPool(WORKERS)
    stored = synthetic_fleet.StoredFleet(folder / f"{series}.f32", series)
    marks = {"began": time.perf_counter()}
    learnt = learn(priors.load(options.prior), gather(stored.classes(options), pool), synthetic_fleet.AS_OF)
    marks["learnt"] = time.perf_counter()
    found = score_fleet(
        stored.batches(), learnt, options, pool, lambda stage, done: marks.update({stage: time.perf_counter()})
    )
    ended = time.perf_counter()
    answered = found.risks.filter(state="scored")["series_id"].n_unique()
    if answered < LEAST_ANSWERED * series:
        sys.exit(f"only {answered} of {series} series were answered; this would not time what it says")
    return {
        "learning_seconds": marks["learnt"] - marks["began"],
        "scoring_seconds": marks["score"] - marks["learnt"],
        "contest_seconds": ended - marks["score"],
        "cpu_seconds": process_tree.cpu_seconds(),
    }


def _own_rate(batch: Batch, learnt: Learnt) -> float:
    """Without what is the fleet's cost and not the series': learning, and Prophet's contest."""
    began = process_tree.cpu_seconds()
    score_fleet([batch], learnt, ForecastingOptions(workers=1, prophet_series=0), Serial())
    return len(batch.grid.series_id) / (process_tree.cpu_seconds() - began)


def _statsforecast_rates(cases: list[Case]) -> dict[str, float]:
    rates = {}
    for name in NAMES:
        some = cases[: PEER_SERIES[name]]
        try:
            environment()
            found = Statsforecast(name, processes=1).answer_all(some)
        except UnavailableError as reason:
            sys.stderr.write(f"LEFT OUT: {name}: {reason}\n")
            continue
        rates[name] = len(some) / sum(one.seconds for one in found)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--night", type=Path, help=argparse.SUPPRESS)  # the process whose memory is measured
    given = parser.parse_args()
    if given.night:
        sys.stdout.write(json.dumps(night(given.night, given.sizes[0])))
        return
    if given.out is None:
        parser.error("--out is needed")
    if any(os.environ.get(name) != "1" for name in THREADS):  # threads are counted when libraries are loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})  # noqa: S606
    found = {"paired": paired(given.rounds), "workers": WORKERS, "fleets": [fleet(size) for size in given.sizes]}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "throughput.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
