r"""How a column of times becomes naive UTC.

=====================================  ================================================================================
stored as                              read as
=====================================  ================================================================================
TIMESTAMP WITH TIME ZONE               the instant that it is
TIMESTAMP, DATE                        a wall clock in the source's `time_zone`; refused without one
a number                               time since 1970, in s, ms, us or ns, told apart by magnitude: 1e11 s is the year
                                       5138, 1e11 ms is 1973
text with an offset                    ISO 8601: ``2026-05-31T13:00:00Z``, ``+02:00``, ``+0200``, ``+02``, ``UTC``
text without                           a wall clock, as above
text of 9 or more digits               a number, as above (fewer could be a date such as 20260531)
other text                             refused; ``31/05/2026`` for its unclear order of day and month
=====================================  ================================================================================

A wall clock that comes twice, or never, because clocks are set takes the offset from before they are set (as
PEP 495's fold=0). Fractions of a second are cut off at the microsecond, never rounded up into another second.

Offsets must not differ within a column of text, since that is nearly always two exports glued together of which one was
converted and one was not. The exception: with a `time_zone` in the settings, offsets which that zone itself had.
"""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from operator import itemgetter

import duckdb

from pipelines.sources.errors import InputError, shown
from pipelines.sources.landing import Batch
from pipelines.sources.rejects import DATE_ORDER, NO_ZONE, UNREADABLE_TIME
from pipelines.sources.sql import literal
from pipelines.sources.values import is_number, is_text

MACROS = rf"""
-- 'wall' and 'zone' of a text; both '' where it is not ISO 8601, zone '' where it carries none.
CREATE OR REPLACE TEMP MACRO stamp_of_text(t) AS regexp_extract(
    trim(t),
    '^(\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?)(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?))?$',
    ['wall', 'zone']
);

CREATE OR REPLACE TEMP MACRO wall_of_text(t) AS TRY_CAST(replace(stamp_of_text(t).wall, ',', '.') AS TIMESTAMP);

-- An offset in one spelling; the many names of zero are one zone.
CREATE OR REPLACE TEMP MACRO zone_of_text(t) AS CASE
    WHEN stamp_of_text(t).zone IN ('', 'Z') THEN stamp_of_text(t).zone
    WHEN regexp_full_match(stamp_of_text(t).zone, 'UTC|[+-]00(?::?00)?') THEN 'Z'
    ELSE rpad(replace(stamp_of_text(t).zone, ':', ''), 5, '0')
END;

-- The instant at which a clock in the zone shows `wall`: the earlier of two; by the offset before where it skips it.
CREATE OR REPLACE TEMP MACRO utc_of_wall(wall, zone) AS CASE
    WHEN zone IS NULL THEN NULL
    WHEN timezone('UTC', timezone(zone, wall - INTERVAL 1 DAY)) + INTERVAL 1 DAY < timezone('UTC', timezone(zone, wall))
     AND timezone(zone, timezone('UTC', timezone('UTC', timezone(zone, wall - INTERVAL 1 DAY)) + INTERVAL 1 DAY)) = wall
    THEN timezone('UTC', timezone(zone, wall - INTERVAL 1 DAY)) + INTERVAL 1 DAY
    ELSE timezone('UTC', timezone(zone, wall))
END;

CREATE OR REPLACE TEMP MACRO utc_of_number(n) AS make_timestamp(CAST(floor(CASE
    WHEN abs(n) < 1e11 THEN n * 1000000
    WHEN abs(n) < 1e14 THEN n * 1000
    WHEN abs(n) < 1e17 THEN n
    WHEN abs(n) < 1e19 THEN n * 0.001  -- a division would leave the decimals for floating point
END) AS BIGINT));

CREATE OR REPLACE TEMP MACRO utc_of_text(t, zone) AS CASE
    WHEN stamp_of_text(t).zone <> ''
    THEN timezone('UTC', TRY_CAST(replace(stamp_of_text(t).wall, ',', '.') || zone_of_text(t) AS TIMESTAMPTZ))
    WHEN stamp_of_text(t).wall <> '' THEN utc_of_wall(wall_of_text(t), zone)
    WHEN regexp_full_match(trim(t), '-?\d{{9,19}}(?:\.\d*)?') THEN utc_of_number(TRY_CAST(trim(t) AS DECIMAL(38, 9)))
END;

-- Why a time that is there could not be read.
CREATE OR REPLACE TEMP MACRO fault_of_time(t) AS CASE
    WHEN wall_of_text(t) IS NOT NULL AND stamp_of_text(t).zone = '' THEN '{NO_ZONE}'
    WHEN regexp_matches(trim(t), '^\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2,4}}') THEN '{DATE_ORDER}'
    ELSE '{UNREADABLE_TIME}'
END;

-- Of the years that every tool can write.
CREATE OR REPLACE TEMP MACRO within_calendar(utc) AS
    CASE WHEN utc >= TIMESTAMP '0001-01-01' AND utc < TIMESTAMP '9999-12-31' THEN utc END;
"""


def prepare(con: duckdb.DuckDBPyConnection, *, as_of: datetime, now: datetime) -> None:
    """Define the macros that queries over times use; among them as_of() and run_began(), both naive UTC."""
    con.execute(MACROS)
    con.execute(f"CREATE OR REPLACE TEMP MACRO as_of() AS TIMESTAMP '{as_of.isoformat(sep=' ')}'")
    con.execute(f"CREATE OR REPLACE TEMP MACRO run_began() AS TIMESTAMP '{now.isoformat(sep=' ')}'")


def instant(column: str, column_type: str, time_zone: str | None) -> str:
    """SQL for the naive UTC instant that a column says; NULL where it is missing or cannot be read."""
    zone = literal(time_zone)
    match column_type:
        case "TIMESTAMP WITH TIME ZONE":
            read = f"timezone('UTC', {column})"
        case "TIMESTAMPTZ_NS":
            read = f"make_timestamp(epoch_ns({column}) // 1000)"
        case "TIMESTAMP_NS":
            read = f"utc_of_wall(make_timestamp(epoch_ns({column}) // 1000), {zone})"
        case "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "DATE":
            read = f"utc_of_wall({column}::TIMESTAMP, {zone})"
        case _ if is_number(column_type):
            read = f"utc_of_number(TRY_CAST({column} AS DECIMAL(38, 9)))"
        case _:
            read = f"utc_of_text({column}::VARCHAR, {zone})"
    return f"within_calendar({read})"


def refuse_mixed_zones(con: duckdb.DuckDBPyConnection, batch: Batch, part: str, time_zone: str | None) -> None:
    """See the module's docstring.

    Raises:
        InputError: names the file, the column and two rows.
    """
    column, column_type = batch.column(part), batch.type(part)
    if not is_text(column_type):
        return
    text, zone = f"{column}::VARCHAR", literal(time_zone)
    found = con.execute(
        f"""
        SELECT {batch.file_no} AS file_no, zone_of_text({text}) AS zone, min({batch.file_row}) AS file_row,
               bool_and({zone} IS NOT NULL
                        AND timezone({zone}, timezone('UTC', utc_of_text({text}, NULL))) = wall_of_text({text})) AS own
        FROM {batch.scan}
        WHERE stamp_of_text({text}).zone <> ''
        GROUP BY ALL
        ORDER BY file_no, file_row
        """
    ).fetchall()
    for file_no, group in groupby(found, key=itemgetter(0)):
        zones = list(group)
        if len(zones) > 1 and not all(own for *_, own in zones):
            (_, first, row, _), (_, second, other_row, _), *_ = zones
            raise InputError(
                f"{batch.name(file_no)}: column {shown(batch.parts[part])!r} mixes time zones: row {row} has {first}, "
                f"row {other_row} has {second}; write all of them in one, such as Z"
            )
