import json
import re
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt
from ticket_examples import FIRST, fleet, live, risk

from features.signals import ConstantLimit, Signal
from reports.services import Service
from reports.ticket_events import TicketEvent, histories
from reports.ticket_policy import TicketPolicy
from reports.ticket_text import RESOLUTIONS, TicketContext, markdown, marker, record, title
from reports.track_record import SIGNAL_AND_SHAPE, TrackRecord

BERLIN = ZoneInfo("Europe/Berlin")
SIGNAL = Signal(
    name="host.memory", metric="mem*", title="memory in use", unit="percent", advice="Look at `ps` first.",
    limits=[ConstantLimit(name="critical", value=90)],
)  # fmt: skip
DB = Service(name="db", entities=["db-*"], owner="team-data", tier=1, runbook="https://example.com/db")
WEB = Service(name="web", entities=["web-*"], depends_on=["db"])
CONTEXT = TicketContext(
    BERLIN, SIGNAL, {"mountpoint": "/var"}, "set in the settings", DB, [DB, WEB], path_model="ensemble"
)


def history(*nights: dict, entity: str = "db-02") -> list[TicketEvent]:
    events = live([[row] for row in nights], fleet(s1=entity), TicketPolicy())
    return next(iter(histories(events).values()))


def test_the_title_says_it_all_and_does_not_go_stale():
    assert title(history(risk())[-1], CONTEXT) == (
        "db-02 (mountpoint=/var): memory in use will reach 90 % about Wed 3 Jun (90 % likely)"
    )
    assert "about Mon 1 Jun, 05:00 (" in title(history(risk(eta_h=5))[-1], CONTEXT)
    event = replace(history(risk())[-1], direction="down", eta_p50=None)
    assert title(event, CONTEXT).endswith("memory in use will fall to 90 % (90 % likely)")


def test_labels_that_say_nothing_new_or_too_much_stay_out_of_the_title():
    event = history(risk())[-1]
    for labels in ({"job": "db-02"}, {"id": "x" * 80}, {}):
        assert title(event, replace(CONTEXT, labels=labels)).startswith("db-02: memory")


def test_a_ticket_says_what_when_how_sure_why_what_to_do_who_and_how_to_check():
    text = markdown(history(risk(), risk(n=1, p=0.74, eta_h=30)), CONTEXT, "x.png")
    for expected in (
        "**Act by Tue 2 Jun 2026, 17:00 CEST**",
        "memory in use of `db-02` reaches its limit `critical`, 90 %, and stays there for 3 hours.",
        "The median of its last day is 80 %, 10 percentage points away.",
        "most likely **Wed 3 Jun 2026, 06:00 CEST** (2026-06-03 04:00 UTC)",
        "in 8 of 10 cases between Wed 3 Jun 2026, 00:00 CEST and Wed 3 Jun 2026, 21:00 CEST",
        "likely, **74 %** within 7 days. The probability is by the learnt crossing model, weighed with the forecast on "
        "the chart, which is by the ensemble. The series' shape: trend.",
        "team-data, for the service `db` (tier 1).",
        "![measured, forecast and limit](<x.png>)",
        "- rises by 4 % a day",
        "- The limit: set in the settings.",
        "Look at `ps` first.",
        "Runbook: <https://example.com/db>",
        "Services that depend on it: `web`.",
        "| Mon 1 Jun 2026, 00:00 CEST | opened | 90 % | Wed 3 Jun 2026, 00:00 CEST | probability at or above 70 % |",
        "| Tue 2 Jun 2026, 00:00 CEST | updated | 74 % |",
        '- labels: `{"mountpoint": "/var"}`',
        "never counts in MTTR",
    ):
        assert expected in text
    event = history(risk())[-1]
    assert text.count(marker(event.ticket_id)) == 1
    assert "\u00a0" not in text


def test_act_by_minds_weekends_holidays_and_the_teams_own_zone():
    monday = history(risk(eta_h=50))  # p10 after 40 h: Tuesday 16:00 in Berlin
    assert "Act by Tue 2 Jun 2026, 16:00 CEST" in markdown(monday, CONTEXT, None)
    off = replace(CONTEXT, holidays=[date(2026, 6, 2)])
    assert "Act by Mon 1 Jun 2026, 17:00 CEST" in markdown(monday, off, None)
    away = replace(CONTEXT, service=DB.model_copy(update={"time_zone": "America/New_York"}))
    assert "Act by Tue 2 Jun 2026, 10:00 EDT" in markdown(monday, away, None)
    tonight = markdown(history(risk(eta_h=5)), CONTEXT, None)
    assert "**Act at once:** no working hours are left" in tonight


@pytest.mark.parametrize(
    ("last", "reason"),
    [({"state": "crossed"}, "crossing came"), ({"p": 0.1}, "risk gone")],
)
def test_a_resolved_ticket_says_so_on_top(last, reason):
    text = markdown(history(risk(), risk(n=1, **last)), CONTEXT, None)
    assert text.startswith(f"# Resolved, {reason}: db-02")
    assert f"> **Resolved as of Tue 2 Jun 2026, 00:00 CEST: {reason}.** {RESOLUTIONS[reason]}" in text
    assert "Act by" not in text
    assert "What to do" not in text


def test_a_model_that_answers_by_its_own_forecast_is_named_once():
    text = markdown(history(risk(model="ensemble")), CONTEXT, "x.png")
    assert "The probability is by the ensemble. The series' shape" in text
    text = markdown(history(risk()), replace(CONTEXT, path_model=None), "x.png")
    assert "The probability is by the learnt crossing model. The series' shape" in text


def test_the_record_of_its_class_stands_on_an_open_ticket_and_where_little_is_known_nothing_does():
    kept = TrackRecord(SIGNAL_AND_SHAPE, 40, 34, 2, 4, 51.2)
    told, known = history(risk()), replace(CONTEXT, kept=kept)
    assert (
        "- **Track record:** of the last 40 tickets like this (same signal and shape), 34 came true, 2 were averted and"
        " 4 were false alarms; median lead 51 h.\n"
    ) in markdown(told, known, None)
    assert record(told, known)["track_record"] == {
        "alike": "signal and shape", "tickets": 40, "came_true": 34, "averted": 2, "false_alarm": 4,
        "lead_hours_median": 51.2,
    }  # fmt: skip
    assert "Track record" not in markdown(told, CONTEXT, None)
    assert record(told, CONTEXT)["track_record"] is None
    resolved = [*told, replace(told[-1], event="resolved", reason="risk gone")]
    assert "Track record" not in markdown(resolved, known, None)


def test_hostile_names_and_facts_make_no_markup():
    evil = "<img src=x onerror=alert(1)>|`[a](b)\n# h @all"
    events = history(risk(limit_name=evil, facts=json.dumps([evil]), model=evil), entity=evil)
    events = [replace(events[0], metric=evil, source=evil, unit=evil, shape=evil, service=evil, reason=evil)]
    context = TicketContext(BERLIN, None, {evil: evil}, evil, path_model=evil)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(events, context, None))
    assert "<img" not in html
    assert "<a" not in html
    assert html.count("<h1>") == 1
    assert html.count("<td") == 5, "the history's one row"
    assert "@all" not in re.sub(r"<code>.*?</code>", "", html)


def test_a_ticket_without_signal_service_or_times_is_still_a_ticket():
    bare = replace(history(risk())[0], eta_p10=None, eta_p50=None, eta_p90=None, level=None, model=None, shape=None)
    text = markdown([replace(bare, facts="[]", service=None)], TicketContext(BERLIN), None)
    assert "within 7 days if at all; no time can be named." in text
    assert "no service in the settings; nobody is named as its owner." in text
    assert "None" not in text


def test_the_record_is_json_with_times_in_utc():
    told = record(history(risk(), risk(n=1, p=0.74, eta_h=30)), CONTEXT)
    assert json.loads(json.dumps(told)) == told
    assert (told["status"], told["event"], told["event_no"]) == ("open", "updated", 2)
    assert (told["opened_as_of"], told["as_of"]) == ("2026-05-31T22:00:00Z", "2026-06-01T22:00:00Z")
    assert told["act_by"] == "2026-06-02T15:00:00Z"
    assert told["eta_p50"] == f"{(FIRST + timedelta(hours=54)).isoformat()}Z"
    assert (told["owner"], told["tier"], told["labels"]) == ("team-data", 1, {"mountpoint": "/var"})
