"""A service is published by its record: the ledger before the replay, the replay before nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.pilot import CANNOT_SAY, FAILS, MEETS, PublishWhen, Record, Terms, decide, verdict

BAR = PublishWhen(precision=0.8, tickets_per_week=5, settled=10)
GOOD, BAD = Record(90, 20, 12, 11), Record(90, 20, 12, 6)
FEW = Record(90, 3, 3, 3)
counts = st.integers(0, 200)
records = st.builds(
    lambda nights, tickets, settled, share: Record(nights, tickets, settled, round(share * settled)),
    st.integers(1, 200), counts, counts, st.floats(0, 1),
)  # fmt: skip


def only(mode: str, ledger: Record | None, replay: Record | None, before: bool | None = None) -> dict:
    told, played = ({} if record is None else {"shop": record} for record in (ledger, replay))
    earlier = {} if before is None else {"shop": before}
    (row,) = decide({"shop": Terms(mode, BAR)}, told, played, earlier).iter_rows(named=True)  # pyright: ignore[reportArgumentType]
    return row


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (GOOD, MEETS),
        (BAD, FAILS),
        (FEW, CANNOT_SAY),
        (Record(90, 4, 4, 0), FAILS),  # 0 of 4 is compatible with 49 % at most
        (Record(90, 4, 4, 2), CANNOT_SAY),
        (Record(30, 30, 12, 12), FAILS),  # 7 a week
        (Record(10, 30, 12, 12), CANNOT_SAY),  # ten nights may have been bad ones
        (Record(90, 20, 10, 8), MEETS),
        (Record(90, 20, 10, 7), FAILS),
    ],
)
def test_a_record_is_held_against_the_bar(record: Record, found: str):
    assert verdict(record, BAR) == found


@pytest.mark.parametrize(
    ("ledger", "replay", "published", "record"),
    [
        (None, None, False, None),
        (None, GOOD, True, "replay"),
        (None, BAD, False, "replay"),
        (FEW, GOOD, True, "replay"),
        (FEW, None, False, "ledger"),
        (GOOD, BAD, True, "ledger"),
        (BAD, GOOD, False, "ledger"),  # what really happened outweighs what would have
        (Record(20, 4, 4, 0), GOOD, False, "ledger"),
    ],
)
def test_in_pilot_the_record_decides(ledger: Record | None, replay: Record | None, published: bool, record: str | None):
    row = only("pilot", ledger, replay)
    assert (row["published"], row["record"]) == (published, record)


def test_a_pilot_is_switched_off_and_says_why():
    row = only("pilot", BAD, GOOD, before=True)
    assert row["changed"] and not row["published"]
    assert "6 of 12 settled tickets were right" in row["reason"] and "the bar is 80 % right" in row["reason"].replace(
        "\u00a0", " "
    )
    assert not only("pilot", BAD, GOOD, before=False)["changed"]
    assert not only("pilot", BAD, GOOD)["changed"]


@given(ledger=st.none() | records, replay=st.none() | records)
def test_only_a_pilot_heeds_its_record(ledger: Record | None, replay: Record | None):
    assert not only("shadow", ledger, replay)["published"]
    assert only("live", ledger, replay)["published"]


@given(record=records, more=st.integers(1, 50))
def test_a_better_record_is_never_judged_worse(record: Record, more: int):
    order = (FAILS, CANNOT_SAY, MEETS)
    better = Record(record.nights, record.tickets, record.settled + more, record.kept + more)
    if verdict(record, BAR) != CANNOT_SAY:
        assert order.index(verdict(better, BAR)) >= order.index(verdict(record, BAR))


def test_services_are_told_by_name_and_those_of_nobody_last():
    told = decide(dict.fromkeys(("b", None, "a"), Terms("live", BAR)), {}, {}, {})
    assert told["service"].to_list() == ["a", "b", None]
