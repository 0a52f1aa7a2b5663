"""From evaluations to episodes, however the time is cut into nights and pieces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.incident_servers.episodes import Episode, Episodes, Run, Spell, spells

STEP, MINUTE, HOUR = 60_000, 60_000, 3_600_000
ALERT = (("alertname", "Disk"),)


def looked_at(told: Sequence[Spell], first: int, until: int) -> list[Spell]:
    """The spells as a span from `first` to before `until` shows them."""
    points = [
        (at, spell.began / 1000)
        for spell in told
        for at in range(spell.first, spell.last + 1, STEP)
        if first <= at < until
    ]
    instants, values = (
        (np.array(column) for column in zip(*points, strict=True)) if points else (np.empty(0), np.empty(0))
    )
    return list(spells(instants, values, STEP))


@dataclass(frozen=True)
class Timeline:
    """All that ever fired, of one alert."""

    told: Sequence[Spell]
    join: int

    def beginning(self, alert: object, began: int) -> int:
        while found := looked_at(self.told, (began - self.join) // STEP * STEP + STEP, began // STEP * STEP + STEP):
            before = min(spell.began for spell in found)
            if before == began:
                return began
            began = before
        return began

    def night(self, first: int, until: int, pieces: int = 1) -> tuple[dict[int, tuple], set[tuple]]:
        """Incidents by when they began: over, last known, end; and the events of them."""
        known = Episodes(first, STEP, self.join, self.beginning)
        incidents: dict[int, tuple] = {}
        events: set[tuple] = set()
        size = max(STEP, (until - first) // pieces // STEP * STEP)
        for at in range(first, until, size):
            end = min(at + size, until)
            known.add({ALERT: looked_at(self.told, at, end)})
            for episode in known.news(end - STEP):
                over = known.is_over(episode, end - STEP)
                incidents[episode.began] = over, known.end(episode.runs[-1]) if over else None
                events |= {(episode.began, run.first, "firing") for run in episode.runs if known.seen_to_begin(run)}
                ended = episode.runs if over else episode.runs[:-1]
                events |= {(episode.began, known.end(run), "resolved") for run in ended}
        return incidents, events


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Spells one after another; some go on with what they had said before a gap, as after an outage of the server."""
    at, began, told = 0, 0, []
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.integers(1, 30)) * STEP
        goes_on = bool(told) and draw(st.booleans())
        began = began if goes_on else at - draw(st.integers(0, 3)) * 20_000
        if told and not goes_on:
            began = max(began, told[-1].last + 1_000)
        last = at + draw(st.integers(0, 200)) * STEP
        told.append(Spell(began, at, last))
        at = last + STEP
    return Timeline(told, draw(st.sampled_from([0, 2, 5, 30])) * MINUTE)


@given(timelines(), st.integers(1, 40), st.integers(1, 5))
def test_nights_and_pieces_tell_what_one_look_does(timeline, cut, pieces):
    """The second night looks an hour back, as it always does; it knows what the first one told only by its name."""
    end = max(spell.last for spell in timeline.told) + HOUR
    end = end // STEP * STEP + STEP
    middle = end * cut // 40 // STEP * STEP + STEP
    whole, all_events = timeline.night(-HOUR, end)
    first, first_events = timeline.night(-HOUR, middle, pieces)
    second, second_events = timeline.night(middle - HOUR, end, pieces)
    assert first | second == whole
    assert first_events | second_events == all_events
    assert all(over for over, _ in whole.values())


def test_a_break_in_what_is_recorded_is_no_end_where_the_alert_says_so():
    timeline = Timeline([Spell(HOUR, HOUR, HOUR + 10 * MINUTE), Spell(HOUR, HOUR + 13 * MINUTE, 2 * HOUR)], 5 * MINUTE)
    incidents, events = timeline.night(0, 4 * HOUR)
    assert incidents == {HOUR: (True, 2 * HOUR + STEP)}
    assert events == {(HOUR, HOUR, "firing"), (HOUR, 2 * HOUR + STEP, "resolved")}


def test_a_long_one_is_a_reopening_of_the_same():
    timeline = Timeline([Spell(HOUR, HOUR, 2 * HOUR), Spell(HOUR, 3 * HOUR, 4 * HOUR)], 5 * MINUTE)
    incidents, events = timeline.night(0, 6 * HOUR)
    assert incidents == {HOUR: (True, 4 * HOUR + STEP)}
    assert {at for _, at, _ in events} == {HOUR, 2 * HOUR + STEP, 3 * HOUR, 4 * HOUR + STEP}


def test_what_fires_again_soon_is_joined_even_if_the_rule_waits_before_it_says_so():
    """A server that restarts forgets since when the condition holds, and waits anew (``for: 10m``)."""
    again = 2 * HOUR + 2 * MINUTE
    restarted = [Spell(HOUR, HOUR, 2 * HOUR), Spell(again, again + 10 * MINUTE, 3 * HOUR)]
    assert set(Timeline(restarted, 5 * MINUTE).night(0, 5 * HOUR)[0]) == {HOUR}
    assert set(Timeline(restarted, 0).night(0, 5 * HOUR)[0]) == {HOUR, again}


def test_two_servers_of_a_pair_tell_of_one_episode():
    known = Episodes(0, STEP, 5 * MINUTE, lambda alert, began: began)
    pair = [Spell(HOUR + 3_000, HOUR + STEP, 2 * HOUR), Spell(HOUR, HOUR, 2 * HOUR - STEP)]
    known.add({ALERT: pair})
    (episode,) = known.news(3 * HOUR)
    assert (episode.began, episode.runs) == (HOUR, [Run(HOUR, 2 * HOUR)])


def test_values_that_are_no_times_are_left_out():
    values = np.array([float("nan"), -1, 0, float("inf"), 1e300, 5])
    assert list(spells(np.arange(6) * STEP, values, STEP)) == [Spell(5_000, 5 * STEP, 5 * STEP)]
    assert list(spells(np.empty(0), np.empty(0), STEP)) == []


@pytest.mark.parametrize("join", [0, 5 * MINUTE])
def test_an_episode_that_was_seen_shortly_ago_may_go_on(join):
    known = Episodes(0, STEP, join, lambda alert, began: began)
    known.add({ALERT: [Spell(HOUR, HOUR, 2 * HOUR)]})
    (episode,) = known.news(2 * HOUR)
    assert isinstance(episode, Episode)
    assert not known.is_over(episode, 2 * HOUR)
    assert known.is_over(episode, 2 * HOUR + max(join, 2 * STEP))
