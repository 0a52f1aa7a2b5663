"""Settled answers to test with: what the ledger of the last weeks hands to the reports room."""

from __future__ import annotations

import polars as pl

from reports.answers_kept import BAND, SURE, TENTHS, Lately

Answers = list[tuple[float, int, int]]  # p, how many, of these came true


def lately(
    answers: Answers, *, limits: int = 0, open_at: float = 0.7, band: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Lately:
    """Answers for one horizon, one entry a tenth; those that open tickets are about so many limits.

    band: paths, series, hours, held.
    """
    tenths = [(168, n, p, came, came * (1 - p) ** 2 + (n - came) * p**2) for p, n, came in answers]
    sure = [one for one in answers if one[0] >= open_at]
    n, came = sum(n for _, n, _ in sure), sum(came for *_, came in sure)
    mean = sum(p * n for p, n, _ in sure) / n if n else None
    return Lately(
        pl.DataFrame(tenths, schema=TENTHS, orient="row"),
        pl.DataFrame([(n, limits, mean, came)], schema=SURE, orient="row"),
        pl.DataFrame([band], schema=BAND, orient="row"),
    )
