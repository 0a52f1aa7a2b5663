import struct
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from reports.ticket_chart import TicketChart, draw

AS_OF = datetime(2026, 3, 30, 22)  # the clocks go forward within the history
HOURS = 14 * 24


def chart(values=None, every: int = 1, **changes) -> TicketChart:
    values = np.linspace(60, 80, HOURS) if values is None else values
    hours = [AS_OF - timedelta(hours=len(values) - i) for i in range(len(values))]
    ahead = np.arange(168)
    path = pl.DataFrame(
        {"hour": [AS_OF + timedelta(hours=int(h)) for h in ahead]}
        | {f"q{q}": 80 + ahead * 0.06 + (q - 50) / 10 for q in (10, 25, 50, 75, 90)}
    )
    return replace(
        TicketChart(
            title="db-02: memory in use will reach 90 %", subtitle="db-02", unit="percent",
            zone=ZoneInfo("Europe/Berlin"), as_of=AS_OF,
            history=pl.DataFrame({"hour": hours, "mean": values})[::every], path=path,
            limit_name="critical", limit_value=90.0, direction="up",
            eta_p10=AS_OF + timedelta(hours=80), eta_p50=AS_OF + timedelta(hours=120),
            eta_p90=AS_OF + timedelta(hours=400), resets=[AS_OF - timedelta(hours=100)],
        ),
        **changes,
    )  # fmt: skip


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_neither_the_future_nor_the_users_style_changes_a_byte():
    plain = chart()
    future = pl.DataFrame({"hour": [AS_OF, AS_OF + timedelta(hours=9)], "mean": [1e6, -1e6]})
    first = draw(plain)
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "black", "axes.grid": True}):
        assert draw(replace(plain, history=pl.concat([plain.history, future]))) == first
    assert size(first) == (900, 420)
    assert b"matplotlib" not in first.lower()


@pytest.mark.parametrize(
    "case",
    [
        chart(title="$x^2$ \\frac{ 数据库 <b>" * 20, limit_name="$\\bad{", subtitle="$"),
        chart(np.array([]), path=chart().path.clear(), eta_p10=None, eta_p50=None, eta_p90=None),
        chart(np.array([5.0]), eta_p10=AS_OF - timedelta(days=40), eta_p50=AS_OF - timedelta(days=39), eta_p90=AS_OF),
        chart(np.full(HOURS, 1e300), limit_value=1e300, unit="bytes"),
        chart(every=24, direction="down", limit_value=-5.0, unit=None),
    ],
    ids=["hostile", "nothing known", "one point", "huge", "rare"],
)
def test_no_data_breaks_a_chart(case):
    assert size(draw(case)) == (900, 420)
