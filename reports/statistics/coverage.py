"""How often the interval of a mean really holds the mean: measured, since theory only promises it for large n."""

from __future__ import annotations

MEAN_COVERAGE = {10: 0.86, 20: 0.87, 50: 0.90, 200: 0.92, 2000: 0.94}
"""n -> share of simulated samples whose nominal 95 % interval held the true mean: log-normal durations, sigma 1.5.

Measured by ``tests/bench/incident_statistics.py``; docs/statistics.md has the table.
"""


def mean_coverage(n: int) -> float:
    """As measured at the largest simulated size up to `n`; at less than 10 as at 10."""
    return MEAN_COVERAGE[max((size for size in MEAN_COVERAGE if size <= n), default=min(MEAN_COVERAGE))]
