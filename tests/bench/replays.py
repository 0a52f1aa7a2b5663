"""Replays of real fleets, as committed in docs/replays: what the tickets of past nights would have been worth.

    python -m data.prior --data DIR --leave-out asd12_5min --out PRIORS/asd12_5min.json.gz
    python tests/bench/replays.py --priors PRIORS [--data DIR] [--out docs/replays] [--pages DIR] [FLEET ...]

For each fleet: its nights under the default policy, limits read off each series' own past (nothing is chosen by looking
ahead), a prior that never saw the fleet, without Prophet's contest. Writes FLEET.json, the replay's summary.json, with
--pages its replay.html as well, and prints wall seconds and what was found. The prior that ships never saw most of
them, nor the project's own fleet, `sample`; one that learnt from a fleet of --priors serves the others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from questions import DATA, ROOT

sys.path.insert(0, str(ROOT))

from data.prior.measured import OPEN
from data.sample_fleet import generate

SAMPLE = ROOT / "data" / "sample" / "forewarn.yaml"
SETTINGS = """
sources:
  metrics:
    - {{name: fleet, paths: [{path}]}}
signals:
  own:
    - name: {signal}
      metric: "{metric}"
      minimum: 0
      limits: [{{name: unusual, {limit}}}]
calendar: {{first_night: {first}}}
storage: {{root: run, retention: {{hourly_days: 36500}}}}
forecasting: {{prior: {prior}}}
"""


@dataclass(frozen=True)
class Fleet:
    """A stored fleet: which metric, which limits off its own past, which nights."""

    stem: str
    signal: str
    metric: str
    limit: str
    first: str
    last: str


FLEETS = {
    "virtual-machines": Fleet(
        "bitbrains_rnd_1h", "memory", "mem_used_percent", "quantile: 0.99, days: 28, margin: 0.5",
        "2013-07-25", "2013-09-22",
    ),
    "web-server-disk": Fleet(
        "tomtalk_disk_1h", "disk", "disk_used_percent", "quantile: 0.99, days: 14, margin: 0.3, renew_days: 14",
        "2017-03-15", "2018-01-31",
    ),
    "lab-disk": Fleet(
        "mini_internet_disk_1d", "disk", "disk_used_percent", "quantile: 0.99, days: 14, margin: 0.3, renew_days: 14",
        "2022-03-28", "2022-09-24",
    ),
    "servers": Fleet(
        "asd12_5min", "any", "*", "quantile: 0.995, days: 14, margin: 0.25, renew_days: 7", "2000-01-16", "2000-02-14",
    ),
}  # fmt: skip
SAMPLE_NIGHTS = "2026-04-12", "2026-05-25"  # after ten days of history, and with a week to settle
LEARNT_FROM = {one.stem for one in OPEN}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--priors", type=Path, help="folder of STEM.json.gz, for fleets that the shipped prior saw")
    asked.add_argument("--data", type=Path, default=DATA)
    asked.add_argument("--out", type=Path, default=ROOT / "docs" / "replays")
    asked.add_argument("--pages", type=Path, help="folder for FLEET.html; left out, no page is kept")
    asked.add_argument("fleets", nargs="*", metavar="FLEET", default=[*FLEETS, "sample"])
    options = asked.parse_args()
    saw = [name for name in options.fleets if name in FLEETS and FLEETS[name].stem in LEARNT_FROM]
    if saw and not options.priors:
        asked.error(f"the shipped prior has learnt from {', '.join(saw)}; name priors that have not with --priors")
    for folder in filter(None, (options.out, options.pages)):
        folder.mkdir(parents=True, exist_ok=True)
    for name in options.fleets:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found = replay(name, Path(folder), options.data.resolve(), options.priors)
            spent = time.monotonic() - began
            if options.pages:
                shutil.copy(Path(folder) / "out" / "replay.html", options.pages / f"{name}.html")
        (options.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        told = f"{found['nights']} nights of {found['series']} series in {spent:.0f} s: {found['tickets']} tickets"
        sys.stdout.write(f"{name}: {told}, {found['outcomes']}, {found['missed']} missed\n")
        sys.stdout.flush()


def replay(name: str, folder: Path, data: Path, priors: Path | None) -> dict:
    """The summary of one fleet's replay."""
    config = folder / "forewarn.yaml"
    if name == "sample":
        generate(folder / "fleet")
        config.write_text(SAMPLE.read_text().replace("${FOREWARN_HOME:-../run}", str(folder)))
        nights = SAMPLE_NIGHTS
    else:
        fleet = FLEETS[name]
        path, prior = data / f"metrics_{fleet.stem}.parquet", "shipped"
        if priors and fleet.stem in LEARNT_FROM:
            prior = priors.resolve() / f"{fleet.stem}.json.gz"
        config.write_text(SETTINGS.format(path=path, prior=prior, **vars(fleet)))
        nights = fleet.first, fleet.last
    command = [sys.executable, "-m", "pipelines.cli", "replay", "--quick", "--config", str(config)]
    options = ["--from", nights[0], "--to", nights[1], "--out", str(folder / "out")]
    subprocess.run([*command, *options], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return json.loads((folder / "out" / "summary.json").read_text())


if __name__ == "__main__":
    main()
