import errno
import json
from pathlib import Path

import pytest

from pipelines.trackers.base import TicketDocument, TrackerError
from pipelines.trackers.outbox import Outbox

ID = "0123456789-20260601"


def document(ticket_id=ID, text="# db-02\n", png: bytes | None = b"\x89PNG", **payload) -> TicketDocument:
    return TicketDocument(ticket_id, ticket_id[:10], "open", "db-02", text, png, {"ticket_id": ticket_id} | payload)


def index(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "tickets.jsonl").read_text().splitlines()]


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_ticket_is_three_files(tmp_path):
    outbox = Outbox(tmp_path / "new" / "tickets")
    assert outbox.find(ID) is None
    assert outbox.publish(document(entity="db-02")) == f"{ID}.md"
    assert outbox.find(ID) == f"{ID}.md"
    assert sorted(path.name for path in outbox.folder.iterdir()) == [f"{ID}.md", f"{ID}.png", "tickets.jsonl"]
    assert index(outbox.folder) == [{"ticket_id": ID, "entity": "db-02", "file": f"{ID}.md", "chart": f"{ID}.png"}]


def test_the_same_again_writes_nothing(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.publish(document())
    before = stamps(tmp_path)
    outbox.publish(document())
    assert stamps(tmp_path) == before


def test_the_index_holds_the_newest_state_of_every_ticket_in_stable_order(tmp_path):
    other = "ffffffffff-20260531"
    for folder, order in (("a", (other, ID)), ("b", (ID, other))):
        outbox = Outbox(tmp_path / folder)
        for ticket_id in order:
            outbox.publish(document(ticket_id, status="open"))
        outbox.publish(document(other, "# resolved\n", None, status="resolved"))
    assert (tmp_path / "a" / "tickets.jsonl").read_bytes() == (tmp_path / "b" / "tickets.jsonl").read_bytes()
    assert [(row["ticket_id"], row["status"]) for row in index(tmp_path / "a")] == [(ID, "open"), (other, "resolved")]
    assert (tmp_path / "a" / f"{other}.png").exists(), "the last picture stays with the ticket"


def test_hostile_values_stay_within_their_line(tmp_path):
    hostile = "a\u2028b\nc\x85\ud800<script>"
    outbox = Outbox(tmp_path)
    outbox.publish(document(entity=hostile))
    outbox.publish(document("ffffffffff-20260601"))
    lines = (tmp_path / "tickets.jsonl").read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[0])["entity"].startswith("a\u2028b\nc\x85")
    assert len(lines) == 3


@pytest.mark.parametrize("name", ["../../etc/passwd", "0123456789-20260601/../x", "", "0123456789-20260601\n"])
def test_only_ticket_ids_name_files(tmp_path, name):
    with pytest.raises(ValueError, match="no ticket id"):
        Outbox(tmp_path).publish(document(name))
    with pytest.raises(ValueError, match="no ticket id"):
        Outbox(tmp_path).find(name)


def test_a_crash_between_the_files_is_mended_by_publishing_again(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path)
    outbox.publish(document(text="old", png=b"old"))

    class Killed(BaseException):
        pass

    real = Path.replace

    def killed_at_the_text(self, target):
        if Path(target).suffix == ".md":
            raise Killed
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed_at_the_text)
        with pytest.raises(Killed):
            outbox.publish(document(text="new", png=b"new"))
    assert (tmp_path / f"{ID}.md").read_text() == "old"
    outbox.publish(document(text="new", png=b"new"))
    assert (tmp_path / f"{ID}.md").read_text() == "new"
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_said_and_leaves_the_old_state(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path)
    outbox.publish(document(text="old"))

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrackerError, match=r"No space left on device.*make room"):
        outbox.publish(document(text="new"))
    assert (tmp_path / f"{ID}.md").read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_a_broken_index_is_named(tmp_path):
    (tmp_path / "tickets.jsonl").write_text('{"ticket_id": "x"}\nnonsense\n')
    with pytest.raises(TrackerError, match=r"tickets\.jsonl: line 2 is not a ticket"):
        Outbox(tmp_path).publish(document())
