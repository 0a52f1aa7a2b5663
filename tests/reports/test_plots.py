from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reports.plots import axis_scale, local_midnights


@pytest.mark.parametrize(
    ("largest", "unit", "shown", "suffix"),
    [
        (8 * 2**30, "bytes", 8, " GiB"),
        (5e6, "kB", 5e6 * 1000 / 2**30, " GiB"),
        (3 * 2**20, "bytes/s", 3, " MiB/s"),
        (0.93, "ratio", 93, " %"),
        (93, "%", 93, " %"),
        (30 * 86400, "s", 30, " d"),
        (30, "days", 30, " d"),
        (0.02, "seconds", 20, " ms"),
        (1200, "count", 1200, ""),
        (0, "bytes", 0, " B"),
        (7, "req/s\n<b>", 7, " req/s <b>"),
        (7, None, 7, ""),
    ],
)
def test_axes_are_drawn_in_readable_units(largest, unit, shown, suffix):
    factor, said = axis_scale(largest, unit)
    assert (largest * factor, said) == (pytest.approx(shown), suffix)


def test_midnights_follow_the_clock_of_the_zone():
    found = local_midnights(datetime(2026, 3, 27, 12), datetime(2026, 3, 31, 12), ZoneInfo("Europe/Berlin"))
    assert [f"{at:%d %H}" for at in found] == ["27 23", "28 23", "29 22", "30 22"]
    assert local_midnights(found[0], found[0] + timedelta(hours=1), ZoneInfo("Europe/Berlin")) == []
