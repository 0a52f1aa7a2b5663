"""Hourly rollups: samples to hours, set-based in DuckDB. Holds the query; who runs it, and when, is not its matter."""

ROLLUP = """
    SELECT
        series_id,
        date_trunc('hour', ts::TIMESTAMP) AS hour,
        avg(value ORDER BY ts) AS mean,  -- ordered: a parallel sum differs in its last bits from run to run
        min(value) AS min,
        max(value) AS max,
        arg_max(value, ts) AS last,
        count(*)::INTEGER AS n
    FROM {samples}
    GROUP BY ALL
    ORDER BY series_id, hour
"""
"""Rows of features.hourly from a relation `samples` of (series_id, ts, value), one row a series and second."""


def rollup(samples: str) -> str:
    """The query over `samples`: a table, or a subquery in parentheses, of our own making (not user input)."""
    return ROLLUP.format(samples=samples)
