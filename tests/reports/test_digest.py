import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from answer_examples import lately
from calibration_examples import usual
from ticket_examples import fleet, frame, live, night, profiles, risk

from features.known_bad import Window
from features.signals import ConstantLimit, Signal
from forecasting.tables import CALIBRATION, MODELS, TOURNAMENT
from reports.digest import NightDigest, lead, render, shown
from reports.digest_rows import Night, choose
from reports.feedback import FEEDBACK
from reports.pilot import MODES
from reports.reliability import draw
from reports.services import Service
from reports.ticket_misses import MISSES
from reports.ticket_outcomes import OUTCOMES
from reports.ticket_policy import TicketPolicy

SETTLED = {"settled_as_of": pl.Datetime("us")}
POLICY = TicketPolicy()
SIGNAL = Signal(
    name="host.memory", metric="mem*", title="memory in use", unit="percent",
    limits=[ConstantLimit(name="critical", value=90)],
)  # fmt: skip
COUNTS = {"opened": 0, "updated": 0, "resolved": 0, "open": 0, "series": 9, "scored": 9, "beyond": 0, "abstained": 0,
          "failed": 0}  # fmt: skip
FORECASTS = {"as_of": pl.Datetime("us"), "series_id": pl.UInt64, "hour": pl.Datetime("us"), "model": pl.String} | {
    f"q{q}": pl.Float64 for q in (10, 25, 50, 75, 90)
}
FAILURES = {"as_of": pl.Datetime("us"), "series_id": pl.UInt64, "stage": pl.String, "error": pl.String}
REJECTS = {"run_id": pl.String, "row": pl.Int64, "source": pl.String, "file": pl.String, "file_row": pl.Int64,
           "reason": pl.String, "detail": pl.String}  # fmt: skip


def looks(series: pl.DataFrame, level: float = 80.0) -> pl.DataFrame:
    return profiles(series, 1, level).with_columns(spread=pl.lit(5.0), noise=pl.lit(0.5))


def told(tonight: list[dict], before: list[dict], series: pl.DataFrame) -> Night:
    services = [Service(name="storage", entities=["db-*"], owner="team-data", tier=1)]
    return Night(night(1), POLICY, frame(*tonight), frame(*before), looks(series), series, [SIGNAL], services)


def digest(tonight: list[dict], before: list[dict], series: pl.DataFrame, **more) -> NightDigest:
    hours = [night(1) - timedelta(hours=h) for h in range(400, 0, -1)]
    hourly = pl.concat(
        pl.DataFrame({"series_id": [s] * 400, "hour": hours, "mean": np.linspace(60, 80, 400)}, schema_overrides={
            "series_id": pl.UInt64, "hour": pl.Datetime("us")})
        for s in series["series_id"]
    )  # fmt: skip
    usual = {
        "night": told(tonight, before, series),
        "zone": ZoneInfo("Europe/Berlin"),
        "events": live([before, tonight], series, POLICY),
        "hourly": hourly,
        "forecasts": pl.DataFrame(schema=FORECASTS),
        "failures": pl.DataFrame(schema=FAILURES),
        "rejects": pl.DataFrame(schema=REJECTS),
        "models": pl.DataFrame(schema=MODELS),
        "calibration": pl.DataFrame(schema=CALIBRATION),
        "tournament": pl.DataFrame(schema=TOURNAMENT),
        "outcomes": pl.DataFrame(schema=OUTCOMES | SETTLED),
        "misses": pl.DataFrame(schema=MISSES | SETTLED),
        "modes": pl.DataFrame(schema=MODES),
        "feedback": pl.DataFrame(schema=FEEDBACK),
        "lately": lately([]),
    }
    return NightDigest(**(usual | more))


def words(html: str) -> str:
    body = html[html.index("<main>") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").split())


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "No ticket opened; none is open. 9 of 9 series scored."),
        ({"opened": 1, "open": 1}, "1 ticket opened; 1 is open. 9 of 9 series scored."),
        (
            {
                "opened": 3,
                "updated": 1,
                "resolved": 1,
                "open": 5,
                "scored": 7,
                "beyond": 1,
                "abstained": 1,
                "failed": 1,
            },
            "3 tickets opened, 1 updated, 1 resolved; 5 are open."
            " 7 of 9 series scored, 1 already beyond a limit, 1 abstained from, 1 failed.",
        ),
    ],
)
def test_the_night_in_a_sentence(counts, sentence):
    assert lead(COUNTS | counts) == sentence


def test_what_readers_say_stands_on_the_tickets_row_and_harms_nothing():
    series = fleet(s1="db-01")
    before, tonight = [risk(1, 0.9)], [risk(1, 0.9, n=1)]
    (ticket_id,) = set(live([before, tonight], series, POLICY)["ticket_id"])
    note = "=cmd|'/C calc'!A0 <script>alert(1)</script>\u202e\x1b[31m\r\n# {{ 7 * 7 }}"
    said = [(ticket_id, "kim", False, None, note, night(1)), (ticket_id, "<b>lea</b>", True, None, None, night(1))]
    feedback = pl.DataFrame(said, schema=FEEDBACK, orient="row")
    html = render(digest(tonight, before, series, feedback=feedback))
    shown = "Useful? 1 yes, 1 no: “=cmd|'/C calc'!A0 <script>alert(1)</script> [31m # {{ 7 * 7 }}”"
    assert words(html).count(shown) == 2  # on the ticket's row, and among what readers say
    assert "<script" not in html and "<b>lea" not in html and "\x1b" not in html and "\u202e" not in html


def test_who_reads_only_the_page_is_told_when_the_last_weeks_were_worse_than_promised():
    series = fleet(s1="db-01")
    drifted = lately([(0.02, 900, 12), (0.85, 120, 48)], limits=24, band=(40, 12, 6000, 3000))
    picture = draw(usual())
    html = render(digest([risk(1, 0.1)], [], series, lately=drifted, kept=picture))
    text = words(html)
    warning = "Worse than promised: Of 120 answers of 70 % or more within 168 h"
    assert warning in text and text.index(warning) < text.index("Most likely to break")
    assert "40 % came true (95 % interval 23 % to 60 %, each limit counted once), where 85 % was promised" in text
    assert "80 % band held 50 % of the" in text and 'href="#promises"' in html
    assert html.count("data:image/png") == 1
    calm = lately([(0.02, 900, 12), (0.85, 120, 100)], limits=24)
    text = words(render(digest([risk(1, 0.1)], [], series, lately=calm)))
    assert "Worse than promised" not in text and "83 % came true" in text


def test_a_night_with_everything():
    series = fleet(s1="db-01", s2="db-02", s3="web-01", s4="web-02", s5="web-03")
    before = [risk(1, 0.9), risk(2, 0.5), risk(3, 0.2), risk(4, state="scored", p=0.1), risk(5, 0.02)]
    tonight = [
        risk(1, 0.9, n=1, eta_h=30), risk(2, 0.95, n=1), risk(3, None, n=1, reason="no recent data"),
        risk(4, state="crossed", n=1), risk(5, 0.02, n=1),
    ]  # fmt: skip
    rejects = pl.DataFrame([("r", 1, "prom", "in/a.csv", 7, "not a number", "x,y")], schema=REJECTS, orient="row")
    failures = pl.DataFrame([(night(1), 3, "score", "ValueError: odd")], schema=FAILURES, orient="row")
    models = pl.DataFrame([(night(1), "ensemble", "trend", 168, 3, 0.2, 0.5)], schema=MODELS, orient="row")
    page = digest(
        tonight, before, series, rejects=rejects, failures=failures, models=models, seconds={"forecast": 1.25}
    )  # fmt: skip
    page = replace(page, tickets_at="../tickets")
    html = render(page)
    text = words(html)
    for expected in (
        "Night of Tue 2 Jun 2026",
        "1 ticket opened; 2 are open. 3 of 5 series scored, 1 already beyond a limit, 1 abstained from, 1 failed.",
        "opened db-02: memory in use will reach 90 %",
        "kept db-01: memory in use will reach 90 %",
        "storage · tier 1 · team-data ticket opened",
        "last night 50 %",
        "Already beyond a limit",
        "new tonight",
        "Closest to their limits",
        "Changed most since last night",
        "▲ 95 %",
        "Went silent",
        "web-01 mem_used_percent",
        "1 no recent data",
        "score: ValueError: odd",
        "a.csv, row 7: x,y",
        "ensemble trend 3 0.200 50 %",
        "forecast 1.2 s",
        "As of 2026-06-01 22:00 UTC",
    ):
        assert expected in text
    assert html.count("<svg") == 4
    assert 'href="../tickets/' in html
    assert "<script" not in html
    assert shown(page.night) == [1, 2, 4, 5]


def test_the_page_says_how_far_to_trust_it_and_by_whom_it_is():
    series = fleet(s1="db-01")
    ahead = [night(1) + timedelta(hours=h) for h in range(168)]
    forecasts = pl.DataFrame(
        {"as_of": [night(1)] * 168, "series_id": [1] * 168, "hour": ahead, "model": ["structural"] * 168}
        | {f"q{q}": [70.0 + q / 10] * 168 for q in (10, 25, 50, 75, 90)}, schema=FORECASTS,
    )  # fmt: skip
    models = [(night(1), "learnt", "trend", 168, 3, None, None), (night(1), "ensemble", "trend", 168, 3, 0.2, 0.8)]
    standing = [(night(1), "structural", "trend", 4, 1, 12, 0.2, 0.25, 0.5)]
    page = digest(
        [risk(1, 0.9, n=1)], [], series,
        models=pl.DataFrame(models, schema=MODELS, orient="row"), forecasts=forecasts, calibration=usual(),
        tournament=pl.DataFrame(standing, schema=TOURNAMENT, orient="row"), reliability=draw(usual()),
    )  # fmt: skip
    html = render(page)
    text = words(html).replace("\u202f", " ")
    for expected in (
        "probability by the learnt crossing model, weighed with the forecast, which is by the structural model;"
        " shape trend",
        "Of 412 questions about the newest settled fortnight that were answered with 70 % or more, 297 came true",
        "168 h 4 012 445",
        "trend 168 h 4 012 445",
        "learnt from 12 000 questions, put between Tue 31 Mar, 00:00 and Mon 25 May, 00:00",
        "Probabilities: the learnt crossing model, 3 series.",
        "structural trend 4 1 12 0.200 0.250 50 %",
    ):
        assert expected in text
    assert 'src="data:image/png;base64,' in html and 'href="#trust"' in html


def test_before_anything_has_settled_the_page_says_so_in_one_line_and_shows_no_picture():
    html = render(digest([risk(1, 0.9, n=1)], [], fleet(s1="db-01")))
    assert "Not known yet on this fleet: no question about its own past has settled" in words(html)
    assert "<img" not in html


def test_the_page_says_what_became_of_tickets_and_what_none_foresaw():
    series = fleet(s1="db-01", s2="<b>web</b>")
    before = [risk(1, 0.9)]
    told = digest([risk(1, 0.2, n=1)], before, series)
    assert "Promises kept" not in words(render(told))
    ticket_id = told.events["ticket_id"][0]
    outcomes = [(ticket_id, "false_alarm", None, None, "No crossing came, <i>and nothing</i> prevented one.", night(1))]
    misses = [(2, "<b>web</b>", "cpu", "s", "up", "critical", 90.0, night(0), "probability too low", 0.1, night(1))]
    page = replace(
        told,
        outcomes=pl.DataFrame(outcomes, schema=OUTCOMES | SETTLED, orient="row"),
        misses=pl.DataFrame(misses, schema=MISSES | SETTLED, orient="row"),
    )
    html = render(page)
    for expected in (
        "Of 1 ticket that settled in the last 90 days, none came true, none were averted and 1 was a false alarm;",
        f"false alarm db-01: host.memory, limit critical {ticket_id} · No crossing came",
        "1 crossing came that no ticket foresaw.",
        "1 probability too low <b>web</b> cpu",
    ):
        assert expected in words(html)
    assert "<b>web" not in html and "<i>and" not in html


def test_the_page_says_who_is_told_and_what_was_switched_tonight():
    modes = [
        ("<shop>", "pilot", False, True, "ledger", 30, 9, 8, 2, "does not meet the bar by its ledger"),
        ("web", "live", True, False, None, 0, 0, 0, 0, "live by the settings"),
        (None, "shadow", False, False, None, 0, 0, 0, 0, "shadow by the settings"),
    ]
    series = fleet(s1="db-01")
    page = digest([risk(1, 0.9, n=1)], [], series, modes=pl.DataFrame(modes, schema=MODES, orient="row"))
    opened = page.events["ticket_id"].to_list()
    html = render(replace(page, tickets_at="../tickets", shadow_at="../shadow", shadowed=frozenset(opened)))
    text = words(html)
    assert "<shop> was switched off tonight: does not meet the bar by its ledger." in text
    assert "1 of 2 published, the others in shadow" in text  # what nobody owns has no ticket
    assert "in shadow" in text and f'href="../shadow/{opened[0]}.md"' in html and "<shop>" not in html


def test_a_quiet_night_is_still_worth_reading():
    series = fleet(**{f"s{n}": f"web-{n:02}" for n in range(1, 13)})
    quiet = [risk(n, 0.01 * n, n=1) for n in range(1, 13)]
    html = render(digest(quiet, [], series))
    text = words(html)
    assert "No ticket opened; none is open." in text
    assert text.index("web-12") < text.index("web-11") < text.index("Closest to their limits")
    assert "ticket opened</span>" not in html


def test_an_empty_night_has_a_page():
    series = fleet(s1="a")
    text = words(render(digest([], [], series)))
    assert "0 of 0 series scored" in text
    assert "Nothing is likely to reach a limit within 7 days" in text


def test_hostile_text_stays_text():
    evil = "<script>alert(1)</script>\"'&\u202e"
    series = fleet(s1=evil).with_columns(metric=pl.lit(evil), unit=pl.lit(evil), labels=pl.lit('{"a": "</td><b>"}'))
    rows = [risk(1, 0.9, n=1, limit_name=evil, model=evil, facts='["<img src=x>"]', signal=evil)]
    rejects = pl.DataFrame([("r", 1, evil, evil, 7, evil, evil)], schema=REJECTS, orient="row")
    html = render(digest(rows, [], series, rejects=rejects, seconds={evil: 1.0}))
    assert "<script" not in html
    assert "<img" not in html
    assert "</td><b>" not in html
    assert "\u202e" not in words(html).split("Where the time went")[0], "stages are our own words"


def test_the_order_of_rows_does_not_matter():
    series = fleet(s1="a", s2="a", s3="b", s4="c")
    rows = [
        risk(n, 0.5, n=1, limit_name=name, limit=limit) for n in (1, 2, 3, 4) for name, limit in (("w", 80), ("c", 90))
    ]
    first = digest(rows, [], series)
    second = digest(rows[::-1], [], series[::-1])
    assert render(first) == render(replace(second, hourly=first.hourly[::-1]))


def test_one_row_a_subject_with_the_limit_that_matters():
    series = fleet(s1="db-01")
    both = [risk(p=0.99, n=1, limit_name="warning", limit=85.0), risk(p=0.8, n=1)]
    ranked = choose(told(both, [], series)).ranked
    assert [(row.limit_name, row.p, row.also) for row in ranked] == [("critical", 0.8, ("warning 99\u00a0%",))]
    lower = [both[0], risk(p=0.3, n=1)]
    assert [row.limit_name for row in choose(told(lower, [], series)).ranked] == ["warning"]


def test_a_long_night_is_cut_to_what_can_be_read():
    series = fleet(**{f"s{n}": f"web-{n:03}" for n in range(1, 121)})
    rows = [risk(n, 0.9, n=1) if n <= 60 else risk(n, n=1, state="crossed") for n in range(1, 121)]
    html = render(digest(rows, [], series))
    assert html.count("<svg") == 40 + 25
    assert "and 20 more at risk" in words(html)
    assert "and 35 more, in" in words(html)


def test_known_bad_windows_are_named_with_what_they_hold_back():
    series = fleet(s1="db-02", s2="web-1")
    windows = [
        Window("alertmanager http://am", night(1) - timedelta(hours=3), night(1) + timedelta(hours=3), ("db-*",),
               why="<script>alert(1)</script> | `x`"),
        Window("settings", night(1) + timedelta(hours=3), night(1) + timedelta(hours=9), ("*",), why="not yet"),
    ]  # fmt: skip
    page = render(digest([risk(1, 0.92, n=1), risk(2, 0.1, n=1)], [risk(1, n=0)], series, windows=windows,
                         unread={"calendar x.ics": "x.ics: is no <calendar>"}))  # fmt: skip
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page and "not yet" not in page
    assert "No ticket while a window holds: db-02 · host.memory · critical: 92" in page
    assert "x.ics: is no &lt;calendar&gt;. What was known of it holds." in page
    assert "Known-bad windows" not in render(digest([risk(1, 0.1, n=1)], [], series))


def test_what_a_window_holds_did_not_go_silent():
    series = fleet(s1="db-02")
    window = Window("settings", night(1) - timedelta(days=3), night(1) + timedelta(hours=3), ("db-*",))
    tonight, before = [risk(1, None, n=1, reason="no recent data")], [risk(1, 0.1, n=0)]
    assert "Went silent" in render(digest(tonight, before, series))
    assert "Went silent" not in render(digest(tonight, before, series, windows=[window]))
