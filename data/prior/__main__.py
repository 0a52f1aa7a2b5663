"""Build the prior that ships, or priors that never saw a source.

    python -m data.prior --data DIR --out data/prior/prior.json.gz [--leave-out STEM ...] [--simulated N] [--seed N]
    python -m data.prior --data DIR --leave-one-out --out-dir DIR2

Without --data, from simulated fleets alone. A file's STEM is its name between "metrics_" and ".parquet". With
--leave-one-out, one prior for each metric file of DIR, DIR2/<STEM>.json.gz, that never saw that file or another of its
family; for files that nothing is learnt from, that is the prior that ships. The same inputs give the same bytes.

Belongs here: the command line. Not here: what is learnt (``data.prior.build``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.prior.build import build
from data.prior.fleets import simulated_climbs, simulated_lessons
from data.prior.measured import OPEN, Measured, MeasuredError, measured_lessons, without
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import Prior, dump

SERIES = 14_000
CLIMBING = 9  # times as many series teach what becomes of straight climbs, which are rare
SEED = 7


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        _check(given)
        if given.leave_one_out:
            _leave_one_out(given)
        else:
            found = _lessons(given, without(given.leave_out) if given.data else ())
            _replace(given.out, dump(found.prior(found.measured)))
    except (MeasuredError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.prior", description="Build the crossing model's prior.")
    parser.add_argument("--data", type=Path, help="folder of metrics_<STEM>.parquet; without: simulated fleets alone")
    parser.add_argument("--out", type=Path, help="the prior's file")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="STEM", help="learn nothing from these families")
    parser.add_argument("--leave-one-out", action="store_true", help="a prior for each file that never saw it")
    parser.add_argument("--out-dir", type=Path, help="where --leave-one-out writes <STEM>.json.gz")
    parser.add_argument("--simulated", type=int, default=SERIES, metavar="N", help=f"series; default: {SERIES}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    return parser


def _check(given: argparse.Namespace) -> None:
    """
    Raises:
        MeasuredError: options that do not go together, or a stem that is no file.
    """
    if given.leave_one_out and not (given.data and given.out_dir):
        raise MeasuredError("--leave-one-out needs --data and --out-dir")
    if not given.leave_one_out and not given.out:
        raise MeasuredError("name the prior's file with --out")
    known = {one.stem for one in OPEN}
    for stem in given.leave_out:
        if stem not in known and not (given.data and Measured(stem, "", stem).path(given.data).is_file()):
            raise MeasuredError(f"--leave-out {stem}: no such file; known are {', '.join(sorted(known))}")


@dataclass(frozen=True)
class _Found:
    """All that teaches; `climbs` are about straight climbs alone."""

    simulated: Lessons
    climbs: Lessons
    measured: Mapping[Measured, Lessons]

    def prior(self, chosen: Iterable[Measured]) -> Prior:
        return build(self.simulated, self.climbs, {one: self.measured[one] for one in chosen})


def _leave_one_out(given: argparse.Namespace) -> None:
    found = _lessons(given, OPEN)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    built: dict[tuple[Measured, ...], bytes] = {}
    for path in sorted(given.data.glob("metrics_*.parquet")):
        stem = path.stem.removeprefix("metrics_")
        chosen = without([stem])
        if chosen not in built:
            built[chosen] = dump(found.prior(chosen))
        _replace(given.out_dir / f"{stem}.json.gz", built[chosen])


def _lessons(given: argparse.Namespace, chosen: tuple[Measured, ...]) -> _Found:
    """
    Raises:
        MeasuredError: a file is not there, or no such file.
    """
    measured = {one: measured_lessons(one.path(given.data)) for one in chosen}
    simulated = simulated_lessons(given.simulated, given.seed)
    return _Found(simulated, simulated_climbs(CLIMBING * given.simulated, given.seed), measured)


def _replace(out: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = out.with_name(f".{out.name}.partial")
    partial.write_bytes(content)
    partial.replace(out)
    sys.stderr.write(f"{out}: {len(content)} bytes\n")


if __name__ == "__main__":
    sys.exit(main())
