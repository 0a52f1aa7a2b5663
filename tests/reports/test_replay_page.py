import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from replay_examples import FIRST, misses, nights, season, settlements, sweep, ticket, tickets

from reports.replay_charts import baseline_in_words
from reports.replay_page import page, verdict
from reports.replay_summary import summarise
from reports.sparkline import Spark, sparkline
from reports.ticket_policy import TicketPolicy

ZONE = ZoneInfo("Europe/Berlin")
HOSTILE = "<script>alert(1)</script> {{ 7*7 }} $x_1$"
TRIED = sweep((0.5, 0.9, 0.2), (1.6, 0.8, 0.5), (1.5, 0.6, 0.4), (9, 0.4, 0.8), (0, None, None), chosen=1)
PNG = b"\x89PNG\r\n\x1a\n"


def told(found, count=60, missed=None, answers=None, baselines=None):
    none = tickets(), misses()
    return summarise(
        found, nights(count), misses() if missed is None else missed, settlements() if answers is None else answers,
        {"predict_linear_6h": none, "predict_linear_24h": none} if baselines is None else baselines,
        series=250, policy=TicketPolicy(),
    )  # fmt: skip


def render(found, *, count=60, missed=None, answers=None, baselines=None, charts=None, tried=None) -> str:
    missed = misses() if missed is None else missed
    summary = told(found, count, missed, answers, baselines)
    return page(summary, found, nights(count), missed, charts or {}, zone=ZONE, sweep=tried)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def outcomes(true: int = 0, averted: int = 0, false: int = 0, lead: float = 51.0, still_open: int = 0) -> pl.DataFrame:
    kinds = [("came_true", lead)] * true + [("averted", None)] * averted
    kinds += [("false_alarm", None)] * false + [(None, None)] * still_open
    return tickets(*(ticket(n, outcome, hours, night=n % 50) for n, (outcome, hours) in enumerate(kinds)))


@pytest.fixture(scope="module")
def full() -> str:
    found = season(1, 40, 0.7)
    spark = sparkline(Spark(np.linspace(0, 1, 300), limit=1.0))
    charts = {name: PNG if n % 2 else spark for n, name in enumerate(found["ticket_id"])}
    rival = season(2, 200, 0.1), misses("no line")
    answers = settlements(*[(0.05, "false")] * 90, (0.05, "true"), *[(0.8, "true")] * 9, (0.85, "false"))
    return render(
        found, missed=misses("quiet days", "probability too low"), answers=answers,
        baselines={"predict_linear_24h": rival}, charts=charts, tried=TRIED,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- verdict


def test_the_verdict_says_what_the_tickets_and_the_best_simple_rule_would_have_been_worth():
    rivals = {
        "predict_linear_6h": (outcomes(true=5, false=395), misses("no line")),
        "predict_linear_24h": (outcomes(true=24, false=216), misses("no line")),
    }
    summary = told(outcomes(true=11, averted=1, false=2, still_open=1), missed=misses("a", "b"), baselines=rivals)
    assert plain(verdict(summary, ZONE)) == (
        "On the 60 nights from 2 Apr to 31 May 2026 Forewarn would have opened 15 tickets, 1.8 a week: 11 came true"
        " (a median of 51 h ahead), 1 was averted and 2 were false alarms; predict_linear over 24 h, the best of 2 such"
        " rules, would have opened 240 tickets, 28 a week, and 9 in 10 of those settled would have been false alarms."
        " Of 13 crossings 2 came without a ticket from Forewarn."
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (outcomes(true=9), "too few to say how good they are, since 9 settled and a verdict takes 10"),
        (outcomes(still_open=2), "too few to say how good they are, since none has settled"),
        (outcomes(), "would have opened no ticket; predict_linear would have opened none either"),
        (outcomes(true=10), "10 came true (a median of 51 h ahead) and none was a false alarm"),
        (outcomes(false=10), "none came true and 10 were false alarms"),
        (outcomes(true=9, false=1), "9 came true (a median of 51 h ahead) and 1 was a false alarm"),
    ],
)
def test_few_and_none_are_no_boast(found: pl.DataFrame, said: str):
    assert said in plain(verdict(told(found), ZONE))


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        (outcomes(false=12), "and all of those settled would have been false alarms"),
        (outcomes(true=12), "and none of those settled would have been false alarms"),
        (outcomes(true=1, false=199), "and more than 9 in 10 of those settled"),
        (outcomes(true=4, false=2), "would have opened 6 tickets, 0.7 a week, too few to compare"),
    ],
)
def test_shares_of_a_rival_in_words(rival: pl.DataFrame, said: str):
    summary = told(outcomes(true=12), baselines={"predict_linear_7d": (rival, misses())})
    assert f"predict_linear over 7 d would have opened {len(rival)} tickets" in plain(verdict(summary, ZONE))
    assert said in plain(verdict(summary, ZONE))


def test_the_verdict_of_one_night_and_of_none_and_over_new_year():
    assert verdict(told(tickets(), 0), ZONE) == "No night was replayed, so there is nothing to say."
    assert verdict(told(outcomes(still_open=1), 1), ZONE).startswith(
        "On the night of 2 Apr 2026 Forewarn would have opened 1 ticket: too few"
    )
    assert "from 2 Apr 2026 to 25 Jan 2027" in plain(verdict(told(tickets(), 300), ZONE))


@pytest.mark.parametrize(
    ("name", "words"),
    [("predict_linear_24h", "predict_linear over 24 h"), ("predict_linear_7d", "predict_linear over 7 d"), ("x", "x")],
)
def test_baselines_have_names(name: str, words: str):
    assert baseline_in_words(name) == words


# ---------------------------------------------------------------------------------------------------------------- page


def test_the_page_loads_nothing_and_begins_with_the_verdict(full: str):
    assert "<script" not in full
    assert not re.search(r"url\((?!#)", full)
    addresses = re.findall(r"(?:src|href)=\"([^\"]*)\"", full)
    assert addresses and all(address.startswith(("#", "data:")) for address in addresses)
    assert full.index("Forewarn would have opened 40 tickets") < full.index("<svg")


def test_every_ticket_is_there_with_its_chart_and_its_outcome(full: str):
    found = season(1, 40, 0.7)
    for name in found["ticket_id"]:
        assert name in full
    assert full.count('class="spark"') == full.count('src="data:image/png') == 20
    groups = dict(re.findall(r'<summary><span class="badge \w+">([^<]+)</span> (\d+)</summary>', full))
    known = found["outcome"].fill_null("not over yet").str.replace_all("_", " ").value_counts().rows()
    assert {name: int(n) for name, n in groups.items()} == dict(known)
    assert full.index(">false alarm</span>") < full.index(">came true</span>")


def test_the_drawings_are_the_pages_own_and_share_no_ids(full: str):
    drawings = re.findall(r"<svg xmlns.*?</svg>", full, flags=re.DOTALL)
    assert len(drawings) == 8  # policies, timeline, lead, reliability, at two widths each
    ids = [set(re.findall(r'<clipPath id="([^"]+)"', drawing)) for drawing in drawings]
    assert len(set().union(*ids)) == sum(len(each) for each in ids)
    assert "Forewarn, the chosen policy" in drawings[0] and "predict_linear over 24 h" in drawings[0]


def test_policies_worth_choosing_are_listed_and_the_chosen_one_is_marked(full: str):
    table = full[full.index("The policies on the line") :]
    table = table[: table.index("</table>")]
    assert table.count("<tr><td") == 3
    assert table.count(">chosen<") == 1
    assert "hindsight" in full


def test_the_order_of_rows_changes_nothing():
    found, missed, rival = season(3, 30, 0.6), misses("a", "b", "a"), season(4, 50, 0.2)
    ways = [
        render(rows(found), missed=rows(missed), baselines={"x": (rows(rival), misses())}, tried=rows(TRIED))
        for rows in (lambda frame: frame, pl.DataFrame.reverse)
    ]
    assert ways[0] == ways[1]


def test_hostile_text_is_shown_as_it_is():
    row = ticket(
        7, "false_alarm", entity=HOSTILE, metric=HOSTILE, service=HOSTILE, signal=HOSTILE, limit_name=HOSTILE,
        unit="<i>", shape=HOSTILE, model=HOSTILE, why=HOSTILE, close_reason=HOSTILE, ticket_id="<u>7",
        closed_at=FIRST + timedelta(days=2), useful=2, useless=1, note=f"=1+1\n{HOSTILE}",
    )  # fmt: skip
    found = pl.concat([tickets(row), outcomes(true=1)])
    charts = {"<u>7": PNG, found["ticket_id"][1]: "<b>not markup</b>"}
    baselines = {"<s>rule</s>": (outcomes(false=2), misses())}
    html = render(found, missed=misses(HOSTILE, entity=HOSTILE), charts=charts, baselines=baselines)
    for mark in ("<script", "<i>7", "<u>", "<s>", "<b>not"):
        assert mark not in html
    assert html.count("&lt;script&gt;") >= 10
    assert "{{ 7*7 }}" in html and "Readers then: Useful? 2 yes, 1 no: “=1+1 &lt;script&gt;" in html


def test_a_page_of_nothing_says_so():
    html = render(tickets(), count=0, baselines={})
    assert "No night was replayed" in html
    assert "There was none." in html and "<svg" not in html


def test_few_tickets_have_counts_but_no_shares():
    html = render(outcomes(true=5, false=2))
    assert "precision: too few to say" in html
    assert "71\u00a0%" not in html  # 5 of 7


def test_a_strict_policy_without_a_ticket_still_shows_what_others_would_have_been():
    html = render(tickets(), baselines={}, tried=TRIED)
    assert "Precision against tickets a week" in html and "policies tried" in html


def test_many_misses_are_cut_and_counted():
    html = render(tickets(), missed=misses(*["too low"] * 230))
    assert "and 30 more" in html
