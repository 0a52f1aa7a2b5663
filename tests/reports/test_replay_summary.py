import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_examples import misses, nights, settlements, sweep, ticket, tickets

from reports.replay_summary import OUTCOMES, breakdown, frontier, settled, summarise
from reports.ticket_policy import TicketPolicy

CONTRACT = (
    "nights", "series", "tickets", "tickets_per_week", "precision", "recall", "false_per_100_series_weeks",
    "lead_hours_median", "lead_hours_p10", "missed", "missed_by_reason", "brier", "reliability",
)  # fmt: skip
BASELINES = ("predict_linear_6h", "predict_linear_24h", "predict_linear_7d")

some_tickets = st.lists(
    st.one_of(
        st.sampled_from(["averted", "false_alarm", "unknown", None]),
        st.floats(1, 400).map(lambda hours: ("came_true", hours)),
    ),
    max_size=30,
)
some_answers = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["true", "false", "unknown"])), max_size=40)
a_share = st.one_of(st.none(), st.integers(0, 8).map(lambda eighths: eighths / 8))
some_policies = st.lists(st.tuples(st.integers(0, 8).map(float), a_share, a_share), max_size=25)


def fortnight(found: pl.DataFrame, missed: pl.DataFrame | None = None, answers: pl.DataFrame | None = None, rules=()):
    nothing = tickets(), misses()
    return summarise(
        found, nights(14), misses() if missed is None else missed, settlements() if answers is None else answers,
        dict.fromkeys(rules, nothing), series=50, policy=TicketPolicy(),
    )  # fmt: skip


def of(drawn) -> pl.DataFrame:
    pairs = [one if isinstance(one, tuple) else (one, None) for one in drawn]
    return tickets(*(ticket(n, outcome, lead) for n, (outcome, lead) in enumerate(pairs)))


def test_a_fortnight_counted_by_hand():
    found = of([("came_true", 10), ("came_true", 20), ("came_true", 60), "averted", "false_alarm", "unknown", None])
    answers = settlements((0.1, "false"), (0.9, "true"), (0.95, "false"), (0.5, "unknown"))
    said = fortnight(found, misses("quiet days", "probability too low", "probability too low"), answers)
    assert said["from"] == "2026-04-01T22:00:00Z" and said["to"] == "2026-04-14T22:00:00Z"
    assert (said["nights"], said["series"], said["tickets"], said["tickets_per_week"]) == (14, 50, 7, 3.5)
    assert said["outcomes"] == {"came_true": 3, "averted": 1, "false_alarm": 1, "unknown": 1, "open": 1}
    assert settled(said) == 5
    assert said["precision"] == 4 / 5 and said["precision_strict"] == 3 / 5
    assert said["recall"] == 3 / 6
    assert said["false_per_100_series_weeks"] == pytest.approx(1 / (50 * 2) * 100)
    assert said["lead_hours_median"] == 20 and said["lead_hours_p10"] == pytest.approx(12)
    assert said["missed"] == 3
    assert list(said["missed_by_reason"].items()) == [("probability too low", 2), ("quiet days", 1)]
    assert said["brier"] == pytest.approx((0.1**2 + 0.1**2 + 0.95**2) / 3)
    assert said["brier_climatology"] == pytest.approx(2 / 9)
    assert said["questions"] == {"true": 1, "false": 2, "unknown": 1}
    assert [(one["n"], one["share"]) for one in said["reliability"]] == [(1, 0), (2, 0.5)]
    assert said["policy"]["open_at"] == TicketPolicy().open_at


def test_the_contracts_keys_are_there_for_forewarn_and_every_baseline():
    said = fortnight(of(["averted"]), rules=BASELINES)
    for figures in (said, *(said["baselines"][name] for name in BASELINES)):
        assert set(CONTRACT) <= set(figures)
        assert set(said["definitions"]) >= {"precision", "recall", "averted", "unknown", "baselines"}


def test_nothing_is_null_and_never_nan():
    empty = summarise(
        tickets(), nights(0), misses(), settlements(), dict.fromkeys(BASELINES, (tickets(), misses())),
        series=0, policy=TicketPolicy(),
    )  # fmt: skip
    json.dumps(empty, allow_nan=False)
    for figures in (empty, *empty["baselines"].values()):
        shares = {key: value for key, value in figures.items() if key in CONTRACT and value is None}
        assert set(shares) == {
            "tickets_per_week", "precision", "recall", "false_per_100_series_weeks", "lead_hours_median",
            "lead_hours_p10", "brier",
        }  # fmt: skip
        assert figures["reliability"] == []


def test_a_baseline_is_counted_like_forewarn_but_gives_no_probability():
    rule = of(["false_alarm"] * 9 + [("came_true", 5.0)])
    said = summarise(
        tickets(), nights(7), misses(), settlements((0.9, "true")), {"predict_linear_24h": (rule, misses("no line"))},
        series=10, policy=TicketPolicy(),
    )["baselines"]["predict_linear_24h"]  # fmt: skip
    assert (said["tickets"], said["precision"], said["recall"], said["missed"]) == (10, 0.1, 0.5, 1)
    assert said["brier"] is None and said["reliability"] == []


def test_answers_of_other_horizons_do_not_count():
    answers = pl.concat([settlements((0.9, "true")), settlements((0.9, "false"), horizon_h=24)])
    assert fortnight(tickets(), answers=answers)["brier"] == pytest.approx(0.01)


def test_certain_answers_belong_to_the_last_tenth():
    (bin_,) = fortnight(tickets(), answers=settlements((1.0, "true"), (0.93, "false")))["reliability"]
    assert (bin_["n"], bin_["share"], bin_["p"]) == (2, 0.5, pytest.approx(0.965))


def test_an_outcome_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"'maybe'.*must be one of came_true"):
        fortnight(of(["maybe"]))


def test_misses_without_a_reason_are_counted_too():
    assert fortnight(tickets(), misses(None, "quiet days"))["missed_by_reason"] == {
        "quiet days": 1,
        "reason not known": 1,
    }


@settings(max_examples=25, deadline=None)
@given(some_tickets, some_answers, st.integers(0, 12), st.randoms(use_true_random=False))
def test_shares_agree_with_their_counts_whatever_the_order(drawn, answered, missed, random):
    found, answers = of(drawn), settlements(*answered)
    said = fortnight(found, misses(*["too low"] * missed), answers)
    json.dumps(said, allow_nan=False)
    assert sum(said["outcomes"].values()) == said["tickets"] == len(drawn)
    assert sum(said["missed_by_reason"].values()) == said["missed"] == missed
    for name in ("precision", "recall"):
        if said[name] is not None:
            assert 0 <= said[f"{name}_interval"]["lo"] <= said[name] <= said[f"{name}_interval"]["hi"] <= 1
    if said["precision"] is not None:
        assert said["precision_strict"] <= said["precision"]
    if said["lead_hours_median"] is not None:
        assert said["lead_hours_p10"] <= said["lead_hours_median"]
    assert sum(one["n"] for one in said["reliability"]) == said["questions"]["true"] + said["questions"]["false"]
    assert all(one["lo"] <= one["share"] <= one["hi"] for one in said["reliability"])
    order = random.sample(range(len(drawn)), len(drawn)), random.sample(range(len(answered)), len(answered))
    assert fortnight(found[order[0]], misses(*["too low"] * missed), answers[order[1]]) == said


def test_parts_add_up_and_those_without_a_name_come_last_among_equals():
    found = tickets(
        ticket(1, "came_true", 5.0), ticket(2, "averted"), ticket(3, "false_alarm", service=None),
        ticket(4, None, service="search"),
    )  # fmt: skip
    rows = breakdown(found, "service")
    assert [row["value"] for row in rows] == ["checkout", "search", None]
    assert sum(row["tickets"] for row in rows) == 4
    assert all(tuple(row["outcomes"]) == OUTCOMES for row in rows)
    assert rows[0]["precision"] == 1 and rows[1]["precision"] is None and rows[2]["precision"] == 0


def test_the_frontier_leaves_out_what_another_policy_beats():
    found = frontier(sweep((1, 0.9, 0.3), (2, 0.8, 0.5), (3, 0.7, 0.4), (4, 0.6, 0.6), (9, None, 0.2), (5, 0.6, 0.6)))
    assert found["tickets_per_week"].to_list() == [1, 2, 4]


@settings(max_examples=25, deadline=None)
@given(some_policies)
def test_every_policy_off_the_frontier_is_matched_by_one_on_it(drawn):
    tried = sweep(*drawn)
    found = frontier(tried)
    worth = found.select("precision", "recall").rows()
    for precision, recall in tried.drop_nulls(["precision", "recall"]).select("precision", "recall").iter_rows():
        assert any(p >= precision and r >= recall for p, r in worth)
    assert not any(a != b and a[0] >= b[0] and a[1] >= b[1] for a in worth for b in worth)
    assert len(set(worth)) == len(worth)
    assert frontier(found).equals(found)
    assert frontier(tried.reverse()).equals(found)
