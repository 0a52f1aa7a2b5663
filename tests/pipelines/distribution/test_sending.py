"""To each destination once a night, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from loopback import Answer, Asked, loopback
from mail_server import mail_server
from written_reports import NIGHT, write_parcel

from pipelines.distribution import sending, webhook
from pipelines.distribution.findings import findings
from pipelines.distribution.record import Entry, WarehouseRecord, newest
from pipelines.settings import Settings, parse
from pipelines.warehouse import Warehouse

DAY = timedelta(days=1)


@pytest.fixture
def record(warehouse: Warehouse) -> WarehouseRecord:
    return WarehouseRecord(warehouse)


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Settings]:
    """Settings whose nights of June have been reported on."""

    def made(distribution: str, today: date = NIGHT) -> Settings:
        text = f"calendar: {{first_night: 2026-01-01, as_of: {today}}}\ndistribution: [{distribution}]"
        settings = parse(text, tmp_path)
        for n in range(14):
            write_parcel(settings.report_folder(NIGHT + n * DAY), NIGHT + n * DAY)
        return settings

    return made


def hook(url: str, name: str = "chat", more: str = "") -> str:
    return f"{{name: {name}, type: webhook, url: '{url}/s3cret-hook', access: {{attempts: 1}}{more}}}"


def became(sent: list[sending.Sent]) -> list[str]:
    return [each.became for each in sent]


def nights(asked: list[Asked]) -> list[str]:
    return [each.headers["Idempotency-Key"].split(".")[1] for each in asked]


def test_a_night_that_is_run_twice_sends_once(site, record) -> None:
    with loopback(lambda _: Answer()) as server, mail_server() as mails:
        mail = f"{{name: m, type: email, host: 127.0.0.1, port: {mails.port}, encryption: none, sender: f@example.com,"
        settings = site(f"{hook(server.url)}, {mail} recipients: [a@example.com, b@example.com]}}")
        assert became(sending.send_due(settings, NIGHT, record)) == ["sent", "sent"]
        [again, _] = sending.send_due(settings, NIGHT, record)
        assert (again.became, again.told) == ("rested", "has the report of 2026-06-01; next: 2026-06-08")
        assert len(server.asked) == len(mails.mails) == 1
        assert mails.mails[0].recipients == ["a@example.com", "b@example.com"]


def test_a_night_that_is_not_due_sends_nothing(site, record) -> None:
    with loopback(lambda _: Answer()) as server:
        settings = site(hook(server.url), today=NIGHT + DAY)
        [told] = sending.send_due(settings, NIGHT + DAY, record)
    assert told.told == "nothing due; next: 2026-06-08" and not server.asked


def test_one_that_fails_does_not_keep_the_others_and_is_tried_again(site, record, warehouse) -> None:
    answers = [Answer(b"no_service", 404), Answer()]
    with loopback(lambda _: answers.pop(0)) as server, loopback(lambda _: Answer()) as other:
        destinations = f"{hook(server.url)}, {hook(other.url, 'wiki')}"
        assert became(sending.send_due(site(destinations), NIGHT, record)) == ["failed", "sent"]
        with warehouse.reader() as con:
            [chat, wiki] = newest(con, ["chat", "wiki"])
        assert chat.is_missing(NIGHT) and wiki.has_arrived(NIGHT)
        assert "no_service" in chat.why and "s3cret-hook" not in chat.why
        tuesday = NIGHT + DAY
        assert became(sending.send_due(site(destinations, tuesday), tuesday, record)) == ["sent", "rested"]
    assert nights(server.asked) == ["2026-06-01", "2026-06-01"] and len(other.asked) == 1
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 1
    with warehouse.reader() as con:
        assert not newest(con, ["chat"])[0].is_missing(tuesday)


def test_a_newer_report_takes_the_place_of_those_that_failed(site, record) -> None:
    answers = [Answer(status=404)] * 3 + [Answer()]
    with loopback(lambda _: answers.pop(0)) as server:
        for n in range(5):
            tonight = NIGHT + n * DAY
            sending.send_due(site(hook(server.url, more=", nights: [every]"), tonight), tonight, record)
            if not answers:
                break
    assert nights(server.asked) == ["2026-06-01", "2026-06-02", "2026-06-03", "2026-06-04"]


def test_a_crash_between_intent_and_end_sends_again_under_the_same_id(site, record, monkeypatch) -> None:
    real = webhook.send

    def killed(*given) -> None:
        real(*given)
        raise KeyboardInterrupt

    with loopback(lambda _: Answer()) as server:
        settings = site(hook(server.url))
        monkeypatch.setattr(webhook, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            sending.send_due(settings, NIGHT, record)
        assert record.entries("chat")[NIGHT].state == "intended"
        assert "may have arrived" in record.entries("chat")[NIGHT].why
        monkeypatch.setattr(webhook, "send", real)
        assert became(sending.send_due(settings, NIGHT, record)) == ["sent"]
    first, second = (asked.headers["Idempotency-Key"] for asked in server.asked)
    assert first == second and server.asked[0].body == server.asked[1].body


def test_the_intent_is_on_disk_before_a_server_is_called(site, record, warehouse) -> None:
    seen = []

    def answer(asked: Asked) -> Answer:
        with warehouse.reader() as con:
            seen.extend(newest(con, ["chat"]))
        return Answer()

    with loopback(answer) as server:
        sending.send_due(site(hook(server.url)), NIGHT, record)
    assert [entry.state for entry in seen] == ["intended"]


def test_whoever_has_it_does_not_get_it_twice_for_the_sake_of_one_who_has_not(site, record) -> None:
    with mail_server() as server:
        settings = site(
            f"{{name: m, type: email, host: 127.0.0.1, port: {server.port}, encryption: none, sender: f@example.com,"
            " recipients: [a@example.com, B <b@example.com>]}"
        )
        server.refused["b@example.com"] = "450 come back later"
        [told] = sending.send_due(settings, NIGHT, record)
        assert told.became == "failed" and "b@example.com (450 come back later)" in told.told
        server.refused.clear()
        [told] = sending.send_due(settings, NIGHT, record)
        assert told.told == "sent the report of 2026-06-01 to 1 recipient"
    assert [mail.recipients for mail in server.mails] == [["a@example.com"], ["b@example.com"]]
    assert len({mail.message["Message-ID"] for mail in server.mails}) == 1
    assert record.entries("m")[NIGHT].taken == ()


def test_what_is_asked_for_is_sent_whether_due_or_not_and_again_when_asked(site, record, tmp_path) -> None:
    wednesday = NIGHT + 2 * DAY
    folder = write_parcel(tmp_path / "out", wednesday)
    with loopback(lambda _: Answer()) as server, loopback(lambda _: Answer()) as other:
        settings = site(f"{hook(server.url)}, {hook(other.url, 'wiki')}")
        assert became(sending.send_now(settings, wednesday, folder, record, to=["chat"])) == ["sent"]
        assert became(sending.send_now(settings, wednesday, folder, record)) == ["rested", "sent"]
        assert became(sending.send_now(settings, wednesday, folder, record, again=True)) == ["sent", "sent"]
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert keys[1] == f"{keys[0]}.2" and len(other.asked) == 2
    assert record.entries("chat")[wednesday].number == 2


def test_a_night_does_not_send_what_was_sent_by_hand(site, record, tmp_path) -> None:
    with loopback(lambda _: Answer()) as server:
        settings = site(hook(server.url))
        sending.send_now(settings, NIGHT, write_parcel(tmp_path / "out"), record)
        assert became(sending.send_due(settings, NIGHT, record)) == ["rested"]
    assert len(server.asked) == 1


def test_who_fills_an_archive_sends_nothing(site, record) -> None:
    with loopback(lambda _: Answer()) as server:
        settings = site(hook(server.url), today=NIGHT + 7 * DAY)
        assert became(sending.send_due(settings, NIGHT, record)) == ["rested"]
        assert became(sending.send_due(settings, NIGHT + 7 * DAY, record)) == ["sent"]
    assert nights(server.asked) == ["2026-06-08"]


def test_a_report_that_is_gone_is_a_fault_of_one_line(site, record) -> None:
    with loopback(lambda _: Answer()) as server:
        settings = site(hook(server.url))
        (settings.report_folder(NIGHT) / "mttr.letter.json").unlink()
        [told] = sending.send_due(settings, NIGHT, record)
        assert told.became == "failed" and "mttr.letter.json: cannot be read (No such file" in told.told
    assert not server.asked


def test_the_same_night_of_two_sites_has_two_ids(tmp_path) -> None:
    entry = Entry("chat", NIGHT, "intended")
    ids = {sending.letter_id_of(parse("", tmp_path / name), entry) for name in ("a", "b")}
    assert len(ids) == 2 and all(str(tmp_path) not in each for each in ids)


def test_a_link_names_its_night(site, record) -> None:
    with loopback(lambda _: Answer()) as server:
        link = ", format: mattermost, link: 'https://reports.example.com/{night}/mttr.html'"
        sending.send_due(site(hook(server.url, more=link)), NIGHT, record)
    assert b"(https://reports.example.com/2026-06-01/mttr.html)" in server.asked[0].body


def test_no_secret_is_in_the_warehouse(site, record, warehouse) -> None:
    with loopback(lambda asked: Answer(asked.path.encode(), 404)) as server:
        sending.send_due(site(hook(server.url)), NIGHT, record)
        assert server.asked
    assert b"s3cret-hook" not in warehouse.path.read_bytes()


def test_check_sends_nothing_and_says_when_the_next_is_due(site) -> None:
    with loopback(lambda _: Answer()) as server, mail_server() as mails:
        mail = f"{{name: m, type: email, host: 127.0.0.1, port: {mails.port}, encryption: none, sender: f@example.com,"
        settings = site(
            f"{hook(server.url)}, {mail} recipients: [a@example.com], nights: [first]}},"
            f" {hook('http://chat.example.com', 'open')}"
        )
        found = list(findings(settings))
    assert not server.asked and not mails.mails
    assert [level for level, _ in found] == ["note", "ok", "ok", "ok", "note"]
    assert "chat: its address is well formed, not tried; next on Mon 2026-06-01" in found[1][1]
    assert found[2][1].endswith("not encrypted, without a login; 1 recipient, next on Mon 2026-06-01")
    assert "open: its address is http" in found[4][1] and not any("s3cret" in text for _, text in found)
    [(level, text)] = [each for each in findings(settings) if each[0] == "fault"]
    assert level == "fault" and text.startswith("distribution, m: 127.0.0.1:")
