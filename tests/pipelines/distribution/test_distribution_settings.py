"""The settings under distribution: faults name key and mend, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.distribution.options import Email, Webhook
from pipelines.settings import SettingsError, parse

HERE = Path(__file__).parent
MAIL = "name: m, type: email, host: smtp.example.com, sender: f@example.com, recipients: [a@example.com]"
HOOK = "name: h, type: webhook, url: 'https://chat.example.com/hooks/s3cret'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: mail, name: a}", r"distribution\[0\]: type: say email or webhook"),
        ("{name: a}", r"distribution\[0\]: type: say email or webhook"),
        ("7", r"distribution\[0\]: type: say email or webhook"),
        (f"{{{MAIL}, prot: 25}}", r"distribution\[0\]\.prot: unknown key"),
        (f"{{{MAIL}, nights: [monday]}}", r"distribution\[0\]\.nights\[0\]: Input should be 'mon', "),
        (f"{{{MAIL}, nights: []}}", r"distribution\[0\]\.nights: "),
        (f"{{{MAIL}, username: u}}", r"distribution\[0\]: username and password belong together"),
        (f"{{{MAIL}, username: u, password: s3cret, encryption: none}}", r"not sent over plain text; say encryption"),
        (f"{{{MAIL}, username: u, password: 's3cret\u00e9'}}", r"\[0\]\.password: a login holds printable ASCII"),
        (f"{{{MAIL}, link: 'javascript:alert(1)'}}", r"distribution\[0\]\.link: is no address; write it as https"),
        (f"{{{MAIL}, link: 'https://a/{{day}}'}}", r"distribution\[0\]\.link: is no address"),
        (MAIL.replace("smtp.example.com", "'smtp://x'").join("{}"), r"distribution\[0\]\.host: is no name of a host"),
        (MAIL.replace("f@example.com", '"f@e\\r\\nBcc: x@y"').join("{}"), r"distribution\[0\]\.sender: is no mail add"),
        (MAIL.replace("[a@example.com]", "[a@example.com, b]").join("{}"), r"recipients\[1\]: is no mail address; wri"),
        (MAIL.replace("[a@example.com]", "[]").join("{}"), r"distribution\[0\]\.recipients: "),
        ("{name: h, type: webhook, url: s3cret}", r"distribution\[0\]\.url: is no address; write it as https://chat"),
        ("{name: h, type: webhook, url: 'https://[s3cret'}", r"distribution\[0\]\.url: is no address"),
        ("{name: h, type: webhook, url: 'https://u:s3cret@h/x'}", r"\.url: has a user or password in it; put them un"),
        (f"{{{HOOK}, format: discord}}", r"distribution\[0\]\.format: Input should be 'slack'"),
        (f"{{{HOOK}}}, {{{HOOK}}}", r"distribution: two destinations are called 'h'; give each its own name"),
    ],
)
def test_a_fault_is_one_line_with_key_and_mend(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        parse(f"distribution: [{text}]", HERE, "f.yaml")
    assert "\n" not in str(caught.value) and "s3cret" not in str(caught.value)


def test_what_is_not_said_is_sensible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.example.com/s3cret")
    mail, hook = parse(f"distribution: [{{{MAIL}}}, {{name: h, type: webhook, url: '${{HOOK}}'}}]", HERE).distribution
    assert isinstance(mail, Email) and isinstance(hook, Webhook)
    assert (mail.encryption, mail.served_at, mail.nights) == ("starttls", 587, ["mon"])
    assert hook.format == "json" and hook.url.get_secret_value() == "https://hooks.example.com/s3cret"
    assert "s3cret" not in repr(hook) and "s3cret" not in hook.model_dump_json()


@pytest.mark.parametrize(("encryption", "port"), [("tls", 465), ("none", 25), ("starttls", 587)])
def test_each_encryption_has_its_port(encryption: str, port: int) -> None:
    [mail] = parse(f"distribution: [{{{MAIL}, encryption: {encryption}}}]", HERE).distribution
    assert isinstance(mail, Email) and mail.served_at == port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "'::1'", "mail.localhost"])
def test_a_password_may_go_in_plain_text_where_it_does_not_leave_the_machine(host: str) -> None:
    text = MAIL.replace("smtp.example.com", host)
    assert parse(f"distribution: [{{{text}, username: u, password: p, encryption: none}}]", HERE).distribution
