from datetime import datetime

import pytest

from pipelines.trackers.base import TicketDocument, TrackerError
from pipelines.trackers.publish import PendingEvent, publish

NIGHT = datetime(2026, 5, 31, 22)
ID = "0123456789-20260601"


class Remote:
    """A tracker that gives keys of its own, may fail, and may be killed after the call has landed."""

    name = "remote"

    def __init__(self):
        self.tickets: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.killed = False

    def find(self, ticket_id: str) -> str | None:
        self.calls.append("find")
        return self.tickets.get(ticket_id)

    def publish(self, document: TicketDocument, key: str | None = None) -> str:
        if document.ticket_id in self.fail:
            raise TrackerError("503: try later")
        self.calls.append("create" if key is None else "update")
        key = key or f"OPS-{len(self.texts) + 1}"
        self.tickets[document.ticket_id], self.texts[key] = key, document.markdown
        if self.killed:
            raise KeyboardInterrupt
        return key


class Memory:
    """A ledger that forgets nothing for as long as it lives."""

    def __init__(self):
        self.rows: dict[tuple, tuple[str, str | None, str | None]] = {}

    def record(self, tracker, event, state, *, key=None, error=None):
        self.rows[tracker, event.document.ticket_id, event.as_of, event.event_no] = (state, key, error)

    def is_done(self, tracker, event):
        row = self.rows.get((tracker, event.document.ticket_id, event.as_of, event.event_no))
        return row is not None and row[0] == "done"

    def key_of(self, tracker, ticket_id):
        rows = (row for at, row in self.rows.items() if at[:2] == (tracker, ticket_id))
        return next((key for state, key, _ in rows if state == "done"), None)

    def was_tried(self, tracker, ticket_id):
        return any(at[:2] == (tracker, ticket_id) and row[0] != "done" for at, row in self.rows.items())


def event(ticket_id=ID, no=1, text="opened") -> PendingEvent:
    return PendingEvent(NIGHT, no, TicketDocument(ticket_id, ticket_id[:10], "open", "t", text, None, {}))


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def ledger() -> Memory:
    return Memory()


def test_created_once_then_updated_by_its_key(remote, ledger):
    assert publish([event()], remote, ledger).done == (ID,)
    assert publish([event()], remote, ledger).skipped == (ID,)
    publish([event(no=2, text="updated")], remote, ledger)
    assert remote.calls == ["create", "update"]
    assert remote.texts == {"OPS-1": "updated"}


def test_the_intent_is_written_before_the_call(remote, ledger):
    class Watching(Remote):
        def publish(self, document, key=None):
            assert [row[0] for row in ledger.rows.values()] == ["intended"]
            return super().publish(document, key)

    publish([event()], Watching(), ledger)
    assert [row[:2] for row in ledger.rows.values()] == [("done", "OPS-1")]


def test_killed_after_the_call_landed_it_is_found_and_not_created_again(remote, ledger):
    remote.killed = True
    with pytest.raises(KeyboardInterrupt):
        publish([event()], remote, ledger)
    remote.killed = False
    assert publish([event()], remote, ledger).done == (ID,)
    assert remote.calls == ["create", "find", "update"]
    assert len(remote.texts) == 1


def test_killed_before_the_call_it_is_created(remote, ledger):
    ledger.record("remote", event(), "intended")
    publish([event()], remote, ledger)
    assert remote.calls == ["find", "create"]


def test_one_failure_is_recorded_and_the_others_go_on(remote, ledger):
    other = "ffffffffff-20260601"
    remote.fail = {ID}
    outcome = publish([event(other), event()], remote, ledger)
    assert outcome.done == (other,)
    assert outcome.failed == ((ID, "503: try later"),)
    assert ledger.rows["remote", ID, NIGHT, 1] == ("failed", None, "503: try later")
    remote.fail = set()
    assert publish([event(), event(other)], remote, ledger).done == (ID,)
    assert len(remote.texts) == 2


def test_a_fault_of_the_program_is_not_taken_for_the_trackers(remote, ledger, monkeypatch):
    def broken(document, key=None):
        raise ZeroDivisionError

    monkeypatch.setattr(remote, "publish", broken)
    with pytest.raises(ZeroDivisionError):
        publish([event()], remote, ledger)
