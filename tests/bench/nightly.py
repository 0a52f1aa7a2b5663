"""How long a first night takes, and how much memory: whole processes from an empty warehouse, several runs each.

    python tests/bench/nightly.py [--runs 3] [SETTINGS.yaml ...]

Without settings: the sample fleet, and the VM fleet of $FOREWARN_DATA. Prints the median of wall and CPU seconds and of
the peak memory of the largest process, as the operating system accounts for them. Times of a shared machine drift:
compare what was measured in one call.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VM_FLEET = ROOT / "tests" / "real" / "bitbrains_rnd_1h.yaml"
COMMAND = [sys.executable, "-m", "pipelines.cli", "nightly"]


def once(settings: Path | None) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds (children included) and peak GiB of one night in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        own = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "FOREWARN_CONFIG")}
        own |= {"FOREWARN_HOME": folder, "FOREWARN_OUT": folder}
        config = ["--config", str(settings)] if settings else []
        began = time.monotonic()
        pid = os.posix_spawn(
            sys.executable,
            [*COMMAND, *config],
            own,
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
        )
        _, status, usage = os.wait4(pid, 0)
        if os.waitstatus_to_exitcode(status):
            sys.exit(f"{settings or 'sample fleet'}: the night failed; run it by hand to see why")
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    data = Path(os.environ.get("FOREWARN_DATA", ROOT.parent / "shared" / "data"))
    fleets: list[Path | None] = [*options.settings] or [None, *([VM_FLEET] if data.is_dir() else [])]
    sys.stdout.write(f"{'fleet':<28}{'wall s':>9}{'CPU s':>9}{'peak GiB':>10}   (medians of {options.runs})\n")
    for settings in fleets:
        runs = [once(settings) for _ in range(options.runs)]
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs, strict=True))
        name = settings.stem if settings else "sample"
        sys.stdout.write(f"{name:<28}{wall:>9.1f}{cpu:>9.1f}{peak:>10.2f}\n")


if __name__ == "__main__":
    main()
